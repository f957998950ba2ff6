//! One node: what is known of it, and the state that follows from that.

use std::cmp::Ordering;

use model::name::ServerName;
use proto::v1 as pb;
use proto::v1::control_message::Kind as Control;
use runtime::tls::Peer;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::counts::Own;
use super::{Arrival, LIVE};
use crate::clock;

/// One node.
#[derive(Debug)]
pub(super) struct Entry {
    kind: pb::NodeKind,
    pub(super) server: Option<ServerName>,
    version: String,
    addresses: Vec<String>,
    certificate_ends_unix_ms: i64,
    /// The revision that it runs.
    pub(super) revision: u64,
    /// Since when it is current or behind.
    since_unix_ms: i64,
    /// That revision, compared with the head.
    against_head: Ordering,
    rejected: Option<Rejection>,
    pub(super) seen_unix_ms: i64,
    pub(super) server_status: Option<pb::ServerStatus>,
    /// The stream that speaks for it.
    pub(super) stream: u64,
    /// Ends that stream, while there is one.
    pub(super) connected: Option<CancellationToken>,
    /// Taken by that stream.
    pub(super) orders: Option<mpsc::Sender<Control>>,
    /// What it counted of its calls.
    pub(super) counted: Own,
}

#[derive(Debug)]
struct Rejection {
    revision: u64,
    faults: Vec<String>,
    since_unix_ms: i64,
}

impl Entry {
    /// A node that nothing is known of yet.
    pub(super) fn new(now: i64) -> Self {
        Self {
            kind: pb::NodeKind::Unspecified,
            server: None,
            version: String::new(),
            addresses: Vec::new(),
            certificate_ends_unix_ms: 0,
            revision: 0,
            since_unix_ms: now,
            against_head: Ordering::Less,
            rejected: None,
            seen_unix_ms: now,
            server_status: None,
            stream: 0,
            connected: None,
            orders: None,
            counted: Own::default(),
        }
    }

    /// What it is, by its certificate.
    pub(super) fn is_of(&mut self, peer: &Peer) {
        (self.kind, self.server) = match peer {
            Peer::Sidecar { server, .. } => (pb::NodeKind::Sidecar, Some(server.clone())),
            Peer::Edge { .. } | Peer::ControlPlane { .. } => (pb::NodeKind::Edge, None),
        };
    }

    /// Its stream opens, in place of one that may still be open.
    pub(super) fn connect(
        &mut self,
        arrival: Arrival,
        stream: u64,
        replaced: CancellationToken,
        head: u64,
        now: i64,
    ) {
        self.is_of(&arrival.peer);
        self.version = super::cut(arrival.version);
        self.addresses = arrival.addresses;
        self.certificate_ends_unix_ms = arrival.certificate_ends_unix_ms;
        self.seen_unix_ms = now;
        self.stream = stream;
        if let Some(old) = self.connected.replace(replaced) {
            old.cancel();
        }
        // What it rejected before it may take now: it is sent anew.
        self.rejected = None;
        self.runs(arrival.revision, head, now);
    }

    /// It runs `revision`.
    pub(super) fn runs(&mut self, revision: u64, head: u64, now: i64) {
        self.revision = revision;
        if self
            .rejected
            .as_ref()
            .is_some_and(|r| r.revision <= revision)
        {
            self.rejected = None;
        }
        self.head_moved(head, now);
    }

    /// For how long it has been behind `head`, milliseconds; `None`: it is not, or there is nothing to be behind of.
    pub(super) fn behind_ms(&self, head: u64, now: i64) -> Option<i64> {
        let is_behind = self.against_head == Ordering::Less && self.revision < head;
        is_behind.then_some(now - self.since_unix_ms)
    }

    /// It refused `revision`.
    pub(super) fn rejects(&mut self, revision: u64, faults: Vec<String>, now: i64) {
        let since = self.rejected.as_ref().map_or(now, |r| r.since_unix_ms);
        self.rejected = Some(Rejection {
            revision,
            faults,
            since_unix_ms: since,
        });
    }

    /// The head is `head` now: it may be behind, or no more; or ahead, where the store went back.
    pub(super) fn head_moved(&mut self, head: u64, now: i64) {
        let against_head = self.revision.cmp(&head);
        if against_head != self.against_head {
            self.against_head = against_head;
            self.since_unix_ms = now;
        }
    }

    /// Whether it was heard of lately.
    pub(super) fn is_live(&self, now: i64) -> bool {
        now - self.seen_unix_ms <= clock::ms(LIVE)
    }

    /// As the admin API shows it. `held`: the revision of a change that is held back from it.
    pub(super) fn status(&self, name: &str, held: Option<u64>, now: i64) -> pb::NodeStatus {
        let live = self.is_live(now);
        let (state, since) = match &self.rejected {
            _ if !live => ("silent", self.seen_unix_ms + clock::ms(LIVE)),
            Some(rejection) => ("rejected", rejection.since_unix_ms),
            None if held.is_some() && self.against_head == Ordering::Equal => {
                ("held", self.since_unix_ms)
            }
            None => (lag(self.against_head), self.since_unix_ms),
        };
        let rejected = self.rejected.as_ref();
        pb::NodeStatus {
            name: name.to_owned(),
            kind: self.kind.into(),
            server: self
                .server
                .as_ref()
                .map_or_else(String::new, ToString::to_string),
            revision: self.revision,
            state: state.to_owned(),
            since_unix_ms: since,
            certificate_ends_unix_ms: self.certificate_ends_unix_ms,
            version: self.version.clone(),
            faults: rejected.map_or_else(Vec::new, |r| r.faults.clone()),
            seen_unix_ms: self.seen_unix_ms,
            addresses: self.addresses.clone(),
            live,
            rejected_revision: rejected.map_or(0, |r| r.revision),
            replica: String::new(),
            held: held.unwrap_or(0),
        }
    }

    /// What it says of its server; until it has said anything, that it is there.
    pub(super) fn server_row(&self, server: &ServerName, node: &str) -> pb::ServerStatus {
        self.server_status
            .clone()
            .unwrap_or_else(|| pb::ServerStatus {
                server: server.to_string(),
                node: node.to_owned(),
                state: "starting".to_owned(),
                message: "its sidecar is connected and has not said more yet".to_owned(),
                since_unix_ms: self.seen_unix_ms,
                ..Default::default()
            })
    }
}

/// A server that no live sidecar stands before.
pub(super) fn absent(server: &ServerName, last: Option<(&str, &Entry)>) -> pb::ServerStatus {
    let (message, since) = match last {
        Some((node, entry)) => (
            format!("its sidecar {node} is silent"),
            entry.seen_unix_ms + clock::ms(LIVE),
        ),
        None => ("no sidecar has joined for it".to_owned(), 0),
    };
    pb::ServerStatus {
        server: server.to_string(),
        state: "absent".to_owned(),
        message,
        since_unix_ms: since,
        ..Default::default()
    }
}

/// A node's state, by its revision compared with the head.
pub(crate) fn lag(against_head: Ordering) -> &'static str {
    match against_head {
        Ordering::Less => "behind",
        Ordering::Equal => "current",
        Ordering::Greater => "ahead",
    }
}
