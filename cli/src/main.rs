//! `gatehouse`, and under the same name the shim that keeps a hosted server's processes together.

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = sidecar::process::shim::intercept(std::env::args_os().skip(1)) {
        return code;
    }
    cli::run(std::env::args_os())
}
