//! SPIFFE-shaped names of the parts, and reading them from certificates.
//!
//! ```text
//! spiffe://gatehouse.internal/edge/<node>               <node>.edge.gatehouse.internal
//! spiffe://gatehouse.internal/sidecar/<server>/<node>   <server>.sidecar.gatehouse.internal
//! spiffe://gatehouse.internal/control-plane/<id>        control-plane.gatehouse.internal
//! ```
//! The URI says who a part is; the DNS name beside it is what TLS clients check a server by. It is the
//! control plane's CA that puts both into a certificate; nothing here trusts a certificate that TLS has
//! not verified.

use std::fmt;
use std::sync::Arc;

use model::name::ServerName;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use super::Error;

/// The trust domain of every installation: roots differ, names do not.
pub const TRUST_DOMAIN: &str = "gatehouse.internal";
/// Longest node name, in bytes: it is one label of a DNS name.
pub const NODE_BYTES_MAX: usize = 63;

/// A part of this installation, as its certificate names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Peer {
    /// A client-facing proxy.
    Edge {
        /// The node's name.
        node: Arc<str>,
    },
    /// The part before one server.
    Sidecar {
        /// That server.
        server: ServerName,
        /// The node's name.
        node: Arc<str>,
    },
    /// A replica of the control plane.
    ControlPlane {
        /// The replica's name.
        id: Arc<str>,
    },
}

impl Peer {
    /// An edge.
    ///
    /// # Errors
    /// [`Error::Name`] if `node` is not a DNS label of a-z, 0-9 and `-`.
    pub fn edge(node: &str) -> Result<Self, Error> {
        Ok(Self::Edge { node: label(node)? })
    }

    /// A sidecar of `server`.
    ///
    /// # Errors
    /// As [`Self::edge`].
    pub fn sidecar(server: ServerName, node: &str) -> Result<Self, Error> {
        Ok(Self::Sidecar {
            server,
            node: label(node)?,
        })
    }

    /// A replica of the control plane.
    ///
    /// # Errors
    /// As [`Self::edge`].
    pub fn control_plane(id: &str) -> Result<Self, Error> {
        Ok(Self::ControlPlane { id: label(id)? })
    }

    /// Reads what [`fmt::Display`] writes.
    ///
    /// # Errors
    /// [`Error::Name`] for another trust domain, kind or shape.
    pub fn parse(uri: &str) -> Result<Self, Error> {
        let bad = || Error::Name(format!("{uri:?}"));
        let path = uri
            .strip_prefix("spiffe://")
            .and_then(|rest| rest.strip_prefix(TRUST_DOMAIN))
            .and_then(|rest| rest.strip_prefix('/'))
            .ok_or_else(bad)?;
        let mut parts = path.split('/');
        let peer = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some("edge"), Some(node), None, None) => Self::edge(node)?,
            (Some("sidecar"), Some(server), Some(node), None) => {
                Self::sidecar(ServerName::new(server).map_err(|_| bad())?, node)?
            }
            (Some("control-plane"), Some(id), None, None) => Self::control_plane(id)?,
            _ => return Err(bad()),
        };
        Ok(peer)
    }

    /// The name of the node or replica, without its kind.
    pub fn node(&self) -> &str {
        match self {
            Self::Edge { node } | Self::Sidecar { node, .. } => node,
            Self::ControlPlane { id } => id,
        }
    }

    /// The DNS name that stands beside the URI.
    pub fn dns_name(&self) -> String {
        match self {
            Self::Edge { node } => format!("{node}.edge.{TRUST_DOMAIN}"),
            Self::Sidecar { server, .. } => format!("{server}.sidecar.{TRUST_DOMAIN}"),
            Self::ControlPlane { .. } => format!("control-plane.{TRUST_DOMAIN}"),
        }
    }
}

/// The URI.
impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edge { node } => write!(f, "spiffe://{TRUST_DOMAIN}/edge/{node}"),
            Self::Sidecar { server, node } => {
                write!(f, "spiffe://{TRUST_DOMAIN}/sidecar/{server}/{node}")
            }
            Self::ControlPlane { id } => write!(f, "spiffe://{TRUST_DOMAIN}/control-plane/{id}"),
        }
    }
}

/// The part that a certificate names: it must hold exactly one URI, one of ours.
///
/// # Errors
/// [`Error::Certificate`] if it cannot be read, [`Error::Name`] if it names nobody, more than one, or
/// somebody of another trust domain.
pub fn peer_of(cert_der: &[u8]) -> Result<Peer, Error> {
    let certificate = parse(cert_der)?;
    let names = certificate
        .subject_alternative_name()
        .map_err(|error| Error::Certificate(error.to_string()))?
        .ok_or_else(|| Error::Name("it has no subject alternative name".to_owned()))?;
    let mut uris = names
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        });
    match (uris.next(), uris.next()) {
        (Some(uri), None) => Peer::parse(uri),
        (None, _) => Err(Error::Name("it has no URI".to_owned())),
        (Some(_), Some(_)) => Err(Error::Name("it has more than one URI".to_owned())),
    }
}

/// The public key of a certificate: an uncompressed point of P-256, as [`super::verify`] takes it.
///
/// # Errors
/// [`Error::Certificate`] if it cannot be read.
pub fn public_key_of(cert_der: &[u8]) -> Result<Vec<u8>, Error> {
    Ok(parse(cert_der)?
        .public_key()
        .subject_public_key
        .data
        .to_vec())
}

/// When a certificate ends, Unix seconds.
///
/// # Errors
/// [`Error::Certificate`] if it cannot be read.
pub fn not_after_of(cert_der: &[u8]) -> Result<i64, Error> {
    Ok(parse(cert_der)?.validity().not_after.timestamp())
}

pub(super) fn parse(cert_der: &[u8]) -> Result<X509Certificate<'_>, Error> {
    match x509_parser::parse_x509_certificate(cert_der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err(Error::Certificate("bytes after its end".to_owned())),
        Err(error) => Err(Error::Certificate(error.to_string())),
    }
}

fn label(text: &str) -> Result<Arc<str>, Error> {
    let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    let good = bytes.len() <= NODE_BYTES_MAX
        && bytes.first().is_some_and(plain)
        && bytes.last().is_some_and(plain)
        && bytes.iter().all(|b| plain(b) || *b == b'-');
    if good {
        Ok(text.into())
    } else {
        Err(Error::Name(format!(
            "{text:?} is no node name: use 1 to {NODE_BYTES_MAX} of a-z, 0-9 and -"
        )))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn names_read_back_as_written() {
        for uri in [
            "spiffe://gatehouse.internal/edge/edge-1",
            "spiffe://gatehouse.internal/sidecar/everything/s1",
            "spiffe://gatehouse.internal/control-plane/0",
        ] {
            assert_eq!(Peer::parse(uri).unwrap().to_string(), uri);
        }
    }

    #[test]
    fn other_names_are_refused() {
        for uri in [
            "spiffe://gatehouse.internal.evil/edge/e",
            "spiffe://other/edge/e",
            "https://gatehouse.internal/edge/e",
            "spiffe://gatehouse.internal/edge/",
            "spiffe://gatehouse.internal/edge/e/f",
            "spiffe://gatehouse.internal/edge/E",
            "spiffe://gatehouse.internal/edge/a.b",
            "spiffe://gatehouse.internal/sidecar/s",
            "spiffe://gatehouse.internal/sidecar/../s",
            "spiffe://gatehouse.internal/admin/a",
            "spiffe://gatehouse.internal",
        ] {
            assert!(Peer::parse(uri).is_err(), "{uri}");
        }
    }
}
