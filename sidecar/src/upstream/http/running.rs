//! Keeps an eye on a server that is reached over HTTP, from the first words until it is of no use any more.

use std::sync::Arc;
use std::time::Duration;

use dataplane::deliver::probe::probe;
use dataplane::egress::Egress;
use engine::upstream::Upstream;
use mcp::revision::Era;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::{HttpServer, chores};
use crate::upstream::greeting::Greeting;

/// How often a server that nobody doubts is asked whether it still speaks what it spoke.
const ASKED_EVERY: Duration = Duration::from_secs(60);
/// So many questions in a row without a good answer, and it is of no use: one may be an accident, or a limit on how often
/// it may be asked.
const FAILURES_MAX: u32 = 3;
/// How soon a doubt is looked into, after the last time that it was asked.
const ASKED_AFTER: Duration = Duration::from_secs(5);

/// A server that answers, and what is told to it on the side.
#[derive(Debug)]
pub struct Running {
    server: HttpServer,
    era: Era,
    asked: Instant,
    /// How often in a row it gave no good answer.
    failures: u32,
    /// Owns the task of chores; it ends with this.
    _tasks: JoinSet<()>,
}

impl Running {
    /// Asks the server at `upstream` what it is.
    ///
    /// # Errors
    /// Why it is of no use as it is now, for people.
    pub async fn reach(
        egress: Egress,
        upstream: Arc<Upstream>,
        within: Duration,
    ) -> Result<(Self, Greeting), String> {
        let (server, todo) = HttpServer::new(egress, upstream);
        let mut tasks = JoinSet::new();
        tasks.spawn(chores::run(server.clone(), todo));
        let greeted = timeout(within, server.greet()).await;
        let greeting = greeted.unwrap_or_else(|_| {
            let s = within.as_secs_f32();
            Err(format!("the server did not say within {s} s what it is"))
        })?;
        let running = Self {
            server,
            era: greeting.revision.era(),
            asked: Instant::now(),
            failures: 0,
            _tasks: tasks,
        };
        Ok((running, greeting))
    }

    /// The server.
    pub fn server(&self) -> &HttpServer {
        &self.server
    }

    /// Waits until it is of no use any more; says why, in words that go on from "the server". Loses nothing if it is
    /// dropped while it waits.
    pub async fn ended(&mut self) -> String {
        loop {
            let pause = if self.failures == 0 {
                ASKED_EVERY
            } else {
                ASKED_AFTER
            };
            let at_last = self.asked + pause;
            tokio::select! {
                () = self.server.0.doubted.notified() => sleep_until(self.asked + ASKED_AFTER).await,
                () = sleep_until(at_last) => {}
            }
            let inner = &self.server.0;
            let probed = probe(&inner.egress, &inner.upstream).await;
            self.asked = Instant::now();
            match probed {
                Ok(probed) if probed.era == self.era => self.failures = 0,
                Ok(_) => return "speaks another era of MCP now".to_owned(),
                Err(fault) => {
                    self.failures += 1;
                    if self.failures >= FAILURES_MAX {
                        return format!("is of no use now: {}", fault.message);
                    }
                    tracing::warn!(why = fault.message, "the server gives no good answer");
                }
            }
        }
    }

    /// Lets calls finish for at most `within`, then ends what was begun with it.
    pub async fn retire(self, within: Duration) {
        if timeout(within, self.server.at_rest()).await.is_err() {
            tracing::warn!(calls = self.server.waiting(), "calls are under way still");
        }
        self.server.close_sessions().await;
    }
}
