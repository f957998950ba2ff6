//! Which sidecar takes a call: the one that a session's handle names, else the next in turn; those that could not be
//! reached just now come last. The session of a virtual server names none: any edge finds the same one of each member by
//! rendezvous hashing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use dataplane::config::endpoints::{Endpoint, Endpoints};
use dataplane::deliver::federation::member_session;
use dataplane::deliver::http::{Tls, Upstream};
use model::name::ServerName;
use model::snapshot::Sha256;
use rustls_pki_types::ServerName as TlsName;

/// Pools that are kept. A full map is emptied: pools of sidecars that are gone are dropped with it, and the
/// others are made again.
const POOLS_MAX: usize = 4096;

/// How long a sidecar that could not be reached comes after the others.
const AVOIDED: Duration = Duration::from_secs(2);

/// Pools to sidecars, and whose turn it is.
#[derive(Debug)]
pub struct Routes {
    tls: Tls,
    pools: DashMap<(ServerName, Arc<str>), Upstream>,
    turn: AtomicUsize,
    /// Addresses that could not be reached, and when. Emptied with `pools`.
    down: DashMap<Arc<str>, Instant>,
}

impl Routes {
    /// Routes over connections that show this edge's certificate.
    pub fn new(tls: Tls) -> Self {
        Self {
            tls,
            pools: DashMap::new(),
            turn: AtomicUsize::new(0),
            down: DashMap::new(),
        }
    }

    /// The sidecars that may take a call, the first choice first. A session stays with the sidecar that its
    /// handle names as long as that one can be reached.
    pub fn candidates<'e>(
        &self,
        endpoints: &'e Endpoints,
        server: &ServerName,
        session: Option<&str>,
    ) -> Vec<&'e Endpoint> {
        let all = endpoints.of_server(server.as_str());
        if let Some(member) = session.and_then(member_session) {
            let mut candidates = ranked(all, member.id);
            candidates.sort_by_cached_key(|endpoint| self.is_avoided(endpoint));
            return candidates;
        }
        let named = session
            .and_then(|handle| handle.split_once('.'))
            .and_then(|(node, _)| all.iter().position(|e| &*e.node == node));
        let first = named.unwrap_or_else(|| self.turn.fetch_add(1, Ordering::Relaxed));
        let count = all.len();
        let in_turn = (0..count).map(|step| &all[(first % count + step) % count]);
        let mut candidates: Vec<&Endpoint> = in_turn.collect();
        if !self.down.is_empty() {
            candidates.sort_by_cached_key(|endpoint| self.is_avoided(endpoint));
        }
        candidates
    }

    /// A sidecar could not be reached: others are tried first for a moment.
    pub fn avoid(&self, endpoint: &Endpoint) {
        self.down.insert(endpoint.address.clone(), Instant::now());
    }

    fn is_avoided(&self, endpoint: &Endpoint) -> bool {
        if self.down.is_empty() {
            return false;
        }
        let since = self.down.get(&endpoint.address).map(|since| *since);
        let avoided = since.is_some_and(|since| since.elapsed() < AVOIDED);
        if since.is_some() && !avoided {
            self.down.remove(&endpoint.address);
        }
        avoided
    }

    /// The pool to one sidecar. `None` where its server's name is no DNS label.
    pub fn pool(&self, server: &ServerName, endpoint: &Endpoint) -> Option<Upstream> {
        let key = (server.clone(), endpoint.address.clone());
        if let Some(pool) = self.pools.get(&key) {
            return Some(pool.clone());
        }
        let name = TlsName::try_from(format!("{server}.sidecar.gatehouse.internal")).ok()?;
        if self.pools.len() >= POOLS_MAX {
            self.pools.clear();
            self.down.clear();
        }
        let pool = Upstream::new(&endpoint.address, &name, &self.tls);
        Some(self.pools.entry(key).or_insert(pool).clone())
    }
}

/// Sidecars in the order in which a session prefers them: the same at any edge, and only sessions of a sidecar that goes
/// move.
fn ranked<'e>(all: &'e [Endpoint], session: &str) -> Vec<&'e Endpoint> {
    let mut ranked: Vec<&Endpoint> = all.iter().collect();
    ranked.sort_by_cached_key(|endpoint| {
        Sha256::of(format!("{session} {}", endpoint.node).as_bytes())
    });
    ranked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_prefers_the_same_sidecar_as_long_as_it_is_there() {
        let endpoint = |node: u32| Endpoint {
            node: format!("s{node}").into(),
            address: format!("127.0.0.1:{node}").into(),
        };
        let all: Vec<Endpoint> = (0..4).map(endpoint).collect();
        let less = &all[..3];
        let mut first = [0; 4];
        for session in 0..400 {
            let session = format!("v.{session}");
            let chosen = ranked(&all, &session)[0];
            let at = all.iter().position(|one| one == chosen);
            first[at.unwrap_or_default()] += 1;
            if less.contains(chosen) {
                assert_eq!(ranked(less, &session)[0], chosen);
            }
        }
        assert!(first.iter().all(|count| *count > 60), "{first:?}");
    }
}
