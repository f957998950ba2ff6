//! How long members of virtual servers that miss their time are waited for: not again and again. Who missed it twice in a
//! row is left out at once for a while; then one request at a time asks again, and the others go on without it.
//!
//! Counted for each user, as one may have a process or a session of their own that hangs; and for all where two users in a
//! row were not answered: so nobody takes a member away from the others by what is theirs alone. Each edge counts for itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use model::name::ServerName;
use parking_lot::Mutex;
use tokio::time::Instant;

/// Times missed in a row before it is left out.
const MISSES_MAX: u32 = 2;
/// Members, and users of theirs, that are kept in mind. Full, all of them are asked again.
const KEPT_MAX: usize = 10_000;

/// The server, and the user; `None`: all.
type Key = (ServerName, Option<Arc<str>>);

/// Who has missed their time. Locked for a look-up. Clones are one.
#[derive(Debug, Clone)]
pub struct Patience {
    pause: Duration,
    missed: Arc<Mutex<HashMap<Key, Missed>>>,
}

#[derive(Debug)]
struct Missed {
    times: u32,
    /// Whom it did not answer the last time.
    user: Arc<str>,
    /// Until when it is left out.
    until: Instant,
    /// Somebody is asking it again.
    is_tried: bool,
}

/// That a member is being asked. Dropped before it is over, nothing was learned.
#[derive(Debug)]
pub struct Turn<'p> {
    patience: &'p Patience,
    server: &'p ServerName,
    user: &'p Arc<str>,
    /// It asks again what is left out for others.
    tries: bool,
}

impl Patience {
    /// Leaves members out for this long. 0: they are waited for each time.
    pub fn new(pause: Duration) -> Self {
        Self {
            pause,
            missed: Arc::default(),
        }
    }

    /// The right to ask a member for a user. `None`: it is not to be waited for now.
    pub fn turn<'p>(&'p self, server: &'p ServerName, user: &'p Arc<str>) -> Option<Turn<'p>> {
        let mut missed = self.missed.lock();
        let mut tries = false;
        if !missed.is_empty() && !self.pause.is_zero() {
            let now = Instant::now();
            let keys = keys(server, user);
            let left_out = |missed: &Missed| {
                missed.times >= MISSES_MAX && (missed.is_tried || now < missed.until)
            };
            if keys.iter().any(|key| missed.get(key).is_some_and(left_out)) {
                return None;
            }
            for key in &keys {
                if let Some(missed) = missed.get_mut(key).filter(|m| m.times >= MISSES_MAX) {
                    missed.is_tried = true;
                    tries = true;
                }
            }
        }
        Some(Turn {
            patience: self,
            server,
            user,
            tries,
        })
    }
}

fn keys(server: &ServerName, user: &Arc<str>) -> [Key; 2] {
    [(server.clone(), Some(user.clone())), (server.clone(), None)]
}

impl Turn<'_> {
    /// It has answered, whatever it was, or has missed its time.
    pub fn is_over(self, answered: bool) {
        let mut missed = self.patience.missed.lock();
        if answered && missed.is_empty() {
            return;
        }
        if missed.len() >= KEPT_MAX {
            missed.clear();
        }
        for key in keys(self.server, self.user) {
            if answered {
                missed.remove(&key);
                continue;
            }
            let of_all = key.1.is_none();
            let until = Instant::now() + self.patience.pause;
            let known = missed.entry(key).or_insert_with(|| Missed {
                times: 0,
                user: self.user.clone(),
                until,
                is_tried: false,
            });
            // One user alone does not speak for all, however often.
            if known.times == 0 || !of_all || known.user != *self.user {
                known.times = known.times.saturating_add(1);
            }
            known.user = self.user.clone();
            known.until = until;
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.tries {
            return;
        }
        let mut missed = self.patience.missed.lock();
        for key in keys(self.server, self.user) {
            if let Some(missed) = missed.get_mut(&key) {
                missed.is_tried = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    const PAUSE: Duration = Duration::from_secs(10);

    fn users() -> [Arc<str>; 3] {
        ["ana", "ben", "eve"].map(Arc::from)
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_late_twice_is_left_out_for_a_while_and_then_tried_by_one() {
        let patience = Patience::new(PAUSE);
        let crm = ServerName::new("crm").unwrap();
        let [ana, ben, _] = users();
        for _ in 0..MISSES_MAX {
            patience.turn(&crm, &ana).unwrap().is_over(false);
        }
        assert!(patience.turn(&crm, &ana).is_none());
        assert!(
            patience.turn(&crm, &ben).is_some(),
            "that says nothing of his"
        );
        tokio::time::advance(PAUSE).await;
        let tries = patience.turn(&crm, &ana).unwrap();
        assert!(patience.turn(&crm, &ana).is_none(), "one at a time");
        drop(tries);
        patience.turn(&crm, &ana).unwrap().is_over(false);
        assert!(patience.turn(&crm, &ana).is_none(), "late once more");
        tokio::time::advance(PAUSE).await;
        patience.turn(&crm, &ana).unwrap().is_over(true);
        patience.turn(&crm, &ana).unwrap().is_over(false);
        assert!(patience.turn(&crm, &ana).is_some(), "it begins anew");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_pause_each_time_is_waited_for_and_by_all_at_once() {
        let patience = Patience::new(Duration::ZERO);
        let crm = ServerName::new("crm").unwrap();
        let [ana, ..] = users();
        for _ in 0..3 {
            let both = [patience.turn(&crm, &ana), patience.turn(&crm, &ana)];
            both.into_iter()
                .for_each(|turn| turn.unwrap().is_over(false));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_asked_before_it_was_left_out_ends_nobodys_try() {
        let patience = Patience::new(PAUSE);
        let crm = ServerName::new("crm").unwrap();
        let [ana, ..] = users();
        let early = patience.turn(&crm, &ana).unwrap();
        for _ in 0..MISSES_MAX {
            patience.turn(&crm, &ana).unwrap().is_over(false);
        }
        tokio::time::advance(PAUSE).await;
        let tries = patience.turn(&crm, &ana).unwrap();
        drop(early);
        assert!(patience.turn(&crm, &ana).is_none(), "one at a time");
        drop(tries);
    }

    #[tokio::test(start_paused = true)]
    async fn two_users_in_a_row_speak_for_all_and_one_never_does() {
        let patience = Patience::new(PAUSE);
        let crm = ServerName::new("crm").unwrap();
        let [ana, ben, eve] = users();
        for _ in 0..9 {
            if let Some(turn) = patience.turn(&crm, &ana) {
                turn.is_over(false);
            }
            tokio::time::advance(PAUSE).await;
        }
        patience.turn(&crm, &ben).unwrap().is_over(true);
        assert!(patience.turn(&crm, &eve).is_some());
        for user in [&ben, &ana] {
            patience.turn(&crm, user).unwrap().is_over(false);
        }
        assert!(patience.turn(&crm, &eve).is_none());
        tokio::time::advance(PAUSE).await;
        patience.turn(&crm, &eve).unwrap().is_over(true);
        assert!(patience.turn(&crm, &ben).is_some());
    }

    #[tokio::test]
    async fn what_is_kept_is_bounded() {
        let patience = Patience::new(PAUSE);
        let crm = ServerName::new("crm").unwrap();
        for n in 0..2 * KEPT_MAX {
            let user: Arc<str> = n.to_string().into();
            if let Some(turn) = patience.turn(&crm, &user) {
                turn.is_over(false);
            }
            patience.missed.lock().remove(&(crm.clone(), None));
        }
        assert!(patience.missed.lock().len() <= KEPT_MAX + 1);
    }
}
