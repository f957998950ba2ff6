//! Whether a client may go on listening: asked again whenever something changes.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;

use super::standing::Judge;

/// Decides while a client listens.
pub(super) struct Gate {
    pub(super) judge: Box<dyn Judge>,
    changed: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Gate {
    pub(super) fn new(judge: Box<dyn Judge>) -> Self {
        Self {
            changed: judge.changed(),
            judge,
        }
    }

    /// Whether what has changed means that the client may not listen any more.
    pub(super) fn is_shut(&mut self, cx: &mut Context<'_>) -> bool {
        while self.changed.as_mut().poll(cx).is_ready() {
            self.changed = self.judge.changed();
            if !self.judge.may_go_on() {
                return true;
            }
        }
        false
    }
}
