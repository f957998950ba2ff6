//! The small certificate authority of an installation: who is who between its parts.
//!
//! One P-256 root for ten years, its key sealed in the store, shared by all replicas. Names come from us:
//! of a node's request only the public key is taken. Certificates of nodes last a day. It does not know who
//! may join: that is `join`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::prelude::*;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SanType, date_time_ymd,
};
use runtime::tls::{Identity, Peer, TRUST_DOMAIN};
use rustls_pki_types::{
    CertificateDer, CertificateSigningRequestDer, PrivateKeyDer, PrivatePkcs8KeyDer,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::clock;
use crate::store::seal::{self, Sealer};
use crate::store::{self, Store, key};

/// How long a certificate lasts, unless the operator says otherwise (CONTRACT section 2).
pub(crate) const CERTIFICATE_LASTS: Duration = Duration::from_secs(24 * 3600);
/// How long the root lasts.
const ROOT_LASTS: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// How far a peer's clock may be behind ours.
const CLOCK_SKEW: Duration = Duration::from_secs(300);
/// Most hosts in one certificate.
pub(crate) const HOSTS_MAX: usize = 32;
/// Longest DNS name.
const HOST_BYTES_MAX: usize = 253;
/// Longest certificate request. One of ours has some 200 bytes.
const CSR_BYTES_MAX: usize = 8 * 1024;
/// What the root's key is sealed for.
const SEAL_PURPOSE: &str = "ca";

/// Why a certificate was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The request is not one that we sign.
    #[error("the certificate request is refused: {0}")]
    Request(String),
    /// A host that cannot stand in this certificate.
    #[error("{host:?} cannot stand in the certificate: {why}")]
    Host {
        /// The host.
        host: String,
        /// Why not.
        why: &'static str,
    },
    /// What lies in the store is no root of ours.
    #[error("the certificate authority in the store cannot be read: {0}")]
    Corrupt(String),
    /// The crypto library refused.
    #[error("certificate: {0}")]
    Crypto(#[from] rcgen::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The root's key does not open.
    #[error(transparent)]
    Seal(#[from] seal::Error),
    /// A name that is none.
    #[error(transparent)]
    Name(#[from] runtime::tls::Error),
}

/// The root, and what it signs.
pub(crate) struct Ca {
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
    /// Names that nodes may not ask for: the control plane's own.
    terms: Terms,
}

/// On what terms certificates are given.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    /// Hosts that no node may ask for.
    pub reserved: Vec<String>,
    /// How long a certificate lasts.
    pub lasts: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            reserved: Vec::new(),
            lasts: CERTIFICATE_LASTS,
        }
    }
}

impl std::fmt::Debug for Ca {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ca").finish_non_exhaustive()
    }
}

/// As it lies in the store.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// The root, DER, base64.
    certificate: String,
    /// Its key, PKCS #8, sealed, base64.
    key: String,
}

impl Ca {
    /// Reads the root, or makes one where there is none. Of replicas that make one at the same moment the
    /// first one's is taken by all.
    ///
    /// # Errors
    /// [`Error::Store`]; [`Error::Seal`] where the master key is another than the one it was sealed under.
    pub(crate) async fn open(
        store: &dyn Store,
        sealer: &Sealer,
        mut terms: Terms,
    ) -> Result<Arc<Self>, Error> {
        let kept = match store.get(key::CA).await? {
            Some(kept) => kept,
            None => {
                let made = make_root(sealer)?;
                if !store
                    .compare_and_set(key::CA, None, Some(made.into()))
                    .await?
                {
                    tracing::debug!("another replica made the certificate authority");
                }
                let missing = || Error::Corrupt("it is gone".to_owned());
                store.get(key::CA).await?.ok_or_else(missing)?
            }
        };
        let (root, pair) = read_root(&kept, sealer)?;
        let issuer = Issuer::from_ca_cert_der(&root, pair)?;
        for host in &mut terms.reserved {
            host.make_ascii_lowercase();
        }
        Ok(Arc::new(Self {
            issuer,
            root,
            terms,
        }))
    }

    /// How long a certificate lasts.
    pub(crate) fn lasts(&self) -> Duration {
        self.terms.lasts
    }

