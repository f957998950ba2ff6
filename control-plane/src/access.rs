//! Who may change what: for now, who has an administrator's token may change everything.
//!
//! Tokens are read from a file at start and kept as hashes; they are compared in constant time. It does not
//! know what is asked.

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use model::snapshot::Sha256;
use runtime::tls::{Peer, peer_of};
use tonic::metadata::MetadataMap;
use tonic::service::Interceptor;
use tonic::{Code, Request, Status};
use zeroize::Zeroizing;

use crate::keys;
use crate::service::status;
use crate::store::seal::{self, read_private};

/// Shortest token that is taken: what can be guessed is no token.
const TOKEN_BYTES_MIN: usize = 16;
/// Longest token that is looked at.
const TOKEN_BYTES_MAX: usize = 1024;
/// Most tokens in the file.
const TOKENS_MAX: usize = 64;

/// Why there is nobody who may do anything.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The file.
    #[error(transparent)]
    File(#[from] seal::Error),
    /// The file holds no token, too many, or one that can be guessed.
    #[error(
        "{0} must hold one administrator's token a line, each of at least {TOKEN_BYTES_MIN} bytes"
    )]
    NoToken(String),
}

/// Whoever showed a good token, or the certificate of a replica.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Named in history.
    pub name: Arc<str>,
    /// Whether it is another replica: that only reads, and only what is here.
    is_replica: bool,
}

/// An API key that was shown in the place of a token. Whether it is good is not known yet.
#[derive(Clone)]
pub(crate) struct ApiKey(pub(crate) Zeroizing<String>);

/// The tokens that are good.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    hashes: Arc<[[u8; 32]]>,
}

impl Access {
    /// Reads tokens, one a line; readable by their owner only.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let text = read_private(path)?;
        let tokens: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|l| !l.is_empty() && !l.starts_with('#'))
            .collect();
        let good = (1..=TOKENS_MAX).contains(&tokens.len())
            && tokens
                .iter()
                .all(|t| (TOKEN_BYTES_MIN..=TOKEN_BYTES_MAX).contains(&t.len()));
        if !good {
            return Err(Error::NoToken(path.display().to_string()));
        }
        Ok(Self {
            hashes: tokens.iter().map(|t| Sha256::of(t.as_bytes()).0).collect(),
        })
    }

    /// Who calls. `None`: somebody who shows no token.
    ///
    /// # Errors
    /// UNAUTHENTICATED where the token is not good.
    fn caller(&self, metadata: &MetadataMap) -> Result<Option<Caller>, Status> {
        let mut given = metadata.get_all("authorization").iter();
        let (first, second) = (given.next(), given.next());
        let Some(value) = first else {
            return Ok(None);
        };
        let token = value
            .to_str()
            .ok()
            .and_then(|text| text.split_once(' '))
            .filter(|(scheme, token)| {
                second.is_none()
                    && scheme.eq_ignore_ascii_case("bearer")
                    && token.len() <= TOKEN_BYTES_MAX
            })
            .map(|(_, token)| Sha256::of(token.trim().as_bytes()).0);
        // All are compared, whichever it is.
        let is_good = token.is_some_and(|token| {
            self.hashes.iter().fold(false, |good, known| {
                good | verify_slices_are_equal(known, &token).is_ok()
            })
        });
        if is_good {
            Ok(Some(Caller {
                name: "admin".into(),
                is_replica: false,
            }))
        } else {
            Err(status::unauthenticated(
                "GH3003",
                "the token is not one of this control plane's",
            ))
        }
    }

    /// Lets nobody in without a good token.
    pub(crate) fn strict(self) -> impl Interceptor + Clone + Send + Sync + 'static {
        move |request: Request<()>| {
            let request = self.identify(request)?;
            reader(&request)?;
            Ok(request)
        }
    }

    /// Refuses a token that is not good, and lets in whoever shows none: each method that is not for
    /// everybody then asks [`caller`].
    pub(crate) fn lenient(self) -> impl Interceptor + Clone + Send + Sync + 'static {
        move |request: Request<()>| self.identify(request)
    }

    /// As [`Self::strict`], but an API key may stand in the place of a token: whoever is asked then looks whose it is.
    pub(crate) fn or_api_key(self) -> impl Interceptor + Clone + Send + Sync + 'static {
        move |mut request: Request<()>| {
            if let Some(key) = api_key(request.metadata()) {
                request.extensions_mut().insert(key);
                return Ok(request);
            }
            let request = self.identify(request)?;
            reader(&request)?;
            Ok(request)
        }
    }

    fn identify(&self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let caller = match self.caller(request.metadata())? {
            None => replica(&request),
            caller => caller,
        };
        if let Some(caller) = caller {
            request.extensions_mut().insert(caller);
        }
        Ok(request)
    }
}

