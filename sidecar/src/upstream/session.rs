//! The life of the upstream: what is wanted is started, what ends is started again after a
//! wait that doubles, what is wanted no more is ended when its calls have finished.
//!
//! ```text
//! absent -> installing | starting -> ready -> (ended) -> backoff -> starting ...
//!                              \-> failed (until something changes)
//! ```
//!
//! One task, [`Supervisor::run`], owns all processes and writes route and status; calls only read the
//! route. A changed server is started beside the old one, which serves until the new one is ready.

use std::sync::Arc;
use std::time::Duration;

use mcp::revision::Era;
use model::server::Tenancy;
use runtime::metrics::Metrics;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::greeting::Greeting;
use super::running::{Running, Target};
use super::seats::Seats;
pub use super::start::Settings;
use super::start::{Failed, Start};
use super::status::{State, Status};
use super::wanted::{self, Wanted};

/// How long calls on a replaced server may go on.
const RETIRE_WITHIN: Duration = Duration::from_secs(10);
/// Replaced servers that may be finishing at once; a further one is ended without delay.
const RETIRING_MAX: usize = 4;
/// The longest wait before a server that is reached over HTTP is asked again.
const HTTP_BACKOFF_MAX: Duration = Duration::from_secs(5);
/// Rubbish is reported at most so often.
const NOISE_EVERY: Duration = Duration::from_secs(1);

/// Where calls go: the reading end of what the supervisor knows. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Upstream(watch::Receiver<Route>);

/// Where calls go now.
#[derive(Debug, Clone)]
pub enum Route {
    /// To a server that is ready.
    Ready(Arc<Ready>),
    /// Nowhere.
    Away(Away),
}

/// A server that takes calls.
#[derive(Debug)]
pub struct Ready {
    /// Where its calls go.
    pub target: Target,
    /// What it is.
    pub greeting: Greeting,
    /// Where callers do not share it: the processes that they have instead of the one of [`Self::target`], which then
    /// shows alone that the server can be started, and what it is.
    pub seats: Option<Seats>,
}

impl Ready {
    /// Whether the sessions with it are their users' own, so that what it says can be for one client.
    pub fn is_own(&self) -> bool {
        self.seats.is_some() || matches!(self.target, Target::Http(_))
    }
}

/// A server that takes none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Away {
    /// Why.
    pub state: State,
    /// What to know about it.
    pub message: String,
    /// When it is worth trying again, seconds.
    pub retry_after_s: u32,
}

impl Upstream {
    /// Where calls go now.
    pub fn route(&self) -> Route {
        self.0.borrow().clone()
    }

    /// Has shown among `metrics` how many calls wait for the server.
    pub fn show(&self, metrics: &Metrics) {
        let help = "Calls that wait for the server's answer.";
        let gauge = metrics.gauge("gatehouse_server_calls_waiting", help, &[]);
        let upstream = self.clone();
        metrics.ask(move |_| {
            let waiting = match upstream.route() {
                Route::Ready(ready) => match (&ready.target, &ready.seats) {
                    (_, Some(seats)) => seats.waiting(),
                    (Target::Process(link), None) => link.waiting(),
                    (Target::Http(server), None) => server.waiting(),
                },
                Route::Away(_) => 0,
            };
            gauge.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        });
    }

    /// Waits until it is not just being started any more.
    pub async fn has_started(&mut self) {
        let started = |route: &Route| match route {
            Route::Ready(_) => true,
            Route::Away(away) => away.state != State::Starting,
        };
        // Without its keeper there is nothing to wait for.
        let _ = self.0.wait_for(started).await;
    }

    /// Waits until it is ready; false if it never will be.
    pub async fn is_ready(&mut self) -> bool {
        self.0
            .wait_for(|route| matches!(route, Route::Ready(_)))
            .await
            .is_ok()
    }
}

/// The task that keeps the session.
#[derive(Debug)]
pub struct Supervisor {
    settings: Settings,
    /// The server as it is configured; `None`: there is none. Written by whoever follows configuration.
    wanted: watch::Receiver<Option<Arc<Wanted>>>,
    route: watch::Sender<Route>,
    status: watch::Sender<Status>,
    stop: CancellationToken,
    backoff: Backoff,
    /// What serves now: the wanted server, or the one before it while the new one starts.
    serving: Option<Serving>,
    /// Replaced servers that finish their calls. Bounded by [`RETIRING_MAX`].
    retiring: JoinSet<()>,
    /// The era in which the server is greeted first: learned from the last time.
    era: Era,
    started: bool,
}

#[derive(Debug)]
struct Serving {
    running: Running,
    seats: Option<Seats>,
    wanted: Arc<Wanted>,
    since: Instant,
}

impl Serving {
    /// Lets calls finish for at most `within`, then ends all of it in order; says how it ended.
    async fn retire(self, within: Duration) -> String {
        match self.seats {
            Some(seats) => tokio::join!(self.running.retire(within), seats.close(within)).0,
            None => self.running.retire(within).await,
        }
    }
}

/// Why the supervisor looks again at what is wanted.
enum Woken {
    Changed,
    Stop,
    Ended,
    Time,
}

