//! `gatehouse-control-plane`: the control plane as a process of its own.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use control_plane::command::Command;

/// The control plane of Gatehouse: keeps catalog, policy and filters, and pushes them to edges and sidecars.
#[derive(Debug, Parser)]
#[command(name = "gatehouse-control-plane", version)]
struct Cli {
    #[command(flatten)]
    command: Command,
}

#[tokio::main]
async fn main() -> ExitCode {
    match Box::pin(Cli::parse().command.run()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With standard error gone, the exit status alone tells.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
