//! Headers and body together: who is taken to call what, and what is refused with which code.
//!
//! The cases lie in `cases/*.http`, written from the pages of the protocol, not from the code:
//!
//! ```text
//! == what the case is about
//! header: value            none or more; then an empty line if there was one
//!
//! {"jsonrpc": ...}         the body; `$meta` is the `_meta` of a modern request, `$bom` a byte order mark
//! -> caller, kind id method target      or:  -> refused code status, id of the answer
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that says what it did"
)]

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use mcp::envelope::{Envelope, Kind, Limits, scan};
use mcp::era::{Caller, classify};
use mcp::error::RpcError;
use mcp::method;
use serde_json::Value;

const META: &str = concat!(
    r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","#,
    r#""io.modelcontextprotocol/clientCapabilities":{}}"#
);

struct Case {
    file: String,
    name: String,
    headers: HeaderMap,
    body: String,
    verdict: String,
}

/// Every case of every file.
fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let mut cases = Vec::new();
    for path in paths {
        let file = path.file_name().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        // What stands before the first case is about the file.
        cases.extend(text.split("\n== ").skip(1).map(|text| read(file, text)));
    }
    cases
}

fn read(file: &str, text: &str) -> Case {
    let (name, rest) = text.split_once('\n').unwrap();
    let (message, verdict) = rest.rsplit_once("\n-> ").unwrap();
    let (head, body) = match message.split_once("\n\n") {
        Some(parts) => parts,
        None => ("", message),
    };
    let mut headers = HeaderMap::new();
    for line in head.lines() {
        let (header, value) = line.split_once(':').unwrap();
        headers.append(
            header.parse::<HeaderName>().unwrap(),
            HeaderValue::from_bytes(value.trim_matches([' ', '\t']).as_bytes()).unwrap(),
        );
    }
    Case {
        file: file.to_owned(),
        name: name.to_owned(),
        headers,
        body: body.replace("$meta", META).replace("$bom", "\u{feff}"),
        verdict: verdict.trim().to_owned(),
    }
}

/// What is decided before policy: the message read, the caller told, the method one that it may send.
fn decide<'a>(headers: &'a HeaderMap, message: &'a Envelope<'_>) -> Result<Caller<'a>, RpcError> {
    let caller = classify(headers, message).map_err(|fault| RpcError::from(&fault))?;
    let revision = match caller {
        Caller::Modern { revision } => Some(revision),
        Caller::LegacyInitialize { negotiated, .. } => Some(negotiated),
        // Without the header it is the session's, of which nothing is known here.
        Caller::LegacySession { revision, .. } => revision,
    };
    let foreign = |revision| !method::from_client(message.method(), revision);
    if message.kind == Kind::Request && revision.is_some_and(foreign) {
        let (method, era) = (message.method(), caller.era());
        return Err(RpcError::method_not_found(method, era));
    }
    Ok(caller)
}

