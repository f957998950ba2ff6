//! One test for each published way around a gateway or an SDK of MCP, by the name under which it is known: what was sent
//! there is sent here, and neither passes nor reaches the server.

use serde_json::{Value, json};
use tests::catalog;
use tests::http::Request;
use tests::listener::{Heard, Listener};
use tests::mesh::{Mesh, Running};
use tests::rpc::{MODERN, Modern, Session};

use crate::mediation::vault::{self, Speaks};

/// A server with a tool that is open and one that is not, and one who may use the first.
struct Stage {
    mesh: Running,
    server: Listener,
    key: String,
}

impl Stage {
    fn start() -> Self {
        let server = vault::start(Speaks::Both);
        let open = json!({"effect": "allow", "subjects": [{"group": "readers"}], "servers": ["vault"],
            "tools": ["open"], "prompts": ["open"], "resources": ["test://open*"]});
        let mesh = Mesh::new()
            .with(&[
                catalog::remote("vault", &server.url("/mcp")),
                catalog::resource("AccessRule", "readers", &open),
                catalog::allow("admins", "admins", &["*"]),
            ])
            .edges(2)
            .start();
        let key = mesh.key("rea@example.com", &["readers"]).text;
        Self { mesh, server, key }
    }

    fn url(&self) -> String {
        self.mesh.url(0, "vault")
    }

    fn client(&self) -> Modern {
        Modern::new(&self.url(), &self.key)
    }

    /// A request by the address alone, as somebody with a good key sends it.
    fn at(&self, path: &str) -> Request {
        let call = self.client().calling("hidden", json!({}));
        call.to(&format!("{}{path}", self.mesh.edge(0)))
    }

    /// That nothing of it came to the server: neither a call of what is hidden, nor anything to another address.
    #[track_caller]
    fn nothing_came(&self) {
        let came = self.server.take();
        let is_bad = |heard: &&Heard| {
            let message = heard.json();
            heard.path != "/mcp"
                || message["params"]["name"] == "hidden"
                || message["params"]["uri"] == "test://hidden"
        };
        assert!(came.iter().find(is_bad).is_none(), "{came:#?}");
    }
}

#[track_caller]
fn is_unknown(request: &Request) {
    let answer = request.send();
    // The second is what legacy revisions say of resources.
    assert!([-32602, -32002].contains(&answer.error_code()), "{answer}");
}

/// A raw body of a modern call, whatever its text says.
fn raw(stage: &Stage, body: &str) -> Request {
    stage
        .client()
        .calling("open", json!({}))
        .body(body.to_owned())
}

fn modern_params(inner: &str) -> String {
    format!(
        r#"{inner},"_meta":{{"io.modelcontextprotocol/protocolVersion":"{MODERN}","io.modelcontextprotocol/clientCapabilities":{{}}}}"#
    )
}

/// Obot: `/mcp-connect/{id}` reached a server by its id, past the access rules.
#[test]
fn obot_a_second_address_skips_the_rules() {
    let stage = Stage::start();
    for path in [
        "/mcp-connect/vault",
        "/mcp-connect/default-vault/mcp",
        "/api/mcp/vault",
        "/mcp/vault/",
        "/mcp//vault",
        "/MCP/vault",
        "/mcp/vault/..;/admin",
        "/mcp/%76ault",
        "/mcp/./vault",
        "/sse/../mcp/vault",
    ] {
        let answer = stage.at(path).send();
        assert!(matches!(answer.status, 400 | 404 | 405), "{path}: {answer}");
    }
    // And by the address that is there, what is not listed is not called.
    is_unknown(&stage.client().calling("hidden", json!({})));
    stage.nothing_came();
}

/// Langflow, CVE-2026-7663: one transport checked, the other did not.
#[test]
fn langflow_cve_2026_7663_one_transport_is_unguarded() {
    let stage = Stage::start();
    is_unknown(&stage.client().calling("hidden", json!({})));
    let session = Session::begin(&stage.url(), &stage.key);
    is_unknown(&session.calling("hidden", json!({})));
    let early = Session::begin_speaking(&stage.url(), &stage.key, "2025-03-26");
    let call = early.calling("hidden", json!({}));
    let batch = call.clone().body(format!("[{}]", call.text())).send();
    assert!(batch.text().contains("-32602"), "{batch}");
    let sse = format!("{}/sse/vault", stage.mesh.edge(0));
    Request::get(&sse)
        .with("accept", "text/event-stream")
        .send()
        .expect_status(401);
    Request::post(&format!("{sse}?session=x"))
        .body("{}")
        .send()
        .expect_status(401);
    stage.nothing_came();
}

