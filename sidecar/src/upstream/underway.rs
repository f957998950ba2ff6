//! A call under way, over pipes or over HTTP: the one form in which its events are read.

use super::Error;
use super::http::Exchange;
use super::ticket::{Event, Ticket};

/// A request that was sent. Dropped before its answer, it is abandoned.
#[derive(Debug)]
pub enum Underway {
    /// To a process.
    Process(Ticket),
    /// Over HTTP.
    Http(Box<Exchange>),
}

impl Underway {
    /// Waits for what comes next.
    ///
    /// # Errors
    /// There will be no answer; see [`Error`].
    pub async fn next(&mut self) -> Result<Event, Error> {
        match self {
            Self::Process(ticket) => ticket.next().await,
            Self::Http(exchange) => exchange.next().await,
        }
    }

    /// Whether it is of no use once its caller is gone.
    pub fn ends_with_its_caller(&self) -> bool {
        match self {
            Self::Process(ticket) => ticket.ends_with_its_caller(),
            Self::Http(exchange) => exchange.ends_with_its_caller(),
        }
    }
}
