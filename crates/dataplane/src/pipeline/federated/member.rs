//! One member is asked, as part of a request that concerns several: within its time, decided on and filtered like any
//! other, and on record at its sidecar only.

use bytes::Bytes;
use engine::federation::Federation;
use futures_util::future::join_all;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use mcp::envelope::{self, Kind, Limits, Span};
use mcp::error::{SESSION_ENDED, code};
use mcp::headers::{MCP_METHOD, MCP_PROTOCOL_VERSION};
use mcp::walk;
use model::decision::Reason;
use model::name::ServerName;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use super::super::halt::{Ended, Halt};
use super::super::reply::{collect_apart, last_response};
use super::super::{Incall, Shared};
use super::gather::is_over;
use crate::body::ReplyBody;
use crate::budget::{Budget, Permit};
use crate::call::Call;
use crate::deliver::Hop;
use crate::deliver::messages::is_json;
use crate::refusal::Fault;
use crate::stage::record::Recording;

/// Where an answer names the members that are not in it.
const UNAVAILABLE: &str = "gatehouse.dev/unavailable";
/// So much of an answer needs no room of its own, bytes: nearly all are smaller.
const ANSWER_FREE_BYTES: usize = 64 * 1024;
/// Longest piece of a member's own words that is passed on, characters.
const WORDS_CHARS_MAX: usize = 300;

/// What a member answered.
#[derive(Debug)]
pub(super) enum Said {
    /// A response with a result.
    Result(Answer),
    /// It does not know the method.
    Nothing,
    /// It does not take the parameters.
    BadParams,
    /// It may not be asked this.
    Refused,
    /// Its part of the session was ended by the client, and so was the session.
    Over,
    /// It cannot be had.
    Failed(Absent),
}

/// A whole response, with room for it as long as it is held.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) body: Bytes,
    _room: Option<Permit>,
}

/// Why a member is not in an answer.
#[derive(Debug, Clone)]
pub(super) struct Absent {
    reason: String,
    message: String,
}

impl Absent {
    pub(super) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason: reason.as_str().to_owned(),
            message: message.into(),
        }
    }

    /// It took too long.
    pub(super) fn late() -> Self {
        Self::new(Reason::Timeout, "it did not answer in time")
    }

    /// The answer where this member alone was meant.
    pub(super) fn fault(&self) -> Fault {
        if self.is(Reason::Timeout) {
            Fault::timeout(self.message.clone())
        } else {
            Fault::unavailable(self.message.clone())
        }
    }

    /// Whether it is for this reason.
    pub(super) fn is(&self, reason: Reason) -> bool {
        self.reason == reason.as_str()
    }
}

/// Members that are not in an answer, or not with all that they have.
#[derive(Debug, Default)]
pub(super) struct Absences(Vec<(ServerName, Absent)>);

impl Absences {
    pub(super) fn add(&mut self, server: &ServerName, absent: Absent) {
        self.0.push((server.clone(), absent));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What an answer's `_meta` says about them; nothing where there are none.
    pub(super) fn meta(&self) -> Map<String, Value> {
        let mut meta = Map::new();
        if !self.0.is_empty() {
            let one = |(server, absent): &(ServerName, Absent)| json!({"server": server.as_str(), "reason": absent.reason, "message": absent.message});
            let all = self.0.iter().map(one).collect();
            meta.insert(UNAVAILABLE.to_owned(), Value::Array(all));
        }
        meta
    }

    /// The answer where nobody else is left.
    pub(super) fn fault(&self, federation: &Federation) -> Fault {
        let timed_out = Reason::Timeout.as_str();
        let all_late = self.0.iter().all(|(_, absent)| absent.reason == timed_out);
        let words = self
            .0
            .iter()
            .map(|(server, absent)| format!("{server}: {}", absent.message));
        let words: Vec<String> = words.take(8).collect();
        let name = match federation.name() {
            name if name.is_all() => "/mcp",
            name => name.as_str(),
        };
        let message = format!("no server behind {name} answers: {}", words.join("; "));
        if all_late && !self.is_empty() {
            Fault::timeout(message)
        } else {
            Fault::unavailable(message)
        }
    }
}

impl<H: Hop> Incall<'_, H> {
    /// Asks several members at once, each in its time; answers in the order of the questions.
    pub(super) async fn ask_all(
        &self,
        federation: &Federation,
        call: &Call<'_>,
        questions: &[(usize, Bytes)],
    ) -> Vec<(usize, Said)> {
        let asked = questions.iter().map(|(at, body)| {
            let server = &federation.members()[*at].server;
            Box::pin(async move { (*at, self.ask_in_time(call, server, body).await) })
        });
        join_all(asked).await
    }