/// Kuadrant, GHSA-g53w-w6mj-hrpp: a header of the gateway's own, sent from outside, was believed.
#[test]
fn kuadrant_ghsa_g53w_a_header_raises_trust() {
    let stage = Stage::start();
    for header in [
        "gatehouse-statement",
        "gatehouse-call",
        "gatehouse-client",
        "gatehouse-reply",
        "gatehouse-put",
        "x-gatehouse-user",
        "x-mcp-authorized",
        "x-mcp-toolname",
        "x-forwarded-user",
        "x-forwarded-email",
        "x-forwarded-groups",
        "x-auth-request-user",
        "x-remote-user",
        "forwarded",
        "cookie",
        "proxy-authorization",
    ] {
        for value in ["admin", "ada@example.com", "stream", "true"] {
            is_unknown(
                &stage
                    .client()
                    .calling("hidden", json!({}))
                    .with(header, value),
            );
            let open = stage
                .client()
                .calling("open", json!({}))
                .with(header, value);
            open.send().result();
        }
        let passed = stage.server.take();
        let is_there = |heard: &Heard| heard.headers.contains_key(header);
        assert!(
            !passed.iter().any(is_there),
            "{header} was handed on: {passed:#?}"
        );
    }
}

/// LiteLLM, CVE-2026-42271: to try a server out ran the command in the request.
#[test]
fn litellm_cve_2026_42271_to_try_a_server_runs_its_command() {
    let stage = Stage::start();
    let proof = stage.mesh.folder().join("it-ran");
    let touch = [
        "/usr/bin/touch".to_owned(),
        proof.to_string_lossy().into_owned(),
    ];
    let server = catalog::command("tried", &touch);
    let body = json!({"server_name": "tried", "transport": "stdio", "command": touch[0], "args": [touch[1]]});
    for path in [
        "/mcp-rest/test/connection",
        "/mcp-rest/test/tools/list",
        "/api/mcp/test",
        "/test",
    ] {
        stage
            .at(path)
            .body(body.to_string())
            .send()
            .expect_status(404);
    }
    let file = stage.mesh.file("tried.yaml", &catalog::file(&[server]));
    stage
        .mesh
        .gatehouse(&["apply", "-f", &file, "--dry-run"])
        .good();
    stage.mesh.gatehouse(&["validate", "-f", &file]).good();
    stage.mesh.gatehouse(&["diff", "-f", &file]);
    assert!(!proof.exists(), "what is only looked at is not run");
    stage.nothing_came();
}

/// Envoy AI Gateway, GHSA-4gph-2hhr-5mwg: `name` and `Name`, and two readers of one message.
#[test]
fn envoy_ai_gateway_ghsa_4gph_two_names_in_one_call() {
    let stage = Stage::start();
    for params in [
        r#""name":"open","Name":"hidden","arguments":{}"#,
        r#""Name":"hidden","name":"open","arguments":{}"#,
        r#""name":"open","name":"hidden","arguments":{}"#,
        r#""name":"hidden","name":"open","arguments":{}"#,
        r#""name":"open","na\u006de":"hidden","arguments":{}"#,
        r#""name":"open","NAME":"hidden","arguments":{}"#,
    ] {
        let params = modern_params(params);
        let body =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{{params}}}}}"#);
        raw(&stage, &body).send().expect_status(400);
    }
    stage.nothing_came();
}

/// MCP Go SDK, CVE-2026-27896: keys of the envelope in another case, folded as Unicode folds them.
#[test]
fn go_sdk_cve_2026_27896_keys_in_another_case() {
    let stage = Stage::start();
    let params = modern_params(r#""name":"hidden","arguments":{}"#);
    for (method, params_key) in [
        ("Method", "params"),
        ("METHOD", "params"),
        ("method", "Params"),
        ("method", "PARAMS"),
        ("method", "param\u{17f}"),
    ] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"{method}":"tools/call","{params_key}":{{{params}}}}}"#
        );
        raw(&stage, &body).send().expect_status(400);
        let both = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","{method}":"tools/call","params":{{{params}}},"{params_key}":{{{params}}}}}"#
        );
        raw(&stage, &both).send().expect_status(400);
    }
    stage.nothing_came();
}

