//! Which era a server speaks over HTTP: asked once by `server/discover`, kept for a while, asked again when an answer
//! contradicts it (PROTOCOL 3.2; 2026-07-28, basic/transports/streamable-http, "Backward Compatibility").
//!
//! Only `server/discover` is sent to find out, and `initialize` where a legacy client needs to know: some servers act on
//! other methods whatever the era.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dashmap::DashMap;
use engine::upstream::Upstream;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use mcp::bridge::handshake::{discover_request, initialize_request};
use mcp::envelope::{self, Kind, Limits};
use mcp::headers::{MCP_METHOD, MCP_PROTOCOL_VERSION};
use mcp::method;
use mcp::revision::{Era, Revision};
use mcp::walk;
use model::name::ServerName;
use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::direct;
use super::messages::Messages;
use crate::egress::Egress;
use crate::refusal::Fault;

/// What Gatehouse calls itself to servers.
pub const CLIENT_NAME: &str = "gatehouse";
/// And its version.
pub const CLIENT_VERSION: &str = env!("CARGO_PKG_VERSION");
/// How long an answer counts.
const FRESH: Duration = Duration::from_secs(300);
/// How soon a contradiction is believed: a client that sends rubbish must not have a server asked each time.
const SETTLED: Duration = Duration::from_secs(5);
/// How long a question that got no answer counts: whoever waited for it is told the same, and so is whoever comes next.
const FAILED: Duration = Duration::from_secs(2);
/// How long the question may take.
const PROBE: Duration = Duration::from_secs(10);
/// Most bytes of the answer.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Servers of which the era is kept. A full map is emptied, and they are asked again.
const SERVERS_MAX: usize = 4096;
/// Codes by which a modern server is known (2026-07-28, basic/versioning).
const MODERN_CODES: [i64; 3] = [-32020, -32021, -32022];
/// "Method not found", in the body of a 400 or 404.
const METHOD_NOT_FOUND: i64 = -32601;

/// What a server said when it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// The era that it speaks.
    pub era: Era,
    /// Its raw `DiscoverResult`, where it gave one.
    pub discovered: Option<Bytes>,
    /// Whether a server of the modern era speaks the legacy one as well, or one that seems to be of the legacy era speaks
    /// it at this address. Empty until a legacy client asks for it.
    legacy: OnceCell<bool>,
    /// It takes no messages of the modern era at this address, and perhaps none at all: 2024-11-05 has another for them.
    is_doubtful: bool,
}

impl Probed {
    fn new(era: Era, discovered: Option<Bytes>) -> Self {
        Self {
            era,
            discovered,
            legacy: OnceCell::new(),
            is_doubtful: false,
        }
    }

    /// Whether the server speaks `era`. What it says of its revisions does not tell: some name the modern ones alone and
    /// speak both. Only for a legacy client is it asked by `initialize`, which a modern server refuses.
    ///
    /// # Errors
    /// It cannot be reached, or refuses us.
    pub async fn speaks(
        &self,
        era: Era,
        egress: &Egress,
        upstream: &Upstream,
    ) -> Result<bool, Fault> {
        if self.era == era && !self.is_doubtful {
            return Ok(true);
        }
        if era == Era::Modern {
            return Ok(false);
        }
        let asked = self.legacy.get_or_try_init(|| begins(egress, upstream));
        asked.await.copied()
    }
}

/// The eras of remote servers.
#[derive(Debug, Default)]
pub struct Eras {
    servers: DashMap<ServerName, Arc<Entry>>,
}

#[derive(Debug)]
struct Entry {
    /// The entry is of this server, as the catalog had it.
    upstream: Arc<Upstream>,
    /// What is known. Locked for a look.
    known: Mutex<Known>,
    /// Held by the one who asks, over its question; others wait for the same answer.
    asking: tokio::sync::Mutex<()>,
}

/// What is known of a server.
#[derive(Debug, Default)]
struct Known {
    /// What it said, and when.
    said: Option<(Arc<Probed>, Instant)>,
    /// An answer contradicted that.
    doubted: bool,
    /// Why it said nothing when it was asked last, and when that was.
    failed: Option<(Fault, Instant)>,
}

impl Eras {
    /// What `server` speaks; asks it where that is not known.
    ///
    /// # Errors
    /// It cannot be reached, or refuses us.
    pub async fn of(
        &self,
        egress: &Egress,
        server: &ServerName,
        upstream: &Arc<Upstream>,
    ) -> Result<Arc<Probed>, Fault> {
        let entry = self.entry(server, upstream);
        if let Some(known) = entry.known() {
            return known;
        }
        let _asking = entry.asking.lock().await;
        if let Some(known) = entry.known() {
            return known;
        }
        let probed = probe(egress, upstream).await.map(Arc::new);
        if let Ok(probed) = &probed {
            tracing::info!(%server, era = ?probed.era, "a remote server was asked what it speaks");
        }
        entry.note(probed)
    }

