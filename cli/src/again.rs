//! A connection that is made anew when it breaks, for commands that watch: says so once, and tries for as long as it
//! takes.

use std::time::Duration;

use crate::codes;
use crate::context::Context;
use crate::fault::Fault;
use crate::link::Link;
use crate::show::Show;

/// First wait before the next try; doubled each time.
const WAIT_MIN: Duration = Duration::from_millis(250);
/// Longest wait.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Makes connections anew.
#[derive(Debug)]
pub struct Again<'a> {
    show: &'a Show,
    context: &'a Context,
    wait: Duration,
    /// What was said of the connection that is lost.
    said: Option<String>,
}

impl<'a> Again<'a> {
    /// For a connection that stands.
    pub const fn new(show: &'a Show, context: &'a Context) -> Self {
        Self {
            show,
            context,
            wait: WAIT_MIN,
            said: None,
        }
    }

    /// Something came: the connection is good.
    pub fn good(&mut self) {
        self.wait = WAIT_MIN;
        if self.said.take().is_some() {
            self.show.note("connected again");
        }
    }

    /// The connection is lost, for this reason; `None`: the control plane ended it. Answers with the next one.
    ///
    /// # Errors
    /// A fault that does not pass by itself: a token that is not good any more.
    pub async fn after(&mut self, fault: Option<Fault>) -> Result<Link, Fault> {
        let mut fault = fault;
        loop {
            match &fault {
                Some(fault) if !passes(fault) => return Err(fault.clone()),
                Some(fault) => self.say(&fault.message),
                None => self.say("the control plane ended the connection"),
            }
            tokio::time::sleep(self.wait).await;
            self.wait = (self.wait * 2).min(WAIT_MAX);
            match Link::connect(self.context).await {
                Ok(link) => return Ok(link),
                Err(found) => fault = Some(found),
            }
        }
    }

    fn say(&mut self, what: &str) {
        if self.said.as_deref() != Some(what) {
            self.show.note(&format!("{what}; trying again"));
            self.said = Some(what.to_owned());
        }
    }
}

/// Whether a fault may pass by itself. A handshake is broken off by a control plane that just starts or ends.
pub fn passes(fault: &Fault) -> bool {
    fault.retryable || fault.code == codes::TLS_MISMATCH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_token_does_not_pass() {
        let fault = |code| Fault::new(code, "x");
        assert!(!passes(&fault(codes::NOT_SIGNED_IN)));
        assert!(!passes(&fault(codes::BAD_CONTEXT)));
        assert!(passes(&fault(codes::TLS_MISMATCH)));
        assert!(passes(&fault(codes::NOTHING_LISTENS).retryable()));
    }
}