    /// Asks one member, unless it has missed its time before: then it is not waited for again before a while is over.
    async fn ask_in_time(&self, call: &Call<'_>, server: &ServerName, body: &Bytes) -> Said {
        let patience = &self.shared.hop.federating().patience;
        let Some(turn) = patience.turn(server, &call.principal.user) else {
            let message = "it did not answer in time before, and is asked again in a while";
            return Said::Failed(Absent::new(Reason::Timeout, message));
        };
        let said = timeout(self.time_of(server), self.ask(call, server, body)).await;
        turn.is_over(said.is_ok());
        said.unwrap_or_else(|_| Said::Failed(Absent::late()))
    }

    /// Asks all members that the caller may use what the client asks.
    pub(super) async fn ask_each(
        &self,
        federation: &Federation,
        call: &Call<'_>,
    ) -> Vec<(usize, Said)> {
        let all = self.usable(federation).map(|at| (at, call.body.clone()));
        let all: Vec<_> = all.collect();
        self.ask_all(federation, call, &all).await
    }

    /// The same, for what is on record from here on.
    ///
    /// # Errors
    /// The record cannot be written, or the client has ended the session: that only its parts know.
    pub(super) async fn open_and_ask_each(
        &self,
        federation: &Federation,
        call: &Call<'_>,
        slot: &mut Option<Recording>,
    ) -> Ended<Vec<(usize, Said)>> {
        let id = call.message.raw_id();
        self.open(slot, id)?;
        let answers = self.ask_each(federation, call).await;
        if is_over(&answers) {
            return Err(Halt::fault(&Fault::session_was_ended(), id));
        }
        Ok(answers)
    }

    /// How long a member may take.
    pub(super) fn time_of(&self, server: &ServerName) -> std::time::Duration {
        let longest = self.shared.hop.federating().member_timeout;
        let server = self.config.engine.server(server.as_str());
        server.map_or(longest, |server| server.limits.call.min(longest))
    }

    /// Asks one member with `body`, a request in the client's name. Nothing bounds the time.
    pub(super) async fn ask(&self, call: &Call<'_>, server: &ServerName, body: &Bytes) -> Said {
        match self.reply_of(call, server, body, false).await {
            Ok(response) => said(&self.shared.budget, response).await,
            Err(absent) => Said::Failed(absent),
        }
    }

    /// Sends a member `body`, a request in the client's name; its reply is still to come.
    pub(super) async fn reply_of(
        &self,
        call: &Call<'_>,
        server: &ServerName,
        body: &Bytes,
        sse: bool,
    ) -> Result<Response<ReplyBody>, Absent> {
        let invalid = |error: envelope::ScanError| Absent::new(Reason::Invalid, error.to_string());
        let message = envelope::scan(body, &Limits::REQUEST).map_err(invalid)?;
        let Some(permit) = self.shared.budget.take(body.len() as u64) else {
            return Err(Absent::new(
                Reason::Overloaded,
                "too many calls are under way",
            ));
        };
        let headers = own_headers(call, message.method());
        let tasks = self.tasks(server, body, &message);
        let member = Call {
            tasks: &tasks,
            server,
            body,
            message: &message,
            headers: &headers,
            sse,
            ..*call
        };
        let mut slot = Some(silent(self.shared, &member));
        let id = message.raw_id();
        let ended = Box::pin(self.request(&member, id, &mut slot, permit)).await;
        Ok(ended.unwrap_or_else(|halt| halt.end(slot)))
    }
}

