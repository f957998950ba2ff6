#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use std::sync::Arc;

use model::annotations::{Annotations, Hint, Hints};
use model::pins::ToolPins;
use model::snapshot::Snapshot;
use model::wire;
use model::yaml::{self, Source};

use super::*;

/// An engine of one server, `a`, and of these specs by kind and name.
fn engine(resources: &[(&str, &str, &str)]) -> Engine {
    let server = ("Server", "a", "{runtime: {external: {}}}");
    let document = |(kind, name, spec): &(&str, &str, &str)| {
        format!(
            "---\napiVersion: gatehouse.dev/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n"
        )
    };
    let all = std::iter::once(&server).chain(resources);
    let source = Source {
        file: "f".to_owned(),
        text: all.map(document).collect::<String>().into(),
    };
    let mut snapshot = Snapshot::default();
    for located in yaml::parse(&[source]).unwrap() {
        wire::insert(&mut snapshot, wire::convert(&located.resource).unwrap());
    }
    Engine::compile(Arc::new(snapshot)).unwrap()
}

const ALL: (&str, &str, &str) = (
    "AccessRule",
    "all",
    r#"{effect: allow, everyone: true, servers: ["*"]}"#,
);
const NO_ECHO: (&str, &str, &str) = (
    "AccessRule",
    "no-echo",
    r#"{effect: deny, everyone: true, servers: ["*"], tools: [echo]}"#,
);
const NOBODY: (&str, &str, &str) = (
    "AccessRule",
    "all",
    r#"{effect: deny, everyone: true, servers: ["*"]}"#,
);
const NO_HACKING: (&str, &str, &str) = (
    "Filter",
    "no-hacking",
    "{keywords: {words: [hacking], fold: true}}",
);

fn judged<'e>(
    before: &'e Engine,
    after: &'e Engine,
    (method, name): (&str, &str),
    arguments: Arguments<'_>,
    passed: &[&str],
) -> Compared<'e> {
    let principal = Arc::new(Principal::new("ana", &[], None, "k"));
    let server = ServerName::new("a").unwrap();
    let past = Past {
        principal: &principal,
        server: &server,
        method,
        name,
        arguments,
        client_address: None,
        time: None,
        passed,
    };
    compare(before, after, &past)
}

const ECHO: (&str, &str) = ("tools/call", "echo");

#[test]
fn what_a_rule_changes_is_told_with_both_rules() {
    let (before, after) = (engine(&[ALL]), engine(&[ALL, NO_ECHO]));
    let unseen = Arguments::NotRecorded;
    let Compared::Differs {
        before: was,
        after: is,
    } = judged(&before, &after, ECHO, unseen, &[])
    else {
        panic!("it is denied now");
    };
    assert_eq!(
        (was.effect, was.rule.unwrap().as_str()),
        (Effect::Allow, "all")
    );
    assert_eq!(
        (is.effect, is.rule.unwrap().as_str()),
        (Effect::Deny, "no-echo")
    );
    for call in [("tools/call", "add"), ("tools/list", "")] {
        let other = judged(&before, &after, call, unseen, &[]);
        assert!(matches!(other, Compared::Same { .. }), "{other:?}");
    }
}

