//! The own stream of a legacy session with a server: one for all who listen, as the server says each thing once.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ::http::header::ACCEPT;
use ::http::{HeaderValue, Method, StatusCode};
use dataplane::deliver::direct;
use dataplane::deliver::messages::{Messages, Place, is_event_stream};
use dataplane::deliver::standing::LAST_EVENT_ID;
use mcp::envelope::{self, Kind, Limits};
use mcp::headers::MCP_PROTOCOL_VERSION;
use mcp::method;
use mcp::revision::Revision;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::sessions::{Session, Slot};
use super::{Chore, HttpServer, MESSAGE_BYTES_MAX};
use crate::upstream::Error;
use crate::upstream::feed::Feed;
use crate::upstream::greeting::Who;
use crate::upstream::response::{Heard, own_answer};

/// How long a server may take to begin a stream.
const BEGIN: Duration = Duration::from_secs(30);
/// How often a stream that ended is begun anew, and after what time.
const AGAIN: (u32, Duration) = (5, Duration::from_secs(1));

/// How soon, at most and at least, whatever the server says.
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// How long to wait before a stream that ended is gone on with; `usual`: where the server does not say.
pub(super) fn pause(place: &Place, usual: Duration) -> Duration {
    place.retry.unwrap_or(usual).clamp(RETRY_MIN, RETRY_MAX)
}

/// A stream that is being read, as long as this is held.
#[derive(Debug)]
pub struct Attended {
    feed: Feed,
    over: CancellationToken,
    server: HttpServer,
    session: Arc<Session>,
    /// It is held for a while after a call, for the next one.
    pub(super) lingers: AtomicBool,
    /// Its session is in use.
    _slot: Arc<Slot>,
}

impl Attended {
    /// Who hears what it says.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// Answers something that the server asked.
    pub fn answer(&self, message: Vec<u8>) {
        self.tell(|_| message);
    }

    /// Orders something of the server of which nobody waits for the answer, under an id of ours.
    pub(in crate::upstream) fn tell(&self, order: impl FnOnce(u64) -> Vec<u8>) {
        let message = order(self.server.next_id());
        let chore = Chore::Tell(self.session.clone(), message.into());
        self.server.later(chore);
    }

    /// Ready when nothing will come any more.
    pub async fn over(&self) {
        self.over.cancelled().await;
    }
}

impl Drop for Attended {
    fn drop(&mut self) {
        self.over.cancel();
    }
}

impl HttpServer {
    /// The own stream of the session of `who`, begun where nobody listens yet.
    ///
    /// # Errors
    /// [`Error::Invalid`]: the server gives none; else it cannot be had now.
    pub async fn attend(&self, who: &Who) -> Result<Arc<Attended>, Error> {
        let (slot, session) = self.session(who).await?;
        self.attend_in(slot, session).await
    }

    /// The own stream of this session.
    ///
    /// # Errors
    /// As [`Self::attend`].
    pub(super) async fn attend_in(
        &self,
        slot: Arc<Slot>,
        session: Arc<Session>,
    ) -> Result<Arc<Attended>, Error> {
        // One at a time: a server may have no second stream to give.
        let _opening = session.opening.lock().await;
        let known = session.attended.lock().upgrade();
        if let Some(known) = known.filter(|known| !known.over.is_cancelled()) {
            return Ok(known);
        }
        let messages = self.open_stream(&session, "").await?;
        let attended = Arc::new(Attended {
            feed: Feed::default(),
            over: CancellationToken::new(),
            server: self.clone(),
            session: session.clone(),
            lingers: AtomicBool::new(false),
            _slot: slot,
        });
        *session.attended.lock() = Arc::downgrade(&attended);
        let weak = Arc::downgrade(&attended);
        let over = attended.over.clone();
        let (server, session) = (self.clone(), session.clone());
        tokio::spawn(async move {
            let heard = server.read_stream(&session, messages, &weak);
            tokio::select! {
                () = over.cancelled() => {}
                () = heard => over.cancel(),
            }
        });
        Ok(attended)
    }

    /// Begins a stream of the session: its own, or where there is an id of an event, the one that goes on after that.
    ///
    /// # Errors
    /// [`Error::Invalid`]: the server gives none, and never will; else it cannot be had now.
    pub(super) async fn open_stream(
        &self,
        session: &Session,
        after: &str,
    ) -> Result<Messages, Error> {
        let unusable =
            |fault: dataplane::refusal::Fault| Error::Gone(fault.message.as_str().into());
        let request = direct::bodiless(&self.0.upstream, Method::GET, &session.id);
        let mut request = request.map_err(unusable)?;
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        let revision = HeaderValue::from_static(Revision::as_str(session.revision));
        headers.insert(MCP_PROTOCOL_VERSION, revision);
        if let Some(id) = HeaderValue::from_str(after)
            .ok()
            .filter(|_| !after.is_empty())
        {
            headers.insert(LAST_EVENT_ID, id);
        }
        let sent = timeout(BEGIN, self.request(request)).await;
        let response = sent.unwrap_or(Err(Error::Timeout(BEGIN)))?;
        match response.status() {
            StatusCode::OK if is_event_stream(response.headers()) => {
                Ok(Messages::of(response, MESSAGE_BYTES_MAX))
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                Err(Error::Invalid("it has no stream of its own".to_owned()))
            }
            // What was on that stream is lost with its session.
            StatusCode::NOT_FOUND if !after.is_empty() => {
                Err(Error::Invalid("the session is over".to_owned()))
            }
            status => Err(Error::Gone(
                format!("the server answers HTTP {status} to who listens").into(),
            )),
        }
    }

    /// Hands on what comes, until it comes no more.
    async fn read_stream(
        &self,
        session: &Arc<Session>,
        mut messages: Messages,
        attended: &std::sync::Weak<Attended>,
    ) {
        let (times, usual) = AGAIN;
        let mut left = times;
        let mut place = Place::default();
        loop {
            while let Some(Ok(message)) = messages.next().await {
                let Some(attended) = attended.upgrade() else {
                    return;
                };
                left = times;
                let limits = Limits {
                    bytes: MESSAGE_BYTES_MAX,
                    ..Limits::RESPONSE
                };
                let Ok(read) = envelope::scan(&message, &limits) else {
                    continue;
                };
                match read.kind {
                    Kind::Notification => {
                        attended
                            .feed
                            .hear(&Heard::new(message.clone(), &read), None);
                    }
                    Kind::Request => {
                        let heard = Heard::new(message.clone(), &read);
                        let is_for_us = read.method() == method::PING;
                        if is_for_us
                            || !(session.askable.ask(&heard) || attended.feed.hear(&heard, None))
                        {
                            let answer = own_answer(&read);
                            self.later(Chore::Tell(session.clone(), answer.into()));
                        }
                    }
                    Kind::Response => {}
                }
            }
            // A stream that was silent is gone on with where the one before it ended.
            place.follow(messages.place());
            loop {
                if left == 0 || attended.strong_count() == 0 {
                    return;
                }
                left -= 1;
                sleep(pause(&place, usual)).await;
                match self.open_stream(session, &place.id).await {
                    Ok(anew) => {
                        messages = anew;
                        break;
                    }
                    Err(Error::Invalid(_)) => return,
                    Err(_) => {}
                }
            }
        }
    }
}