/// The part of one member in a call that is on record as a whole.
fn silent<H: Hop>(shared: &Shared<H>, call: &Call<'_>) -> Recording {
    let who = (&**call.principal, call.server);
    let meter = shared.meter.of(Some(call.server));
    let revision = call.config.engine.revision();
    let mut recording = Recording::begin(
        &shared.audit,
        H::HOP,
        call.id,
        call.trace,
        who,
        revision,
        meter,
    )
    .silent();
    recording.describe(call.method(), call.target(), call.message.raw_id());
    recording
}

/// The headers of a request that was made here in the client's name.
fn own_headers(call: &Call<'_>, method: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(method) = HeaderValue::from_str(method)
        && call.is_modern()
    {
        headers.insert(MCP_METHOD, method);
    }
    let version = HeaderValue::from_static(call.revision.as_str());
    headers.insert(MCP_PROTOCOL_VERSION, version);
    headers
}

/// Reads what a member answers.
pub(super) async fn said(budget: &Budget, response: Response<ReplyBody>) -> Said {
    let (parts, body) = response.into_parts();
    let is_json = is_json(&parts.headers);
    let unusable = |why: String| {
        let message = format!("its answer cannot be used: {why}");
        Said::Failed(Absent::new(Reason::Unavailable, message))
    };
    let body = match collect_apart(budget, body).await {
        Ok(body) if is_json => body,
        Ok(events) => match last_response(&events) {
            Some(body) => body,
            None => return unusable("its stream ended before the response".to_owned()),
        },
        Err(why) => return unusable(why),
    };
    let read = match envelope::scan(&body, &Limits::RESPONSE) {
        Ok(read) if read.kind == Kind::Response => read,
        Ok(_) => return unusable("it is no response".to_owned()),
        Err(error) => return unusable(error.to_string()),
    };
    let Some(error) = read.error else {
        return result(budget, body);
    };
    let text = |object, key| {
        let value = walk::find(&body, object, key)?;
        walk::text(value.of(&body))
    };
    match read.error_code {
        Some(code::METHOD_NOT_FOUND) => Said::Nothing,
        Some(code::INVALID_PARAMS) => Said::BadParams,
        Some(code::REFUSED) if !is_limited(&body, error) => Said::Refused,
        _ => {
            let data = walk::find(&body, error, "data");
            let reason = data.and_then(|data| text(data, "reason"));
            if parts.status == StatusCode::NOT_FOUND && reason.as_deref() == Some(SESSION_ENDED) {
                return Said::Over;
            }
            let ours = [code::UNAVAILABLE, code::REFUSED].map(Some);
            let ours = ours.contains(&read.error_code);
            let reason = reason.filter(|_| ours);
            let message = text(error, "message").unwrap_or_default();
            Said::Failed(Absent {
                reason: reason.map_or_else(|| Reason::Unavailable.as_str().into(), Into::into),
                message: message.chars().take(WORDS_CHARS_MAX).collect(),
            })
        }
    }
}

/// Whether it is a limit that refuses: the caller may ask, only not now.
fn is_limited(body: &Bytes, error: Span) -> bool {
    let find = |object, key| walk::find(body, object, key);
    let reason = find(error, "data").and_then(|data| find(data, "reason"));
    let reason = reason.and_then(|reason| walk::text(reason.of(body)));
    reason.as_deref() == Some(Reason::Limit.as_str())
}

/// As long as others are waited for, what has come is held, and counts.
fn result(budget: &Budget, body: Bytes) -> Said {
    if body.len() <= ANSWER_FREE_BYTES {
        return Said::Result(Answer { body, _room: None });
    }
    match budget.take(body.len() as u64) {
        Some(room) => Said::Result(Answer {
            body,
            _room: Some(room),
        }),
        None => Said::Failed(Absent::new(
            Reason::Overloaded,
            "there is no room for its answer",
        )),
    }
}
