//! Who may decide about a call: a decider, the call's own user, and the rule say.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use model::access::AccessRule;
use model::principal::Principal;
use model::snapshot::{Sha256, Snapshot};
use proto::v1 as pb;

use super::Error;
use super::record::{Record, approvers};

/// Whoever decides.
#[derive(Debug, Clone)]
pub(crate) enum Decider {
    /// Has an administrator's token.
    Admin(Arc<str>),
    /// Has the link of the very call.
    Link,
    /// Has an API key.
    User {
        /// Whose.
        user: String,
        /// That user's groups.
        groups: Vec<String>,
        /// The servers that the key is good for. Empty: all.
        servers: Vec<String>,
    },
}

impl Decider {
    /// Whoever has this API key, with the groups that its user is a member of.
    pub(crate) fn of_key(key: pb::ApiKeySpec, snapshot: &Snapshot) -> Self {
        let named: Vec<&str> = key.groups.iter().map(String::as_str).collect();
        let principal = Principal::new(&key.user, &named, None, "");
        let groups = engine::groups::of(snapshot, &principal);
        Self::User {
            user: key.user,
            groups: groups.iter().map(ToString::to_string).collect(),
            servers: key.servers,
        }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::Admin(name) => name,
            Self::Link => "link",
            Self::User { user, .. } => user,
        }
    }
}

/// Whether somebody may decide about a call.
pub(super) fn may_decide(
    decider: &Decider,
    record: &Record,
    rule: &AccessRule,
) -> Result<(), Error> {
    match decider {
        Decider::Admin(_) | Decider::Link if rule.approvers.is_empty() => Ok(()),
        Decider::Admin(_) | Decider::Link => Err(Error::NoApprover(approvers(rule))),
        Decider::User { user, .. } if *user == record.user => Err(Error::Own),
        Decider::User {
            user,
            groups,
            servers,
        } => {
            let is_named = rule
                .approvers
                .iter()
                .any(|approver| approver.is(user, groups));
            let is_good = servers.is_empty() || servers.contains(&record.server);
            if is_named && is_good {
                Ok(())
            } else {
                Err(Error::NoApprover(approvers(rule)))
            }
        }
    }
}

/// Whether this is the secret of the approval's link.
pub(super) fn check_link(record: &Record, token: &str) -> Result<(), Error> {
    let given = Sha256::of(token.as_bytes()).hex();
    verify_slices_are_equal(given.as_bytes(), record.link.as_bytes())
        .map_err(|_| Error::Unknown(record.id.clone()))
}
