//! Identities made by a throw-away CA, and handshakes between them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose, SanType,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;

struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn root(&self) -> CertificateDer<'static> {
        let certificate: &rcgen::Certificate = self.0.as_ref();
        certificate.der().clone()
    }

    fn issue(&self, uris: &[&str], dns: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![dns.to_owned()]).unwrap();
        for uri in uris {
            params
                .subject_alt_names
                .push(SanType::URI((*uri).try_into().unwrap()));
        }
        let now = SystemTime::now();
        params.not_before = (now - Duration::from_secs(60)).into();
        params.not_after = (now + Duration::from_secs(3600)).into();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity {
            chain: vec![certificate.der().clone()],
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            roots: vec![self.root()],
        }
    }

    fn peer(&self, peer: &Peer) -> Identity {
        self.issue(&[&peer.to_string()], &peer.dns_name())
    }
}

fn edge() -> Peer {
    Peer::edge("e1").unwrap()
}

fn sidecar() -> Peer {
    Peer::sidecar(model::name::ServerName::new("everything").unwrap(), "s1").unwrap()
}

/// What each side says of a handshake in which the client sends one byte.
async fn handshake(
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    name: &str,
) -> (std::io::Result<()>, std::io::Result<Option<Vec<u8>>>) {
    let (near, far) = duplex(64 * 1024);
    let name = rustls_pki_types::ServerName::try_from(name.to_owned()).unwrap();
    let client = async move {
        let mut stream = TlsConnector::from(client).connect(name, near).await?;
        stream.write_all(b"x").await?;
        // TLS 1.3 clients hear of a refused certificate with the first read only.
        stream.read_u8().await.map(drop)
    };
    let server = async move {
        let mut stream = TlsAcceptor::from(server).accept(far).await?;
        let byte = stream.read_u8().await?;
        stream.write_all(&[byte]).await?;
        stream.flush().await?;
        let connection = stream.get_ref().1;
        assert_eq!(
            connection.protocol_version(),
            Some(rustls::ProtocolVersion::TLSv1_3)
        );
        Ok(connection
            .peer_certificates()
            .map(|chain| chain[0].to_vec()))
    };
    tokio::join!(client, server)
}

#[tokio::test]
async fn parts_know_each_other_after_the_handshake() {
    let ca = Ca::new();
    let server = server_config(&ca.peer(&sidecar()), ClientAuth::Required, &[H2]).unwrap();
    let client = client_config(&ca.peer(&edge()), &[H2]).unwrap();
    let (near, far) = handshake(client, server, &sidecar().dns_name()).await;
    near.unwrap();
    assert_eq!(peer_of(&far.unwrap().unwrap()).unwrap(), edge());
}

#[tokio::test]
async fn a_sidecar_of_another_server_is_not_taken_for_this_one() {
    let ca = Ca::new();
    let server = server_config(&ca.peer(&sidecar()), ClientAuth::Required, &[]).unwrap();
    let client = client_config(&ca.peer(&edge()), &[]).unwrap();
    let (near, _) = handshake(client, server, "time.sidecar.gatehouse.internal").await;
    assert!(near.is_err());
}

#[tokio::test]
async fn certificates_of_another_installation_are_refused_by_both_sides() {
    let (ours, theirs) = (Ca::new(), Ca::new());
    let server = server_config(&ours.peer(&sidecar()), ClientAuth::Required, &[]).unwrap();
    let mut stranger = theirs.peer(&edge());
    let client = client_config(&stranger, &[]).unwrap();
    let (near, far) = handshake(client, server.clone(), &sidecar().dns_name()).await;
    assert!(
        near.is_err() && far.is_err(),
        "the client trusts another root"
    );

    stranger.roots = ours.peer(&edge()).roots;
    let client = client_config(&stranger, &[]).unwrap();
    let (near, far) = handshake(client, server, &sidecar().dns_name()).await;
    assert!(
        near.is_err() && far.is_err(),
        "the server trusts another root"
    );
}

#[tokio::test]
async fn without_a_certificate_only_an_optional_door_opens() {
    let ca = Ca::new();
    let identity = ca.peer(&Peer::control_plane("0").unwrap());
    let client = anonymous_client_config(&identity.roots, &[]).unwrap();
    let name = "control-plane.gatehouse.internal";
    let open = server_config(&identity, ClientAuth::Optional, &[]).unwrap();
    let (near, far) = handshake(client.clone(), open, name).await;
    near.unwrap();
    assert_eq!(far.unwrap(), None);
    let closed = server_config(&identity, ClientAuth::Required, &[]).unwrap();
    let (near, far) = handshake(client, closed, name).await;
    assert!(near.is_err() && far.is_err());
}

#[test]
fn a_certificate_names_exactly_one_part() {
    let ca = Ca::new();
    let uri = edge().to_string();
    let of = |uris: &[&str]| peer_of(&ca.issue(uris, "x.example").chain[0]);
    assert_eq!(of(&[&uri]).unwrap(), edge());
    assert!(matches!(of(&[]), Err(Error::Name(_))));
    assert!(matches!(of(&[&uri, &uri]), Err(Error::Name(_))));
    assert!(matches!(
        of(&["spiffe://elsewhere/edge/e1"]),
        Err(Error::Name(_))
    ));
    assert!(matches!(peer_of(b"rubbish"), Err(Error::Certificate(_))));
}

#[test]
fn an_identity_reads_back_as_saved() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("tls");
    assert!(!Identity::exists(&dir));
    let made = Ca::new().peer(&edge());
    made.save(&dir).unwrap();
    let read = Identity::load(&dir).unwrap();
    assert_eq!(read.chain, made.chain);
    assert_eq!(read.roots, made.roots);
    assert_eq!(read.key.secret_der(), made.key.secret_der());
    assert_eq!(&*read.node().unwrap(), "e1");
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs() as i64;
    assert!(read.is_valid_at(now));
    assert!(!read.is_valid_at(now + 3700) && !read.is_valid_at(now - 100));
    assert!((read.not_after().unwrap() - now - 3600).abs() < 5);
    assert!(!format!("{read:?}").contains("PRIVATE"));
}

#[test]
fn signatures_hold_for_one_message_and_one_key() {
    let ca = Ca::new();
    let (one, other) = (ca.peer(&edge()), ca.peer(&sidecar()));
    let signature = one.node_key().unwrap().sign(b"who calls").unwrap();
    let public = public_key_of(&one.chain[0]).unwrap();
    assert!(verify(&public, b"who calls", &signature));
    assert!(!verify(&public, b"who else calls", &signature));
    assert!(!verify(
        &public_key_of(&other.chain[0]).unwrap(),
        b"who calls",
        &signature
    ));
    assert_eq!(one.node_key().unwrap().public_key(), public);
}

#[test]
fn a_request_names_nobody() {
    let (der, csr) = new_key_and_csr().unwrap();
    NodeKey::from_pkcs8(&der).unwrap();
    let request = rcgen::CertificateSigningRequestParams::from_der(&csr.into()).unwrap();
    assert!(request.params.subject_alt_names.is_empty());
}

#[test]
fn a_public_configuration_names_the_file_that_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    let error = public_server_config(&cert, &key).unwrap_err().to_string();
    assert!(error.contains("cert.pem"), "{error}");
    let identity = Ca::new().peer(&edge());
    identity.save(dir.path()).unwrap();
    let pem = dir.path().join("identity.pem");
    std::fs::write(&key, "nothing").unwrap();
    let error = public_server_config(&pem, &key).unwrap_err().to_string();
    assert!(error.contains("key.pem"), "{error}");
    public_server_config(&pem, &pem).unwrap();
}
