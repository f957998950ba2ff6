//! What a modern client carries while people decide, and brings back: sealed for its user, application and server, so
//! that any edge goes on with it, and nobody else.

use std::borrow::Cow;

use bytes::Bytes;
use mcp::bridge::inputs::{RESPONSES_KEY, STATE_KEY};
use mcp::edit::{Change, Edits};
use mcp::walk;
use serde::{Deserialize, Serialize};

use super::binding::Binding;
use crate::auth::seal;
use crate::call::Call;

/// What our states begin with, so that they are told from those of servers and of parked calls.
const PREFIX: &str = "gha1.";
/// What it is sealed for.
const PURPOSE: &str = "approval";

/// A wait for an approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The approval's id.
    #[serde(rename = "i")]
    pub id: String,
    /// What it is asked for, in hex.
    #[serde(rename = "b")]
    binding: String,
    /// When it ends, Unix milliseconds.
    #[serde(rename = "e")]
    pub expires_unix_ms: i64,
}

/// What a client has brought back.
#[derive(Debug)]
pub struct Brought {
    /// The state; `None`: it is no good, or somebody else's.
    pub state: Option<State>,
    /// The message as it was before we put anything into it.
    pub body: Bytes,
    /// The client's user gives up.
    pub given_up: bool,
}

impl State {
    /// A wait for the approval of this id.
    pub fn new(id: &str, binding: &Binding, expires_unix_ms: i64) -> Self {
        Self {
            id: id.to_owned(),
            binding: binding.hex(),
            expires_unix_ms,
        }
    }

    /// Whether it is a wait for this very call.
    pub fn is_for(&self, binding: &Binding) -> bool {
        Binding::parse(&self.binding).as_ref() == Some(binding)
    }

    /// For the client of `call`. `None` where nothing can be sealed.
    pub fn seal(&self, call: &Call<'_>) -> Option<String> {
        let keys = call.config.sessions.as_ref()?;
        let plain = serde_json::to_vec(self).ok()?;
        let sealed = keys.seal(&context(call), &plain)?;
        Some(format!("{PREFIX}{sealed}"))
    }

    fn open(call: &Call<'_>, text: &str) -> Option<Self> {
        let keys = call.config.sessions.as_ref()?;
        let plain = keys.open(&context(call), text.strip_prefix(PREFIX)?)?;
        serde_json::from_slice(&plain).ok()
    }
}

/// What `call` brings back of ours. `None`: nothing; then it is a call that begins, or goes on with its server's state.
pub fn brought(call: &Call<'_>, answer_key: &str) -> Option<Brought> {
    let params = call.message.params.filter(|_| call.is_modern())?;
    memchr::memmem::find(params.of(call.body), PREFIX.as_bytes())?;
    let state = walk::find(call.body, params, STATE_KEY)?;
    let text = walk::text(state.of(call.body)).filter(|text| text.starts_with(PREFIX))?;
    let mut edits = Edits::new(call.body);
    let ours = [STATE_KEY, RESPONSES_KEY];
    edits.members(
        params,
        |member| match ours.contains(&&*member.key) {
            true => Change::Remove,
            false => Change::Keep,
        },
        [],
    );
    // Edits of our own cannot contradict each other.
    let body = edits.apply().ok()?;
    Some(Brought {
        state: State::open(call, &text),
        body: body.into(),
        given_up: answer(call, answer_key).is_some_and(|action| action != "accept"),
    })
}

/// What the client's user did with the question under `key`.
fn answer<'c>(call: &Call<'c>, key: &str) -> Option<Cow<'c, str>> {
    let find = |object, key| walk::find(call.body, object, key);
    let answer = find(find(call.message.params?, RESPONSES_KEY)?, key)?;
    walk::text(find(answer, "action")?.of(call.body))
}

fn context(call: &Call<'_>) -> Vec<u8> {
    seal::context(PURPOSE, call.principal, call.server)
}
