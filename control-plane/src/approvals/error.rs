//! Why an approval cannot be had.

use crate::store;

/// Why not.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// There is none of this id.
    #[error("there is no approval {0:?}: it is over, or there never was one")]
    Unknown(String),
    /// It is for another call.
    #[error("the approval is for other arguments, or another call")]
    Other,
    /// It is not open any more, or not granted.
    #[error("the approval is {0}{by}", by = by(.1))]
    Decided(&'static str, String),
    /// Whoever asks does not decide.
    #[error("nobody decides about a call of their own")]
    Own,
    /// Somebody else has to.
    #[error("that is for {0} to decide")]
    NoApprover(String),
    /// The rule that wanted it is gone.
    #[error("there is no rule {0} any more that wants approval")]
    NoRule(String),
    /// Too many are open.
    #[error("{0} calls {1} wait for approval already")]
    TooMany(usize, &'static str),
    /// The request is not well-formed.
    #[error("{0} {1}")]
    Request(&'static str, &'static str),
    /// Others were quicker, again and again.
    #[error("the approval is being changed by others: try again")]
    Busy,
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
}

fn by(who: &str) -> String {
    match who {
        "" => String::new(),
        who => format!(" (decided by {who})"),
    }
}
