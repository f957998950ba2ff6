//! Calls that wait for a person: kept in the store beside the configuration, so that they outlive a control plane and are
//! the same for all replicas.
//!
//! ```text
//! edge    ask ----> side/approval/WHO-WHAT: pending --decide--> granted --spend, of one call--> used
//!                                                  \----------> refused        (or over, by the clock)
//! ```
//! One entry for what is agreed to, under its hash: whoever asks twice finds it, and every step is one comparison with
//! what was read, so that of many who decide or spend at once one does. What is no longer open is kept a little while to
//! be looked at, and replaced when it is asked for again. It does not know who may decide beyond what a [`Decider`] is and
//! the rule says.

mod error;
mod naming;
pub(crate) mod notify;
mod record;
mod rights;

use std::sync::Arc;
use std::time::Duration;

use model::access::{AccessRule, Effect};
use model::snapshot::Sha256;
use proto::v1 as pb;
use runtime::drain::Drain;
use runtime::metrics::{Counter, Gauge, Metrics};
use tokio::sync::{mpsc, watch};
use zeroize::Zeroizing;

pub(crate) use self::error::Error;
use self::notify::News;
use self::record::{Record, State};
pub(crate) use self::rights::Decider;
use self::rights::{check_link, may_decide};
use crate::catalog::Catalog;
use crate::clock;
use crate::store::{Store, key};

/// Approvals that wait for one user's calls, or were granted and wait to be used.
const OPEN_OF_USER_MAX: usize = 50;
/// Of all users.
const OPEN_MAX: usize = 1000;
/// How long what is over is kept to be looked at.
const KEPT: Duration = Duration::from_secs(600);
/// How often what is over is looked through.
const SWEEP: Duration = Duration::from_secs(60);
/// How often a step is begun anew where somebody else was quicker.
const TRIES: usize = 8;
/// Longest comment, bytes.
const COMMENT_BYTES_MAX: usize = 500;

/// The approvals of this installation.
#[derive(Debug)]
pub(crate) struct Approvals {
    store: Arc<dyn Store>,
    catalog: Arc<Catalog>,
    /// How long one is good, from when it is asked for.
    lasts: Duration,
    /// Takes what a receiver is to be told, where there is one.
    news: Option<mpsc::Sender<News>>,
    pending: Gauge,
    metrics: Metrics,
}

