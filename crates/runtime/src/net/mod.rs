//! Sockets: listening and connecting, with errors that say what to do about them.
//!
//! ```text
//! listen ─▶ TcpListener ─▶ tls_incoming ─▶ streams for a tonic or hyper server
//!                       └▶ serve_pages ─▶ a small server for pages
//! connect ─▶ TcpStream;   channel ─▶ tonic Channel that connects when first used
//! Dialer ─▶ connections for a pool of hyper's
//! ```
//! It does not know what is spoken over them.

mod channel;
mod dialer;
mod incoming;
mod pages;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

pub use channel::{ClientTls, channel};
pub use dialer::{Dialer, Stream};
pub use incoming::{TlsIncoming, tls_incoming};
pub use pages::serve_pages;

/// Pause after an accept that failed for want of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is taken.
    #[error(
        "{address} is in use by another process: stop that one, or set {setting} to another address"
    )]
    InUse {
        /// Which address.
        address: String,
        /// The setting that names it.
        setting: String,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address} ({setting}): {source}")]
    Listen {
        /// Which address.
        address: String,
        /// The setting that names it.
        setting: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// There is no connection.
    #[error("cannot reach {address}: {source}")]
    Connect {
        /// Which address.
        address: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// Nobody answered in time.
    #[error("cannot reach {address}: no answer within {} ms", .within.as_millis())]
    Late {
        /// Which address.
        address: String,
        /// The time that was given.
        within: Duration,
    },
    /// An address that is no `host:port`.
    #[error("{address:?} is not an address: write host:port")]
    Address {
        /// What was given.
        address: String,
    },
}

/// Listens on `address` (`host:port`; port 0 takes a free one). `setting` is named in errors.
///
/// # Errors
/// [`Error::InUse`], [`Error::Listen`], each with what to change.
pub async fn listen(address: &str, setting: &str) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| {
        let (address, setting) = (address.to_owned(), setting.to_owned());
        if source.kind() == ErrorKind::AddrInUse {
            Error::InUse { address, setting }
        } else {
            Error::Listen {
                address,
                setting,
                source,
            }
        }
    })
}

/// Connects to `address` (`host:port`), without Nagle's delay.
///
/// # Errors
/// [`Error::Connect`], [`Error::Late`].
pub async fn connect(address: &str, within: Duration) -> Result<TcpStream, Error> {
    let fault = |source| Error::Connect {
        address: address.to_owned(),
        source,
    };
    match tokio::time::timeout(within, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => {
            stream.set_nodelay(true).map_err(fault)?;
            Ok(stream)
        }
        Ok(Err(source)) => Err(fault(source)),
        Err(_) => Err(Error::Late {
            address: address.to_owned(),
            within,
        }),
    }
}

/// Whether only this machine can reach a listener on `address`.
pub fn is_loopback(address: &SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[tokio::test]
    async fn a_taken_address_is_named_with_its_setting() {
        let first = listen("127.0.0.1:0", "edge.listen").await.unwrap();
        let address = first.local_addr().unwrap();
        assert!(is_loopback(&address));
        let error = listen(&address.to_string(), "edge.listen")
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(&address.to_string()) && error.contains("edge.listen"),
            "{error}"
        );
        connect(&address.to_string(), Duration::from_secs(1))
            .await
            .unwrap();
        drop(first);
        let error = connect(&address.to_string(), Duration::from_secs(1))
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Connect { .. }), "{error}");
    }
}
