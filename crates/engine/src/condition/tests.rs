#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
//! What conditions mean, what is refused of them, and that they mean what CEL does.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use model::fault::{BAD_VALUE, NEVER_MATCHES, TOO_MUCH};
use model::name::ServerName;
use model::principal::Principal;
use model::server::Server;
use model::snapshot::Snapshot;

use super::*;
use crate::Action;

mod agreement;

const ARGS: &str = r#"{"amount": 900, "to": ["ana@example.com", "bob@example.org"], "message": "a s\u0065cret",
    "deep": {"a": {"b": [1, 2.5, null, true]}}, "big": 18446744073709551615, "empty": {}, "text": "10"}"#;

fn world() -> (Snapshot, Principal, ServerName) {
    let server = Server {
        labels: [("team".to_owned(), "platform".to_owned())].into(),
        ..crate::samples::server("pay")
    };
    let name = server.name.clone();
    let mut snapshot = Snapshot::default();
    snapshot.servers.insert(name.clone(), Arc::new(server));
    let ana = Principal::new("ana@example.com", &["finance", "eng"], Some("cursor"), "k1");
    (snapshot, ana, name)
}

/// Friday, 2026-11-27 17:30:15.250 UTC.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_800_615_250)
}

fn known() -> Facts<'static> {
    Facts {
        args: Some(ARGS.as_bytes()),
        client_address: Some("10.1.2.3".parse().unwrap()),
        time: Some(now()),
    }
}

fn ask_with(text: &str, facts: &Facts<'_>) -> Outcome {
    let (snapshot, ana, server) = world();
    let condition = Condition::compile(text).unwrap_or_else(|m| panic!("{text}: {m:?}"));
    let action = Action::tool("transfer");
    let scope = Scope::of_call(&snapshot, (&ana, &server), &action, facts);
    condition.evaluate(&scope)
}

fn ask(text: &str) -> Outcome {
    ask_with(text, &known())
}

fn refusal(text: &str) -> Mistake {
    match Condition::compile(text) {
        Err(mistake) => mistake,
        Ok(_) => panic!("{text} is taken"),
    }
}

#[test]
fn conditions_hold() {
    for text in [
        "true",
        r#"args.amount < 1000 && principal.groups.exists(g, g == "finance")"#,
        r#""eng" in principal.groups && principal.client == "cursor" && principal.user.endsWith("@example.com")"#,
        r#"server.name == "pay" && server.labels.team == "platform" && !("env" in server.labels)"#,
        r#"tool == "transfer" && name == tool && method == "tools/call""#,
        r#"args.message.contains("secret") && args.message.matches("^a s.c")"#,
        r#"args.to.all(t, t.contains("@")) && args.to.exists_one(t, t.endsWith(".org")) && size(args.to) == 2"#,
        r#"args.deep.a.b[1] == 2.5 && args["deep"]["a"]["b"][2] == null && args.deep.a.b[3]"#,
        "args.big > 9223372036854775807 && args.big == 18446744073709551615u",
        r#"has(args.amount) && !has(args.nothing) && has(server.labels.team) && has(principal.groups)"#,
        r#"args.to.filter(t, t.startsWith("bob")).size() == 1 && args.to.map(t, t.size()) == [15, 15]"#,
        r#"args.to.map(t, t.startsWith("bob"), t.upperAscii()) == ["BOB@EXAMPLE.ORG"]"#,
        r#"int(args.text) + 1 == 11 && string(args.amount) == "900" && double(args.amount) / 2.0 == 450.0"#,
        r#"cidr("10.0.0.0/8").containsIP(client_address) && !cidr("fd00::/8").containsIP(client_address)"#,
        r#"time.getHours() == 17 && time.getHours("+02:00") == 19 && time.getDayOfWeek() == 5 && time.getMonth() == 10"#,
        r#"time > timestamp("2026-11-27T17:00:00Z") && time - timestamp("2026-11-27T17:00:00Z") < duration("31m")"#,
        r#"(args.amount > 1000 ? "much" : "little") == "little""#,
        r#"args.empty == {"a": 1}.x || true"#,
        "args.amount == 900.0 && -args.amount < 0 && args.amount % 7 == 4",
        r#"args.exists(key, key == "amount")"#,
        "1 in [1, 2] && 3 - 2 * 1 == 1 && 1.5 > 1 && 2u > 1",
    ] {
        if text.contains("{\"a\"") {
            assert_eq!(refusal(text).code, BAD_VALUE);
            continue;
        }
        assert_eq!(ask(text), Outcome::Holds, "{text}");
    }
}

