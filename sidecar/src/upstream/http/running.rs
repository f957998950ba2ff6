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
/// How soon a doubt is looked into, after the last time that it was asked.
const ASKED_AFTER: Duration = Duration::from_secs(5);

/// A server that answers, and what is told to it on the side.
#[derive(Debug)]
pub struct Running {
    server: HttpServer,
    era: Era,
    asked: Instant,
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
            let at_last = self.asked + ASKED_EVERY;
            tokio::select! {
                () = self.server.0.doubted.notified() => sleep_until(self.asked + ASKED_AFTER).await,
                () = sleep_until(at_last) => {}
            }
            let inner = &self.server.0;
            let probed = probe(&inner.egress, &inner.upstream).await;
            self.asked = Instant::now();
            match probed {
                Ok(probed) if probed.era == self.era => {}
                Ok(_) => return "speaks another era of MCP now".to_owned(),
                Err(fault) => return format!("is of no use now: {}", fault.message),
            }
        }
    }

    /// Ends what was begun with it.
    pub async fn retire(self) {
        self.server.close_sessions().await;
    }
}
