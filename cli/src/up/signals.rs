//! Ctrl-C and its like, as `up` hears them: one drains, a second one ends all at once.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::codes;
use crate::fault::Fault;

/// SIGINT, SIGTERM and SIGHUP.
#[derive(Debug)]
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// Begins to listen.
    ///
    /// # Errors
    /// The system refuses.
    pub(super) fn new() -> Result<Self, Fault> {
        let hear = |kind| {
            signal(kind)
                .map_err(|e| Fault::new(codes::FILE, "signals cannot be heard").why(e.to_string()))
        };
        Ok(Self {
            interrupt: hear(SignalKind::interrupt())?,
            terminate: hear(SignalKind::terminate())?,
            hangup: hear(SignalKind::hangup())?,
        })
    }

    /// Ends with the next one.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
