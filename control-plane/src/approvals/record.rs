//! An approval as it lies in the store, and as it is shown.

use bytes::Bytes;
use model::access::AccessRule;
use proto::v1 as pb;
use serde::{Deserialize, Serialize};

use crate::store;

/// How an approval stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// Nobody has decided.
    Pending,
    /// Somebody agrees.
    Granted,
    /// Somebody does not.
    Refused,
    /// Its one use is over.
    Used,
    /// Its time is; never written.
    Expired,
}

impl State {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Granted => "granted",
            Self::Refused => "refused",
            Self::Used => "used",
            Self::Expired => "expired",
        }
    }
}

/// As it lies in the store. Meanings are those of `gatehouse.v1.Approval`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) id: String,
    pub(super) state: State,
    /// Hex.
    pub(super) binding: String,
    pub(super) user: String,
    groups: Vec<String>,
    client: String,
    pub(super) server: String,
    method: String,
    name: String,
    arguments: String,
    shortened: bool,
    pub(super) rule: String,
    /// The edge that asked first.
    node: String,
    asked_unix_ms: i64,
    pub(super) expires_unix_ms: i64,
    pub(super) decided_by: String,
    pub(super) decided_unix_ms: i64,
    pub(super) comment: String,
    /// The call that has used it, hex. Empty: none.
    pub(super) used_by: String,
    /// Hash of the secret of its link, hex.
    pub(super) link: String,
}

impl Record {
    pub(super) fn new(
        id: String,
        node: &str,
        asked: &pb::AskApprovalRequest,
        now: i64,
        expires_unix_ms: i64,
    ) -> Self {
        let asked = asked.clone();
        Self {
            id,
            state: State::Pending,
            binding: hex::encode(&asked.binding),
            user: asked.user,
            groups: asked.groups,
            client: asked.client,
            server: asked.server,
            method: asked.method,
            name: asked.name,
            arguments: asked.arguments,
            shortened: asked.shortened,
            rule: asked.rule,
            node: node.to_owned(),
            asked_unix_ms: now,
            expires_unix_ms,
            decided_by: String::new(),
            decided_unix_ms: 0,
            comment: String::new(),
            used_by: String::new(),
            link: String::new(),
        }
    }

    pub(super) fn encode(&self) -> Bytes {
        serde_json::to_vec(self)
            .expect("a struct of texts and numbers is always JSON")
            .into()
    }

    pub(super) fn decode(key: &str, value: &[u8]) -> Result<Self, store::Error> {
        serde_json::from_slice(value).map_err(|error| store::Error::Corrupt {
            key: key.to_owned(),
            why: error.to_string(),
        })
    }

    /// How it stands at that time, Unix milliseconds.
    pub(super) fn state_at(&self, now: i64) -> State {
        match self.state {
            State::Pending | State::Granted if now >= self.expires_unix_ms => State::Expired,
            state => state,
        }
    }

    /// Whether somebody may still decide about it, or use it.
    pub(super) fn is_open(&self, now: i64) -> bool {
        matches!(self.state_at(now), State::Pending | State::Granted)
    }

    /// As people and edges see it; `rule` is the one that wants it, where that is still there.
    pub(super) fn shown(&self, now: i64, rule: Option<&AccessRule>) -> pb::Approval {
        pb::Approval {
            id: self.id.clone(),
            state: self.state_at(now).as_str().to_owned(),
            user: self.user.clone(),
            groups: self.groups.clone(),
            client: self.client.clone(),
            server: self.server.clone(),
            method: self.method.clone(),
            name: self.name.clone(),
            arguments: self.arguments.clone(),
            shortened: self.shortened,
            rule: self.rule.clone(),
            asked_unix_ms: self.asked_unix_ms,
            expires_unix_ms: self.expires_unix_ms,
            decided_by: self.decided_by.clone(),
            decided_unix_ms: self.decided_unix_ms,
            comment: self.comment.clone(),
            approvers: rule.map(approvers).unwrap_or_default(),
        }
    }
}

/// Who may decide, in words.
pub(super) fn approvers(rule: &AccessRule) -> String {
    if rule.approvers.is_empty() {
        return "an administrator".to_owned();
    }
    let named: Vec<_> = rule.approvers.iter().map(ToString::to_string).collect();
    named.join(" or ")
}
