//! What a person agrees to, as one hash: who calls, what, with which arguments, under which rule.
//!
//! Both hops make it by this code from what they have: at the sidecar it is another one if anything on the way was
//! changed. Everything that a server could act on is in it; what differs between two tries of one call (its id, `_meta`)
//! is not. Of the policy it holds the rule that wants the agreement and the server's entry, each with the revision at
//! which it last changed: whatever else is configured meanwhile voids nothing, and is decided by all the same.

use aws_lc_rs::digest::{Context, SHA256};
use mcp::canonical;
use model::name::{RuleName, ServerName};
use model::principal::Principal;
use model::snapshot::{ResourceKey, Snapshot};
use model::wire::{ACCESS_RULE, SERVER};

use crate::call::Call;

/// Stands first in what is hashed; a change of what follows is a change of this.
const PURPOSE: &[u8] = b"gatehouse approval 1";
/// The member of parameters that says nothing of what is called.
const META: &str = "_meta";

/// The hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Binding(pub [u8; 32]);

impl std::fmt::Debug for Binding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.hex())
    }
}

impl Binding {
    /// That of a call which `rule` wants a person to agree to.
    pub fn of(call: &Call<'_>, rule: &RuleName) -> Self {
        let mut params = Vec::new();
        if let Some(span) = call.message.params {
            canonical::write_members(call.body, span, |key| key != META, &mut params);
        }
        let what = What {
            server: call.server,
            method: call.method(),
            name: call.target(),
            params: &params,
        };
        what.bind(call.principal, rule, call.config.engine.snapshot())
    }

    /// Lower-case hex.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// Reads what [`Self::hex`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

/// What is called.
struct What<'a> {
    server: &'a ServerName,
    method: &'a str,
    name: Option<&'a str>,
    params: &'a [u8],
}

impl What<'_> {
    fn bind(&self, principal: &Principal, rule: &RuleName, snapshot: &Snapshot) -> Binding {
        // Whole, so that whatever is added to a principal is thought of here: all of it but the credential's name, as
        // an application may renew its key while it waits.
        let Principal {
            user,
            groups,
            client,
            credential: _,
        } = principal;
        let version = |kind, name| {
            let version = snapshot.versions.get(&ResourceKey::new(kind, name));
            // Who is not told goes by the whole.
            *version.unwrap_or(&snapshot.revision.0)
        };
        let mut parts = Parts(Context::new(&SHA256));
        parts.text(PURPOSE);
        parts.text(user.as_bytes());
        parts.number(groups.len() as u64);
        groups.iter().for_each(|group| parts.text(group.as_bytes()));
        parts.optional(client.as_deref());
        parts.text(self.server.as_str().as_bytes());
        parts.number(version(SERVER, self.server.as_str()));
        parts.text(self.method.as_bytes());
        parts.optional(self.name);
        parts.text(self.params);
        parts.text(rule.as_str().as_bytes());
        parts.number(version(ACCESS_RULE, rule.as_str()));
        let mut hash = [0; 32];
        hash.copy_from_slice(parts.0.finish().as_ref());
        Binding(hash)
    }
}

/// Parts that cannot be taken for others: each with its length.
struct Parts(Context);

impl Parts {
    fn number(&mut self, number: u64) {
        self.0.update(&number.to_be_bytes());
    }

    fn text(&mut self, text: &[u8]) {
        self.number(text.len() as u64);
        self.0.update(text);
    }

    fn optional(&mut self, text: Option<&str>) {
        self.number(u64::from(text.is_some()));
        self.text(text.unwrap_or_default().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use model::snapshot::Revision;
    use proptest::prelude::*;

    use super::*;

    /// Everything that is bound, and what is not.
    #[derive(Debug, Clone, PartialEq)]
    struct Case {
        user: String,
        groups: Vec<String>,
        client: Option<String>,
        server: String,
        method: String,
        name: Option<String>,
        params: String,
        rule: String,
        versions: (u64, u64),
    }

    impl Case {
        fn binding(&self, credential: &str, revision: u64) -> Binding {
            let groups: Vec<&str> = self.groups.iter().map(String::as_str).collect();
            let principal = Principal::new(&self.user, &groups, self.client.as_deref(), credential);
            let mut snapshot = Snapshot {
                revision: Revision(revision),
                ..Snapshot::default()
            };
            let mut put = |kind, name: &str, version| {
                snapshot
                    .versions
                    .insert(ResourceKey::new(kind, name), version);
            };
            put(SERVER, &self.server, self.versions.0);
            put(ACCESS_RULE, &self.rule, self.versions.1);
            let what = What {
                server: &ServerName::new(&self.server).unwrap(),
                method: &self.method,
                name: self.name.as_deref(),
                params: self.params.as_bytes(),
            };
            what.bind(&principal, &RuleName::new(&self.rule).unwrap(), &snapshot)
        }
    }

    fn case() -> impl Strategy<Value = Case> {
        let text = "[ab]{0,2}";
        let who = (
            text,
            prop::collection::btree_set(text, 0..3),
            prop::option::of(text),
        );
        let what = ("[ab]{1,2}", text, prop::option::of(text), text);
        (who, what, "[ab]{1,2}", (0..2_u64, 0..2_u64)).prop_map(
            |((user, groups, client), (server, method, name, params), rule, versions)| Case {
                user,
                groups: groups.into_iter().collect(),
                client,
                server,
                method,
                name,
                params,
                rule,
                versions,
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn two_calls_have_one_binding_where_they_are_one(a in case(), b in case()) {
            prop_assert_eq!(a.binding("k1", 1) == b.binding("k1", 1), a == b);
        }

        #[test]
        fn neither_the_key_nor_what_else_is_configured_matters(a in case(), revision in 2..9_u64) {
            prop_assert_eq!(a.binding("k1", 1), a.binding("k2", revision));
        }
    }

    #[test]
    fn it_survives_its_spelling() {
        let binding = Binding([7; 32]);
        assert_eq!(Binding::parse(&binding.hex()), Some(binding));
        assert_eq!(Binding::parse("07"), None);
    }
}
