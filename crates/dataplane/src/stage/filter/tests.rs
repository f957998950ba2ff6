#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
//! How several filters of one message run together.

use std::time::Duration;

use engine::Engine;
use engine::filter::schema::{Schema, Schemas};
use model::filter::{Filter, Format, Kind as FilterKind, Match, Mode, OnError, Webhook};
use model::name::SecretName;
use model::secret::{Secret, SecretText};
use model::snapshot::Snapshot;
use model::url::HttpUrl;
use tokio::time::Instant;

use super::*;
use crate::stage::webhook::tests::{Answering, Receiver, about, json_ok, webhooks};

const MESSAGE: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":"hacking"}}}"#;
const ALLOW: Answering = |_| json_ok(r#"{"verdict":"allow"}"#);
const DENY: Answering = |_| json_ok(r#"{"verdict":"deny"}"#);
const CHANGE: Answering = |_| {
    json_ok(
        r#"{"verdict":"change","message":{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}}"#,
    )
};

fn filter(name: &str, order: i32, kind: FilterKind) -> Filter {
    Filter {
        name: FilterName::new(name).unwrap(),
        matches: Match {
            servers: Vec::new(),
            methods: Vec::new(),
            tools: Vec::new(),
            direction: Direction::Both,
        },
        kind,
        on_error: OnError::Deny,
        may_change: false,
        order,
        mode: Mode::Enforce,
    }
}

fn hook(name: &str, order: i32, receiver: &Receiver) -> Filter {
    let webhook = Webhook {
        url: HttpUrl::parse(&receiver.url).unwrap(),
        secret: SecretName::new("key").unwrap(),
        timeout: Duration::from_secs(5),
        format: Format::Standard,
        signed_answer: false,
    };
    filter(name, order, FilterKind::Webhook(webhook))
}

fn words(name: &str, order: i32) -> Filter {
    let kind = FilterKind::Keywords {
        words: vec!["hacking".to_owned()],
        fold: false,
    };
    filter(name, order, kind)
}

/// The screen of these filters, and what they note.
fn screen(filters: Vec<Filter>) -> (Screen, Findings) {
    let mut snapshot = Snapshot::default();
    let secret = Secret {
        name: SecretName::new("key").unwrap(),
        value: SecretText::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    };
    let name = secret.name.clone();
    snapshot.secrets.insert(name, Arc::new(secret));
    for filter in filters {
        snapshot
            .filters
            .insert(filter.name.clone(), Arc::new(filter));
    }
    let engine = Engine::compile(Arc::new(snapshot)).unwrap();
    let server = ServerName::new("crm").unwrap();
    let way = Direction::Request;
    let selection = engine
        .filters()
        .select(&server, "tools/call", Some("a"), way);
    let findings = Findings::default();
    let screen = Screen::new(selection, way, about, &webhooks()).unwrap();
    (screen.noted_in(findings.clone()), findings)
}

async fn shown(screen: &Screen) -> Result<Passed, Rejected> {
    screen.show(Bytes::from_static(MESSAGE)).await
}

fn by(rejected: &Rejected) -> String {
    String::from_utf8_lossy(&rejected.body(None)).into_owned()
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "what was measured is worth a line")]
async fn receivers_side_by_side_that_change_nothing_are_asked_at_once() {
    let pause = Duration::from_millis(100);
    let mut receivers = Vec::new();
    for _ in 0..3 {
        receivers.push(Receiver::after(pause, ALLOW).await);
    }
    let filters = (0..3).map(|n| hook(&format!("f{n}"), 0, &receivers[n as usize]));
    let (screen, _) = screen(filters.collect());
    let mut least = Duration::MAX;
    for _ in 0..5 {
        let began = Instant::now();
        shown(&screen).await.unwrap();
        least = least.min(began.elapsed());
    }
    eprintln!("three receivers of 100 ms each: {least:?}");
    assert!(least >= pause && least < pause * 2, "{least:?}");
    for receiver in &receivers {
        assert_eq!(receiver.heard.lock().len(), 5, "each hears each once");
    }
}

#[tokio::test]
async fn the_first_in_order_that_refuses_counts_whichever_answers_first() {
    let slow = Receiver::after(Duration::from_millis(100), DENY).await;
    let quick = Receiver::new(DENY).await;
    let (screen, findings) = screen(vec![hook("b-quick", 1, &quick), hook("a-slow", 0, &slow)]);
    let rejected = shown(&screen).await.unwrap_err();
    assert!(by(&rejected).contains("a-slow"), "{}", by(&rejected));
    assert_eq!(quick.heard.lock().len(), 1, "it was asked meanwhile");
    drop(findings);
}

#[tokio::test]
async fn nobody_is_asked_behind_a_filter_that_refuses_by_itself() {
    let (before, behind) = (Receiver::new(ALLOW).await, Receiver::new(ALLOW).await);
    let filters = vec![hook("a", 0, &before), words("b", 1), hook("c", 2, &behind)];
    let rejected = shown(&screen(filters).0).await.unwrap_err();
    assert!(by(&rejected).contains("\"b\""), "{}", by(&rejected));
    assert_eq!(before.heard.lock().len(), 1);
    assert_eq!(behind.heard.lock().len(), 0);
}

#[tokio::test]
async fn what_comes_behind_a_change_sees_what_it_made_of_the_message() {
    let (changing, behind) = (Receiver::new(CHANGE).await, Receiver::new(ALLOW).await);
    let mut first = hook("a", 0, &changing);
    first.may_change = true;
    let (screen, _) = screen(vec![first, words("b", 1), hook("c", 2, &behind)]);
    let passed = shown(&screen).await.unwrap();
    assert!(!String::from_utf8_lossy(&passed.message).contains("hacking"));
    let heard = behind.heard.lock().pop().unwrap();
    assert!(!String::from_utf8_lossy(&heard.body).contains("hacking"));
    let change = passed.change.unwrap();
    assert_ne!(change.before, change.after);
    let again = change::of(&Bytes::from_static(MESSAGE), &passed.message);
    assert_eq!(again, Some(change));
}

#[tokio::test]
async fn who_only_looks_delays_and_decides_nothing() {
    let hung = Receiver::new(|_| None).await;
    let denying = Receiver::new(DENY).await;
    let observed = |filter: Filter| Filter {
        mode: Mode::Observe,
        ..filter
    };
    let filters = vec![
        observed(hook("a", 0, &hung)),
        observed(words("b", 1)),
        observed(hook("c", 2, &denying)),
    ];
    let (screen, findings) = screen(filters);
    assert!(!screen.calls_out(), "nobody waits");
    let passed = screen.look(Bytes::from_static(MESSAGE)).unwrap();
    assert_eq!(passed.message, MESSAGE);
    assert!(passed.change.is_none());
    let said = || format!("{findings:?}");
    assert!(said().contains("b: observed deny"), "{}", said());
    // The receiver is asked meanwhile, once.
    let heard = async {
        while !said().contains("c: observed deny") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), heard)
        .await
        .unwrap();
    assert_eq!(denying.heard.lock().len(), 1);
}

