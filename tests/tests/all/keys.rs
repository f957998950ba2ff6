//! API keys: scope, end and revocation, each as soon as promised.

use std::time::Duration;

use serde_json::json;
use tests::rpc::{Modern, Session};
use tests::wait;

use crate::stage;

/// How long a push may take to all edges: `key revoke` waits for it, so this is for slow machines.
const PUSH: Duration = Duration::from_secs(5);

#[test]
fn a_key_works_on_every_edge_when_create_returns() {
    let mesh = stage::workshop();
    for turn in 0..5 {
        let key = stage::ana(&mesh);
        for edge in [0, 1] {
            let tools = Modern::new(&mesh.url(edge, "slow"), &key).tools();
            assert_eq!(tools, ["sleep"], "turn {turn}, edge {edge}");
        }
    }
}

#[test]
fn a_key_for_one_server_is_no_credential_for_another() {
    let mesh = stage::workshop();
    let key = mesh
        .key_with(&[
            "--user",
            "ana@example.com",
            "--group",
            "engineering",
            "--server",
            "slow",
        ])
        .text;
    assert_eq!(Modern::new(&mesh.url(0, "slow"), &key).tools(), ["sleep"]);
    let elsewhere = Modern::new(&mesh.url(0, "hacker"), &key).request("tools/list", json!({}));
    elsewhere.send().expect_status(401);
}

#[test]
fn a_key_ends_when_it_was_said_to_also_in_the_middle_of_a_session() {
    let mesh = stage::workshop();
    let flags = [
        "--user",
        "ana@example.com",
        "--group",
        "engineering",
        "--expires",
        "4s",
    ];
    let key = mesh.key_with(&flags).text;
    let session = Session::begin(&mesh.url(0, "slow"), &key);
    assert_eq!(session.tools(), ["sleep"]);
    wait::wait_for("the key to end", Duration::from_secs(10), || {
        session.request("tools/list", json!({})).send().status == 401
    });
    Modern::new(&mesh.url(1, "slow"), &key)
        .request("tools/list", json!({}))
        .send()
        .expect_status(401);
}

#[test]
fn a_revoked_key_is_refused_on_every_edge_with_the_next_push() {
    let mesh = stage::workshop();
    let (key, other) = (
        mesh.key("ana@example.com", &["engineering"]),
        stage::ana(&mesh),
    );
    let clients = [0, 1].map(|edge| Modern::new(&mesh.url(edge, "slow"), &key.text));
    assert!(clients.iter().all(|client| client.tools() == ["sleep"]));
    mesh.gatehouse(&["key", "revoke", &key.id]).good();
    wait::wait_for("the push", PUSH, || {
        clients
            .iter()
            .all(|client| client.request("tools/list", json!({})).send().status == 401)
    });
    assert_eq!(
        Modern::new(&mesh.url(0, "slow"), &other).tools(),
        ["sleep"],
        "another key of the same user stays"
    );
    let listed = mesh
        .gatehouse(&["key", "list", "-o", "json"])
        .good()
        .items();
    assert!(listed.iter().all(|item| item["id"] != key.id), "{listed:?}");
}

#[test]
fn a_rule_for_a_client_counts_for_keys_that_were_made_for_it() {
    let resources = [
        tests::catalog::fixture("slow", &[]),
        tests::catalog::resource(
            "AccessRule",
            "cursor-only",
            &json!({"effect": "allow", "subjects": [{"client": "cursor"}], "servers": ["slow"], "tools": ["sleep"]}),
        ),
    ];
    let mesh = tests::mesh::Mesh::new().with(&resources).start();
    let with = mesh.key_with(&["--user", "ana@example.com", "--client", "cursor"]);
    let without = mesh.key("ana@example.com", &[]);
    let url = mesh.url(0, "slow");
    assert_eq!(Modern::new(&url, &with.text).tools(), ["sleep"]);
    let refused = Modern::new(&url, &without.text);
    assert_eq!(refused.request("tools/list", json!({})).send().status, 404);
}

#[test]
fn a_keys_text_is_shown_once_and_kept_nowhere() {
    let mesh = stage::workshop();
    let key = mesh.key("ana@example.com", &["engineering"]);
    assert!(key.text.starts_with("gh_"), "{key:?}");
    let _ = Modern::new(&mesh.url(0, "slow"), &key.text).call("sleep", json!({"seconds": 0}));
    let list = mesh.gatehouse(&["key", "list", "-o", "json"]).good();
    assert!(
        list.stdout.contains(&key.id) && !list.stdout.contains(&key.text),
        "{list}"
    );
    let holds = files(mesh.data()).into_iter().find(|file| {
        let bytes = std::fs::read(file).unwrap_or_default();
        bytes
            .windows(key.text.len())
            .any(|window| window == key.text.as_bytes())
    });
    assert_eq!(holds, None, "a file of the data folder holds the key");
}

/// All files under a folder.
fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let (folders, files): (Vec<_>, Vec<_>) = entries
        .map(|entry| entry.path())
        .partition(|path| path.is_dir());
    files
        .into_iter()
        .chain(folders.iter().flat_map(|folder| self::files(folder)))
        .collect()
}
