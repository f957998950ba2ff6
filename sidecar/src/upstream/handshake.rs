//! The first words with a server: which era it speaks, and what it is.
//!
//! Some servers that speak both eras settle for one by the first message of a process, and one of them
//! has to serve both kinds of client here. As modern clients can be served by a legacy server and not
//! yet the other way round, `initialize` comes first. A server that refuses it is asked
//! `server/discover`, and where that fails too, a new process is: [`Outcome::Restart`].

use std::time::Duration;

use dataplane::deliver::probe::{CLIENT_NAME, CLIENT_VERSION};
use mcp::bridge::handshake::{discover_request, initialized_notification};
use mcp::revision::Era;

use super::Error as CallError;
use super::greeting::{self, Greeting, Who};
use super::link::Link;
use super::response::Response;
use super::ticket::{Abandoned, Ask, TakenBack};

/// How the first words ended.
#[derive(Debug)]
pub enum Outcome {
    /// It is ready.
    Ready(Greeting),
    /// It refused both questions; a new process may take the second one for the first.
    Restart,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No answer.
    #[error("{asked}: {source}")]
    Call {
        /// The question.
        asked: &'static str,
        /// Why.
        source: CallError,
    },
    /// It refused.
    #[error("the server refused {asked}: {why}")]
    Refused {
        /// The question.
        asked: &'static str,
        /// Its error.
        why: String,
    },
    /// It answered what we cannot use.
    #[error("the server's answer to {asked} {what}")]
    Answer {
        /// The question.
        asked: &'static str,
        /// What is wrong with it.
        what: String,
    },
}

/// Asks the server who it is, in the name of `who`, first in the form of `era`. Each answer may take `limit`.
///
/// # Errors
/// [`Error`]: it is of no use as it is now.
pub async fn greet(link: &Link, era: Era, who: &Who, limit: Duration) -> Result<Outcome, Error> {
    if era == Era::Modern {
        return discover(link, limit).await.map(Outcome::Ready);
    }
    match initialize(link, who, limit).await {
        Err(Error::Refused { .. }) => Ok(match discover(link, limit).await {
            Ok(greeting) => Outcome::Ready(greeting),
            // Whatever it said or did: the first message was not for it.
            Err(_) => Outcome::Restart,
        }),
        other => other.map(Outcome::Ready),
    }
}

async fn initialize(link: &Link, who: &Who, limit: Duration) -> Result<Greeting, Error> {
    let asked = "initialize";
    let request = |id: &[u8]| who.initialize(id);
    let response = ask(link, asked, request, limit).await?;
    let greeting = Greeting::of_initialize(response.result().unwrap_or_default());
    let greeting = greeting.map_err(|what| Error::Answer { asked, what })?;
    let told = link.notify(initialized_notification()).await;
    told.map_err(|source| Error::Call { asked, source })?;
    Ok(greeting)
}

async fn discover(link: &Link, limit: Duration) -> Result<Greeting, Error> {
    let asked = "server/discover";
    let request = |id: &[u8]| discover_request(id, CLIENT_NAME, CLIENT_VERSION);
    let response = ask(link, asked, request, limit).await?;
    let greeting = Greeting::of_discover(response.result().unwrap_or_default());
    greeting.map_err(|what| Error::Answer { asked, what })
}

async fn ask(
    link: &Link,
    asked: &'static str,
    request: impl FnOnce(&[u8]) -> Vec<u8>,
    limit: Duration,
) -> Result<Response, Error> {
    let id = link.next_id();
    // Never to be cancelled by a message: what is given up here ends with the process.
    let ask = Ask {
        origin: None,
        progress: false,
        hears: false,
        can_be_asked: false,
        listens: false,
        limit,
        abandoned: Abandoned::Finish,
        taken_back: TakenBack::default(),
    };
    let line = request(id.to_string().as_bytes());
    let answered = match link.send(id, line, ask).await {
        Ok(ticket) => ticket.answer().await,
        Err(error) => Err(error),
    };
    let response = answered.map_err(|source| Error::Call { asked, source })?;
    match response.error_code() {
        Some(code) => Err(Error::Refused {
            asked,
            why: greeting::refusal(response.bytes(), code),
        }),
        None => Ok(response),
    }
}

#[cfg(test)]
#[path = "handshake_tests.rs"]
mod tests;
