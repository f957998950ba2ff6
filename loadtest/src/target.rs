//! What is called: one or more URLs that count as one target, in which era, and by whom.
//!
//! Knows addresses; must not know how a call is made.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;

use http::{HeaderValue, Uri};
pub use mcp::revision::Era;

/// Most URLs of one target.
const URLS_MAX: usize = 64;
/// Largest file of a key, bytes.
const KEY_FILE_BYTES_MAX: u64 = 64 * 1024;

/// Why there is no such target.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No URL, or more than a target can have.
    #[error("a target has 1 to {URLS_MAX} URLs, not {0}")]
    Urls(usize),
    /// This is not a URL that can be called.
    #[error("{url:?}: {why}: write http://HOST:PORT/PATH")]
    Url {
        /// Which.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// A key that cannot be read or sent.
    #[error("the key: {0}")]
    Key(String),
}

/// A target: all its URLs lead to the same.
#[derive(Clone)]
pub struct Target {
    pub(crate) urls: Vec<Url>,
    pub(crate) authorization: Option<HeaderValue>,
    pub(crate) era: Era,
}

/// One URL, resolved.
#[derive(Debug, Clone)]
pub(crate) struct Url {
    pub(crate) text: String,
    pub(crate) address: SocketAddr,
    pub(crate) host: HeaderValue,
    /// Path and query, as it stands in a request.
    pub(crate) path: Uri,
}

impl Target {
    /// A target of modern era without a key: `Target::new(["http://127.0.0.1:7800/mcp/echo"])`.
    ///
    /// # Errors
    /// [`Error`]: a URL that is no plain HTTP one, or whose host has no address.
    pub fn new<T: AsRef<str>>(urls: impl IntoIterator<Item = T>) -> Result<Self, Error> {
        let urls: Vec<_> = urls
            .into_iter()
            .map(|url| Url::read(url.as_ref()))
            .collect::<Result<_, _>>()?;
        if urls.is_empty() || urls.len() > URLS_MAX {
            return Err(Error::Urls(urls.len()));
        }
        Ok(Self {
            urls,
            authorization: None,
            era: Era::Modern,
        })
    }

    /// Called with this API key, or with what `@FILE` holds.
    ///
    /// # Errors
    /// [`Error::Key`]: the file cannot be read, or the key cannot stand in a header.
    pub fn with_key(mut self, key: &str) -> Result<Self, Error> {
        let key = match key.strip_prefix('@') {
            Some(file) => read_key(Path::new(file))?,
            None => key.to_owned(),
        };
        let value = HeaderValue::from_str(&format!("Bearer {}", key.trim()));
        let mut value = value.map_err(|_| Error::Key("it holds more than plain text".into()))?;
        value.set_sensitive(true);
        self.authorization = Some(value);
        Ok(self)
    }

    /// Called in this era.
    #[must_use]
    pub fn speaking(self, era: Era) -> Self {
        Self { era, ..self }
    }

    /// Its URLs as they were given.
    pub fn urls(&self) -> impl Iterator<Item = &str> {
        self.urls.iter().map(|url| url.text.as_str())
    }
}

/// Without the key.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("urls", &self.urls().collect::<Vec<_>>())
            .field("era", &self.era)
            .finish_non_exhaustive()
    }
}

impl Url {
    fn read(text: &str) -> Result<Self, Error> {
        let fault = |why: &dyn fmt::Display| Error::Url {
            url: text.to_owned(),
            why: why.to_string(),
        };
        let uri: Uri = text.parse().map_err(|error| fault(&error))?;
        if uri.scheme_str() != Some("http") {
            return Err(fault(&"only plain HTTP is spoken"));
        }
        let authority = uri.authority().ok_or_else(|| fault(&"no host"))?;
        let port = uri.port_u16().unwrap_or(80);
        let host = uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let address = (host, port)
            .to_socket_addrs()
            .map_err(|error| fault(&error))?
            .next()
            .ok_or_else(|| fault(&"the host has no address"))?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self {
            text: text.to_owned(),
            address,
            host: HeaderValue::from_str(authority.as_str()).map_err(|error| fault(&error))?,
            path: path.parse().map_err(|error| fault(&error))?,
        })
    }
}

fn read_key(file: &Path) -> Result<String, Error> {
    let fault = |why: &dyn fmt::Display| Error::Key(format!("{}: {why}", file.display()));
    let length = std::fs::metadata(file)
        .map_err(|error| fault(&error))?
        .len();
    if length > KEY_FILE_BYTES_MAX {
        return Err(fault(&"larger than any key"));
    }
    std::fs::read_to_string(file).map_err(|error| fault(&error))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_url_is_an_address_and_a_path() {
        let target = Target::new(["http://127.0.0.1:7800/mcp/echo?a=b", "http://[::1]:9"]).unwrap();
        assert_eq!(target.urls[0].address, "127.0.0.1:7800".parse().unwrap());
        assert_eq!(target.urls[0].host, "127.0.0.1:7800");
        assert_eq!(target.urls[0].path, "/mcp/echo?a=b");
        assert_eq!(target.urls[1].address, "[::1]:9".parse().unwrap());
        assert_eq!(target.urls[1].path, "/");
    }

    #[test]
    fn what_cannot_be_called_is_refused() {
        for url in ["https://127.0.0.1/", "127.0.0.1:80", "/mcp", "http://", ""] {
            assert!(Target::new([url]).is_err(), "{url:?}");
        }
        assert!(matches!(Target::new([""; 0]), Err(Error::Urls(0))));
    }

    #[test]
    fn a_key_may_lie_in_a_file_and_is_never_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "gh_secret\n").unwrap();
        let target = Target::new(["http://127.0.0.1:1/"]).unwrap();
        let keyed = target
            .clone()
            .with_key(&format!("@{}", file.path().display()));
        let keyed = keyed.unwrap();
        assert_eq!(keyed.authorization.as_ref().unwrap(), "Bearer gh_secret");
        assert!(!format!("{keyed:?}").contains("secret"));
        assert!(target.clone().with_key("@/nowhere").is_err());
        assert!(target.with_key("a\nb").is_err());
    }
}
