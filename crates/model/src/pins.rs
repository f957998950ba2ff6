//! Which definitions of a server's tools were approved, as nodes hold them: hashes, without the text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::annotations::Hints;
use crate::name::ServerName;
use crate::snapshot::Sha256;

/// Most tools of one listing that are looked at. What comes after them is not known, and so not callable.
pub const TOOLS_MAX: usize = 2_000;

/// To which clients a definition is shown: a server may tell those of either era different things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Era {
    /// Clients with sessions.
    Legacy,
    /// Clients without.
    Modern,
}

impl Era {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Modern => "modern",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Legacy, Self::Modern]
            .into_iter()
            .find(|era| era.as_str() == text)
    }

    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::Legacy => Self::Modern,
            Self::Modern => Self::Legacy,
        }
    }
}

impl fmt::Display for Era {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The hashes of one definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hashes {
    /// Of all of it.
    pub whole: Sha256,
    /// Without what a bridge between the eras leaves out.
    pub plain: Sha256,
}

/// The approved definitions of one server's tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolPins {
    /// Whose.
    pub server: ServerName,
    /// The revision of the last change.
    pub version: u64,
    /// By tool, then era; no tool without any.
    pub tools: BTreeMap<String, BTreeMap<Era, Hashes>>,
    /// What they say of their tools, by tool: where an era was shown another definition, the worse of both. Those of
    /// which nothing is known that is better than the worst are left out.
    pub hints: BTreeMap<String, Hints>,
    /// Tools with an approved definition of which nobody has read what it says of the tool.
    pub unread: BTreeSet<(String, Era)>,
}

impl ToolPins {
    /// Whether a definition is the one that was approved for clients of `era`. Where none was for these, the one for
    /// the others counts, but for what a bridge leaves out.
    pub fn approve(&self, tool: &str, era: Era, hashes: &Hashes) -> bool {
        match self.counting(tool, era) {
            Some((of, own)) if of == era => own.whole == hashes.whole,
            Some((_, other)) => other.plain == hashes.plain,
            None => false,
        }
    }

    /// What is taken for true of a tool whose server is trusted.
    pub fn hints_of(&self, tool: &str) -> Hints {
        self.hints.get(tool).copied().unwrap_or_default()
    }

    /// The approved definition that counts for clients of `era`, and for which it was approved.
    pub fn counting(&self, tool: &str, era: Era) -> Option<(Era, &Hashes)> {
        let pinned = self.tools.get(tool)?;
        let of = |era: Era| Some((era, pinned.get(&era)?));
        of(era).or_else(|| of(era.other()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn hashes(whole: &str, plain: &str) -> Hashes {
        Hashes {
            whole: Sha256::of(whole.as_bytes()),
            plain: Sha256::of(plain.as_bytes()),
        }
    }

    #[test]
    fn what_one_era_was_shown_counts_for_the_other_until_that_has_its_own() {
        let mut pins = ToolPins {
            server: ServerName::new("docs").unwrap(),
            version: 1,
            tools: BTreeMap::new(),
            hints: BTreeMap::new(),
            unread: BTreeSet::new(),
        };
        let (seen, bridged) = (hashes("a", "p"), hashes("b", "p"));
        assert!(!pins.approve("echo", Era::Legacy, &seen));
        let legacy = BTreeMap::from([(Era::Legacy, seen)]);
        pins.tools.insert("echo".to_owned(), legacy);
        assert!(pins.approve("echo", Era::Legacy, &seen));
        assert!(!pins.approve("echo", Era::Legacy, &bridged));
        assert!(pins.approve("echo", Era::Modern, &bridged));
        assert!(!pins.approve("echo", Era::Modern, &hashes("c", "c")));
        let modern = hashes("m", "m");
        let of_echo = pins.tools.get_mut("echo").unwrap();
        of_echo.insert(Era::Modern, modern);
        assert!(!pins.approve("echo", Era::Modern, &bridged));
        assert!(pins.approve("echo", Era::Modern, &modern));
        assert!(pins.approve("echo", Era::Legacy, &seen));
    }
}
