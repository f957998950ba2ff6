//! A call under way, over pipes or over HTTP: the one form in which its events are read.

use std::time::Duration;

use super::Error;
use super::http::Exchange;
use super::link::Link;
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

    /// The link that it is on.
    pub fn link(&self) -> Option<&Link> {
        match self {
            Self::Process(ticket) => Some(ticket.link()),
            Self::Http(_) => None,
        }
    }

    /// Its client takes it back: dropped, the server is told.
    pub fn give_up(&mut self) {
        if let Self::Process(ticket) = self {
            ticket.give_up();
        }
    }

    /// Answers something that the server asked in mid-call.
    pub fn answer(&self, message: Vec<u8>) {
        match self {
            Self::Process(ticket) => ticket.link().answer(message),
            Self::Http(exchange) => exchange.answer(message),
        }
    }

    /// Somebody is being asked: the server waits, not we.
    pub fn waits_for_somebody(&mut self, for_at_most: Duration) {
        match self {
            Self::Process(ticket) => ticket.waits_for_somebody(for_at_most),
            Self::Http(exchange) => exchange.waits_for_somebody(for_at_most),
        }
    }

    /// Whoever was asked has answered: the call has its own time again.
    pub fn goes_on(&mut self) {
        match self {
            Self::Process(ticket) => ticket.goes_on(),
            Self::Http(exchange) => exchange.goes_on(),
        }
    }
}
