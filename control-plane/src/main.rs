//! `gatehouse-control-plane`: the control plane as a process of its own.

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
async fn main() -> anyhow::Result<()> {
    Box::pin(Cli::parse().command.run()).await
}
