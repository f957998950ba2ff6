//! What no filter selects is not held: the first event is with the client before the last one is sent, and an answer of
//! 50 MB costs next to no memory.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tests::catalog;
use tests::mesh::{Mesh, Running};
use tests::rpc::Modern;

use super::ground;

/// Of one answer.
const EVENTS: usize = 800;
const EVENT_BYTES: usize = 64 << 10;
/// What an edge may grow by meanwhile.
const GROWTH_KIB_MAX: usize = 24 << 10;

/// A modern server that answers calls piece by piece: the first, then, once it is told so, all the others.
struct Dripping {
    url: String,
    go_on: SyncSender<()>,
}

impl Dripping {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let url = format!("http://{}/mcp", listener.local_addr().expect("it has one"));
        let (go_on, told) = sync_channel(1);
        let told = Arc::new(Mutex::new(told));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let told = told.clone();
                std::thread::spawn(move || serve(stream, &told));
            }
        });
        Self { url, go_on }
    }
}

fn serve(stream: TcpStream, told: &Mutex<Receiver<()>>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut stream = stream;
    while let Some(message) = read(&mut reader) {
        let written = match message["method"].as_str().unwrap_or_default() {
            "tools/call" => drip(&mut stream, &message, told),
            _ => {
                let result = json!({"supportedVersions": ["2026-07-28"], "resultType": "complete",
                    "capabilities": {"tools": {}}, "ttlMs": 0, "cacheScope": "private"});
                let body = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
                let body = body.to_string();
                write!(
                    stream,
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                )
            }
        };
        if written.is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}

fn chunk(stream: &mut TcpStream, text: &str) -> std::io::Result<()> {
    write!(stream, "{:x}\r\n{text}\r\n", text.len())
}

/// As events, or as one body, as the tool's name says.
fn drip(
    stream: &mut TcpStream,
    message: &Value,
    told: &Mutex<Receiver<()>>,
) -> std::io::Result<()> {
    let filler = "x".repeat(EVENT_BYTES);
    let events = message["params"]["name"] == "events";
    let kind = if events {
        "text/event-stream"
    } else {
        "application/json"
    };
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n"
    )?;
    let told = told.lock().expect("no test panicked");
    if events {
        let event = |number: usize| {
            let params = json!({"progressToken": "p", "progress": number, "message": filler});
            let said =
                json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params});
            format!("data: {said}\n\n")
        };
        chunk(stream, &event(0))?;
        stream.flush()?;
        told.recv().expect("the test goes on");
        for number in 1..EVENTS {
            chunk(stream, &event(number))?;
        }
        let result = json!({"content": [], "resultType": "complete"});
        let last = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
        chunk(stream, &format!("data: {last}\n\n"))?;
    } else {
        let id = &message["id"];
        let head = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete","content":[{{"type":"text","text":""#
        );
        chunk(stream, &head)?;
        // More than is looked at in passing.
        for _ in 0..8 {
            chunk(stream, &filler)?;
        }
        stream.flush()?;
        told.recv().expect("the test goes on");
        for _ in 8..EVENTS {
            chunk(stream, &filler)?;
        }
        chunk(stream, r#""}]}}"#)?;
    }
    write!(stream, "0\r\n\r\n")?;
    stream.flush()
}

/// The most memory that the edge has ever had.
fn most_kib(mesh: &Running) -> usize {
    let pid = mesh.part("edge", "").pid;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|n| n.parse().ok()).expect("a number")
}

#[test]
fn what_no_filter_selects_streams_through() {
    let server = Dripping::start();
    let mut elsewhere = catalog::words("elsewhere", &["hacking"]);
    elsewhere["spec"]["match"]["methods"] = json!(["tools/list"]);
    let mut observed = catalog::words("requests", &["hacking"]);
    observed["spec"]["match"]["direction"] = json!("request");
    let mut resources = vec![
        catalog::remote("dripping", &server.url),
        elsewhere,
        observed,
    ];
    resources.extend(ground());
    let mesh = Mesh::new().with(&resources).start();
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    let client = Modern::new(&mesh.url(0, "dripping"), &key);
    client
        .request("server/discover", json!({}))
        .send()
        .expect_status(200);
    for tool in ["events", "body"] {
        let before = most_kib(&mesh);
        let mut open = client.calling_with_progress(tool, json!({})).open();
        let read = open.read_past(EVENT_BYTES);
        // The server has not said the rest yet.
        server.go_on.send(()).expect("the server waits");
        let whole = read + open.count_rest();
        assert!(whole > EVENTS * EVENT_BYTES, "{tool}: {whole} bytes");
        let grown = most_kib(&mesh).saturating_sub(before);
        assert!(
            grown < GROWTH_KIB_MAX,
            "{tool}: the edge has grown by {grown} KiB"
        );
    }
}