/// agentgateway, CVE-2026-29791: an argument became a part of the upstream's URL or a header.
#[test]
fn agentgateway_cve_2026_29791_an_argument_becomes_a_url_or_a_header() {
    let stage = Stage::start();
    let values = [
        "../admin",
        "%2e%2e%2fadmin",
        "?x=1&admin=1",
        "#a",
        ";x",
        "a\r\nX-Role: admin",
        "\\\\evil",
    ];
    for value in values {
        let arguments = json!({"path": value, "region": value, "url": value});
        stage.client().call("open", arguments).result();
    }
    // A header that mirrors an argument is compared with it, and cannot say something else.
    let call = stage.client().calling("open", json!({"region": "eu"}));
    let odd = call.with("mcp-name", "hidden").send().expect_status(400);
    assert_eq!(odd.error_code(), -32020, "{odd}");
    let came = stage.server.take();
    for heard in &came {
        assert_eq!(heard.path, "/mcp", "{heard:?}");
        assert!(!heard.headers.contains_key("x-role"), "{heard:?}");
    }
    let calls = came
        .iter()
        .filter(|heard| heard.json()["method"] == "tools/call");
    assert_eq!(calls.count(), values.len());
}

/// FastMCP, CVE-2026-32871: a name or URI that walks out of what is allowed.
#[test]
fn fastmcp_cve_2026_32871_a_uri_walks_out_of_what_is_allowed() {
    let stage = Stage::start();
    let session = Session::begin(&stage.url(), &stage.key);
    let uris = [
        "test://hidden",
        "TEST://hidden",
        "test://./hidden",
        "test://hidden#test://open",
        " test://open",
        "test%3a//open",
    ];
    for uri in uris {
        is_unknown(&session.request("resources/read", json!({"uri": uri})));
    }
    let names = [
        "../hidden",
        "open/../hidden",
        "open\u{0}hidden",
        "OPEN",
        "\u{43e}pen",
        "open ",
    ];
    for name in names {
        is_unknown(&session.calling(name, json!({})));
        // The header says that it is the one that is open.
        let name = json!(name);
        let params = modern_params(&format!(r#""name":{name},"arguments":{{}}"#));
        let body =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{{params}}}}}"#);
        raw(&stage, &body).send().expect_status(400);
    }
    stage.nothing_came();
}

/// FastMCP, GHSA-rww4-4w9c-7733: a confused deputy at the gateway's own OAuth addresses. An edge has none that gives
/// anything away: it only tells where to sign in.
#[test]
fn fastmcp_ghsa_rww4_an_oauth_address_gives_a_credential_away() {
    let stage = Stage::start();
    for path in [
        "/authorize?client_id=x&redirect_uri=https://evil.example/&response_type=code",
        "/auth/callback?code=x&state=y",
        "/oauth/callback?code=x&state=y",
        "/token",
        "/register",
        "/consent",
    ] {
        for request in [
            Request::get(&format!("{}{path}", stage.mesh.edge(0))),
            stage.at(path),
        ] {
            let answer = request.send();
            assert_eq!(answer.status, 404, "{path}: {answer}");
            assert!(answer.header("location").is_empty() && answer.header("set-cookie").is_empty());
        }
    }
}

/// Docker MCP Gateway, CVE-2025-64443, and `rmcp`, CVE-2026-42559: any page in a browser could speak by DNS rebinding.
#[test]
fn docker_cve_2025_64443_and_rmcp_cve_2026_42559_dns_rebinding() {
    let stage = Stage::start();
    let sse = format!("{}/sse/vault", stage.mesh.edge(0));
    let by_key = format!("Bearer {}", stage.key);
    for host in [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:80",
        "[::1].evil.example",
    ] {
        let call = stage.client().calling("open", json!({}));
        let answer = call.with("host", host).send();
        assert!(matches!(answer.status, 400 | 403), "{host}: {answer}");
        let old = Request::get(&sse)
            .with("authorization", &by_key)
            .with("accept", "text/event-stream");
        let answer = old.with("host", host).send();
        assert!(matches!(answer.status, 400 | 403), "{host}: {answer}");
    }
    for origin in [
        "https://evil.example",
        "null",
        "http://127.0.0.1.evil.example",
    ] {
        let call = stage.client().calling("open", json!({}));
        call.with("origin", origin).send().expect_status(403);
    }
    stage.nothing_came();
}

/// Starlette, CVE-2026-48710: a Host with a path in it moved the request elsewhere.
#[test]
fn starlette_cve_2026_48710_a_host_that_holds_a_path() {
    let stage = Stage::start();
    let port = stage
        .mesh
        .edge(0)
        .rsplit(':')
        .next()
        .expect("a port")
        .to_owned();
    for tail in ["/mcp/other?x=", "?x=", "#a", "/", "\\a"] {
        let call = stage.client().calling("open", json!({}));
        let host = format!("127.0.0.1:{port}{tail}");
        let answer = call.with("host", &host).send();
        assert!(matches!(answer.status, 400 | 403), "{host}: {answer}");
    }
    let call = stage.client().calling("open", json!({}));
    let odd = call.with("host", &format!("user@127.0.0.1:{port}")).send();
    assert!(matches!(odd.status, 400 | 403), "{odd}");
    stage.nothing_came();
}

