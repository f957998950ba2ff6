//! One call: what came, who sent it, and what it is called in records and traces.
//!
//! Everything in here is borrowed from the request and from one snapshot of the configuration; it lives
//! until the reply has begun.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use http::header::ACCEPT;
use mcp::envelope::Envelope;
use mcp::revision::{Era, Revision};
use model::name::ServerName;
use model::principal::Principal;
use model::record::{CallId, Trace};

use crate::approval::Approved;
use crate::config::live::Config;
use crate::deliver::tasks::Tasks;

/// The header that carries the call's id from hop to hop. Only ever read on mTLS hops.
pub const CALL_HEADER: &str = "gatehouse-call";
/// W3C trace context.
pub const TRACEPARENT: &str = "traceparent";

/// One message from a client, on its way to the server.
#[derive(Debug)]
pub struct Call<'a> {
    /// The same at every hop.
    pub id: CallId,
    /// The server that it is for.
    pub server: &'a ServerName,
    /// Who calls.
    pub principal: &'a Arc<Principal>,
    /// Where the client calls from, as the first hop sees it.
    pub client_address: Option<IpAddr>,
    /// The one snapshot by which all is decided.
    pub config: &'a Arc<Config>,
    /// The message as it came.
    pub body: &'a Bytes,
    /// The message as it was read: borrowed from `body`.
    pub message: &'a Envelope<'a>,
    /// The client's revision of MCP.
    pub revision: Revision,
    /// The handle that the sidecar gave a legacy session; `None` for modern calls and for `initialize`.
    pub session: Option<&'a str>,
    /// This hop's trace context.
    pub trace: Trace,
    /// Whether the client takes an event stream.
    pub sse: bool,
    /// The request's headers.
    pub headers: &'a HeaderMap,
    /// The client application, for display only.
    pub client: &'a str,
    /// The message as it came, where a filter has changed it: headers that mirror it say what it was.
    pub came: Option<&'a Bytes>,
    /// The tasks that it is about.
    pub tasks: &'a Tasks,
    /// What a person has agreed to, where somebody had to.
    pub approval: Option<&'a Approved>,
}

impl Call<'_> {
    /// Whether the client is of the era without sessions.
    pub fn is_modern(&self) -> bool {
        self.revision.era() == Era::Modern
    }

    /// The method; empty for a response.
    pub fn method(&self) -> &str {
        self.message.method.as_deref().unwrap_or_default()
    }

    /// Its arguments as they came; empty where it has none.
    pub fn arguments(&self) -> &[u8] {
        let arguments = self.message.arguments.as_ref();
        arguments.map_or(&[], |span| span.of(self.body))
    }

    /// The tool, prompt, resource or task that it is about.
    pub fn target(&self) -> Option<&str> {
        self.message.target.as_deref()
    }
}

/// What kinds of answer a client takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accept {
    /// `application/json`.
    pub json: bool,
    /// `text/event-stream`.
    pub sse: bool,
}

impl Accept {
    /// Everything.
    pub const ALL: Self = Self {
        json: true,
        sse: true,
    };

    /// Reads the `Accept` headers. None at all accepts everything (RFC 9110, section 12.5.1).
    pub fn of(headers: &HeaderMap) -> Self {
        let mut accept = Self {
            json: false,
            sse: false,
        };
        let mut given = false;
        for value in headers.get_all(ACCEPT) {
            given = true;
            for part in value.as_bytes().split(|b| *b == b',') {
                accept.take(part);
            }
        }
        if given {
            accept
        } else {
            Self {
                json: true,
                sse: true,
            }
        }
    }

    fn take(&mut self, part: &[u8]) {
        let range = part
            .split(|b| *b == b';')
            .next()
            .unwrap_or_default()
            .trim_ascii();
        let is = |text: &str| range.eq_ignore_ascii_case(text.as_bytes());
        self.json |= is("application/json") || is("application/*") || is("*/*");
        self.sse |= is("text/event-stream") || is("text/*") || is("*/*");
    }
}

/// Continues the trace that `parent` names (W3C `traceparent`), or begins one named after the call.
pub fn trace(parent: Option<&str>, id: CallId) -> Trace {
    let span_id = new_span_id();
    match parent.and_then(parse_traceparent) {
        Some((trace_id, parent, sampled)) => Trace {
            trace_id,
            span_id,
            parent: Some(parent),
            sampled,
        },
        None => Trace {
            trace_id: id.0,
            span_id,
            parent: None,
            sampled: true,
        },
    }
}

/// Writes a `traceparent` whose parent is this hop's span.
pub fn traceparent(trace: &Trace) -> String {
    let mut out = String::with_capacity(55);
    out.push_str("00-");
    push_hex(&mut out, &trace.trace_id);
    out.push('-');
    push_hex(&mut out, &trace.span_id);
    out.push_str(if trace.sampled { "-01" } else { "-00" });
    out
}

fn push_hex(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

/// A span of its own, inside of this one.
pub fn inside(trace: &Trace) -> Trace {
    Trace {
        span_id: new_span_id(),
        parent: Some(trace.span_id),
        ..*trace
    }
}

fn new_span_id() -> [u8; 8] {
    let mut id = [0; 8];
    id.copy_from_slice(&uuid::Uuid::new_v4().as_bytes()[8..]);
    id
}

/// Trace id, parent span id and the sampled flag of a version 00 `traceparent`.
fn parse_traceparent(text: &str) -> Option<([u8; 16], [u8; 8], bool)> {
    let mut parts = text.split('-');
    let (version, trace, parent, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if version.len() != 2 || version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let lower = |t: &str| {
        t.bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    if !lower(trace) || !lower(parent) || flags.len() != 2 || !lower(flags) {
        return None;
    }
    let (mut trace_id, mut parent_id) = ([0; 16], [0; 8]);
    hex::decode_to_slice(trace, &mut trace_id).ok()?;
    hex::decode_to_slice(parent, &mut parent_id).ok()?;
    let sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
    (trace_id != [0; 16] && parent_id != [0; 8]).then_some((trace_id, parent_id, sampled))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_trace_goes_on_where_the_parent_left_it() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let trace = trace(Some(parent), CallId([9; 16]));
        assert_eq!(
            hex::encode(trace.trace_id),
            "0af7651916cd43dd8448eb211c80319c"
        );
        assert_eq!(hex::encode(trace.parent.unwrap()), "b7ad6b7169203331");
        let next = traceparent(&trace);
        let (id, span, sampled) = parse_traceparent(&next).unwrap();
        assert_eq!((id, span, sampled), (trace.trace_id, trace.span_id, true));
    }

    #[test]
    fn a_bad_parent_begins_a_new_trace() {
        for bad in [
            "",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
        ] {
            let trace = trace(Some(bad), CallId([9; 16]));
            assert_eq!((trace.trace_id, trace.parent), ([9; 16], None), "{bad}");
        }
    }

    #[test]
    fn accept_is_read_by_media_range() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, text.parse().unwrap());
            let accept = Accept::of(&headers);
            (accept.json, accept.sse)
        };
        assert_eq!(of("application/json, text/event-stream"), (true, true));
        assert_eq!(of("application/json;q=0.9"), (true, false));
        assert_eq!(of("*/*"), (true, true));
        assert_eq!(of("text/html"), (false, false));
        let none = Accept::of(&HeaderMap::new());
        assert!(none.json && none.sse);
    }
}
