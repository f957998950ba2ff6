//! One call as it is shown: a row for people, an object for programs, a line for `tail`.

use proto::v1::Call;
use serde::Serialize;
use serde_json::Value;

use crate::show::{Meaning, Show, Table};
use crate::when;

/// `12:04:31 allow 38ms ana@example.com cursor everything/echo rule=engineers`
pub(crate) fn line(show: &Show, call: &Call) -> String {
    let decision = show.paint(meaning(&call.decision), &call.decision);
    let because = because(call);
    let because = match (because.as_str(), call.rule.is_empty()) {
        ("", _) => String::new(),
        (limit, _) if call.reason == "limit" => format!(" {limit}"),
        (rule, false) => format!(" rule={rule}"),
        (reason, true) => format!(" {reason}"),
    };
    let or_dash = |text: &str| {
        if text.is_empty() {
            "-".to_owned()
        } else {
            text.to_owned()
        }
    };
    format!(
        "{} {decision} {}ms {} {} {}{because}",
        when::clock(call.time_unix_ns),
        milliseconds(call.duration_ns),
        or_dash(&call.user),
        or_dash(&call.client),
        target(call),
    )
}

/// Calls as a table.
pub(crate) fn table(calls: &[Call], wide: bool) -> Table {
    let mut table = Table::new(header(wide));
    for call in calls {
        table.cells(cells(call, wide));
    }
    table
}

const fn header(wide: bool) -> &'static [&'static str] {
    if wide {
        &[
            "TIME", "USER", "CLIENT", "CALL", "DECISION", "RULE", "MS", "GROUPS", "METHOD",
            "REASON", "OBSERVED", "FILTERS", "REVISION", "UPSTREAM", "NODE", "CALL ID",
        ]
    } else {
        &["TIME", "USER", "CLIENT", "CALL", "DECISION", "RULE", "MS"]
    }
}

fn cells(call: &Call, wide: bool) -> Vec<(String, Meaning)> {
    let plain = |text: String| (text, Meaning::Plain);
    let mut cells = vec![
        plain(when::clock(call.time_unix_ns)),
        plain(call.user.clone()),
        plain(call.client.clone()),
        plain(target(call)),
        (call.decision.clone(), meaning(&call.decision)),
        plain(because(call)),
        plain(milliseconds(call.duration_ns).to_string()),
    ];
    if wide {
        cells.extend([
            plain(call.groups.join(",")),
            plain(call.method.clone()),
            plain(call.reason.clone()),
            plain(call.observed.clone()),
            plain(call.filters.join(",")),
            plain(call.revision.to_string()),
            plain(milliseconds(call.upstream_ns).to_string()),
            plain(call.node.clone()),
            plain(call.call_id.clone()),
        ]);
    }
    cells
}

fn meaning(decision: &str) -> Meaning {
    match decision {
        "allow" => Meaning::Good,
        "deny" | "error" => Meaning::Act,
        _ => Meaning::Look,
    }
}

/// `everything/echo`, or the method where nothing is named: `everything tools/list`.
fn target(call: &Call) -> String {
    if call.name.is_empty() {
        format!("{} {}", call.server, call.method)
    } else {
        format!("{}/{}", call.server, call.name)
    }
}

/// What decided: the rule; or, where a filter refused, that filter; or the limit; or the reason.
fn because(call: &Call) -> String {
    match (call.reason.as_str(), refusing(call)) {
        ("limit", _) => format!("limit:{}", call.limit),
        ("filter" | "filter_error", Some(filter)) => format!("filter:{filter}"),
        ("" | "rule", _) => call.rule.clone(),
        (reason, _) => reason.to_owned(),
    }
}

/// The filter that refused a call: the one that says so, else the last that ran.
fn refusing(call: &Call) -> Option<&str> {
    let says = |finding: &String| finding.ends_with(": deny") || finding.ends_with(": error deny");
    let says = call.findings.iter().rev().find(|finding| says(finding));
    let named = says.and_then(|finding| finding.split(':').next());
    named.or_else(|| call.filters.last().map(String::as_str))
}

const fn milliseconds(ns: u64) -> u64 {
    ns.div_ceil(1_000_000)
}

/// A call as programs read it: the contract's fields, in its order.
#[derive(Debug, Serialize)]
pub(crate) struct View<'a> {
    call_id: &'a str,
    time: String,
    seq: u64,
    node: &'a str,
    user: &'a str,
    groups: &'a [String],
    client: &'a str,
    server: &'a str,
    method: &'a str,
    name: &'a str,
    decision: &'a str,
    reason: Option<&'a str>,
    rule: Option<&'a str>,
    filters: &'a [String],
    revision: u64,
    duration_ms: f64,
    upstream_ms: f64,
    trace_id: &'a str,
    request_id: &'a str,
    hash: &'a str,
    limit: Option<&'a str>,
    findings: &'a [String],
    request_sha256: Option<&'a str>,
    request_changed_sha256: Option<&'a str>,
    response_sha256: Option<&'a str>,
    response_changed_sha256: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approver: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<Value>,
    #[serde(skip_serializing_if = "is_not")]
    arguments_cut: bool,
    #[serde(skip_serializing_if = "is_not")]
    arguments_redacted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Value>,
    #[serde(skip_serializing_if = "is_not")]
    result_cut: bool,
    /// What rules that only observe would have changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    observed: Option<&'a str>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde wants"
)]
const fn is_not(truth: &bool) -> bool {
    !*truth
}

