//! How the filters of one message run: in their order; those side by side that may not change it are asked at once; those
//! that only look are never waited for.
//!
//! ```text
//! order:   regex   hook a   hook b   pii (changes)   hook c (observes)   hook d
//!          look    └─ asked at once   look            asked apart         asked
//! ```
//! The verdict that counts is the first in order that refuses, whichever comes first.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use engine::filter::{Compiled, Finding, Hook, Seen};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use model::decision::Reason;
use model::filter::OnError;
use tokio::time::Instant;

use super::{Findings, Passed, Rejected, Screen, change, rejected};
use crate::stage::webhook::{self, Observed, Verdict};

/// How long all filters of one message may take together.
const SUM_MAX: Duration = Duration::from_secs(10);

/// What a filter makes of a message: nothing, or something else.
type Made = Result<Option<Bytes>, Rejected>;

impl Screen {
    /// Shows one message, already known to be valid JSON, to filters none of which has to be waited for: each sees what
    /// the one before it has made of it.
    ///
    /// # Errors
    /// One of them refuses it, or fails and is to refuse then.
    pub fn look(&self, message: Bytes) -> Result<Passed, Rejected> {
        let mut now = message.clone();
        for filter in self.selection.filters() {
            if filter.is_observer() {
                self.observe(filter, &now);
            } else if let Some(changed) = self.look_with(filter, &now)? {
                now = changed;
            }
        }
        Ok(Passed::of(&message, now))
    }

    /// Shows one message, already known to be valid JSON, to all filters: each sees what those before it have made of it.
    ///
    /// # Errors
    /// One of them refuses it, or fails and is to refuse then.
    pub async fn show(&self, message: Bytes) -> Result<Passed, Rejected> {
        let deadline = Instant::now() + SUM_MAX;
        let mut now = message.clone();
        let together =
            |a: &Arc<Compiled>, b: &Arc<Compiled>| changes_nothing(a) && changes_nothing(b);
        for run in self.selection.as_slice().chunk_by(together) {
            match run {
                [filter] if !changes_nothing(filter) => {
                    let changed = match filter.hook() {
                        Some(hook) => self.ask(filter, hook, &now, deadline).await?,
                        None => self.look_with(filter, &now)?,
                    };
                    now = changed.unwrap_or(now);
                }
                run => self.judge(run, &now, deadline).await?,
            }
        }
        Ok(Passed::of(&message, now))
    }

    /// Shows a message to filters of which none changes it.
    async fn judge(
        &self,
        run: &[Arc<Compiled>],
        message: &Bytes,
        deadline: Instant,
    ) -> Result<(), Rejected> {
        let mut asked = FuturesOrdered::new();
        let mut refused = Ok(());
        for filter in run {
            if filter.is_observer() {
                self.observe(filter, message);
            } else if let Some(hook) = filter.hook() {
                asked.push_back(self.ask(filter, hook, message, deadline));
            } else if let Err(rejected) = self.look_with(filter, message) {
                // Whoever comes after it need not be asked.
                refused = Err(rejected);
                break;
            }
        }
        // Answers come in order: the first that refuses counts, and nobody behind it is waited for.
        while let Some(answer) = asked.next().await {
            answer?;
        }
        refused
    }

    /// What a filter that looks by itself makes of the message.
    fn look_with(&self, filter: &Compiled, message: &Bytes) -> Made {
        match filter.look(&self.seen(message)) {
            Finding::Nothing => Ok(None),
            Finding::Refuses(why) => Err(self.refused(filter, &why)),
            Finding::Changes {
                message: changed, ..
            } => self.changed(filter, message, changed.into()),
            Finding::Fails(why) => self.failed(filter, &why),
        }
    }

    fn seen<'m>(&'m self, message: &'m Bytes) -> Seen<'m> {
        let seen = Seen::new(message, self.way).of(&self.about.method, &self.about.name);
        match self.schemas.as_deref() {
            Some(known) => seen.under(known.as_ref().map_err(String::as_str)),
            None => seen,
        }
    }

