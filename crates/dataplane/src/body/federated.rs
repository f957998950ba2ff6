//! Event streams of a virtual server's members as the client's one: each message says whose it is.
//!
//! ```text
//! member's reply body --events--> mcp::federate::outward --encoded anew--> client
//! ```
//!
//! Three courses: the stream of one request to one member, whose response is the client's; a subscription, which is
//! granted by several members and over with the first that is lost; and what members say by themselves. Members' own records,
//! filters and deadlines are inside their bodies; nothing is buffered here beyond one event of one member.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as _, Frame};
use mcp::envelope::{self, Kind, Limits};
use mcp::federate::listen::{self, Granted};
use mcp::federate::outward;
use mcp::sse;
use model::name::ServerName;
use serde_json::{Map, Value};
use tokio::time::{Instant, Sleep};

use super::{Error, ReplyBody};
use crate::stage::record::Recording;

/// How soon a client is to come back that loses a stream whose server does not say, milliseconds.
const RETRY_MS: u64 = 500;

/// The streams of one or several members.
pub struct FederatedBody {
    parts: Vec<Part>,
    /// Whose turn it is to be asked first.
    turn: usize,
    ready: VecDeque<Bytes>,
    course: Course,
}

struct Part {
    server: ServerName,
    body: ReplyBody,
    decoder: sse::Decoder,
    acknowledged: bool,
}

enum Course {
    /// One request of this method.
    Request(Box<str>),
    Subscription(Box<Subscription>),
    Standing,
}

/// A subscription in the making, or made.
pub struct Subscription {
    /// The raw id of the client's request.
    pub id: Vec<u8>,
    /// What the acknowledgement's `_meta` says.
    pub meta: Map<String, Value>,
    /// The record of the whole, closed when it ends.
    pub recording: Option<Recording>,
    granted: Granted,
    /// What members said right behind their acknowledgements, at most one frame each.
    held: Vec<Bytes>,
    /// Until when members may acknowledge; `None` when the client has its acknowledgement.
    awaited: Option<Pin<Box<Sleep>>>,
}

impl Subscription {
    /// One that waits for its members' acknowledgements until `until`.
    pub fn new(
        id: Vec<u8>,
        meta: Map<String, Value>,
        recording: Option<Recording>,
        until: Instant,
    ) -> Self {
        Self {
            id,
            meta,
            recording,
            granted: Granted::default(),
            held: Vec::new(),
            awaited: Some(Box::pin(tokio::time::sleep_until(until))),
        }
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription")
            .field("granted", &self.granted)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for FederatedBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FederatedBody")
            .field("parts", &self.parts.len())
            .finish_non_exhaustive()
    }
}

impl FederatedBody {
    /// The stream of one request, of `method`, to `server`. Ids of its events say whose they are, so that who loses it can go
    /// on with it there.
    pub fn of_request(server: ServerName, method: &str, body: ReplyBody) -> Self {
        Self::new(vec![(server, body)], Course::Request(method.into()))
    }

    /// A subscription at several members.
    pub fn of_subscription(
        parts: Vec<(ServerName, ReplyBody)>,
        subscription: Subscription,
    ) -> Self {
        Self::new(parts, Course::Subscription(Box::new(subscription)))
    }

    /// What several members say by themselves.
    pub fn of_standing(parts: Vec<(ServerName, ReplyBody)>) -> Self {
        Self::new(parts, Course::Standing)
    }

