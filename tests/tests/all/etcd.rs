//! A real etcd behind two edges: what `--wait` promises, sessions that move, and an etcd that dies.

use std::time::Duration;

use serde_json::json;
use tests::catalog;
use tests::etcd::Etcd;
use tests::mesh::{Mesh, Running};
use tests::rpc::{Modern, Session};
use tests::wait;

/// How long the control plane may take to find etcd again.
const BACK: Duration = Duration::from_secs(30);

fn mesh(etcd: &Etcd) -> Running {
    let resources = [
        catalog::fixture("slow", &[]),
        catalog::allow("all", "engineering", &["*"]),
        catalog::words("no-hacking", &["hacking"]),
    ];
    Mesh::new()
        .with(&resources)
        .edges(2)
        .store(etcd.store())
        .start()
}

/// Both behaviours that only read share the one mesh.
#[test]
fn on_etcd_apply_is_seen_by_both_edges_when_wait_returns_and_a_session_moves_between_them() {
    let etcd = Etcd::start();
    let mesh = mesh(&etcd);
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    let clients = [0, 1].map(|edge| Modern::new(&mesh.url(edge, "slow"), &key));

    for turn in 0..5 {
        mesh.apply(&[catalog::deny_tool(
            "no-counting",
            "engineering",
            "slow",
            "cancelled",
        )]);
        for client in &clients {
            assert_eq!(client.tools(), ["sleep"], "turn {turn}");
        }
        mesh.gatehouse(&["delete", "AccessRule", "no-counting", "--wait"])
            .good();
        for client in &clients {
            assert_eq!(client.tools(), ["sleep", "cancelled"], "turn {turn}");
        }
    }

    let begun = Session::begin(&mesh.url(0, "slow"), &key);
    let continued = begun.at(&mesh.url(1, "slow"));
    assert_eq!(continued.tools(), ["sleep", "cancelled"]);
    assert_eq!(
        continued.call("sleep", json!({"seconds": 0})).content(),
        "slept 0 s"
    );
    assert_eq!(
        begun.call("sleep", json!({"seconds": 0})).content(),
        "slept 0 s"
    );
}

#[test]
fn with_etcd_killed_calls_go_on_and_with_etcd_back_writes_do() {
    let mut etcd = Etcd::start();
    let mesh = mesh(&etcd);
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    let clients = [0, 1].map(|edge| Modern::new(&mesh.url(edge, "slow"), &key));
    let rule = [catalog::deny_tool(
        "no-counting",
        "engineering",
        "slow",
        "cancelled",
    )];
    let file = mesh.file("rule.yaml", &catalog::file(&rule));

    etcd.kill9();
    for client in &clients {
        assert_eq!(
            client.call("sleep", json!({"seconds": 0})).content(),
            "slept 0 s"
        );
        assert_eq!(
            client
                .call("sleep", json!({"seconds": "hacking"}))
                .refusal(),
            (-31010, "filter".to_owned())
        );
    }
    let refused = mesh
        .gatehouse(&["apply", "-f", &file, "-o", "json"])
        .ended_with(1);
    assert_eq!(refused.errors()[0]["retryable"], true, "{refused}");
    assert_eq!(
        clients[0].tools(),
        ["sleep", "cancelled"],
        "nothing of the refused apply is in effect"
    );

    etcd.restart();
    wait::until("apply to work again", BACK, || {
        let output = mesh.gatehouse(&["apply", "-f", &file, "--wait"]);
        if output.status == Some(0) {
            Ok(())
        } else {
            Err(output.to_string())
        }
    });
    for client in &clients {
        assert_eq!(client.tools(), ["sleep"]);
    }
}

#[test]
fn on_etcd_a_second_start_goes_on_where_the_first_was() {
    let etcd = Etcd::start();
    let mut mesh = mesh(&etcd);
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    let client = Modern::new(&mesh.url(1, "slow"), &key);
    assert_eq!(
        client.call("sleep", json!({"seconds": 0})).content(),
        "slept 0 s"
    );
    let family = mesh.family();
    assert!(mesh.stop().success(), "a drain is no failure");
    family.wait_until_gone();
    mesh.restart();
    assert_eq!(
        client.call("sleep", json!({"seconds": 0})).content(),
        "slept 0 s",
        "the key is still good"
    );
}
