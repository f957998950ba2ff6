//! What was shown to whom: a server may tell one caller what it tells no other.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use model::name::ServerName;
use model::snapshot::Sha256;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::View;
use crate::call::Call;

/// Callers of whom it is kept. A full map is emptied, and servers are asked again.
const SEATS_MAX: usize = 10_000;

/// All that a server could tell one caller from another by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SeatKey {
    server: ServerName,
    user: Arc<str>,
    /// Of the credential's client, the session, and what a modern client says of itself.
    rest: Sha256,
}

impl SeatKey {
    /// The caller of `call`.
    pub fn of(call: &Call<'_>) -> Self {
        let meta = call.message.meta.as_ref();
        let said = [
            meta.and_then(|meta| meta.client_info),
            meta.and_then(|meta| meta.client_capabilities),
        ];
        let principal = &call.principal;
        let parts = [
            principal.client.as_deref().unwrap_or_default().as_bytes(),
            call.session.unwrap_or_default().as_bytes(),
            call.revision.as_str().as_bytes(),
        ];
        let said = said.map(|span| span.map_or(&[][..], |span| span.of(call.body)));
        let mut all = Vec::new();
        for part in parts.into_iter().chain(said) {
            // Each under its own length, so that no two callers can be written alike.
            all.extend_from_slice(&(part.len() as u64).to_be_bytes());
            all.extend_from_slice(part);
        }
        Self {
            server: call.server.clone(),
            user: principal.user.clone(),
            rest: Sha256::of(&all),
        }
    }
}

/// What one caller was shown last.
#[derive(Debug, Default)]
pub struct Seat {
    /// Held by the one who asks, over its question; others wait for the same answer.
    pub asking: tokio::sync::Mutex<()>,
    /// When it was asked for, and what came. Locked for a look.
    seen: Mutex<Option<(Instant, Arc<View>)>>,
}

impl Seat {
    /// What is known, where it was asked for at most `age` before `now`.
    pub fn fresh(&self, now: Instant, age: Duration) -> Option<Arc<View>> {
        let seen = self.seen.lock();
        let (asked, view) = seen.as_ref()?;
        (*asked + age >= now).then(|| view.clone())
    }

    /// Keeps what was asked for at `asked`.
    pub fn note(&self, asked: Instant, view: Arc<View>) {
        *self.seen.lock() = Some((asked, view));
    }

    /// What is known is not true any more.
    pub fn forget(&self) {
        *self.seen.lock() = None;
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Seats(DashMap<SeatKey, Arc<Seat>>);

impl Seats {
    pub(super) fn of(&self, key: SeatKey) -> Arc<Seat> {
        if let Some(seat) = self.0.get(&key) {
            return seat.clone();
        }
        if self.0.len() >= SEATS_MAX {
            self.0.clear();
        }
        self.0.entry(key).or_default().clone()
    }
}
