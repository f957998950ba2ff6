//! Bodies: requests read with a cap, replies that close their record before they end.

mod events;
mod federated;
mod forward;
mod gate;
mod metered;
mod screened;
mod standing;
mod stream;
mod taped;
mod waiting;

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

pub use self::events::EventBody;
pub use self::federated::{FederatedBody, Subscription};
pub use self::forward::ForwardedBody;
pub use self::metered::MeteredBody;
pub use self::screened::{Checked, Screened, refusal};
pub use self::standing::{Judge, StandingBody, Verdict};
pub use self::stream::Patience;
pub use self::taped::TapedBody;
pub use self::waiting::{Came, Telling, WaitingBody};
use crate::refusal::Refused;

/// How long a client may take to send a message, once its headers are here.
const RECEIVE: Duration = Duration::from_secs(30);

/// A reply that cannot be completed; the connection is closed, so that nobody takes it for whole.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The record of the call could not be closed.
    #[error("the audit record cannot be written")]
    Unrecorded,
    /// The next hop broke off.
    #[error("the reply broke off: {0}")]
    Broken(String),
}

/// The body of a reply.
#[derive(Debug)]
pub enum ReplyBody {
    /// Whole, its record closed before it was made. `None`: already sent.
    Full(Option<Bytes>),
    /// The next hop's, passed on unseen.
    Forwarded(Box<ForwardedBody>),
    /// An event stream, each event written anew.
    Events(Box<EventBody>),
    /// The same, kept for a client that loses it.
    Taped(TapedBody),
    /// A stream of what belongs to no call.
    Standing(Box<StandingBody>),
    /// Streams of a virtual server's members.
    Federated(Box<FederatedBody>),
    /// One of these, counted.
    Metered(Box<MeteredBody>),
    /// A stream that begins before its call does.
    Waiting(Box<WaitingBody>),
}

impl ReplyBody {
    /// A whole body.
    pub fn full(bytes: Bytes) -> Self {
        Self::Full((!bytes.is_empty()).then_some(bytes))
    }
}

impl From<EventBody> for ReplyBody {
    fn from(body: EventBody) -> Self {
        match body.tape() {
            Some(tape) => Self::Taped(TapedBody::start(body, &tape)),
            None => Self::Events(Box::new(body)),
        }
    }
}

impl From<FederatedBody> for ReplyBody {
    fn from(body: FederatedBody) -> Self {
        Self::Federated(Box::new(body))
    }
}

impl From<MeteredBody> for ReplyBody {
    fn from(body: MeteredBody) -> Self {
        Self::Metered(Box::new(body))
    }
}

impl From<WaitingBody> for ReplyBody {
    fn from(body: WaitingBody) -> Self {
        Self::Waiting(Box::new(body))
    }
}

impl From<StandingBody> for ReplyBody {
    fn from(body: StandingBody) -> Self {
        Self::Standing(Box::new(body))
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.get_mut() {
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|b| Ok(Frame::data(b)))),
            Self::Forwarded(body) => body.poll(cx),
            Self::Events(body) => body.poll(cx),
            Self::Taped(body) => body.poll(cx),
            Self::Standing(body) => body.poll(cx),
            Self::Federated(body) => body.poll(cx),
            Self::Metered(body) => body.poll(cx),
            Self::Waiting(body) => body.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.is_none(),
            Self::Forwarded(body) => body.is_done(),
            Self::Metered(body) => body.is_done(),
            Self::Events(_)
            | Self::Taped(_)
            | Self::Standing(_)
            | Self::Federated(_)
            | Self::Waiting(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Forwarded(body) => body.size_hint(),
            Self::Metered(body) => body.size_hint(),
            Self::Events(_)
            | Self::Taped(_)
            | Self::Standing(_)
            | Self::Federated(_)
            | Self::Waiting(_) => SizeHint::default(),
        }
    }
}

/// Reads a request's body, up to `bytes_max`.
pub async fn read(body: Incoming, bytes_max: usize) -> Result<Bytes, Refused> {
    let too_large = || {
        let message = format!("the message is larger than {bytes_max} bytes");
        Refused::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    };
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(too_large());
    }
    let whole = tokio::time::timeout(RECEIVE, Limited::new(body, bytes_max).collect()).await;
    match whole {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Refused::new(
            StatusCode::BAD_REQUEST,
            "the message broke off",
        )),
        Err(_) => Err(Refused::new(
            StatusCode::REQUEST_TIMEOUT,
            "the message took too long",
        )),
    }
}
