//! The control plane: the way to it, its certificate, its clock, the token, the store, the records.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use proto::v1::{
    ListCallsRequest, ListNodesRequest, ListNodesResponse, VersionRequest, VersionResponse,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::Response;

use super::report::Finding;
use super::table::{CLOCK, CP_AUDIT, CP_CONTEXT, CP_REACHABLE, CP_STORE, CP_TOKEN};
use crate::context::Context;
use crate::fault::Fault;
use crate::link::{Link, control_plane_name};
use crate::when;

/// Rest of a certificate's life below which it should have been renewed.
pub(super) const RENEWED_BELOW: Duration = Duration::from_secs(6 * 3600);
/// How far clocks may be apart before a warning, and before a failure: what certificates allow for.
const APART_WARN: i64 = 10;
const APART_FAIL: i64 = 300;

/// The context, with what is missing in it.
pub(super) fn context(found: Result<&Context, &Fault>) -> Finding {
    let context = match found {
        Ok(context) => context,
        Err(fault) => return Finding::fault(CP_CONTEXT, fault.clone()),
    };
    let given = [("edge", &context.edge), ("key", &context.key)];
    let missing: Vec<&str> = given
        .iter()
        .filter(|(_, value)| value.is_none())
        .map(|(name, _)| *name)
        .collect();
    if missing.is_empty() {
        return Finding::ok(CP_CONTEXT, context.address.clone());
    }
    let message = format!(
        "{}, without {}: no call can be tried",
        context.address,
        missing.join(" and ")
    );
    Finding::warn(CP_CONTEXT, message)
}

/// A control plane that answered.
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) link: Link,
    pub(super) version: VersionResponse,
    /// Its clock against ours, in seconds: positive where it is ahead.
    pub(super) ahead_s: Option<i64>,
}

/// Connects, and asks what need not be signed in for.
pub(super) async fn reach(context: &Context) -> (Finding, Option<Reached>) {
    let link = match Link::connect(context).await {
        Ok(link) => link,
        Err(mut fault) => {
            // What is started here is no help where the control plane is elsewhere.
            fault.fix = fault.fix.filter(|_| local(&context.address).is_some());
            return (Finding::fault(CP_REACHABLE, fault), None);
        }
    };
    let began = Instant::now();
    // A token that is not good is no matter of the way there.
    let answer = match link.unsigned().admin().version(VersionRequest {}).await {
        Ok(answer) => answer,
        Err(status) => return (Finding::fault(CP_REACHABLE, link.fault(&status)), None),
    };
    let took = began.elapsed();
    let ahead_s = ahead(&answer);
    let at = context.address.trim_start_matches("https://");
    let took = took.as_millis();
    let finding = match certificate_ends(context).await {
        Some(ends) => {
            let left = left(ends);
            let message = format!("{at}, {took} ms, certificate good for {}", when::span(left));
            if left < RENEWED_BELOW {
                Finding::warn(CP_REACHABLE, message).why("it is renewed by half of its 24 hours")
            } else {
                Finding::ok(CP_REACHABLE, message)
            }
        }
        None => Finding::ok(CP_REACHABLE, format!("{at}, {took} ms")),
    };
    let reached = Reached {
        link,
        version: answer.into_inner(),
        ahead_s,
    };
    (finding, Some(reached))
}

/// How much time is left until a moment, in Unix milliseconds.
pub(super) fn left(unix_ms: i64) -> Duration {
    let left = unix_ms.saturating_sub(when::now_unix_ms());
    Duration::from_millis(u64::try_from(left).unwrap_or(0))
}

/// When the control plane's certificate ends, Unix milliseconds: from a handshake of our own, as the client of the
/// API does not show it.
async fn certificate_ends(context: &Context) -> Option<i64> {
    let address = context.address.strip_prefix("https://")?;
    let roots: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(context.ca.as_deref()?.as_bytes())
            .collect::<Result<_, _>>()
            .ok()?;
    let config = runtime::tls::anonymous_client_config(&roots, &[runtime::tls::H2]).ok()?;
    let tcp = TcpStream::connect(address.trim_end_matches('/'))
        .await
        .ok()?;
    let name = ServerName::try_from(control_plane_name()).ok()?;
    let stream = TlsConnector::from(Arc::clone(&config))
        .connect(name, tcp)
        .await
        .ok()?;
    let certificate = stream.get_ref().1.peer_certificates()?.first()?;
    let ends = runtime::tls::not_after_of(certificate).ok()?;
    Some(ends.saturating_mul(1000))
}

/// How far the clock in an answer's `date` is ahead of ours, in seconds.
fn ahead<T>(answer: &Response<T>) -> Option<i64> {
    let date = answer.metadata().get("date")?.to_str().ok()?;
    let theirs: Timestamp = rfc2822::DateTimeParser::new().parse_timestamp(date).ok()?;
    Some(
        theirs
            .as_second()
            .saturating_sub(Timestamp::now().as_second()),
    )
}

