//! Who this node is: an identity from disk, or a new one for a join token.

use std::path::PathBuf;
use std::time::Duration;

use model::name::ServerName;
use proto::v1 as pb;
use proto::v1::node_client::NodeClient;
use runtime::backoff::Backoff;
use runtime::clock::now_unix_s;
use runtime::net::ClientTls;
use runtime::tls::{self, Identity};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName as TlsName};

/// The DNS name in every control plane's certificate.
pub const CONTROL_PLANE_NAME: &str = "control-plane.gatehouse.internal";
/// Shortest and longest pause between tries to reach a control plane.
pub const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// How long one try to join may take.
const JOIN: Duration = Duration::from_secs(10);

/// Where a node belongs.
#[derive(Debug, Clone)]
pub struct NodeSettings {
    /// Control planes, `host:port`, tried in turn.
    pub control: Vec<String>,
    /// PEM file of the roots to trust while joining.
    pub control_ca: PathBuf,
    /// Where the node keeps its identity and its last good configuration.
    pub data_dir: PathBuf,
    /// A join token. Needed where there is no identity yet, or none that is still good.
    pub join: Option<String>,
    /// Hosts and addresses under which peers will reach this node.
    pub hosts: Vec<String>,
}

/// Why a node has no identity.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing to join with.
    #[error(
        "no valid identity in {0} and no join token: make one with `gatehouse node token create` and \
         start with --join TOKEN"
    )]
    NoToken(PathBuf),
    /// The control plane refused the token.
    #[error("the control plane refused the join token: {0}")]
    Refused(String),
    /// Certificates cannot be read or written.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// An address is not one.
    #[error(transparent)]
    Net(#[from] runtime::net::Error),
    /// The identity on disk is that of another kind of node, or of another server's.
    #[error(
        "the identity in {dir} is that of {found}, and this is {this}: use another data folder"
    )]
    Foreign {
        /// Where.
        dir: PathBuf,
        /// Whose it is.
        found: String,
        /// What this node is.
        this: String,
    },
    /// The token was made for another kind of node, or for another server's. It is used up.
    #[error(
        "the join token was for {found}, and this is {this}: make another with \
         `gatehouse node token create`"
    )]
    ForeignToken {
        /// Whose it was.
        found: String,
        /// What this node is.
        this: String,
    },
}

/// The identity on disk where it is still good, else a new one. Waits for the control plane where it must.
///
/// # Errors
/// [`Error`]; being unable to reach the control plane is none, as it may come back.
pub async fn identity(
    kind: pb::NodeKind,
    server: Option<&ServerName>,
    settings: &NodeSettings,
) -> Result<Identity, Error> {
    if Identity::exists(&settings.data_dir) {
        let identity = Identity::load(&settings.data_dir)?;
        if identity.is_valid_at(now_unix_s()) {
            return match foreign(&identity, kind, server)? {
                None => Ok(identity),
                Some((found, this)) => Err(Error::Foreign {
                    dir: settings.data_dir.clone(),
                    found,
                    this,
                }),
            };
        }
        tracing::warn!("the node's certificate is over; joining anew");
    }
    let token = settings
        .join
        .clone()
        .ok_or_else(|| Error::NoToken(settings.data_dir.clone()))?;
    let identity = join(&token, settings).await?;
    if let Some((found, this)) = foreign(&identity, kind, server)? {
        return Err(Error::ForeignToken { found, this });
    }
    identity.save(&settings.data_dir)?;
    Ok(identity)
}

/// Whose the identity is and what this node is, in words, where they differ.
fn foreign(
    identity: &Identity,
    kind: pb::NodeKind,
    server: Option<&ServerName>,
) -> Result<Option<(String, String)>, Error> {
    let (its_kind, its_server) = match identity.peer()? {
        tls::Peer::Edge { .. } => (Some(pb::NodeKind::Edge), None),
        tls::Peer::Sidecar { server, .. } => (Some(pb::NodeKind::Sidecar), Some(server)),
        tls::Peer::ControlPlane { .. } => (None, None),
    };
    if its_kind == Some(kind) && its_server.as_ref() == server {
        return Ok(None);
    }
    let words = |kind: Option<pb::NodeKind>, server: Option<&ServerName>| match (kind, server) {
        (Some(pb::NodeKind::Edge), _) => "an edge".to_owned(),
        (Some(_), Some(server)) => format!("a sidecar of {server}"),
        _ => "no node".to_owned(),
    };
    Ok(Some((
        words(its_kind, its_server.as_ref()),
        words(Some(kind), server),
    )))
}

async fn join(token: &str, settings: &NodeSettings) -> Result<Identity, Error> {
    let (key, csr) = tls::new_key_and_csr()?;
    let roots = tls::read_certificates(&settings.control_ca)?;
    let tls = ClientTls {
        config: tls::anonymous_client_config(&roots, &[tls::H2])?,
        server_name: control_plane_name(),
    };
    let request = pb::JoinRequest {
        token: token.to_owned(),
        csr,
        hosts: settings.hosts.clone(),
    };
    let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
    for address in settings.control.iter().cycle() {
        let channel = runtime::net::channel(address, Some(tls.clone()))?;
        let mut client = NodeClient::new(channel);
        let joined = tokio::time::timeout(JOIN, client.join(request.clone())).await;
        match joined {
            Ok(Ok(response)) => return Ok(taken(response.into_inner(), &key)),
            Ok(Err(status)) if is_final(&status) => {
                return Err(Error::Refused(status.message().to_owned()));
            }
            Ok(Err(status)) => tracing::warn!(%address, %status, "cannot join yet"),
            Err(_) => tracing::warn!(%address, "cannot join yet: no answer in 10 s"),
        }
        tokio::time::sleep(backoff.pause()).await;
    }
    Err(Error::Refused(
        "no control plane is named in the settings".to_owned(),
    ))
}

/// Answers that another try will not change.
fn is_final(status: &tonic::Status) -> bool {
    use tonic::Code;
    matches!(
        status.code(),
        Code::InvalidArgument | Code::PermissionDenied | Code::Unauthenticated | Code::NotFound
    )
}

/// The identity that an answer makes of the key it was asked for.
pub(super) fn taken(response: pb::JoinResponse, key: &[u8]) -> Identity {
    Identity {
        chain: response
            .chain
            .into_iter()
            .map(CertificateDer::from)
            .collect(),
        key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.to_vec())),
        roots: response
            .roots
            .into_iter()
            .map(CertificateDer::from)
            .collect(),
    }
}

/// The name that every control plane's certificate holds.
pub fn control_plane_name() -> TlsName<'static> {
    TlsName::try_from(CONTROL_PLANE_NAME).expect("a constant DNS name")
}
