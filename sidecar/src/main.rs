//! `gatehouse-sidecar`: the sidecar as a program of its own. `gatehouse sidecar` is the same.

use std::process::ExitCode;

use clap::Parser;

/// The hop before one MCP server of Gatehouse.
#[derive(Parser)]
#[command(name = "gatehouse-sidecar", version)]
struct Cli {
    #[command(flatten)]
    args: sidecar::entry::Args,
}

fn main() -> ExitCode {
    // The same program is the shim that keeps the server's processes together.
    if let Some(code) = sidecar::process::shim::intercept(std::env::args_os().skip(1)) {
        return code;
    }
    sidecar::entry::main(Cli::parse().args)
}
