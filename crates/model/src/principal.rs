//! Who calls.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A caller, as proven by a credential. Nothing in here comes from what a client says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Principal {
    /// The user's id.
    pub user: Arc<str>,
    /// The user's groups, sorted, without doubles.
    pub groups: Arc<[Arc<str>]>,
    /// The client application that the credential was made for, where it was made for one.
    pub client: Option<Arc<str>>,
    /// Names the credential, for records and for revocation; never the credential itself.
    pub credential: Arc<str>,
}

impl Principal {
    /// A principal with sorted groups.
    pub fn new(user: &str, groups: &[&str], client: Option<&str>, credential: &str) -> Self {
        let mut groups: Vec<Arc<str>> = groups.iter().map(|g| Arc::from(*g)).collect();
        groups.sort();
        groups.dedup();
        Self {
            user: user.into(),
            groups: groups.into(),
            client: client.map(Arc::from),
            credential: credential.into(),
        }
    }
}
