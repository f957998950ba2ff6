//! The URLs of a target as a plain load balancer has them: each call goes to the next one in turn, a connection that
//! is refused goes to another one instead, and what was refused is left alone for a moment.
//!
//! Knows connections; must not know what goes over them. One for each thread of a load.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::link::Link;
use crate::failure::{Fault, Kind};
use crate::target::Url;

/// Idle connections that are kept to one URL; further ones are closed.
const IDLE_MAX: usize = 4096;
/// How long an idle connection is kept: less than servers do, so that few requests meet one that is just being closed.
const IDLE: Duration = Duration::from_secs(4);
/// How long a URL that refused a connection is not asked again while another one takes them.
const DOWN: Duration = Duration::from_millis(200);
/// How long a connection may take to be made: a kernel whose queue is full asks once more after a second.
const CONNECT: Duration = Duration::from_secs(3);

/// All URLs of a target.
#[derive(Debug)]
pub(crate) struct Backends {
    list: Vec<Backend>,
    turn: AtomicUsize,
    /// Connections made.
    pub(crate) opened: AtomicU64,
    /// Connections that were not taken: the call went on to another URL, if there was one.
    pub(crate) refused: AtomicU64,
}

#[derive(Debug)]
struct Backend {
    url: Url,
    /// Held for single pushes and pops only. The last one put aside is the first one taken up.
    idle: Mutex<Vec<Link>>,
    /// Until when it is passed over.
    down: Mutex<Option<Instant>>,
}

/// A connection that one call has for itself.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) link: Link,
    backend: usize,
}

impl Backends {
    /// None of them tried yet. `turn`: which one is first.
    pub(crate) fn new(urls: &[Url], turn: usize) -> Self {
        let backend = |url: &Url| Backend {
            url: url.clone(),
            idle: Mutex::default(),
            down: Mutex::default(),
        };
        Self {
            list: urls.iter().map(backend).collect(),
            turn: AtomicUsize::new(turn),
            opened: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Where a connection leads.
    pub(crate) fn url(&self, held: &Held) -> &Url {
        &self.list[held.backend].url
    }

    /// A connection for one call: an idle one if there is one and it need not be `fresh`, else a new one.
    ///
    /// # Errors
    /// No URL takes a connection; nothing was sent.
    pub(crate) async fn take(&self, fresh: bool) -> Result<Held, Fault> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let down = self.down();
        let mut last = None;
        for index in order(self.list.len(), down, turn) {
            let backend = &self.list[index];
            match self.take_from(index, fresh).await {
                Ok(held) => return Ok(held),
                Err(error) => {
                    self.refused.fetch_add(1, Ordering::Relaxed);
                    backend.set_down();
                    last = Some((error, backend));
                }
            }
        }
        let detail = last.map(|(error, backend)| format!("{}: {error}", backend.url.text));
        Err(Fault::new(Kind::Connect, detail.unwrap_or_default()))
    }

    /// Puts a connection aside for the next call. Its answer must have been read to the end.
    pub(crate) fn give_back(&self, held: Held) {
        let Held {
            mut link, backend, ..
        } = held;
        if link.driver.is_none() || link.sender.is_closed() {
            return;
        }
        link.idle_since = Instant::now();
        let mut idle = lock(&self.list[backend].idle);
        if idle.len() < IDLE_MAX {
            idle.push(link);
        }
    }

    /// A bit for each URL that is down; a target has no more than there are bits.
    fn down(&self) -> u64 {
        let all = self.list.iter().enumerate();
        all.map(|(index, backend)| u64::from(backend.is_down()) << index)
            .sum()
    }

    async fn take_from(&self, index: usize, fresh: bool) -> std::io::Result<Held> {
        let backend = &self.list[index];
        while !fresh && let Some(mut link) = backend.pop_idle() {
            if link.is_usable().await {
                return Ok(Held {
                    link,
                    backend: index,
                });
            }
        }
        let link = tokio::time::timeout(CONNECT, Link::open(backend.url.address)).await??;
        self.opened.fetch_add(1, Ordering::Relaxed);
        *lock(&backend.down) = None;
        Ok(Held {
            link,
            backend: index,
        })
    }
}

impl Backend {
    fn pop_idle(&self) -> Option<Link> {
        let mut idle = lock(&self.idle);
        let link = idle.pop()?;
        if link.idle_since.elapsed() > IDLE {
            // The others are older still.
            idle.clear();
            return None;
        }
        Some(link)
    }

    fn is_down(&self) -> bool {
        lock(&self.down).is_some_and(|until| Instant::now() < until)
    }

    fn set_down(&self) {
        *lock(&self.down) = Some(Instant::now() + DOWN);
    }
}

/// Which URLs to try, and in which order: those that are up share all turns evenly, each trying the others behind
/// itself; those that are down come last, as a try is better than none. `down`: a bit for each of `count`.
fn order(count: usize, down: u64, turn: usize) -> impl Iterator<Item = usize> {
    let is_down = move |index: usize| down & (1 << index) != 0;
    let up = (0..count).filter(|index| !is_down(*index)).count();
    let nth_up = move |nth: usize| (0..count).filter(move |index| !is_down(*index)).nth(nth);
    let first = (0..up).map(move |step| turn.wrapping_add(step) % up);
    let then = (0..count).filter(move |index| is_down(*index));
    first.filter_map(nth_up).chain(then)
}

/// A panic elsewhere leaves nothing half done here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_shared_by_those_that_are_up() {
        let order = |down, turn| order(4, down, turn).collect::<Vec<_>>();
        assert_eq!(order(0, 5), [1, 2, 3, 0]);
        assert_eq!(order(0b0010, 0), [0, 2, 3, 1]);
        assert_eq!(order(0b0010, 1), [2, 3, 0, 1]);
        assert_eq!(order(0b0010, 2), [3, 0, 2, 1]);
        assert_eq!(order(0b1111, 3), [0, 1, 2, 3]);
    }
}
