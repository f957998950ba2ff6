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
mod over;
pub mod questions;
pub mod tapes;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dashmap::DashMap;
use dataplane::deliver::{Asker, Message};
use mcp::bridge::capabilities;
use mcp::envelope::{self, IdKey, Kind, Limits};
use mcp::method;
use mcp::revision::Revision;
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::outbox::Outbox;
use self::over::Ended;
use self::questions::Questions;
use self::tapes::{Room, Tapes};
use crate::upstream::feed::{Interest, Listener};
use crate::upstream::greeting::Who;
use crate::upstream::http::Attended;
use crate::upstream::link::Link;
use crate::upstream::response::Heard;

/// Sessions that are held.
const CLIENTS_MAX: usize = 20_000;
/// Of one user.
const CLIENTS_OF_USER_MAX: usize = 4096;
/// A session that was not used for so long is forgotten.
const IDLE: Duration = Duration::from_secs(4 * 3600);
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
    pub outbox: Arc<Outbox>,
    /// What was said on its calls' streams.
    pub tapes: Tapes,
    /// The process that serves this session alone, where there is one.
    process: Mutex<Option<Link>>,
    level: Mutex<Option<String>>,
    subscriptions: Mutex<BTreeSet<String>>,
    /// Where a process that all share is listened to for it, by resource.
    interests: Mutex<HashMap<String, Interest>>,
    /// Calls under way, by the client's ids.
    calls: Mutex<HashMap<IdKey, CancellationToken>>,
    /// The own stream of its session with a server over HTTP, where it hears that by its outbox.
    pub attended: Mutex<Option<Arc<Attended>>>,
    /// Held by whoever changes what is listened to upstream.
    pub listening: tokio::sync::Mutex<Option<CancellationToken>>,
    used: Mutex<Instant>,
    ended: CancellationToken,
}

