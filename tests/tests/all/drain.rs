//! An edge that is asked to end: load balancers learn it first, and whoever is just connecting is still served.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use tests::cluster::{Cluster, Running};
use tests::http::Request;
use tests::wait;

/// How long what must come may take.
const SOON: Duration = Duration::from_secs(10);

/// One edge, which goes on for so long when it is asked to end.
fn edge(drain_delay_s: u64) -> Running {
    Cluster::new()
        .members(1)
        .edges(1)
        .drain_delay_s(drain_delay_s)
        .start()
}

#[test]
fn an_edge_that_leaves_says_so_to_load_balancers_and_closes_kept_connections_after_their_answer() {
    let mut cluster = edge(3);
    let url = cluster.edge_url(0);
    let page = |path: &str| Request::get(&format!("{url}{path}")).try_send();
    let before = page("/readyz").expect("it serves").expect_status(200);
    assert_eq!(before.header("connection"), "");

    cluster.edges[0].ask_to_end();
    let ready = wait::until("the edge not to be ready", SOON, || match page("/readyz") {
        Ok(answer) if answer.status == 503 => Ok(answer),
        other => Err(format!("{other:?}")),
    });
    assert_eq!(ready.header("connection"), "close");
    assert!(cluster.edges[0].ready().is_err(), "nor on its admin page");
    let alive = page("/livez").expect("it still serves").expect_status(200);
    assert_eq!(alive.header("connection"), "close");
    let ended = cluster.edges[0].ended_within(SOON).expect("it ends");
    assert!(ended.success(), "{ended}");
}

#[test]
fn the_first_request_of_a_connection_that_was_made_before_the_drain_is_answered() {
    let mut cluster = edge(0);
    let address = cluster.edge_url(0);
    let address = address.trim_start_matches("http://");
    let mut connected = TcpStream::connect(address).expect("it listens");
    connected
        .set_read_timeout(Some(SOON))
        .expect("a socket takes a timeout");
    cluster.edges[0].ask_to_end();
    wait::wait_for("the drain to begin", SOON, || {
        TcpStream::connect(address).is_err()
    });
    let request = format!("GET /livez HTTP/1.1\r\nhost: {address}\r\n\r\n");
    connected
        .write_all(request.as_bytes())
        .expect("it can be sent");
    let mut answer = String::new();
    // It is closed after its answer.
    connected
        .read_to_string(&mut answer)
        .expect("the answer comes whole");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
    let ended = cluster.edges[0].ended_within(SOON).expect("it ends");
    assert!(ended.success(), "{ended}");
}
