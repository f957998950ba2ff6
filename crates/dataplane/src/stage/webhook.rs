//! Asks receivers about messages: signed, bounded in time, and not again and again where nobody answers.
//!
//! ```text
//! message -> body (our form, or Obot's) -> signed -> egress -> verdict: allow, deny, change; or an error
//!              breaker: after some errors in a row nobody is asked for a moment, then one at a time
//! ```
//!
//! Who only looks is asked apart ([`Webhooks::ask_apart`]): nobody waits, and what is too much is left out.
//!
//! What an error means is not decided here: see [`crate::stage::filter`]. A receiver never gets a credential, and
//! what it answers is believed only in its exact form.

mod answer;
mod ask;
mod breaker;
mod sign;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dashmap::DashMap;
use engine::filter::{Compiled, Hook};
use model::filter::{Direction, Format};
use model::name::{FilterName, ServerName};
use model::principal::Principal;
use model::snapshot::Revision;
use runtime::drain::Drain;
use runtime::metrics::{Histogram, Metrics, SECONDS};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

pub use self::answer::Verdict;
use self::breaker::Breaker;
use crate::egress::Egress;

/// Receivers that may be asked at one time; further questions are errors at once.
const ASKED_MAX: usize = 2048;
/// … of one filter, so that a slow one takes nothing from the others.
const ASKED_OF_ONE_MAX: usize = 256;
/// KiB of messages that receivers are asked about apart at one time.
const APART_KIB_MAX: usize = 64 * 1024;
/// How long a receiver that is asked apart may take: no longer than one that is waited for.
const APART_MAX: Duration = Duration::from_secs(10);
/// Filters whose receivers are kept. A full map is emptied: breakers close again.
const RECEIVERS_MAX: usize = 10_000;

/// What a receiver is told of the call that a message belongs to.
#[derive(Debug, Clone)]
pub struct About {
    /// Who calls.
    pub principal: Arc<Principal>,
    /// The client application, for display only.
    pub client: Arc<str>,
    /// The server.
    pub server: ServerName,
    /// The request's method.
    pub method: Arc<str>,
    /// The tool, prompt or resource that the request is about. Empty: none.
    pub name: Arc<str>,
    /// The configuration's revision.
    pub revision: Revision,
}

/// Why there is no verdict.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It was not asked, as it did not answer lately.
    #[error("it is not asked for a moment, as it failed several times in a row")]
    Open,
    /// Too many questions are under way.
    #[error("too many receivers are being asked")]
    Busy,
    /// No answer in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
    /// It cannot be reached, or the connection broke.
    #[error("{0}")]
    Unreachable(String),
    /// An answer that is none.
    #[error("its answer does not count: {0}")]
    Answer(String),
    /// The question could not be put.
    #[error("it could not be asked: {0}")]
    Question(String),
}

/// One message that a receiver is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Question<'q> {
    /// The filter.
    pub filter: &'q FilterName,
    /// Its receiver.
    pub hook: &'q Hook,
    /// The call that the message belongs to.
    pub about: &'q About,
    /// Which way it goes.
    pub way: Direction,
    /// The message.
    pub message: &'q [u8],
}

/// What a filter that only looks would have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observed {
    /// Nothing.
    Allow,
    /// Refused the message.
    Deny,
    /// Changed it.
    Change,
    /// It failed.
    Error,
    /// It was not asked, as too much was under way or it did not answer lately.
    Dropped,
}

impl Observed {
    fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Change => "change",
            Self::Error => "error",
            Self::Dropped => "dropped",
        }
    }
}

/// The way to receivers. Clones are the same.
#[derive(Debug, Clone)]
pub struct Webhooks(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    egress: Egress,
    /// One permit for each question under way.
    asked: Semaphore,
    /// One permit for each KiB of messages that are asked about apart.
    apart: Arc<Semaphore>,
    metrics: Metrics,
    /// Owns the tasks that ask apart.
    drain: Drain,
    /// By filter. Each is locked for a look and a change.
    receivers: DashMap<FilterName, Receiver>,
}

/// What is kept of one filter's receiver.
#[derive(Debug)]
struct Receiver {
    breaker: Breaker,
    /// One permit for each question under way.
    asked: Arc<Semaphore>,
    /// How long it took to answer, or not to.
    took: Histogram,
}

impl Webhooks {
    /// Over a way out. What becomes of questions is shown among `metrics`; who is asked apart is so as long as `drain`
    /// lets it.
    pub fn new(egress: Egress, metrics: &Metrics, drain: &Drain) -> Self {
        Self(Arc::new(Inner {
            egress,
            asked: Semaphore::new(ASKED_MAX),
            apart: Arc::new(Semaphore::new(APART_KIB_MAX)),
            metrics: metrics.clone(),
            drain: drain.clone(),
            receivers: DashMap::new(),
        }))
    }

    /// Asks a receiver about one message, until `deadline` at the latest.
    ///
    /// # Errors
    /// [`Error`]: there is no verdict.
    pub async fn ask(&self, question: Question<'_>, deadline: Instant) -> Result<Verdict, Error> {
        let verdict = match self.0.asked.try_acquire() {
            Ok(_permit) => self.put(question, deadline).await,
            Err(_) => Err(Error::Busy),
        };
        self.count(question.filter, &verdict);
        verdict
    }

