//! Against a receiver in this process that refuses, stalls, and then takes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use model::record::Phase;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use parking_lot::Mutex;
use prost::Message;
use tokio::sync::watch;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use tonic_types::StatusExt;

use super::*;
use crate::audit::log::LogSettings;
use crate::audit::samples::record;
use crate::settings::Secret;

const DEADLINE: Duration = Duration::from_secs(30);

/// What the receiver does with a request.
enum Answer {
    Fail(Status),
    /// Takes it, and loses the answer.
    Stall,
    Part(i64),
}

#[derive(Clone)]
struct Receiver {
    /// Answers to come; when they are used up, everything is taken.
    answers: Arc<Mutex<VecDeque<Answer>>>,
    /// Seqs in the order in which they were taken.
    seqs: Arc<Mutex<Vec<i64>>>,
    requests: watch::Sender<usize>,
}

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        assert_eq!(request.metadata().get("x-tenant").unwrap(), "one");
        let answer = self.answers.lock().pop_front();
        let mut partial_success = None;
        match answer {
            Some(Answer::Fail(status)) => {
                self.requests.send_modify(|count| *count += 1);
                return Err(status);
            }
            Some(Answer::Stall) => {
                self.requests.send_modify(|count| *count += 1);
                std::future::pending::<()>().await;
            }
            Some(Answer::Part(rejected_spans)) => {
                partial_success = Some(ExportTracePartialSuccess {
                    rejected_spans,
                    ..Default::default()
                });
            }
            None => {}
        }
        let request = request.into_inner();
        self.seqs.lock().extend(
            request.resource_spans[0].scope_spans[0]
                .spans
                .iter()
                .map(seq),
        );
        self.requests.send_modify(|count| *count += 1);
        Ok(Response::new(ExportTraceServiceResponse {
            partial_success,
        }))
    }
}

fn seq(span: &Span) -> i64 {
    let attribute = span
        .attributes
        .iter()
        .find(|a| a.key == "gatehouse.seq")
        .unwrap();
    match attribute.value.as_ref().unwrap().value {
        Some(Value::IntValue(seq)) => seq,
        ref other => panic!("{other:?}"),
    }
}

impl Receiver {
    fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self {
            answers: Arc::new(Mutex::new(answers.into_iter().collect())),
            seqs: Arc::default(),
            requests: watch::Sender::new(0),
        }
    }

    /// Serves on `address` until `drain` starts; returns the address.
    fn serve(&self, address: &str, drain: &Drain) -> String {
        let incoming = TcpIncoming::bind(address.parse().unwrap()).unwrap();
        let address = incoming.local_addr().unwrap().to_string();
        let stop = drain.clone();
        let service = TraceServiceServer::new(self.clone());
        drain.spawn("receiver", async move {
            let server = Server::builder()
                .add_service(service)
                .serve_with_incoming(incoming);
            tokio::select! {
                result = server => result.unwrap(),
                () = stop.signaled() => {}
            }
        });
        address
    }

    async fn until_requests(&self, count: usize) {
        let mut requests = self.requests.subscribe();
        let wait = requests.wait_for(|seen| *seen >= count);
        tokio::time::timeout(DEADLINE, wait).await.unwrap().unwrap();
    }

    async fn until_taken(&self, count: usize) {
        let mut requests = self.requests.subscribe();
        let wait = requests.wait_for(|_| self.seqs.lock().len() >= count);
        tokio::time::timeout(DEADLINE, wait).await.unwrap().unwrap();
    }

    fn taken(&self) -> Vec<i64> {
        self.seqs.lock().clone()
    }
}

fn log(dir: &std::path::Path) -> Log {
    Log::open(LogSettings::new(dir, "edge-1")).unwrap().0
}

fn calls(log: &Log, range: std::ops::Range<u64>) {
    for n in range {
        log.append(Phase::Open, &record(n)).unwrap();
        log.append(Phase::Close, &record(n)).unwrap();
    }
}

fn destination(address: &str) -> Destination {
    Destination {
        name: "collector".to_owned(),
        addresses: vec![address.to_owned()],
        tls: None,
        headers: vec![("X-Tenant".to_owned(), Secret::new("one"))],
        protocol: Protocol::Grpc,
        is_own: false,
    }
}

