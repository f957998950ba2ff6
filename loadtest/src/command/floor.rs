//! `gatehouse-loadtest floor`: be a bare proxy.

use std::net::SocketAddr;
use std::process::ExitCode;

use super::line;
use crate::{Floor, Target};

/// Be a bare proxy, which reads what it forwards and does nothing about it. Prints its URL.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to listen; port 0 is a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where requests go; any number of times
    #[arg(long, value_name = "URL", required = true)]
    to: Vec<String>,
    /// Threads; one costs the least a call
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let floor = Floor::before(Target::new(&args.to)?).at(args.listen);
    let serving = floor.on_threads(args.threads).start()?;
    line(serving.url())?;
    serving.wait();
    Ok(ExitCode::SUCCESS)
}
