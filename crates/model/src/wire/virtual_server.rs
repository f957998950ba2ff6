//! Virtual servers: whom they are made from, and that every name leads to one member, whichever of them are up.

use std::collections::{BTreeMap, BTreeSet};

use proto::v1 as pb;

use super::{Faults, LIST_MAX};
use crate::fault::{BAD_VALUE, DUPLICATE, MISSING, NEVER_MATCHES};
use crate::name::ServerName;
use crate::virtual_server::{Member, Override, VirtualServer};

/// Most members of one virtual server.
const MEMBERS_MAX: usize = 256;
/// Longest prefix: whatever names are shortened to still begins with it.
const PREFIX_CHARS_MAX: usize = 48;
/// Longest name that may be given to a tool: as long as names are anywhere, whatever an edge allows.
const RENAME_CHARS_MAX: usize = 64;
/// Longest name of a member's own that may be named.
const OWN_CHARS_MAX: usize = 256;

pub(super) fn convert(
    name: &str,
    labels: BTreeMap<String, String>,
    spec: &pb::VirtualServerSpec,
    faults: &mut Faults,
) -> Option<VirtualServer> {
    faults.check_text("spec.title", &spec.title);
    faults.check_text("spec.description", &spec.description);
    if spec.members.is_empty() {
        faults.push(
            "spec.members",
            MISSING,
            "is missing: a virtual server is made from others",
        );
    }
    if spec.members.len() > MEMBERS_MAX {
        let message = format!(
            "{} members are over the {MEMBERS_MAX} that one may have",
            spec.members.len()
        );
        faults.push("spec.members", BAD_VALUE, message);
    }
    let before = faults.0.len();
    let members: Vec<Member> = spec
        .members
        .iter()
        .take(MEMBERS_MAX)
        .enumerate()
        .filter_map(|(i, one)| member(&format!("spec.members[{i}]"), one, faults))
        .collect();
    if faults.0.len() == before && members.len() == spec.members.len() {
        check_names(&members, faults);
    }
    Some(VirtualServer {
        name: ServerName::new(name).ok()?,
        labels,
        title: spec.title.clone(),
        description: spec.description.clone(),
        members,
    })
}

fn member(path: &str, member: &pb::VirtualMember, faults: &mut Faults) -> Option<Member> {
    let server = match member.server.as_str() {
        "" => {
            faults.push(format!("{path}.server"), MISSING, "is missing");
            None
        }
        name => ServerName::new(name)
            .map_err(|bad| faults.push(format!("{path}.server"), BAD_VALUE, bad.to_string()))
            .ok(),
    };
    check_exposed(
        &format!("{path}.prefix"),
        &member.prefix,
        PREFIX_CHARS_MAX,
        faults,
    );
    faults.check_length(&format!("{path}.tools"), member.tools.len());
    let mut tools = Vec::new();
    for (i, tool) in member.tools.iter().take(LIST_MAX).enumerate() {
        let path = format!("{path}.tools[{i}]");
        check_own(&path, tool, faults);
        if tools.contains(tool) {
            faults.push(path, DUPLICATE, format!("{tool:?} is given twice"));
        }
        tools.push(tool.clone());
    }
    faults.check_length(&format!("{path}.overrides"), member.overrides.len());
    let mut overrides: Vec<Override> = Vec::new();
    for (i, change) in member.overrides.iter().take(LIST_MAX).enumerate() {
        let path = format!("{path}.overrides[{i}]");
        check_override(&path, change, &tools, faults);
        if overrides.iter().any(|other| other.name == change.name) {
            let message = format!("{:?} is given twice", change.name);
            faults.push(format!("{path}.name"), DUPLICATE, message);
        }
        overrides.push(Override {
            name: change.name.clone(),
            rename: (!change.rename.is_empty()).then(|| change.rename.clone()),
            hide: change.hide,
        });
    }
    Some(Member {
        server: server?,
        prefix: member.prefix.clone(),
        tools,
        overrides,
    })
}

fn check_override(path: &str, change: &pb::ToolOverride, tools: &[String], faults: &mut Faults) {
    let at = |field: &str| format!("{path}.{field}");
    check_own(&at("name"), &change.name, faults);
    check_exposed(&at("rename"), &change.rename, RENAME_CHARS_MAX, faults);
    match (change.rename.is_empty(), change.hide) {
        (true, false) => faults.push(path, MISSING, "changes nothing: give rename or hide"),
        (false, true) => {
            faults.push(
                at("rename"),
                BAD_VALUE,
                "what is hidden has no name for clients",
            );
        }
        _ => {}
    }
    if !tools.is_empty() && !tools.contains(&change.name) {
        let message = format!("{:?} is not one of the tools that are shown", change.name);
        faults.push(at("name"), NEVER_MATCHES, message);
    }
}

/// A name of a server's own may hold what it likes, in bounds.
fn check_own(path: &str, name: &str, faults: &mut Faults) {
    if name.is_empty() {
        faults.push(path, MISSING, "is missing");
    } else if name.chars().count() > OWN_CHARS_MAX || name.chars().any(char::is_control) {
        faults.push(path, BAD_VALUE, format!("{name:?} is no tool's name"));
    }
}

/// What clients see is held to what the protocol recommends (2026-07-28 server/tools).
fn check_exposed(path: &str, text: &str, chars_max: usize, faults: &mut Faults) {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    if !text.bytes().all(plain) || text.len() > chars_max {
        let message = format!("{text:?} is not at most {chars_max} of A-Z, a-z, 0-9, _, - and .");
        faults.push(path, BAD_VALUE, message);
    }
}

