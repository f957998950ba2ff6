//! Batches, which clients of 2025-03-26 may send (S0326 basic/index, "Batching") and nobody else.
//!
//! Each message is read, decided on, recorded and delivered by itself, as if it had come alone; only the answers go back
//! together. No batch is ever passed on.

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use http::request::Parts;
use http::{Response, StatusCode};
use mcp::envelope::{self, Kind, Limits};
use mcp::error::RpcError;
use mcp::headers::{MCP_PROTOCOL_VERSION, MCP_SESSION_ID};
use mcp::method;
use mcp::revision::Revision;
use mcp::walk;

use super::halt::{Ended, Halt};
use super::reply::{collect_apart, last_response};
use super::{Incall, accepted, begin};
use crate::answer;
use crate::body::ReplyBody;
use crate::call::Accept;
use crate::deliver::Hop;
use crate::deliver::messages::is_event_stream;
use crate::refusal::Fault;
use crate::stage::record::Recording;

/// Messages of one batch.
const MESSAGES_MAX: usize = 64;
/// Messages of one batch that are under way at once.
const AT_ONCE: usize = 8;

/// Whether a body is a batch, if it is anything.
pub(super) fn is_one(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'[')
}

impl<H: Hop> Incall<'_, H> {
    pub(super) async fn batch(
        &self,
        parts: &Parts,
        body: &Bytes,
        slot: &mut Option<Recording>,
    ) -> Ended<Response<ReplyBody>> {
        let refused = |what: &str| Halt::invalid(&RpcError::invalid_request(what), None);
        self.may_send_batches(parts)?;
        let messages = split(body).map_err(|error| Halt::invalid(&error, None))?;
        if messages.is_empty() || messages.len() > MESSAGES_MAX {
            return Err(refused(&format!(
                "a batch has 1 to {MESSAGES_MAX} messages"
            )));
        }
        // Each message has a record of its own.
        if let Some(recording) = slot.take() {
            recording.forget();
        }
        let done = stream::iter(messages).map(|message| self.one_of(parts, message));
        let answers: Vec<Bytes> = done
            .buffered(AT_ONCE)
            .filter_map(|answer| async { answer })
            .collect()
            .await;
        if answers.is_empty() {
            return Ok(accepted());
        }
        let mut whole = vec![b'['];
        for (index, answer) in answers.iter().enumerate() {
            if index > 0 {
                whole.push(b',');
            }
            whole.extend_from_slice(answer);
        }
        whole.push(b']');
        Ok(answer::json(StatusCode::OK, Bytes::from(whole)))
    }

    /// Whether the session is one of 2025-03-26: the revisions around it know no batches.
    fn may_send_batches(&self, parts: &Parts) -> Ended<()> {
        let header = |name| {
            parts
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let error = || {
            let what = "batches are for sessions of 2025-03-26: send one message at a time";
            Halt::invalid(&RpcError::invalid_request(what), None)
        };
        let session = header(MCP_SESSION_ID).ok_or_else(error)?;
        let hop = &self.shared.hop;
        let opened = hop
            .session(self.config, self.admitted, self.server, session)
            .map_err(|refused| Halt::refused(&refused))?;
        let said = header(MCP_PROTOCOL_VERSION).and_then(Revision::parse);
        let spoken = opened.revision.or(said).unwrap_or(Revision::V2025_03_26);
        if spoken == Revision::V2025_03_26 {
            Ok(())
        } else {
            Err(error())
        }
    }

    /// The answer to one message of a batch; `None`: it has none.
    async fn one_of(&self, parts: &Parts, message: Bytes) -> Option<Bytes> {
        let read = envelope::scan(&message, &Limits::REQUEST);
        let is_request = read
            .as_ref()
            .map_or(true, |read| read.kind == Kind::Request);
        let id = read.as_ref().ok().and_then(|read| read.raw_id());
        let id = id.map(<[u8]>::to_vec);
        let in_place = |error: &RpcError| is_request.then(|| error.body(id.as_deref()).into());
        let begins = read.is_ok_and(|read| read.method() == method::INITIALIZE);
        let Some(permit) = self.shared.budget.take(0) else {
            let fault = Fault::overloaded("too many calls are under way");
            return in_place(&answer::rpc_of(&fault));
        };
        if begins {
            let what = "initialize must not be part of a batch";
            return in_place(&RpcError::invalid_request(what));
        }
        let mut recording = Some(begin::<H>(
            self.shared,
            self.config,
            self.admitted,
            self.server,
            parts,
        ));
        // Its answer goes with the others: there is no stream of its own.
        let accept = Accept {
            json: true,
            sse: false,
        };
        let walked = self.message(parts, message, (accept, None), &mut recording, permit);
        let response = Box::pin(walked).await;
        let response = response.unwrap_or_else(|halt| halt.end(recording));
        if response.status() == StatusCode::ACCEPTED {
            return None;
        }
        let is_stream = is_event_stream(response.headers());
        let whole = collect_apart(&self.shared.budget, response.into_body()).await;
        let whole = whole.and_then(|whole| match is_stream {
            true => last_response(&whole).ok_or_else(|| "it never came".to_owned()),
            false => Ok(whole),
        });
        match whole {
            Ok(whole) => (!whole.is_empty()).then_some(whole),
            // Each request has an answer.
            Err(why) => {
                let fault = Fault::unavailable(format!("the answer cannot be used: {why}"));
                in_place(&answer::rpc_of(&fault))
            }
        }
    }
}

/// The messages of a batch. It is read as strictly as any message: as a part of one.
fn split(body: &Bytes) -> Result<Vec<Bytes>, RpcError> {
    const BEFORE: &[u8] = br#"{"jsonrpc":"2.0","id":0,"method":"batch","params":{"messages":"#;
    let whole = Bytes::from([BEFORE, &body[..], b"}}"].concat());
    let limits = Limits {
        bytes: Limits::REQUEST.bytes + BEFORE.len() + 2,
        depth: Limits::REQUEST.depth + 3,
        ..Limits::REQUEST
    };
    let read = envelope::scan(&whole, &limits).map_err(|error| RpcError::from(&error))?;
    let params = read.params.unwrap_or_default();
    if walk::members(&whole, params).count() != 1 {
        return Err(RpcError::parse("the batch is not one JSON array"));
    }
    let messages = walk::find(&whole, params, "messages");
    let messages = messages
        .into_iter()
        .flat_map(|span| walk::elements(&whole, span));
    Ok(messages
        .map(|span| whole.slice(span.start as usize..span.end as usize))
        .collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_batch_is_read_as_strictly_as_a_message() {
        let count = |text: &str| split(&Bytes::from(text.to_owned())).map(|all| all.len());
        assert!(is_one(b" [") && !is_one(b"{}") && !is_one(b""));
        assert_eq!(count(r#" [{"a":1}, {"b":[2,3]} ] "#).unwrap(), 2);
        assert_eq!(count("[]").unwrap(), 0);
        for bad in [
            r#"[{"a":1}"#,
            r#"[{"a":1,"a":2}]"#,
            r#"[1]}} , {"x":["#,
            r#"[1]],"x":[2"#,
            "[1,]",
            r#"[1],"x":[2]"#,
        ] {
            assert!(count(bad).is_err(), "{bad}");
        }
    }
}
