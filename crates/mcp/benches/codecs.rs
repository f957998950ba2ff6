//! What each pass over a message costs: reading, turning it to the other era, renaming, cutting, framing.
//!
//! Messages are made once, as `serde_json` writes them; a bench does with each what a hop does, with its scan where that
//! belongs to it (`federate`) and without where the scan has its own line. Bytes a second are of what goes in.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a bench, whose messages are its own"
)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mcp::bridge::{results, to_modern};
use mcp::edit::Edits;
use mcp::envelope::{Envelope, Limits, scan};
use mcp::federate::{lists, outward};
use mcp::method::{ListKind, TOOLS_CALL, TOOLS_LIST};
use mcp::{list, sse};
use serde_json::{Value, json};

const SMALL: usize = 64;
const LARGE: usize = 64 << 10;
const HUGE: usize = 1 << 20;
/// Tools of a long list.
const TOOLS: usize = 100;
const MEMBER: &str = "everything";
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const INFO: &[u8] = br#"{"name":"everything","version":"1.0.0"}"#;

criterion_main!(codecs);
criterion_group! {
    name = codecs;
    // Short: all of it within a minute or two.
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = envelope, bridge, federate, events, cut
}

fn envelope(c: &mut Criterion) {
    let mut group = c.benchmark_group("envelope::scan");
    for (name, message, limits) in [
        ("small call", modern_call(SMALL), Limits::REQUEST),
        ("64 KiB call", modern_call(LARGE), Limits::REQUEST),
        ("1 MiB result", result(HUGE), Limits::RESPONSE),
        ("100 tools", tools(), Limits::RESPONSE),
    ] {
        group.throughput(bytes(&message));
        group.bench_function(name, |b| {
            b.iter(|| scan(black_box(&message), &limits).unwrap());
        });
    }
    group.finish();
}

fn bridge(c: &mut Criterion) {
    let mut group = c.benchmark_group("bridge");
    let (modern, legacy) = (modern_call(SMALL), legacy_call());
    let new = results::RequestMeta {
        progress_token: Some(b"7"),
        traceparent: Some(TRACE),
    };
    let request = scan(&modern, &Limits::REQUEST).unwrap();
    group.bench_function("results::request_to_legacy", |b| {
        b.iter(|| {
            edited(&request, |edits| {
                results::request_to_legacy(edits, &request, new);
                results::replace_id(edits, request.id, b"77");
            })
        });
    });
    let client = to_modern::Client {
        capabilities: br#"{"elicitation":{},"roots":{}}"#,
        info: Some(br#"{"name":"client","version":"1.0.0"}"#),
        log_level: Some("warning"),
    };
    let new = to_modern::New {
        progress_token: Some(b"7"),
        traceparent: Some(TRACE),
        ..to_modern::New::default()
    };
    let request = scan(&legacy, &Limits::REQUEST).unwrap();
    group.bench_function("to_modern::request", |b| {
        b.iter(|| {
            edited(&request, |edits| {
                to_modern::request(edits, &request, &client, &new);
            })
        });
    });
    let of = [
        ("call", TOOLS_CALL, result(SMALL)),
        ("1 MiB result", TOOLS_CALL, result(HUGE)),
        ("100 tools", TOOLS_LIST, tools()),
    ];
    for (name, method, message) in of {
        let response = scan(&message, &Limits::RESPONSE).unwrap();
        group.throughput(bytes(&message));
        group.bench_function(format!("results::result_to_modern, {name}"), |b| {
            b.iter(|| {
                edited(&response, |edits| {
                    results::result_to_modern(edits, &response, method, Some(INFO));
                    results::replace_id(edits, response.id, b"77");
                })
            });
        });
        group.bench_function(format!("to_modern::response, {name}"), |b| {
            b.iter(|| {
                edited(&response, |edits| {
                    to_modern::response(edits, &response, method);
                })
            });
        });
    }
    group.finish();
}

/// As an edge does it for each member: with the scan of what came.
fn federate(c: &mut Criterion) {
    let mut group = c.benchmark_group("federate");
    let (links, tools) = (links(), tools());
    group.throughput(bytes(&links));
    group.bench_function("outward::message, a result of 10 links", |b| {
        b.iter(|| {
            let message = black_box(&links);
            let envelope = scan(message, &Limits::RESPONSE).unwrap();
            outward::message(message, &envelope, TOOLS_CALL, MEMBER).unwrap()
        });
    });
    group.throughput(bytes(&tools));
    group.bench_function("lists::page, 100 tools", |b| {
        b.iter(|| {
            let message = black_box(&tools);
            let envelope = scan(message, &Limits::RESPONSE).unwrap();
            let mut rename = |name: &str| Some(format!("{MEMBER}_{name}"));
            lists::page(message, &envelope, ListKind::Tools, MEMBER, &mut rename).unwrap()
        });
    });
    group.finish();
}

fn events(c: &mut Criterion) {
    let mut group = c.benchmark_group("sse");
    for (name, message) in [("call", result(SMALL)), ("1 MiB result", result(HUGE))] {
        group.throughput(bytes(&message));
        group.bench_function(format!("encode, {name}"), |b| {
            b.iter(|| sse::encode(black_box(&message)));
        });
        let stream = sse::encode(&message);
        group.bench_function(format!("decode, {name}"), |b| {
            b.iter(|| {
                let mut decoder = sse::Decoder::default();
                let mut event = None;
                // As a socket gives it.
                for chunk in black_box(&stream).chunks(16 << 10) {
                    decoder.push(chunk);
                    event = event.or_else(|| decoder.next_event());
                }
                event.unwrap().unwrap()
            });
        });
    }
    group.finish();
}

fn cut(c: &mut Criterion) {
    let mut group = c.benchmark_group("list::cut");
    let tools = tools();
    let envelope = scan(&tools, &Limits::RESPONSE).unwrap();
    group.throughput(bytes(&tools));
    for (name, every) in [("all of 100 stay", 1), ("every second goes", 2)] {
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut nth = 0;
                let mut keep = |_: &str| {
                    nth += 1;
                    nth % every == 0
                };
                list::cut(black_box(&tools), &envelope, ListKind::Tools, &mut keep).unwrap()
            });
        });
    }
    group.finish();
}

