//! The store as its users see it, and an exporter that sends to it over mutual TLS.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, SystemTime};

use futures_util::StreamExt;
use model::record::{CallId, Hop, Phase, Record, Trace};
use proto::v1::AuditRecord;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use runtime::audit::{Destination, Exporter, Log, LogSettings};
use runtime::drain::Drain;
use runtime::net::tls_incoming;
use runtime::tls::{self, ClientAuth, Identity, LiveIdentity, Peer};
use rustls_pki_types::PrivateKeyDer;

use super::join::HopRecord;
use super::samples::{edge, hop, sidecar};
use super::*;

const DEADLINE: Duration = Duration::from_secs(30);

async fn store(records: &Records, sent: impl IntoIterator<Item = AuditRecord>) {
    let sent: Vec<HopRecord> = sent.into_iter().map(hop).collect();
    records.store(sent).await.unwrap();
}

async fn list(records: &Records, filter: CallFilter, limit: u32, after: &str) -> ListCallsResponse {
    let request = ListCallsRequest {
        filter: Some(filter),
        limit,
        after: after.to_owned(),
        ..Default::default()
    };
    records.query(request).await.unwrap()
}

async fn all(records: &Records) -> Vec<Call> {
    list(records, CallFilter::default(), 1000, "").await.calls
}

#[tokio::test]
async fn a_record_that_comes_twice_is_stored_once_and_stays_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let records = Records::open(dir.path()).unwrap();
    store(&records, [edge(1), edge(1)]).await;
    store(&records, [edge(1), sidecar(1)]).await;
    assert_eq!(
        records.counts(),
        Counts {
            stored: 2,
            duplicates: 2,
            expired: 0
        }
    );
    drop(records);
    let records = Records::open(dir.path()).unwrap();
    store(&records, [edge(1)]).await;
    assert_eq!(
        records.counts(),
        Counts {
            stored: 0,
            duplicates: 1,
            expired: 0
        }
    );
    assert_eq!(all(&records).await.len(), 1);
}

#[tokio::test]
async fn hops_are_joined_whichever_comes_first() {
    let dir = tempfile::tempdir().unwrap();
    let records = Records::open(dir.path()).unwrap();
    let mut refused = sidecar(1);
    (refused.decision, refused.reason) = ("deny".to_owned(), "filter".to_owned());
    store(&records, [refused.clone()]).await;
    let alone = all(&records).await.remove(0);
    assert_eq!(
        (alone.node.as_str(), alone.time_unix_ns),
        ("sidecar-1", refused.time_unix_ns)
    );
    store(&records, [edge(1)]).await;
    let both = all(&records).await;
    assert_eq!(both.len(), 1);
    assert_eq!(
        (both[0].node.as_str(), both[0].time_unix_ns),
        ("edge-1", edge(1).time_unix_ns)
    );
    assert_eq!(
        (both[0].decision.as_str(), both[0].reason.as_str()),
        ("deny", "filter")
    );
    let denied = CallFilter {
        outcome: "deny".to_owned(),
        ..CallFilter::default()
    };
    assert_eq!(list(&records, denied, 0, "").await.calls, both);
}

#[tokio::test]
async fn pages_follow_each_other_while_new_calls_come() {
    let dir = tempfile::tempdir().unwrap();
    let records = Records::open(dir.path()).unwrap();
    // Several at the same instant: the cursor tells them apart.
    let at = |n: u64| AuditRecord {
        time_unix_ns: 1000 + (n / 3) as i64,
        ..edge(n)
    };
    store(&records, (1..=25).map(at)).await;
    let (mut found, mut after) = (Vec::new(), String::new());
    for page in 0..3 {
        let answer = list(&records, CallFilter::default(), 10, &after).await;
        found.extend(
            answer
                .calls
                .iter()
                .map(|call| (call.time_unix_ns, call.seq)),
        );
        after = answer.next;
        assert_eq!(after.is_empty(), page == 2);
        store(&records, [edge(100 + page)]).await;
    }
    let mut expected: Vec<_> = (1..=25).map(|n| (at(n).time_unix_ns, n * 2)).collect();
    expected.sort_unstable();
    expected.reverse();
    assert_eq!(found, expected);
    let request = ListCallsRequest {
        after: "nonsense".to_owned(),
        ..ListCallsRequest::default()
    };
    assert!(matches!(
        records.query(request).await,
        Err(Error::Cursor(_))
    ));
}

