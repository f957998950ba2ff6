//! Calls that wait for a sidecar which is just being started again: bounded in number and in time.
//!
//! ```text
//! no sidecar takes the call -> one of those who wait looks whether an address answers, the others wait for its word
//! ```
//!
//! It does not know calls: whoever is let go on tries again, and comes back here where that was too early.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use dataplane::config::live::Live;
use model::name::ServerName;
use runtime::metrics::Metrics;
use tokio::net::TcpStream;
use tokio::sync::{Mutex, Notify, Semaphore, SemaphorePermit};
use tokio::time::{sleep, timeout};

/// Calls that may wait at once, for all servers together. Further ones are told to come again.
const WAITING_MAX: usize = 1024;
/// Servers that are waited for. A full map is emptied: those that wait find each other again.
const SERVERS_MAX: usize = 4096;
/// How often it is looked whether a sidecar is back.
const LOOK: Duration = Duration::from_millis(50);
/// How long one look may take.
const CONNECT: Duration = Duration::from_secs(1);

/// Who waits.
#[derive(Debug)]
pub struct Waiting {
    /// One permit for each call that waits.
    room: Arc<Semaphore>,
    gates: DashMap<ServerName, Arc<Gate>>,
}

/// Where the calls of one server wait.
#[derive(Debug, Default)]
struct Gate {
    /// Held by the one who looks, over its look: the others need not look as well.
    looking: Mutex<()>,
    /// Told when an address answers.
    opened: Notify,
}

impl Waiting {
    /// Nobody waits. How many do is shown among `metrics`.
    pub fn new(metrics: &Metrics) -> Self {
        let room = Arc::new(Semaphore::new(WAITING_MAX));
        let free = room.clone();
        let help = "Calls that wait for a sidecar to come back.";
        let waiting = metrics.gauge("gatehouse_calls_waiting", help, &[]);
        metrics.ask(move |_| {
            let waits = WAITING_MAX.saturating_sub(free.available_permits());
            waiting.set(i64::try_from(waits).unwrap_or(i64::MAX));
        });
        Self {
            room,
            gates: DashMap::new(),
        }
    }

    /// A place to wait, for as long as it is held. `None`: there is no room.
    pub fn enter(&self) -> Option<SemaphorePermit<'_>> {
        self.room.try_acquire().ok()
    }

    /// Waits until an address of a sidecar of `server` answers. Whoever calls bounds the time.
    pub async fn until_reachable(&self, live: &Live, server: &ServerName) {
        let gate = self.gate(server);
        let opened = gate.opened.notified();
        tokio::select! {
            () = opened => {}
            _looking = gate.looking.lock() => {
                look(live, server).await;
                gate.opened.notify_waiters();
            }
        }
    }

    fn gate(&self, server: &ServerName) -> Arc<Gate> {
        if let Some(gate) = self.gates.get(server) {
            return gate.clone();
        }
        if self.gates.len() >= SERVERS_MAX {
            self.gates.clear();
        }
        self.gates.entry(server.clone()).or_default().clone()
    }
}

/// Looks again and again, at the addresses as they are told from time to time.
async fn look(live: &Live, server: &ServerName) {
    loop {
        // First the pause: whoever comes here has just tried.
        sleep(LOOK).await;
        let endpoints = live.endpoints();
        for endpoint in endpoints.of_server(server.as_str()) {
            let connected = timeout(CONNECT, TcpStream::connect(&*endpoint.address));
            if matches!(connected.await, Ok(Ok(_))) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use dataplane::config::endpoints::Endpoints;
    use proto::v1 as pb;
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;

    use super::*;

    fn at(address: &str) -> Endpoints {
        let endpoint = pb::Endpoint {
            server: "time".to_owned(),
            node: "s1".to_owned(),
            address: address.to_owned(),
        };
        Endpoints::of(&pb::EndpointPush {
            endpoints: vec![endpoint],
        })
    }

    #[tokio::test]
    async fn all_who_wait_go_on_when_the_sidecar_is_back_and_one_of_them_looks() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let (live, waiting) = (Live::default(), Arc::new(Waiting::new(&Metrics::new())));
        live.swap_endpoints(at(&address.to_string()));
        let server = ServerName::new("time").unwrap();
        let mut calls = JoinSet::new();
        for _ in 0..50 {
            let (live, waiting, server) = (live.clone(), waiting.clone(), server.clone());
            calls.spawn(async move {
                let _place = waiting.enter().unwrap();
                waiting.until_reachable(&live, &server).await;
            });
        }
        assert!(
            timeout(Duration::from_millis(200), calls.join_next())
                .await
                .is_err(),
            "nothing listens yet"
        );
        let listener = TcpListener::bind(address).await.unwrap();
        let looks = async {
            let mut looks = 0;
            while timeout(Duration::from_millis(300), listener.accept())
                .await
                .is_ok()
            {
                looks += 1;
            }
            looks
        };
        let all = async { while calls.join_next().await.is_some() {} };
        let (looks, ()) = tokio::join!(looks, all);
        assert!(looks < 5, "{looks} of 50 looked");
    }

    #[tokio::test]
    async fn who_leaves_hands_the_look_on_and_room_is_bounded() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (live, waiting) = (Live::default(), Waiting::new(&Metrics::new()));
        let server = ServerName::new("time").unwrap();
        let first = waiting.until_reachable(&live, &server);
        assert!(
            timeout(Duration::from_millis(100), first).await.is_err(),
            "no address yet"
        );
        live.swap_endpoints(at(&address));
        waiting.until_reachable(&live, &server).await;
        let places: Vec<_> = (0..WAITING_MAX).map(|_| waiting.enter().unwrap()).collect();
        assert!(waiting.enter().is_none());
        drop(places);
        assert!(waiting.enter().is_some());
    }
}