    /// Asks a filter's receiver; gives what it has made of the message.
    async fn ask(
        &self,
        filter: &Compiled,
        hook: &Hook,
        message: &Bytes,
        deadline: Instant,
    ) -> Made {
        let question = webhook::Question {
            filter: filter.name(),
            hook,
            about: &self.about,
            way: self.way,
            message,
        };
        match self.webhooks.ask(question, deadline).await {
            Ok(Verdict::Allow) => Ok(None),
            Ok(Verdict::Deny(why)) => Err(self.refused(filter, &why)),
            Ok(Verdict::Change(changed)) => self.changed(filter, message, changed),
            Err(error) => self.failed(filter, &error.to_string()),
        }
    }

    fn refused(&self, filter: &Compiled, why: &str) -> Rejected {
        tracing::debug!(filter = %filter.name(), why, "a filter refuses a message");
        self.note(filter, "deny");
        rejected(filter.name(), Reason::Filter)
    }

    /// What a filter makes of a message goes on where the filter may change messages and it is still the same message.
    fn changed(&self, filter: &Compiled, message: &Bytes, changed: Bytes) -> Made {
        match checked(filter, message, &changed) {
            Ok(()) => {
                self.note(filter, "change");
                Ok(Some(changed))
            }
            Err(why) => self.failed(filter, why),
        }
    }

    /// What becomes of a message where a filter fails.
    fn failed(&self, filter: &Compiled, why: &str) -> Made {
        match filter.on_error() {
            OnError::Deny => {
                tracing::warn!(filter = %filter.name(), why, "a filter failed: the message is refused");
                self.note(filter, "error deny");
                Err(rejected(filter.name(), Reason::FilterError))
            }
            OnError::Allow => {
                tracing::warn!(filter = %filter.name(), why, "a filter failed: the message goes on");
                self.note(filter, "error allow");
                Ok(None)
            }
        }
    }

    /// Shows a message to a filter that only looks: one that looks by itself does so here, a receiver is asked apart.
    fn observe(&self, filter: &Arc<Compiled>, message: &Bytes) {
        if filter.hook().is_none() {
            let observed = match filter.look(&self.seen(message)) {
                Finding::Nothing => Observed::Allow,
                Finding::Refuses(_) => Observed::Deny,
                Finding::Changes {
                    message: changed, ..
                } => observed_change(filter, message, &changed),
                Finding::Fails(_) => Observed::Error,
            };
            self.webhooks.count_observed(filter.name(), observed);
            return self.note_observed(filter, observed);
        }
        let (screen, awaited) = (self.clone(), self.findings.as_ref());
        let awaited = awaited.map(Findings::awaited);
        let (asked, seen) = (filter.clone(), message.clone());
        let found = move |verdict: Result<Verdict, webhook::Error>| {
            let observed = match verdict {
                Ok(Verdict::Allow) => Observed::Allow,
                Ok(Verdict::Deny(_)) => Observed::Deny,
                Ok(Verdict::Change(changed)) => observed_change(&asked, &seen, &changed),
                Err(webhook::Error::Busy | webhook::Error::Open) => Observed::Dropped,
                Err(_) => Observed::Error,
            };
            screen.webhooks.count_observed(asked.name(), observed);
            screen.note_observed(&asked, observed);
            drop(awaited);
        };
        self.webhooks
            .ask_apart(filter, &self.about, self.way, message, found);
    }

    fn note_observed(&self, filter: &Compiled, observed: Observed) {
        match observed {
            Observed::Allow => {}
            Observed::Deny => self.note(filter, "observed deny"),
            Observed::Change => self.note(filter, "observed change"),
            Observed::Error => self.note(filter, "observed error"),
            Observed::Dropped => self.note(filter, "observed dropped"),
        }
    }

    fn note(&self, filter: &Compiled, what: &str) {
        if let Some(findings) = &self.findings {
            findings.add(&format!(
                "{}: {what}{}",
                filter.name(),
                self.subject.as_str()
            ));
        }
    }
}

/// Whether what comes after it sees the message as it was: then both are shown it at once.
fn changes_nothing(filter: &Compiled) -> bool {
    filter.is_observer() || !filter.may_change()
}

fn observed_change(filter: &Compiled, message: &Bytes, changed: &[u8]) -> Observed {
    match checked(filter, message, changed) {
        Ok(()) => Observed::Change,
        Err(_) => Observed::Error,
    }
}

fn checked(filter: &Compiled, message: &Bytes, changed: &[u8]) -> Result<(), &'static str> {
    if filter.may_change() {
        change::check(message, changed)
    } else {
        Err("it changes the message, which it may not")
    }
}