#[tokio::test]
async fn filters_narrow_the_list() {
    let dir = tempfile::tempdir().unwrap();
    let records = Records::open(dir.path()).unwrap();
    let mut other = edge(2);
    (other.user, other.groups) = ("ben@example.com".to_owned(), vec!["sales".to_owned()]);
    (other.server, other.name) = ("time".to_owned(), "now".to_owned());
    (other.method, other.decision) = ("prompts/get".to_owned(), "deny".to_owned());
    store(&records, [edge(1), other.clone()]).await;
    /// What is asked for, and the numbers of the rows that are found.
    type Case<'a> = (&'a dyn Fn(&mut CallFilter), &'a [u64]);
    let cases: [Case<'_>; 9] = [
        (&|_| {}, &[4, 2]),
        (&|filter| filter.user = "ben@example.com".to_owned(), &[4]),
        (&|filter| filter.group = "ops".to_owned(), &[2]),
        (&|filter| filter.group = "op".to_owned(), &[]),
        (&|filter| filter.server = "time".to_owned(), &[4]),
        (&|filter| filter.tool = "echo".to_owned(), &[2]),
        (&|filter| filter.method = "prompts/get".to_owned(), &[4]),
        (&|filter| filter.outcome = "allow".to_owned(), &[2]),
        (&|filter| filter.since_unix_ns = other.time_unix_ns, &[4]),
    ];
    for (change, expected) in cases {
        let mut filter = CallFilter::default();
        change(&mut filter);
        let found = list(&records, filter.clone(), 0, "").await;
        let seqs: Vec<_> = found.calls.iter().map(|call| call.seq).collect();
        assert_eq!(seqs, expected, "{filter:?}");
    }
}

#[tokio::test]
async fn the_oldest_calls_go_when_there_are_too_many() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        calls_max: 10,
        ..Settings::new(dir.path())
    };
    let records = Records::open_with(settings.clone()).unwrap();
    store(&records, (1..=8).flat_map(|n| [edge(n), sidecar(n)])).await;
    store(&records, (9..=15).map(edge)).await;
    let seqs: Vec<_> = all(&records)
        .await
        .iter()
        .map(|call| call.seq / 2)
        .collect();
    assert_eq!(seqs, (6..=15).rev().collect::<Vec<_>>());
    assert_eq!(records.counts().expired, 5);
    drop(records);
    let records = Records::open_with(settings).unwrap();
    store(&records, [edge(16)]).await;
    assert_eq!(all(&records).await.len(), 10);
}

#[tokio::test]
async fn a_store_of_a_later_version_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(Records::open(dir.path()).unwrap());
    let file = rusqlite::Connection::open(dir.path().join("records.sqlite")).unwrap();
    file.pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(
        Records::open(dir.path()),
        Err(Error::Newer { found: 99, .. })
    ));
}

/// Certificates of one installation.
struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn issue(&self, peer: &Peer) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![peer.dns_name()]).unwrap();
        params
            .subject_alt_names
            .push(SanType::URI(peer.to_string().try_into().unwrap()));
        params.not_after = (SystemTime::now() + Duration::from_secs(3600)).into();
        let root: &rcgen::Certificate = self.0.as_ref();
        Identity {
            chain: vec![params.signed_by(&key, &self.0).unwrap().der().clone()],
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            roots: vec![root.der().clone()],
        }
    }
}

/// Serves the receiver; returns its address.
async fn serve(records: &Records, ca: &Ca, drain: &Drain) -> String {
    let identity = ca.issue(&Peer::control_plane("0").unwrap());
    let config = tls::server_config(&identity, ClientAuth::Required, &[tls::H2]).unwrap();
    let listener = runtime::net::listen("127.0.0.1:0", "test").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let incoming = tls_incoming(listener, config, drain);
    let server = tonic::transport::Server::builder().add_service(records.receiver());
    let stop = drain.clone();
    drain.spawn("audit receiver", async move {
        tokio::select! {
            result = server.serve_with_incoming(incoming) => result.unwrap(),
            () = stop.signaled() => {}
        }
    });
    address
}

