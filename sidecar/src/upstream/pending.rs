//! Calls that wait for the server's answer, by the id that it knows them by.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::Error;
use super::response::{Response, Told};

/// Calls that may wait at once; more are refused as overload.
pub(super) const CALLS_MAX: usize = 1024;
/// Below so many waiting calls nobody looks for abandoned ones.
const SWEEP_MIN: usize = 64;

/// One waiting call.
#[derive(Debug)]
pub(super) struct Entry {
    /// Closed when the caller is gone.
    pub(super) answer: oneshot::Sender<Result<Response, Error>>,
    /// What is said about the call, where its caller listens. A full queue loses it, never the answer.
    pub(super) told: Option<mpsc::Sender<Told>>,
    /// Whether the caller listens to more than progress.
    pub(super) hears: bool,
    /// Names session and request id of a caller that may cancel by a message.
    pub(super) origin: Option<u64>,
    /// When an abandoned call is given up.
    pub(super) expires: Instant,
}

/// All waiting calls of one process.
#[derive(Debug)]
pub(super) struct Table {
    entries: HashMap<u64, Entry>,
    /// Set once the process is gone: nobody waits for it any more.
    closed: Option<Arc<str>>,
    sweep_at: usize,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            closed: None,
            sweep_at: SWEEP_MIN,
        }
    }
}

impl Table {
    /// Adds a call. Returns the ids of abandoned calls that were given up to make room.
    pub(super) fn insert(&mut self, id: u64, entry: Entry) -> Result<Vec<u64>, Error> {
        if let Some(why) = &self.closed {
            return Err(Error::Gone(why.clone()));
        }
        let given_up = self.sweep(Instant::now());
        if self.entries.len() >= CALLS_MAX {
            return Err(Error::Overloaded("too many calls wait for the server"));
        }
        self.entries.insert(id, entry);
        Ok(given_up)
    }

    /// Takes a call out, to answer or to forget it.
    pub(super) fn remove(&mut self, id: u64) -> Option<Entry> {
        self.entries.remove(&id)
    }

    /// A waiting call.
    pub(super) fn get(&self, id: u64) -> Option<&Entry> {
        self.entries.get(&id)
    }

    /// Who is to hear what the server says in mid-call, without saying about which: the newest call that listens. With
    /// `only`, where there is more than one, nobody is.
    pub(super) fn hearer(&self, only: bool) -> Option<&mpsc::Sender<Told>> {
        let mut hearing = self.entries.iter().filter(|(_, entry)| entry.hears);
        let (mut id, mut newest) = hearing.next()?;
        for (other, entry) in hearing {
            if only {
                return None;
            }
            if other > id {
                (id, newest) = (other, entry);
            }
        }
        newest.told.as_ref()
    }

    /// Takes out all calls of one origin.
    pub(super) fn remove_origin(&mut self, origin: u64) -> Vec<(u64, Entry)> {
        self.entries
            .extract_if(|_, entry| entry.origin == Some(origin))
            .collect()
    }

    /// How many calls wait.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes no more calls, and takes out those that wait. The first reason stands.
    pub(super) fn close(&mut self, why: &Arc<str>) -> Vec<Entry> {
        self.closed.get_or_insert_with(|| why.clone());
        self.entries.drain().map(|(_, entry)| entry).collect()
    }

    /// Gives up calls that have no caller any more and whose time is over. Looks at all of them, but only
    /// each time that their number has doubled.
    fn sweep(&mut self, now: Instant) -> Vec<u64> {
        if self.entries.len() < self.sweep_at {
            return Vec::new();
        }
        let over = |entry: &Entry| entry.answer.is_closed() && entry.expires <= now;
        let gone = self
            .entries
            .extract_if(|_, entry| over(entry))
            .map(|(id, _)| id)
            .collect();
        self.sweep_at = (self.entries.len() * 2).clamp(SWEEP_MIN, CALLS_MAX);
        gone
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    type Answer = oneshot::Receiver<Result<Response, Error>>;

    fn entry(origin: Option<u64>, expires: Instant) -> (Entry, Answer) {
        let (answer, waits) = oneshot::channel();
        (
            Entry {
                answer,
                told: None,
                hears: false,
                origin,
                expires,
            },
            waits,
        )
    }

    #[tokio::test]
    async fn a_full_table_refuses_and_gives_up_only_what_nobody_waits_for() {
        let mut table = Table::default();
        let now = Instant::now();
        let mut waiting = Vec::new();
        for id in 0..CALLS_MAX as u64 {
            let (entry, waits) = entry(None, now);
            assert_eq!(table.insert(id, entry), Ok(vec![]));
            waiting.push(waits);
        }
        let refused = table.insert(9999, entry(None, now).0);
        assert!(matches!(refused, Err(Error::Overloaded(_))));
        drop(waiting.drain(..2));
        let mut given_up = table.insert(9999, entry(None, now).0).unwrap();
        given_up.sort_unstable();
        assert_eq!(given_up, [0, 1]);
    }

    #[tokio::test]
    async fn a_closed_table_says_why() {
        let mut table = Table::default();
        assert!(table.insert(1, entry(Some(7), Instant::now()).0).is_ok());
        assert!(table.insert(2, entry(Some(8), Instant::now()).0).is_ok());
        assert_eq!(table.remove_origin(7).len(), 1);
        assert_eq!(table.close(&"it exited".into()).len(), 1);
        assert!(table.close(&"later".into()).is_empty());
        let refused = table.insert(3, entry(None, Instant::now()).0);
        assert_eq!(refused, Err(Error::Gone("it exited".into())));
    }
}
