//! Bytes from one socket to another and back, until either side ends or somebody cuts them.

use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::http::runtime;

/// How long a connection onwards may take.
const CONNECT: Duration = Duration::from_secs(1);

/// Connects; what is sent goes at once.
pub(crate) async fn connect(to: &str) -> std::io::Result<TcpStream> {
    let stream = tokio::time::timeout(CONNECT, TcpStream::connect(to)).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Moves bytes both ways until one side is through, or broken, or `open` is not true any more.
pub(crate) async fn relay(
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

/// A listener and all that it has accepted. Dropping it ends both.
#[derive(Debug)]
pub(crate) struct Accepting {
    task: JoinHandle<()>,
    /// Whether connections are passed on; whoever relays one watches it.
    open: watch::Sender<bool>,
}

impl Accepting {
    /// Listens, and has each connection passed on by `pass`, which gets the client's port, too.
    pub(crate) fn start<F>(
        address: &str,
        pass: impl Fn(TcpStream, u16, watch::Receiver<bool>) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = std::net::TcpListener::bind(address).expect("the port is free");
        listener
            .set_nonblocking(true)
            .expect("a listener can be made so");
        let open = watch::Sender::new(true);
        let passes = open.subscribe();
        let task = runtime().spawn(async move {
            let listener = TcpListener::from_std(listener).expect("it is non-blocking");
            while let Ok((near, from)) = listener.accept().await {
                // Late, not wrong.
                let _ = near.set_nodelay(true);
                tokio::spawn(pass(near, from.port(), passes.clone()));
            }
        });
        Self { task, open }
    }

    /// Ends it, and returns once nothing listens any more.
    pub(crate) fn end(mut self) {
        self.open.send_replace(false);
        self.task.abort();
        // It says that it was aborted.
        let _ = runtime().block_on(&mut self.task);
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        self.open.send_replace(false);
        self.task.abort();
    }
}
