//! Tells the control plane and the metrics what the server does. Changes nothing, decides nothing.

use std::sync::Arc;

use dataplane::config::watch::StatusSender;
use model::name::ServerName;
use runtime::drain::Drain;
use runtime::metrics::{Gauge, Metrics};
use tokio::sync::watch;

use crate::upstream::status::{State, Status};

/// What operators see of the server on the admin address.
#[derive(Debug)]
pub(crate) struct Shown {
    ready: Gauge,
    restarts: Gauge,
    rubbish: Gauge,
}

impl Shown {
    /// All of it, for the metrics of this process.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let gauge = |name, help| metrics.gauge(name, help, &[]);
        Self {
            ready: gauge("gatehouse_server_ready", "Whether the server takes calls."),
            restarts: gauge(
                "gatehouse_server_restarts",
                "How often it was started again.",
            ),
            rubbish: gauge(
                "gatehouse_server_rubbish_lines",
                "Lines on the running server's standard output that were no message.",
            ),
        }
    }

    fn set(&self, status: &Status) {
        self.ready.set(i64::from(status.state == State::Ready));
        self.restarts.set(i64::from(status.restarts));
        self.rubbish
            .set(i64::try_from(status.rubbish_lines).unwrap_or(i64::MAX));
    }
}

/// Keeps both told, in a task that ends with `drain`. The server and this node are named in what is sent.
pub(crate) fn start(
    mut statuses: watch::Receiver<Status>,
    reports: StatusSender,
    shown: Shown,
    (server, node): (ServerName, Arc<str>),
    drain: &Drain,
) {
    let draining = drain.clone();
    drain.spawn("server status", async move {
        loop {
            let status = statuses.borrow_and_update().clone();
            shown.set(&status);
            reports.send(status.report(&server, &node));
            tokio::select! {
                changed = statuses.changed() => if changed.is_err() { return },
                () = draining.signaled() => return,
            }
        }
    });
}