    fn new(parts: Vec<(ServerName, ReplyBody)>, course: Course) -> Self {
        let part = |(server, body)| Part {
            server,
            body,
            decoder: sse::Decoder::default(),
            acknowledged: false,
        };
        Self {
            parts: parts.into_iter().map(part).collect(),
            turn: 0,
            ready: VecDeque::new(),
            course,
        }
    }

    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(event))));
            }
            let awaits = self.poll_acknowledged(cx);
            if !self.ready.is_empty() {
                continue;
            }
            if self.parts.is_empty() {
                match self.end() {
                    Ok(true) => continue,
                    Ok(false) => return Poll::Ready(None),
                    Err(error) => return Poll::Ready(Some(Err(error))),
                }
            }
            match self.poll_parts(cx, awaits) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error))),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Tells the client what is granted once all members have said so, or had their time. Whether some are still waited
    /// for: then nobody else is heard, as the acknowledgement comes first (2026-07-28 basic/patterns/subscriptions).
    fn poll_acknowledged(&mut self, cx: &mut Context<'_>) -> bool {
        let Course::Subscription(subscription) = &mut self.course else {
            return false;
        };
        let Some(awaited) = &mut subscription.awaited else {
            return false;
        };
        let all = self.parts.iter().all(|part| part.acknowledged);
        if !all && awaited.as_mut().poll(cx).is_pending() {
            return true;
        }
        subscription.awaited = None;
        let meta = std::mem::take(&mut subscription.meta);
        let message = subscription.granted.acknowledgement(&subscription.id, meta);
        self.ready.push_back(sse::encode(&message));
        self.ready.extend(subscription.held.drain(..));
        false
    }

    /// One step of one member.
    fn poll_parts(&mut self, cx: &mut Context<'_>, awaits: bool) -> Poll<Result<(), Error>> {
        let count = self.parts.len();
        for step in 0..count {
            let at = (self.turn + step) % count;
            let part = &mut self.parts[at];
            if awaits && part.acknowledged {
                continue;
            }
            let Poll::Ready(frame) = Pin::new(&mut part.body).poll_frame(cx) else {
                continue;
            };
            self.turn = at + 1;
            match frame {
                Some(Ok(frame)) => self.take(at, &frame.into_data().unwrap_or_default()),
                Some(Err(error)) if matches!(self.course, Course::Request(_)) => {
                    return Poll::Ready(Err(error));
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, server = %part.server, "a member's stream broke off");
                    self.lose(at);
                }
                None => self.lose(at),
            }
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }

    /// Takes what came of a member's stream: comments as they are, messages as the client gets them.
    fn take(&mut self, at: usize, data: &Bytes) {
        if data.starts_with(b":") {
            self.ready.push_back(data.clone());
            return;
        }
        let mut is_over = false;
        let part = &mut self.parts[at];
        part.decoder.push(data);
        while let Some(event) = part.decoder.next_event() {
            match event {
                Ok(event) if event.data.is_empty() => {
                    let id = self.course.id_of(&part.server, event.id.as_deref());
                    let retry = event.retry.unwrap_or(RETRY_MS);
                    self.ready.extend(id.map(|id| sse::prime(&id, retry)));
                }
                Ok(event) => match self.course.message(part, &event.data) {
                    Next::Goes(message) => {
                        let id = self.course.id_of(&part.server, event.id.as_deref());
                        let event = sse::encode_event("message", id.as_deref(), &message);
                        match &mut self.course {
                            Course::Subscription(of) if of.awaited.is_some() => of.held.push(event),
                            _ => self.ready.push_back(event),
                        }
                    }
                    Next::Stays => {}
                    Next::Over => is_over = true,
                },
                Err(error) => {
                    tracing::warn!(%error, "a member's stream cannot be read on");
                    is_over = true;
                }
            }
            if is_over {
                self.lose(at);
                return;
            }
        }
    }

    /// A member's stream is over. What its client goes on to wait for would be without it, and nobody would say so: the
    /// whole ends, and the client begins anew.
    fn lose(&mut self, at: usize) {
        self.parts.swap_remove(at);
        let goes_on = match &self.course {
            Course::Request(_) => true,
            Course::Subscription(subscription) => subscription.awaited.is_some(),
            Course::Standing => false,
        };
        if !goes_on {
            self.parts.clear();
        }
    }

    /// All members' streams are over. True: there is still something to say.
    fn end(&mut self) -> Result<bool, Error> {
        let Course::Subscription(subscription) = &mut self.course else {
            return Ok(false);
        };
        let Some(mut recording) = subscription.recording.take() else {
            return Ok(false);
        };
        recording.outcome(200, 0, false);
        recording.close().map_err(|_| Error::Unrecorded)?;
        self.ready
            .push_back(sse::encode(&listen::ended(&subscription.id)));
        Ok(true)
    }
}

/// What becomes of a member's message.
enum Next {
    Goes(Bytes),
    Stays,
    Over,
}

impl Course {
    /// The id of a member's event. A stream of several members cannot be gone on with, and has none.
    fn id_of(&self, server: &ServerName, id: Option<&str>) -> Option<String> {
        let id = id.filter(|id| matches!(self, Self::Request(_)) && !id.is_empty())?;
        Some(format!("{server}:{id}"))
    }

    fn message(&mut self, part: &mut Part, message: &Bytes) -> Next {
        let Ok(read) = envelope::scan(message, &Limits::RESPONSE) else {
            return Next::Stays;
        };
        let method = match self {
            Self::Request(method) => &**method,
            Self::Subscription(_) if read.kind == Kind::Response => return Next::Over,
            // It answers nothing here.
            Self::Standing if read.kind == Kind::Response => return Next::Stays,
            Self::Subscription(subscription) => {
                if subscription
                    .granted
                    .add(message, &read, part.server.as_str())
                {
                    part.acknowledged = true;
                    return Next::Stays;
                }
                ""
            }
            Self::Standing => "",
        };
        match outward::message(message, &read, method, part.server.as_str()) {
            Ok(Some(changed)) => Next::Goes(changed.into()),
            Ok(None) => Next::Goes(message.clone()),
            Err(error) => {
                tracing::error!(%error, "a member's message could not be written anew");
                Next::Stays
            }
        }
    }
}

#[cfg(test)]
mod tests;
