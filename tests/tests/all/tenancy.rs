//! Whose a server's process is, and how many sessions one user may have at its sidecar.

use std::time::Duration;

use serde_json::json;
use tests::catalog;
use tests::leftovers;
use tests::listener::{Answer, Listener};
use tests::mesh::{Mesh, Running};
use tests::rpc::{Modern, Session};
use tests::wait;

/// How long processes may take to come and go.
const SOON: Duration = Duration::from_secs(30);

/// The processes that answer two users.
fn processes(clients: &[Modern; 2]) -> Option<[u32; 2]> {
    let mut found = [0; 2];
    for (client, found) in clients.iter().zip(&mut found) {
        // While one is being started there is no answer.
        let answer = client.call("process", json!({}));
        answer.reply().get("result")?;
        *found = answer.content().parse().expect("an id");
    }
    Some(found)
}

/// Waits until both users are answered by processes that fit.
fn answered_by(clients: &[Modern; 2], fits: impl Fn([u32; 2]) -> bool) -> [u32; 2] {
    wait::until("the new kind of process", SOON, || {
        let found = processes(clients);
        found
            .filter(|found| fits(*found))
            .ok_or(format!("{found:?}"))
    })
}

fn are_gone(what: &str, ids: &[u32]) {
    wait::wait_for(what, SOON, || {
        let all = leftovers::all();
        !ids.iter().any(|id| all.contains_key(id))
    });
}

#[test]
fn a_change_of_tenancy_ends_old_processes_and_calls_get_the_new_kind() {
    let (shared, own) = (
        catalog::fixture("notes", &[]),
        catalog::own_fixture("notes", "notes"),
    );
    let mesh = Mesh::new()
        .with(&[shared.clone(), catalog::allow("all", "engineering", &["*"])])
        .start();
    mesh.server_in("notes", "ready");
    let url = mesh.url(0, "notes");
    let clients = ["ana@example.com", "sam@example.com"].map(|user| {
        let key = mesh.key(user, &["engineering"]).text;
        Modern::new(&url, &key)
    });
    let [both, other] = answered_by(&clients, |_| true);
    assert_eq!(both, other, "they share it");
    mesh.apply(&[own]);
    let is_new = |[hers, his]: [u32; 2]| hers != his && hers != both && his != both;
    let [hers, his] = answered_by(&clients, is_new);
    are_gone("the process that was shared", &[both]);
    mesh.apply(&[shared]);
    let [again, _] = answered_by(&clients, |[hers, his]| hers == his);
    assert!(again != hers && again != his);
    are_gone("the processes of single users", &[hers, his]);
}

/// Sessions that one user may have at a sidecar.
const OF_USER_MAX: usize = 4096;
const AT_ONCE: usize = 4;

/// A modern server, whose legacy clients' sessions are the sidecar's alone.
fn modern() -> Listener {
    Listener::start(|heard| {
        let message = heard.json();
        let result = match message["method"].as_str() {
            Some("server/discover") => json!({"supportedVersions": ["2026-07-28"],
                "capabilities": {"tools": {}}}),
            _ => json!({"tools": []}),
        };
        let mut result = result;
        result["resultType"] = json!("complete");
        result["ttlMs"] = json!(0);
        result["cacheScope"] = json!("private");
        Answer::json(&json!({"jsonrpc": "2.0", "id": message["id"], "result": result}))
    })
}

fn begin_many(mesh: &Running, key: &str) {
    let url = mesh.url(0, "modern");
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                for _ in 0..OF_USER_MAX / AT_ONCE {
                    Session::beginning(&url, key).send().expect_status(200);
                }
            });
        }
    });
}

#[test]
fn who_begins_sessions_without_end_loses_own_ones_and_nobody_elses() {
    let server = modern();
    let mesh = Mesh::new()
        .with(&[
            catalog::remote("modern", &server.url("/mcp")),
            catalog::allow("all", "engineering", &["*"]),
        ])
        .start();
    mesh.server_in("modern", "ready");
    let ana = mesh.key("ana@example.com", &["engineering"]).text;
    let sam = mesh.key("sam@example.com", &["engineering"]).text;
    let url = mesh.url(0, "modern");
    let (his, first) = (Session::begin(&url, &sam), Session::begin(&url, &ana));
    assert_eq!(first.tools().len(), 0);
    begin_many(&mesh, &ana);
    let over = first.request("tools/list", json!({})).send();
    over.expect_status(404);
    assert_eq!(his.tools().len(), 0, "he goes on");
    let last = Session::begin(&url, &ana);
    assert_eq!(last.tools().len(), 0, "she does, too, with a new one");
}