    /// Asks a receiver about one message while that goes on; `found` hears of the verdict, at once where it is not asked.
    pub fn ask_apart(
        &self,
        filter: &Arc<Compiled>,
        about: &Arc<About>,
        way: Direction,
        message: &Bytes,
        found: impl FnOnce(Result<Verdict, Error>) + Send + 'static,
    ) {
        let kib = u32::try_from(message.len() / 1024 + 1).unwrap_or(u32::MAX);
        let Ok(permit) = self.0.apart.clone().try_acquire_many_owned(kib) else {
            self.count(filter.name(), &Err(Error::Busy));
            return found(Err(Error::Busy));
        };
        let (webhooks, filter, about) = (self.clone(), filter.clone(), about.clone());
        let message = message.clone();
        self.0.drain.spawn("filter that observes", async move {
            let _permit = permit;
            let Some(hook) = filter.hook() else { return };
            let question = Question {
                filter: filter.name(),
                hook,
                about: &about,
                way,
                message: &message,
            };
            let verdict = webhooks.put(question, Instant::now() + APART_MAX).await;
            webhooks.count(filter.name(), &verdict);
            found(verdict);
        });
    }

    /// Counts what a filter would have done that only looks.
    pub fn count_observed(&self, filter: &FilterName, observed: Observed) {
        let labels = [("filter", filter.as_str()), ("outcome", observed.as_str())];
        let help =
            "Messages that filters looked at which only observe, by what they would have done.";
        let name = "gatehouse_filter_observed_total";
        self.0.metrics.counter(name, help, &labels).add_one();
    }

    fn count(&self, filter: &FilterName, verdict: &Result<Verdict, Error>) {
        let labels = [("filter", filter.as_str()), ("outcome", outcome(verdict))];
        let help = "Messages that receivers were to be asked about, by what came of it.";
        let name = "gatehouse_webhook_questions_total";
        self.0.metrics.counter(name, help, &labels).add_one();
    }

    /// Puts a question, unless its receiver has too many or fails all the time.
    async fn put(&self, question: Question<'_>, deadline: Instant) -> Result<Verdict, Error> {
        let (filter, now) = (question.filter, Instant::now());
        let asked = self.asked_of(filter);
        let _permit = asked.try_acquire().map_err(|_| Error::Busy)?;
        // Last, as where it is open this one is then the one that tries.
        if !self.may_ask(filter, now) {
            return Err(Error::Open);
        }
        let until = deadline.min(now + question.hook.timeout);
        let asked = timeout_at(until, self.exchange(question));
        let verdict = asked.await.unwrap_or(Err(Error::Late(until - now)));
        if let Some(mut receiver) = self.0.receivers.get_mut(filter) {
            receiver.breaker.note(verdict.is_ok(), Instant::now());
            receiver.took.observe(now.elapsed());
        }
        verdict
    }

    fn may_ask(&self, filter: &FilterName, now: Instant) -> bool {
        let receiver = self.0.receivers.get_mut(filter);
        receiver.is_none_or(|mut receiver| receiver.breaker.may_ask(now))
    }

    /// The permits for questions to the receiver of `filter`.
    fn asked_of(&self, filter: &FilterName) -> Arc<Semaphore> {
        if let Some(receiver) = self.0.receivers.get(filter) {
            return receiver.asked.clone();
        }
        if self.0.receivers.len() >= RECEIVERS_MAX {
            self.0.receivers.clear();
        }
        let name = "gatehouse_webhook_seconds";
        let help = "How long receivers took to answer, or were waited for.";
        let labels = [("filter", filter.as_str())];
        let receiver = Receiver {
            breaker: Breaker::default(),
            asked: Arc::new(Semaphore::new(ASKED_OF_ONE_MAX)),
            took: self.0.metrics.histogram(name, help, &labels, &SECONDS),
        };
        let receiver = self.0.receivers.entry(filter.clone()).or_insert(receiver);
        receiver.asked.clone()
    }

    async fn exchange(&self, question: Question<'_>) -> Result<Verdict, Error> {
        let hook = question.hook;
        let id = format!("msg_{}", uuid::Uuid::now_v7().simple());
        let request = match hook.format {
            Format::Standard => ask::standard(question, &id)?,
            Format::Obot => ask::obot(question)?,
        };
        let response = self.0.egress.send(&hook.url, request).await;
        let response = response.map_err(|error| Error::Unreachable(error.to_string()))?;
        match hook.format {
            Format::Standard => answer::standard(response, hook, &id).await,
            Format::Obot => answer::obot(response).await,
        }
    }
}

fn outcome(verdict: &Result<Verdict, Error>) -> &'static str {
    match verdict {
        Ok(Verdict::Allow) => "allow",
        Ok(Verdict::Deny(_)) => "deny",
        Ok(Verdict::Change(_)) => "change",
        Err(Error::Open | Error::Busy) => "not_asked",
        Err(Error::Late(_)) => "late",
        Err(_) => "error",
    }
}

#[cfg(test)]
pub(crate) mod tests;
