//! Who hears of which resource, and for how long: neither what others want changes it, nor the end of a process.

use std::time::Duration;

use serde_json::{Value, json};
use tests::catalog;
use tests::http::{Open, Response};
use tests::mesh::{Mesh, Running};
use tests::rpc::{Modern, Session};
use tests::wait;

/// How long a server may take to come back, or to be told something.
const SOON: Duration = Duration::from_secs(30);
const ANA: &str = "ana@example.com";

/// Notes, of one process for all as `shared`, and of a process for each client as `own`.
fn mesh() -> Running {
    let mesh = Mesh::new()
        .with(&[
            catalog::named_fixture("shared", "notes", &[]),
            catalog::own_fixture("own", "notes"),
            catalog::allow("all", "engineering", &["*"]),
        ])
        .edges(2)
        .start();
    for server in ["shared", "own"] {
        mesh.server_in(server, "ready");
    }
    mesh
}

fn wants(session: &Session, method: &str, uri: &str) {
    let method = format!("resources/{method}");
    session
        .request(&method, json!({ "uri": uri }))
        .send()
        .result();
}

fn touch(session: &Session, uri: &str) -> String {
    session.call("touch", json!({ "uri": uri })).content()
}

/// The server is told after whoever does not want to hear of it is answered.
fn wanted_becomes(session: &Session, wanted: &str) {
    wait::until("the server to be told", SOON, || {
        let now = session.call("wanted", json!({})).content();
        if now == wanted { Ok(()) } else { Err(now) }
    });
}

fn hears_of(stream: &mut Open, count: usize, uri: &str) {
    let heard = stream.messages(count).pop().expect("a message");
    assert_eq!(heard["method"], "notifications/resources/updated");
    assert_eq!(heard["params"]["uri"], uri);
}

/// A modern client's subscription to one resource, once it is acknowledged.
fn listening(client: &Modern, uri: &str) -> Open {
    let wanted = json!({"notifications": {"resourceSubscriptions": [uri]}});
    let mut open = client
        .request("subscriptions/listen", wanted.clone())
        .open();
    let granted = open.first_message();
    assert_eq!(granted["params"]["notifications"], wanted["notifications"]);
    open
}

#[test]
fn who_wants_to_hear_no_more_deafens_nobody_else() {
    let mesh = mesh();
    let ana = mesh.key(ANA, &["engineering"]).text;
    let sam = mesh.key("sam@example.com", &["engineering"]).text;
    let (here, there) = (mesh.url(0, "shared"), mesh.url(1, "shared"));
    let (first, second) = (Session::begin(&here, &ana), Session::begin(&there, &sam));
    for session in [&first, &second] {
        wants(session, "subscribe", "note://a");
    }
    wanted_becomes(&first, "note://a 1");
    let mut heard = first.listening().open();
    // As often as one likes, and also without having wanted it.
    wants(&second, "unsubscribe", "note://a");
    wants(&second, "unsubscribe", "note://a");
    wants(&second, "unsubscribe", "note://b");
    assert_eq!(touch(&second, "note://a"), "told");
    hears_of(&mut heard, 1, "note://a");
    // Nor does a client without a session, nor one that is gone.
    let modern = listening(&Modern::new(&there, &sam), "note://a");
    drop(modern);
    wants(&second, "subscribe", "note://a");
    second.ending().send().expect_status(204);
    assert_eq!(touch(&first, "note://a"), "told");
    hears_of(&mut heard, 2, "note://a");
    // The last one takes the server's word off it.
    let mut modern = listening(&Modern::new(&there, &sam), "note://a");
    wants(&first, "unsubscribe", "note://a");
    assert_eq!(touch(&first, "note://a"), "told");
    hears_of(&mut modern, 2, "note://a");
    drop(modern);
    wanted_becomes(&first, "");
}

/// Begins the session's own stream, as soon as its server is there again.
fn again(session: &Session) -> Open {
    let mut open = None;
    wait::wait_for("the stream to begin anew", SOON, || {
        let begun = session.listening().open();
        let is_there = begun.status() == 200;
        open = is_there.then_some(begun);
        is_there
    });
    open.expect("it is there")
}

