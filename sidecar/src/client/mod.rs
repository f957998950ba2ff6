//! The sessions of legacy clients that this sidecar holds: what is known of each client, what is asked of it, and what
//! waits for its stream.
//!
//! ```text
//! Clients -- Client -- Questions: what was asked of it and not answered yet, by the id that it knows
//!                  |-- Outbox: what belongs to no call, until it is fetched by GET
//!                  \-- Tapes: what was said on the streams of its calls, for when it loses one
//! ```
//!
//! A session is found by its handle *and* its user: a handle alone is worth nothing. Must not know servers: what is asked
//! and said comes in as messages. Bounded in number; the one that was not used for longest goes.

pub mod outbox;
pub mod questions;
pub mod tapes;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dashmap::DashMap;
use dataplane::deliver::Message;
use mcp::bridge::capabilities;
use mcp::envelope::{IdKey, Kind};
use mcp::method;
use mcp::revision::Revision;
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::outbox::Outbox;
use self::questions::Questions;
use self::tapes::Tapes;
use crate::upstream::feed::Listener;
use crate::upstream::greeting::Who;
use crate::upstream::link::Link;
use crate::upstream::response::Heard;

/// Sessions that are held.
const CLIENTS_MAX: usize = 20_000;
/// A session that was not used for so long is forgotten.
const IDLE: Duration = Duration::from_secs(4 * 3600);
/// How long an ended one is remembered, so that who goes on with it is told.
const ENDED: Duration = Duration::from_secs(600);
/// Calls of one session that can be taken back at once.
const CALLS_MAX: usize = 256;
/// Resources that one session may subscribe to.
const SUBSCRIPTIONS_MAX: usize = 1024;

/// What a client says of itself when a session begins.
#[derive(Debug, Clone)]
pub struct Introduction {
    /// The revision that was agreed on.
    pub revision: Revision,
    /// Its capabilities, a raw object.
    pub capabilities: Bytes,
    /// Its name and version, a raw object; empty: it gave none.
    pub info: Bytes,
}

/// One session.
#[derive(Debug)]
pub struct Client {
    /// Its handle.
    pub handle: Arc<str>,
    /// The revision that is spoken.
    pub revision: Revision,
    /// What the client can be asked for.
    pub declared: Map<String, Value>,
    /// For whom upstream sessions are begun that are for this one alone.
    pub who: Who,
    /// What is asked of it.
    pub questions: Questions,
    /// What waits for its stream.
    pub outbox: Outbox,
    /// What was said on its calls' streams.
    pub tapes: Tapes,
    /// The process that serves this session alone, where there is one.
    process: Mutex<Option<Link>>,
    level: Mutex<Option<String>>,
    subscriptions: Mutex<BTreeSet<String>>,
    /// Calls under way, by the client's ids.
    calls: Mutex<HashMap<IdKey, CancellationToken>>,
    /// Held by whoever changes what is listened to upstream.
    pub listening: tokio::sync::Mutex<Option<CancellationToken>>,
    used: Mutex<Instant>,
    ended: CancellationToken,
}

impl Client {
    fn new(handle: &str, user: &str, introduction: &Introduction) -> Self {
        let declared = capabilities::read(&introduction.capabilities);
        let text = |bytes: &[u8]| Arc::from(String::from_utf8_lossy(bytes));
        let who = Who {
            user: user.into(),
            holder: Some(handle.into()),
            declared: Value::Object(declared.clone()).to_string().into(),
            info: text(&introduction.info),
            revision: introduction.revision,
        };
        Self {
            handle: handle.into(),
            revision: introduction.revision,
            declared,
            who,
            questions: Questions::default(),
            outbox: Outbox::default(),
            tapes: Tapes::default(),
            process: Mutex::default(),
            level: Mutex::default(),
            subscriptions: Mutex::default(),
            calls: Mutex::default(),
            listening: tokio::sync::Mutex::default(),
            used: Mutex::new(Instant::now()),
            ended: CancellationToken::new(),
        }
    }

