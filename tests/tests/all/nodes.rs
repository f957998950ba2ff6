//! Nodes and who they are: joining by token, and what a sidecar says to strangers.

use std::process::Command;
use std::time::Duration;

use serde_json::json;
use tests::by_hand::ByHand;
use tests::catalog;
use tests::http::Request;
use tests::mesh::Mesh;
use tests::place;
use tests::process;
use tests::rpc::{Modern, Session};
use tests::wait;

use crate::stage;

/// How long a node may take to join and serve, or to say why it cannot.
const JOIN: Duration = Duration::from_secs(30);

#[test]
fn an_edge_joins_by_its_token_and_takes_over_sessions_but_a_token_is_good_once() {
    let resources = [
        catalog::fixture("slow", &[]),
        catalog::allow("all", "engineering", &["*"]),
    ];
    let mesh = Mesh::new().with(&resources).start();
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    let made = mesh
        .gatehouse(&["node", "token", "create", "--kind", "edge", "-o", "json"])
        .good()
        .json();
    let token = made["token"]
        .as_str()
        .unwrap_or_else(|| panic!("no token: {made}"));

    let second = ByHand::edge(&mesh, "second", token);
    let call = Modern::new(&second.url("slow"), &key).calling("sleep", json!({"seconds": 0}));
    wait::until("the new edge to serve", JOIN, || {
        let answer = call
            .try_send()
            .map_err(|error| format!("{error}\n{}", second.process.stderr()))?;
        if answer.status == 200 {
            Ok(())
        } else {
            Err(answer.to_string())
        }
    });
    let session = Session::begin(&mesh.url(0, "slow"), &key);
    assert_eq!(
        session.at(&second.url("slow")).tools(),
        ["sleep", "cancelled"]
    );
    let nodes = mesh.gatehouse(&["nodes", "-o", "json"]).good().items();
    assert_eq!(
        nodes.iter().filter(|node| node["kind"] == "edge").count(),
        2,
        "{nodes:#?}"
    );
    mesh.apply(&[catalog::deny_tool(
        "no-counting",
        "engineering",
        "slow",
        "cancelled",
    )]);
    assert_eq!(
        Modern::new(&second.url("slow"), &key).tools(),
        ["sleep"],
        "`--wait` waits for it, too"
    );

    let third = ByHand::edge(&mesh, "third", token);
    wait::until("the token to be refused", JOIN, || {
        let said = third.process.stderr() + &third.process.stdout();
        if said.contains("token") {
            Ok(())
        } else {
            Err(said)
        }
    });
    let served = call
        .to(&third.url("slow"))
        .try_send()
        .is_ok_and(|answer| answer.status == 200);
    assert!(!served, "it serves nobody");
}

#[test]
fn a_token_for_a_sidecar_makes_no_edge() {
    let mesh = Mesh::new().with(&[catalog::fixture("slow", &[])]).start();
    let words = [
        "node", "token", "create", "--kind", "sidecar", "--server", "slow", "-o", "json",
    ];
    let made = mesh.gatehouse(&words).good().json();
    let edge = ByHand::edge(
        &mesh,
        "no-edge",
        made["token"].as_str().expect("it is text"),
    );
    wait::until("the edge to be refused", JOIN, || {
        let said = edge.process.stderr() + &edge.process.stdout();
        if said.contains("sidecar") {
            Ok(())
        } else {
            Err(said)
        }
    });
    let nodes = mesh.gatehouse(&["nodes", "-o", "json"]).good().items();
    assert_eq!(
        nodes.iter().filter(|node| node["kind"] == "edge").count(),
        1,
        "{nodes:#?}"
    );
}

#[test]
fn a_sidecar_answers_nobody_without_a_certificate() {
    let mesh = stage::workshop();
    let nodes = mesh.gatehouse(&["nodes", "-o", "json"]).good().items();
    let sidecar = nodes
        .iter()
        .find(|node| node["server"] == "slow")
        .expect("it has a sidecar");
    let address = sidecar["addresses"][0]
        .as_str()
        .expect("it is text")
        .trim_start_matches("https://")
        .to_owned();

    let plain = Request::post(&format!("http://{address}/mcp/slow"))
        .body("{}")
        .deadline(Duration::from_secs(20));
    assert!(plain.try_send().is_err(), "plain HTTP is no way in");

    let output = process::run(
        Command::new(place::python()).args(["-c", STRANGER, &address]),
        JOIN,
    );
    assert_eq!(output.good().stdout.trim(), "refused");
}

/// A client that trusts whoever answers, but has no certificate to show.
const STRANGER: &str = r#"
import socket, ssl, sys
host, port = sys.argv[1].rsplit(":", 1)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
try:
    with socket.create_connection((host, int(port)), timeout=20) as tcp, context.wrap_socket(tcp) as tls:
        tls.sendall(b"POST /mcp/slow HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")
        print("answered" if tls.recv(1) else "refused")
except (ssl.SSLError, ConnectionError):
    print("refused")
"#;