/// What a tool asks for that wants a number for `x`.
fn wants_a_number() -> Option<Arc<ToolSchemas>> {
    let schema = br#"{"properties":{"x":{"type":"number"}}}"#;
    let input = Some(Arc::new(Schema::compile(schema)));
    let schemas = Schemas {
        input,
        output: None,
    };
    Some(Arc::new(Ok(schemas)))
}

#[tokio::test]
async fn a_filter_by_schema_goes_by_what_the_call_knows_of_its_tool() {
    let schema = |on_error| Filter {
        on_error,
        ..filter("fits", 0, FilterKind::Schema)
    };
    let said = |findings: &Findings| format!("{findings:?}");
    let (strict, findings) = screen(vec![schema(OnError::Deny)]);
    assert!(!strict.calls_out());
    let strict = strict.knowing(wants_a_number());
    let rejected = shown(&strict).await.unwrap_err();
    assert_eq!(rejected.reason, Reason::Filter);
    assert!(by(&rejected).contains("fits") && !by(&rejected).contains("hacking"));
    assert!(said(&findings).contains("fits: deny"));

    let text = String::from_utf8_lossy(MESSAGE).replace(r#""hacking""#, " 1.50 ");
    let good = Bytes::from(text);
    let passed = strict.show(good.clone()).await.unwrap();
    assert_eq!((passed.message, passed.change), (good, None));

    // Nothing is known, or that it cannot be.
    for known in [None, Some(Arc::new(Err("no list".to_owned())))] {
        let (strict, _) = screen(vec![schema(OnError::Deny)]);
        let rejected = shown(&strict.knowing(known.clone())).await.unwrap_err();
        assert_eq!(rejected.reason, Reason::FilterError);
        let (lax, findings) = screen(vec![schema(OnError::Allow)]);
        shown(&lax.knowing(known)).await.unwrap();
        assert!(said(&findings).contains("fits: error allow"));
    }

    let observed = Filter {
        mode: Mode::Observe,
        ..schema(OnError::Deny)
    };
    let (screen, findings) = screen(vec![observed]);
    shown(&screen.knowing(wants_a_number())).await.unwrap();
    assert!(said(&findings).contains("fits: observed deny"));
}
