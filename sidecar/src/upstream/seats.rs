//! Processes of a server that is not shared, and connections to one of 2024-11-05: one for each user and what its client can do, or for one session alone
//! (CONTRACT 5, tenancy).
//!
//! A process that rests is kept for a while, as the next call of the same client will want it. While somebody is being
//! asked on behalf of one call, further calls that may ask go to a process beside it: what a server asks for says nothing
//! of the call that it is for. Nothing of one user ever reaches another: a place is found by its user first.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use mcp::revision::Era;
use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::Error;
use super::greeting::{Greeting, Who};
use super::level::Level;
use super::link::Link;
use super::running::{Running, Target};
use super::start::{Settings, Start};
use super::wanted::Wanted;

/// Processes at once; what rests makes room.
const SEATS_MAX: usize = 256;
/// Of one user.
const SEATS_OF_USER_MAX: usize = 16;
/// A process that was not used for so long is ended.
const IDLE: Duration = Duration::from_secs(900);
/// Processes that are ended at once.
const ENDING_AT_ONCE: usize = 8;
/// How often they are looked through.
const SWEEP: Duration = Duration::from_secs(15);

/// The processes of one server, as it was wanted when this was made. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Seats(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    wanted: Arc<Wanted>,
    era: Era,
    /// Locked for a look-up.
    rows: Mutex<HashMap<String, Vec<Arc<Seat>>>>,
    /// Owns a task for each process, which owns the process.
    keepers: Mutex<JoinSet<()>>,
    closing: CancellationToken,
}

/// One process. Started by whoever comes first; others wait for the same start.
#[derive(Debug)]
pub struct Seat {
    user: Arc<str>,
    up: OnceCell<Up>,
    state: Mutex<State>,
    over: CancellationToken,
    /// Its process is gone.
    ended: CancellationToken,
    level: Arc<Mutex<Option<Level>>>,
}

#[derive(Debug)]
struct State {
    uses: usize,
    /// Somebody may be asked on behalf of one call.
    taken: bool,
    used: Instant,
    /// Whom it was for does not come back.
    released: bool,
}

/// A process that takes calls.
#[derive(Debug)]
pub struct Up {
    /// The way to it.
    pub link: Link,
    /// What it is.
    pub greeting: Greeting,
}

/// The use of a process: it is not ended as long as this lives.
#[derive(Debug)]
pub struct Lease {
    seat: Arc<Seat>,
    taken: bool,
}

impl Lease {
    /// The process.
    ///
    /// # Errors
    /// It is gone.
    pub fn up(&self) -> Result<&Up, Error> {
        let up = self.seat.up.get();
        up.ok_or_else(|| Error::Gone("the server is gone".into()))
    }

    /// The level of log messages that it was told, where it was.
    pub fn level(&self) -> Arc<Mutex<Option<Level>>> {
        self.seat.level.clone()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = self.seat.state.lock();
        state.uses -= 1;
        state.taken &= !self.taken;
        state.used = Instant::now();
        if state.uses == 0 && state.released {
            self.seat.over.cancel();
        }
    }
}

