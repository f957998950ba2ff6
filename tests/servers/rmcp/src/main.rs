//! The conformance fixture on the Rust SDK: the command line and the two transports.
//!
//! What it offers is the same as that of ../python, and tasks; see ../README.md. Start reading at
//! `fixture.rs`; what a server of one era refuses is in `eras.rs`.

// Half of what a fixture of two eras shows is deprecated in the newer one, on purpose.
#![allow(deprecated)]

mod call;
mod changes;
mod eras;
mod fixture;
mod prompts;
mod questions;
mod resources;
mod tools;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use rmcp::ServiceExt;
use rmcp::service::ServerInitializeError;
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::TcpListener;

use crate::eras::{Era, Screened, door};
use crate::fixture::{Fixture, Shared};

const USAGE: &str = "usage: [--era dual|legacy|modern] http PORT | stdio
http prints its URL when it listens; port 0: any free one";

/// What a client is told to wait before it takes a closed stream up again.
const RETRY: Duration = Duration::from_millis(100);

enum Transport {
    Http(u16),
    Stdio,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some((era, transport)) = arguments(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let served = match transport {
        Transport::Http(port) => http(era, port).await,
        Transport::Stdio => stdio(era).await,
    };
    if let Err(fault) = served {
        eprintln!("rmcp-fixture: {fault}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn arguments(mut given: impl Iterator<Item = String>) -> Option<(Era, Transport)> {
    let mut era = Era::Dual;
    loop {
        match given.next()?.as_str() {
            "--era" => era = Era::named(&given.next()?)?,
            "http" => return Some((era, Transport::Http(given.next()?.parse().ok()?))),
            "stdio" => return Some((era, Transport::Stdio)),
            _ => return None,
        }
    }
}

/// Serves on 127.0.0.1 until the process is ended.
async fn http(era: Era, port: u16) -> Result<(), Box<dyn Error>> {
    let config = StreamableHttpServerConfig::default()
        .with_sse_retry(Some(RETRY))
        .with_allowed_origins(["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"]);
    let mut sessions = LocalSessionManager::default();
    sessions.session_config.sse_retry = Some(RETRY);
    let shared = Shared::new(era);
    // One for each legacy session, and one for each modern request.
    let fixture = move || Ok(Fixture::new(shared.clone()));
    let service = StreamableHttpService::new(fixture, sessions.into(), config);
    let app = Router::new()
        .route_service("/mcp", service)
        .layer(from_fn_with_state(era, door));

    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("http://{}/mcp", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

/// Serves on standard input and output until the input ends.
async fn stdio(era: Era) -> Result<(), Box<dyn Error>> {
    let (input, output) = rmcp::transport::stdio();
    let transport = Screened::new(era, AsyncRwTransport::new_server(input, output));
    match Fixture::new(Shared::new(era)).serve(transport).await {
        Ok(running) => running.waiting().await.map(drop)?,
        // The input ended before anything was asked.
        Err(ServerInitializeError::ConnectionClosed(_)) => {}
        Err(fault) => return Err(fault.into()),
    }
    Ok(())
}
