//! `gatehouse-loadtest fixture`: be the MCP server that is called.

use std::net::SocketAddr;
use std::process::ExitCode;

use super::line;
use crate::fixture::stdio;
use crate::{Era, Fixture};

/// Be the MCP server that is called: tools echo, sleep, big, stream, and ask in the legacy era. Prints its URL; GET /stats tells what it saw.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to listen; port 0 is a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Speak over standard input and output instead, one message a line; legacy unless modern alone is wanted
    #[arg(long, conflicts_with_all = ["listen", "legacy_only", "sse", "remember", "threads"])]
    stdio: bool,
    /// Know revisions with sessions only
    #[arg(long, conflicts_with = "modern_only")]
    legacy_only: bool,
    /// Know the stateless revision only
    #[arg(long)]
    modern_only: bool,
    /// Answer as a stream of events
    #[arg(long)]
    sse: bool,
    /// Remember the messages of echo, and count those that come again
    #[arg(long)]
    remember: bool,
    /// Threads; one costs the least a call
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.stdio {
        let era = if args.modern_only {
            Era::Modern
        } else {
            Era::Legacy
        };
        stdio::serve(std::io::stdin(), std::io::stdout(), era)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut fixture = Fixture::new().at(args.listen).on_threads(args.threads);
    if args.legacy_only {
        fixture = fixture.legacy_only();
    }
    if args.modern_only {
        fixture = fixture.modern_only();
    }
    if args.sse {
        fixture = fixture.as_events();
    }
    if args.remember {
        fixture = fixture.remembering();
    }
    let serving = fixture.start()?;
    line(serving.url())?;
    serving.wait();
    Ok(ExitCode::SUCCESS)
}