/// Both clocks.
pub(super) fn clock(ahead_s: Option<i64>) -> Option<Finding> {
    let ahead = ahead_s?;
    // A date has whole seconds, and was written a moment ago.
    if ahead.abs() <= 1 {
        return Some(Finding::ok(CLOCK, "within a second of the control plane's"));
    }
    let way = if ahead > 0 { "ahead of" } else { "behind" };
    let apart = when::span(Duration::from_secs(ahead.unsigned_abs()));
    let message = format!("the control plane's clock is {apart} {way} this machine's");
    Some(match ahead.abs() {
        APART_FAIL.. => Finding::fail(CLOCK, message),
        APART_WARN.. => Finding::warn(CLOCK, message),
        _ => Finding::ok(CLOCK, message),
    })
}

/// Which store, and its head.
pub(super) fn store(version: &VersionResponse) -> Finding {
    Finding::ok(
        CP_STORE,
        format!("{}, revision {}", version.store, version.revision),
    )
}

/// Asks what must be signed in for; all nodes come with the answer.
pub(super) async fn token(link: &Link) -> (Finding, Option<ListNodesResponse>) {
    match link.admin().list_nodes(ListNodesRequest::default()).await {
        Ok(answer) => (Finding::ok(CP_TOKEN, "accepted"), Some(answer.into_inner())),
        Err(status) => (Finding::fault(CP_TOKEN, link.fault(&status)), None),
    }
}

/// Asks the store of records for the newest.
pub(super) async fn audit(link: &Link) -> Finding {
    let request = ListCallsRequest {
        limit: 1,
        ..ListCallsRequest::default()
    };
    match link.audit().list_calls(request).await {
        Ok(answer) => match answer.into_inner().calls.first() {
            Some(call) => {
                let age = when::age(call.time_unix_ns / 1_000_000);
                Finding::ok(CP_AUDIT, format!("the newest call is {age} old"))
            }
            None => Finding::ok(CP_AUDIT, "no call is on record yet"),
        },
        Err(status) => Finding::fault(CP_AUDIT, link.fault(&status)),
    }
}

/// The address of a URL, where it is one of this machine.
pub(super) fn local(url: &str) -> Option<SocketAddr> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split('/').next()?;
    let with_port = match authority.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok() => authority.to_owned(),
        _ if scheme == "http" => format!("{authority}:80"),
        _ => format!("{authority}:443"),
    };
    let with_port = match with_port.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => with_port,
    };
    let address: SocketAddr = with_port.parse().ok()?;
    address.ip().is_loopback().then_some(address)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::super::report::Verdict;
    use super::*;

    #[test]
    fn clocks_that_are_apart_are_told_by_how_much_and_which_way() {
        let verdict = |ahead| clock(Some(ahead)).unwrap().verdict;
        assert_eq!(verdict(0), Verdict::Ok);
        assert_eq!(verdict(-1), Verdict::Ok);
        assert_eq!(verdict(-9), Verdict::Ok);
        assert_eq!(verdict(30), Verdict::Warn);
        assert_eq!(verdict(-400), Verdict::Fail);
        let message = clock(Some(-400)).unwrap().message;
        assert_eq!(
            message,
            "the control plane's clock is 6m behind this machine's"
        );
        assert_eq!(clock(None), None);
    }

    #[test]
    fn the_date_of_an_answer_is_read() {
        let mut answer = Response::new(());
        assert_eq!(ahead(&answer), None);
        let date = Timestamp::now()
            .strftime("%a, %d %b %Y %H:%M:%S GMT")
            .to_string();
        answer.metadata_mut().insert("date", date.parse().unwrap());
        assert!(ahead(&answer).unwrap().abs() <= 1);
    }

    #[test]
    fn only_addresses_of_this_machine_are_local() {
        let local = |url| local(url).map(|address| address.to_string());
        assert_eq!(
            local("https://127.0.0.1:7700").as_deref(),
            Some("127.0.0.1:7700")
        );
        assert_eq!(
            local("http://localhost:7800/").as_deref(),
            Some("127.0.0.1:7800")
        );
        assert_eq!(local("https://[::1]:7700").as_deref(), Some("[::1]:7700"));
        assert_eq!(local("https://10.0.0.1:7700"), None);
        assert_eq!(local("https://cp.example.com"), None);
        assert_eq!(local("nonsense"), None);
    }

    #[test]
    fn a_context_without_a_key_is_a_warning() {
        let mut context = Context {
            address: "https://127.0.0.1:7700".to_owned(),
            edge: Some("http://127.0.0.1:7800".to_owned()),
            ..Context::default()
        };
        let finding = super::context(Ok(&context));
        assert_eq!(finding.verdict, Verdict::Warn);
        assert!(finding.message.contains("without key"), "{finding:?}");
        context.key = Some("gh_k".to_owned());
        assert_eq!(super::context(Ok(&context)).verdict, Verdict::Ok);
    }
}
