#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use std::collections::BTreeMap;

use model::virtual_server::Override;
use proptest::prelude::*;

use super::*;

fn member(server: &str, prefix: &str, tools: &[&str], changes: &[(&str, &str)]) -> Member {
    Member {
        server: ServerName::new(server).unwrap(),
        prefix: prefix.into(),
        tools: tools.iter().map(ToString::to_string).collect(),
        overrides: changes
            .iter()
            .map(|(name, rename)| Override {
                name: (*name).into(),
                rename: (!rename.is_empty()).then(|| (*rename).into()),
                hide: rename.is_empty(),
            })
            .collect(),
    }
}

fn desk() -> Federation {
    Federation::of(&VirtualServer {
        name: ServerName::new("desk").unwrap(),
        labels: BTreeMap::new(),
        title: String::new(),
        description: String::new(),
        members: vec![
            member(
                "everything",
                "all_",
                &[],
                &[("echo", "say"), ("secret", ""), ("add", "all_sum")],
            ),
            member("time", "", &["now"], &[]),
            member("docs", "", &[], &[]),
            member("crm", "crm.", &["find"], &[]),
        ],
    })
}

#[test]
fn names_lead_where_they_were_said_to() {
    let desk = desk();
    let own = |name: &'static str| match desk.find_tool(name, NAME_CHARS) {
        Some(Found::Own(member, own)) => {
            Some((desk.members()[member].server.to_string(), own.into_owned()))
        }
        _ => None,
    };
    let at = |server: &str, own: &str| Some((server.to_owned(), own.to_owned()));
    assert_eq!(own("say"), at("everything", "echo"));
    assert_eq!(own("all_x"), at("everything", "x"));
    assert_eq!(own("all_echo"), None, "it has another name");
    assert_eq!(own("all_secret"), None, "it is hidden");
    assert_eq!(own("all_sum"), at("everything", "add"));
    assert_eq!(own("all_add"), None);
    assert_eq!(own("now"), at("time", "now"));
    assert_eq!(own("anything"), at("docs", "anything"));
    assert_eq!(own("crm.find"), at("crm", "find"));
    assert_eq!(own("crm.other"), None, "it was not chosen");
    // What looks like another member's, or was said for another's tool, is not shown.
    assert_eq!(desk.tool(2, "all_x", NAME_CHARS), None);
    assert_eq!(desk.tool(2, "now", NAME_CHARS), None);
    assert_eq!(desk.tool(0, "sum", NAME_CHARS), None);
    assert_eq!(
        desk.find_prompt("greet", NAME_CHARS),
        Some(Found::Own(2, "greet".into()))
    );
    assert_eq!(
        desk.prompt(1, "greet", NAME_CHARS),
        None,
        "nothing tells it from another's"
    );
    assert_eq!(desk.prompt(0, "echo", NAME_CHARS).unwrap(), "all_echo");
}

#[test]
fn names_that_are_too_long_end_in_a_digest_and_are_found_by_the_list() {
    let desk = desk();
    let long = "x".repeat(80);
    let shown = desk.tool(0, &long, NAME_CHARS).unwrap().into_owned();
    assert_eq!((shown.len(), &shown[..5]), (64, "all_x"));
    assert_eq!(
        desk.find_tool(&shown, NAME_CHARS),
        Some(Found::Shortened(0))
    );
    let other = desk
        .tool(0, &"x".repeat(81), NAME_CHARS)
        .unwrap()
        .into_owned();
    assert_ne!(shown, other);
    assert_eq!(
        desk.tool(0, &long, NAME_CHARS_MAX).unwrap(),
        format!("all_{long}")
    );
}

#[test]
fn all_servers_are_told_apart_by_their_names() {
    let mut snapshot = Snapshot::default();
    for name in ["a", "a-b"] {
        let server = crate::samples::server(name);
        snapshot
            .servers
            .insert(server.name.clone(), Arc::new(server));
    }
    let all = Federation::all(&snapshot);
    assert_eq!(
        all.find_tool("a-b_c", NAME_CHARS),
        Some(Found::Own(1, "c".into()))
    );
    assert_eq!(
        all.find_tool("a_b_c", NAME_CHARS),
        Some(Found::Own(0, "b_c".into()))
    );
    assert_eq!(all.find_tool("b_c", NAME_CHARS), None);
}

proptest! {
    #[test]
    fn what_is_shown_is_what_the_name_leads_to(
        member in 0_usize..4,
        own in "(all_|crm\\.|say|now|echo|sum|add|find|[a-z_.]{0,5}|é)[a-z0-9_.é-]{0,80}",
        chars_max in 64_usize..=128,
    ) {
        let desk = desk();
        if let Some(shown) = desk.tool(member, &own, chars_max) {
            prop_assert!(shown.chars().count() <= chars_max);
            match desk.find_tool(&shown, chars_max) {
                Some(Found::Own(m, o)) => prop_assert_eq!((m, &*o), (member, &*own)),
                Some(Found::Shortened(m)) => prop_assert_eq!(m, member),
                None => prop_assert!(false, "{} leads nowhere", shown),
            }
        }
        if let Some(shown) = desk.prompt(member, &own, chars_max) {
            match desk.find_prompt(&shown, chars_max) {
                Some(Found::Own(m, o)) => prop_assert_eq!((m, &*o), (member, &*own)),
                Some(Found::Shortened(m)) => prop_assert_eq!(m, member),
                None => prop_assert!(false, "{} leads nowhere", shown),
            }
        }
    }

    #[test]
    fn no_two_tools_share_a_name(
        a in (0_usize..4, "(all_|crm\\.|say|now|echo|sum|add|find|)[a-z]{0,4}"),
        b in (0_usize..4, "(all_|crm\\.|say|now|echo|sum|add|find|)[a-z]{0,4}"),
    ) {
        let desk = desk();
        if let (Some(x), Some(y)) = (desk.tool(a.0, &a.1, 64), desk.tool(b.0, &b.1, 64)) {
            prop_assert!(x != y || a == b, "{x}");
        }
    }
}