impl Approvals {
    /// Over a store; rules are the catalog's.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        catalog: Arc<Catalog>,
        lasts: Duration,
        news: Option<mpsc::Sender<News>>,
        metrics: &Metrics,
    ) -> Arc<Self> {
        let help = "Calls that wait for a person to agree, as of the last look.";
        Arc::new(Self {
            store,
            catalog,
            lasts,
            news,
            pending: metrics.gauge("gatehouse_approvals_pending", help, &[]),
            metrics: metrics.clone(),
        })
    }

    /// Puts a call before people, in the name of the edge `node`.
    ///
    /// # Errors
    /// [`Error`]; [`Error::TooMany`] where so many wait already.
    pub(crate) async fn ask(
        &self,
        node: &str,
        asked: &pb::AskApprovalRequest,
    ) -> Result<pb::Approval, Error> {
        naming::check(asked)?;
        let rule = self.rule(&asked.rule)?;
        let place = naming::place(&asked.user, &asked.binding);
        for _ in 0..TRIES {
            let now = clock::now_ms();
            let there = self.store.get(&place).await?;
            if let Some(value) = &there {
                let record = Record::decode(&place, value)?;
                if record.is_open(now) {
                    return Ok(record.shown(now, Some(&rule)));
                }
            } else {
                self.make_room(&asked.user, now).await?;
            }
            let id = naming::new_id(&place);
            let token = naming::token();
            let mut record = Record::new(id, node, asked, now, now + clock::ms(self.lasts));
            record.link = Sha256::of(token.as_bytes()).hex();
            if self.replace(&place, there.as_deref(), &record).await? {
                tracing::info!(
                    id = record.id,
                    user = record.user,
                    rule = record.rule,
                    "somebody has to agree to a call"
                );
                self.counted("asked").add_one();
                let approval = record.shown(now, Some(&rule));
                self.tell(&approval, token);
                return Ok(approval);
            }
        }
        Err(Error::Busy)
    }

    /// Decides.
    ///
    /// # Errors
    /// [`Error`]; what the decider may not, or not any more.
    pub(crate) async fn decide(
        &self,
        decider: &Decider,
        request: &pb::DecideApprovalRequest,
    ) -> Result<pb::Approval, Error> {
        if request.comment.len() > COMMENT_BYTES_MAX {
            return Err(Error::Request("comment", "is longer than 500 bytes"));
        }
        for _ in 0..TRIES {
            let (place, value, mut record) = self.find(&request.id).await?;
            let now = clock::now_ms();
            let rule = self.rule(&record.rule)?;
            may_decide(decider, &record, &rule)?;
            match record.state_at(now) {
                State::Pending => {}
                state => return Err(Error::Decided(state.as_str(), record.decided_by)),
            }
            record.state = if request.grant {
                State::Granted
            } else {
                State::Refused
            };
            record.decided_by = decider.name().to_owned();
            record.decided_unix_ms = now;
            record.comment.clone_from(&request.comment);
            if self.replace(&place, Some(&value), &record).await? {
                let state = record.state.as_str();
                tracing::info!(
                    id = record.id,
                    by = record.decided_by,
                    state,
                    "decided about a call"
                );
                self.counted(state).add_one();
                return Ok(record.shown(now, Some(&rule)));
            }
        }
        Err(Error::Busy)
    }

    /// Uses a granted approval up for the call `call_id`.
    ///
    /// # Errors
    /// [`Error`]; also where another call has used it.
    pub(crate) async fn spend(
        &self,
        request: &pb::SpendApprovalRequest,
    ) -> Result<pb::Approval, Error> {
        let call = hex::encode(&request.call_id);
        if request.call_id.len() != 16 {
            return Err(Error::Request("call_id", "is not 16 bytes"));
        }
        for _ in 0..TRIES {
            let (place, value, mut record) = self.find(&request.id).await?;
            let now = clock::now_ms();
            if record.binding != hex::encode(&request.binding) {
                return Err(Error::Other);
            }
            match record.state_at(now) {
                // The answer was lost, or is on its way.
                State::Used if record.used_by == call => return Ok(record.shown(now, None)),
                State::Granted => {}
                state => return Err(Error::Decided(state.as_str(), record.decided_by)),
            }
            record.state = State::Used;
            record.used_by.clone_from(&call);
            if self.replace(&place, Some(&value), &record).await? {
                self.counted("used").add_one();
                return Ok(record.shown(now, None));
            }
        }
        Err(Error::Busy)
    }

    /// How one stands.
    ///
    /// # Errors
    /// [`Error::Unknown`].
    pub(crate) async fn look(&self, id: &str) -> Result<pb::Approval, Error> {
        let (_, _, record) = self.find(id).await?;
        let rule = self.rule(&record.rule).ok();
        Ok(record.shown(clock::now_ms(), rule.as_deref()))
    }

    /// The same for whoever has its link, and whether deciding takes an API key besides.
    ///
    /// # Errors
    /// [`Error::Unknown`], also where the link is not its own.
    pub(crate) async fn look_by_link(
        &self,
        id: &str,
        token: &str,
    ) -> Result<(pb::Approval, bool), Error> {
        let (_, _, record) = self.find(id).await?;
        check_link(&record, token)?;
        let rule = self.rule(&record.rule)?;
        let needs_key = !rule.approvers.is_empty();
        Ok((record.shown(clock::now_ms(), Some(&rule)), needs_key))
    }

    /// As [`Self::decide`], for whoever has the link.
    ///
    /// # Errors
    /// As [`Self::look_by_link`] and [`Self::decide`].
    pub(crate) async fn decide_by_link(
        &self,
        decider: &Decider,
        id: &str,
        token: &str,
        grant: bool,
        comment: &str,
    ) -> Result<pb::Approval, Error> {
        let (_, _, record) = self.find(id).await?;
        check_link(&record, token)?;
        let request = pb::DecideApprovalRequest {
            id: id.to_owned(),
            grant,
            comment: comment.to_owned(),
        };
        self.decide(decider, &request).await
    }

    /// Those that `decider` may decide about, oldest first; with `all`, what is decided or over, too.
    ///
    /// # Errors
    /// What the store may say.
    pub(crate) async fn list(
        &self,
        decider: &Decider,
        all: bool,
    ) -> Result<Vec<pb::Approval>, Error> {
        let now = clock::now_ms();
        let mut found = Vec::new();
        for (_, _, record) in self.records(key::APPROVALS).await? {
            let rule = self.rule(&record.rule).ok();
            let sees = match (decider, &rule) {
                // Who may change every rule may see all.
                (Decider::Admin(_), _) => true,
                (_, Some(rule)) => may_decide(decider, &record, rule).is_ok(),
                (_, None) => false,
            };
            if sees && (all || record.state_at(now) == State::Pending) {
                found.push(record.shown(now, rule.as_deref()));
            }
        }
        found.sort_by(|a, b| (a.asked_unix_ms, &a.id).cmp(&(b.asked_unix_ms, &b.id)));
        Ok(found)
    }

    /// Told of every change.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.store.changes(key::APPROVALS)
    }

    /// Forgets what is long over, until `drain` starts.
    pub(crate) async fn sweep(self: Arc<Self>, drain: Drain) {
        loop {
            if let Err(error) = self.forget(key::APPROVALS, clock::now_ms(), KEPT).await {
                tracing::debug!(%error, "approvals are not looked through");
            }
            tokio::select! {
                () = drain.signaled() => return,
                () = tokio::time::sleep(SWEEP) => {}
            }
        }
    }

    /// Makes room for one more of `user`.
    async fn make_room(&self, user: &str, now: i64) -> Result<(), Error> {
        for (prefix, most, whose) in [
            (
                format!("{}{}-", key::APPROVALS, naming::who(user)),
                OPEN_OF_USER_MAX,
                "of this user",
            ),
            (key::APPROVALS.to_owned(), OPEN_MAX, "in all"),
        ] {
            if self.store.keys(&prefix).await?.len() < most {
                continue;
            }
            // What is over takes no room.
            let open = self.forget(&prefix, now, Duration::ZERO).await?;
            if open >= most {
                return Err(Error::TooMany(most, whose));
            }
        }
        Ok(())
    }

    /// Removes what was over at `now` and is kept no longer than this, and says how many are left.
    async fn forget(&self, prefix: &str, now: i64, kept: Duration) -> Result<usize, Error> {
        let (mut left, mut pending) = (0, 0);
        for (place, value, record) in self.records(prefix).await? {
            let is_over = !record.is_open(now);
            if is_over && (kept.is_zero() || record.expires_unix_ms + clock::ms(kept) <= now) {
                let gone = self.store.compare_and_set(&place, Some(&value), None);
                if gone.await? && record.state_at(now) == State::Expired {
                    self.counted("expired").add_one();
                }
                continue;
            }
            left += 1;
            pending += i64::from(record.state_at(now) == State::Pending);
        }
        if prefix == key::APPROVALS {
            self.pending.set(pending);
        }
        Ok(left)
    }

    async fn records(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>, Record)>, Error> {
        let mut records = Vec::new();
        for entry in self.store.list(prefix).await? {
            match Record::decode(&entry.key, &entry.value) {
                Ok(record) => records.push((entry.key, entry.value.to_vec(), record)),
                Err(error) => tracing::warn!(%error, "an approval cannot be read"),
            }
        }
        Ok(records)
    }

    /// The approval with this id, where it is and as it lies there.
    async fn find(&self, id: &str) -> Result<(String, Vec<u8>, Record), Error> {
        let prefix = naming::prefix(id).ok_or_else(|| Error::Unknown(id.to_owned()))?;
        let found = self.records(&prefix).await?;
        let found = found.into_iter().find(|(_, _, record)| record.id == id);
        found.ok_or_else(|| Error::Unknown(id.to_owned()))
    }

    async fn replace(
        &self,
        place: &str,
        expected: Option<&[u8]>,
        record: &Record,
    ) -> Result<bool, Error> {
        let value = record.encode();
        Ok(self
            .store
            .compare_and_set(place, expected, Some(value))
            .await?)
    }

    /// Has the receiver told, where there is one and it keeps up.
    fn tell(&self, approval: &pb::Approval, token: Zeroizing<String>) {
        let Some(news) = &self.news else { return };
        let approval = approval.clone();
        if news.try_send(News { approval, token }).is_err() {
            tracing::error!("the receiver of approvals is too slow: it is not told of a call");
        }
    }

    /// A rule that still wants agreement.
    fn rule(&self, name: &str) -> Result<Arc<AccessRule>, Error> {
        let state = self.catalog.state();
        let rule = state.snapshot().rules.get(name).cloned();
        rule.filter(|rule| rule.effect == Effect::Approve)
            .ok_or_else(|| Error::NoRule(name.to_owned()))
    }

    fn counted(&self, outcome: &str) -> Counter {
        let help = "Approvals, by what became of them.";
        self.metrics
            .counter("gatehouse_approvals_total", help, &[("outcome", outcome)])
    }
}

#[cfg(test)]
mod tests;