    /// The root, DER.
    pub(crate) fn root(&self) -> &CertificateDer<'static> {
        &self.root
    }

    /// The root, PEM.
    pub(crate) fn root_pem(&self) -> String {
        let text = BASE64_STANDARD.encode(&self.root);
        let lines: Vec<&str> = (0..text.len())
            .step_by(64)
            .map(|at| &text[at..text.len().min(at + 64)])
            .collect();
        format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            lines.join("\n")
        )
    }

    /// Signs a node's request, for `peer` and `hosts`. Names in the request are ignored; its signature proves
    /// that whoever sends it has the key.
    ///
    /// # Errors
    /// [`Error::Request`], [`Error::Host`].
    pub(crate) fn sign(
        &self,
        csr: &[u8],
        peer: &Peer,
        hosts: &[String],
    ) -> Result<CertificateDer<'static>, Error> {
        if csr.len() > CSR_BYTES_MAX {
            return Err(Error::Request(format!(
                "{} bytes are over {CSR_BYTES_MAX}",
                csr.len()
            )));
        }
        for host in hosts {
            self.check_host(host)?;
        }
        let parsed =
            CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(csr));
        let mut request = parsed.map_err(|e| Error::Request(e.to_string()))?;
        if request.public_key.algorithm() != &PKCS_ECDSA_P256_SHA256 {
            return Err(Error::Request("its key is not of P-256".to_owned()));
        }
        request.params = self.leaf(peer, hosts)?;
        Ok(request.signed_by(&self.issuer)?.der().clone())
    }

    /// A new key and certificate for `peer` and `hosts`, for ourselves.
    ///
    /// # Errors
    /// [`Error::Host`].
    pub(crate) fn identity(&self, peer: &Peer, hosts: &[String]) -> Result<Identity, Error> {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = self.leaf(peer, hosts)?.signed_by(&pair, &self.issuer)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pair.serialize_der()));
        Ok(Identity {
            chain: vec![certificate.der().clone()],
            key,
            roots: vec![self.root.clone()],
        })
    }

    /// What stands in the certificate of a part: its SPIFFE name, its DNS name, and its hosts.
    fn leaf(&self, peer: &Peer, hosts: &[String]) -> Result<CertificateParams, Error> {
        if hosts.len() > HOSTS_MAX {
            let (host, why) = (hosts[HOSTS_MAX].clone(), "there are too many hosts");
            return Err(Error::Host { host, why });
        }
        let mut params = named(peer.node(), self.terms.lasts);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let uri = Ia5String::try_from(peer.to_string())?;
        let dns = Ia5String::try_from(peer.dns_name())?;
        params.subject_alt_names = vec![SanType::URI(uri), SanType::DnsName(dns)];
        for host in hosts {
            params.subject_alt_names.push(alternative_name(host)?);
        }
        Ok(params)
    }

    /// A node may be reached under any host that its operator gives it, but not under another part's name.
    fn check_host(&self, host: &str) -> Result<(), Error> {
        let lower = host.trim_end_matches('.').to_ascii_lowercase();
        let ours = lower == TRUST_DOMAIN || lower.ends_with(&format!(".{TRUST_DOMAIN}"));
        if ours || self.terms.reserved.contains(&lower) {
            let why = "it is a name of another part";
            return Err(Error::Host {
                host: host.to_owned(),
                why,
            });
        }
        Ok(())
    }
}

fn make_root(sealer: &Sealer) -> Result<Vec<u8>, Error> {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = named("Gatehouse CA", ROOT_LASTS);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&pair)?;
    let plain = Zeroizing::new(pair.serialize_der());
    let kept = Kept {
        certificate: BASE64_STANDARD.encode(certificate.der()),
        key: BASE64_STANDARD.encode(sealer.seal(SEAL_PURPOSE, key::CA, &plain)?),
    };
    Ok(serde_json::to_vec(&kept).expect("a struct of texts is always JSON"))
}

fn read_root(kept: &[u8], sealer: &Sealer) -> Result<(CertificateDer<'static>, KeyPair), Error> {
    let corrupt = |why: String| Error::Corrupt(why);
    let kept: Kept = serde_json::from_slice(kept).map_err(|e| corrupt(e.to_string()))?;
    let decode = |text: &str| {
        BASE64_STANDARD
            .decode(text)
            .map_err(|e| corrupt(e.to_string()))
    };
    let certificate = CertificateDer::from(decode(&kept.certificate)?);
    let plain = sealer.open(SEAL_PURPOSE, key::CA, &decode(&kept.key)?)?;
    let der = PrivatePkcs8KeyDer::from(plain.as_slice());
    let pair = KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ECDSA_P256_SHA256)?;
    Ok((certificate, pair))
}

