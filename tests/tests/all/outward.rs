//! What leads out of the installation: remote servers, receivers of webhooks, and the secrets that both need.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::catalog;
use tests::http::Response;
use tests::listener::{Answer, Heard, Listener};
use tests::mesh::Mesh;
use tests::remote;
use tests::rpc::{Modern, Session, id_of};
use tests::shared::{Guest, Shared};

/// A receiver's time, and how much more a caller may wait for its error.
const TIMEOUT: Duration = Duration::from_millis(500);
const MORE: Duration = Duration::from_millis(50);

/// Calls with a mark in the message.
type Calling<'c> = &'c dyn Fn(&str) -> Response;

/// What stands outside of the shared mesh.
struct Outside {
    old: Listener,
    new: Listener,
    rotating: Listener,
    worded: Listener,
    receiver: Listener,
    wrong: Listener,
}

fn outside() -> &'static Outside {
    static OUTSIDE: OnceLock<Outside> = OnceLock::new();
    OUTSIDE.get_or_init(|| Outside {
        old: remote::legacy(),
        new: remote::modern(),
        rotating: remote::legacy(),
        worded: remote::legacy(),
        receiver: Listener::start(|_| allow()),
        wrong: Listener::start(|_| allow()),
    })
}

/// Remote servers of both eras and one of standard streams; a receiver is asked about `seen-…`, another about `strict`
/// and `lax`, which differ in what its failure means.
fn border() -> Guest {
    static MESH: Shared = Shared::new();
    let outside = outside();
    MESH.get(|| {
        let with_token = |name: &str, at: &Listener, secret: &str| {
            let mut server = catalog::remote(name, &at.url("/mcp"));
            let header =
                json!({"key": "X-Token", "from": "secret", "secretName": secret, "as": "header"});
            server["spec"]["config"] = json!([header]);
            server
        };
        let seen = ["seen-old", "seen-new", "seen-stdio"];
        let mut seeing = catalog::webhook("seeing", &seen, &outside.receiver.url("/hook"), "key");
        seeing["spec"]["mayChange"] = json!(true);
        let wrong = |name: &str, servers: &[&str]| {
            catalog::webhook(name, servers, &outside.wrong.url("/hook"), "key")
        };
        let mut lax = wrong("lax", &["lax"]);
        lax["spec"]["onError"] = json!("allow");
        let mut obot = wrong("obot", &["obot"]);
        obot["spec"]["webhook"]["format"] = json!("obot");
        let mut worded = catalog::words("worded", &["hacking"]);
        worded["spec"]["match"]["servers"] = json!(["worded"]);
        worded["spec"]["match"]["methods"] = json!(["*"]);
        let resources = [
            catalog::secret("token", "t0ken"),
            catalog::secret("key", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
            catalog::secret("rotating", "t0ken"),
            with_token("old", &outside.old, "token"),
            with_token("rotating", &outside.rotating, "rotating"),
            catalog::remote("new", &outside.new.url("/mcp")),
            catalog::remote("seen-old", &outside.old.url("/mcp")),
            catalog::remote("seen-new", &outside.new.url("/mcp")),
            catalog::named_fixture("seen-stdio", "slow", &[]),
            catalog::named_fixture("strict", "slow", &[]),
            catalog::remote("lax", &outside.old.url("/mcp")),
            catalog::remote("obot", &outside.new.url("/mcp")),
            catalog::remote("worded", &outside.worded.url("/mcp")),
            catalog::allow("engineers", "engineering", &["*"]),
            seeing,
            wrong("strict", &["strict"]),
            lax,
            obot,
            worded,
        ];
        Mesh::new().with(&resources).edges(2).start_shared()
    })
}

fn ana(mesh: &Guest) -> String {
    mesh.key("ana@example.com", &["engineering"]).text
}

fn allow() -> Answer {
    Answer::json(&json!({"verdict": "allow"}))
}

fn echo(text: &str) -> Value {
    json!({"message": text})
}

#[test]
fn a_remote_server_of_the_clients_era_is_called_by_the_edge_itself() {
    let (mesh, outside) = (border(), outside());
    let key = ana(&mesh);
    let modern = Modern::new(&mesh.url(0, "new"), &key);
    assert_eq!(modern.tools(), ["echo"]);
    let call = modern.calling("echo", echo("a"));
    assert_eq!(call.send().content(), "Echo: a");
    let row = mesh.recorded(&["--server", "new"], |row| {
        row["request_id"] == id_of(&call)
    });
    assert_eq!(
        (&row["decision"], &row["rule"]),
        (&json!("allow"), &json!("engineers"))
    );
    assert!(
        row["upstream_ms"].as_f64().is_some_and(|ms| ms > 0.0),
        "{row}"
    );
    // A session that was begun at one edge goes on at the other: its id is the server's own, sealed.
    let session = Session::begin(&mesh.url(0, "old"), &key);
    for edge in [0, 1, 0] {
        let there = session.at(&mesh.url(edge, "old"));
        assert_eq!(there.call("echo", echo("b")).content(), "Echo: b");
    }
    let heard = outside.old.take();
    let calls = heard
        .iter()
        .filter(|heard| heard.json()["method"] == "tools/call");
    let calls: Vec<&Heard> = calls.collect();
    assert!(calls.len() >= 3);
    for call in calls
        .iter()
        .filter(|call| !call.header("x-token").is_empty())
    {
        assert_eq!(call.header("x-token"), "t0ken");
        assert_eq!(
            call.header("authorization"),
            "",
            "the caller's own credential stays here"
        );
        assert!(call.header("mcp-session-id").starts_with("session-"));
    }
    let refused = session.by(&mesh.key("sam@example.com", &["engineering"]).text);
    assert_eq!(
        refused.call("echo", echo("c")).status,
        404,
        "sessions are their owner's alone"
    );
}

#[test]
fn a_remote_server_of_another_era_is_bridged_to() {
    let mesh = border();
    let key = ana(&mesh);
    mesh.server_in("old", "ready");
    let modern = Modern::new(&mesh.url(0, "old"), &key);
    assert_eq!(modern.tools(), ["echo"]);
    assert_eq!(modern.call("echo", echo("a")).content(), "Echo: a");
    mesh.server_in("new", "ready");
    let legacy = Session::begin(&mesh.url(0, "new"), &key);
    assert_eq!(legacy.tools(), ["echo"]);
    assert_eq!(legacy.call("echo", echo("a")).content(), "Echo: a");
}

#[test]
fn secrets_are_never_shown_and_a_new_one_is_used_at_once() {
    let (mesh, outside) = (border(), outside());
    for words in [
        &["get", "Secret", "rotating", "-o", "yaml"][..],
        &["get", "Secret", "-o", "json"],
        &["get", "Server", "rotating", "-o", "yaml"],
        &["describe", "Server", "rotating"],
    ] {
        let shown = mesh.gatehouse(words).ended_with(0);
        assert!(!shown.stdout.contains("t0ken"), "{shown}");
    }
    let file = mesh.file("new-token", "t1ken\n");
    mesh.gatehouse(&["secret", "set", "rotating", "--from", &file, "--wait"])
        .ended_with(0);
    let session = Session::begin(&mesh.url(0, "rotating"), &ana(&mesh));
    outside.rotating.take();
    assert_eq!(session.call("echo", echo("a")).content(), "Echo: a");
    let heard = outside.rotating.take();
    assert!(heard.iter().any(|heard| heard.header("x-token") == "t1ken"));
    // What somebody still needs is not taken away.
    let refused = mesh
        .gatehouse(&["delete", "Secret", "rotating"])
        .ended_with(1);
    assert!(refused.stderr.contains("rotating"), "{refused}");
}

/// What a receiver was asked, by direction, of the calls that hold `mark`.
fn seen(heard: &[Heard], mark: &str) -> BTreeMap<String, Vec<Value>> {
    let mut seen: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for question in heard.iter().map(Heard::json) {
        if question["message"].to_string().contains(mark) {
            let direction = question["direction"].as_str().unwrap_or_default();
            seen.entry(direction.to_owned()).or_default().push(question);
        }
    }
    seen
}

#[test]
fn a_receiver_sees_each_message_once_in_each_direction_and_may_change_it() {
    let (mesh, outside) = (border(), outside());
    let key = ana(&mesh);
    for server in ["seen-old", "seen-stdio"] {
        mesh.server_in(server, "ready");
    }
    outside.receiver.answer(changing);
    let modern = |server: &str| Modern::new(&mesh.url(0, server), &key);
    let legacy = |server: &str| Session::begin(&mesh.url(0, server), &key);
    // Directly, over a sidecar, over a sidecar with a bridge; modern and legacy clients.
    let calls: [(&str, Calling<'_>); 3] = [
        ("modern-direct", &|mark| {
            modern("seen-new").call("echo", echo(mark))
        }),
        ("legacy-direct", &|mark| {
            legacy("seen-old").call("echo", echo(mark))
        }),
        ("modern-bridged", &|mark| {
            modern("seen-old").call("echo", echo(mark))
        }),
    ];
    for (mark, call) in calls {
        outside.receiver.take();
        assert_eq!(call(mark).content(), format!("Echo: {mark}"));
        let seen = seen(&outside.receiver.take(), mark);
        let counts: Vec<_> = seen
            .iter()
            .map(|(way, all)| (way.as_str(), all.len()))
            .collect();
        assert_eq!(counts, [("request", 1), ("response", 1)], "{mark}");
        let question = &seen["request"][0];
        assert_eq!(question["principal"]["user"], "ana@example.com");
        assert_eq!(
            (&question["method"], &question["name"]),
            (&json!("tools/call"), &json!("echo"))
        );
        assert_eq!(
            call(&format!("{mark} CHANGE-REQUEST")).content(),
            "Echo: changed"
        );
        assert_eq!(
            call(&format!("{mark} CHANGE-RESPONSE")).content(),
            "another answer"
        );
        let refused = call(&format!("{mark} DENY"));
        assert_eq!(
            refused.refusal(),
            (-31010, "filter".to_owned()),
            "{mark}: {refused}"
        );
        // Another request's answer in the place of this one's is no change but a failure.
        let lie = call(&format!("{mark} LIE"));
        assert_eq!(
            lie.refusal(),
            (-31010, "filter_error".to_owned()),
            "{mark}: {lie}"
        );
    }
    // Over standard streams.
    let sleep = |seconds: f64| json!({"seconds": seconds});
    let streams: [(&str, &dyn Fn() -> Response); 2] = [
        ("0.21", &|| modern("seen-stdio").call("sleep", sleep(0.21))),
        ("0.22", &|| legacy("seen-stdio").call("sleep", sleep(0.22))),
    ];
    for (mark, call) in streams {
        outside.receiver.take();
        assert_eq!(call().content(), format!("slept {mark} s"));
        let seen = seen(&outside.receiver.take(), mark);
        let counts: Vec<_> = seen
            .iter()
            .map(|(way, all)| (way.as_str(), all.len()))
            .collect();
        assert_eq!(counts, [("request", 1), ("response", 1)], "{mark}");
    }
    let row = mesh.recorded(&["--server", "seen-new"], |row| row["decision"] == "change");
    assert_eq!(row["filters"], json!(["seeing"]));
}

/// A receiver that does what the message tells it.
fn changing(heard: &Heard) -> Answer {
    let question = heard.json();
    let mut message = question["message"].clone();
    let text = message.to_string();
    let is_request = question["direction"] == "request";
    let change = |message: Value| Answer::json(&json!({"verdict": "change", "message": message}));
    if is_request && text.contains("DENY") {
        return Answer::json(&json!({"verdict": "deny", "reason": "because"}));
    }
    if is_request && text.contains("LIE") {
        message["id"] = json!("another");
        return change(message);
    }
    if is_request && text.contains("CHANGE-REQUEST") {
        message["params"]["arguments"]["message"] = json!("changed");
        return change(message);
    }
    if !is_request && text.contains("CHANGE-RESPONSE") {
        message["result"]["content"][0]["text"] = json!("another answer");
        return change(message);
    }
    allow()
}

#[test]
fn a_receiver_that_fails_costs_its_time_and_what_on_error_says() {
    let (mesh, outside) = (border(), outside());
    let key = ana(&mesh);
    mesh.server_in("strict", "ready");
    let strict = Modern::new(&mesh.url(0, "strict"), &key);
    let lax = Session::begin(&mesh.url(0, "lax"), &key);
    let large = "x".repeat(5 << 20);
    let elsewhere = outside.receiver.url("/hook");
    let failures: [(&str, Answer); 7] = [
        ("hung", Answer::never()),
        ("slow", allow().after(TIMEOUT * 3)),
        (
            "lying",
            Answer::json(&json!({"verdict": "allow", "message": {"id": 1}})),
        ),
        (
            "rubbish",
            Answer::status(200)
                .with("content-type", "application/json")
                .body("yes"),
        ),
        (
            "oversized",
            Answer::json(&json!({"verdict": "allow", "note": large})),
        ),
        (
            "redirecting",
            Answer::status(307).with("location", &elsewhere),
        ),
        ("broken", Answer::status(500)),
    ];
    for (what, answer) in failures {
        outside.wrong.answer(move |_| answer.clone());
        // Of several tries the best: what others do on this machine is not the receiver's.
        let mut least = Duration::MAX;
        for _ in 0..3 {
            let began = Instant::now();
            let refused = strict.call("sleep", json!({"seconds": 0}));
            least = least.min(began.elapsed());
            assert_eq!(
                refused.refusal(),
                (-31010, "filter_error".to_owned()),
                "{what}: {refused}"
            );
        }
        assert!(least <= TIMEOUT + MORE, "{what}: {least:?}");
        // Both directions fail, and each may take its time.
        let passed = lax.call("echo", echo(what));
        assert_eq!(passed.content(), format!("Echo: {what}"));
    }
    outside.wrong.answer(|_| allow());
    // Those that failed in a row are left alone for a moment; then one may try.
    tests::wait::until(
        "the filter to be asked again",
        Duration::from_secs(10),
        || {
            let response = strict.call("sleep", json!({"seconds": 0}));
            if response.status == 200 {
                Ok(())
            } else {
                Err(response.to_string())
            }
        },
    );
    let counted = outside
        .receiver
        .take()
        .into_iter()
        .filter(|heard| heard.path == "/hook");
    assert!(counted.count() < 1000, "redirects are not followed");
}

#[test]
fn a_receiver_that_was_made_for_obot_works() {
    let (mesh, outside) = (border(), outside());
    let client = Modern::new(&mesh.url(0, "obot"), &ana(&mesh));
    let refuse = |heard: &Heard| {
        let is_signed = heard.header("x-obot-signature-256").starts_with("sha256=");
        let text = String::from_utf8_lossy(&heard.body).into_owned();
        let is_bare = heard.json()["jsonrpc"] == "2.0";
        Answer::status(if is_signed && is_bare && !text.contains("secret") {
            200
        } else {
            403
        })
    };
    let obot = Listener::start(refuse);
    let mut filter = catalog::webhook("obot", &["obot"], &obot.url("/"), "key");
    filter["spec"]["webhook"]["format"] = json!("obot");
    mesh.apply(&[filter]).ended_with(0);
    assert_eq!(client.call("echo", echo("a")).content(), "Echo: a");
    assert_eq!(obot.count(), 2, "once in each direction");
    let refused = client.call("echo", echo("a secret"));
    assert_eq!(
        refused.refusal(),
        (-31010, "filter".to_owned()),
        "{refused}"
    );
    let _ = outside;
}

#[test]
fn what_all_users_would_share_at_a_remote_server_is_refused() {
    let mesh = border();
    let key = ana(&mesh);
    let session = Session::begin(&mesh.url(0, "old"), &key);
    for (method, code) in [
        ("tasks/list", -32601),
        ("tasks/result", -32602),
        ("tasks/cancel", -32602),
    ] {
        let response = session.request(method, json!({"taskId": "1"})).send();
        assert_eq!(response.error()["code"], code, "{method}: {response}");
    }
    let modern = Modern::new(&mesh.url(0, "new"), &key);
    let wanted = json!({"notifications": {"taskIds": ["1"]}});
    let response = modern.request("subscriptions/listen", wanted).send();
    assert_eq!(response.error()["code"], -32602, "{response}");
}

#[test]
fn what_a_client_answers_to_a_server_passes_the_filters() {
    let (mesh, outside) = (border(), outside());
    let session = Session::begin(&mesh.url(0, "worded"), &ana(&mesh));
    let answer = |text: &str| {
        let result = json!({"action": "accept", "content": {"name": text}});
        session.post(&json!({"jsonrpc": "2.0", "id": "asked", "result": result}))
    };
    let heard = |text: &str| {
        let all = outside.worded.take();
        let holds = |heard: &Heard| heard.json().to_string().contains(text);
        all.iter().any(holds)
    };
    answer("a harmless name").send().expect_status(202);
    assert!(heard("a harmless name"), "it goes on");
    let refused = answer("hacking").send();
    assert_eq!(
        refused.refusal(),
        (-31010, "filter".to_owned()),
        "{refused}"
    );
    assert!(!heard("hacking"), "it does not");
}
