//! `gatehouse-edge`: the edge as a program of its own. `gatehouse edge` is the same.

use std::process::ExitCode;

use clap::Parser;

/// The client-facing MCP proxy of Gatehouse.
#[derive(Parser)]
#[command(name = "gatehouse-edge", version)]
struct Cli {
    #[command(flatten)]
    args: edge::entry::Args,
}

fn main() -> ExitCode {
    edge::entry::main(Cli::parse().args)
}
