//! `gatehouse check`: one cause is one red line, what follows from it is skipped, and the exit code says which it was.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::Value;
use tests::place;
use tests::process::{self, Output};
use tests::wait;

use crate::stage;

/// How long a check may take.
const CHECK: Duration = Duration::from_secs(60);

/// Items with this verdict, as `id` and subject.
fn with(output: &Output, verdict: &str) -> BTreeSet<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    output
        .items()
        .iter()
        .filter(|item| item["verdict"] == verdict)
        .map(|item| (text(&item["id"]), text(&item["subject"])))
        .collect()
}

/// The item of a check that is about nothing in particular.
#[track_caller]
fn item(output: &Output, id: &str) -> Value {
    let items = output.items();
    items
        .iter()
        .find(|item| item["id"] == id && item["subject"].is_null())
        .cloned()
        .unwrap_or_else(|| panic!("no {id}: {output}"))
}

#[test]
fn everything_works_from_this_machine_to_a_call_on_record() {
    let mesh = stage::workshop();
    // Others change keys and filters on this mesh meanwhile; what is behind for a moment passes.
    let output = mesh
        .gatehouse(&["check", "--wait", "20s", "-o", "json"])
        .good();
    assert_eq!(with(&output, "fail"), BTreeSet::new(), "{output}");
    assert_eq!(with(&output, "skip"), BTreeSet::new(), "{output}");
    let groups: BTreeSet<_> = output
        .items()
        .iter()
        .map(|item| item["group"].to_string())
        .collect();
    assert_eq!(groups.len(), 5, "{output}");
    for (id, says) in [
        ("ports", "Gatehouse listens there"),
        ("clock", "within a second"),
        ("cp-reachable", "certificate good for"),
        ("cp-store", "embedded, revision"),
        ("nodes-live", "2 edges, 4 sidecars"),
        ("server-tools", "slow 2"),
        ("call", "tools/list"),
        ("call-recorded", "after"),
    ] {
        let item = item(&output, id);
        assert!(
            item["message"].as_str().is_some_and(|m| m.contains(says)),
            "{id} should say {says:?}: {item}"
        );
    }
    let people = mesh.gatehouse(&["check", "--only", "control-plane"]).good();
    assert!(people.stdout.starts_with("control plane\n"), "{people}");
    assert!(people.stdout.contains("ok    cp-reachable"), "{people}");
}

#[test]
fn a_server_that_failed_is_one_red_line_and_what_needs_it_is_skipped() {
    let mesh = stage::infirmary();
    // Between two tries it is starting for a moment, which is none of its faults.
    let output = wait::until("check to find the server that is not there", CHECK, || {
        let output = mesh
            .gatehouse(&["check", "--only", "servers", "-o", "json"])
            .ended_with(1);
        let failed = ("server-started".to_owned(), "missing".to_owned());
        if with(&output, "fail").contains(&failed) {
            Ok(output)
        } else {
            Err(output.to_string())
        }
    });
    let items = output.items();
    let about: Vec<_> = items
        .iter()
        .filter(|item| item["subject"] == "missing")
        .collect();
    assert_eq!(about.len(), 2, "{output}");
    assert!(
        about[0]["message"]
            .as_str()
            .is_some_and(|message| message.contains("/no/such/program")),
        "{output}"
    );
    assert_eq!(about[0]["fix"], "gatehouse server status missing");
    assert_eq!(
        (&about[1]["id"], &about[1]["verdict"], &about[1]["because"]),
        (
            &Value::from("server-tools"),
            &Value::from("skip"),
            &Value::from("server-started")
        )
    );
    // The key of the context is the admin's, and the rules of this mesh are about engineers.
    let call = mesh.gatehouse(&["check", "--only", "end-to-end", "-o", "json"]);
    let call = item(&call, "call");
    assert_eq!(call["verdict"], "warn", "{call}");
    assert!(
        call["fix"]
            .to_string()
            .contains("gatehouse describe Server")
    );
}