/// The verdict in words.
fn told(case: &Case) -> String {
    let refused = |error: &RpcError, id: Option<&[u8]>| {
        let answer = String::from_utf8(error.body(id)).unwrap();
        assert!(serde_json::from_str::<Value>(&answer).is_ok(), "{answer}");
        let echoed = answer
            .strip_prefix(r#"{"jsonrpc":"2.0","id":"#)
            .and_then(|rest| rest.split_once(r#","error":"#));
        let id = echoed.unwrap().0;
        format!("refused {} {}, id {id}", error.code, error.http_status)
    };
    let message = match scan(case.body.as_bytes(), &Limits::REQUEST) {
        Ok(message) => message,
        Err(error) => return refused(&RpcError::from(&error), error.id()),
    };
    let caller = match decide(&case.headers, &message) {
        Ok(caller) => caller,
        Err(error) => return refused(&error, message.raw_id()),
    };
    let caller = match caller {
        Caller::Modern { revision } => format!("modern {revision}"),
        Caller::LegacyInitialize {
            requested,
            negotiated,
        } => format!("begins {requested} as {negotiated}"),
        Caller::LegacySession { session, revision } => {
            let revision = revision.map(|r| format!(" {r}")).unwrap_or_default();
            format!("session {session:?}{revision}")
        }
    };
    let kind = match message.kind {
        Kind::Request => "request",
        Kind::Notification => "notification",
        Kind::Response => "response",
    };
    let id = message.raw_id().unwrap_or(b"-");
    let target = message.target.as_ref().map(|target| format!("{target:?}"));
    format!(
        "{caller}, {kind} {} {} {}",
        String::from_utf8_lossy(id),
        message.method.as_deref().unwrap_or("-"),
        target.as_deref().unwrap_or("-"),
    )
}

#[test]
fn each_case_is_decided_as_the_protocol_says() {
    let mut counts = BTreeMap::<String, usize>::new();
    let mut names = std::collections::HashSet::new();
    let mut wrong = Vec::new();
    let cases = cases();
    for case in &cases {
        let at = format!("{}: {}", case.file, case.name);
        assert!(names.insert(at.clone()), "two cases of one name: {at}");
        let told = told(case);
        if told != case.verdict {
            wrong.push(format!("{at}\n  wanted {}\n  got    {told}", case.verdict));
        }
        let kind = told.split_whitespace().take(2).collect::<Vec<_>>();
        let kind = match kind[..] {
            ["refused", code] => code,
            _ => "accepted",
        };
        *counts.entry(kind.to_owned()).or_default() += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases.len() >= 120, "only {} cases", cases.len());
    for code in [
        "-32700", "-32600", "-32601", "-32602", "-32020", "-32022", "accepted",
    ] {
        assert!(counts.contains_key(code), "no case of {code}: {counts:?}");
    }
    println!("{} cases of headers and body: {counts:?}", cases.len());
}

/// All headers with all bodies: what is accepted says the same in both, to readers who know nothing of our code.
#[test]
fn no_headers_pass_that_say_something_else_than_the_body() {
    let cases = cases();
    let mut accepted = 0;
    for body in &cases {
        let Ok(message) = scan(body.body.as_bytes(), &Limits::REQUEST) else {
            continue;
        };
        let tree: Value = serde_json::from_str(&body.body).unwrap();
        for head in &cases {
            if let Ok(caller) = decide(&head.headers, &message) {
                accepted += 1;
                let modern = matches!(caller, Caller::Modern { .. });
                let fault = lie(
                    &head.headers,
                    &tree,
                    modern && message.kind == Kind::Request,
                );
                assert_eq!(fault, None, "{} / {}", head.name, body.name);
            }
        }
    }
    assert!(accepted > 500, "only {accepted} accepted");
    println!("{accepted} of {} pairs accepted", cases.len() * cases.len());
}

/// What headers say that the body does not, or leave out though they must say it.
fn lie(headers: &HeaderMap, tree: &Value, must: bool) -> Option<String> {
    let meta = &tree["params"]["_meta"];
    let version = meta["io.modelcontextprotocol/protocolVersion"].as_str();
    let method = tree["method"].as_str();
    let params = &tree["params"];
    let name = match method.unwrap_or_default() {
        "tools/call" | "prompts/get" => params["name"].as_str(),
        "completion/complete" if params["ref"]["type"] == "ref/prompt" => {
            params["ref"]["name"].as_str()
        }
        "completion/complete" => params["ref"]["uri"].as_str(),
        method if method.starts_with("tasks/") => params["taskId"].as_str(),
        _ => params["uri"].as_str(),
    };
    let must_name = matches!(
        method,
        Some("tools/call" | "prompts/get" | "resources/read")
    );
    let wanted = [
        ("mcp-protocol-version", version, must, version.is_some()),
        ("mcp-method", method, must, true),
        ("mcp-name", name, must && must_name, true),
    ];
    wanted
        .into_iter()
        .find_map(|(header, body, must, mirrors)| {
            let values: Vec<_> = headers.get_all(header).iter().collect();
            let said = match values[..] {
                [] if must => return Some(format!("{header} is missing")),
                [] => return None,
                [value] => value.to_str().unwrap(),
                _ => return Some(format!("{header} is there twice")),
            };
            let wrapped = said
                .strip_prefix("=?base64?")
                .and_then(|rest| rest.strip_suffix("?="));
            let said = match wrapped.filter(|_| header == "mcp-name") {
                Some(wrapped) => String::from_utf8(STANDARD.decode(wrapped).unwrap()).unwrap(),
                None => said.to_owned(),
            };
            (mirrors && body != Some(said.as_str())).then(|| format!("{header} says {said:?}"))
        })
}
