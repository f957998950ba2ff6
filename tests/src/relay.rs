//! Bytes from one socket to another and back, until either side ends or somebody cuts them.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::http::runtime;
use crate::ports;

/// How long a connection onwards may take.
const CONNECT: Duration = Duration::from_secs(1);

/// Listens on a free loopback port, from outside the runtime.
pub(super) fn listen() -> (String, TcpListener) {
    let address = ports::address();
    let listener = std::net::TcpListener::bind(&address).expect("the port is free");
    listener
        .set_nonblocking(true)
        .expect("a listener can be made so");
    let _runtime = runtime().enter();
    let listener = TcpListener::from_std(listener).expect("it is non-blocking");
    (address, listener)
}

/// Connects; what is sent goes at once.
pub(super) async fn connect(to: &str) -> std::io::Result<TcpStream> {
    let stream = tokio::time::timeout(CONNECT, TcpStream::connect(to)).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Moves bytes both ways until one side is through, or broken, or `open` is not true any more.
pub(super) async fn relay(
    mut near: TcpStream,
    mut far: TcpStream,
    mut open: watch::Receiver<bool>,
) {
    tokio::select! {
        // What broke it shows on the other side as an end, as with any balancer.
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
        _ = open.wait_for(|open| !*open) => {}
    }
}

/// The task of a listener. It ends when this is dropped, and all its connections are cut.
#[derive(Debug)]
pub(super) struct Accepting {
    task: tokio::task::JoinHandle<()>,
    /// Whether connections are passed on; whoever relays one watches it.
    pub(super) open: Arc<watch::Sender<bool>>,
}

impl Accepting {
    pub(super) fn new(task: tokio::task::JoinHandle<()>, open: Arc<watch::Sender<bool>>) -> Self {
        Self { task, open }
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        self.task.abort();
        self.open.send_replace(false);
    }
}