    /// The lowest level of log messages that the client asked for.
    pub fn level(&self) -> Option<String> {
        self.level.lock().clone()
    }

    /// It asks for this one.
    pub fn set_level(&self, level: &str) {
        *self.level.lock() = Some(level.to_owned());
    }

    /// The resources of which it wants to hear.
    pub fn subscriptions(&self) -> Vec<String> {
        self.subscriptions.lock().iter().cloned().collect()
    }

    /// It wants to hear of one more. False: it wants to hear of too many.
    pub fn subscribe(&self, uri: &str) -> bool {
        let mut subscriptions = self.subscriptions.lock();
        let known = subscriptions.contains(uri);
        known || (subscriptions.len() < SUBSCRIPTIONS_MAX && subscriptions.insert(uri.to_owned()))
    }

    /// It does not want to hear of this one any more. False: it never did.
    pub fn unsubscribe(&self, uri: &str) -> bool {
        self.subscriptions.lock().remove(uri)
    }

    /// Whether it wants to hear of this one.
    pub fn hears_of(&self, uri: &str) -> bool {
        self.subscriptions.lock().contains(uri)
    }

    /// The process that serves this session alone from now on; true where it is another than before.
    pub fn served_by(&self, link: &Link) -> bool {
        let mut process = self.process.lock();
        let is_new = !process.as_ref().is_some_and(|known| known.is(link));
        if is_new {
            *process = Some(link.clone());
            self.questions.forget_all();
        }
        is_new
    }

    /// The process that serves this session alone.
    pub fn process(&self) -> Option<Link> {
        self.process.lock().clone()
    }

    /// A call has begun; cancelled when the client takes it back. Too many: it cannot be taken back.
    pub fn begin_call(&self, id: &IdKey) -> CancellationToken {
        let token = CancellationToken::new();
        let mut calls = self.calls.lock();
        if calls.len() < CALLS_MAX {
            calls.insert(id.clone(), token.clone());
        }
        token
    }

    /// A call is over.
    pub fn end_call(&self, id: &IdKey) {
        self.calls.lock().remove(id);
    }

    /// The client takes a call back.
    pub fn take_back(&self, id: &IdKey) {
        if let Some(token) = self.calls.lock().get(id) {
            token.cancel();
        }
    }

    /// Cancelled when the session is over.
    pub fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    fn touch(&self) {
        *self.used.lock() = Instant::now();
    }

    fn rests_for(&self) -> Duration {
        self.used.lock().elapsed()
    }

    fn end(&self) {
        self.ended.cancel();
        self.outbox.close();
        self.tapes.clear();
        self.questions.forget_all();
        *self.process.lock() = None;
        self.touch();
    }
}

/// What a server says about no call: it goes to the client's stream, where it may hear of it. What it asks can only be for
/// this client where the server's process is its alone.
impl Listener for Client {
    fn hear(&self, heard: &Heard) -> bool {
        if self.ended.is_cancelled() {
            return false;
        }
        let own = self.process.lock().clone();
        if heard.kind == Kind::Request {
            let question = own.and_then(|link| self.questions.ask_for(&link, heard));
            return question.is_some_and(|question| {
                self.outbox.push(Message::said(Kind::Request, question));
                true
            });
        }
        let goes = match heard.method.as_str() {
            method::TOOLS_LIST_CHANGED
            | method::PROMPTS_LIST_CHANGED
            | method::RESOURCES_LIST_CHANGED => true,
            method::RESOURCES_UPDATED => heard.param("uri").is_some_and(|uri| self.hears_of(&uri)),
            method::MESSAGE | method::ELICITATION_COMPLETE | method::TASKS_STATUS => own.is_some(),
            method::CANCELLED => {
                let told = own.and_then(|_| self.questions.taken_back(heard));
                return told.is_some_and(|told| {
                    self.outbox.push(Message::said(Kind::Notification, told));
                    true
                });
            }
            _ => false,
        };
        if goes {
            self.outbox
                .push(Message::said(Kind::Notification, heard.bytes.clone()));
        }
        goes
    }
}

