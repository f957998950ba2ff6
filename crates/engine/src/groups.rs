//! Who is in which groups, beside those that credentials name.
//!
//! Membership is worked out when configuration is compiled, and added to a caller where it is authenticated: so rules,
//! records, receivers of webhooks and the other hop all see the same groups, and a decision costs nothing more.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use model::fault::{NEVER_MATCHES, TOO_MUCH};
use model::group::{Group, Member};
use model::name::GroupName;
use model::principal::Principal;
use model::snapshot::{ResourceKey, Snapshot};
use model::wire::GROUP;

use crate::compile::Fault;

/// Most groups that membership adds to one user, or to one group: a caller's groups are stated between hops.
pub const ADDED_MAX: usize = 200;

/// All that membership adds.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    users: HashMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// By a group: those that all who are in it are in, too.
    groups: HashMap<Arc<str>, BTreeSet<Arc<str>>>,
}

/// By a group: those that it is a member of.
type Above<'s> = HashMap<&'s str, Vec<&'s GroupName>>;

impl Groups {
    /// # Errors
    /// Groups that are in themselves, and users who would be in too many.
    pub(crate) fn compile(snapshot: &Snapshot) -> Result<Self, Vec<Fault>> {
        let (mut users, mut groups): (HashMap<&str, Vec<&GroupName>>, Above<'_>) =
            Default::default();
        for group in snapshot.groups.values() {
            for member in &group.members {
                match member {
                    Member::User(user) => users.entry(user).or_default().push(&group.name),
                    Member::Group(name) => groups.entry(name).or_default().push(&group.name),
                }
            }
        }
        let mut faults: Vec<Fault> = snapshot
            .groups
            .values()
            .filter(|group| over([group.name.as_str()], &groups).contains(group.name.as_str()))
            .map(|group| {
                let message = "is in itself, by way of the groups that are its members";
                fault(group, NEVER_MATCHES, message.to_owned())
            })
            .collect();
        let shared = |names: BTreeSet<&str>| names.into_iter().map(Arc::from).collect();
        let mut compiled = Self::default();
        for (user, direct) in users {
            let first = direct[0];
            let mut all = over(direct.iter().map(|name| name.as_str()), &groups);
            all.extend(direct.iter().map(|name| name.as_str()));
            faults.extend(too_many(
                snapshot,
                first,
                &format!("user {user}"),
                all.len(),
            ));
            compiled.users.insert(user.into(), shared(all));
        }
        for group in groups.keys() {
            let all = over([*group], &groups);
            let first = groups[group][0];
            faults.extend(too_many(
                snapshot,
                first,
                &format!("group {group}"),
                all.len(),
            ));
            compiled.groups.insert((*group).into(), shared(all));
        }
        faults.sort_by(|a, b| a.resource.cmp(&b.resource));
        if faults.is_empty() {
            Ok(compiled)
        } else {
            Err(faults)
        }
    }

    /// The caller with all of its groups. `None`: membership adds none.
    pub(crate) fn expand(&self, principal: &Principal) -> Option<Principal> {
        let by_groups = principal.groups.iter().filter_map(|g| self.groups.get(g));
        let added = self.users.get(&principal.user).into_iter().chain(by_groups);
        let mut all: BTreeSet<Arc<str>> = principal.groups.iter().cloned().collect();
        added.for_each(|groups| all.extend(groups.iter().cloned()));
        // Those that a user is a member of were worked out with all above them.
        (all.len() > principal.groups.len()).then(|| Principal {
            groups: all.into_iter().collect(),
            ..principal.clone()
        })
    }
}

/// All groups that somebody is in: those that the credential names, and those of membership. For who asks once; an engine
/// has it worked out for all.
pub fn of(snapshot: &Snapshot, principal: &Principal) -> Arc<[Arc<str>]> {
    // A snapshot that is in force compiles; one that does not adds nobody to anything.
    let groups = Groups::compile(snapshot).unwrap_or_default();
    let expanded = groups.expand(principal);
    expanded.map_or_else(|| principal.groups.clone(), |all| all.groups)
}

/// All groups that these are in, at however many removes. One that is in itself comes out, too.
fn over<'s>(groups: impl IntoIterator<Item = &'s str>, above: &Above<'s>) -> BTreeSet<&'s str> {
    let mut found = BTreeSet::new();
    let mut next: Vec<&str> = groups.into_iter().collect();
    while let Some(group) = next.pop() {
        for name in above.get(group).into_iter().flatten() {
            // Bounds the work, too: one over is enough to refuse.
            if found.len() <= ADDED_MAX && found.insert(name.as_str()) {
                next.push(name.as_str());
            }
        }
    }
    found
}

fn too_many(snapshot: &Snapshot, of: &GroupName, who: &str, count: usize) -> Option<Fault> {
    let group = snapshot.groups.get(of).filter(|_| count > ADDED_MAX)?;
    let message = format!("{who} would be in more than {ADDED_MAX} groups by membership");
    Some(fault(group, TOO_MUCH, message))
}

fn fault(group: &Group, code: &'static str, message: String) -> Fault {
    Fault {
        resource: ResourceKey::new(GROUP, group.name.as_str()),
        path: "spec.members".to_owned(),
        code,
        message,
        fix: None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn group(name: &str, users: &[&str], groups: &[&str]) -> Arc<Group> {
        let users = users.iter().map(|user| Member::User((*user).to_owned()));
        let groups = groups.iter().map(|name| Member::Group((*name).to_owned()));
        Arc::new(Group {
            name: GroupName::new(name).unwrap(),
            members: users.chain(groups).collect(),
        })
    }

    fn compiled(groups: &[Arc<Group>]) -> Result<Groups, Vec<Fault>> {
        let groups = groups
            .iter()
            .map(|group| (group.name.clone(), group.clone()));
        Groups::compile(&Snapshot {
            groups: groups.collect(),
            ..Snapshot::default()
        })
    }

    #[test]
    fn members_of_members_are_members() {
        let groups = compiled(&[
            group("finance", &["ana"], &["accounting"]),
            group("accounting", &["bob"], &["clerks"]),
            group("staff", &[], &["finance"]),
        ])
        .unwrap();
        let of = |user: &str, groups_of: &[&str]| {
            let principal = Principal::new(user, groups_of, None, "k");
            let expanded = groups.expand(&principal).unwrap_or(principal);
            expanded
                .groups
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(of("ana", &["eng"]), "eng finance staff");
        assert_eq!(of("bob", &[]), "accounting finance staff");
        // One that no resource is about, but a credential names.
        assert_eq!(of("eve", &["clerks"]), "accounting clerks finance staff");
        assert_eq!(of("eve", &["sales"]), "sales");
    }

    #[test]
    fn a_group_that_is_in_itself_is_refused() {
        let faults = compiled(&[
            group("a", &["u"], &["b"]),
            group("b", &[], &["c"]),
            group("c", &[], &["a"]),
        ])
        .unwrap_err();
        let names: Vec<_> = faults.iter().map(|f| f.resource.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert!(faults[0].message.starts_with("is in itself"));
    }

    #[test]
    fn nobody_is_in_groups_without_end() {
        let many: Vec<_> = (0..=ADDED_MAX)
            .map(|n| group(&format!("g{n}"), &["ana"], &[]))
            .collect();
        let faults = compiled(&many).unwrap_err();
        assert_eq!((faults.len(), faults[0].code), (1, TOO_MUCH));
        assert!(compiled(&many[1..]).is_ok());
    }
}
