#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use serde_json::{Value, json};
use tokio::io::{
    AsyncBufReadExt, BufReader, DuplexStream, Lines as TokioLines, ReadHalf, WriteHalf,
};
use tokio::task::JoinSet;

use super::super::ticket::{Abandoned, Event};
use super::*;

/// Bytes that a pipe between link and server holds.
const PIPE_BYTES: usize = 64 * 1024;
const LIMIT: Duration = Duration::from_secs(60);

/// A server played by the test.
struct Server {
    heard: TokioLines<BufReader<ReadHalf<DuplexStream>>>,
    says: WriteHalf<DuplexStream>,
    _tasks: JoinSet<()>,
}

impl Server {
    async fn hears(&mut self) -> Value {
        serde_json::from_str(&self.heard.next_line().await.unwrap().unwrap()).unwrap()
    }

    async fn says(&mut self, line: &str) {
        self.says
            .write_all(format!("{line}\n").as_bytes())
            .await
            .unwrap();
    }

    async fn answers(&mut self, id: &Value, text: &str) {
        self.says(&json!({"jsonrpc": "2.0", "id": id, "result": {"text": text}}).to_string())
            .await;
    }
}

fn linked() -> (Link, Server) {
    let (near, far) = tokio::io::duplex(PIPE_BYTES);
    let (near_out, near_in) = tokio::io::split(near);
    let (far_out, far_in) = tokio::io::split(far);
    let (link, writing, reading) = Link::new(near_in, near_out, 1 << 20, false);
    let mut tasks = JoinSet::new();
    tasks.spawn(writing);
    tasks.spawn(reading);
    let heard = BufReader::new(far_out).lines();
    (
        link,
        Server {
            heard,
            says: far_in,
            _tasks: tasks,
        },
    )
}

fn ask() -> Ask {
    Ask {
        origin: None,
        progress: false,
        hears: false,
        can_be_asked: false,
        listens: false,
        limit: LIMIT,
        abandoned: Abandoned::Cancel,
        taken_back: Default::default(),
    }
}

fn request(id: u64, method: &str) -> Vec<u8> {
    format!("{{\"jsonrpc\":\"2.0\",\n\"id\":{id},\r\n\"method\":\"{method}\"}}").into_bytes()
}

async fn send(link: &Link, ask: Ask) -> Ticket {
    let id = link.next_id();
    link.send(id, request(id, "tools/list"), ask).await.unwrap()
}

fn text(response: &Response) -> Value {
    serde_json::from_slice::<Value>(response.result().unwrap()).unwrap()["text"].clone()
}

#[tokio::test]
async fn answers_find_their_callers_in_any_order() {
    let (link, mut server) = linked();
    let (first, second) = (send(&link, ask()).await, send(&link, ask()).await);
    let ids = [
        server.hears().await["id"].clone(),
        server.hears().await["id"].clone(),
    ];
    assert_ne!(ids[0], ids[1]);
    server.answers(&ids[1], "two").await;
    server.answers(&ids[0], "one").await;
    assert_eq!(text(&first.answer().await.unwrap()), "one");
    assert_eq!(text(&second.answer().await.unwrap()), "two");
    link.idle().await;
}

