//! What a server asks its client for in mid-call: a modern one by its result (2026-07-28 basic/patterns/mrtr), a legacy
//! one by a request of its own. Both forms are read and written here; who waits for whom is the caller's.

use std::borrow::Cow;

use serde_json::Value;

use super::Error;
use crate::edit::{Change, Edits, quoted};
use crate::envelope::{Envelope, Span};
use crate::method;
use crate::revision::Revision;
use crate::walk;

/// The key of a request's parameters that holds the answers.
pub const RESPONSES_KEY: &str = "inputResponses";
/// The key of what a server wants back as it gave it, in results and in parameters.
pub const STATE_KEY: &str = "requestState";
const REQUESTS_KEY: &str = "inputRequests";
const ELICITATION_ID: &str = "elicitationId";

/// One thing that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Names it within the call.
    pub key: String,
    /// The method.
    pub method: String,
    /// Its raw parameters, an object. Empty: none.
    pub params: Vec<u8>,
}

/// What a modern result asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InputRequired {
    /// Each to be answered under its key.
    pub requests: Vec<Asked>,
    /// To be sent back, as raw JSON.
    pub state: Option<Vec<u8>>,
}

/// Reads a result of type `input_required`.
///
/// # Errors
/// [`Error::Shape`] where it asks for nothing, or in no form of the protocol.
pub fn of_result(message: &[u8], result: Span) -> Result<InputRequired, Error> {
    let mut out = InputRequired::default();
    for member in walk::members(message, result) {
        match &*member.key {
            REQUESTS_KEY => {
                for request in walk::members(message, member.value) {
                    out.requests
                        .push(asked(message, request.key, request.value)?);
                }
            }
            STATE_KEY => out.state = Some(member.value.of(message).to_vec()),
            _ => {}
        }
    }
    if out == InputRequired::default() {
        return Err(Error::Shape {
            what: "a result of type input_required",
            wanted: "a question: it has neither inputRequests nor requestState",
        });
    }
    Ok(out)
}

fn asked(message: &[u8], key: Cow<'_, str>, request: Span) -> Result<Asked, Error> {
    let method = walk::find(message, request, "method").and_then(|m| walk::text(m.of(message)));
    let method = method.ok_or(Error::Shape {
        what: "an entry of inputRequests",
        wanted: "a request with a method",
    })?;
    let params = walk::find(message, request, "params");
    Ok(Asked {
        key: key.into_owned(),
        method: method.into_owned(),
        params: params.map_or_else(Vec::new, |params| params.of(message).to_vec()),
    })
}

/// What a modern request brings with it when a call goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Brought {
    /// Answers by key, raw.
    pub responses: Vec<(String, Vec<u8>)>,
    /// The state that it was given, decoded.
    pub state: Option<String>,
}

/// Reads what a request goes on with; `None` if it begins a call.
#[must_use]
pub fn of_request(message: &Envelope<'_>) -> Option<Brought> {
    let params = message.params?;
    let bytes = message.bytes;
    let responses = walk::find(bytes, params, RESPONSES_KEY);
    let state = walk::find(bytes, params, STATE_KEY);
    if responses.is_none() && state.is_none() {
        return None;
    }
    let responses = responses.map(|span| {
        walk::members(bytes, span)
            .map(|member| (member.key.into_owned(), member.value.of(bytes).to_vec()))
            .collect()
    });
    Some(Brought {
        responses: responses.unwrap_or_default(),
        state: state
            .and_then(|span| walk::text(span.of(bytes)))
            .map(Cow::into_owned),
    })
}

