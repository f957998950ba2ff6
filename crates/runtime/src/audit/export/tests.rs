//! Against a receiver in this process that refuses, stalls, and then takes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;

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
use tokio::sync::watch;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

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
        address: address.to_owned(),
        tls: None,
        headers: vec![("X-Tenant".to_owned(), Secret::new("one"))],
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
        Answer::Fail(Status::permission_denied("not yet")),
        Answer::Fail(Status::internal("oh")),
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
async fn what_is_refused_for_good_is_counted_and_holds_up_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let (log, drain) = (log(dir.path()), Drain::new());
    let receiver = Receiver::new([
        Answer::Fail(Status::invalid_argument("no")),
        Answer::Part(2),
    ]);
    let address = receiver.serve("127.0.0.1:0", &drain);
    let exporter = Exporter::spawn(&drain, &log, destination(&address)).unwrap();
    calls(&log, 0..3);
    receiver.until_requests(1).await;
    calls(&log, 3..10);
    let all = async {
        while exporter.sent() + exporter.refused() < 10 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, all).await.unwrap();
    assert!(exporter.refused() >= 3, "{}", exporter.refused());
    assert!(drain.finish(DEADLINE).await);
}
