//! What was decided and why: the closed lists that replies, records and metrics share.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The outcome of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It went on unchanged.
    Allow,
    /// It went on changed.
    Change,
    /// It waited for a person.
    Approve,
    /// It was refused.
    Deny,
    /// It failed: the message, the server or we.
    Error,
}

impl Decision {
    /// As written in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Change => "change",
            Self::Approve => "approve",
            Self::Deny => "deny",
            Self::Error => "error",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::Allow,
            Self::Change,
            Self::Approve,
            Self::Deny,
            Self::Error,
        ]
        .into_iter()
        .find(|d| d.as_str() == text)
    }

    /// How strict it is: of two hops' decisions the stricter one is shown.
    pub const fn strictness(self) -> u8 {
        match self {
            Self::Allow => 0,
            Self::Change => 1,
            Self::Approve => 2,
            Self::Error => 3,
            Self::Deny => 4,
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a call was not simply allowed: the closed list of CONTRACT section 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A deny rule.
    Rule,
    /// No rule allows it.
    NoRule,
    /// A filter refused it.
    Filter,
    /// A filter failed, and fails closed.
    FilterError,
    /// A limit was reached.
    Limit,
    /// Nobody agreed to it.
    Approval,
    /// The tool's definition changed and waits for review.
    ToolChanged,
    /// Policy is older than its lease allows.
    LeaseExpired,
    /// The server is not there.
    Unavailable,
    /// The server took too long.
    Timeout,
    /// Too much is going on.
    Overloaded,
    /// The client gave up.
    Cancelled,
    /// The client's revision and the server's cannot be brought together for this.
    NotBridgeable,
    /// The message is not valid.
    Invalid,
    /// The record cannot be written.
    AuditUnavailable,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 15] = [
        Self::Rule,
        Self::NoRule,
        Self::Filter,
        Self::FilterError,
        Self::Limit,
        Self::Approval,
        Self::ToolChanged,
        Self::LeaseExpired,
        Self::Unavailable,
        Self::Timeout,
        Self::Overloaded,
        Self::Cancelled,
        Self::NotBridgeable,
        Self::Invalid,
        Self::AuditUnavailable,
    ];

    /// As written in replies, records and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::NoRule => "no_rule",
            Self::Filter => "filter",
            Self::FilterError => "filter_error",
            Self::Limit => "limit",
            Self::Approval => "approval",
            Self::ToolChanged => "tool_changed",
            Self::LeaseExpired => "lease_expired",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Overloaded => "overloaded",
            Self::Cancelled => "cancelled",
            Self::NotBridgeable => "not_bridgeable",
            Self::Invalid => "invalid",
            Self::AuditUnavailable => "audit_unavailable",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.as_str() == text)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