fn alternative_name(host: &str) -> Result<SanType, Error> {
    let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    if let Ok(address) = bracketed.unwrap_or(host).parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let refuse = |why| Error::Host {
        host: host.to_owned(),
        why,
    };
    if host.len() > HOST_BYTES_MAX || !host.split('.').all(is_label) {
        return Err(refuse("it is neither an address nor a DNS name"));
    }
    Ok(SanType::DnsName(Ia5String::try_from(host)?))
}

/// A DNS label. No wildcards: a node is one host.
fn is_label(label: &str) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || *b == b'-';
    (1..=63).contains(&label.len())
        && label.bytes().all(|b| plain(&b))
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn named(common_name: &str, lasts: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    let now = date_time_ymd(1970, 1, 1) + clock::since_epoch();
    params.not_before = now - CLOCK_SKEW.min(lasts / 10);
    params.not_after = now + lasts;
    params
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::store::fixture;
    use model::name::ServerName;
    use runtime::tls::{new_key_and_csr, not_after_of, peer_of};

    async fn ca() -> (Arc<Ca>, tempfile::TempDir) {
        let (store, dir) = fixture::embedded();
        let sealer = Sealer::new(&[1; 32]).unwrap();
        let terms = Terms {
            reserved: vec!["cp.example.com".to_owned()],
            ..Terms::default()
        };
        (Ca::open(&*store, &sealer, terms).await.unwrap(), dir)
    }

    fn sidecar() -> Peer {
        Peer::sidecar(ServerName::new("everything").unwrap(), "everything-1").unwrap()
    }

    #[tokio::test]
    async fn a_request_gets_the_names_of_its_token_and_no_others() {
        let (ca, _dir) = ca().await;
        let (_key, csr) = new_key_and_csr().unwrap();
        let hosts = [
            "127.0.0.1".to_owned(),
            "[::1]".to_owned(),
            "box.example.com".to_owned(),
        ];
        let der = ca.sign(&csr, &sidecar(), &hosts).unwrap();
        assert_eq!(peer_of(&der).unwrap(), sidecar());
        let left = not_after_of(&der).unwrap() - clock::now_ms() / 1000;
        assert!((86_000..=86_400).contains(&left), "{left}");
        let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
        let names = parsed.subject_alternative_name().unwrap().unwrap();
        assert_eq!(names.value.general_names.len(), 5);
        assert!(!parsed.is_ca());
    }

    #[tokio::test]
    async fn names_of_other_parts_are_refused() {
        let (ca, _dir) = ca().await;
        let (_key, csr) = new_key_and_csr().unwrap();
        let refused = [
            "control-plane.gatehouse.internal",
            "Other.Sidecar.Gatehouse.Internal",
            "gatehouse.internal.",
            "cp.example.com",
            "CP.example.com",
            "*.example.com",
            "a b",
            "",
        ];
        for host in refused {
            let signed = ca.sign(&csr, &sidecar(), &[host.to_owned()]);
            assert!(matches!(signed, Err(Error::Host { .. })), "{host}");
        }
    }

    #[tokio::test]
    async fn a_request_that_is_not_signed_by_its_key_is_refused() {
        let (ca, _dir) = ca().await;
        let (_key, mut csr) = new_key_and_csr().unwrap();
        let last = csr.len() - 1;
        csr[last] ^= 1;
        assert!(matches!(
            ca.sign(&csr, &sidecar(), &[]),
            Err(Error::Request(_))
        ));
        assert!(matches!(
            ca.sign(&[0; 9000], &sidecar(), &[]),
            Err(Error::Request(_))
        ));
    }

    #[tokio::test]
    async fn all_replicas_and_all_starts_have_one_root() {
        let (store, _dir) = fixture::embedded();
        let sealer = Sealer::new(&[1; 32]).unwrap();
        let (a, b) = tokio::join!(
            Ca::open(&*store, &sealer, Terms::default()),
            Ca::open(&*store, &sealer, Terms::default())
        );
        assert_eq!(a.unwrap().root(), b.unwrap().root());
        let other = Sealer::new(&[2; 32]).unwrap();
        assert!(matches!(
            Ca::open(&*store, &other, Terms::default()).await,
            Err(Error::Seal(_))
        ));
    }

    #[tokio::test]
    async fn the_root_as_pem_is_the_root() {
        use rustls_pki_types::pem::PemObject;
        let (ca, _dir) = ca().await;
        let read = CertificateDer::from_pem_slice(ca.root_pem().as_bytes()).unwrap();
        assert_eq!(&read, ca.root());
    }
}
