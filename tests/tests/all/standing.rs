//! What a legacy client asks of its session without a message: the stream of a server's own words, and the session's end.

use serde_json::{Value, json};
use tests::catalog;
use tests::http::Request;
use tests::listener::{Answer, Heard, Listener};
use tests::mesh::Mesh;
use tests::rpc::Session;

/// A legacy server that says these on its stream, which then ends.
fn talking(words: Vec<Value>) -> Listener {
    Listener::start(move |heard: &Heard| {
        let message = heard.json();
        match (heard.method.as_str(), message["method"].as_str()) {
            ("GET", _) => {
                let event = |word: &Value| format!("id: 7\nevent: odd\ndata: {word}\n\n");
                let events: String = words.iter().map(event).collect();
                Answer::status(200)
                    .with("content-type", "text/event-stream")
                    .body(format!("retry: 1\n\n:\n\n{events}"))
            }
            ("DELETE", _) => Answer::status(204),
            (_, Some("initialize")) => {
                let result = json!({"protocolVersion": "2025-11-25", "capabilities": {},
                    "serverInfo": {"name": "talking", "version": "1"}});
                Answer::json(&json!({"jsonrpc": "2.0", "id": message["id"], "result": result}))
                    .with("mcp-session-id", "its-own")
            }
            _ => Answer::status(202),
        }
    })
}

fn of_session(session: &Session, method: http::Method, url: &str, key: &str) -> Request {
    Request::new(method, url)
        .with("authorization", &format!("Bearer {key}"))
        .with("accept", "text/event-stream")
        .with("mcp-session-id", &session.id)
        .with("mcp-protocol-version", &session.revision)
}

#[test]
fn a_servers_own_stream_is_heard_as_rules_and_filters_leave_it_and_a_session_can_be_ended() {
    let say =
        |method: &str, params: Value| json!({"jsonrpc": "2.0", "method": method, "params": params});
    let updated = |uri: &str| say("notifications/resources/updated", json!({"uri": uri}));
    let changed = say("notifications/tools/list_changed", json!({}));
    let asked = json!({"jsonrpc": "2.0", "id": 1, "method": "roots/list"});
    let server = talking(vec![
        changed.clone(),
        updated("test://shown"),
        updated("test://hidden"),
        say(
            "notifications/message",
            json!({"level": "info", "data": "about hacking"}),
        ),
        say(
            "notifications/tasks/status",
            json!({"taskId": "somebody's"}),
        ),
        json!({"jsonrpc": "2.0", "id": 2, "result": {"of": "another call"}}),
        asked.clone(),
    ]);
    let mut words = catalog::words("words", &["hacking"]);
    words["spec"]["match"]["methods"] = json!(["*"]);
    let mut hidden = catalog::deny_tool("hidden", "engineering", "talking", "none");
    hidden["spec"]["tools"] = json!([]);
    hidden["spec"]["resources"] = json!(["test://hidden*"]);
    let mesh = Mesh::new()
        .with(&[
            catalog::remote("talking", &server.url("/mcp")),
            catalog::fixture("slow", &[]),
            catalog::allow("all", "engineering", &["*"]),
            hidden,
            words,
        ])
        .edges(2)
        .start();
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    let session = Session::begin(&mesh.url(0, "talking"), &key);
    // Through any edge.
    for edge in [0, 1] {
        let url = mesh.url(edge, "talking");
        let get = || of_session(&session, http::Method::GET, &url, &key);
        let heard = get().send().expect_status(200);
        assert_eq!(
            heard.messages(),
            [changed.clone(), updated("test://shown"), asked.clone()],
            "{heard}"
        );
        assert!(
            !heard.text().contains("event: odd"),
            "framing is our own: {heard}"
        );
        // Who goes on with a stream that it lost may find the answer on it.
        let resumed = get().with("last-event-id", "7").send().expect_status(200);
        let answer = json!({"jsonrpc": "2.0", "id": 2, "result": {"of": "another call"}});
        assert!(resumed.messages().contains(&answer), "{resumed}");
        get()
            .with("accept", "application/json")
            .send()
            .expect_status(406);
        get().without("mcp-session-id").send().expect_status(405);
        get()
            .with("mcp-protocol-version", "2026-07-28")
            .send()
            .expect_status(405);
        get().without("authorization").send().expect_status(401);
        let other = mesh.key("sam@example.com", &["engineering"]).text;
        of_session(&session, http::Method::GET, &url, &other)
            .send()
            .expect_status(404);
    }
    let seen = server.take();
    let gets: Vec<&Heard> = seen.iter().filter(|heard| heard.method == "GET").collect();
    assert!(
        gets.iter()
            .all(|get| get.header("mcp-session-id") == "its-own")
    );
    assert!(
        gets.iter()
            .all(|get| get.header("authorization").is_empty())
    );
    let asked_for_the_rest = gets.iter().filter(|get| get.header("last-event-id") == "7");
    assert_eq!(
        asked_for_the_rest.count(),
        2,
        "the server resumes its own stream"
    );
    // The end of the session is its server's to say.
    let delete = of_session(
        &session,
        http::Method::DELETE,
        &mesh.url(1, "talking"),
        &key,
    );
    delete.send().expect_status(204);
    assert!(server.take().iter().any(|heard| heard.method == "DELETE"));
    // A session of a process that all share has its own stream and its own end, too.
    let shared = Session::begin(&mesh.url(0, "slow"), &key);
    let (first, second) = (mesh.url(0, "slow"), mesh.url(1, "slow"));
    let get = of_session(&shared, http::Method::GET, &second, &key).open();
    assert_eq!(get.status(), 200);
    let delete = of_session(&shared, http::Method::DELETE, &first, &key);
    delete.send().expect_status(204);
    get.whole();
    let over = shared.at(&second).request("tools/list", json!({}));
    over.send().expect_status(404);
}

#[test]
fn streams_that_share_a_connection_to_the_sidecar_end_each_by_itself() {
    let mesh = Mesh::new()
        .with(&[
            catalog::fixture("slow", &[]),
            catalog::allow("all", "engineering", &["*"]),
        ])
        .start();
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    let url = mesh.url(0, "slow");
    let of = |session: &Session, method| of_session(session, method, &url, &key);
    let begin = |_| Session::begin(&url, &key);
    let sessions: Vec<Session> = (0..60).map(begin).collect();
    let listen = |session: &Session| of(session, http::Method::GET).open();
    let mut open: Vec<_> = sessions.iter().map(listen).collect();
    assert!(open.iter().all(|get| get.status() == 200));
    // More than a server of HTTP/2 usually lets a client reset at once.
    let stay = open.split_off(50);
    drop(open);
    for (session, get) in sessions[50..].iter().zip(stay) {
        of(session, http::Method::DELETE).send().expect_status(204);
        // It ends as a stream does, and does not break off.
        get.whole();
    }
    let again = Session::begin(&url, &key);
    assert_eq!(listen(&again).status(), 200);
}