fn api_key(metadata: &MetadataMap) -> Option<ApiKey> {
    let mut given = metadata.get_all("authorization").iter();
    let (value, None) = (given.next()?.to_str().ok()?, given.next()) else {
        return None;
    };
    let (scheme, key) = value.split_once(' ')?;
    let is_key = scheme.eq_ignore_ascii_case("bearer")
        && key.len() <= TOKEN_BYTES_MAX
        && key.trim().starts_with(keys::PREFIX);
    is_key.then(|| ApiKey(Zeroizing::new(key.trim().to_owned())))
}

/// Another replica, by the certificate that TLS has verified.
fn replica(request: &Request<()>) -> Option<Caller> {
    let certificates = request.peer_certs()?;
    match peer_of(certificates.first()?) {
        Ok(Peer::ControlPlane { id }) => Some(Caller {
            name: id,
            is_replica: true,
        }),
        _ => None,
    }
}

/// Who calls, and may change everything.
///
/// # Errors
/// UNAUTHENTICATED where no token was shown; PERMISSION_DENIED for another replica.
pub(crate) fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    let caller = reader(request)?;
    if caller.is_replica {
        let message = "another replica only reads: changes are an administrator's";
        return Err(status::with_code(Code::PermissionDenied, "GH3004", message));
    }
    Ok(caller)
}

/// Who calls, to read: an administrator, or another replica.
///
/// # Errors
/// UNAUTHENTICATED where no token was shown.
pub(crate) fn reader<T>(request: &Request<T>) -> Result<Caller, Status> {
    request.extensions().get().cloned().ok_or_else(|| {
        status::unauthenticated(
            "GH3003",
            "this needs an administrator's token: authorization: Bearer TOKEN",
        )
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn read(text: &str) -> Result<Access, Error> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.token");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        Access::read(&path)
    }

    fn with(values: &[&str]) -> Request<()> {
        let mut request = Request::new(());
        for value in values {
            request
                .metadata_mut()
                .append("authorization", value.parse().unwrap());
        }
        request
    }

    #[test]
    fn only_a_good_token_makes_a_caller() {
        let access = read(&format!("# ours\n{TOKEN}\nanother-token-of-some-length\n")).unwrap();
        let mut strict = access.clone().strict();
        let mut lenient = access.lenient();
        let good = format!("Bearer {TOKEN}");
        for good in [
            good.as_str(),
            &format!("bearer {TOKEN}"),
            "Bearer another-token-of-some-length",
        ] {
            assert!(
                caller(&strict.call(with(&[good])).unwrap()).is_ok(),
                "{good}"
            );
        }
        let bad = [
            "Bearer wrong",
            TOKEN,
            "Bearer ",
            "Basic abc",
            &format!("Bearer {TOKEN}x"),
        ];
        for bad in bad {
            assert!(
                strict.call(with(&[bad])).is_err() && lenient.call(with(&[bad])).is_err(),
                "{bad}"
            );
        }
        assert!(
            strict.call(with(&[&good, &good])).is_err(),
            "two are one too many"
        );
        assert!(strict.call(with(&[])).is_err());
        assert!(caller(&lenient.call(with(&[])).unwrap()).is_err());
    }

    #[test]
    fn files_without_a_real_token_are_refused() {
        for text in ["", "# only a comment\n", "short\n"] {
            assert!(matches!(read(text), Err(Error::NoToken(_))), "{text:?}");
        }
    }
}
