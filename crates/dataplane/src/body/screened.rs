//! The messages of one reply, shown to the filters that select them.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use mcp::envelope::{self, Kind, Limits};
use model::decision::{Decision, Reason};
use model::record::Change;

use crate::deliver::Message;
use crate::stage::filter::{Passed, Questions, Rejected, Screen};
use crate::stage::record::Recording;

/// Filters over the messages of one reply.
#[derive(Debug)]
pub struct Screened {
    /// The filters; `None`: none selects these messages.
    pub screen: Option<Screen>,
    /// The filters that see what the server asks in mid-call.
    pub questions: Option<Questions>,
    /// The request's id, for an error in the place of its response.
    pub id: Vec<u8>,
}

/// A look at a message: done at once, or when receivers have answered.
pub(super) enum Check {
    Done(Box<Checked>),
    Later(Pin<Box<dyn Future<Output = Checked> + Send>>),
}

/// A message that was looked at.
#[derive(Debug)]
pub struct Checked {
    /// The message, or what stands in its place: an error for a response, nothing for a notification.
    pub message: Option<Message>,
    /// What the record says of it, where it says something.
    verdict: Option<(Decision, Option<Reason>)>,
    /// What filters have made of the response.
    change: Option<Change>,
    /// For whoever asked, in the place of an answer to a question that does not go.
    pub refusal: Option<Bytes>,
}

impl Checked {
    /// Puts the verdict on record. What became of a notification is not the call's own outcome.
    pub fn note(&self, recording: &mut Recording) {
        if let Some((decision, reason)) = self.verdict {
            recording.decide(decision, reason);
        }
        if let Some(change) = self.change {
            recording.response_changed(change);
        }
    }

    fn as_it_is(message: Message) -> Self {
        Self {
            message: Some(message),
            verdict: None,
            change: None,
            refusal: None,
        }
    }
}

impl Screened {
    /// Nobody looks.
    pub fn by_nobody(id: Option<&[u8]>) -> Self {
        Self {
            screen: None,
            questions: None,
            id: id.unwrap_or(b"null").to_vec(),
        }
    }

    /// Whoever looks at this message: at a question by its own method, at all else by that of the call.
    fn screen_of(&self, message: &Message) -> Option<Screen> {
        if message.body.is_empty() {
            // It says how far the stream is, and nothing else.
            return None;
        }
        let screen = if message.kind == Kind::Request {
            let read = envelope::scan(&message.body, &Limits::RESPONSE).ok()?;
            self.questions.as_ref()?.screen(read.method())
        } else {
            self.screen.clone()
        };
        Some(screen?.for_a(message.kind))
    }

    /// Looks at one message.
    pub(super) fn begin(&self, message: Message) -> Check {
        let Some(screen) = self.screen_of(&message) else {
            return Check::Done(Box::new(Checked::as_it_is(message)));
        };
        if screen.calls_out() {
            let id = self.id.clone();
            return Check::Later(Box::pin(async move { show(&screen, &id, message).await }));
        }
        let shown = screen.look(message.body.clone());
        Check::Done(Box::new(left(message, shown, &self.id)))
    }

    /// Looks at one message, however long that takes.
    pub async fn pass(&self, message: Message) -> Checked {
        match self.begin(message) {
            Check::Done(checked) => *checked,
            Check::Later(checking) => checking.await,
        }
    }
}

async fn show(screen: &Screen, id: &[u8], message: Message) -> Checked {
    let shown = screen.show(message.body.clone()).await;
    left(message, shown, id)
}

/// What filters leave of a message.
fn left(message: Message, shown: Result<Passed, Rejected>, id: &[u8]) -> Checked {
    match shown {
        Ok(Passed { change: None, .. }) => Checked::as_it_is(message),
        Ok(Passed {
            message: body,
            change: Some(change),
        }) => changed(message, body, change),
        Err(rejected) => in_place_of(&message, rejected, id),
    }
}

/// A message with another body, which the screen has found to be of the same kind and for the same request.
fn changed(message: Message, body: Bytes, change: Change) -> Checked {
    let is_response = message.kind == Kind::Response;
    let read = envelope::scan(&body, &Limits::RESPONSE);
    let (error_code, tool_error) = read.map_or((0, false), |read| {
        (read.error_code.unwrap_or_default(), read.is_error)
    });
    Checked {
        message: Some(Message {
            body,
            error_code,
            tool_error,
            ..message
        }),
        verdict: is_response.then_some((Decision::Change, None)),
        change: is_response.then_some(change),
        refusal: None,
    }
}

fn in_place_of(message: &Message, rejected: Rejected, id: &[u8]) -> Checked {
    if message.kind != Kind::Response {
        // The call's own outcome is still open.
        return Checked {
            message: None,
            verdict: None,
            change: None,
            refusal: refusal(message, &rejected),
        };
    }
    Checked {
        message: Some(Message {
            body: rejected.body(Some(id)),
            kind: Kind::Response,
            error_code: rejected.error.code,
            tool_error: false,
            status: rejected.error.http_status,
            session: None,
            event: None,
            is_seen: true,
        }),
        verdict: Some((Decision::Deny, Some(rejected.reason))),
        change: None,
        refusal: None,
    }
}

/// What is answered to a question that does not go.
pub fn refusal(message: &Message, rejected: &Rejected) -> Option<Bytes> {
    if message.kind != Kind::Request {
        return None;
    }
    let read = envelope::scan(&message.body, &Limits::RESPONSE).ok()?;
    Some(rejected.body(read.raw_id()))
}