/// Every name must lead to one member, and be told by itself alone to which.
fn check_names(members: &[Member], faults: &mut Faults) {
    let (mut servers, mut catch_all) = (BTreeSet::new(), None);
    let mut exposed: BTreeMap<String, usize> = BTreeMap::new();
    for (i, member) in members.iter().enumerate() {
        let at = |field: &str| format!("spec.members[{i}].{field}");
        if !servers.insert(&member.server) {
            let message = format!("{} is given twice", member.server);
            faults.push(at("server"), DUPLICATE, message);
        }
        if member.is_catch_all() {
            match catch_all {
                None => catch_all = Some(&member.server),
                Some(first) => {
                    let message = format!(
                        "is missing: {first} takes all names without a prefix already; give one, or tools"
                    );
                    faults.push(at("prefix"), MISSING, message);
                }
            }
        }
        for (j, other) in members.iter().enumerate() {
            let shares = !other.prefix.is_empty() && member.prefix.starts_with(&other.prefix);
            if i != j && shares && (member.prefix != other.prefix || j < i) {
                let message = format!(
                    "{:?} begins with {:?}, the prefix of {}: names could lead to either",
                    member.prefix, other.prefix, other.server
                );
                faults.push(at("prefix"), BAD_VALUE, message);
            }
        }
        for (name, own) in member.said_names() {
            check_said(members, i, &name, own, &mut exposed, faults);
        }
    }
}

fn check_said(
    members: &[Member],
    i: usize,
    name: &str,
    own: &str,
    exposed: &mut BTreeMap<String, usize>,
    faults: &mut Faults,
) {
    let path = format!("spec.members[{i}]");
    let theirs = members
        .iter()
        .enumerate()
        .find(|(j, other)| *j != i && !other.prefix.is_empty() && name.starts_with(&other.prefix));
    if let Some((_, other)) = theirs {
        let message = format!(
            "{name:?}, the name of its tool {own:?}, begins with {:?}, the prefix of {}",
            other.prefix, other.server
        );
        faults.push(&path, BAD_VALUE, message);
    }
    if exposed.insert(name.to_owned(), i).is_some() {
        let message = format!("two tools would be named {name:?}");
        faults.push(path, DUPLICATE, message);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn of(members: Vec<pb::VirtualMember>) -> Vec<String> {
        let spec = pb::VirtualServerSpec {
            members,
            ..Default::default()
        };
        let mut faults = Faults::default();
        convert("desk", BTreeMap::new(), &spec, &mut faults).unwrap();
        faults.0.iter().map(ToString::to_string).collect()
    }

    fn member(
        server: &str,
        prefix: &str,
        tools: &[&str],
        renames: &[(&str, &str)],
    ) -> pb::VirtualMember {
        pb::VirtualMember {
            server: server.into(),
            prefix: prefix.into(),
            tools: tools.iter().map(ToString::to_string).collect(),
            overrides: renames
                .iter()
                .map(|(name, rename)| pb::ToolOverride {
                    name: (*name).to_owned(),
                    rename: (*rename).to_owned(),
                    hide: rename.is_empty(),
                })
                .collect(),
        }
    }

    #[test]
    fn names_that_lead_to_one_member_each_are_taken() {
        let none: Vec<String> = Vec::new();
        assert_eq!(
            of(vec![
                member("everything", "all_", &[], &[("echo", "say"), ("add", "")]),
                member("time", "", &["now"], &[]),
                member("docs", "", &[], &[]),
            ]),
            none
        );
    }

    #[test]
    fn names_that_could_lead_to_two_are_refused() {
        for (members, wanted) in [
            (
                vec![member("a", "", &[], &[]), member("b", "", &[], &[])],
                "spec.members[1].prefix is missing: a takes all names",
            ),
            (
                vec![member("a", "x_", &[], &[]), member("b", "x_y_", &[], &[])],
                "spec.members[1].prefix: \"x_y_\" begins with \"x_\"",
            ),
            (
                vec![member("a", "x_", &[], &[]), member("b", "x_", &[], &[])],
                "spec.members[1].prefix: \"x_\" begins with \"x_\"",
            ),
            (
                vec![member("a", "x_", &[], &[]), member("b", "", &["x_t"], &[])],
                "spec.members[1]: \"x_t\", the name of its tool \"x_t\", begins with \"x_\"",
            ),
            (
                vec![
                    member("a", "", &["t"], &[]),
                    member("b", "y_", &[], &[("u", "t")]),
                ],
                "spec.members[1]: two tools would be named \"t\"",
            ),
            (
                vec![member("a", "", &[], &[]), member("a", "y_", &[], &[])],
                "spec.members[1].server: a is given twice",
            ),
            (
                vec![member("a", "p/", &[], &[])],
                "spec.members[0].prefix: \"p/\" is not at most 48",
            ),
            (
                vec![member("a", "", &["t"], &[("u", "v")])],
                "spec.members[0].overrides[0].name: \"u\" is not one of the tools",
            ),
            (vec![], "spec.members is missing"),
        ] {
            let faults = of(members);
            assert_eq!(faults.len(), 1, "{faults:#?}");
            assert!(faults[0].starts_with(wanted), "{faults:#?}");
        }
    }
}
