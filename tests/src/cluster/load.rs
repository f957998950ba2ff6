//! So many calls a second through the balancer, whatever becomes of them, and what became of each.
//!
//! Open loop: a call begins when its time has come, not when another one has ended. Clients of both eras: every other
//! call is a modern request, the others are of legacy sessions that last, and now and then of one that is begun for it.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::balancer::Routes;
use crate::http::{Pool, Request, runtime};
use crate::rpc::{Modern, Session};
use crate::wait;

mod call;
mod client;

pub use call::{Call, Era, Outcome};

/// Calls that are remembered; a load ends before it makes more.
const CALLS_MAX: usize = 400_000;
/// Calls under way at once; beyond it one counts as failed, unsent.
const UNDER_WAY_MAX: usize = 4_000;
/// How long a call may take.
const DEADLINE: Duration = Duration::from_secs(30);
/// Legacy sessions to each server that last.
const SESSIONS: usize = 4;
/// Every so many calls one begins a session of its own.
const NEW_SESSION_EVERY: usize = 20;
/// How long the calls under way may take when a load is over.
const LAST_CALLS: Duration = Duration::from_secs(40);

/// A server that is called, and how.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its name.
    pub server: String,
    /// Its tool: `sleep`, or `echo`.
    pub tool: Tool,
}

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// Takes no time, a little, or a third of a second in turn: something is always under way.
    Sleep,
    /// Comes back with the call's own number.
    Echo,
}

impl Target {
    /// The fixture `slow`, or one under another name.
    pub fn sleep(server: &str) -> Self {
        Self {
            server: server.to_owned(),
            tool: Tool::Sleep,
        }
    }

    /// A server with the tool `echo`.
    pub fn echo(server: &str) -> Self {
        Self {
            server: server.to_owned(),
            tool: Tool::Echo,
        }
    }

    /// The arguments of its call number `index`, and the text that must come back.
    fn words(&self, index: usize) -> (&'static str, Value, String) {
        match self.tool {
            Tool::Sleep => {
                let seconds = ["0", "0.05", "0.3"][index / 4 % 3];
                let number: f64 = seconds.parse().expect("it is a number");
                let answer = format!("slept {seconds} s");
                ("sleep", json!({ "seconds": number }), answer)
            }
            Tool::Echo => {
                let message = format!("call {index}");
                let answer = format!("Echo: {message}");
                ("echo", json!({ "message": message }), answer)
            }
        }
    }
}

/// A load that runs.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    /// Begins calls. Ends when `over` is set.
    pace: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    base: String,
    key: String,
    targets: Vec<Lane>,
    pool: Pool,
    routes: Routes,
    over: AtomicBool,
    begun: AtomicU64,
    under_way: AtomicUsize,
    calls: Mutex<Vec<Call>>,
}

/// What is known of one server's clients.
#[derive(Debug)]
struct Lane {
    target: Target,
    modern: Modern,
    sessions: Vec<Session>,
}

impl Load {
    /// Begins it: `rate` calls a second, shared evenly by the targets.
    ///
    /// # Panics
    /// Where a session that is to last is not granted: there is no load before all works.
    pub fn start(base: &str, routes: Routes, key: &str, rate: u32, targets: &[Target]) -> Self {
        let lane = |target: &Target| {
            let url = format!("{base}/mcp/{}", target.server);
            Lane {
                modern: Modern::new(&url, key),
                sessions: (0..SESSIONS).map(|_| Session::begin(&url, key)).collect(),
                target: target.clone(),
            }
        };
        let shared = Arc::new(Shared {
            base: base.to_owned(),
            key: key.to_owned(),
            targets: targets.iter().map(lane).collect(),
            pool: Pool::default(),
            routes,
            over: AtomicBool::new(false),
            begun: AtomicU64::new(0),
            under_way: AtomicUsize::new(0),
            calls: Mutex::default(),
        });
        let pace = runtime().spawn(pace(shared.clone(), rate));
        Self { shared, pace }
    }

    /// Calls that are through by now.
    pub fn ended(&self) -> usize {
        self.shared.calls().len()
    }

    /// Lets it go on for so long.
    pub fn go_on(&self, time: Duration) {
        let until = Instant::now() + time;
        wait::within(time, || Instant::now() >= until);
    }

    /// Waits until so many more calls are through.
    pub fn more(&self, calls: usize) {
        let wanted = self.ended() + calls;
        let deadline = DEADLINE + Duration::from_secs(calls as u64);
        wait::wait_for("more calls", deadline, || self.ended() >= wanted);
    }

    /// Begins no more calls, waits for those under way, and answers with all, in the order of their beginning.
    ///
    /// # Panics
    /// Where one does not end.
    pub fn finish(self) -> Vec<Call> {
        self.shared.over.store(true, Ordering::Relaxed);
        wait::wait_for("the last calls", LAST_CALLS, || {
            self.pace.is_finished() && self.shared.under_way.load(Ordering::Relaxed) == 0
        });
        let mut calls = std::mem::take(&mut *self.shared.calls());
        let begun = self.shared.begun.load(Ordering::Relaxed);
        assert_eq!(calls.len() as u64, begun, "each call has an outcome");
        calls.sort_by_key(|call| call.began);
        calls
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
    }
}

/// Begins calls by the clock.
async fn pace(shared: Arc<Shared>, rate: u32) {
    let began = Instant::now();
    for index in 0..CALLS_MAX {
        let due = began + Duration::from_secs(1) * u32::try_from(index).unwrap_or(u32::MAX) / rate;
        tokio::time::sleep_until(due.into()).await;
        if shared.over.load(Ordering::Relaxed) {
            return;
        }
        shared.begun.fetch_add(1, Ordering::Relaxed);
        if shared.under_way.fetch_add(1, Ordering::Relaxed) >= UNDER_WAY_MAX {
            shared.under_way.fetch_sub(1, Ordering::Relaxed);
            let server = shared.lane(index).target.server.clone();
            let unsent = Outcome::Broken("too many calls are under way".to_owned());
            shared.calls().push(Call::at_once(server, unsent));
            continue;
        }
        let shared = shared.clone();
        tokio::spawn(async move {
            let call = client::call(&shared, index).await;
            shared.calls().push(call);
            shared.under_way.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

impl Shared {
    fn lane(&self, index: usize) -> &Lane {
        &self.targets[index % self.targets.len()]
    }

    fn calls(&self) -> std::sync::MutexGuard<'_, Vec<Call>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What call number `index` is, but for the session that it may have to begin first.
    fn step(&self, index: usize) -> (&Lane, usize) {
        (self.lane(index), index / self.targets.len())
    }
}

/// How a call is made.
#[derive(Debug)]
enum Way<'a> {
    Modern,
    Session(&'a Session),
    NewSession,
}

impl Lane {
    fn way(&self, step: usize) -> Way<'_> {
        if step.is_multiple_of(2) {
            Way::Modern
        } else if step % NEW_SESSION_EVERY == 1 {
            Way::NewSession
        } else {
            Way::Session(&self.sessions[step / 2 % self.sessions.len()])
        }
    }

    fn request(&self, session: Option<&Session>, tool: &str, arguments: Value) -> Request {
        match session {
            None => self.modern.calling(tool, arguments),
            Some(session) => session.calling(tool, arguments),
        }
    }
}
