//! `gatehouse-loadtest`: measures Gatehouse, and is the client, the server and the proxies that it is measured with.

use std::process::ExitCode;

fn main() -> ExitCode {
    loadtest::command::run(std::env::args_os())
}
