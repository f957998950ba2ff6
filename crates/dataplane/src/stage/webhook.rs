//! Asks receivers about messages: signed, bounded in time, and not again and again where nobody answers.
//!
//! ```text
//! message -> body (our form, or Obot's) -> signed -> egress -> verdict: allow, deny, change; or an error
//!              breaker: after some errors in a row nobody is asked for a moment, then one at a time
//! ```
//!
//! What an error means is not decided here: see [`crate::stage::filter`]. A receiver never gets a credential, and
//! what it answers is believed only in its exact form.

mod answer;
mod breaker;
mod sign;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dashmap::DashMap;
use engine::filter::Hook;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method, Request};
use http_body_util::Full;
use model::filter::{Direction, Format};
use model::name::{FilterName, ServerName};
use model::principal::Principal;
use model::snapshot::Revision;
use runtime::clock::now_unix_s;
use runtime::metrics::{Histogram, Metrics, SECONDS};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

pub use self::answer::Verdict;
use self::breaker::Breaker;
use crate::egress::Egress;

/// Receivers that may be asked at one time; further questions are errors at once.
const ASKED_MAX: usize = 2048;
/// … of one filter, so that a slow one takes nothing from the others.
const ASKED_OF_ONE_MAX: usize = 256;
/// Filters whose receivers are kept. A full map is emptied: breakers close again.
const RECEIVERS_MAX: usize = 10_000;
/// What receivers see of us.
const AGENT: &str = concat!("gatehouse/", env!("CARGO_PKG_VERSION"));

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

/// The way to receivers. Clones are the same.
#[derive(Debug, Clone)]
pub struct Webhooks(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    egress: Egress,
    /// One permit for each question under way.
    asked: Semaphore,
    metrics: Metrics,
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
    /// Over a way out. What becomes of questions is shown among `metrics`.
    pub fn new(egress: Egress, metrics: &Metrics) -> Self {
        Self(Arc::new(Inner {
            egress,
            asked: Semaphore::new(ASKED_MAX),
            metrics: metrics.clone(),
            receivers: DashMap::new(),
        }))
    }

    /// Asks the receiver of `filter` about one message, until `deadline` at the latest.
    ///
    /// # Errors
    /// [`Error`]: there is no verdict.
    pub async fn ask(
        &self,
        filter: &FilterName,
        hook: &Hook,
        about: &About,
        way: Direction,
        message: &[u8],
        deadline: Instant,
    ) -> Result<Verdict, Error> {
        let asked = async {
            let now = Instant::now();
            let busy = |_| Error::Busy;
            let _permit = self.0.asked.try_acquire().map_err(busy)?;
            let asked = self.asked_of(filter);
            let _permit_of_one = asked.try_acquire().map_err(busy)?;
            // Last, as where it is open this one is then the one that tries.
            if !self.may_ask(filter, now) {
                return Err(Error::Open);
            }
            let until = deadline.min(now + hook.timeout);
            let asked = timeout_at(until, self.exchange(hook, about, way, message));
            let verdict = asked.await.unwrap_or(Err(Error::Late(until - now)));
            if let Some(mut receiver) = self.0.receivers.get_mut(filter) {
                receiver.breaker.note(verdict.is_ok(), Instant::now());
                receiver.took.observe(now.elapsed());
            }
            verdict
        };
        let verdict = asked.await;
        let labels = [("filter", filter.as_str()), ("outcome", outcome(&verdict))];
        let help = "Messages that receivers were to be asked about, by what came of it.";
        let name = "gatehouse_webhook_questions_total";
        self.0.metrics.counter(name, help, &labels).add_one();
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

    async fn exchange(
        &self,
        hook: &Hook,
        about: &About,
        way: Direction,
        message: &[u8],
    ) -> Result<Verdict, Error> {
        let id = format!("msg_{}", uuid::Uuid::now_v7().simple());
        let request = match hook.format {
            Format::Standard => standard(hook, about, way, message, &id)?,
            Format::Obot => obot(hook, message)?,
        };
        let response = self.0.egress.send(&hook.url, request).await;
        let response = response.map_err(|error| Error::Unreachable(error.to_string()))?;
        match hook.format {
            Format::Standard => answer::standard(response, hook, &id).await,
            Format::Obot => Ok(answer::obot(&response)),
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

/// What our own receivers are asked (CONTRACT section 6).
#[derive(Serialize)]
struct Question<'a> {
    version: u32,
    id: &'a str,
    direction: &'static str,
    time: String,
    principal: Who<'a>,
    server: &'a str,
    method: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    revision: u64,
    message: &'a RawValue,
}

#[derive(Serialize)]
struct Who<'a> {
    user: &'a str,
    groups: &'a [Arc<str>],
    client: &'a str,
}

fn standard(
    hook: &Hook,
    about: &About,
    way: Direction,
    message: &[u8],
    id: &str,
) -> Result<Request<Full<Bytes>>, Error> {
    let question = |error: &dyn std::fmt::Display| Error::Question(error.to_string());
    let text = std::str::from_utf8(message).map_err(|e| question(&e))?;
    let raw: &RawValue = serde_json::from_str(text).map_err(|e| question(&e))?;
    let body = serde_json::to_vec(&Question {
        version: 1,
        id,
        direction: match way {
            Direction::Response => "response",
            Direction::Request | Direction::Both => "request",
        },
        time: jiff::Timestamp::now().to_string(),
        principal: Who {
            user: &about.principal.user,
            groups: &about.principal.groups,
            client: &about.client,
        },
        server: about.server.as_str(),
        method: &about.method,
        name: &about.name,
        revision: about.revision.0,
        message: raw,
    });
    let body = body.map_err(|e| question(&e))?;
    let timestamp = now_unix_s();
    let key = sign::standard_key(&hook.key).map_err(Error::Question)?;
    let signature = sign::standard(&key, id, timestamp, &body);
    let mut request = post(body);
    let headers = request.headers_mut();
    for (name, value) in [
        (sign::ID, id),
        (sign::TIMESTAMP, &timestamp.to_string()),
        (sign::SIGNATURE, &signature),
    ] {
        let value = HeaderValue::from_str(value).map_err(|e| question(&e))?;
        headers.insert(name, value);
    }
    Ok(request)
}

/// What Obot's receivers are asked: the message alone.
fn obot(hook: &Hook, message: &[u8]) -> Result<Request<Full<Bytes>>, Error> {
    let signature = sign::obot(hook.key.expose().as_bytes(), message);
    let mut request = post(message.to_vec());
    let value = HeaderValue::from_str(&signature).map_err(|e| Error::Question(e.to_string()))?;
    request.headers_mut().insert(sign::OBOT, value);
    Ok(request)
}

fn post(body: Vec<u8>) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() = Method::POST;
    let headers = request.headers_mut();
    let json = HeaderValue::from_static("application/json");
    headers.insert(CONTENT_TYPE, json.clone());
    headers.insert(ACCEPT, json);
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    request
}

#[cfg(test)]
mod tests;
