//! URLs of servers and receivers that Gatehouse calls: read strictly, so that nobody behind us reads another host.
//!
//! Taken is `http(s)://host[:port][/path][?query]` with a DNS name or a plain IP address as host. Refused is whatever
//! two readers take differently: user and password, a fragment, hosts such as `0x7f.1` or `2130706433`, a trailing
//! dot, backslashes, blanks, what is not ASCII. It does not resolve names; whether an address may be reached is asked
//! where the connection is made.

use core::net::{IpAddr, Ipv6Addr};
use std::fmt;

/// Longest URL, in bytes.
pub const URL_BYTES_MAX: usize = 2048;

/// A URL that was read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HttpUrl {
    /// Whether it is `https`.
    pub is_https: bool,
    /// Where.
    pub host: Host,
    /// The port, given or the scheme's own.
    pub port: u16,
    /// Path and query: begins with `/`.
    pub path: String,
}

/// A host as it is written in a URL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A DNS name, in lower case.
    Name(String),
    /// An address.
    Address(IpAddr),
}

/// Why a text is no URL that is taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Another scheme, or none.
    #[error("it must begin with https:// or http://")]
    Scheme,
    /// Over [`URL_BYTES_MAX`].
    #[error("it is longer than {URL_BYTES_MAX} bytes")]
    TooLong,
    /// A character that no URL has, or that readers take differently.
    #[error("it holds {0:?}, which is not allowed in it")]
    Character(char),
    /// User and password.
    #[error("it must hold no user and no password: use a header from config")]
    UserInfo,
    /// No host, or none that everybody reads as the same.
    #[error("{0:?} is not a host name or address")]
    Host(String),
    /// No port.
    #[error("{0:?} is not a port")]
    Port(String),
    /// `.` and `..` are taken out by some readers.
    #[error("its path must have no . and .. segments")]
    Dots,
}

impl HttpUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`Error`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > URL_BYTES_MAX {
            return Err(Error::TooLong);
        }
        let (is_https, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(Error::Scheme),
        };
        if let Some(bad) = rest.chars().find(|c| !is_plain(*c)) {
            return Err(Error::Character(bad));
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(Error::UserInfo);
        }
        let (host, port) = split_port(authority)?;
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        };
        check_path(&path)?;
        Ok(Self {
            is_https,
            host: Host::parse(host)?,
            port: port.unwrap_or(if is_https { 443 } else { 80 }),
            path,
        })
    }

    /// `host[:port]`, without the scheme's own port: what the `Host` header says.
    pub fn authority(&self) -> String {
        let own = if self.is_https { 443 } else { 80 };
        if self.port == own {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

impl Host {
    fn parse(text: &str) -> Result<Self, Error> {
        let bad = || Error::Host(text.to_owned());
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or_else(bad)?;
            let address: Ipv6Addr = inner.parse().map_err(|_| bad())?;
            return Ok(Self::Address(IpAddr::V6(address)));
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(IpAddr::V4(address)));
        }
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        let last = text.rsplit('.').next().unwrap_or_default();
        // Some readers take a name that ends in a number for an address (WHATWG URL, "ends in a number").
        let numeric =
            last.bytes().all(|b| b.is_ascii_digit()) || last.to_ascii_lowercase().starts_with("0x");
        if text.len() > 253 || numeric || !text.split('.').all(is_label) {
            return Err(bad());
        }
        Ok(Self::Name(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), Error> {
    let after_host = authority.rfind(']').map_or(0, |at| at + 1);
    let Some(colon) = authority[after_host..].find(':') else {
        return Ok((authority, None));
    };
    let (host, port) = authority.split_at(after_host + colon);
    let port = &port[1..];
    let is_number = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    match port.parse() {
        Ok(number @ 1..) if is_number => Ok((host, Some(number))),
        _ => Err(Error::Port(port.to_owned())),
    }
}

fn check_path(path: &str) -> Result<(), Error> {
    let path = path.split('?').next().unwrap_or_default();
    let dots = |segment: &str| {
        let plain = segment.to_ascii_lowercase().replace("%2e", ".");
        plain == "." || plain == ".."
    };
    if path.split('/').any(dots) {
        return Err(Error::Dots);
    }
    Ok(())
}

/// Visible ASCII without what some readers repair: backslash, quotes, angle brackets, fragment.
fn is_plain(c: char) -> bool {
    c.is_ascii_graphic()
        && !matches!(
            c,
            '\\' | '"' | '<' | '>' | '^' | '`' | '{' | '|' | '}' | '#'
        )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn what_is_taken_is_written_as_it_was_meant() {
        for (text, written) in [
            ("https://mcp.example.com/mcp", "https://mcp.example.com/mcp"),
            ("https://MCP.example.com", "https://mcp.example.com/"),
            (
                "https://mcp.example.com:443?x=1",
                "https://mcp.example.com/?x=1",
            ),
            (
                "http://127.0.0.1:8080/a/b?c=%20d",
                "http://127.0.0.1:8080/a/b?c=%20d",
            ),
            ("http://[::1]:9/mcp", "http://[::1]:9/mcp"),
            (
                "https://my_host.internal/x..y/",
                "https://my_host.internal/x..y/",
            ),
        ] {
            assert_eq!(HttpUrl::parse(text).unwrap().to_string(), written, "{text}");
        }
    }

    #[test]
    fn what_two_readers_take_differently_is_refused() {
        for bad in [
            "",
            "example.com",
            "HTTPS://example.com",
            "ftp://example.com",
            "https:/example.com",
            "https://",
            "https:///path",
            "https://ok@127.0.0.1/",
            "https://a:b@example.com/",
            "http://0x7f.1/",
            "http://0x7f000001/",
            "http://2130706433/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://127.0.0.1./",
            "http://localhost./",
            "http://1.2.3.4.5/",
            "http://[::1/",
            "http://[::1%25eth0]/",
            "http://[127.0.0.1]/",
            "https://example.com:/",
            "https://example.com:0/",
            "https://example.com:99999/",
            "https://example.com:+80/",
            "https://exa mple.com/",
            "https://example.com\\@evil.test/",
            "https://example.com/a\\b",
            "https://example.com/#x",
            "https://example.com/../admin",
            "https://example.com/a/%2e%2E/admin",
            "https://example.com/\r\nx: y",
            "https://ex\u{e4}mple.com/",
            "https://\u{ff45}xample.com/",
            "https://-a.example.com/",
            "https://a..b/",
        ] {
            assert!(HttpUrl::parse(bad).is_err(), "{bad:?}");
        }
    }
}