impl Supervisor {
    /// A supervisor, and where its calls go. It works once [`Self::run`] is called, until `stop`.
    pub fn new(
        settings: Settings,
        wanted: watch::Receiver<Option<Arc<Wanted>>>,
        stop: CancellationToken,
    ) -> (Self, Upstream, watch::Receiver<Status>) {
        let away = Away {
            state: State::Starting,
            message: "the sidecar has just been started".to_owned(),
            retry_after_s: 1,
        };
        let (route, routes) = watch::channel(Route::Away(away));
        let (status, statuses) = watch::channel(Status::default());
        let supervisor = Self {
            settings,
            wanted,
            route,
            status,
            stop,
            backoff: Backoff::default(),
            serving: None,
            retiring: JoinSet::new(),
            era: Era::Legacy,
            started: false,
        };
        (supervisor, Upstream(routes), statuses)
    }

    /// Keeps the session until it is told to stop; then ends all processes. Whoever calls it lets calls
    /// finish first.
    pub async fn run(mut self) {
        loop {
            while self.retiring.try_join_next().is_some() {}
            let wanted = self.wanted.borrow_and_update().clone();
            let woken = match wanted {
                None => self.nothing().await,
                Some(wanted) if self.serves(&wanted) => self.serve().await,
                Some(wanted) => self.start(wanted).await,
            };
            match woken {
                Woken::Stop => break,
                // It served until now beside a new one that is not ready yet.
                Woken::Ended => self.gone(),
                Woken::Changed | Woken::Time => {}
            }
        }
        self.end().await;
    }

    /// Whether what serves is what is wanted. Limits of calls are looked up call by call.
    fn serves(&self, wanted: &Wanted) -> bool {
        let serving = self.serving.as_ref();
        serving.is_some_and(|serving| {
            let tenancy = serving.wanted.server.tenancy;
            serving.wanted.target == wanted.target && tenancy == wanted.server.tenancy
        })
    }

    /// There is no server in the catalog: the one that runs is ended, until there is one.
    async fn nothing(&mut self) -> Woken {
        self.retire();
        self.backoff.reset();
        self.publish(None, |status| {
            *status = Status {
                last_exit: status.last_exit.clone(),
                ..Status::default()
            };
            status.enter(
                State::Absent,
                "the configuration in force has no such server",
            );
        });
        self.wait(None).await
    }

    /// Starts what is wanted, beside what serves.
    async fn start(&mut self, wanted: Arc<Wanted>) -> Woken {
        let settings = self.settings.clone();
        // A program that is not even there was tried, too: whoever waits for it sees the tries add up.
        let again = u32::from(std::mem::replace(&mut self.started, true));
        let start = match Start::of(&wanted, &settings) {
            Ok(start) => start,
            Err(error) => {
                self.publish(None, |status| status.restarts += again);
                return self.failed(error.into(), Duration::ZERO, &wanted).await;
            }
        };
        let (state, message) = start.state();
        self.publish(None, |status| {
            status.enter(state, message);
            status.argv = start.argv();
            status.restarts += again;
            status.pid = 0;
        });
        let era = self.era;
        let began = Instant::now();
        let mut run = std::pin::pin!(start.run(era));
        let done = loop {
            let woken = tokio::select! {
                done = &mut run => break done,
                woken = self.wait(None) => woken,
            };
            match woken {
                Woken::Ended => self.gone(),
                other => return other,
            }
        };
        match done {
            Ok((running, greeting)) => {
                self.ready(running, greeting, wanted);
                Woken::Changed
            }
            Err(failed) => self.failed(failed, began.elapsed(), &wanted).await,
        }
    }

    /// The new server takes over.
    fn ready(&mut self, running: Running, greeting: Greeting, wanted: Arc<Wanted>) {
        self.retire();
        self.era = greeting.revision.era();
        tracing::info!(
            revision = %greeting.revision, info = %greeting.shown, "the server is ready"
        );
        let (revision, shown) = (greeting.revision, &greeting.shown);
        self.say(format!("ready: {shown}, MCP {revision}"));
        let is_process = matches!(running, Running::Process(_));
        let seats = (is_process && wanted.server.tenancy != Tenancy::Shared)
            .then(|| Seats::new(self.settings.clone(), wanted.clone(), self.era));
        let ready = Arc::new(Ready {
            target: running.target(),
            greeting,
            seats: seats.clone(),
        });
        self.serving = Some(Serving {
            running,
            seats,
            wanted,
            since: Instant::now(),
        });
        // Before anything else is said: a call that waits for the start must not find it over and no way to go.
        self.route.send_replace(Route::Ready(ready.clone()));
        let running = self.serving.as_ref().map(|serving| &serving.running);
        self.publish(None, |status| {
            status.enter(
                State::Ready,
                running.map_or_else(String::new, Running::remark),
            );
            if let Some(running) = running {
                running.observe(status);
            }
            status.introduce(&ready.greeting);
        });
    }