fn edited<'m>(message: &Envelope<'m>, edit: impl FnOnce(&mut Edits<'m>)) -> Vec<u8> {
    let mut edits = Edits::new(black_box(message.bytes));
    edit(&mut edits);
    edits.apply().unwrap()
}

fn bytes(message: &[u8]) -> Throughput {
    Throughput::Bytes(message.len() as u64)
}

fn modern_call(bytes: usize) -> Vec<u8> {
    written(
        &json!({"jsonrpc": "2.0", "id": 1, "method": TOOLS_CALL, "params": {
        "name": "echo", "arguments": {"message": text(bytes)}, "_meta": {
            "progressToken": 1,
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
            "io.modelcontextprotocol/clientInfo": {"name": "client", "version": "1.0.0"}}}}),
    )
}

fn legacy_call() -> Vec<u8> {
    written(
        &json!({"jsonrpc": "2.0", "id": 1, "method": TOOLS_CALL, "params": {
        "name": "echo", "arguments": {"message": text(SMALL)}, "_meta": {"progressToken": 1}}}),
    )
}

fn result(bytes: usize) -> Vec<u8> {
    written(&json!({"jsonrpc": "2.0", "id": 1, "result": {
        "content": [{"type": "text", "text": text(bytes)}], "resultType": "complete",
        "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "everything", "version": "1.0.0"}}}}))
}

fn links() -> Vec<u8> {
    let link = |n| json!({"type": "resource_link", "name": n, "uri": format!("file:///notes/{n}")});
    let links: Vec<_> = (0..10).map(link).collect();
    written(&json!({"jsonrpc": "2.0", "id": 1, "result": {"content": links}}))
}

fn tools() -> Vec<u8> {
    let tool = |n| {
        json!({"name": format!("tool-{n}"), "title": "A tool", "description": text(120),
            "inputSchema": {"type": "object", "required": ["path"], "properties": {
                "path": {"type": "string", "description": "Which file."},
                "head": {"type": "integer", "minimum": 1, "description": "So many lines."},
                "mode": {"type": "string", "enum": ["text", "binary"]}}},
            "annotations": {"readOnlyHint": true}})
    };
    let tools: Vec<Value> = (0..TOOLS).map(tool).collect();
    written(&json!({"jsonrpc": "2.0", "id": 1, "result": {
        "tools": tools, "resultType": "complete", "ttlMs": 60_000, "cacheScope": "public"}}))
}

/// Prose, with an escape now and then.
fn text(bytes: usize) -> String {
    const LINE: &str = "All of this is read once, \"strictly\", and nothing is built.\n";
    LINE.chars().cycle().take(bytes).collect()
}

fn written(message: &Value) -> Vec<u8> {
    message.to_string().into_bytes()
}
