//! The first words with a server: which era it speaks, and what it is.
//!
//! Some servers that speak both eras settle for one by the first message of a process, and one of them
//! has to serve both kinds of client here. As modern clients can be served by a legacy server and not
//! yet the other way round, `initialize` comes first. A server that refuses it is asked
//! `server/discover`, and where that fails too, a new process is: [`Outcome::Restart`].

use std::time::Duration;

use bytes::Bytes;
use mcp::bridge::handshake::{
    SERVER_INFO_KEY, discover_request, initialize_request, initialized_notification,
};
use mcp::revision::{Era, Revision};
use serde_json::{Map, Value};

use super::Error as CallError;
use super::link::Link;
use super::response::Response;
use super::ticket::{Abandoned, Ask};

/// What the sidecar calls itself to servers.
const CLIENT_NAME: &str = "gatehouse";
const CLIENT_VERSION: &str = env!("CARGO_PKG_VERSION");
/// How much of a server's error is shown, characters.
const SHOWN_CHARS_MAX: usize = 200;

/// What a server is, as it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// The revision that is spoken with it.
    pub revision: Revision,
    /// Its answer in the form of an `InitializeResult`: capabilities, instructions, serverInfo.
    pub face: Bytes,
    /// Its raw `serverInfo`, where it gave one.
    pub server_info: Option<Bytes>,
    /// Its name and version, for people.
    pub shown: String,
}

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

/// Asks the server who it is, first in the form of `era`. Each answer may take `limit`.
///
/// # Errors
/// [`Error`]: it is of no use as it is now.
pub async fn greet(link: &Link, era: Era, limit: Duration) -> Result<Outcome, Error> {
    if era == Era::Modern {
        return discover(link, limit).await.map(Outcome::Ready);
    }
    match initialize(link, limit).await {
        Err(Error::Refused { .. }) => Ok(match discover(link, limit).await {
            Ok(greeting) => Outcome::Ready(greeting),
            // Whatever it said or did: the first message was not for it.
            Err(_) => Outcome::Restart,
        }),
        other => other.map(Outcome::Ready),
    }
}

async fn initialize(link: &Link, limit: Duration) -> Result<Greeting, Error> {
    let asked = "initialize";
    let revision = Revision::LATEST_LEGACY;
    let request = |id: &[u8]| initialize_request(id, revision, CLIENT_NAME, CLIENT_VERSION);
    let response = ask(link, asked, request, limit).await?;
    let face = object(asked, &response)?;
    let version = face
        .get("protocolVersion")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let revision = Revision::parse(version).filter(|revision| revision.era() == Era::Legacy);
    let revision = revision.ok_or_else(|| Error::Answer {
        asked,
        what: format!(
            "names the protocol version {:?}, which is not spoken here",
            shown(version)
        ),
    })?;
    let greeting = greeting(asked, revision, face)?;
    let told = link.notify(initialized_notification()).await;
    told.map_err(|source| Error::Call { asked, source })?;
    Ok(greeting)
}

async fn discover(link: &Link, limit: Duration) -> Result<Greeting, Error> {
    let asked = "server/discover";
    let request = |id: &[u8]| discover_request(id, CLIENT_NAME, CLIENT_VERSION);
    let response = ask(link, asked, request, limit).await?;
    let mut face = object(asked, &response)?;
    let versions = face.get("supportedVersions").and_then(Value::as_array);
    let speaks = |version: &Value| version == Revision::LATEST.as_str();
    if !versions.is_some_and(|versions| versions.iter().any(speaks)) {
        let what = format!("does not name the protocol version {}", Revision::LATEST);
        return Err(Error::Answer { asked, what });
    }
    // A modern server names itself in `_meta`; the face has it where a legacy one would.
    let info = face
        .get("_meta")
        .and_then(|meta| meta.get(SERVER_INFO_KEY))
        .cloned();
    if let Some(info) = info {
        face.insert("serverInfo".to_owned(), info);
    }
    greeting(asked, Revision::LATEST, face)
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
        limit,
        abandoned: Abandoned::Finish,
    };
    let line = request(id.to_string().as_bytes());
    let answered = match link.send(id, line, ask).await {
        Ok(ticket) => ticket.answer().await,
        Err(error) => Err(error),
    };
    let response = answered.map_err(|source| Error::Call { asked, source })?;
    match response.error_code() {
        Some(code) => {
            let message = serde_json::from_slice::<Value>(response.bytes()).unwrap_or_default();
            let text = message["error"]["message"].as_str().unwrap_or_default();
            Err(Error::Refused {
                asked,
                why: format!("{} ({code})", shown(text)),
            })
        }
        None => Ok(response),
    }
}

fn object(asked: &'static str, response: &Response) -> Result<Map<String, Value>, Error> {
    let result = response.result().unwrap_or_default();
    serde_json::from_slice(result).map_err(|error| Error::Answer {
        asked,
        what: format!("is not of its form: {error}"),
    })
}

fn greeting(
    asked: &'static str,
    revision: Revision,
    face: Map<String, Value>,
) -> Result<Greeting, Error> {
    if !face.get("capabilities").is_some_and(Value::is_object) {
        return Err(Error::Answer {
            asked,
            what: "has no capabilities".to_owned(),
        });
    }
    let info = face.get("serverInfo").filter(|info| info.is_object());
    let part = |key| {
        info.and_then(|info| info.get(key))
            .and_then(Value::as_str)
            .map(shown)
    };
    let parts: Vec<_> = [part("name"), part("version")]
        .into_iter()
        .flatten()
        .collect();
    let server_info = info.map(|info| Bytes::from(info.to_string()));
    let shown = parts.join(" ");
    let face = Bytes::from(Value::Object(face).to_string());
    Ok(Greeting {
        revision,
        face,
        server_info,
        shown,
    })
}

/// Text of a server's, cut for people.
fn shown(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(SHOWN_CHARS_MAX)
        .collect()
}

#[cfg(test)]
#[path = "handshake_tests.rs"]
mod tests;
