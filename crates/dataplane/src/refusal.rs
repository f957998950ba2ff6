//! Why a request is turned away, or a call could not be delivered. What the client is told of it is
//! `answer`'s; what goes on record is the pipeline's.

use http::StatusCode;
use mcp::error::RpcError;
use model::decision::Reason;

/// What is said of a session that is over.
const SESSION_OVER: &str = "the session is over";

/// A request that is turned away before its message is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The status.
    pub status: StatusCode,
    /// What was wrong, for the client.
    pub message: String,
    /// The `WWW-Authenticate` challenge, with 401 and 403.
    pub challenge: Option<String>,
    /// Why, for the record. `None`: there is nobody to put on record.
    pub reason: Option<Reason>,
}

impl Refused {
    /// A refusal that says what was wrong.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            challenge: None,
            reason: Some(Reason::Invalid),
        }
    }

    /// No credential, or a bad one: the same words for both.
    pub fn unauthorized(challenge: String) -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            message: "a credential for this server is needed".to_owned(),
            challenge: Some(challenge),
            reason: None,
        }
    }

    /// A server that does not exist, or that the caller may not use: the same bytes for both.
    pub fn not_found() -> Self {
        Self {
            reason: Some(Reason::NoRule),
            ..Self::new(StatusCode::NOT_FOUND, "there is no such server")
        }
    }

    /// A session that is unknown, over, or somebody else's (2025-11-25, basic/transports: MUST be 404).
    pub fn session_ended() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "the session is unknown or over: initialize again",
        )
    }
}

/// A call that could not be delivered.
#[derive(Debug, Clone)]
pub struct Fault {
    /// From the closed list.
    pub reason: Reason,
    /// What happened, for the caller.
    pub message: String,
    /// When it is worth trying again, in seconds.
    pub retry_after_s: Option<u32>,
    /// Answered instead of -31011.
    pub rpc: Option<RpcError>,
}

impl Fault {
    fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            retry_after_s: None,
            rpc: None,
        }
    }

    /// The server is not there.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Reason::Unavailable, message)
    }

    /// The server took too long.
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::new(Reason::Timeout, message)
    }

    /// Too much is going on.
    pub fn overloaded(message: impl Into<String>) -> Self {
        Self {
            retry_after_s: Some(1),
            ..Self::new(Reason::Overloaded, message)
        }
    }

    /// The client asked to have it ended.
    pub fn cancelled(message: impl Into<String>) -> Self {
        Self::new(Reason::Cancelled, message)
    }

    /// The two eras cannot be brought together for this.
    pub fn not_bridgeable(message: impl Into<String>) -> Self {
        Self::new(Reason::NotBridgeable, message)
    }

    /// The server says that it does not know the session any more (2025-11-25, basic/transports: MUST be 404).
    pub fn session_ended() -> Self {
        Self {
            rpc: Some(RpcError::session_unknown()),
            ..Self::new(Reason::Invalid, SESSION_OVER)
        }
    }

    /// The client has ended the session itself: it is over wherever it has parts.
    pub fn session_was_ended() -> Self {
        Self {
            rpc: Some(RpcError::session_ended()),
            ..Self::session_ended()
        }
    }

    /// Whether it says that the session is over.
    pub fn is_session_ended(&self) -> bool {
        self.rpc.as_ref().is_some_and(|rpc| rpc.http_status == 404) && self.message == SESSION_OVER
    }

    /// The message is not valid, in a way that only delivery could see.
    pub fn invalid(rpc: RpcError) -> Self {
        Self {
            rpc: Some(rpc),
            ..Self::new(Reason::Invalid, "the message is not valid")
        }
    }

    /// Worth trying again after so many seconds.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }
}