    /// An answer of the server contradicts what was known: it is asked again with the next call.
    pub fn doubt(&self, server: &ServerName) {
        let Some(entry) = self.servers.get(server) else {
            return;
        };
        let mut known = entry.known.lock();
        let settled = known.said.as_ref();
        known.doubted |= settled.is_some_and(|(_, at)| at.elapsed() > SETTLED);
    }

    fn entry(&self, server: &ServerName, upstream: &Arc<Upstream>) -> Arc<Entry> {
        if let Some(entry) = self.servers.get(server)
            && entry.upstream == *upstream
        {
            return entry.clone();
        }
        if self.servers.len() >= SERVERS_MAX {
            self.servers.clear();
        }
        let entry = Arc::new(Entry {
            upstream: upstream.clone(),
            known: Mutex::default(),
            asking: tokio::sync::Mutex::new(()),
        });
        self.servers.insert(server.clone(), entry.clone());
        entry
    }
}

impl Entry {
    /// What counts without asking. `None`: it has to be asked.
    fn known(&self) -> Option<Result<Arc<Probed>, Fault>> {
        let known = self.known.lock();
        let failed = known.failed.as_ref();
        if let Some((fault, _)) = failed.filter(|(_, at)| at.elapsed() < FAILED) {
            return Some(known.said().ok_or_else(|| fault.clone()));
        }
        let (probed, at) = known.said.as_ref()?;
        let is_fresh = at.elapsed() < FRESH && !known.doubted;
        is_fresh.then(|| Ok(probed.clone()))
    }

    /// Keeps what came of asking. A server that says nothing now most likely speaks what it spoke.
    fn note(&self, probed: Result<Arc<Probed>, Fault>) -> Result<Arc<Probed>, Fault> {
        let mut known = self.known.lock();
        match probed {
            Ok(probed) => {
                *known = Known {
                    said: Some((probed.clone(), Instant::now())),
                    ..Known::default()
                };
                Ok(probed)
            }
            Err(fault) => {
                known.failed = Some((fault.clone(), Instant::now()));
                known.said().ok_or(fault)
            }
        }
    }
}

impl Known {
    fn said(&self) -> Option<Arc<Probed>> {
        self.said.as_ref().map(|(probed, _)| probed.clone())
    }
}

/// Asks a server what it speaks.
///
/// # Errors
/// As [`Eras::of`].
pub async fn probe(egress: &Egress, upstream: &Upstream) -> Result<Probed, Fault> {
    let question = discover_request(b"\"era\"", CLIENT_NAME, CLIENT_VERSION);
    let mut request = direct::post(upstream, Bytes::from(question))?;
    let headers = request.headers_mut();
    let revision = HeaderValue::from_static(Revision::LATEST.as_str());
    headers.insert(MCP_PROTOCOL_VERSION, revision);
    headers.insert(
        MCP_METHOD,
        HeaderValue::from_static(method::SERVER_DISCOVER),
    );
    ask(egress, upstream, request, judge).await
}

/// Asks a server something that tells its era. What refuses the question, whatever it asks, says nothing of that.
async fn ask<T, Judged>(
    egress: &Egress,
    upstream: &Upstream,
    question: Request<Full<Bytes>>,
    judge: impl FnOnce(Response<Incoming>) -> Judged,
) -> Result<T, Fault>
where
    Judged: Future<Output = Result<T, Fault>>,
{
    let asked = async {
        let response = egress
            .send(&upstream.url, question)
            .await
            .map_err(|error| {
                tracing::warn!(%error, "a remote server cannot be asked what it speaks");
                Fault::unavailable("the server cannot be reached").retry_after(2)
            })?;
        refused(response.status())?;
        judge(response).await
    };
    let late = |_| Fault::timeout("the server does not say in time what it speaks");
    tokio::time::timeout(PROBE, asked).await.map_err(late)?
}

fn refused(status: StatusCode) -> Result<(), Fault> {
    let why = match status.as_u16() {
        401 | 403 => {
            "the server refuses the credential that its entry in the catalog gives".to_owned()
        }
        429 | 500.. => format!("the server answers HTTP {status}"),
        300..=399 => "the server redirects, which is not followed".to_owned(),
        _ => return Ok(()),
    };
    Err(Fault::unavailable(why))
}

