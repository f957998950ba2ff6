//! Names and globs. Everything that names something is a type of its own, so that a tool's name is never
//! taken for a server's.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Longest resource name, in bytes (CONTRACT: `[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?`).
pub const NAME_BYTES_MAX: usize = 40;

/// A resource name that does not follow the rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a name: use 1 to 40 of a-z, 0-9 and -, with a letter or digit first and last"
)]
pub struct BadName(pub String);

/// Whether `text` is a well-formed resource name. Decides without any look-up, so that an unknown
/// server and a malformed path can be told apart before anyone is authenticated.
pub fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) => {
            bytes.len() <= NAME_BYTES_MAX
                && plain(first)
                && plain(last)
                && bytes.iter().all(|b| plain(b) || *b == b'-')
        }
        _ => false,
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $type(Arc<str>);

        impl $type {
            /// Checks and takes a name.
            pub fn new(text: &str) -> Result<Self, BadName> {
                if is_name(text) { Ok(Self(text.into())) } else { Err(BadName(text.to_owned())) }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The name as shared text, without a copy.
            pub fn shared(&self) -> Arc<str> {
                self.0.clone()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// A server of the catalog.
    ServerName
);
impl ServerName {
    /// What `/mcp` is called, in records and in tokens: all servers that its caller may use. No resource can have this
    /// name.
    pub fn all() -> Self {
        Self("*".into())
    }

    /// Whether it is the name of `/mcp`.
    pub fn is_all(&self) -> bool {
        &*self.0 == "*"
    }
}

name!(
    /// An access rule.
    RuleName
);
name!(
    /// Names a group within the installation.
    GroupName
);
name!(
    /// A filter.
    FilterName
);
name!(
    /// A limit.
    LimitName
);
name!(
    /// A secret.
    SecretName
);

/// A pattern: `*` is any run of characters (also none, also `/`), `?` is exactly one; all else is itself.
///
/// Matching is linear in the text for a pattern with one `*`, and never worse than pattern × text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Glob(Arc<str>);

/// Longest glob, in bytes.
pub const GLOB_BYTES_MAX: usize = 256;

/// A glob that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadGlob {
    /// Matches nothing.
    #[error("an empty glob matches nothing")]
    Empty,
    /// Over [`GLOB_BYTES_MAX`].
    #[error("a glob has at most 256 bytes, this one {0}")]
    TooLong(usize),
    /// Characters that other glob languages give a meaning and this one does not.
    #[error("{0:?} has no meaning in a glob: only * (any run) and ? (one character) have")]
    Special(char),
    /// Control characters are never part of a name.
    #[error("a glob holds no control characters")]
    Control,
}

impl Glob {
    /// Checks and takes a pattern. `[`, `]`, `{`, `}` and `\` are refused, as their writer expects more
    /// of them than they would do here. Resource URI templates hold braces: match them with `?` or `*`.
    pub fn new(text: &str) -> Result<Self, BadGlob> {
        if text.is_empty() {
            return Err(BadGlob::Empty);
        }
        if text.len() > GLOB_BYTES_MAX {
            return Err(BadGlob::TooLong(text.len()));
        }
        for c in text.chars() {
            if matches!(c, '[' | ']' | '{' | '}' | '\\') {
                return Err(BadGlob::Special(c));
            }
            if c.is_control() {
                return Err(BadGlob::Control);
            }
        }
        Ok(Self(text.into()))
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is plain text, without `*` or `?`.
    pub fn is_literal(&self) -> bool {
        !self.0.contains(['*', '?'])
    }

    /// Whether it matches every text.
    pub fn is_any(&self) -> bool {
        self.0.bytes().all(|b| b == b'*')
    }

    /// Whether all of `text` matches.
    pub fn matches(&self, text: &str) -> bool {
        let pattern = self.0.as_bytes();
        let text = text.as_bytes();
        let (mut p, mut t) = (0, 0);
        // Where to go on after a failed try: just behind the last `*`, one character further in the text.
        let mut retry: Option<(usize, usize)> = None;
        while t < text.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    retry = Some((p + 1, t));
                    p += 1;
                }
                Some(b'?') => {
                    p += 1;
                    t += char_bytes(text[t]);
                }
                Some(byte) if *byte == text[t] => {
                    p += 1;
                    t += 1;
                }
                _ => match retry {
                    Some((after_star, from)) => {
                        let next = from + char_bytes(text[from]);
                        retry = Some((after_star, next));
                        p = after_star;
                        t = next;
                    }
                    None => return false,
                },
            }
        }
        pattern[p..].iter().all(|b| *b == b'*')
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Bytes of the UTF-8 character that begins with `lead`.
fn char_bytes(lead: u8) -> usize {
    match lead {
        0..=0xBF => 1,
        0xC0..=0xDF => 2,
        0xE0..=0xEF => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn names_follow_the_contract() {
        for good in ["a", "9", "a-b", "everything", &"x".repeat(40)] {
            assert!(is_name(good), "{good}");
        }
        for bad in [
            "",
            "-a",
            "a-",
            "A",
            "a_b",
            "a.b",
            "ä",
            &"x".repeat(41),
            "a/b",
        ] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn globs_match_whole_texts() {
        let cases = [
            ("*", "", true),
            ("*", "anything/at all", true),
            ("docs-*", "docs-eu", true),
            ("docs-*", "docs-", true),
            ("docs-*", "mydocs-eu", false),
            ("a?c", "abc", true),
            ("a?c", "aäc", true),
            ("a?c", "ac", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("*aab", "aaaab", true),
            ("echo", "echo", true),
            ("echo", "Echo", false),
        ];
        for (glob, text, expected) in cases {
            assert_eq!(
                Glob::new(glob).unwrap().matches(text),
                expected,
                "{glob} {text}"
            );
        }
    }

    #[test]
    fn globs_of_other_languages_are_refused() {
        for bad in ["", "[ab]", "{a,b}", "a\\*", "a\nb", &"x".repeat(257)] {
            assert!(Glob::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn many_stars_do_not_blow_up() {
        let glob = Glob::new(&"*a".repeat(128)).unwrap();
        assert!(!glob.matches(&"a".repeat(127)));
        assert!(!glob.matches(&format!("{}b", "a".repeat(4000))));
    }
}
