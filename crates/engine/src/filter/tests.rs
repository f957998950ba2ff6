#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
//! Which filters look, in which order, and what keywords find.

use model::filter::{Kind, Match, OnError};
use proptest::prelude::*;

use super::*;

fn globs(texts: &[&str]) -> Vec<Glob> {
    texts.iter().map(|text| Glob::new(text).unwrap()).collect()
}

fn filter(name: &str, words: &[&str], fold: bool) -> Filter {
    Filter {
        name: FilterName::new(name).unwrap(),
        matches: Match {
            servers: vec![],
            methods: vec![],
            tools: vec![],
            direction: Direction::Both,
        },
        kind: Kind::Keywords {
            words: words.iter().map(|w| (*w).to_owned()).collect(),
            fold,
        },
        on_error: OnError::Deny,
        may_change: false,
        order: 0,
        mode: model::filter::Mode::Enforce,
    }
}

fn matching(name: &str, order: i32, matches: Match) -> Filter {
    Filter {
        order,
        matches,
        ..filter(name, &["x"], false)
    }
}

fn chain(filters: impl IntoIterator<Item = Filter>) -> Chain {
    let filters = filters
        .into_iter()
        .map(|f| (f.name.clone(), Arc::new(f)))
        .collect();
    Chain::compile(&Snapshot {
        filters,
        ..Default::default()
    })
    .unwrap()
}

fn select(
    chain: &Chain,
    server: &str,
    method: &str,
    tool: Option<&str>,
    way: Direction,
) -> Vec<String> {
    let selection = chain.select(&ServerName::new(server).unwrap(), method, tool, way);
    selection.names().map(ToString::to_string).collect()
}

/// The reason for which a message is refused.
fn check(words: &[&str], fold: bool, message: &str) -> Option<String> {
    let chain = chain([filter("f", words, fold)]);
    let selection = chain.select(
        &ServerName::new("s").unwrap(),
        "tools/call",
        Some("t"),
        Direction::Request,
    );
    let (filter, reason) = first(&selection, message)?;
    assert_eq!(filter, "f");
    Some(reason)
}

/// The first filter that refuses, and why.
fn first(selection: &Selection, message: &str) -> Option<(String, String)> {
    selection.filters().find_map(|filter| {
        match filter.look(&Seen::new(message.as_bytes(), Direction::Request)) {
            Finding::Refuses(reason) => Some((filter.name().to_string(), reason)),
            _ => None,
        }
    })
}

#[test]
fn filters_run_by_order_then_by_name() {
    let all = || Match {
        servers: vec![],
        methods: vec![],
        tools: vec![],
        direction: Direction::Both,
    };
    let here = || Match {
        servers: globs(&["s", "s"]),
        ..all()
    };
    let chain = chain([
        matching("c", -1, here()),
        matching("b", 5, all()),
        matching("a", 5, here()),
        matching(
            "z",
            -7,
            Match {
                servers: globs(&["s*", "t"]),
                ..all()
            },
        ),
    ]);
    assert_eq!(
        select(&chain, "s", "ping", None, Direction::Request),
        ["z", "c", "a", "b"]
    );
    assert_eq!(
        select(&chain, "t", "ping", None, Direction::Response),
        ["z", "b"]
    );
}

#[test]
fn a_filter_sees_what_it_matches() {
    let chain = chain([
        matching(
            "calls",
            0,
            Match {
                servers: vec![],
                methods: globs(&["tools/*"]),
                tools: globs(&["get_*"]),
                direction: Direction::Request,
            },
        ),
        matching(
            "reads",
            1,
            Match {
                servers: vec![],
                methods: globs(&["resources/read"]),
                tools: vec![],
                direction: Direction::Response,
            },
        ),
    ]);
    let see = |method: &str, tool: Option<&str>, way| select(&chain, "s", method, tool, way);
    assert_eq!(
        see("tools/call", Some("get_x"), Direction::Request),
        ["calls"]
    );
    assert!(see("tools/call", Some("set_x"), Direction::Request).is_empty());
    assert!(
        see("tools/list", None, Direction::Request).is_empty(),
        "tools are of tools/call"
    );
    assert!(see("tools/call", Some("get_x"), Direction::Response).is_empty());
    assert_eq!(see("resources/read", None, Direction::Response), ["reads"]);
}

#[test]
fn where_nobody_knows_which_tool_is_meant_every_filter_of_tools_looks() {
    let of_tool = Match {
        servers: vec![],
        methods: vec![],
        tools: globs(&["get_*"]),
        direction: Direction::Response,
    };
    let chain = chain([matching("get", 0, of_tool)]);
    let server = ServerName::new("s").unwrap();
    let seen = |methods: &[&str]| {
        let selection = chain.select_any(&server, methods, None, Direction::Response);
        selection.names().count()
    };
    assert_eq!(seen(&["tools/list", "tools/call"]), 1);
    assert_eq!(seen(&["tools/list", "prompts/get"]), 0);
    assert_eq!(seen(&["tools/call"]), 0, "it is known that there is none");
}

#[test]
fn no_filter_is_an_empty_selection_that_passes() {
    let chain = Chain::default();
    let selection = chain.select(
        &ServerName::new("s").unwrap(),
        "ping",
        None,
        Direction::Request,
    );
    assert!(selection.is_empty());
    assert_eq!(first(&selection, "{}"), None);
}

#[test]
fn escapes_hide_nothing() {
    let found = Some("holds \"hacking\"".to_owned());
    for message in [
        r#"{"a":"we are hacking it"}"#,
        r#"{"a":"ha\u0063king"}"#,
        r#"{"\u0068acking":1}"#,
        r#"{"hacking":1}"#,
        r#"{"a":[{"b":["x","hackin\u0067"]}],"c":"\\"}"#,
        r#"{"a":"ha\ud83d\ude00 hacking"}"#,
    ] {
        assert_eq!(check(&["hacking"], false, message), found, "{message}");
    }
}