#[tokio::test]
async fn rubbish_is_counted_and_hurts_nobody() {
    let (link, mut server) = linked();
    let ticket = send(&link, ask()).await;
    let id = server.hears().await["id"].clone();
    server.says("Listening on port 3000").await;
    server.says("").await;
    server
        .says(r#"[{"jsonrpc":"2.0","id":1,"result":{}}]"#)
        .await;
    server
        .says(r#"{"jsonrpc":"2.0","id":987654,"result":{}}"#)
        .await;
    server.answers(&id, "fine").await;
    assert_eq!(text(&ticket.answer().await.unwrap()), "fine");
    assert_eq!(
        (
            link.noise().rubbish_lines(),
            link.noise().unasked_messages()
        ),
        (2, 1)
    );
    assert_eq!(link.noise().sample(), "Listening on port 3000");
}

#[tokio::test]
async fn an_answer_that_is_not_valid_is_its_callers_error_alone() {
    let (link, mut server) = linked();
    let (bad, good) = (send(&link, ask()).await, send(&link, ask()).await);
    let ids = [
        server.hears().await["id"].clone(),
        server.hears().await["id"].clone(),
    ];
    server
        .says(&format!(
            r#"{{"jsonrpc":"2.0","id":{},"result":{{"a":1,"a":2}}}}"#,
            ids[0]
        ))
        .await;
    server.answers(&ids[1], "fine").await;
    let Err(Error::Invalid(why)) = bad.answer().await else {
        panic!("taken for valid")
    };
    assert!(why.contains("duplicate key"), "{why}");
    assert_eq!(text(&good.answer().await.unwrap()), "fine");
}

#[tokio::test]
async fn the_server_gets_an_answer_to_a_ping_and_a_no_to_all_else() {
    let (_link, mut server) = linked();
    server
        .says(r#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#)
        .await;
    assert_eq!(
        server.hears().await,
        json!({"jsonrpc": "2.0", "id": "p", "result": {}})
    );
    server
        .says(r#"{"jsonrpc":"2.0","id":8,"method":"roots/list"}"#)
        .await;
    let refused = server.hears().await;
    assert_eq!(
        (&refused["id"], &refused["error"]["code"]),
        (&json!(8), &json!(-32601))
    );
}

#[tokio::test]
async fn progress_goes_to_its_call_before_the_answer() {
    let (link, mut server) = linked();
    let mut ticket = send(
        &link,
        Ask {
            progress: true,
            hears: false,
            listens: false,
            ..ask()
        },
    )
    .await;
    let id = server.hears().await["id"].clone();
    let progress = |token: &Value| {
        let params = json!({"progressToken": token, "progress": 1});
        json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}).to_string()
    };
    server.says(&progress(&json!(987_654))).await;
    server.says(&progress(&id)).await;
    server.answers(&id, "done").await;
    let Event::Progress(progress) = ticket.next().await.unwrap() else {
        panic!("no progress")
    };
    assert_eq!(
        progress.token.of(&progress.bytes),
        id.to_string().as_bytes()
    );
    let Event::Response(response) = ticket.next().await.unwrap() else {
        panic!("no answer")
    };
    assert_eq!(text(&response), "done");
    assert_eq!(link.noise().unasked_messages(), 1);
}

#[tokio::test]
async fn who_goes_cancels_or_does_not_as_agreed() {
    let (link, mut server) = linked();
    drop(send(&link, ask()).await);
    let id = server.hears().await["id"].clone();
    let cancelled = server.hears().await;
    assert_eq!(cancelled["method"], "notifications/cancelled");
    assert_eq!(cancelled["params"]["requestId"], id);
    drop(
        send(
            &link,
            Ask {
                abandoned: Abandoned::Finish,
                taken_back: Default::default(),
                ..ask()
            },
        )
        .await,
    );
    let id = server.hears().await["id"].clone();
    server.answers(&id, "to nobody").await;
    // The next thing that it hears is another call, and no cancellation.
    let last = send(&link, ask()).await;
    assert_eq!(server.hears().await["method"], "tools/list");
    drop(last);
}

#[tokio::test]
async fn a_call_is_cancelled_by_its_own_session_and_id_only() {
    let (link, mut server) = linked();
    let origin = link.origin("node.a", &IdKey::Int(1));
    let ticket = send(
        &link,
        Ask {
            origin: Some(origin),
            ..ask()
        },
    )
    .await;
    let id = server.hears().await["id"].clone();
    link.cancel(link.origin("node.b", &IdKey::Int(1)));
    link.cancel(link.origin("node.a", &IdKey::Str("1".into())));
    link.cancel(origin);
    assert_eq!(ticket.answer().await.unwrap_err(), Error::Cancelled);
    assert_eq!(server.hears().await["params"]["requestId"], id);
}

#[tokio::test(start_paused = true)]
async fn time_runs_out_and_the_server_is_told() {
    let (link, mut server) = linked();
    let ticket = send(&link, ask()).await;
    let id = server.hears().await["id"].clone();
    assert_eq!(ticket.answer().await.unwrap_err(), Error::Timeout(LIMIT));
    assert_eq!(server.hears().await["params"]["requestId"], id);
    link.idle().await;
}

#[tokio::test(start_paused = true)]
async fn progress_gives_more_time_but_not_for_ever() {
    let (link, mut server) = linked();
    let began = Instant::now();
    let mut ticket = send(
        &link,
        Ask {
            progress: true,
            hears: false,
            listens: false,
            ..ask()
        },
    )
    .await;
    let id = server.hears().await["id"].clone();
    let line = json!({"jsonrpc": "2.0", "method": "notifications/progress",
        "params": {"progressToken": id, "progress": 1}})
    .to_string();
    let error = loop {
        tokio::time::sleep(LIMIT / 2).await;
        server.says(&line).await;
        if let Err(error) = ticket.next().await {
            break error;
        }
    };
    assert_eq!(error, Error::Timeout(LIMIT));
    assert_eq!((began.elapsed().as_secs() / LIMIT.as_secs()), 10);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_read_is_overloaded_and_nothing_hangs() {
    let (link, _server) = linked();
    // One fills the pipe, the others the queue, until there is no room.
    let mut tickets = Vec::new();
    let error = loop {
        let id = link.next_id();
        let mut line = request(id, "tools/call");
        line.resize(4 << 20, b' ');
        match link.send(id, line, ask()).await {
            Ok(ticket) => tickets.push(ticket),
            Err(error) => break error,
        }
        assert!(tickets.len() <= 1 + BATCH_MAX, "there is no end of room");
    };
    assert_eq!(
        error,
        Error::Overloaded("the server does not read what it is sent")
    );
}

#[tokio::test]
async fn when_it_ends_all_who_wait_are_told_at_once() {
    let (link, mut server) = linked();
    let ticket = send(&link, ask()).await;
    server.hears().await;
    link.close("the server exited with status 1");
    let gone = Error::Gone("the server exited with status 1".into());
    assert_eq!(ticket.answer().await.unwrap_err(), gone);
    assert_eq!(
        link.send(9, request(9, "x"), ask()).await.unwrap_err(),
        gone
    );
    assert_eq!(
        server.heard.next_line().await.unwrap(),
        None,
        "its input is still open"
    );
}