#[test]
fn without_a_control_plane_check_says_exactly_that() {
    let mesh = stage::workshop();
    let address = format!("https://{}", tests::ports::address());
    let output = mesh
        .gatehouse(&["--address", &address, "check", "-o", "json"])
        .ended_with(1);
    let failed = BTreeSet::from([("cp-reachable".to_owned(), String::new())]);
    assert_eq!(with(&output, "fail"), failed, "{output}");
    for item in output.items() {
        if item["verdict"] == "skip" {
            assert_eq!(item["because"], "cp-reachable", "{item}");
        }
    }
    let skipped = with(&output, "skip");
    for id in ["cp-token", "nodes-live", "server-started", "call", "clock"] {
        assert!(skipped.contains(&(id.to_owned(), String::new())), "{id}");
    }
    assert_eq!(item(&output, "edge-reachable")["verdict"], "ok");
    assert_eq!(output.json()["verdict"], "fail");

    let people = mesh
        .gatehouse(&["--address", &address, "check"])
        .ended_with(1);
    assert_eq!(people.stdout.matches("fail  ").count(), 1, "{people}");
    assert!(people.stdout.contains("nothing listens on"), "{people}");
    let short = mesh
        .gatehouse(&["--address", &address, "check", "-o", "short"])
        .ended_with(1);
    assert!(short.stdout.starts_with("  fail  cp-reachable"), "{short}");
}

#[test]
fn a_bad_token_fails_by_itself() {
    let mesh = stage::workshop();
    let output = mesh
        .gatehouse(&["--token", "not-the-token", "check", "-o", "json"])
        .ended_with(1);
    let failed = BTreeSet::from([("cp-token".to_owned(), String::new())]);
    assert_eq!(with(&output, "fail"), failed, "{output}");
    assert_eq!(item(&output, "cp-store")["verdict"], "ok");
    assert_eq!(item(&output, "nodes-live")["because"], "cp-token");
}

#[test]
fn before_a_first_start_this_machine_is_looked_at_without_any_installation() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let taken = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let taken = taken.local_addr().map(|address| (taken, address));
    let (_holder, address) = taken.expect("it has an address");
    let npx = folder.path().join("npx");
    std::fs::write(&npx, "#!/bin/sh\necho 'node is gone' >&2\nexit 127\n").expect("it is written");
    std::fs::set_permissions(&npx, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    let pre = |control: &str, path: &str| {
        let mut command = std::process::Command::new(place::gatehouse());
        command
            .args(["check", "--pre", "-o", "json", "--control-listen", control])
            .args(["--edge-listen", &tests::ports::address()])
            .current_dir(folder.path())
            .env("PATH", path)
            .env_remove("GATEHOUSE_CONTEXT");
        process::run(&mut command, CHECK)
    };
    let own = folder.path().to_str().expect("its path is text");
    let bad = pre(&address.to_string(), own).ended_with(1);
    let failed = with(&bad, "fail");
    assert!(
        failed.contains(&("ports".to_owned(), address.to_string())),
        "{bad}"
    );
    assert!(failed.contains(&("npx".to_owned(), String::new())), "{bad}");
    assert!(
        item(&bad, "npx")["why"]
            .to_string()
            .contains("node is gone")
    );
    let groups: BTreeSet<_> = bad
        .items()
        .iter()
        .map(|item| item["group"].to_string())
        .collect();
    assert_eq!(groups, BTreeSet::from(["\"machine\"".to_owned()]));

    let good = pre(&tests::ports::address(), "/no/such/folder").good();
    assert_eq!(item(&good, "ports")["verdict"], "ok", "{good}");
    assert!(
        item(&good, "data-folder")["message"]
            .to_string()
            .contains("will be made")
    );
    assert_eq!(item(&good, "npx")["verdict"], "warn", "{good}");
}

#[test]
fn every_check_has_its_place_in_the_page_and_its_long_form() {
    let mesh = stage::workshop();
    let page = std::fs::read_to_string(place::file("docs/checks.md")).expect("the page is there");
    let output = mesh.gatehouse(&["check", "-o", "json"]);
    for item in output.items() {
        let id = item["id"].as_str().expect("it is text").to_owned();
        assert_eq!(item["doc"], format!("docs/checks.md#{id}"));
        assert!(page.contains(&format!("<a id=\"{id}\"></a>")), "{id}");
    }
    let long = mesh.gatehouse(&["explain", "cp-reachable"]).good();
    let text = long.stdout.lines().last().expect("it says something");
    assert!(page.contains(text), "{long}");
}

#[test]
fn what_cannot_be_checked_together_is_usage() {
    let mesh = stage::workshop();
    for words in [
        &["check", "--pre", "--only", "nodes"][..],
        &["check", "--only", "everything"],
        &["check", "--wait", "soon"],
        &["check", "-o", "yaml"],
        &["nodes", "-o", "short"],
    ] {
        let output = mesh.gatehouse(words).ended_with(2);
        assert_eq!(output.stdout, "", "{output}");
    }
}
