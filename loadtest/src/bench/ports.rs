//! Free ports on loopback, for processes that must be told one.
//!
//! From below the range that the kernel hands out by itself: a load makes many connections, and none of them is to
//! take a port between our look and a process's own bind.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

const FIRST: u16 = 12_000;
const COUNT: u16 = 18_000;

/// Gives out each port once.
#[derive(Debug)]
pub(crate) struct Ports {
    next: u16,
}

impl Ports {
    /// Two benches at once begin at different places.
    pub(crate) fn new() -> Self {
        let start = std::process::id().wrapping_mul(97) % u32::from(COUNT);
        Self {
            next: u16::try_from(start).unwrap_or(0),
        }
    }

    /// A free port.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn free(&mut self) -> anyhow::Result<u16> {
        for _ in 0..COUNT {
            let port = FIRST + self.next;
            self.next = (self.next + 1) % COUNT;
            if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(port);
            }
        }
        anyhow::bail!("no free port from {FIRST} on")
    }

    /// A free address.
    ///
    /// # Errors
    /// As [`Self::free`].
    pub(crate) fn address(&mut self) -> anyhow::Result<SocketAddr> {
        Ok((Ipv4Addr::LOCALHOST, self.free()?).into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn each_port_is_given_once_and_is_free() {
        let mut ports = Ports::new();
        let (one, other) = (ports.free().unwrap(), ports.free().unwrap());
        assert_ne!(one, other);
        TcpListener::bind((Ipv4Addr::LOCALHOST, one)).unwrap();
    }
}