/// All sessions, by handle.
#[derive(Debug, Default)]
pub struct Clients(DashMap<Arc<str>, Arc<Client>>);

impl Clients {
    /// Begins a session, or finds the one with this handle that somebody else has just begun. `None`: it is another
    /// user's, or it is over.
    pub fn begin(
        &self,
        handle: &str,
        user: &str,
        introduction: &Introduction,
    ) -> Option<Arc<Client>> {
        if self.0.len() >= CLIENTS_MAX {
            self.forget_oldest();
        }
        let client = self
            .0
            .entry(handle.into())
            .or_insert_with(|| Arc::new(Client::new(handle, user, introduction)))
            .clone();
        let is_good = &*client.who.user == user && !client.ended.is_cancelled();
        is_good.then_some(client)
    }

    /// The session of `user` with this handle.
    ///
    /// # Errors
    /// It is over, or another user's; `Ok(None)`: nothing is known of it.
    pub fn find(&self, handle: &str, user: &str) -> Result<Option<Arc<Client>>, Over> {
        let Some(client) = self.0.get(handle) else {
            return Ok(None);
        };
        if &*client.who.user != user || client.ended.is_cancelled() {
            return Err(Over);
        }
        client.touch();
        Ok(Some(client.clone()))
    }

    /// The session is over, as its client wishes.
    pub fn end(&self, client: &Client) {
        client.end();
    }

    /// Forgets what was not used for long.
    pub fn sweep(&self) {
        self.0.retain(|_, client| {
            let keeps = if client.ended.is_cancelled() {
                ENDED
            } else {
                IDLE
            };
            let stays = client.rests_for() < keeps || client.outbox.is_attended();
            if !stays {
                client.end();
            }
            stays
        });
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A tenth goes at once, so that this is not done for each one that comes.
    fn forget_oldest(&self) {
        let mut resting: Vec<_> = self
            .0
            .iter()
            .map(|client| (client.rests_for(), client.handle.clone()))
            .collect();
        resting.sort_unstable_by_key(|(rests, _)| std::cmp::Reverse(*rests));
        for (_, handle) in resting.into_iter().take(CLIENTS_MAX / 10) {
            if let Some((_, client)) = self.0.remove(&handle) {
                client.end();
            }
        }
    }
}

/// A session that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session is over")]
pub struct Over;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn introduction() -> Introduction {
        Introduction {
            revision: Revision::LATEST_LEGACY,
            capabilities: Bytes::from_static(br#"{"roots":{}}"#),
            info: Bytes::new(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_is_its_users_alone() {
        let clients = Clients::default();
        let ana = clients.begin("n.1", "ana", &introduction()).unwrap();
        assert!(clients.begin("n.1", "bob", &introduction()).is_none());
        assert_eq!(clients.find("n.1", "bob").unwrap_err(), Over);
        assert!(clients.find("n.2", "ana").unwrap().is_none());
        let again = clients.find("n.1", "ana").unwrap().unwrap();
        assert!(Arc::ptr_eq(&ana, &again));
        clients.end(&ana);
        assert_eq!(clients.find("n.1", "ana").unwrap_err(), Over);
        assert!(clients.begin("n.1", "ana", &introduction()).is_none());
        tokio::time::advance(ENDED).await;
        clients.sweep();
        assert!(clients.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_house_forgets_who_was_not_heard_of_for_longest() {
        let clients = Clients::default();
        for n in 0..CLIENTS_MAX {
            clients.begin(&n.to_string(), "ana", &introduction());
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        for n in CLIENTS_MAX / 10..CLIENTS_MAX {
            clients.find(&n.to_string(), "ana").unwrap().unwrap();
        }
        clients.begin("new", "ana", &introduction()).unwrap();
        assert_eq!(clients.len(), CLIENTS_MAX - CLIENTS_MAX / 10 + 1);
        assert!(clients.find("0", "ana").unwrap().is_none());
        let kept = (CLIENTS_MAX / 10).to_string();
        assert!(clients.find(&kept, "ana").unwrap().is_some());
    }
}
