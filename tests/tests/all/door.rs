//! What is turned away before a message is read: hosts, origins, media types, paths, and bodies over the limit.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use tests::http::Request;

use crate::input::good;
use crate::stage;

#[test]
fn another_host_or_origin_is_turned_away() {
    let mesh = stage::workshop();
    let good = good(&mesh, &stage::ana(&mesh));
    let port = mesh
        .edge(0)
        .rsplit(':')
        .next()
        .expect("the URL has a port")
        .to_owned();
    for host in [
        format!("localhost:{port}"),
        format!("127.0.0.1:{port}"),
        format!("[::1]:{port}"),
    ] {
        good.clone().with("host", &host).send().expect_status(200);
    }
    for host in [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:7800",
    ] {
        good.clone().with("host", host).send().expect_status(403);
    }
    good.clone()
        .and("host", "evil.example")
        .send()
        .expect_status(400);
    good.clone()
        .with("origin", "http://localhost:6274")
        .send()
        .expect_status(200);
    for origin in [
        "https://evil.example",
        "null",
        "http://127.0.0.1.evil.example",
    ] {
        good.clone()
            .with("origin", origin)
            .send()
            .expect_status(403);
    }
}

#[test]
fn what_is_no_json_message_by_its_headers_is_not_read() {
    let mesh = stage::workshop();
    let good = good(&mesh, &stage::ana(&mesh));
    good.clone()
        .with("content-type", "text/plain")
        .send()
        .expect_status(415);
    good.clone()
        .without("content-type")
        .send()
        .expect_status(415);
    good.clone()
        .and("content-encoding", "gzip")
        .send()
        .expect_status(415);
    good.clone()
        .with("accept", "text/html")
        .send()
        .expect_status(406);
    let key = good.clone().and("authorization", "Bearer gh_other");
    key.send().expect_status(401);
}

#[test]
fn get_and_delete_without_a_session_are_405_and_other_paths_404() {
    let mesh = stage::workshop();
    let (url, key) = (mesh.url(0, "slow"), stage::ana(&mesh));
    for method in [http::Method::GET, http::Method::DELETE] {
        let request = Request::new(method, &url).and("authorization", &format!("Bearer {key}"));
        request
            .and("accept", "text/event-stream")
            .send()
            .expect_status(405);
    }
    for path in [
        "/",
        "/mcp/",
        "/mcp/SLOW",
        "/mcp/slow/",
        "/mcp/sl%6fw",
        "/mcp/../livez",
    ] {
        good(&mesh, &key)
            .to(&format!("{}{path}", mesh.edge(0)))
            .send()
            .expect_status(404);
    }
}

#[test]
fn a_body_over_the_limit_is_refused_by_its_length_before_it_is_sent() {
    let mesh = stage::workshop();
    let address = mesh.edge(0).trim_start_matches("http://");
    let mut socket = TcpStream::connect(address).expect("the edge listens");
    let head = format!(
        "POST /mcp/slow HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\naccept: application/json, \
         text/event-stream\r\ncontent-type: application/json\r\ncontent-length: 100000000\r\n\r\n",
        stage::ana(&mesh)
    );
    socket
        .write_all(head.as_bytes())
        .expect("the edge reads the head");
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a socket has a timeout");
    let mut line = String::new();
    BufReader::new(socket)
        .read_line(&mut line)
        .expect("an answer without a byte of the body");
    assert!(line.starts_with("HTTP/1.1 413 "), "{line}");
}

#[test]
fn a_body_over_the_limit_is_refused_while_it_is_sent() {
    let mesh = stage::workshop();
    let key = mesh.key("max@example.com", &["engineering"]).text;
    let good = good(&mesh, &key);
    let big = good.text().replace(
        r#""seconds":0"#,
        &format!(r#""seconds":"{}""#, "x".repeat(5 << 20)),
    );
    let chunks = big
        .as_bytes()
        .chunks(64 << 10)
        .map(Bytes::copy_from_slice)
        .collect();
    // The edge reads no more than it may: the connection may end while we still send, and take the answer with it.
    if let Ok(answer) = good.clone().chunks(chunks).try_send() {
        answer.expect_status(413);
    }
    mesh.recorded(&["--user", "max@example.com"], |row| {
        row["decision"] == "error" && row["reason"] == "invalid"
    });
    assert_eq!(good.send().content(), "slept 0 s", "and the edge goes on");
}