/// Seqs of the close records of the first `calls` calls.
fn closes(calls: i64) -> Vec<i64> {
    (1..=calls).map(|n| n * 2).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_the_order_is_kept_however_the_receiver_behaves() {
    let dir = tempfile::tempdir().unwrap();
    let (log, drain) = (log(dir.path()), Drain::new());
    calls(&log, 0..1500);
    let receiver = Receiver::new([
        Answer::Fail(Status::unavailable("starting")),
        Answer::Fail(Status::aborted("not yet")),
        Answer::Fail(Status::with_error_details(
            tonic::Code::ResourceExhausted,
            "too much",
            tonic_types::ErrorDetails::with_retry_info(Some(Duration::from_millis(300))),
        )),
    ]);
    let address = receiver.serve("127.0.0.1:0", &drain);
    let exporter = Exporter::spawn(&drain, &log, destination(&address)).unwrap();
    receiver.until_requests(3).await;
    calls(&log, 1500..2000);
    receiver.until_taken(2000).await;
    assert_eq!(receiver.taken(), closes(2000));
    assert_eq!(exporter.failed_tries(), 3);
    assert!(drain.finish(DEADLINE).await);
    assert_eq!(
        (exporter.sent(), exporter.refused(), exporter.taken_seq()),
        (2000, 0, 4000)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_away_gets_everything_when_it_comes() {
    let dir = tempfile::tempdir().unwrap();
    let (log, exports, receivers) = (log(dir.path()), Drain::new(), Drain::new());
    // An address that is free, and where nobody listens yet.
    let address = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let exporter = Exporter::spawn(&exports, &log, destination(&address)).unwrap();
    calls(&log, 0..10);
    let failing = async {
        while exporter.failed_tries() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, failing).await.unwrap();
    let receiver = Receiver::new([]);
    receiver.serve(&address, &receivers);
    receiver.until_taken(10).await;
    assert_eq!(receiver.taken(), closes(10));
    assert!(exports.finish(DEADLINE).await && receivers.finish(DEADLINE).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cursor_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let receivers = Drain::new();
    let receiver = Receiver::new([]);
    let address = receiver.serve("127.0.0.1:0", &receivers);
    for round in 0..3 {
        let (log, exports) = (log(dir.path()), Drain::new());
        Exporter::spawn(&exports, &log, destination(&address)).unwrap();
        calls(&log, round * 5..round * 5 + 5);
        // What was written is sent before the process ends.
        assert!(exports.finish(DEADLINE).await);
        assert_eq!(
            receiver.taken(),
            closes(round as i64 * 5 + 5),
            "round {round}"
        );
    }
    assert!(receivers.finish(DEADLINE).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_in_an_answer_that_never_came_are_sent_again_after_the_restart() {
    let dir = tempfile::tempdir().unwrap();
    let receivers = Drain::new();
    let receiver = Receiver::new([Answer::Stall]);
    let address = receiver.serve("127.0.0.1:0", &receivers);
    let (first, exports) = (log(dir.path()), Drain::new());
    Exporter::spawn(&exports, &first, destination(&address)).unwrap();
    calls(&first, 0..5);
    receiver.until_requests(1).await;
    // The process is killed in the middle: the task is dropped where it stands.
    exports.finish(Duration::ZERO).await;
    drop(first);
    let (second, exports) = (log(dir.path()), Drain::new());
    Exporter::spawn(&exports, &second, destination(&address)).unwrap();
    receiver.until_taken(5).await;
    assert_eq!(receiver.taken(), closes(5));
    assert!(exports.finish(DEADLINE).await && receivers.finish(DEADLINE).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_own_store_is_asked_again_whatever_it_refuses_and_another_replica_does_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let (log, drain) = (log(dir.path()), Drain::new());
    let refusing = Receiver::new([
        Answer::Fail(Status::permission_denied("the certificate is not good yet")),
        Answer::Fail(Status::internal("oh")),
        Answer::Fail(Status::unauthenticated("who are you")),
    ]);
    let taking = Receiver::new([Answer::Fail(Status::resource_exhausted("busy"))]);
    let addresses = vec![
        refusing.serve("127.0.0.1:0", &drain),
        taking.serve("127.0.0.1:0", &drain),
    ];
    let own = Destination {
        addresses,
        is_own: true,
        ..destination("")
    };
    let exporter = Exporter::spawn(&drain, &log, own).unwrap();
    calls(&log, 0..10);
    taking.until_taken(10).await;
    assert_eq!(taking.taken(), closes(10));
    assert_eq!((exporter.refused(), refusing.taken().len()), (0, 0));
    assert!(drain.finish(DEADLINE).await);
}

/// Spans in the dead letters of the destination of these tests.
fn buried(dir: &std::path::Path) -> Vec<usize> {
    let file = std::fs::read_to_string(dir.join("dead-letters/collector.jsonl")).unwrap();
    let spans = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let request = STANDARD.decode(line["request"].as_str().unwrap()).unwrap();
        let request = ExportTraceServiceRequest::decode(request.as_slice()).unwrap();
        let spans = &request.resource_spans[0].scope_spans[0].spans;
        assert_eq!(line["spans"], spans.len());
        assert!(!line["why"].as_str().unwrap().is_empty());
        spans.len()
    };
    file.lines().map(spans).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_for_good_is_kept_counted_and_holds_up_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let (log, drain) = (log(dir.path()), Drain::new());
    calls(&log, 0..3);
    let receiver = Receiver::new([
        Answer::Fail(Status::invalid_argument("no")),
        Answer::Part(2),
    ]);
    let address = receiver.serve("127.0.0.1:0", &drain);
    let exporter = Exporter::spawn(&drain, &log, destination(&address)).unwrap();
    receiver.until_requests(1).await;
    calls(&log, 3..10);
    let all = async {
        while exporter.sent() + exporter.refused() < 10 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, all).await.unwrap();
    let buried = buried(dir.path());
    assert_eq!(buried.len(), 2, "one refused whole, one in part");
    // The second request has as many spans as were written by then.
    let in_part = buried[1].min(2);
    assert_eq!(exporter.refused(), (buried[0] + in_part) as u64);
    assert!(drain.finish(DEADLINE).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_kept_as_a_dead_letter_does_not_count_as_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (log, drain) = (log(dir.path()), Drain::new());
    // In the place of the folder.
    std::fs::write(dir.path().join("dead-letters"), "").unwrap();
    let receiver = Receiver::new([Answer::Fail(Status::invalid_argument("no"))]);
    let address = receiver.serve("127.0.0.1:0", &drain);
    let exporter = Exporter::spawn(&drain, &log, destination(&address)).unwrap();
    calls(&log, 0..3);
    receiver.until_taken(3).await;
    assert_eq!(receiver.taken(), closes(3));
    assert_eq!(exporter.refused(), 0);
    assert!(drain.finish(DEADLINE).await);
}

/// An OTLP/HTTP receiver: answers with these status lines and headers, then takes everything; tells how many spans
/// each request had.
async fn http_receiver(answers: Vec<&'static str>) -> (String, tokio::sync::mpsc::Receiver<usize>) {
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (told, spans) = tokio::sync::mpsc::channel(100);
    tokio::spawn(async move {
        let mut answers = answers.into_iter();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            let (mut length, mut line) = (0, String::new());
            stream.read_line(&mut line).await.unwrap();
            assert_eq!(line, "POST /v1/traces HTTP/1.1\r\n");
            while line != "\r\n" {
                line.clear();
                stream.read_line(&mut line).await.unwrap();
                let lower = line.to_ascii_lowercase();
                if let Some(value) = lower.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.unwrap();
            let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
            let answer = answers.next().unwrap_or("200 OK");
            let text =
                format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(text.as_bytes()).await.unwrap();
            let count = request.resource_spans[0].scope_spans[0].spans.len();
            told.send(count).await.unwrap();
        }
    });
    (address, spans)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_http_too_what_may_be_tried_again_is_and_the_wait_is_the_receivers() {
    let dir = tempfile::tempdir().unwrap();
    let (log, drain) = (log(dir.path()), Drain::new());
    calls(&log, 0..4);
    let answers = vec![
        "503 Service Unavailable",
        "429 Too Many Requests\r\nretry-after: 1",
        "504 Gateway Timeout",
        "400 Bad Request",
    ];
    let (address, mut spans) = http_receiver(answers).await;
    let collector = Destination {
        protocol: Protocol::Http("/v1/traces".to_owned()),
        ..destination(&address)
    };
    let begun = Instant::now();
    let exporter = Exporter::spawn(&drain, &log, collector).unwrap();
    for _ in 0..4 {
        let next = tokio::time::timeout(DEADLINE, spans.recv()).await;
        assert_eq!(next.unwrap(), Some(4));
    }
    assert!(
        begun.elapsed() >= Duration::from_secs(1),
        "it asked for a second"
    );
    calls(&log, 4..5);
    assert_eq!(spans.recv().await, Some(1));
    assert!(drain.finish(DEADLINE).await);
    assert_eq!((exporter.sent(), exporter.refused()), (1, 4));
    assert_eq!(buried(dir.path()), [4]);
}
