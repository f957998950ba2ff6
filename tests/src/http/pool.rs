//! Connections that are kept and used again, as real clients do: what a drain must not break.
//!
//! A request of which a server may have seen anything is never sent twice. One that met a connection that was closed
//! before a byte of it was written goes over another one, as with any client.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Limited};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::reply::{Driver, REPLY_BYTES_MAX};
use super::{Request, Response, authority};

/// Idle connections that are kept; further ones are closed.
const IDLE_MAX: usize = 64;
/// How long an idle connection is kept: less than servers keep it.
const IDLE: Duration = Duration::from_secs(4);
/// Connections that a request may meet closed before it is given up.
const TRIES: usize = 4;

/// Connections to whatever the requests name; all of one pool go to the same place.
#[derive(Debug, Default)]
pub struct Pool {
    /// The last one put aside is the first one taken up. Held for single pushes and pops only.
    idle: Mutex<Vec<Link>>,
}

#[derive(Debug)]
struct Link {
    sender: SendRequest<BoxBody<Bytes, std::convert::Infallible>>,
    /// Our own port.
    port: u16,
    idle_since: Instant,
    _driver: Driver,
}

/// A request that got no whole reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Whether a server may have seen something of it.
    pub sent: bool,
    /// Our port of its connection, where there was one.
    pub port: Option<u16>,
    /// Why.
    pub why: String,
}

impl Pool {
    /// Sends a request and reads its whole reply; tells our port of the connection, too.
    ///
    /// # Errors
    /// Where no whole reply comes. There is no deadline here.
    pub async fn send(&self, request: &Request) -> Result<(Response, u16), Lost> {
        let mut unsent = None;
        for _ in 0..TRIES {
            let mut link = match self.take() {
                Some(link) => link,
                None => open(authority(&request.url)).await?,
            };
            let lost = |sent: bool, why: &dyn std::error::Error| Lost {
                sent,
                port: Some(link.port),
                why: chain(why),
            };
            let message = request.message().map_err(|why| lost(false, &why))?;
            let response = match link.sender.try_send_request(message).await {
                Ok(response) => response,
                Err(mut error) => {
                    let sent = error.take_message().is_none();
                    let lost = lost(sent, error.error());
                    if sent {
                        return Err(lost);
                    }
                    unsent = Some(lost);
                    continue;
                }
            };
            let (head, body) = response.into_parts();
            let body = Limited::new(body, REPLY_BYTES_MAX).collect().await;
            let body = body.map_err(|why| lost(true, &*why))?.to_bytes();
            let port = link.port;
            self.give_back(link).await;
            let response = Response {
                status: head.status.as_u16(),
                headers: head.headers,
                body,
            };
            return Ok((response, port));
        }
        Err(unsent.expect("there is more than one try"))
    }

    fn take(&self) -> Option<Link> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(link) = idle.pop() {
            if link.idle_since.elapsed() > IDLE {
                // The others are older still.
                idle.clear();
            } else if !link.sender.is_closed() {
                return Some(link);
            }
        }
        None
    }

    async fn give_back(&self, mut link: Link) {
        // An error says that the server closes it.
        if link.sender.ready().await.is_err() {
            return;
        }
        link.idle_since = Instant::now();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(link);
        }
    }
}

async fn open(address: &str) -> Result<Link, Lost> {
    let lost = |port: Option<u16>, why: &dyn std::error::Error| Lost {
        sent: false,
        port,
        why: chain(why),
    };
    let tcp = TcpStream::connect(address)
        .await
        .map_err(|why| lost(None, &why))?;
    let port = tcp.local_addr().ok().map(|address| address.port());
    let nodelay = tcp.set_nodelay(true);
    nodelay.map_err(|why| lost(port, &why))?;
    let connected = hyper::client::conn::http1::handshake(TokioIo::new(tcp)).await;
    let (sender, connection) = connected.map_err(|why| lost(port, &why))?;
    Ok(Link {
        sender,
        port: port.unwrap_or_default(),
        idle_since: Instant::now(),
        _driver: Driver::of(connection),
    })
}

/// An error with all that it comes from: hyper's own words alone say little.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}