impl Seats {
    /// Places for a server that is wanted like this and speaks `era`.
    pub(super) fn new(settings: Settings, wanted: Arc<Wanted>, era: Era) -> Self {
        let seats = Self(Arc::new(Inner {
            settings,
            wanted,
            era,
            rows: Mutex::default(),
            keepers: Mutex::default(),
            closing: CancellationToken::new(),
        }));
        let weak = Arc::downgrade(&seats.0);
        let closing = seats.0.closing.clone();
        seats.0.keepers.lock().spawn(async move {
            let mut sweep = interval(SWEEP);
            sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = closing.cancelled() => return,
                    _ = sweep.tick() => {}
                }
                let Some(inner) = weak.upgrade() else { return };
                Self(inner).end_idle(IDLE);
            }
        });
        seats
    }

    /// A process for `who`, started where there is none. `alone`: no other call that may ask is under way on it.
    ///
    /// # Errors
    /// It cannot be started, or there are too many.
    pub async fn lease(&self, who: &Who, alone: bool) -> Result<Lease, Error> {
        let key = who.key();
        let lease = self.place(&key, who, alone)?;
        let started = lease
            .seat
            .up
            .get_or_try_init(|| async {
                // Who waited for a start that failed does not wait for another one.
                if lease.seat.over.is_cancelled() {
                    return Err(Error::Gone("the server could not be started".into()));
                }
                self.start(who, lease.seat.clone()).await
            })
            .await;
        if let Err(error) = started {
            lease.seat.over.cancel();
            self.forget(&key, &lease.seat);
            return Err(error);
        }
        Ok(lease)
    }

    fn place(&self, key: &str, who: &Who, alone: bool) -> Result<Lease, Error> {
        if self.0.closing.is_cancelled() {
            return Err(Error::Gone("the server is being replaced".into()));
        }
        let mut rows = self.0.rows.lock();
        if let Some(row) = rows.get_mut(key) {
            row.retain(|seat| !seat.over.is_cancelled());
            for seat in row.iter() {
                let mut state = seat.state.lock();
                if alone && state.taken {
                    continue;
                }
                state.uses += 1;
                state.taken |= alone;
                return Ok(Lease {
                    seat: seat.clone(),
                    taken: alone,
                });
            }
        }
        make_room(&mut rows, &who.user)?;
        let seat = Arc::new(Seat {
            user: who.user.clone(),
            up: OnceCell::new(),
            state: Mutex::new(State {
                uses: 1,
                taken: alone,
                used: Instant::now(),
                released: false,
            }),
            over: CancellationToken::new(),
            ended: CancellationToken::new(),
            level: Arc::default(),
        });
        rows.entry(key.to_owned()).or_default().push(seat.clone());
        Ok(Lease { seat, taken: alone })
    }

    async fn start(&self, who: &Who, seat: Arc<Seat>) -> Result<Up, Error> {
        let inner = &self.0;
        let gone = |error: super::start::Error| Error::Gone(error.to_string().into());
        let start = Start::of(&inner.wanted, &inner.settings).map_err(gone)?;
        let run = start.run_for(inner.era, who).await;
        let (running, greeting) = run.map_err(|failed| gone(failed.error))?;
        let Target::Process(link) = running.target() else {
            return Err(Error::Gone(
                "the server has no sessions of this kind".into(),
            ));
        };
        let up = Up { link, greeting };
        tracing::debug!("a session with the server has been begun");
        let mut keepers = inner.keepers.lock();
        while keepers.try_join_next().is_some() {}
        keepers.spawn(keep(running, seat));
        Ok(up)
    }

    fn forget(&self, key: &str, seat: &Arc<Seat>) {
        let mut rows = self.0.rows.lock();
        if let Some(row) = rows.get_mut(key) {
            row.retain(|known| !Arc::ptr_eq(known, seat));
            if row.is_empty() {
                rows.remove(key);
            }
        }
    }

    fn end_idle(&self, idle: Duration) {
        let mut rows = self.0.rows.lock();
        for row in rows.values_mut() {
            row.retain(|seat| {
                let stays = !seat.over.is_cancelled() && !seat.rests_for(idle);
                if !stays {
                    seat.over.cancel();
                }
                stays
            });
        }
        rows.retain(|_, row| !row.is_empty());
    }

    /// What was kept for `who` is of no use any more: what rests is ended now, the rest with its last use.
    pub fn release(&self, who: &Who) {
        let mut rows = self.0.rows.lock();
        if let Some(row) = rows.get_mut(&who.key()) {
            row.retain(|seat| {
                seat.state.lock().released = true;
                let stays = !seat.rests_for(Duration::ZERO);
                if !stays {
                    seat.over.cancel();
                }
                stays
            });
        }
        rows.retain(|_, row| !row.is_empty());
    }

    /// How many calls wait for an answer.
    pub fn waiting(&self) -> usize {
        let rows = self.0.rows.lock();
        let ups = rows.values().flatten().filter_map(|seat| seat.up.get());
        ups.map(|up| up.link.waiting()).sum()
    }

    /// Lets calls finish for at most `within`, then ends all processes in order.
    pub async fn close(&self, within: Duration) {
        self.0.closing.cancel();
        let links: Vec<Link> = {
            let rows = self.0.rows.lock();
            let ups = rows.values().flatten().filter_map(|seat| seat.up.get());
            ups.map(|up| up.link.clone()).collect()
        };
        let idle = async {
            for link in &links {
                link.idle().await;
            }
        };
        let _late = tokio::time::timeout(within, idle).await;
        let seats: Vec<Arc<Seat>> = {
            let mut rows = self.0.rows.lock();
            rows.drain().flat_map(|(_, row)| row).collect()
        };
        // Not all at once: each that ends has work to do.
        let ending = stream::iter(seats).for_each_concurrent(ENDING_AT_ONCE, |seat| async move {
            seat.over.cancel();
            if seat.up.initialized() {
                seat.ended.cancelled().await;
            }
        });
        ending.await;
        let mut keepers = std::mem::take(&mut *self.0.keepers.lock());
        while keepers.join_next().await.is_some() {}
    }
}

impl Seat {
    fn rests_for(&self, time: Duration) -> bool {
        let state = self.state.lock();
        state.uses == 0 && state.used.elapsed() >= time
    }
}

/// Makes room for one more process of `user`: what has rested longest goes, of the user's own first.
fn make_room(rows: &mut HashMap<String, Vec<Arc<Seat>>>, user: &str) -> Result<(), Error> {
    let of_user = |seat: &&Arc<Seat>| &*seat.user == user;
    let own = rows.values().flatten().filter(of_user).count();
    let all: usize = rows.values().map(Vec::len).sum();
    if own < SEATS_OF_USER_MAX && all < SEATS_MAX {
        return Ok(());
    }
    let goes = rows
        .values()
        .flatten()
        .filter(|seat| (own < SEATS_OF_USER_MAX || of_user(seat)) && seat.rests_for(Duration::ZERO))
        .min_by_key(|seat| seat.state.lock().used)
        .cloned();
    let Some(goes) = goes else {
        return Err(Error::Overloaded(
            "too many sessions with the server are in use",
        ));
    };
    goes.over.cancel();
    for row in rows.values_mut() {
        row.retain(|seat| !Arc::ptr_eq(seat, &goes));
    }
    Ok(())
}

/// Owns a process until it ends or is of no use any more.
async fn keep(mut running: Running, seat: Arc<Seat>) {
    tokio::select! {
        exit = running.ended() => {
            tracing::warn!(%exit, "a process of the server has ended");
            seat.over.cancel();
        }
        () = seat.over.cancelled() => {
            running.retire(Duration::ZERO).await;
        }
    }
    seat.ended.cancel();
}
