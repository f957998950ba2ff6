//! Puts a call on record: open before it goes on, close before the last byte of its reply.
//!
//! A recording that is dropped unfinished closes itself as `cancelled`: the client left, or the reply
//! broke. Nothing that was begun is missing from the log.

use std::sync::Arc;
use std::time::{Duration, Instant};

use model::access::Recorded;
use model::decision::{Decision, Reason};
use model::name::{LimitName, RuleName, ServerName};
use model::principal::Principal;
use model::record::{CallId, Change, Hop, Phase, Record, Trace};
use model::snapshot::Revision;
use runtime::audit::Log;
use runtime::clock::now_unix_ns;

use super::findings::Findings;
use super::said::{self, Hearing};
use crate::budget::Permit;
use crate::meter::ServerMeter;

/// Longest name (tool, prompt, URI) that a record keeps, in bytes; a longer one is cut.
const NAME_BYTES_MAX: usize = 512;

/// The record cannot be written; the call must not go on, or its reply must not end well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the audit record cannot be written")]
pub struct Unrecorded;

/// One call's record in the making.
#[derive(Debug)]
pub struct Recording {
    log: Log,
    /// Boxed: a recording is handed on several times, and a record is large.
    record: Box<Record>,
    /// What filters do to its messages; `None`: none selects any.
    findings: Option<Findings>,
    began: Instant,
    asked: Option<Instant>,
    opened: bool,
    closed: bool,
    /// Nothing is written: it is part of another call, which is on record.
    silent: bool,
    /// How long people were waited for: nobody's overhead.
    waited: Duration,
    /// Given back when the reply is over.
    permit: Option<Permit>,
    meter: Arc<ServerMeter>,
    /// What came of the reply so far, where its result is to be on record.
    hearing: Option<Hearing>,
}

impl Recording {
    /// Begins with what is known at the door: who calls which server.
    pub fn begin(
        log: &Log,
        hop: Hop,
        id: CallId,
        trace: Trace,
        who: (&Principal, &ServerName),
        revision: Revision,
        meter: Arc<ServerMeter>,
    ) -> Self {
        let nothing: Arc<str> = "".into();
        let (principal, server) = who;
        let record = Record {
            call_id: id,
            time_unix_ns: now_unix_ns(),
            hop,
            user: principal.user.clone(),
            groups: principal.groups.clone(),
            client: principal.client.clone().unwrap_or_else(|| nothing.clone()),
            credential: principal.credential.clone(),
            server: Some(server.clone()),
            method: nothing.clone(),
            name: nothing.clone(),
            request_id: nothing.clone(),
            mcp_revision: "",
            decision: Decision::Allow,
            reason: None,
            rule: None,
            filters: Vec::new(),
            revision,
            duration_ns: 0,
            upstream_ns: 0,
            trace,
            error_code: 0,
            tool_error: false,
            http_status: 0,
            client_address: nothing.clone(),
            direct: false,
            limit: None,
            findings: Vec::new(),
            request_change: None,
            response_change: None,
            approval: nothing.clone(),
            approver: nothing,
            said: None,
            observed: Arc::default(),
        };
        let record = Box::new(record);
        Self {
            log: log.clone(),
            record,
            findings: None,
            began: Instant::now(),
            asked: None,
            opened: false,
            closed: false,
            silent: false,
            waited: Duration::ZERO,
            permit: None,
            meter,
            hearing: None,
        }
    }

    /// Writes nothing: the call is part of another one, which is on record.
    #[must_use]
    pub fn silent(mut self) -> Self {
        self.silent = true;
        self
    }

    /// The call turned out to be one of this server.
    pub fn move_to(&mut self, server: &ServerName, meter: Arc<ServerMeter>) {
        self.record.server = Some(server.clone());
        self.meter = meter;
    }

    /// The call's id.
    pub fn id(&self) -> CallId {
        self.record.call_id
    }

    /// The trace that it stands in.
    pub fn current_trace(&self) -> Trace {
        self.record.trace
    }

    /// Makes room for a reply of which so many bytes are held at one time. False: there is none.
    pub fn hold_reply(&mut self, bytes: usize) -> bool {
        let permit = self.permit.as_mut();
        permit.is_none_or(|permit| permit.hold_reply(bytes))
    }

    /// Keeps the call's permit for as long as the reply lasts.
    pub fn hold(&mut self, permit: Permit) {
        self.permit = Some(permit);
    }

    /// Leaves no record: the message turned out to be no call.
    pub fn forget(mut self) {
        self.closed = true;
    }

    /// Adds what the message says.
    pub fn describe(&mut self, method: &str, target: Option<&str>, id: Option<&[u8]>) {
        self.record.method = cut(method, NAME_BYTES_MAX).into();
        if let Some(target) = target {
            self.record.name = cut(target, NAME_BYTES_MAX).into();
        }
        if let Some(id) = id {
            let text = String::from_utf8_lossy(id);
            self.record.request_id = cut(text.trim_matches('"'), NAME_BYTES_MAX).into();
        }
    }

    /// Adds the client's own words about itself, where its credential says nothing.
    pub fn client(&mut self, client: &str) {
        if self.record.client.is_empty() {
            self.record.client = cut(client, 64).into();
        }
    }

