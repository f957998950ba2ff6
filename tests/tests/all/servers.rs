//! Servers come and go with the catalog, while everything else goes on.

use std::time::Duration;

use serde_json::{Value, json};
use tests::catalog;
use tests::mesh::Mesh;
use tests::rpc::Modern;
use tests::wait;

use crate::stage;

/// How long a server may take to follow the catalog.
const FOLLOW: Duration = Duration::from_secs(30);

#[test]
fn a_server_comes_with_apply_changes_in_place_and_goes_with_delete() {
    let resources = [
        catalog::fixture("slow", &[]),
        catalog::allow("all", "engineering", &["*"]),
    ];
    let mesh = Mesh::new().with(&resources).start();
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    // The rule is for whatever server there is; one that there is not does not exist for anybody.
    let client = Modern::new(&mesh.url(0, "late"), &key);
    client
        .request("tools/list", json!({}))
        .send()
        .expect_status(404);

    mesh.apply(&[catalog::named_fixture("late", "hacker", &[])]);
    mesh.server_in("late", "ready");
    wait::wait_for("the new server to serve", FOLLOW, || serves(&client, "say"));

    // A call on the old process is finished while the new one takes over.
    let slow = Modern::new(&mesh.url(0, "slow"), &key);
    let mut under_way = slow
        .calling_with_progress("sleep", json!({"seconds": 2, "steps": 9}))
        .open();
    assert_eq!(
        under_way.first_message()["method"],
        "notifications/progress"
    );
    mesh.apply(&[catalog::named_fixture("slow", "dies", &[])]);
    wait::wait_for("the changed server to serve", FOLLOW, || {
        serves(&slow, "die")
    });
    assert_eq!(under_way.whole().content(), "slept 2 s");

    let family = mesh.family();
    let before = family.len();
    mesh.gatehouse(&["delete", "Server", "late", "--wait"])
        .good();
    client
        .request("tools/list", json!({}))
        .send()
        .expect_status(404);
    wait::wait_for("its sidecar and process to be gone", FOLLOW, || {
        family.left().len() <= before - 3
    });
    assert!(serves(&slow, "die"), "the other server goes on");
}

/// Whether the server's one tool is this.
fn serves(client: &Modern, tool: &str) -> bool {
    let answer = client.request("tools/list", json!({})).send();
    answer.status == 200 && answer.reply()["result"]["tools"][0]["name"] == tool
}

#[test]
fn a_servers_log_is_read_from_afar_with_what_became_of_it() {
    let mesh = stage::infirmary();
    let logs = |words: &[&str]| {
        let words = [&["server", "logs"], words].concat();
        mesh.gatehouse(&words).ended_with(0).stdout
    };
    // It writes to standard error when a call is taken back, and dies when it is told to.
    mesh.server_in("slow", "ready");
    let client = Modern::new(&mesh.url(0, "slow"), &stage::ana(&mesh));
    let call = client.calling_with_progress("sleep", json!({"seconds": 60, "steps": 1000}));
    drop(call.open());
    wait::until("its line", Duration::from_secs(20), || {
        let text = logs(&["slow"]);
        let said = text.contains("slow: ") && text.contains("-- ready: slow");
        if said { Ok(()) } else { Err(text) }
    });
    let json = logs(&["slow", "-o", "json", "--lines", "1"]);
    let line: Value =
        serde_json::from_str(json.lines().next().expect("a line")).expect("it is JSON");
    assert!(
        line["time"].is_string() && line["node"].as_str().is_some_and(|n| n.starts_with("slow")),
        "{line}"
    );
    let none = mesh
        .gatehouse(&["server", "logs", "no-such-server"])
        .ended_with(1);
    assert!(none.stderr.contains("no-such-server"), "{none}");
}