fn call(n: u64) -> Record {
    Record {
        call_id: CallId::new(),
        time_unix_ns: n as i64,
        hop: Hop::Edge,
        user: "ana@example.com".into(),
        groups: ["engineering".into()].into(),
        client: "cursor".into(),
        credential: "k1".into(),
        server: Some(model::name::ServerName::new("everything").unwrap()),
        method: "tools/call".into(),
        name: "echo".into(),
        request_id: n.to_string().into(),
        mcp_revision: "2025-11-25",
        decision: model::decision::Decision::Deny,
        reason: Some(model::decision::Reason::NoRule),
        rule: None,
        filters: Vec::new(),
        revision: model::snapshot::Revision(3),
        duration_ns: 1_234_567,
        upstream_ns: 0,
        trace: Trace {
            trace_id: [1; 16],
            span_id: [2; 8],
            parent: None,
            sampled: true,
        },
        error_code: -31010,
        tool_error: false,
        http_status: 200,
        client_address: "127.0.0.1".into(),
        direct: false,
        limit: None,
        findings: vec!["look: observed deny".into()],
        request_change: Some(model::record::Change {
            before: [4; 32],
            after: [5; 32],
        }),
        response_change: None,
        approval: "3f9c2a10-7be1d0c4-9a0b1c2d".into(),
        approver: "bo@example.com".into(),
        said: Some(Box::new(model::record::Said {
            arguments: "{\"a\":1}".to_owned(),
            arguments_redacted: true,
            result: "{".to_owned(),
            result_cut: true,
            ..Default::default()
        })),
        observed: "deny by no-secrets".into(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_logs_is_listed_and_told_as_it_was_logged() {
    let dir = tempfile::tempdir().unwrap();
    let (ca, serving, exporting) = (Ca::new(), Drain::new(), Drain::new());
    let records = Records::open(&dir.path().join("records")).unwrap();
    let address = serve(&records, &ca, &serving).await;
    let mut told = Box::pin(records.tail(CallFilter::default()));

    let identity = ca.issue(&Peer::edge("edge-1").unwrap());
    let (log, _) = Log::open(LogSettings::new(dir.path().join("log"), "edge-1")).unwrap();
    let destination = Destination::control_plane(
        std::slice::from_ref(&address),
        &LiveIdentity::new(identity).unwrap(),
    )
    .unwrap();
    Exporter::spawn(&exporting, &log, destination).unwrap();
    let logged = call(42);
    log.append(Phase::Open, &logged).unwrap();
    let stamp = log.append(Phase::Close, &logged).unwrap();

    let told = tokio::time::timeout(DEADLINE, told.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let listed = all(&records).await.remove(0);
    assert_eq!(*told, listed);
    assert_eq!(
        listed,
        Call {
            call_id: logged.call_id.to_string(),
            time_unix_ns: 42,
            seq: stamp.seq,
            node: "edge-1".to_owned(),
            user: "ana@example.com".to_owned(),
            groups: vec!["engineering".to_owned()],
            client: "cursor".to_owned(),
            server: "everything".to_owned(),
            method: "tools/call".to_owned(),
            name: "echo".to_owned(),
            decision: "deny".to_owned(),
            reason: "no_rule".to_owned(),
            rule: String::new(),
            filters: Vec::new(),
            revision: 3,
            duration_ns: 1_234_567,
            upstream_ns: 0,
            trace_id: "01".repeat(16),
            request_id: "42".to_owned(),
            hash: hex::encode(stamp.hash),
            error_code: -31010,
            tool_error: false,
            mcp_revision: "2025-11-25".to_owned(),
            hop: "edge".to_owned(),
            complete: true,
            limit: String::new(),
            findings: vec!["look: observed deny".to_owned()],
            request_sha256: "04".repeat(32),
            request_changed_sha256: "05".repeat(32),
            response_sha256: String::new(),
            response_changed_sha256: String::new(),
            approval: "3f9c2a10-7be1d0c4-9a0b1c2d".to_owned(),
            approver: "bo@example.com".to_owned(),
            arguments: "{\"a\":1}".to_owned(),
            arguments_cut: false,
            arguments_redacted: true,
            result: "{".to_owned(),
            result_cut: true,
            observed: "deny by no-secrets".to_owned(),
            client_address: "127.0.0.1".to_owned(),
            credential: "k1".to_owned(),
        }
    );
    assert!(exporting.finish(DEADLINE).await && serving.finish(DEADLINE).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_sends_anothers_records_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (ca, serving, exporting) = (Ca::new(), Drain::new(), Drain::new());
    let records = Records::open(&dir.path().join("records")).unwrap();
    let address = serve(&records, &ca, &serving).await;
    let identity = ca.issue(&Peer::edge("edge-2").unwrap());
    let (log, _) = Log::open(LogSettings::new(dir.path().join("log"), "edge-1")).unwrap();
    let destination = Destination::control_plane(
        std::slice::from_ref(&address),
        &LiveIdentity::new(identity).unwrap(),
    )
    .unwrap();
    let exporter = Exporter::spawn(&exporting, &log, destination).unwrap();
    log.append(Phase::Close, &call(1)).unwrap();
    let refused = async {
        while exporter.failed_tries() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, refused).await.unwrap();
    assert!(all(&records).await.is_empty());
    assert_eq!(
        exporter.sent() + exporter.refused(),
        0,
        "the record waits until this is mended"
    );
    exporting.finish(DEADLINE).await;
    assert!(serving.finish(DEADLINE).await);
}
