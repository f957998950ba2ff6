//! Legacy sessions with a server: one for each user and what its client can do, begun with the first call, kept while it
//! is used.
//!
//! What a server remembers of one user is never shown to another.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};
use std::time::Duration;

use dashmap::DashMap;
use mcp::revision::Revision;
use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::super::Error;
use super::super::greeting::Greeting;
use super::super::level::Level;
use super::asked::Askable;
use super::attended::Attended;

/// Sessions that are kept at once.
const SESSIONS_MAX: usize = 8192;
/// A session that was not used for so long is closed.
const IDLE: Duration = Duration::from_secs(600);
/// Where there is no room: one that was not used for so long is closed.
const IDLE_IN_NEED: Duration = Duration::from_secs(30);

/// A session with the server.
#[derive(Debug)]
pub(super) struct Session {
    /// Its id; empty where the server keeps none.
    pub(super) id: String,
    /// The revision that was agreed on.
    pub(super) revision: Revision,
    /// What the server said of itself.
    pub(super) greeting: Option<Greeting>,
    /// The level of log messages that it was told, where it was.
    pub(super) level: Arc<Mutex<Option<Level>>>,
    /// Held by whoever begins its own stream.
    pub(super) opening: tokio::sync::Mutex<()>,
    /// Its own stream, while somebody listens.
    pub(super) attended: Mutex<Weak<Attended>>,
    /// Calls under way that may be asked what is asked on that stream.
    pub(super) askable: Askable,
    /// The server has no such stream.
    pub(super) is_mute: AtomicBool,
    /// The server is slow to begin it: nobody waits for that again.
    pub(super) is_late: AtomicBool,
}

impl Session {
    /// One that was just begun.
    pub(super) fn new(id: String, revision: Revision) -> Self {
        Self {
            id,
            revision,
            greeting: None,
            level: Arc::default(),
            opening: tokio::sync::Mutex::default(),
            attended: Mutex::default(),
            askable: Askable::default(),
            is_mute: AtomicBool::new(false),
            is_late: AtomicBool::new(false),
        }
    }
}

impl PartialEq for Session {
    fn eq(&self, other: &Self) -> bool {
        (&self.id, self.revision) == (&other.id, other.revision)
    }
}

impl Eq for Session {}

/// One place. Whoever comes first begins the session, others wait for it.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) session: OnceCell<Arc<Session>>,
    /// Written with each use, at its end as well.
    used: Mutex<Instant>,
}

impl Slot {
    /// It was in use until now.
    pub(super) fn touch(&self) {
        *self.used.lock() = Instant::now();
    }

    /// Whether a call is under way in it. Calls hold their place; the map holds it, too.
    fn is_in_use(slot: &Arc<Self>) -> bool {
        Arc::strong_count(slot) > 1
    }
}

/// All sessions, by [`super::super::greeting::Who::key`].
#[derive(Debug, Default)]
pub(super) struct Sessions(DashMap<String, Arc<Slot>>);

impl Sessions {
    /// The place of `key`. What had to go for it is added to `gone`.
    ///
    /// # Errors
    /// All sessions are in use.
    pub(super) fn slot(&self, key: &str, gone: &mut Vec<Arc<Session>>) -> Result<Arc<Slot>, Error> {
        if let Some(slot) = self.0.get(key) {
            slot.touch();
            return Ok(slot.clone());
        }
        if self.0.len() >= SESSIONS_MAX {
            gone.append(&mut self.unused_for(IDLE_IN_NEED));
            if self.0.len() >= SESSIONS_MAX {
                return Err(Error::Overloaded(
                    "too many users have a session with the server",
                ));
            }
        }
        let slot = self.0.entry(key.to_owned()).or_insert_with(|| {
            Arc::new(Slot {
                session: OnceCell::new(),
                used: Mutex::new(Instant::now()),
            })
        });
        Ok(slot.clone())
    }

    /// The server does not know it any more: the next call begins another.
    pub(super) fn forget(&self, key: &str, slot: &Arc<Slot>) {
        self.0.remove_if(key, |_, now| Arc::ptr_eq(now, slot));
    }

    /// The same, for one who knows its id alone.
    pub(super) fn forget_id(&self, key: &str, id: &str) {
        let is_it = |slot: &Arc<Slot>| slot.session.get().is_some_and(|session| session.id == id);
        self.0.remove_if(key, |_, slot| is_it(slot));
    }

    /// Takes out what was not used for long.
    pub(super) fn idle(&self) -> Vec<Arc<Session>> {
        self.unused_for(IDLE)
    }

    /// Takes out all, in use or not.
    pub(super) fn all(&self) -> Vec<Arc<Session>> {
        self.take(|_| true)
    }

    fn unused_for(&self, time: Duration) -> Vec<Arc<Session>> {
        self.take(|slot| !Slot::is_in_use(slot) && slot.used.lock().elapsed() >= time)
    }

    fn take(&self, goes: impl Fn(&Arc<Slot>) -> bool) -> Vec<Arc<Session>> {
        let mut gone = Vec::new();
        self.0.retain(|_, slot| {
            let stays = !goes(slot);
            if !stays && let Some(session) = slot.session.get() {
                gone.push(session.clone());
            }
            stays
        });
        gone
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn begin(sessions: &Sessions, user: &str) -> Arc<Slot> {
        let slot = sessions.slot(user, &mut Vec::new()).unwrap();
        let session = Arc::new(Session::new(user.to_owned(), Revision::LATEST_LEGACY));
        slot.session.set(session).unwrap();
        slot
    }

    #[tokio::test(start_paused = true)]
    async fn sessions_go_when_they_are_idle_and_not_before() {
        let sessions = Sessions::default();
        let ana = begin(&sessions, "ana");
        begin(&sessions, "ben");
        let eve = begin(&sessions, "eve");
        tokio::time::advance(IDLE - Duration::from_secs(1)).await;
        let again = sessions.slot("ana", &mut Vec::new()).unwrap();
        assert!(Arc::ptr_eq(&ana, &again));
        drop(again);
        let names = |gone: &[Arc<Session>]| gone.iter().map(|s| s.id.clone()).collect::<Vec<_>>();
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(names(&sessions.idle()), ["ben"], "eve's is in use");
        eve.touch();
        drop(eve);
        assert!(sessions.idle().is_empty(), "it was in use until now");
        tokio::time::advance(IDLE - Duration::from_secs(1)).await;
        assert!(sessions.idle().is_empty(), "ana's place is held");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(names(&sessions.idle()), ["eve"]);
        sessions.forget("ana", &ana);
        assert!(sessions.all().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_house_closes_what_rests_and_else_says_so() {
        let sessions = Sessions::default();
        for n in 0..SESSIONS_MAX {
            begin(&sessions, &n.to_string());
        }
        let mut gone = Vec::new();
        let refused = sessions.slot("ana", &mut gone).unwrap_err();
        assert!(matches!(refused, Error::Overloaded(_)), "{refused}");
        tokio::time::advance(IDLE_IN_NEED).await;
        sessions.slot("ana", &mut gone).unwrap();
        assert_eq!(gone.len(), SESSIONS_MAX);
    }

    #[test]
    fn an_old_place_does_not_take_the_new_one_away() {
        let sessions = Sessions::default();
        let old = begin(&sessions, "ana");
        sessions.forget("ana", &old);
        let new = begin(&sessions, "ana");
        sessions.forget("ana", &old);
        assert!(Arc::ptr_eq(
            &new,
            &sessions.slot("ana", &mut Vec::new()).unwrap()
        ));
    }
}