async fn judge(response: Response<Incoming>) -> Result<Probed, Fault> {
    let legacy = Probed::new(Era::Legacy, None);
    let doubtful = Probed {
        is_doubtful: true,
        ..legacy.clone()
    };
    let status = response.status();
    if !matches!(status.as_u16(), 200 | 400 | 404) {
        return Ok(doubtful);
    }
    let Some(answer) = answer(response).await else {
        return Ok(doubtful);
    };
    let Ok(read) = envelope::scan(&answer, &Limits::RESPONSE) else {
        return Ok(legacy);
    };
    let modern_code = read.error_code.is_some_and(|code| {
        let in_refusal = status != StatusCode::OK && code == METHOD_NOT_FOUND;
        MODERN_CODES.contains(&code) || in_refusal
    });
    let result = read
        .result
        .filter(|result| walk::find(&answer, *result, "supportedVersions").is_some());
    Ok(match result {
        Some(result) => {
            let discovered = Bytes::copy_from_slice(result.of(&answer));
            Probed::new(Era::Modern, Some(discovered))
        }
        None if modern_code => Probed::new(Era::Modern, None),
        None => legacy,
    })
}

/// Whether a server lets a legacy session begin; one that was begun so is ended again.
async fn begins(egress: &Egress, upstream: &Upstream) -> Result<bool, Fault> {
    let revision = Revision::LATEST_LEGACY;
    let question = initialize_request(b"\"era\"", revision, CLIENT_NAME, CLIENT_VERSION);
    let request = direct::post(upstream, Bytes::from(question))?;
    ask(egress, upstream, request, |response| async move {
        let is_success = response.status().is_success();
        let session = direct::session_of(&response)?;
        let Some(answer) = answer(response).await else {
            return Ok(false);
        };
        let begun = is_success && agrees(&answer);
        if begun {
            direct::end_session(egress, upstream, &session).await;
        }
        Ok(begun)
    })
    .await
}

/// Whether an answer to `initialize` agrees on a revision that has sessions.
fn agrees(answer: &[u8]) -> bool {
    let read = envelope::scan(answer, &Limits::RESPONSE);
    let result = read.ok().and_then(|read| read.result);
    let version = result.and_then(|result| walk::find(answer, result, "protocolVersion"));
    let version = version.and_then(|version| walk::text(version.of(answer)));
    let revision = version.and_then(|version| Revision::parse(&version));
    revision.is_some_and(|revision| revision.era() == Era::Legacy)
}

/// The response in an answer.
async fn answer(response: Response<Incoming>) -> Option<Bytes> {
    let mut messages = Messages::of(response, ANSWER_BYTES_MAX);
    while let Some(Ok(message)) = messages.next().await {
        let read = envelope::scan(&message, &Limits::RESPONSE);
        if read.is_ok_and(|read| read.kind == Kind::Response) {
            return Some(message);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn entry() -> Entry {
        let url = model::url::HttpUrl::parse("http://127.0.0.1:1/mcp").unwrap();
        let headers = Vec::new();
        Entry {
            upstream: Arc::new(Upstream { url, headers }),
            known: Mutex::default(),
            asking: tokio::sync::Mutex::new(()),
        }
    }

    fn legacy() -> Arc<Probed> {
        Arc::new(Probed::new(Era::Legacy, None))
    }

    #[test]
    fn only_who_agrees_on_a_revision_with_sessions_speaks_the_legacy_era() {
        let answer = |result: &str| format!(r#"{{"jsonrpc":"2.0","id":"era",{result}}}"#);
        let agrees = |result: &str| agrees(answer(result).as_bytes());
        assert!(agrees(r#""result":{"protocolVersion":"2025-06-18"}"#));
        assert!(!agrees(r#""result":{"protocolVersion":"2026-07-28"}"#));
        assert!(!agrees(r#""result":{"content":[]}"#));
        assert!(!agrees(r#""error":{"code":-32022,"message":"no"}"#));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_counts_for_a_moment_so_that_nobody_waits_for_the_next_one() {
        let entry = entry();
        assert!(entry.known().is_none(), "nobody has asked");
        entry.note(Err(Fault::timeout("hung"))).unwrap_err();
        assert!(entry.known().unwrap().is_err());
        tokio::time::advance(FAILED).await;
        assert!(entry.known().is_none(), "it is asked again");
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_server_spoke_counts_where_it_says_nothing_now() {
        let entry = entry();
        entry.note(Ok(legacy())).unwrap();
        tokio::time::advance(FRESH).await;
        assert!(entry.known().is_none(), "it is asked again");
        assert_eq!(entry.note(Err(Fault::timeout("hung"))).unwrap(), legacy());
        assert_eq!(entry.known().unwrap().unwrap(), legacy());
        tokio::time::advance(FAILED).await;
        assert!(entry.known().is_none(), "and again");
    }
}
