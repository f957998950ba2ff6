//! What a server is told: by the admin or from secrets; as environment variables of what is hosted, as headers or parts
//! of the URL of what is remote.

use std::collections::BTreeMap;

use proto::v1 as pb;

use super::server::check_process_text;
use super::{Faults, LIST_MAX};
use crate::fault::{BAD_VALUE, DUPLICATE, MISSING};
use crate::name::SecretName;
use crate::server::{Runtime, Value};
use crate::template;

/// Headers that are Gatehouse's own to set, besides those that begin with one of [`OUR_PREFIXES`].
const OUR_HEADERS: [&str; 16] = [
    "accept",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "last-event-id",
    "te",
    "trailer",
    "transfer-encoding",
    "traceparent",
    "tracestate",
    "upgrade",
    "baggage",
];
const OUR_PREFIXES: [&str; 4] = ["mcp-", "gatehouse-", "proxy-", "x-forwarded-"];

/// Converted entries, by where they go.
#[derive(Debug, Default)]
pub(super) struct Values {
    pub(super) env: BTreeMap<String, Value>,
    /// By name in lower case.
    pub(super) headers: BTreeMap<String, Value>,
    pub(super) url: BTreeMap<String, Value>,
}

/// Converts all entries. `runtime` is `None` where it is at fault itself.
pub(super) fn convert(
    entries: &[pb::ConfigEntry],
    runtime: Option<&Runtime>,
    faults: &mut Faults,
) -> Values {
    faults.check_length("spec.config", entries.len());
    let mut values = Values::default();
    for (i, entry) in entries.iter().take(LIST_MAX).enumerate() {
        let at = |field: &str| format!("spec.config[{i}].{field}");
        faults.check_text(&at("title"), &entry.title);
        let value = value(entry, &at, faults);
        let target = target(entry, &at, &mut values, faults);
        if let Some(runtime) = runtime {
            check_fit(entry, runtime, &at, faults);
        }
        if let (Some(value), Some((map, key))) = (value, target)
            && map.insert(key, value).is_some()
        {
            let message = format!("{:?} is given twice", entry.key);
            faults.push(at("key"), DUPLICATE, message);
        }
    }
    if let Some(Runtime::Remote { url }) = runtime {
        check_places(url, &values.url, faults);
    }
    values
}

fn value(
    entry: &pb::ConfigEntry,
    at: &impl Fn(&str) -> String,
    faults: &mut Faults,
) -> Option<Value> {
    let only = |field: &str, given: bool, from: &str, faults: &mut Faults| {
        if given {
            let message = format!("only an entry with `from: {from}` has one");
            faults.push(at(field), BAD_VALUE, message);
        }
    };
    match entry.from.as_str() {
        "admin" => {
            check_process_text(&at("value"), &entry.value, faults);
            if entry.required && entry.value.is_empty() {
                let message = "is missing, and the entry is required";
                faults.push(at("value"), MISSING, message);
            }
            if entry.secret {
                let message =
                    "a value in a file is no secret: use `from: secret` with a secretName";
                faults.push(at("secret"), BAD_VALUE, message);
            }
            only(
                "secretName",
                !entry.secret_name.is_empty(),
                "secret",
                faults,
            );
            Some(Value::Plain(entry.value.clone()))
        }
        "secret" => {
            only("value", !entry.value.is_empty(), "admin", faults);
            if entry.secret_name.is_empty() {
                faults.push(at("secretName"), MISSING, "is missing");
                return None;
            }
            SecretName::new(&entry.secret_name)
                .map_err(|bad| faults.push(at("secretName"), BAD_VALUE, bad.to_string()))
                .ok()
                .map(Value::Secret)
        }
        "user" => {
            faults.unsupported(at("from"), "from user");
            None
        }
        "" => {
            faults.push(at("from"), MISSING, "is missing: admin or secret");
            None
        }
        other => {
            let message = format!("{other:?} is not one of admin, user, secret");
            faults.push(at("from"), BAD_VALUE, message);
            None
        }
    }
}

/// Where an entry goes, and under which key.
fn target<'v>(
    entry: &pb::ConfigEntry,
    at: &impl Fn(&str) -> String,
    values: &'v mut Values,
    faults: &mut Faults,
) -> Option<(&'v mut BTreeMap<String, Value>, String)> {
    let (map, good, form) = match entry.r#as.as_str() {
        "env" => (
            &mut values.env,
            is_env_name(&entry.key),
            "a variable's name: letters, digits and _, no digit first",
        ),
        "url" => (
            &mut values.url,
            is_env_name(&entry.key),
            "a key: letters, digits and _, no digit first",
        ),
        "header" => (
            &mut values.headers,
            is_header_name(&entry.key),
            "a header that may be set: letters, digits, - and _, and none of those that Gatehouse sets itself",
        ),
        "file" => {
            faults.unsupported(at("as"), "as file");
            return None;
        }
        "" => {
            faults.push(at("as"), MISSING, "is missing: env, header or url");
            return None;
        }
        other => {
            let message = format!("{other:?} is not one of env, file, header, url");
            faults.push(at("as"), BAD_VALUE, message);
            return None;
        }
    };
    if entry.key.is_empty() {
        faults.push(at("key"), MISSING, "is missing");
        return None;
    }
    if !good {
        faults.push(
            at("key"),
            BAD_VALUE,
            format!("{:?} is not {form}", entry.key),
        );
        return None;
    }
    let key = match entry.r#as.as_str() {
        "header" => entry.key.to_ascii_lowercase(),
        _ => entry.key.clone(),
    };
    Some((map, key))
}

/// Hosted servers have an environment, remote ones headers and a URL; an external one is told nothing from here.
fn check_fit(
    entry: &pb::ConfigEntry,
    runtime: &Runtime,
    at: &impl Fn(&str) -> String,
    faults: &mut Faults,
) {
    let wanted = match runtime {
        Runtime::Remote { .. } => "header or url",
        Runtime::External => {
            let message = "an external server is told what it needs by whoever starts its sidecar";
            faults.push(at("as"), BAD_VALUE, message);
            return;
        }
        _ => "env",
    };
    let fits = match entry.r#as.as_str() {
        "env" => runtime.is_hosted(),
        "header" | "url" => matches!(runtime, Runtime::Remote { .. }),
        _ => true,
    };
    if !fits {
        let message = format!(
            "{:?} does not reach a server of runtime {}: {wanted} does",
            entry.r#as,
            runtime.kind()
        );
        faults.push(at("as"), BAD_VALUE, message);
    }
}

/// Every place of a URL has its value, and every value its place.
fn check_places(url: &str, values: &BTreeMap<String, Value>, faults: &mut Faults) {
    let Ok(keys) = template::keys(url) else {
        return;
    };
    let path = "spec.runtime.remote.urlTemplate";
    for key in &keys {
        if !values.contains_key(*key) {
            let message =
                format!("${{{key}}} has no value: config needs an entry {key} with `as: url`");
            faults.push(path, MISSING, message);
        }
    }
    for key in values.keys().filter(|key| !keys.contains(&key.as_str())) {
        let message = format!("the URL has no ${{{key}}} for the entry {key} of config");
        faults.push(path, BAD_VALUE, message);
    }
}

fn is_env_name(text: &str) -> bool {
    !text.as_bytes().first().is_none_or(u8::is_ascii_digit)
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_header_name(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    lower
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        && !OUR_HEADERS.contains(&lower.as_str())
        && !OUR_PREFIXES.iter().any(|prefix| lower.starts_with(prefix))
}