#[test]
fn a_condition_is_asked_of_what_is_on_record_and_else_it_is_unknown() {
    const NOT_MUCH: (&str, &str, &str) = (
        "AccessRule",
        "not-much",
        r#"{effect: deny, everyone: true, servers: ["*"], tools: [echo], when: "args.n > 1"}"#,
    );
    let (before, after) = (engine(&[ALL]), engine(&[ALL, NOT_MUCH]));
    let of = |call, arguments| judged(&before, &after, call, arguments, &[]);
    let differs = of(ECHO, Arguments::Whole(r#"{"n": 2}"#));
    assert!(matches!(differs, Compared::Differs { .. }), "{differs:?}");
    let same = of(ECHO, Arguments::Whole(r#"{"n": 1}"#));
    assert!(matches!(same, Compared::Same { .. }), "{same:?}");
    let unknown = of(ECHO, Arguments::NotRecorded);
    assert_eq!(unknown, Compared::Unknown(Unknown::ArgumentsNotRecorded));
    // What no condition is about is known.
    let other = of(("tools/call", "add"), Arguments::NotRecorded);
    assert!(matches!(other, Compared::Same { .. }), "{other:?}");
}

#[test]
fn a_filter_looks_at_what_is_on_record_and_at_nothing_else() {
    let (before, after) = (engine(&[ALL]), engine(&[ALL, NO_HACKING]));
    let of = |arguments| judged(&before, &after, ECHO, arguments, &[]);
    let Compared::Differs { after: is, .. } = of(Arguments::Whole(r#"{"m":"h\u0061cking"}"#))
    else {
        panic!("it is refused now");
    };
    assert_eq!(
        (is.reason, is.filter.unwrap().as_str()),
        (Some(Reason::Filter), "no-hacking")
    );
    assert!(matches!(of(Arguments::Whole("{}")), Compared::Same { .. }));
    for (arguments, why) in [
        (Arguments::NotRecorded, Unknown::ArgumentsNotRecorded),
        (Arguments::Cut, Unknown::ArgumentsCut),
        (Arguments::Redacted, Unknown::ArgumentsRedacted),
    ] {
        assert_eq!(of(arguments), Compared::Unknown(why));
    }
    // What has no arguments is whole without them.
    let read = ("resources/read", "docs://hacking");
    let read = judged(&before, &after, read, Arguments::NotRecorded, &[]);
    assert!(matches!(read, Compared::Differs { .. }), "{read:?}");
}

#[test]
fn what_is_the_same_under_both_is_not_unknown() {
    let before = engine(&[ALL, NO_HACKING]);
    let of = |after: &Engine, passed: &[&str]| {
        let compared = judged(&before, after, ECHO, Arguments::NotRecorded, passed);
        match compared {
            Compared::Same { .. } => "same",
            Compared::Differs { .. } => "differs",
            Compared::Unknown(why) => why.as_str(),
        }
    };
    let more = (
        "AccessRule",
        "more",
        r#"{effect: allow, everyone: true, servers: [a]}"#,
    );
    assert_eq!(of(&engine(&[ALL, more, NO_HACKING]), &[]), "same");
    let harder = (
        "Filter",
        "no-hacking",
        "{keywords: {words: [cracking, hacking], fold: true}}",
    );
    let missing = "arguments not recorded";
    assert_eq!(of(&engine(&[ALL, harder]), &[]), missing);
    // Denied now; whether the filter let it pass before is known by what it passed then.
    let deny = engine(&[ALL, NO_ECHO, NO_HACKING]);
    assert_eq!(of(&deny, &[]), missing);
    assert_eq!(of(&deny, &["no-hacking"]), "differs");
}

#[test]
fn a_limit_that_is_new_leaves_open_what_was_called_meanwhile() {
    let limit = ("Limit", "few", "{match: {tools: [echo]}, rate: 1/1m}");
    let watched = (
        "Limit",
        "few",
        "{match: {tools: [echo]}, rate: 1/1m, mode: observe}",
    );
    let (before, after) = (engine(&[ALL]), engine(&[ALL, limit]));
    let unseen = Arguments::NotRecorded;
    let echo = judged(&before, &after, ECHO, unseen, &[]);
    assert_eq!(echo, Compared::Unknown(Unknown::Limit));
    let add = judged(&before, &after, ("tools/call", "add"), unseen, &[]);
    assert!(matches!(add, Compared::Same { .. }), "{add:?}");
    let same = judged(&after, &after, ECHO, unseen, &[]);
    assert!(matches!(same, Compared::Same { .. }), "{same:?}");
    let watched = engine(&[ALL, watched]);
    let observed = judged(&before, &watched, ECHO, unseen, &[]);
    assert!(matches!(observed, Compared::Same { .. }), "{observed:?}");
    // Who is denied is not counted.
    let denied = engine(&[ALL, NO_ECHO, limit]);
    let denied = judged(&before, &denied, ECHO, unseen, &[]);
    assert!(matches!(denied, Compared::Differs { .. }), "{denied:?}");
}

#[test]
fn a_server_that_one_may_not_use_any_more_is_none() {
    let (before, after) = (engine(&[ALL]), engine(&[NOBODY]));
    let unseen = Arguments::NotRecorded;
    for call in [ECHO, ("tools/list", ""), ("initialize", "")] {
        let found = judged(&before, &after, call, unseen, &[]);
        let Compared::Differs { after, .. } = found else {
            panic!("{call:?}: {found:?}");
        };
        assert_eq!(after.reason, Some(Reason::NoRule));
    }
    let unread = judged(&after, &before, ("", ""), unseen, &[]);
    assert_eq!(unread, Compared::Unknown(Unknown::Unread));
    let task = judged(&before, &before, ("tasks/get", "t"), unseen, &[]);
    assert_eq!(task, Compared::Unknown(Unknown::Target));
}

#[test]
fn who_is_in_a_group_is_each_policys_to_say() {
    const STAFF: (&str, &str, &str) = (
        "AccessRule",
        "staff",
        r#"{effect: allow, subjects: [{group: staff}], servers: ["*"]}"#,
    );
    let group = |members| ("Group", "staff", members);
    let with = engine(&[STAFF, group("{members: [{user: ana}]}")]);
    let without = engine(&[STAFF, group("{members: [{user: bob}]}")]);
    let compared = judged(&with, &without, ECHO, Arguments::NotRecorded, &[]);
    assert!(matches!(compared, Compared::Differs { .. }), "{compared:?}");
}

#[test]
fn what_a_tools_schema_was_is_not_on_record() {
    let schema = |spec| engine(&[ALL, ("Filter", "fits", spec)]);
    let before = engine(&[ALL]);
    let of = |after: &Engine, call| {
        let compared = judged(&before, after, call, Arguments::Whole("{}"), &[]);
        match compared {
            Compared::Same { .. } => "same",
            Compared::Differs { .. } => "differs",
            Compared::Unknown(why) => why.as_str(),
        }
    };
    let plain = schema("{schema: {}}");
    assert_eq!(of(&plain, ECHO), "tool's schema not known");
    // Where nothing hangs on it, nothing is unknown.
    for spec in [
        "{schema: {}, mode: observe}",
        "{schema: {}, match: {direction: response}}",
        "{schema: {}, match: {tools: [other]}}",
    ] {
        assert_eq!(of(&schema(spec), ECHO), "same", "{spec}");
    }
    assert_eq!(of(&plain, ("resources/read", "docs://a")), "same");
    let refused = engine(&[ALL, NO_ECHO, ("Filter", "fits", "{schema: {}}")]);
    assert_eq!(of(&refused, ECHO), "differs");
    let again = schema("{schema: {}}");
    let same = judged(&plain, &again, ECHO, Arguments::Whole("{}"), &[]);
    assert!(matches!(same, Compared::Same { .. }), "{same:?}");
}

#[test]
fn a_call_of_the_past_is_decided_by_what_is_approved_of_its_tool_today() {
    const NOT_DESTRUCTIVE: (&str, &str, &str) = (
        "AccessRule",
        "not-destructive",
        r#"{effect: deny, everyone: true, servers: ["*"], annotations: {destructiveHint: true}}"#,
    );
    let trusting = |tool: &str| {
        let mut snapshot = (**engine(&[ALL, NOT_DESTRUCTIVE]).snapshot()).clone();
        let name = ServerName::new("a").unwrap();
        let server = Arc::make_mut(snapshot.servers.get_mut(&name).unwrap());
        server.tools.pin = model::server::Pin::Review;
        server.tools.trust_annotations = true;
        let reads = Annotations::default().with(Hint::ReadOnly, Some(true));
        let pins = ToolPins {
            server: name.clone(),
            version: 1,
            tools: Default::default(),
            hints: [(tool.to_owned(), Hints::of(&reads))].into(),
            unread: Default::default(),
        };
        snapshot.tool_pins.insert(name, Arc::new(pins));
        Engine::compile(Arc::new(snapshot)).unwrap()
    };
    let before = engine(&[ALL]);
    let unseen = Arguments::NotRecorded;
    let is_same = |after: &Engine| {
        let judged = judged(&before, after, ECHO, unseen, &[]);
        assert!(!matches!(judged, Compared::Unknown(_)), "{judged:?}");
        matches!(judged, Compared::Same { .. })
    };
    assert!(is_same(&trusting("echo")));
    assert!(!is_same(&trusting("other")));
    assert!(!is_same(&engine(&[ALL, NOT_DESTRUCTIVE])));
}
