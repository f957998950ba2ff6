//! Free ports on loopback for processes that must be told one.
//!
//! They come from below the range that the kernel hands out by itself, so that no outgoing connection takes one
//! between our look and the process's own bind, and none is given twice by one test process.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

const FIRST: u32 = 12_000;
const COUNT: u32 = 18_000;

/// How far this process has counted.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A free port.
pub fn free() -> u16 {
    // Two test processes at once begin at different places.
    let start = std::process::id().wrapping_mul(97);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + start.wrapping_add(step) % COUNT;
        let port = u16::try_from(port).expect("the range ends below 65536");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port from {FIRST} on")
}

/// A free loopback address.
pub fn address() -> String {
    format!("127.0.0.1:{}", free())
}
