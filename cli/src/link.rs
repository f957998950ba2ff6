//! The connection to the control plane, and its errors in the operator's words.
//!
//! Knows gRPC and TLS; must not know what commands do with it.

use std::error::Error as _;
use std::time::Duration;

use proto::v1::admin_client::AdminClient;
use proto::v1::approvals_client::ApprovalsClient;
use proto::v1::audit_client::AuditClient;
use tonic::codegen::InterceptedService;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Uri};
use tonic::{Code, Request, Status};
use tonic_types::{ErrorDetail, FieldViolation, StatusExt};

use crate::codes;
use crate::context::Context;
use crate::fault::Fault;

/// How long a connection may take to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one answer may take to begin.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// While something is awaited, the other side is asked so often whether it is still there, and may take so long.
const ALIVE_EVERY: Duration = Duration::from_secs(15);
const ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer, in bytes: a list of everything of a large installation.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A connection that stands.
#[derive(Debug, Clone)]
pub struct Link {
    channel: Channel,
    bearer: Bearer,
    address: String,
}

/// Puts the token on each request.
#[derive(Clone)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl std::fmt::Debug for Bearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bearer(…)")
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// A client of one of the control plane's services.
pub type Admin = AdminClient<InterceptedService<Channel, Bearer>>;
/// The client that decides about calls.
pub type Approvals = ApprovalsClient<InterceptedService<Channel, Bearer>>;
/// The client that reads the audit store.
pub type Audit = AuditClient<InterceptedService<Channel, Bearer>>;

impl Link {
    /// Connects.
    ///
    /// # Errors
    /// A [`Fault`] that says the mistake: nothing listens, wrong protocol, wrong authority, bad token.
    pub async fn connect(context: &Context) -> Result<Self, Fault> {
        let bearer = bearer(context)?;
        let address = context.address.clone();
        let uri: Uri = address.parse().map_err(|_| bad_address(&address))?;
        if uri.scheme_str() != Some("https") {
            // A control plane speaks TLS and nothing else; a token is never sent in clear.
            return Err(bad_address(&address));
        }
        knock(&uri, &address).await?;
        let mut tls = ClientTlsConfig::new().domain_name(control_plane_name());
        if let Some(ca) = &context.ca {
            tls = tls.ca_certificate(Certificate::from_pem(ca));
        }
        let endpoint = Endpoint::from(uri)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .http2_keep_alive_interval(ALIVE_EVERY)
            .keep_alive_timeout(ALIVE_TIMEOUT)
            .tls_config(tls)
            .map_err(|e| {
                let text = "the context's `ca` is no certificate in PEM form";
                Fault::new(codes::BAD_CONTEXT, text).because(&e)
            })?;
        let channel = endpoint
            .connect()
            .await
            .map_err(|e| handshake_fault(&address, &e))?;
        Ok(Self {
            channel,
            bearer,
            address,
        })
    }

    /// The same connection without the token: for what anybody may ask.
    #[must_use]
    pub fn unsigned(&self) -> Self {
        Self {
            bearer: Bearer(None),
            ..self.clone()
        }
    }

    /// The admin API.
    pub fn admin(&self) -> Admin {
        AdminClient::with_interceptor(self.channel.clone(), self.bearer.clone())
            .max_decoding_message_size(ANSWER_BYTES_MAX)
            .max_encoding_message_size(ANSWER_BYTES_MAX)
    }

