//! Filters.

use std::time::Duration;

use proto::v1 as pb;

use super::access::{globs, server_glob};
use super::{Faults, LIST_MAX};
use crate::fault::{BAD_VALUE, MISSING, NEVER_MATCHES};
use crate::filter::{Direction, Filter, Format, Kind, Match, Mode, OnError, Webhook};
use crate::name::{FilterName, SecretName};
use crate::url::HttpUrl;

/// How long a receiver may take, unless it is said.
const TIMEOUT: Duration = Duration::from_millis(500);
/// Longest that it may be given: all filters of a message together have no more.
const TIMEOUT_MAX: Duration = Duration::from_secs(10);
/// Longest keyword, in bytes.
const WORD_BYTES_MAX: usize = 256;

/// The one method that calls a tool (2026-07-28 server/tools, and all revisions before it).
const TOOLS_CALL: &str = "tools/call";

pub(super) fn convert(name: &str, spec: &pb::FilterSpec, faults: &mut Faults) -> Option<Filter> {
    let matches = matches(spec.r#match.as_ref(), faults);
    let kind = kind(spec, faults);
    let on_error = on_error(spec, faults);
    if spec.may_change && matches!(kind, Some(Kind::Keywords { .. })) {
        let message = "keywords refuse messages; only a webhook changes them";
        faults.push("spec.mayChange", BAD_VALUE, message);
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
                "is missing, and so is webhook: without one of them the filter does nothing",
            );
            None
        }
        Some(Wire::Webhook(hook)) => webhook(hook, faults).map(Kind::Webhook),
        Some(Wire::Keywords(keywords)) => Some(words(keywords, faults)),
    }
}

fn words(keywords: &pb::KeywordFilter, faults: &mut Faults) -> Kind {
    let path = "spec.keywords.words";
    if keywords.words.is_empty() {
        faults.push(path, MISSING, "is missing: at least one word is wanted");
    }
    faults.check_length(path, keywords.words.len());
    for (i, word) in keywords.words.iter().take(LIST_MAX).enumerate() {
        let message = match word.len() {
            0 => "an empty word would stand in every message",
            1..=WORD_BYTES_MAX => continue,
            _ => "a word has at most 256 bytes",
        };
        faults.push(format!("{path}[{i}]"), BAD_VALUE, message);
    }
    Kind::Keywords {
        words: keywords.words.clone(),
        fold: keywords.fold,
    }
}

fn webhook(hook: &pb::WebhookFilter, faults: &mut Faults) -> Option<Webhook> {
    let url = match hook.url.as_str() {
        "" => {
            faults.push("spec.webhook.url", MISSING, "is missing");
            None
        }
        text => HttpUrl::parse(text)
            .map_err(|error| {
                let message = format!("{text:?} is no URL that can be called: {error}");
                faults.push("spec.webhook.url", BAD_VALUE, message);
            })
            .ok(),
    };
    let secret = match hook.secret_name.as_str() {
        "" => {
            let message = "is missing: what a receiver is asked is signed";
            faults.push("spec.webhook.secretName", MISSING, message);
            None
        }
        text => SecretName::new(text)
            .map_err(|bad| faults.push("spec.webhook.secretName", BAD_VALUE, bad.to_string()))
            .ok(),
    };
    let timeout = match Duration::from_millis(hook.timeout_ms) {
        Duration::ZERO => TIMEOUT,
        given => given,
    };
    if timeout > TIMEOUT_MAX {
        let message = format!("more than {} s is not taken", TIMEOUT_MAX.as_secs());
        faults.push("spec.webhook.timeout", BAD_VALUE, message);
    }
    let format = match hook.format.as_str() {
        "" | "standard" => Some(Format::Standard),
        "obot" => Some(Format::Obot),
        other => {
            let message = format!("{other:?} is not one of standard, obot");
            faults.push("spec.webhook.format", BAD_VALUE, message);
            None
        }
    };
    if hook.signed_answer && format == Some(Format::Obot) {
        let message = "Obot's form has no signed answers";
        faults.push("spec.webhook.signedAnswer", BAD_VALUE, message);
    }
    Some(Webhook {
        url: url?,
        secret: secret?,
        timeout,
        format: format?,
        signed_answer: hook.signed_answer,
    })
}