/// A whole response of type `input_required` to the request with this raw `id`.
#[must_use]
pub fn response(id: &[u8], requests: &[Asked], state: &str, server_info: Option<&[u8]>) -> Vec<u8> {
    let mut out = br#"{"jsonrpc":"2.0","id":"#.to_vec();
    out.extend_from_slice(id);
    out.extend_from_slice(br#","result":{"resultType":"input_required""#);
    if !requests.is_empty() {
        out.extend_from_slice(br#","inputRequests":{"#);
        for (index, asked) in requests.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(&quoted(&asked.key));
            out.extend_from_slice(br#":{"method":"#);
            out.extend_from_slice(&quoted(&asked.method));
            if !asked.params.is_empty() {
                out.extend_from_slice(br#","params":"#);
                out.extend_from_slice(&asked.params);
            }
            out.push(b'}');
        }
        out.push(b'}');
    }
    out.extend_from_slice(br#","requestState":"#);
    out.extend_from_slice(&quoted(state));
    if let Some(info) = server_info {
        out.extend_from_slice(br#","_meta":{"#);
        out.extend_from_slice(&quoted(super::handshake::SERVER_INFO_KEY));
        out.push(b':');
        out.extend_from_slice(info);
        out.push(b'}');
    }
    out.extend_from_slice(b"}}");
    out
}

/// Answers as the raw value of [`RESPONSES_KEY`].
#[must_use]
pub fn responses(answers: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut out = vec![b'{'];
    for (index, (key, value)) in answers.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&quoted(key));
        out.push(b':');
        out.extend_from_slice(value);
    }
    out.push(b'}');
    out
}

/// What a modern server asks for, as a request to a legacy client of `revision` under the raw `id`. `elicitation_id` is
/// for one by URL, which needs a name in the older form.
#[must_use]
pub fn to_client(asked: &Asked, id: &[u8], elicitation_id: &str, revision: Revision) -> Vec<u8> {
    let by_url = || {
        let mode = walk::find(&asked.params, walk::root(&asked.params), "mode");
        let mode = mode.and_then(|mode| walk::text(mode.of(&asked.params)));
        mode.as_deref() == Some("url")
    };
    let name = quoted(elicitation_id);
    let is_old = revision < Revision::V2025_11_25;
    let params = match asked.method.as_str() {
        method::ELICITATION_CREATE if by_url() => {
            let named: [(&str, &[u8]); 1] = [(ELICITATION_ID, &name)];
            changed(&asked.params, &[ELICITATION_ID], &named)
        }
        method::ELICITATION_CREATE if is_old => changed(&asked.params, &["mode"], &[]),
        method::SAMPLING_CREATE_MESSAGE if is_old => {
            changed(&asked.params, &["tools", "toolChoice"], &[])
        }
        _ => changed(&asked.params, &[], &[]),
    };
    request(id, &asked.method, &params)
}

/// A raw object without some of its members, and with others; nothing where none is left. They keep their order, as the
/// fields of a form do: it is how people are shown them.
fn changed(params: &[u8], without: &[&str], with: &[(&str, &[u8])]) -> Vec<u8> {
    let params = if params.starts_with(b"{") {
        params
    } else {
        b"{}"
    };
    let change = |member: &walk::Member<'_>| {
        if without.contains(&&*member.key) {
            Change::Remove
        } else {
            Change::Keep
        }
    };
    let mut edits = Edits::new(params);
    edits.members(walk::root(params), change, with.iter().copied());
    // What was scanned can be edited. If not, nothing goes through that should have been left out.
    let changed = edits.apply().unwrap_or_default();
    let is_empty = walk::members(&changed, walk::root(&changed))
        .next()
        .is_none();
    if is_empty { Vec::new() } else { changed }
}

/// What a legacy server asks for, as a modern client reads it among the requests of a result.
#[must_use]
pub fn of_server(method: &str, params: &[u8], key: String) -> Asked {
    // Its tokens are the server's own, and no progress on it comes from a modern client.
    let params = changed(params, &[ELICITATION_ID, "task", "_meta"], &[]);
    Asked {
        key,
        method: method.to_owned(),
        params,
    }
}

/// The demands of the error `-32042` of 2025-11-25, as a modern client reads them: one by URL for each entry.
#[must_use]
pub fn of_url_error(error: &[u8]) -> Vec<Asked> {
    let error: Value = serde_json::from_slice(error).unwrap_or_default();
    let entries = error["data"]["elicitations"].as_array();
    let entries = entries.map(Vec::as_slice).unwrap_or_default();
    let asked = entries.iter().enumerate().map(|(index, entry)| {
        let mut params = entry.as_object().cloned().unwrap_or_default();
        params.remove("elicitationId");
        params.insert("mode".to_owned(), "url".into());
        Asked {
            key: format!("url-{}", index + 1),
            method: method::ELICITATION_CREATE.to_owned(),
            params: Value::Object(params).to_string().into_bytes(),
        }
    });
    asked.collect()
}

fn request(id: &[u8], method: &str, params: &[u8]) -> Vec<u8> {
    let mut out = br#"{"jsonrpc":"2.0","id":"#.to_vec();
    out.extend_from_slice(id);
    out.extend_from_slice(br#","method":"#);
    out.extend_from_slice(&quoted(method));
    if !params.is_empty() {
        out.extend_from_slice(br#","params":"#);
        out.extend_from_slice(params);
    }
    out.push(b'}');
    out
}

#[cfg(test)]
#[path = "inputs_tests.rs"]
mod tests;