    /// Adds the client's revision and, at the first hop, its address.
    pub fn peer(&mut self, revision: &'static str, address: Option<String>) {
        self.record.mcp_revision = revision;
        if let Some(address) = address {
            self.record.client_address = address.into();
        }
    }

    /// Continues another trace than the one that was begun.
    pub fn trace(&mut self, trace: Trace) {
        self.record.trace = trace;
    }

    /// Names the rule that decided.
    pub fn rule(&mut self, rule: Option<&RuleName>) {
        self.record.rule = rule.cloned();
    }

    /// Keeps what the deciding rule asks for of what is said: the call's arguments, redacted, and the result to come.
    pub fn ask(&mut self, asked: Recorded, arguments: Option<&[u8]>) {
        // A call of a virtual server is decided on twice, with the same arguments.
        if asked.arguments && self.record.said.is_none() {
            let kept = said::redacted(arguments.unwrap_or(b"{}"));
            let said = self.record.said.get_or_insert_default();
            said.arguments = kept.text;
            (said.arguments_cut, said.arguments_redacted) = (kept.cut, kept.redacted);
        }
        // The rule that decides last counts.
        self.hearing = asked.results.then(Hearing::default);
    }

    /// A piece of the reply goes by; does nothing unless its result is to be on record.
    pub fn heard(&mut self, piece: &[u8]) {
        if let Some(hearing) = &mut self.hearing {
            hearing.heard(piece);
        }
    }

    /// What rules that only observe would have changed.
    pub fn observed(&mut self, observed: Option<&str>) {
        self.record.observed = observed.unwrap_or_default().into();
    }

    /// Adds filters that ran, in their order; one that is there already is not named twice.
    pub fn filters<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        for name in names {
            if !self.record.filters.iter().any(|f| &**f == name) {
                self.record.filters.push(name.into());
            }
        }
    }

    /// Names the limit that refuses, or that would refuse where it only observes.
    pub fn limit(&mut self, limit: &LimitName) {
        self.record.limit = Some(limit.clone());
    }

    /// Where filters say what they do to the call's messages.
    pub fn findings(&mut self) -> Findings {
        self.findings.get_or_insert_default().clone()
    }

    /// Filters have changed the request.
    pub fn request_changed(&mut self, change: Change) {
        self.record.request_change = Some(change);
    }

    /// Filters have changed the response.
    pub fn response_changed(&mut self, change: Change) {
        self.record.response_change = Some(change);
    }

    /// Names the approval that the call waited for, and who decided about it.
    pub fn approval(&mut self, id: &str, approver: &str) {
        self.record.approval = cut(id, NAME_BYTES_MAX).into();
        self.record.approver = cut(approver, NAME_BYTES_MAX).into();
    }

    /// Somebody was waited for since then.
    pub fn waited_since(&mut self, since: Instant) {
        self.waited += since.elapsed();
    }

    /// Says what was decided, where it is not simply allowed.
    pub fn decide(&mut self, decision: Decision, reason: Option<Reason>) {
        self.record.decision = decision;
        self.record.reason = reason;
    }

    /// The edge delivers to the server itself.
    pub fn direct(&mut self) {
        self.record.direct = self.record.hop == Hop::Edge;
    }

    /// Writes the open record. The call goes on only where this is `Ok`.
    pub fn open(&mut self) -> Result<(), Unrecorded> {
        self.write(Phase::Open)?;
        self.opened = true;
        self.asked = Some(Instant::now());
        Ok(())
    }

    /// The server has answered: what comes now is our own time.
    pub fn answered(&mut self) {
        if let Some(asked) = self.asked.take() {
            self.record.upstream_ns = nanos(asked);
        }
    }

    /// Says how the reply turned out.
    pub fn outcome(&mut self, http_status: u16, error_code: i64, tool_error: bool) {
        self.record.http_status = http_status;
        self.record.error_code = error_code;
        self.record.tool_error = tool_error;
    }

    /// Writes the close record. The reply's last byte may go only where this is `Ok`.
    pub fn close(&mut self) -> Result<(), Unrecorded> {
        if self.closed {
            return Ok(());
        }
        self.closed = true;
        if !self.opened && !self.silent {
            // What a full log keeps free is for calls that were begun.
            self.log.check().map_err(|_| Unrecorded)?;
        }
        self.answered();
        if let Some(result) = self.hearing.take().and_then(Hearing::result) {
            let said = self.record.said.get_or_insert_default();
            (said.result, said.result_cut) = (result.text, result.cut);
        }
        self.record.duration_ns = nanos(self.began);
        self.meter.count(&self.record, self.waited);
        if let Some(findings) = self.findings.take_if(|_| !self.silent) {
            findings.close(&self.log, &mut self.record);
        }
        self.write(Phase::Close)
    }

    fn write(&self, phase: Phase) -> Result<(), Unrecorded> {
        if self.silent {
            return Ok(());
        }
        self.log
            .append(phase, &self.record)
            .map(drop)
            .map_err(|error| {
                tracing::error!(%error, call_id = %self.record.call_id, "audit record not written");
                Unrecorded
            })
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if !self.closed {
            self.decide(Decision::Error, Some(Reason::Cancelled));
            // Nobody is left to tell; the log has said so itself.
            let _ = self.close();
        }
    }
}

fn nanos(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Cuts at a character's boundary.
fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}