#[test]
fn what_cannot_be_evaluated_says_why() {
    for (text, why) in [
        ("args.nothing == 1", r#"there is no "nothing""#),
        ("args.message < 1", "text and a number have no order"),
        ("args.amount.x", r#"a number has no field "x""#),
        ("args.amount", "a number is neither true nor false"),
        ("args.to[7] == \"\"", "a list has nothing at that place"),
        (
            "args.amount / 0 == 1",
            "a number is out of range, or divided by zero",
        ),
        (
            "args.amount + 1.5 > 1.0",
            "+ does not take a number and a number",
        ),
        (
            r#"int(args.message) == 1"#,
            "a number is out of range, or divided by zero",
        ),
        (
            r#"cidr("10.0.0.0/8").containsIP(args.message)"#,
            r#""a secret" is no address"#,
        ),
        ("args.to.all(t, t > 1)", "text and a number have no order"),
    ] {
        assert_eq!(ask(text), Outcome::Error(why.to_owned()), "{text}");
    }
}

#[test]
fn what_decides_makes_a_failure_not_matter() {
    assert_eq!(ask("args.nothing == 1 || true"), Outcome::Holds);
    assert_eq!(ask("args.nothing == 1 && false"), Outcome::Fails);
    assert_eq!(
        ask("args.to.exists(t, t == \"bob@example.org\" || t > 1)"),
        Outcome::Holds
    );
}

#[test]
fn what_is_not_known_is_unknown_unless_the_rest_decides() {
    let nothing = Facts::default();
    for (text, outcome) in [
        ("args.amount < 1000", Outcome::Unknown),
        (
            r#"args.amount < 1000 && principal.user == "eve""#,
            Outcome::Fails,
        ),
        (
            r#"principal.user == "ana@example.com" || args.amount < 1000"#,
            Outcome::Holds,
        ),
        ("args.nothing.at.all || args.x / 0 == 1", Outcome::Unknown),
        ("time.getHours() < 18", Outcome::Unknown),
        ("args.to.all(t, t == \"\") && 1 / 0 == 1", Outcome::Unknown),
        (
            r#"cidr("10.0.0.0/8").containsIP(client_address)"#,
            Outcome::Unknown,
        ),
        (r#"tool == "transfer""#, Outcome::Holds),
        ("has(args.x)", Outcome::Unknown),
        ("[args.x, 1].size() == 2", Outcome::Unknown),
    ] {
        assert_eq!(ask_with(text, &nothing), outcome, "{text}");
    }
}

#[test]
fn a_call_without_arguments_has_an_empty_map() {
    let facts = Facts {
        args: Some(b""),
        ..Facts::default()
    };
    assert_eq!(
        ask_with("size(args) == 0 && !has(args.x)", &facts),
        Outcome::Holds
    );
    assert_eq!(
        ask_with("args.x == 1", &facts),
        Outcome::Error("there is no \"x\"".to_owned())
    );
}

#[test]
fn what_could_never_hold_is_refused_with_what_was_meant() {
    for (text, message, fix) in [
        (
            "principal.group == \"eng\"",
            "principal has no field `group`",
            "did you mean `groups`?",
        ),
        (
            "principle.user == \"a\"",
            "there is no variable `principle`",
            "did you mean `principal`?",
        ),
        (
            "server.label.team == \"a\"",
            "server has no field `label`",
            "did you mean `labels`?",
        ),
        (
            "principal.roles.size() == 1",
            "principal has no field `roles`",
            "there are user, groups, client",
        ),
        (
            "principal == \"ana\"",
            "principal itself is no value",
            "name a field: principal.user, principal.groups, principal.client",
        ),
    ] {
        let mistake = refusal(text);
        assert_eq!(mistake.code, NEVER_MATCHES, "{text}");
        assert_eq!(mistake.message, format!("can never match: {message}"));
        assert_eq!(mistake.fix.as_deref(), Some(fix));
    }
    for (text, message) in [
        (
            "principal.user",
            "the condition is text, and has to be true or false",
        ),
        (
            "args.amount + 1",
            "the condition is a number, and has to be true or false",
        ),
        ("false", "the condition is false, always"),
        ("principal.groups == \"eng\"", "it compares a list and text"),
        ("principal.user < 3", "it orders text and a number"),
        ("principal.user && true", "&& wants true or false, not text"),
        (
            "tool.size().contains(\"a\")",
            "text is wanted, not a number",
        ),
        (
            "tool.exists(x, x == 1)",
            "exists goes through lists, not text",
        ),
        ("principal.user.name == \"a\"", "text has no field `name`"),
    ] {
        let mistake = refusal(text);
        assert_eq!(
            mistake.message,
            format!("can never match: {message}"),
            "{text}"
        );
        assert_eq!(mistake.code, NEVER_MATCHES);
    }
}

#[test]
fn what_is_no_condition_is_refused() {
    for (text, message) in [
        ("args.amount <", "is no CEL expression: column "),
        (
            "args.message.matches(args.pattern)",
            "matches wants text that stands in the condition itself",
        ),
        ("args.message.matches(\"(\")", "is no regular expression"),
        (
            "args.message.contain(\"x\")",
            "conditions have no function .contain()",
        ),
        ("len(args.message) > 1", "conditions have no function len()"),
        (
            "time.getHours(\"Europe/Berlin\") > 1",
            "is no offset from UTC",
        ),
        (
            "cidr(\"10.0.0.0/99\").containsIP(client_address)",
            "is no network",
        ),
        (
            "cidr(\"10.0.0.0/8\").size() == 1",
            "a network answers one question",
        ),
        ("b\"abc\" == b\"abc\"", "conditions know no bytes"),
        ("size(1, 2) == 1", "size() has other arguments than these"),
    ] {
        let mistake = refusal(text);
        assert_eq!(mistake.code, BAD_VALUE, "{text}");
        assert!(
            mistake.message.contains(message),
            "{text}: {}",
            mistake.message
        );
    }
    assert_eq!(
        refusal("args.message.contain(\"x\")").fix.unwrap(),
        "did you mean `contains`?"
    );
}

#[test]
fn what_could_cost_much_is_refused() {
    let long = format!("tool == \"{}\"", "x".repeat(TEXT_BYTES_MAX));
    let many = vec!["tool == \"a\""; 200].join(" || ");
    let deep = format!("{}1{} == args.a", "[".repeat(200), "]".repeat(200));
    let tower = format!("{}true", "!".repeat(60));
    let chain = format!("args{} == 1", ".a".repeat(300));
    let nested = "args.a.all(a, a.all(b, b.all(c, c == 1)))".to_owned();
    let pattern = format!("tool.matches(\"{}\")", "a".repeat(PATTERN_BYTES_MAX + 1));
    let blown = "tool.matches(\"((((a{100}){100}){100}){100}){100}\")".to_owned();
    for text in [long, many, deep, chain, nested, pattern, blown] {
        let mistake = refusal(&text);
        assert_eq!(mistake.code, TOO_MUCH, "{text}: {}", mistake.message);
    }
    // Whether the parser folds them or counts them: it ends, on the stack that a task has.
    let wide = format!("{}true{}", "(".repeat(2_000), ")".repeat(2_000));
    let asks = format!("{}true", "true ? true : ".repeat(290));
    for text in [tower, wide, asks] {
        let _ = Condition::compile(&text);
    }
}

#[test]
fn no_arguments_make_a_condition_run_on() {
    let list = format!("[{}]", vec!["\"abc\""; 3000].join(","));
    let args = format!("{{\"a\":{list},\"b\":{list}}}");
    let facts = Facts {
        args: Some(args.as_bytes()),
        ..Facts::default()
    };
    let began = std::time::Instant::now();
    let outcome = ask_with(
        "args.a.exists(x, args.b.exists(y, x + y == \"no\"))",
        &facts,
    );
    assert_eq!(
        outcome,
        Outcome::Error("it took more than 100000 steps".to_owned())
    );
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    // One loop over the same is far from that.
    assert_eq!(
        ask_with("args.a.all(x, x == \"abc\")", &facts),
        Outcome::Holds
    );
}

#[test]
fn arguments_that_are_none_do_not_panic() {
    for args in [
        "[1,2]",
        "7",
        "\"x\"",
        "{",
        "{\"a\"",
        "{\"a\":}",
        "nul",
        "{\"a\":1e999}",
        "\u{1}",
        "{\"a\":\"\\ud800\"}",
    ] {
        let facts = Facts {
            args: Some(args.as_bytes()),
            ..Facts::default()
        };
        for text in [
            "args.a == 1",
            "args.exists(k, k == \"a\")",
            "args[0] == 1",
            "size(args) == 1",
            "args == args",
        ] {
            let _ = ask_with(text, &facts);
        }
    }
}