#[test]
fn what_a_client_wants_to_hear_of_outlives_the_servers_process() {
    let mesh = mesh();
    let ana = mesh.key(ANA, &["engineering"]).text;
    for server in ["shared", "own"] {
        let session = Session::begin(&mesh.url(0, server), &ana);
        let process = |response: Response| response.content();
        let before = process(session.call("process", json!({})));
        wants(&session, "subscribe", "note://a");
        wants(&session, "subscribe", "note://b");
        wants(&session, "unsubscribe", "note://b");
        let heard = session.listening().open();
        let ended: Value = session.call("end", json!({})).error();
        assert_eq!(ended["data"]["reason"], "unavailable", "{server}");
        // The client has to come back to hear anything at all.
        heard.whole();
        let elsewhere = session.at(&mesh.url(1, server));
        let mut heard = again(&elsewhere);
        wanted_becomes(&elsewhere, "note://a 1");
        assert_ne!(process(elsewhere.call("process", json!({}))), before);
        assert_eq!(touch(&elsewhere, "note://a"), "told", "{server}");
        hears_of(&mut heard, 1, "note://a");
    }
}

#[test]
fn streams_end_when_a_rule_takes_the_right_away_and_others_go_on() {
    let mesh = mesh();
    let ana = mesh.key(ANA, &["engineering"]).text;
    let sam = mesh.key("sam@example.com", &["engineering"]).text;
    let (here, there) = (mesh.url(0, "shared"), mesh.url(1, "shared"));
    let (hers, his) = (Session::begin(&here, &ana), Session::begin(&there, &sam));
    for (session, uri) in [(&hers, "note://a"), (&hers, "note://b"), (&his, "note://a")] {
        wants(session, "subscribe", uri);
    }
    let wanted = json!({"notifications": {"resourceSubscriptions": ["note://a", "note://b"]}});
    let modern = Modern::new(&there, &ana);
    let mut listens = modern.request("subscriptions/listen", wanted).open();
    listens.first_message();
    let mut hears = hers.listening().open();
    let mut others = his.listening().open();
    // What she may not read any more she does not hear of, though she asked for it in time.
    mesh.apply(&[catalog::deny_resource("no-a", ANA, "shared", "note://a")]);
    for uri in ["note://a", "note://b"] {
        assert_eq!(touch(&his, uri), "told");
    }
    hears_of(&mut hears, 1, "note://b");
    hears_of(&mut listens, 2, "note://b");
    hears_of(&mut others, 1, "note://a");
    // Where she may not use the server at all, the streams end, without a word of the server's.
    mesh.apply(&[catalog::deny_user("no-ana", ANA, "shared")]);
    let heard = hears.whole();
    assert_eq!(heard.messages().len(), 1, "{heard}");
    listens.whole();
    assert_eq!(touch(&his, "note://a"), "told");
    hears_of(&mut others, 2, "note://a");
    hers.listening().send().expect_status(404);
}

#[test]
fn a_stream_ends_when_its_client_is_in_other_groups_than_before() {
    let mesh = mesh();
    let group =
        |user: &str| catalog::resource("Group", "night", &json!({"members": [{"user": user}]}));
    // Without the group she may still use the server, and read nothing there.
    let tools = json!({"effect": "allow", "subjects": [{"user": "mia@example.com"}],
        "servers": ["shared"], "tools": ["*"]});
    mesh.apply(&[
        group("mia@example.com"),
        catalog::allow("night", "night", &["shared"]),
        catalog::resource("AccessRule", "mia", &tools),
    ]);
    let mia = mesh.key("mia@example.com", &["sales"]).text;
    let session = Session::begin(&mesh.url(0, "shared"), &mia);
    wants(&session, "subscribe", "note://a");
    let hears = session.listening().open();
    let wanted = json!({"notifications": {"resourceSubscriptions": ["note://a"]}});
    let modern = Modern::new(&mesh.url(1, "shared"), &mia);
    let mut listens = modern.request("subscriptions/listen", wanted).open();
    listens.first_message();
    mesh.apply(&[group("max@example.com")]);
    for stream in [hears, listens] {
        stream.whole();
    }
    assert_eq!(
        session.listening().open().status(),
        200,
        "she may come back"
    );
}
