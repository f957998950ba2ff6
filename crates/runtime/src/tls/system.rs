//! Trust in the wide world: for collectors that stand outside this installation.
//!
//! Reads the system's bundle of roots, or the one that a setting names. Never used between parts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

use super::{Error, owned, provider, read_certificates};

/// Where systems keep their roots: Debian and Alpine, Fedora, SUSE, macOS and BSD.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// How we reach servers that the world knows: TLS 1.2 and 1.3, no certificate of ours. Roots are those of
/// `bundle`, else the system's.
///
/// # Errors
/// [`Error::File`] or [`Error::Pem`] if no bundle can be read.
pub fn web_client_config(
    bundle: Option<&Path>,
    alpn: &[&[u8]],
) -> Result<Arc<ClientConfig>, Error> {
    let path = bundle.map_or_else(system_bundle, Path::to_owned);
    let mut roots = RootCertStore::empty();
    // Bundles hold an odd certificate here and there: those that cannot be read are passed over.
    let (taken, _) = roots.add_parsable_certificates(read_certificates(&path)?);
    if taken == 0 {
        return Err(Error::Pem {
            path,
            why: "no usable root in it".to_owned(),
        });
    }
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = owned(alpn);
    Ok(Arc::new(config))
}

fn system_bundle() -> PathBuf {
    BUNDLES
        .iter()
        .map(PathBuf::from)
        .find(|path| path.exists())
        .unwrap_or_else(|| PathBuf::from(BUNDLES[0]))
}
