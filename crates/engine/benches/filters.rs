//! What a look at a message costs, by kind of filter. Bytes a second are of decoded text.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a bench, whose messages are its own"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine::Engine;
use engine::filter::schema::{Schema, Schemas};
use engine::filter::{Compiled, Seen};
use model::filter::{
    Action, Detector, Direction, Filter, Hidden, Injection, Kind, Match, OnError, Pattern, Pii,
    Regex, Size,
};
use model::name::{FilterName, ServerName};
use model::snapshot::Snapshot;
use serde_json::json;

const TEXT_BYTES: usize = 1 << 20;
const WORDS: usize = 1_000;

const ENGLISH: &str = "The quarterly report shows that revenue in the northern region grew by four per cent, while costs \
    stayed where they were. Please review the attached figures before the meeting, and note open questions in the margin. ";
const GERMAN: &str = "Der Quartalsbericht zeigt, dass die Umsätze im nördlichen Gebiet um vier Prozent gestiegen sind, \
    während die Kosten gleich blieben. Bitte prüfen Sie die Übersicht vor der Besprechung und vermerken Sie Fragen. ";
const JAPANESE: &str = "四半期報告書によると、北部地域の売上高は四パーセント増加し、費用は横ばいでした。会議の前に添付の数字を確認してください。";

criterion_main!(filters);
criterion_group! {
    name = filters;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = keywords, others, schemas
}

fn keywords(c: &mut Criterion) {
    let mut group = c.benchmark_group("keywords, 1,000 words, folded");
    let words = (0..WORDS).map(word).collect();
    let filter = compiled(Kind::Keywords { words, fold: true });
    for (name, text) in [
        ("English", ENGLISH.to_owned()),
        ("English with line breaks", ENGLISH.replace(", ", ",\n")),
        ("German", GERMAN.to_owned()),
        ("Japanese", JAPANESE.to_owned()),
    ] {
        look(&mut group, name, &filter, &text);
    }
    group.finish();
}

fn others(c: &mut Criterion) {
    let mut group = c.benchmark_group("English");
    let pattern = |name: &str, pattern: &str| Pattern {
        name: name.to_owned(),
        pattern: pattern.to_owned(),
    };
    let patterns = vec![
        pattern("order", r"ORD-\d{6}"),
        pattern("ticket", "(?i)ticket +#[0-9]+"),
    ];
    let all = Detector::ALL.to_vec();
    let bounds = Size {
        depth: Some(8),
        nodes: Some(1_000),
        ..Size::default()
    };
    for (name, kind) in [
        (
            "hidden",
            Kind::Hidden(Hidden {
                action: Action::Refuse,
            }),
        ),
        ("injection", Kind::Injection(Injection { threshold: 4 })),
        (
            "pii, all",
            Kind::Pii(Pii {
                detect: all,
                action: Action::Refuse,
                secret: None,
            }),
        ),
        (
            "regex, 2 patterns",
            Kind::Regex(Regex {
                patterns,
                action: Action::Refuse,
            }),
        ),
        ("size", Kind::Size(bounds)),
    ] {
        look(&mut group, name, &compiled(kind), ENGLISH);
    }
    group.finish();
}

/// A result of rows, compared with a schema that declares each of their members; and the schema, compiled.
fn schemas(c: &mut Criterion) {
    let mut group = c.benchmark_group("schema");
    let row = json!({"type": "object", "required": ["id", "name", "tags"], "additionalProperties": false,
        "properties": {"id": {"type": "integer", "minimum": 1}, "name": {"type": "string", "maxLength": 200},
            "email": {"type": "string", "pattern": "^[^@ ]+@[a-z.]+$"},
            "state": {"enum": ["open", "closed", "new"]},
            "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": true}}});
    let schema = json!({"type": "object", "properties": {"rows": {"type": "array", "items": row}}})
        .to_string();
    group.bench_function("compiling", |b| {
        b.iter(|| Schema::compile(black_box(schema.as_bytes())).unwrap());
    });
    let known = Schemas {
        input: None,
        output: Some(Arc::new(Schema::compile(schema.as_bytes()))),
    };
    let filter = compiled(Kind::Schema);
    for count in [1, 1_000] {
        let row = |n| json!({"id": n, "name": "Ann Example", "email": "ann@example.com", "state": "open", "tags": ["a", "b"]});
        let rows: Vec<_> = (1..=count).map(row).collect();
        let message =
            json!({"jsonrpc": "2.0", "id": 1, "result": {"content": [], "structuredContent": {"rows": rows}}})
                .to_string();
        group.throughput(Throughput::Bytes(message.len() as u64));
        group.bench_function(format!("rows: {count}"), |b| {
            b.iter(|| {
                let seen = Seen::new(black_box(message.as_bytes()), Direction::Response);
                let finding = filter.look(&seen.of("tools/call", "find").under(Ok(&known)));
                assert_eq!(finding, engine::filter::Finding::Nothing);
            });
        });
    }
    group.finish();
}

type Group<'c> = criterion::BenchmarkGroup<'c, criterion::measurement::WallTime>;

fn look(group: &mut Group<'_>, name: &str, filter: &Compiled, text: &str) {
    let text = text.repeat(TEXT_BYTES / text.len());
    let message =
        json!({"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": text}]}})
            .to_string();
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function(name, |b| {
        b.iter(|| {
            let seen = Seen::new(black_box(message.as_bytes()), Direction::Response);
            let finding = filter.look(&seen);
            assert_eq!(finding, engine::filter::Finding::Nothing);
        });
    });
}

/// Words that do not stand in the texts, but begin as words of theirs do.
fn word(n: usize) -> String {
    let stems = [
        "report", "revenue", "figure", "meeting", "gebiet", "kosten", "umsätze", "question",
    ];
    format!("{}{}x", stems[n % stems.len()], n)
}

fn compiled(kind: Kind) -> Arc<Compiled> {
    let filter = Filter {
        name: FilterName::new("f").unwrap(),
        matches: Match {
            servers: vec![],
            methods: vec![],
            tools: vec![],
            direction: Direction::Both,
        },
        kind,
        on_error: OnError::Deny,
        may_change: false,
        mode: model::filter::Mode::Enforce,
        order: 0,
    };
    let mut snapshot = Snapshot::default();
    snapshot
        .filters
        .insert(filter.name.clone(), Arc::new(filter));
    let engine = Engine::compile(Arc::new(snapshot)).unwrap();
    let server = ServerName::new("s").unwrap();
    let selection = engine
        .filters()
        .select(&server, "tools/call", None, Direction::Response);
    selection.filters().next().unwrap().clone()
}
