//! The headers that mirror a modern message on its way to a server: as the client sent them, which was checked at the
//! door; made anew where a filter has changed the message.
//!
//! Which argument a `Mcp-Param-*` header mirrors stands in the tool's schema, which is not known here. But the header says
//! what the argument said: where one argument alone did, it is that one.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use mcp::envelope::{self, Limits, Span};
use mcp::headers::{
    MCP_METHOD, MCP_NAME, MCP_PARAM_PREFIX, decode_value, encode_value, is_mirror, wants_name,
};
use mcp::walk;

use crate::call::Call;
use crate::refusal::Fault;

/// Largest integer that a header mirrors (2026-07-28 server/tools: the range in which doubles are exact).
const INTEGER_MAX: f64 = 9_007_199_254_740_991.0;

/// Adds the headers that mirror `call`.
///
/// # Errors
/// It cannot be told what one of them should say.
pub(super) fn mirror(call: &Call<'_>, to: &mut HeaderMap) -> Result<(), Fault> {
    for (name, value) in call.headers.iter().filter(|(name, _)| is_mirror(name)) {
        to.insert(name.clone(), value.clone());
    }
    if let Some(task) = &call.tasks.one {
        to.insert(MCP_NAME, text(&encode_value(&task.id))?);
        return Ok(());
    }
    let Some(came) = call.came else {
        return Ok(());
    };
    to.insert(MCP_METHOD, text(call.method())?);
    match call.target().filter(|_| wants_name(call.method())) {
        Some(name) => drop(to.insert(MCP_NAME, text(&encode_value(name))?)),
        None => drop(to.remove(MCP_NAME)),
    }
    parameters(call, came, to)
}

/// What arguments say now that headers mirror.
fn parameters(call: &Call<'_>, came: &Bytes, to: &mut HeaderMap) -> Result<(), Fault> {
    let is_parameter = |name: &&HeaderName| name.as_str().starts_with(MCP_PARAM_PREFIX);
    let names: Vec<HeaderName> = call.headers.keys().filter(is_parameter).cloned().collect();
    if names.is_empty() {
        return Ok(());
    }
    let unreadable = |_| Fault::unavailable("the message as it came cannot be read again");
    let before = envelope::scan(came, &Limits::REQUEST).map_err(unreadable)?;
    let mut said = Vec::new();
    if let Some(arguments) = before.arguments {
        collect(came, arguments, &mut Vec::new(), &mut said);
    }
    for name in names {
        let value = call
            .headers
            .get(&name)
            .and_then(|value| value.to_str().ok());
        let Some(value) = value.and_then(decode_value) else {
            continue;
        };
        let mirrored = said.iter().filter(|(_, text)| *text == value);
        let mut now = mirrored.map(|(path, _)| at(call, path));
        // Nothing says what it mirrors: the server compares it, as it always does.
        let Some(first) = now.next() else { continue };
        if now.any(|other| other != first) {
            return Err(Fault::not_bridgeable(format!(
                "a filter has changed the call, and which argument the header {name} mirrors cannot be told: several \
                 said the same"
            )));
        }
        match first {
            Some(value) => drop(to.insert(name, text(&encode_value(&value))?)),
            None => drop(to.remove(name)),
        }
    }
    Ok(())
}

/// All texts, integers and booleans of an object, also of objects in it, by the keys that lead to them.
fn collect<'m>(
    message: &'m [u8],
    object: Span,
    path: &mut Vec<Cow<'m, str>>,
    found: &mut Vec<(Vec<Cow<'m, str>>, Cow<'m, str>)>,
) {
    for member in walk::members(message, object) {
        path.push(member.key);
        if let Some(said) = said(member.value.of(message)) {
            found.push((path.clone(), said));
        } else if member.value.of(message).starts_with(b"{") {
            collect(message, member.value, path, found);
        }
        path.pop();
    }
}

/// What the changed message says in this place; `None`: nothing that a header could.
fn at<'c>(call: &'c Call<'_>, path: &[Cow<'_, str>]) -> Option<Cow<'c, str>> {
    let mut value = call.message.arguments?;
    for key in path {
        value = walk::find(call.body, value, key)?;
    }
    said(value.of(call.body))
}

/// A value as a header says it.
fn said(raw: &[u8]) -> Option<Cow<'_, str>> {
    match raw.first()? {
        b'"' => walk::text(raw),
        b't' | b'f' => std::str::from_utf8(raw).ok().map(Cow::Borrowed),
        b'-' | b'0'..=b'9' => {
            let number: f64 = std::str::from_utf8(raw).ok()?.parse().ok()?;
            let is_integer = number.fract() == 0.0 && number.abs() <= INTEGER_MAX;
            is_integer.then(|| Cow::Owned(format!("{number:.0}")))
        }
        _ => None,
    }
}

fn text(text: &str) -> Result<HeaderValue, Fault> {
    HeaderValue::from_str(text).map_err(|_| Fault::unavailable("a header is not text"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn values_are_said_as_the_protocol_has_it() {
        for (raw, expected) in [
            (r#""eu""#, Some("eu")),
            (r#""\u0065u""#, Some("eu")),
            ("42", Some("42")),
            ("42.0", Some("42")),
            ("-7", Some("-7")),
            ("1e3", Some("1000")),
            ("true", Some("true")),
            ("1.5", None),
            ("1e300", None),
            ("null", None),
            ("{}", None),
            ("[1]", None),
        ] {
            assert_eq!(said(raw.as_bytes()).as_deref(), expected, "{raw}");
        }
    }

    #[test]
    fn arguments_are_found_wherever_an_object_holds_them() {
        let text = br#"{"a":"x","b":{"c":7,"d":["x"],"e":{"f":false}},"n":null}"#;
        let mut found = Vec::new();
        collect(text, walk::root(text), &mut Vec::new(), &mut found);
        let found: Vec<_> = found
            .iter()
            .map(|(path, said)| (path.join("."), said.to_string()))
            .collect();
        let expected = [("a", "x"), ("b.c", "7"), ("b.e.f", "false")];
        assert_eq!(found, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    }
}
