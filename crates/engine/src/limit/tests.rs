#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use std::collections::BTreeSet;

use model::access::{Subject, Subjects};
use model::filter::OnError;
use model::limit::{Calls, Match, Mode, Part, Rate, Scope};
use model::name::LimitName;
use proptest::prelude::*;

use super::*;

fn globs(texts: &[&str]) -> Vec<Glob> {
    texts.iter().map(|text| Glob::new(text).unwrap()).collect()
}

fn limit(name: &str, servers: &[&str], per: &[Part]) -> Limit {
    let rate = Rate::calls("5/1m").unwrap();
    Limit {
        name: LimitName::new(name).unwrap(),
        matches: Match {
            servers: globs(servers),
            methods: globs(&["tools/call"]),
            tools: Vec::new(),
        },
        subjects: Subjects::Everyone,
        per: per.to_vec(),
        calls: Some(Calls { rate, burst: 5 }),
        concurrency: None,
        request_bytes: None,
        response_bytes: None,
        scope: Scope::Shared,
        on_store_error: OnError::Deny,
        mode: Mode::Enforce,
    }
}

fn group(name: &str) -> Subject {
    Subject {
        user: None,
        group: Some(name.to_owned()),
        client: None,
    }
}

fn compile(limits: Vec<Limit>) -> Limits {
    let mut snapshot = Snapshot::default();
    for limit in limits {
        snapshot.limits.insert(limit.name.clone(), Arc::new(limit));
    }
    Limits::compile(&snapshot).unwrap()
}

fn server(name: &str) -> ServerName {
    ServerName::new(name).unwrap()
}

fn ana() -> Principal {
    Principal::new("ana", &["dev", "ops"], Some("cursor"), "k1")
}

fn names(limits: &Limits, at: &str, method: &str, tool: Option<&str>) -> Vec<String> {
    let selected = limits.select(&ana(), &server(at), method, tool);
    selected.iter().map(|l| l.name.to_string()).collect()
}

#[test]
fn a_limit_counts_the_calls_that_it_is_about_narrowest_first() {
    let mut tools = limit("c-tools", &["time", "time"], &[Part::User]);
    tools.matches.tools = globs(&["get-*"]);
    let mut lists = limit("d-lists", &[], &[]);
    lists.matches.methods = globs(&["*/list"]);
    let mut others = limit("e-others", &["*"], &[]);
    others.subjects = Subjects::Any(vec![group("sales")]);
    let limits = compile(vec![
        limit("a-all", &[], &[]),
        limit("b-two", &["t*"], &[Part::User, Part::Tool]),
        tools,
        lists,
        others,
    ]);
    let called = |at, tool| names(&limits, at, "tools/call", Some(tool));
    assert_eq!(called("time", "get-it"), ["b-two", "c-tools", "a-all"]);
    assert_eq!(called("time", "set-it"), ["b-two", "a-all"]);
    assert_eq!(called("crm", "get-it"), ["a-all"]);
    assert_eq!(names(&limits, "time", "tools/list", None), ["d-lists"]);
    assert!(names(&limits, "time", "ping", None).is_empty());
}

#[test]
fn by_group_a_call_counts_under_each_that_is_meant() {
    let count = |limit: &Limit| keys(limit, &ana(), &server("time"), Some("x")).count();
    let mut by_group = limit("g", &[], &[Part::Group]);
    assert_eq!(count(&by_group), 2);
    by_group.subjects = Subjects::Any(vec![group("ops"), group("sales")]);
    assert_eq!(count(&by_group), 1);
    let nobody = Principal::new("ben", &[], None, "k2");
    assert_eq!(keys(&by_group, &nobody, &server("time"), None).count(), 1);
    assert_eq!(count(&limit("u", &[], &[Part::User])), 1);
}

#[test]
fn more_limits_than_an_engine_takes_are_refused() {
    let mut snapshot = Snapshot::default();
    for n in 0..=LIMITS_MAX {
        let limit = limit(&format!("l{n}"), &[], &[]);
        snapshot.limits.insert(limit.name.clone(), Arc::new(limit));
    }
    let faults = Limits::compile(&snapshot).unwrap_err();
    assert_eq!(faults[0].code, TOO_MUCH);
}

proptest! {
    /// Calls that differ in what is counted apart never share a key, and those that do not always do.
    #[test]
    fn keys_tell_apart_what_is_counted_apart(
        calls in prop::collection::vec(("[a-c\0]{0,3}", "[a-c\0]{0,3}", "[a-c]{1,2}", "\\PC{0,200}"), 2),
        per in prop::sample::subsequence(vec![Part::User, Part::Client, Part::Server, Part::Tool], 0..=4),
    ) {
        let limit = limit("l", &[], &per);
        let told = |(user, client, at, tool): &(String, String, String, String)| {
            let principal = Principal::new(user, &[], Some(client), "k");
            let all: Vec<Key> = keys(&limit, &principal, &server(at), Some(tool)).collect();
            let parts: Vec<&str> = per.iter().map(|part| match part {
                Part::User => user.as_str(),
                Part::Client => client,
                Part::Server => at,
                Part::Group | Part::Tool => tool,
            }).collect();
            (all, parts.into_iter().map(str::to_owned).collect::<Vec<_>>())
        };
        let (first, second) = (told(&calls[0]), told(&calls[1]));
        prop_assert_eq!(first.0 == second.0, first.1 == second.1);
        prop_assert!(first.0.iter().all(|key| key.as_bytes().len() <= 5 * (PART + 1)));
    }

    /// The index finds what a walk over all limits finds.
    #[test]
    fn the_index_finds_what_a_walk_finds(
        servers in prop::collection::vec(prop::collection::vec("[a-b]|\\*|a\\*", 0..3), 0..6),
        at in "[a-b]{1,2}",
    ) {
        let all: Vec<Limit> = servers.iter().enumerate().map(|(n, servers)| {
            let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
            limit(&format!("l{n}"), &servers, &[])
        }).collect();
        let walked: BTreeSet<String> = all.iter()
            .filter(|limit| counts(limit, &ana(), &server(&at), "tools/call", None))
            .map(|limit| limit.name.to_string())
            .collect();
        let found: BTreeSet<String> = names(&compile(all), &at, "tools/call", None).into_iter().collect();
        prop_assert_eq!(found, walked);
    }
}

/// Longest part of a key.
const PART: usize = 128;
