//! The first words with a server over HTTP.

use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderMap, HeaderValue};
use bytes::Bytes;
use dataplane::deliver::direct::session_of;
use dataplane::deliver::messages::Messages;
use dataplane::deliver::probe::probe;
use mcp::bridge::handshake::initialized_notification;
use mcp::envelope::{self, Kind, Limits};
use mcp::headers::MCP_PROTOCOL_VERSION;
use mcp::revision::{Era, Revision};
use tokio::time::timeout;

use super::exchange::check;
use super::sessions::{Session, Slot};
use super::{Chore, HttpServer, MESSAGE_BYTES_MAX};
use crate::upstream::Error;
use crate::upstream::greeting::{self, Greeting, Who};
use crate::upstream::level::Level;

/// How long a server may take to begin a session for a user.
const BEGIN: Duration = Duration::from_secs(15);

impl HttpServer {
    /// Asks the server what it is and what it speaks.
    ///
    /// # Errors
    /// Why it is of no use as it is now, for people.
    pub(super) async fn greet(&self) -> Result<Greeting, String> {
        let probed = probe(&self.0.egress, &self.0.upstream).await;
        let probed = probed.map_err(|fault| fault.message)?;
        // It is greeted once.
        let probed = self.0.probed.get_or_init(|| probed);
        if probed.era == Era::Modern {
            let result = probed.discovered.as_deref().ok_or_else(|| {
                "the server speaks the modern era of MCP, and does not answer server/discover"
                    .to_owned()
            })?;
            return Greeting::of_discover(result)
                .map_err(|what| format!("the server's answer to server/discover {what}"));
        }
        let begun = self.initialize(&Who::default()).await;
        let (session, greeting) = begun.map_err(|error| error.to_string())?;
        // It was begun for nobody.
        self.later(Chore::Close(Arc::new(session)));
        Ok(greeting)
    }

    /// The session of `who`, begun where there is none.
    pub(super) async fn session(&self, who: &Who) -> Result<(Arc<Slot>, Arc<Session>), Error> {
        let mut gone = Vec::new();
        let slot = self.0.sessions.slot(&who.key(), &mut gone);
        for session in gone {
            self.later(Chore::Close(session));
        }
        let slot = slot?;
        let begin = || async {
            self.initialize(who).await.map(|(session, greeting)| {
                Arc::new(Session {
                    greeting: Some(greeting),
                    ..session
                })
            })
        };
        let session = slot.session.get_or_try_init(begin).await?.clone();
        Ok((slot, session))
    }

    /// The level of log messages that the session of `who` was told, where it was.
    ///
    /// # Errors
    /// No session can be begun.
    pub async fn level(&self, who: &Who) -> Result<Arc<parking_lot::Mutex<Option<Level>>>, Error> {
        let (_, session) = self.session(who).await?;
        Ok(session.level.clone())
    }

    /// The session of `who`, in use as long as it is held.
    ///
    /// # Errors
    /// No session can be begun.
    pub async fn hold(&self, who: &Who) -> Result<Held, Error> {
        let (slot, session) = self.session(who).await?;
        Ok(Held {
            id: session.id.clone(),
            revision: session.revision,
            _slot: slot,
        })
    }

    /// The server does not know this session of `who` any more.
    pub fn forget(&self, who: &Who, id: &str) {
        self.0.sessions.forget_id(&who.key(), id);
    }

    /// What the server says of itself to `who`.
    ///
    /// # Errors
    /// No session can be begun.
    pub async fn greeting(&self, who: &Who) -> Result<Greeting, Error> {
        let (_, session) = self.session(who).await?;
        let greeting = session.greeting.clone();
        greeting.ok_or_else(|| Error::Invalid("it said nothing of itself".to_owned()))
    }

    async fn initialize(&self, who: &Who) -> Result<(Session, Greeting), Error> {
        let id = self.next_id().to_string();
        let question = who.initialize(id.as_bytes());
        let within = timeout(BEGIN, async {
            let response = self.post(question.into(), None).await?;
            check(response.status())?;
            let session = session_of(&response).map_err(|fault| Error::Invalid(fault.message))?;
            let answer = answer(Messages::of(response, MESSAGE_BYTES_MAX)).await?;
            let greeting = read(&answer)?;
            let session = Session::new(session, greeting.revision);
            let told = self.post(initialized_notification().into(), Some(&session));
            check(told.await?.status())?;
            Ok((session, greeting))
        });
        within.await.unwrap_or(Err(Error::Timeout(BEGIN)))
    }
}

/// A session with the server, in use as long as this lives.
#[derive(Debug)]
pub struct Held {
    /// The server's own id of it; empty where it gave none.
    pub id: String,
    /// The revision that was agreed on with the server.
    pub revision: Revision,
    _slot: Arc<Slot>,
}

impl Held {
    /// Headers of a client's request with the revision of this session in the place of the client's own.
    pub fn headers(&self, of_client: &HeaderMap) -> HeaderMap {
        let mut headers = of_client.clone();
        let revision = HeaderValue::from_static(Revision::as_str(self.revision));
        headers.insert(MCP_PROTOCOL_VERSION, revision);
        headers
    }
}

/// The response to the only request.
async fn answer(mut messages: Messages) -> Result<Bytes, Error> {
    while let Some(message) = messages.next().await {
        let message = message.map_err(|why| Error::Gone(why.into()))?;
        let read = envelope::scan(&message, &Limits::RESPONSE);
        let read = read.map_err(|error| Error::Invalid(error.to_string()))?;
        if read.kind == Kind::Response {
            return Ok(message);
        }
    }
    Err(Error::Gone(
        "its stream ended before its answer to initialize".into(),
    ))
}

fn read(answer: &[u8]) -> Result<Greeting, Error> {
    let read = envelope::scan(answer, &Limits::RESPONSE);
    let read = read.map_err(|error| Error::Invalid(error.to_string()))?;
    if let Some(code) = read.error_code {
        let why = greeting::refusal(answer, code);
        return Err(Error::Gone(
            format!("the server refused initialize: {why}").into(),
        ));
    }
    let result = read.result.map(|span| span.of(answer)).unwrap_or_default();
    Greeting::of_initialize(result)
        .map_err(|what| Error::Invalid(format!("its answer to initialize {what}")))
}