    /// Calls that wait for a person.
    pub fn approvals(&self) -> Approvals {
        ApprovalsClient::with_interceptor(self.channel.clone(), self.bearer.clone())
            .max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// The audit store.
    pub fn audit(&self) -> Audit {
        AuditClient::with_interceptor(self.channel.clone(), self.bearer.clone())
            .max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// An error of an answer, in the operator's words.
    pub fn fault(&self, status: &Status) -> Fault {
        status_fault(status, &self.address)
    }
}

/// The name in every control plane's certificate, whatever address it is reached by.
pub(crate) fn control_plane_name() -> String {
    format!("control-plane.{}", runtime::tls::TRUST_DOMAIN)
}

fn bearer(context: &Context) -> Result<Bearer, Fault> {
    let Some(token) = &context.token else {
        return Ok(Bearer(None));
    };
    let value = format!("Bearer {token}").parse().map_err(|_| {
        Fault::new(
            codes::BAD_CONTEXT,
            "the token holds characters that no token has",
        )
    })?;
    Ok(Bearer(Some(value)))
}

fn bad_address(address: &str) -> Fault {
    Fault::new(codes::BAD_CONTEXT, format!("{address:?} is not an address"))
        .fix("write it as https://HOST:PORT")
}

/// A plain connection first: it tells "nothing listens" from all that can go wrong later.
async fn knock(uri: &Uri, address: &str) -> Result<(), Fault> {
    let host = uri.host().ok_or_else(|| bad_address(address))?;
    let port = uri.port_u16().unwrap_or(443);
    let at = format!("{host}:{port}");
    let fix = "start it with `gatehouse up`, or name another with --address or --context";
    match tokio::time::timeout(CONNECT_TIMEOUT, tokio::net::TcpStream::connect(&at)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(e)) if e.kind() == std::io::ErrorKind::ConnectionRefused => Err(Fault::new(
            codes::NOTHING_LISTENS,
            format!("nothing listens on {at}: is the control plane running?"),
        )
        .fix(fix)
        .retryable()),
        Ok(Err(e)) => Err(
            Fault::new(codes::NOTHING_LISTENS, format!("{at} cannot be reached"))
                .why(e.to_string())
                .retryable(),
        ),
        Err(_) => Err(Fault::new(
            codes::NOTHING_LISTENS,
            format!("{at} did not answer within 5 s"),
        )
        .retryable()),
    }
}

/// What went wrong between the TCP connection and the first request.
fn handshake_fault(address: &str, error: &tonic::transport::Error) -> Fault {
    let fault = Fault::new(
        codes::TLS_MISMATCH,
        format!("no TLS connection to {address}"),
    )
    .because(error);
    let below = fault.chain.join(" ");
    if below.contains("InvalidContentType") {
        return fault.why("it speaks plain HTTP, the context says https");
    }
    if below.contains("UnknownIssuer") || below.contains("BadSignature") {
        return fault
            .why("its certificate was not signed by the authority that the context names")
            .fix("take the client.toml of the system that runs there");
    }
    if below.contains("NotValidForName") {
        return fault.why("its certificate is not that of a control plane");
    }
    if below.contains("Expired") || below.contains("NotValidYet") {
        return fault
            .why("its certificate is not valid now: is the clock of either machine wrong?");
    }
    let last = fault.chain.last().cloned().unwrap_or_default();
    fault.why(last)
}

fn status_fault(status: &Status, address: &str) -> Fault {
    let message = status.message().to_owned();
    let code = reason_of(status);
    let fault = match status.code() {
        Code::Unauthenticated => Fault::new(
            codes::NOT_SIGNED_IN,
            format!("{address} does not accept the admin token"),
        )
        .why(message)
        .fix("`gatehouse up` writes a good one to client.toml; --token @FILE gives another"),
        Code::PermissionDenied => Fault::new(codes::NOT_PERMITTED, message),
        Code::NotFound => Fault::new(codes::NO_SUCH, message),
        Code::Aborted => Fault::new(codes::CHANGED_MEANWHILE, message),
        Code::DeadlineExceeded | Code::Cancelled => Fault::new(
            codes::NO_ANSWER,
            format!("{address} did not answer in time"),
        )
        .why(message)
        .retryable(),
        // Where something lies below it, this side found the fault, not the control plane.
        Code::Unavailable | Code::Unknown | Code::Internal
            if status.code() == Code::Unavailable || status.source().is_some() =>
        {
            Fault::new(
                codes::NO_ANSWER,
                format!("the connection to {address} broke"),
            )
            .why(message)
            .retryable()
        }
        _ => Fault::new(
            codes::NO_ANSWER,
            format!("the control plane could not do that: {message}"),
        ),
    };
    let fault = fault.because(status);
    match code {
        Some(code) => Fault {
            code: code.into(),
            ..fault
        },
        None => fault,
    }
}

/// The GH code that the control plane gave, if it gave one.
fn reason_of(status: &Status) -> Option<String> {
    status
        .get_error_details_vec()
        .into_iter()
        .find_map(|detail| match detail {
            ErrorDetail::ErrorInfo(info) if info.reason.starts_with("GH") => Some(info.reason),
            _ => None,
        })
}

/// A fault that a refused apply, delete or rollback names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Its path, as the control plane wrote it.
    pub field: String,
    /// What is wrong there.
    pub message: String,
    /// Its GH code.
    pub code: Option<String>,
    /// What mends it, where the control plane knows it.
    pub fix: Option<String>,
}