/// MCP Ruby SDK, CVE-2026-33946, and oatpp-mcp, CVE-2025-6515: a session id was enough, or could be guessed.
#[test]
fn ruby_sdk_cve_2026_33946_a_session_id_is_enough() {
    let stage = Stage::start();
    let session = Session::begin(&stage.url(), &stage.key);
    let other = stage.mesh.key("eve@example.com", &["admins"]).text;
    for edge in [0, 1] {
        let stolen = session.at(&stage.mesh.url(edge, "vault")).by(&other);
        stolen
            .request("tools/list", json!({}))
            .send()
            .expect_status(404);
        stolen.resuming("1-0").send().expect_status(404);
        let end = Request::new(http::Method::DELETE, &stage.mesh.url(edge, "vault"));
        end.with("authorization", &format!("Bearer {other}"))
            .with("mcp-session-id", &session.id)
            .with("mcp-protocol-version", &session.revision)
            .send()
            .expect_status(404);
        stolen
            .by("")
            .request("tools/list", json!({}))
            .send()
            .expect_status(401);
    }
    // Each byte of it counts.
    for at in (0..session.id.len()).step_by(7) {
        let mut id = session.id.clone().into_bytes();
        id[at] = if id[at] == b'A' { b'B' } else { b'A' };
        let mut spoilt = session.clone();
        spoilt.id = String::from_utf8(id).expect("ASCII");
        let answer = spoilt.request("tools/list", json!({})).send();
        assert!(matches!(answer.status, 400 | 404), "{at}: {answer}");
    }
    assert_eq!(session.tools(), ["open"], "its own caller goes on");
}

/// MCP TypeScript SDK, CVE-2026-25536: clients that shared a transport got each other's answers.
#[test]
fn ts_sdk_cve_2026_25536_answers_are_crossed() {
    let server = vault::start(Speaks::Both);
    let mesh = Mesh::new()
        .with(&[
            catalog::remote("vault", &server.url("/mcp")),
            catalog::allow("all", "all", &["*"]),
        ])
        .start();
    let url = mesh.url(0, "vault");
    let key = |n: u32| mesh.key(&format!("u{n}@example.com"), &["all"]).text;
    let keys: Vec<String> = (0..8).map(key).collect();
    std::thread::scope(|scope| {
        for (n, key) in keys.iter().enumerate() {
            let url = &url;
            scope.spawn(move || {
                for turn in 0..25 {
                    let say = format!("{n}-{turn}");
                    let params = json!({"name": "open", "arguments": {"say": say}});
                    let call = Modern::new(url, key).request_with_id("1", "tools/call", params);
                    assert_eq!(call.send().content(), say);
                }
            });
        }
    });
}

/// Seen at several gateways in November 2026: a call without a valid id, or one that is a response, too, is decided on by
/// nobody and goes on.
#[test]
fn a_call_that_is_no_request_skips_the_decision() {
    let stage = Stage::start();
    let params = modern_params(r#""name":"hidden","arguments":{}"#);
    let call = |id: &str| {
        format!(r#"{{"jsonrpc":"2.0",{id}"method":"tools/call","params":{{{params}}}}}"#)
    };
    for id in [
        "",
        r#""id":null,"#,
        r#""id":true,"#,
        r#""id":1.5,"#,
        r#""id":{},"#,
        r#""id":[1],"#,
    ] {
        raw(&stage, &call(id))
            .with("mcp-name", "hidden")
            .send()
            .expect_status(400);
    }
    for also in [r#""result":{},"#, r#""error":{"code":1,"message":""},"#] {
        let body = call(&format!(r#""id":1,{also}"#));
        raw(&stage, &body)
            .with("mcp-name", "hidden")
            .send()
            .expect_status(400);
    }
    let session = Session::begin(&stage.url(), &stage.key);
    let message: Value =
        json!({"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "hidden"}});
    session.post(&message).send().expect_status(400);
    stage.nothing_came();
}

/// Seen there, too: two credentials, and which of them counts is for each hop to guess.
#[test]
fn two_credentials_in_one_request() {
    let stage = Stage::start();
    let admin = stage.mesh.key("ada@example.com", &["admins"]).text;
    let call = stage.client().calling("open", json!({}));
    let twice = call.and("authorization", &format!("Bearer {admin}")).send();
    assert!(matches!(twice.status, 400 | 401), "{twice}");
    stage.nothing_came();
}