impl Client {
    fn new(handle: &str, user: &str, introduction: &Introduction, room: &Room) -> Self {
        let declared = capabilities::read(&introduction.capabilities);
        let text = |bytes: &[u8]| Arc::from(String::from_utf8_lossy(bytes));
        let who = Who {
            user: user.into(),
            // The handle is one application's alone: the edge has bound it.
            application: "".into(),
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
            outbox: Arc::default(),
            tapes: Tapes::within(room),
            process: Mutex::default(),
            level: Mutex::default(),
            subscriptions: Mutex::default(),
            interests: Mutex::default(),
            calls: Mutex::default(),
            attended: Mutex::default(),
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

    /// Whether a process is listened to for it already, for this resource.
    pub fn is_interested(&self, uri: &str, link: &Link) -> bool {
        let interests = self.interests.lock();
        interests.get(uri).is_some_and(|it| it.ear().is_at(link))
    }

    /// Keeps that a process is listened to for it. What was kept of another process goes.
    pub fn keep_interest(&self, uri: &str, interest: Interest) {
        let before = self.interests.lock().insert(uri.to_owned(), interest);
        drop(before);
    }

    /// It is not listened to this resource for it any more.
    pub fn drop_interest(&self, uri: &str) {
        let before = self.interests.lock().remove(uri);
        drop(before);
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
        self.outbox.close();
        self.leave();
    }

    /// Whatever goes on for it ends, but its stream.
    fn leave(&self) {
        self.ended.cancel();
        self.tapes.clear();
        self.questions.forget_all();
        *self.process.lock() = None;
        *self.attended.lock() = None;
        let interests = std::mem::take(&mut *self.interests.lock());
        drop(interests);
        self.touch();
    }
}

/// What a server says about no call: it goes to the client's stream, where it may hear of it. What it asks can only be for
/// this client where the server's process is its alone.
impl Listener for Client {
    fn hear(&self, heard: &Heard, link: Option<&Link>) -> bool {
        if self.ended.is_cancelled() {
            return false;
        }
        let own = self.process.lock().clone();
        // What another process says is not for this client alone, whatever was before.
        let own = own.filter(|own| link.is_some_and(|link| own.is(link)));
        // Over HTTP, the session that it hears of by this is its alone.
        let is_own = own.is_some() || (link.is_none() && self.attended.lock().is_some());
        if heard.kind == Kind::Request && is_own && link.is_none() {
            // Its answer goes to the server as it comes, so the id stays the server's own.
            self.outbox
                .push(Message::said(Kind::Request, heard.bytes.clone()));
            return true;
        }
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
            method::RESOURCES_UPDATED => {
                is_own || heard.param("uri").is_some_and(|uri| self.hears_of(&uri))
            }
            method::MESSAGE | method::ELICITATION_COMPLETE | method::TASKS_STATUS => is_own,
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

/// What does not reach the client is answered in its place.
impl Asker for Client {
    fn refused(&self, answer: Bytes) {
        let Ok(read) = envelope::scan(&answer, &Limits::RESPONSE) else {
            return;
        };
        if self.questions.answer(&answer, &read) {
            return;
        }
        let attended = self.attended.lock().clone();
        if let Some(attended) = attended {
            attended.answer(answer.to_vec());
        }
    }
}

/// All sessions, by handle.
#[derive(Debug, Default)]
pub struct Clients {
    all: DashMap<Arc<str>, Arc<Client>>,
    /// Those that their clients have ended.
    over: Ended,
    /// How many each user has.
    of_user: DashMap<Arc<str>, usize>,
    /// For what is kept of their streams.
    room: Room,
}

impl Clients {
    /// Begins a session, or finds the one with this handle that somebody else has just begun. `None`: it is another
    /// user's, or it is over.
    pub fn begin(
        &self,
        handle: &str,
        user: &str,
        introduction: &Introduction,
    ) -> Option<Arc<Client>> {
        if self.over.has(handle) {
            return None;
        }
        if self.all.get(handle).is_none() {
            self.make_room(user);
        }
        let entry = self.all.entry(handle.into());
        let client = entry.or_insert_with(|| {
            *self.of_user.entry(user.into()).or_default() += 1;
            Arc::new(Client::new(handle, user, introduction, &self.room))
        });
        let client = client.clone();
        let is_good = &*client.who.user == user && !client.ended.is_cancelled();
        is_good.then_some(client)
    }

    /// Begins a session with a handle that may have a stream already, as the client first listens and then says who it is:
    /// what is said goes to the same stream. `None`: it is another user's, or it is over.
    pub fn introduce(
        &self,
        handle: &str,
        user: &str,
        introduction: &Introduction,
    ) -> Option<Arc<Client>> {
        let known = self.begin(handle, user, introduction)?;
        let client = Arc::new(Client {
            outbox: known.outbox.clone(),
            ..Client::new(handle, user, introduction, &self.room)
        });
        self.all.insert(handle.into(), client.clone());
        known.leave();
        Some(client)
    }

    /// The session of `user` with this handle.
    ///
    /// # Errors
    /// It is over, or another user's; `Ok(None)`: nothing is known of it.
    pub fn find(&self, handle: &str, user: &str) -> Result<Option<Arc<Client>>, Over> {
        if self.over.has(handle) {
            return Err(Over);
        }
        let Some(client) = self.all.get(handle) else {
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
        self.over.add(&client.handle);
        self.forget([client.handle.clone()]);
    }

    /// Forgets what was not used for long.
    pub fn sweep(&self) {
        self.over.sweep();
        let mut gone = Vec::new();
        for client in &self.all {
            client.tapes.sweep();
            if client.rests_for() >= IDLE && !client.outbox.is_attended() {
                gone.push(client.handle.clone());
            }
        }
        self.forget(gone);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// A tenth goes at once, so that this is not done for each one that comes: of the user's own, where these are too many;
    /// else of all.
    fn make_room(&self, user: &str) {
        let own = self.of_user.get(user).map_or(0, |count| *count);
        let is_own = own >= CLIENTS_OF_USER_MAX;
        if !is_own && self.all.len() < CLIENTS_MAX {
            return;
        }
        let mut resting: Vec<_> = self
            .all
            .iter()
            .filter(|client| !is_own || &*client.who.user == user)
            .map(|client| {
                // Who listens goes last.
                let rests = (!client.outbox.is_attended(), client.rests_for());
                (rests, client.handle.clone())
            })
            .collect();
        resting.sort_unstable_by_key(|(rests, _)| std::cmp::Reverse(*rests));
        let count = resting.len().div_ceil(10);
        self.forget(resting.into_iter().take(count).map(|(_, handle)| handle));
    }

    fn forget(&self, handles: impl IntoIterator<Item = Arc<str>>) {
        for handle in handles {
            let Some((_, client)) = self.all.remove(&handle) else {
                continue;
            };
            client.end();
            self.of_user.remove_if_mut(&client.who.user, |_, count| {
                *count = count.saturating_sub(1);
                *count == 0
            });
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
        assert!(clients.introduce("n.1", "ana", &introduction()).is_none());
        assert!(clients.is_empty() && clients.of_user.is_empty());
        tokio::time::advance(IDLE).await;
        clients.sweep();
        assert_eq!(clients.find("n.1", "ana").unwrap_err(), Over, "for good");
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_house_forgets_who_was_not_heard_of_for_longest() {
        let clients = Clients::default();
        let user = |n: usize| format!("u{}", n % 10);
        for n in 0..CLIENTS_MAX {
            clients.begin(&n.to_string(), &user(n), &introduction());
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        for n in CLIENTS_MAX / 10..CLIENTS_MAX {
            clients.find(&n.to_string(), &user(n)).unwrap().unwrap();
        }
        clients.begin("new", "ana", &introduction()).unwrap();
        assert_eq!(clients.len(), CLIENTS_MAX - CLIENTS_MAX / 10 + 1);
        assert!(clients.find("0", &user(0)).unwrap().is_none());
        let kept = CLIENTS_MAX / 10;
        let kept = clients.find(&kept.to_string(), &user(kept));
        assert!(kept.unwrap().is_some());
        // One user alone takes no place of others.
        let before = clients.len();
        for n in 0..2 * CLIENTS_OF_USER_MAX {
            clients.begin(&format!("a{n}"), "ana", &introduction());
            if clients.len() > CLIENTS_MAX - 2 {
                break;
            }
        }
        assert!(clients.len() >= before);
        assert!(*clients.of_user.get("ana").unwrap() <= CLIENTS_OF_USER_MAX);
    }
}