#[test]
fn a_word_must_stand_in_one_string() {
    for message in [
        r#"{"a":"hack","b":"ing"}"#,
        r#"{"hack":"ing"}"#,
        r#"{"a":"hack\ning"}"#,
        r#"{"a":"HACKING"}"#,
        "{}",
        "7",
    ] {
        assert_eq!(check(&["hacking"], false, message), None, "{message}");
    }
    // Raw bytes hold it, no string does.
    assert_eq!(check(&["\",\""], false, r#"["a","b"]"#), None);
    assert_eq!(check(&["true"], false, r#"{"a":true}"#), None);
    assert_eq!(
        check(&["a\"b"], false, r#"["a\"b"]"#),
        Some("holds \"a\\\"b\"".to_owned())
    );
}

#[test]
fn folding_is_unicode() {
    for (word, message) in [
        ("hacking", r#"{"a":"HacKing"}"#),
        ("Hacking", r#"{"a":"ha\u0043king"}"#),
        ("hacking", "{\"a\":\"hac\u{212a}ing\"}"),
        ("straße", "{\"a\":\"STRASSE\"}"),
        ("ΟΔΟΣ", "{\"a\":\"οδος\"}"),
        ("geheimnisträger", "{\"a\":\"GEHEIMNISTRÄGER\"}"),
        ("süß", r#"{"a":"S\u00dcSS"}"#),
        ("secret", "{\"a\":\"ſecret\"}"),
    ] {
        assert_eq!(
            check(&[word], true, message),
            Some(format!("holds {word:?}")),
            "{message}"
        );
    }
    assert_eq!(check(&["geheim"], false, "{\"a\":\"GEHEIM\"}"), None);
}

#[test]
fn the_reason_holds_nothing_of_the_message() {
    let reason = check(&["HACK"], true, r#"{"a":"my secret hackaton"}"#).unwrap();
    assert_eq!(reason, "holds \"HACK\"");
}

#[test]
fn the_first_filter_that_refuses_is_named() {
    let second = Filter {
        order: 1,
        mode: model::filter::Mode::Enforce,
        ..filter("a", &["y"], false)
    };
    let chain = chain([filter("b", &["x", "yy"], false), second]);
    let selection = chain.select(
        &ServerName::new("s").unwrap(),
        "tools/call",
        None,
        Direction::Request,
    );
    let named = |message: &str| first(&selection, message).map(|(filter, _)| filter);
    assert_eq!(named(r#"["y","x"]"#).as_deref(), Some("b"));
    assert_eq!(named(r#"["y"]"#).as_deref(), Some("a"));
    assert_eq!(named(r#"["z"]"#), None);
}

/// JSON text of a string in which characters are escaped at will.
fn json_string(text: &str, escape: &[bool]) -> String {
    let mut out = String::from("\"");
    for (i, c) in text.chars().enumerate() {
        let must = c.is_control() || c == '"' || c == '\\';
        if must
            || escape
                .get(i % escape.len().max(1))
                .copied()
                .unwrap_or(false)
        {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out.push('"');
    out
}

proptest! {
    /// However a message is escaped, a word is found exactly where one of its strings holds it.
    #[test]
    fn found_is_what_a_string_holds(
        texts in prop::collection::vec("[abcAB\"\\\\äÄ😀 ]{0,6}", 1..5),
        words in prop::collection::vec("[abäÄ\"B]{1,2}", 1..4),
        escape in prop::collection::vec(any::<bool>(), 1..7),
        fold: bool,
    ) {
        let entries: Vec<String> = texts.iter().map(|text| json_string(text, &escape)).collect();
        let message = format!("{{\"k\":[{}]}}", entries.join(","));
        let same = |text: &str| if fold { text.to_lowercase() } else { text.to_owned() };
        let held = texts.iter().any(|text| words.iter().any(|word| same(text).contains(&same(word))));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        prop_assert_eq!(check(&words, fold, &message).is_some(), held, "{}", message);
    }
}

#[test]
fn filters_by_schema_see_calls_of_tools_and_results_alone() {
    let schema = |direction| Filter {
        kind: Kind::Schema,
        ..matching(
            "f",
            0,
            Match {
                servers: globs(&["crm"]),
                methods: vec![],
                tools: vec![],
                direction,
            },
        )
    };
    let chain_of = |direction| chain([schema(direction), filter("words", &["x"], false)]);
    let both = chain_of(Direction::Both);
    for way in [Direction::Request, Direction::Response] {
        assert_eq!(
            select(&both, "crm", "tools/call", Some("a"), way),
            ["f", "words"]
        );
        for other in [
            "tools/list",
            "resources/read",
            "tasks/cancel",
            "subscriptions/listen",
        ] {
            assert_eq!(select(&both, "crm", other, None, way), ["words"]);
        }
    }
    // Of a task nobody may know the tool; then the filter says that it cannot look.
    let way = Direction::Response;
    assert_eq!(
        select(&both, "crm", "tasks/result", None, way),
        ["f", "words"]
    );
    let crm = ServerName::new("crm").unwrap();
    let any = both.select_any(
        &crm,
        &["tools/call", "prompts/get"],
        None,
        Direction::Response,
    );
    assert_eq!(any.names().count(), 2);
    for direction in [Direction::Request, Direction::Response, Direction::Both] {
        assert!(chain_of(direction).want_schemas(&crm, "a"));
    }
    assert!(!both.want_schemas(&ServerName::new("docs").unwrap(), "a"));
    let none = chain([filter("words", &["x"], false)]);
    assert!(!none.want_schemas(&crm, "a"));
}