/// What was said: JSON where it is whole, the text of its beginning where it was cut. `None`: not recorded.
fn said(text: &str, cut: bool) -> Option<Value> {
    if text.is_empty() {
        return None;
    }
    let whole = || serde_json::from_str(text).ok();
    let parsed = if cut { None } else { whole() };
    Some(parsed.unwrap_or_else(|| Value::String(text.to_owned())))
}

impl<'a> View<'a> {
    pub(crate) fn of(call: &'a Call) -> Self {
        let some = |text: &'a str| Some(text).filter(|text| !text.is_empty());
        Self {
            call_id: &call.call_id,
            time: when::rfc3339_ns(call.time_unix_ns),
            seq: call.seq,
            node: &call.node,
            user: &call.user,
            groups: &call.groups,
            client: &call.client,
            server: &call.server,
            method: &call.method,
            name: &call.name,
            decision: &call.decision,
            reason: some(&call.reason),
            rule: some(&call.rule),
            filters: &call.filters,
            revision: call.revision,
            duration_ms: precise_ms(call.duration_ns),
            upstream_ms: precise_ms(call.upstream_ns),
            trace_id: &call.trace_id,
            request_id: &call.request_id,
            hash: &call.hash,
            limit: some(&call.limit),
            findings: &call.findings,
            request_sha256: some(&call.request_sha256),
            request_changed_sha256: some(&call.request_changed_sha256),
            response_sha256: some(&call.response_sha256),
            response_changed_sha256: some(&call.response_changed_sha256),
            approval: some(&call.approval),
            approver: some(&call.approver),
            arguments: said(&call.arguments, call.arguments_cut),
            arguments_cut: call.arguments_cut,
            arguments_redacted: call.arguments_redacted,
            result: said(&call.result, call.result_cut),
            result_cut: call.result_cut,
            observed: some(&call.observed),
        }
    }
}

/// Milliseconds to the microsecond.
#[expect(
    clippy::cast_precision_loss,
    reason = "microseconds of a call are far below 2^52"
)]
fn precise_ms(ns: u64) -> f64 {
    (ns / 1_000) as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(reason: &str, rule: &str, filters: &[&str]) -> Call {
        Call {
            server: "everything".to_owned(),
            method: "tools/call".to_owned(),
            name: "echo".to_owned(),
            reason: reason.to_owned(),
            rule: rule.to_owned(),
            filters: filters.iter().map(|f| (*f).to_owned()).collect(),
            duration_ns: 38_400_000,
            ..Call::default()
        }
    }

    #[test]
    fn the_rule_column_says_what_decided() {
        assert_eq!(
            because(&call("", "engineers", &["no-hacking"])),
            "engineers"
        );
        assert_eq!(because(&call("rule", "no-env", &[])), "no-env");
        assert_eq!(because(&call("no_rule", "", &[])), "no_rule");
        assert_eq!(
            because(&call("filter", "engineers", &["a", "no-hacking"])),
            "filter:no-hacking"
        );
        let mut of_several = call("filter", "engineers", &["a", "no-hacking"]);
        of_several.findings = ["b: observed deny", "a: deny", "b: deny question"]
            .map(str::to_owned)
            .to_vec();
        assert_eq!(because(&of_several), "filter:a");
        assert_eq!(
            because(&Call {
                limit: "per-user".to_owned(),
                ..call("limit", "engineers", &[])
            }),
            "limit:per-user"
        );
        assert_eq!(
            because(&call("unavailable", "engineers", &[])),
            "unavailable"
        );
    }

    #[test]
    fn json_has_the_contracts_fields_in_its_order() {
        let text =
            serde_json::to_string(&View::of(&call("", "engineers", &[]))).unwrap_or_default();
        let names = "call_id time seq node user groups client server method name decision reason rule filters \
                     revision duration_ms upstream_ms trace_id request_id hash limit findings request_sha256 \
                     request_changed_sha256 response_sha256 response_changed_sha256";
        let mut at = 0;
        for name in names.split_whitespace() {
            let found = text[at..].find(&format!("\"{name}\":"));
            at += found.unwrap_or_else(|| panic!("{name} is missing or out of order in {text}"));
        }
        assert_eq!(
            text.matches("\":").count(),
            names.split_whitespace().count()
        );
        assert!(text.contains("\"duration_ms\":38.4,"), "{text}");
    }

    #[test]
    fn what_was_said_is_shown_where_it_is_on_record() {
        let mut said = call("", "engineers", &[]);
        said.arguments = r#"{"a":1}"#.to_owned();
        (said.result, said.result_cut) = (r#"{"b":"x"#.to_owned(), true);
        let view = serde_json::to_value(View::of(&said)).unwrap_or_default();
        assert_eq!(view["arguments"], serde_json::json!({"a": 1}));
        assert_eq!(view["result"], serde_json::json!("{\"b\":\"x"));
        assert_eq!(view["result_cut"], serde_json::json!(true));
        assert!(view.get("arguments_cut").is_none());
    }

    #[test]
    fn what_would_have_been_is_told_where_it_differs() {
        let mut call = call("", "engineers", &[]);
        call.observed = "deny by no-secrets".to_owned();
        let text = serde_json::to_string(&View::of(&call)).unwrap_or_default();
        assert!(
            text.ends_with(r#","observed":"deny by no-secrets"}"#),
            "{text}"
        );
        assert!(header(true).contains(&"OBSERVED"));
    }

    #[test]
    fn both_tables_are_even() {
        for wide in [false, true] {
            assert!(table(&[call("", "engineers", &[])], wide).is_even());
        }
    }
}