impl Violation {
    /// As a fault that says `message`. `otherwise`: its code, where the control plane gave none.
    pub fn fault(self, message: String, otherwise: &'static str) -> Fault {
        Fault {
            code: self.code.map_or_else(|| otherwise.into(), Into::into),
            message,
            fix: self.fix.map(Into::into),
            ..Fault::default()
        }
    }
}

/// The faults that a refused apply, delete or rollback names.
pub fn violations(status: &Status) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut infos = Vec::new();
    for detail in status.get_error_details_vec() {
        match detail {
            ErrorDetail::BadRequest(bad) => violations.extend(bad.field_violations),
            ErrorDetail::ErrorInfo(info) => infos.push(info),
            _ => {}
        }
    }
    let mut infos = infos.into_iter();
    let violation = |violation: FieldViolation| {
        let own = Some(violation.reason).filter(|reason| reason.starts_with("GH"));
        let (reason, fix) = match infos.next() {
            Some(mut info) => (Some(info.reason), info.metadata.remove("fix")),
            None => (None, None),
        };
        Violation {
            field: violation.field,
            message: violation.description,
            code: own.or(reason),
            fix,
        }
    };
    violations.into_iter().map(violation).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use tonic_types::{BadRequest, ErrorInfo};

    #[tokio::test]
    async fn an_address_where_nothing_listens_is_said_to_be_one() {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let context = Context {
            address: format!("https://127.0.0.1:{port}"),
            ..Context::default()
        };
        let fault = Link::connect(&context).await.unwrap_err();
        assert_eq!(fault.code, codes::NOTHING_LISTENS);
        assert!(
            fault
                .message
                .contains(&format!("nothing listens on 127.0.0.1:{port}"))
        );
        assert!(fault.retryable);
    }

    #[tokio::test]
    async fn a_token_is_never_sent_in_clear() {
        let context = Context {
            address: "http://127.0.0.1:7700".to_owned(),
            token: Some("t".to_owned()),
            ..Context::default()
        };
        let fault = Link::connect(&context).await.unwrap_err();
        assert_eq!(fault.code, codes::BAD_CONTEXT);
        assert!(fault.fix.unwrap().contains("https://"));
    }

    #[test]
    fn faults_of_an_apply_keep_path_and_code() {
        let details = vec![
            ErrorDetail::BadRequest(BadRequest::new(vec![
                FieldViolation::new("resources[0].spec.servers[0]", "no server docs"),
                FieldViolation::new("resources[1]", "x"),
            ])),
            ErrorDetail::ErrorInfo(ErrorInfo::new(
                "GH2001",
                "gatehouse",
                std::collections::HashMap::from([(
                    "fix".to_owned(),
                    "did you mean `doc`?".to_owned(),
                )]),
            )),
            ErrorDetail::ErrorInfo(ErrorInfo::new(
                "GH2004",
                "gatehouse",
                std::collections::HashMap::<String, String>::new(),
            )),
        ];
        let status = Status::with_error_details_vec(Code::InvalidArgument, "2 faults", details);
        let found = violations(&status);
        assert_eq!(found[0].field, "resources[0].spec.servers[0]");
        assert_eq!(found[0].code.as_deref(), Some("GH2001"));
        assert_eq!(found[1].code.as_deref(), Some("GH2004"));
        assert_eq!(status_fault(&status, "a").code, "GH2001");
        let fixes: Vec<_> = found.iter().map(|found| found.fix.clone()).collect();
        assert_eq!(fixes, [Some("did you mean `doc`?".to_owned()), None]);
        let fault = found[0].clone().fault("no".to_owned(), "GH0000");
        assert_eq!((&*fault.code, &*fault.message), ("GH2001", "no"));
        assert_eq!(fault.fix.as_deref(), Some("did you mean `doc`?"));
    }

    #[test]
    fn a_refused_token_says_what_to_do() {
        let fault = status_fault(&Status::unauthenticated("no"), "https://a");
        assert_eq!(fault.code, codes::NOT_SIGNED_IN);
        assert!(fault.fix.is_some());
    }
}
