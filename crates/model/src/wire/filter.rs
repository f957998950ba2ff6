//! Filters: what all have in common. Each kind has a file of its own.

mod hidden;
mod injection;
mod keywords;
mod pii;
mod regex;
mod schema;
mod size;
mod webhook;

use proto::v1 as pb;

use super::access::{globs, server_glob};
use super::{Faults, LIST_MAX};
use crate::fault::{BAD_VALUE, MISSING, NEVER_MATCHES};
use crate::filter::{Action, Direction, Filter, Kind, Match, Mode, OnError};
use crate::name::{FilterName, SecretName};

/// The one method that calls a tool (2026-07-28 server/tools, and all revisions before it).
const TOOLS_CALL: &str = "tools/call";

pub(super) fn convert(name: &str, spec: &pb::FilterSpec, faults: &mut Faults) -> Option<Filter> {
    let matches = matches(spec.r#match.as_ref(), faults);
    let kind = kind(spec, faults);
    let on_error = on_error(spec, faults);
    if let Some(kind) = &kind {
        check_may_change(kind, spec.may_change, faults);
    }
    if let (Some(Kind::Schema), Some(matches)) = (&kind, &matches) {
        schema::check(matches, faults);
    }
    let mode = mode(spec, faults);
    Some(Filter {
        name: FilterName::new(name).ok()?,
        matches: matches?,
        kind: kind?,
        on_error: on_error?,
        may_change: spec.may_change,
        order: spec.order,
        mode: mode?,
    })
}

fn matches(spec: Option<&pb::FilterMatch>, faults: &mut Faults) -> Option<Match> {
    let all = pb::FilterMatch::default();
    let spec = spec.unwrap_or(&all);
    let path = "spec.match.servers";
    faults.check_length(path, spec.servers.len());
    let server = |(i, text): (usize, &String)| server_glob(format!("{path}[{i}]"), text, faults);
    let servers = spec
        .servers
        .iter()
        .take(LIST_MAX)
        .enumerate()
        .filter_map(server)
        .collect();
    let methods = globs("spec.match.methods", &spec.methods, faults);
    let tools = globs("spec.match.tools", &spec.tools, faults);
    if !tools.is_empty() && !methods.is_empty() && !methods.iter().any(|m| m.matches(TOOLS_CALL)) {
        let message =
            "the filter can never match: tools are called by tools/call, which methods leave out";
        faults.push("spec.match.tools", NEVER_MATCHES, message);
    }
    Some(Match {
        servers,
        methods,
        tools,
        direction: direction(spec, faults)?,
    })
}

fn direction(spec: &pb::FilterMatch, faults: &mut Faults) -> Option<Direction> {
    match pb::Direction::try_from(spec.direction) {
        Ok(pb::Direction::Unspecified | pb::Direction::Both) => Some(Direction::Both),
        Ok(pb::Direction::Request) => Some(Direction::Request),
        Ok(pb::Direction::Response) => Some(Direction::Response),
        Err(_) => {
            faults.push(
                "spec.match.direction",
                BAD_VALUE,
                format!("{} is not a direction", spec.direction),
            );
            None
        }
    }
}

fn mode(spec: &pb::FilterSpec, faults: &mut Faults) -> Option<Mode> {
    match pb::FilterMode::try_from(spec.mode) {
        Ok(pb::FilterMode::Unspecified | pb::FilterMode::Enforce) => Some(Mode::Enforce),
        Ok(pb::FilterMode::Observe) => Some(Mode::Observe),
        Err(_) => {
            faults.push(
                "spec.mode",
                BAD_VALUE,
                format!("{} is not one of enforce, observe", spec.mode),
            );
            None
        }
    }
}

fn on_error(spec: &pb::FilterSpec, faults: &mut Faults) -> Option<OnError> {
    match pb::OnError::try_from(spec.on_error) {
        Ok(pb::OnError::Unspecified | pb::OnError::Deny) => Some(OnError::Deny),
        Ok(pb::OnError::Allow) => Some(OnError::Allow),
        Err(_) => {
            faults.push(
                "spec.onError",
                BAD_VALUE,
                format!("{} is not one of deny, allow", spec.on_error),
            );
            None
        }
    }
}

fn kind(spec: &pb::FilterSpec, faults: &mut Faults) -> Option<Kind> {
    use pb::filter_spec::Kind as Wire;
    match &spec.kind {
        None => {
            faults.push(
                "spec.keywords",
                MISSING,
                "is missing, and so is every other kind: without one of them the filter does nothing",
            );
            None
        }
        Some(Wire::Hidden(hidden)) => hidden::convert(*hidden, faults),
        Some(Wire::Injection(injection)) => injection::convert(*injection, faults),
        Some(Wire::Keywords(keywords)) => Some(keywords::convert(keywords, faults)),
        Some(Wire::Pii(pii)) => pii::convert(pii, faults),
        Some(Wire::Regex(regex)) => regex::convert(regex, faults),
        Some(Wire::Schema(_)) => Some(Kind::Schema),
        Some(Wire::Size(size)) => size::convert(size, faults),
        Some(Wire::Webhook(hook)) => webhook::convert(hook, faults).map(Kind::Webhook),
    }
}

/// Whoever reads the file sees by `mayChange` whether messages arrive as they were sent; so it says what the action does.
fn check_may_change(kind: &Kind, may_change: bool, faults: &mut Faults) {
    let Some(action) = kind.action() else {
        return;
    };
    let (name, changes) = (kind.name(), action != Action::Refuse);
    let message = match (changes, may_change) {
        (true, true) | (false, false) => return,
        (true, false) => format!(
            "must be true: {name} with action {} changes messages",
            action.as_str()
        ),
        (false, true) => format!("must be false: {name} as it stands only refuses messages"),
    };
    faults.push("spec.mayChange", BAD_VALUE, message);
}

fn no_action(path: &str, value: i32, faults: &mut Faults) {
    faults.push(path, BAD_VALUE, format!("{value} is not an action"));
}

fn secret_name(path: &str, text: &str, faults: &mut Faults) -> Option<SecretName> {
    SecretName::new(text)
        .map_err(|bad| faults.push(path, BAD_VALUE, bad.to_string()))
        .ok()
}
