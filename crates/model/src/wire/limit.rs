//! Limits. One that counts nothing, or that could never count, is refused.

use std::time::Duration;

use proto::v1 as pb;

use super::access::{globs, server_glob, subject_list};
use super::{Faults, LIST_MAX};
use crate::access::Subjects;
use crate::fault::{BAD_VALUE, NEVER_MATCHES, ONE_OF};
use crate::filter::OnError;
use crate::limit::{BadRate, Calls, Limit, Match, Mode, Part, Rate, Scope};
use crate::name::{Glob, LimitName};

/// The one method that calls a tool (2026-07-28 server/tools, and all revisions before it).
const TOOLS_CALL: &str = "tools/call";
/// Longest time after which a burst is whole again.
const RECOVERY_MAX: Duration = Duration::from_secs(366 * 86_400);

pub(super) fn convert(name: &str, spec: &pb::LimitSpec, faults: &mut Faults) -> Option<Limit> {
    let matches = matches(spec.r#match.as_ref(), faults);
    let subjects = if spec.subjects.is_empty() {
        Subjects::Everyone
    } else {
        Subjects::Any(subject_list(&spec.subjects, faults))
    };
    let per = per(&spec.per, faults);
    let calls = calls(spec, faults);
    let request_bytes = rate(
        "spec.requestBytes",
        &spec.request_bytes,
        Rate::bytes,
        faults,
    );
    let response_bytes = rate(
        "spec.responseBytes",
        &spec.response_bytes,
        Rate::bytes,
        faults,
    );
    let counts_nothing = spec.rate.is_empty()
        && spec.concurrency == 0
        && spec.request_bytes.is_empty()
        && spec.response_bytes.is_empty();
    if counts_nothing {
        let message = "one of rate, concurrency, requestBytes, responseBytes is wanted";
        faults.push("spec.rate", ONE_OF, message);
    }
    let scope = match pb::LimitScope::try_from(spec.scope) {
        Ok(pb::LimitScope::Unspecified | pb::LimitScope::Shared) => Scope::Shared,
        Ok(pb::LimitScope::Edge) => Scope::Edge,
        Err(_) => unknown("spec.scope", spec.scope, "scope", Scope::Shared, faults),
    };
    let on_store_error = match pb::OnError::try_from(spec.on_store_error) {
        Ok(pb::OnError::Unspecified | pb::OnError::Deny) => OnError::Deny,
        Ok(pb::OnError::Allow) => OnError::Allow,
        Err(_) => {
            let (path, given) = ("spec.onStoreError", spec.on_store_error);
            unknown(path, given, "value", OnError::Deny, faults)
        }
    };
    let mode = match pb::LimitMode::try_from(spec.mode) {
        Ok(pb::LimitMode::Unspecified | pb::LimitMode::Enforce) => Mode::Enforce,
        Ok(pb::LimitMode::Observe) => Mode::Observe,
        Err(_) => unknown("spec.mode", spec.mode, "mode", Mode::Enforce, faults),
    };
    Some(Limit {
        name: LimitName::new(name).ok()?,
        matches,
        subjects,
        per,
        calls,
        concurrency: (spec.concurrency > 0).then_some(spec.concurrency),
        request_bytes,
        response_bytes,
        scope,
        on_store_error,
        mode,
    })
}

/// A number that is no value of an enum: a fault, so what stands in its place is never used.
fn unknown<T>(path: &str, given: i32, what: &str, instead: T, faults: &mut Faults) -> T {
    faults.push(path, BAD_VALUE, format!("{given} is not a {what}"));
    instead
}

fn matches(spec: Option<&pb::LimitMatch>, faults: &mut Faults) -> Match {
    let all = pb::LimitMatch::default();
    let spec = spec.unwrap_or(&all);
    let path = "spec.match.servers";
    faults.check_length(path, spec.servers.len());
    let server = |(i, text): (usize, &String)| server_glob(format!("{path}[{i}]"), text, faults);
    let servers = spec.servers.iter().take(LIST_MAX).enumerate();
    let servers = servers.filter_map(server).collect();
    let mut methods = globs("spec.match.methods", &spec.methods, faults);
    if spec.methods.is_empty() {
        methods.extend(Glob::new(TOOLS_CALL));
    }
    let tools = globs("spec.match.tools", &spec.tools, faults);
    if !tools.is_empty() && !methods.is_empty() && !methods.iter().any(|m| m.matches(TOOLS_CALL)) {
        let message =
            "the limit can never match: tools are called by tools/call, which methods leave out";
        faults.push("spec.match.tools", NEVER_MATCHES, message);
    }
    Match {
        servers,
        methods,
        tools,
    }
}

fn per(texts: &[String], faults: &mut Faults) -> Vec<Part> {
    let path = "spec.per";
    faults.check_length(path, texts.len());
    let mut parts = Vec::new();
    for (i, text) in texts.iter().take(LIST_MAX).enumerate() {
        let words = Part::ALL.map(Part::as_str).join(", ");
        match Part::parse(text) {
            None => {
                let message = format!("{text:?} is not one of {words}");
                faults.push(format!("{path}[{i}]"), BAD_VALUE, message);
            }
            Some(part) if parts.contains(&part) => {
                let message = format!("{text:?} stands there twice");
                faults.push(format!("{path}[{i}]"), BAD_VALUE, message);
            }
            Some(part) => parts.push(part),
        }
    }
    parts.sort_unstable();
    parts
}

fn calls(spec: &pb::LimitSpec, faults: &mut Faults) -> Option<Calls> {
    if spec.rate.is_empty() && spec.burst > 0 {
        let message = format!("{} without rate means nothing: give rate, too", spec.burst);
        faults.push("spec.burst", BAD_VALUE, message);
    }
    let rate = rate("spec.rate", &spec.rate, Rate::calls, faults)?;
    let burst = match spec.burst {
        0 => Calls::burst_of(rate),
        given => given,
    };
    let calls = Calls { rate, burst };
    if burst > Calls::BURST_MAX {
        let message = format!("{burst} is over the {} that are taken", Calls::BURST_MAX);
        faults.push("spec.burst", BAD_VALUE, message);
    } else if rate.time_of(burst.into()) > RECOVERY_MAX {
        let message = format!("{burst} calls at this rate take more than 366 days: give less");
        faults.push("spec.burst", BAD_VALUE, message);
    }
    Some(calls)
}

fn rate(
    path: &str,
    text: &str,
    read: fn(&str) -> Result<Rate, BadRate>,
    faults: &mut Faults,
) -> Option<Rate> {
    if text.is_empty() {
        return None;
    }
    let bad = |bad: BadRate| faults.push(path, BAD_VALUE, bad.to_string());
    read(text).map_err(bad).ok()
}