    /// Watches over what serves, until it ends or something else is wanted.
    async fn serve(&mut self) -> Woken {
        match self.wait(None).await {
            Woken::Ended => {}
            other => return other,
        }
        let Some(mut serving) = self.serving.take() else {
            return Woken::Changed;
        };
        let exit = serving.running.ended().await; // Known already.
        let up = serving.since.elapsed();
        let wait = self.backoff.after(up).min(longest(&serving.wanted));
        tracing::warn!(%exit, up_s = up.as_secs(), "the server has ended");
        let message = format!("the server {exit} after {} s", up.as_secs());
        self.say(format!(
            "{message}; it is started again in {} ms",
            wait.as_millis()
        ));
        self.publish(Some(wait), |status| {
            serving.running.observe(status);
            status.pid = 0;
            status.last_exit.clone_from(&exit);
            status.enter(State::Backoff, message);
        });
        // What was begun with somebody else's server is not left behind there.
        serving.retire(Duration::ZERO).await;
        self.wait(Some(wait)).await
    }

    /// A start did not work out: says so and waits.
    async fn failed(&mut self, failed: Failed, up: Duration, wanted: &Wanted) -> Woken {
        let mut message = failed.error.to_string();
        tracing::warn!(error = %message, "the server did not start");
        self.say(format!("not started: {message}"));
        if self.serving.is_some() {
            message.push_str("; as it was before the change, it goes on");
        }
        let may_pass = failed.error.may_pass();
        let wait = may_pass.then(|| self.backoff.after(up).min(longest(wanted)));
        self.publish(wait, |status| {
            status.pid = 0;
            status.stderr = failed.stderr;
            status.rubbish_lines = failed.rubbish_lines;
            if let Some(exit) = failed.exit {
                status.last_exit = exit.to_string();
            }
            status.enter(
                if wait.is_some() {
                    State::Backoff
                } else {
                    State::Failed
                },
                message,
            );
        });
        self.wait(wait).await
    }

    /// Waits for a change of what is wanted, the order to stop, the end of what serves, or `time`.
    async fn wait(&mut self, time: Option<Duration>) -> Woken {
        let Self {
            wanted,
            stop,
            serving,
            status,
            ..
        } = self;
        let time = async {
            match time {
                Some(time) => sleep(time).await,
                None => std::future::pending().await,
            }
        };
        let ended = async {
            match serving {
                Some(serving) => watch_over(&mut serving.running, status).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => Woken::Stop,
            // Without anybody who could want something else, all stays as it is.
            Ok(()) = wanted.changed() => {
                self.backoff.reset();
                Woken::Changed
            }
            () = ended => Woken::Ended,
            () = time => Woken::Time,
        }
    }

    /// Notes in the server's log what became of it.
    fn say(&self, what: String) {
        self.settings.log.sidecar(what);
    }

    /// Lets what serves finish its calls and end, in the background.
    fn retire(&mut self) {
        let Some(old) = self.serving.take() else {
            return;
        };
        let within = if self.retiring.len() < RETIRING_MAX {
            RETIRE_WITHIN
        } else {
            Duration::ZERO
        };
        self.retiring.spawn(async move {
            let exit = old.retire(within).await;
            tracing::info!(%exit, "the replaced server has ended");
        });
    }

    /// What served is gone: calls have nowhere to go until something is ready.
    fn gone(&mut self) {
        self.serving = None;
        self.publish(None, |_| {});
    }

    /// Ends everything.
    async fn end(mut self) {
        let message = "the sidecar is stopping";
        self.publish(None, |status| status.enter(State::Stopped, message));
        if let Some(serving) = self.serving.take() {
            serving.retire(Duration::ZERO).await;
        }
        while self.retiring.join_next().await.is_some() {}
        self.publish(None, |status| status.pid = 0);
    }

    /// Changes the status, and the route with it where nothing serves. `again`: when it is tried again.
    fn publish(&self, again: Option<Duration>, change: impl FnOnce(&mut Status)) {
        self.status.send_modify(|status| {
            change(status);
            if let Some(wait) = again {
                status.again_after(wait);
            }
        });
        if self.serving.is_some() {
            return;
        }
        let status = self.status.borrow();
        let retry_after_s = again.map_or(1, |wait| wait.as_secs().saturating_add(1));
        self.route.send_replace(Route::Away(Away {
            state: status.state,
            message: status.message.clone(),
            retry_after_s: u32::try_from(retry_after_s).unwrap_or(u32::MAX),
        }));
    }
}

/// The longest wait before it is tried again: one that only has to be asked is asked often.
fn longest(wanted: &Wanted) -> Duration {
    match wanted.target {
        wanted::Target::Http(_) => HTTP_BACKOFF_MAX,
        _ => Duration::MAX,
    }
}

/// Waits for the end of a running server, and reports its rubbish meanwhile.
async fn watch_over(running: &mut Running, status: &watch::Sender<Status>) {
    let target = running.target();
    loop {
        let noticed = async {
            target.noticed().await;
            sleep(NOISE_EVERY).await;
        };
        tokio::select! {
            _ = running.ended() => return,
            () = noticed => {}
        }
        status.send_modify(|status| {
            running.observe(status);
            if status.state == State::Ready {
                status.message = running.remark();
            }
        });
    }
}
