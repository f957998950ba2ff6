//! The five released MCP revisions and the two eras they fall into.
//!
//! Knows names and order of the revisions; must not know what each puts on the wire (see [`crate::method`],
//! [`crate::era`]).

/// A released MCP revision, named after its date. Later revisions compare greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    /// 2024-11-05, HTTP+SSE.
    V2024_11_05,
    /// 2025-03-26, first Streamable HTTP; the only one with batches.
    V2025_03_26,
    /// 2025-06-18, version header, elicitation, structured output.
    V2025_06_18,
    /// 2025-11-25, tasks and URL elicitation.
    V2025_11_25,
    /// 2026-07-28, stateless.
    V2026_07_28,
}

/// How a revision keeps what belongs together: by a session, or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Era {
    /// Revisions up to 2025-11-25: one `initialize` handshake, sessions.
    Legacy,
    /// 2026-07-28 and later: every request carries its version and capabilities.
    Modern,
}

impl Revision {
    /// All revisions, oldest first.
    pub const ALL: [Self; 5] = [
        Self::V2024_11_05,
        Self::V2025_03_26,
        Self::V2025_06_18,
        Self::V2025_11_25,
        Self::V2026_07_28,
    ];
    /// The newest revision with a handshake; what a legacy client is offered when it asks for an unknown one.
    pub const LATEST_LEGACY: Self = Self::V2025_11_25;
    /// The newest revision.
    pub const LATEST: Self = Self::V2026_07_28;

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// The revision of that exact name, if it is one of the five.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|revision| revision.as_str() == name)
    }

    /// The era of this revision.
    #[must_use]
    pub const fn era(self) -> Era {
        match self {
            Self::V2026_07_28 => Era::Modern,
            _ => Era::Legacy,
        }
    }

    /// What a legacy server answers to an `initialize` that asks for `requested`: the same revision if it is a known
    /// legacy one, else the newest legacy revision (2025-11-25 basic/lifecycle).
    #[must_use]
    pub fn negotiate(requested: &str) -> Self {
        Self::parse(requested)
            .filter(|revision| revision.era() == Era::Legacy)
            .unwrap_or(Self::LATEST_LEGACY)
    }
}

impl std::fmt::Display for Revision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a version *name* belongs to the modern era, known to us or not: a date of 2026-07-28 or later.
/// Anything that is no date is not modern.
#[must_use]
pub fn names_modern(version: &str) -> bool {
    let date = version.len() == 10
        && version.bytes().enumerate().all(|(i, b)| {
            if i == 4 || i == 7 {
                b == b'-'
            } else {
                b.is_ascii_digit()
            }
        });
    date && version >= Revision::V2026_07_28.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_sort_by_date() {
        for pair in Revision::ALL.windows(2) {
            assert!(pair[0] < pair[1] && pair[0].as_str() < pair[1].as_str());
        }
        for revision in Revision::ALL {
            assert_eq!(Revision::parse(revision.as_str()), Some(revision));
        }
        assert_eq!(Revision::parse("2025-11-26"), None);
        assert_eq!(Revision::parse(" 2025-11-25"), None);
    }

    #[test]
    fn only_the_last_is_modern() {
        let modern: Vec<_> = Revision::ALL
            .into_iter()
            .filter(|r| r.era() == Era::Modern)
            .collect();
        assert_eq!(modern, [Revision::LATEST]);
        assert!(names_modern("2026-07-28") && names_modern("2031-01-01"));
        assert!(
            !names_modern("2025-11-25")
                && !names_modern("2026-07-28x")
                && !names_modern("draft-2099")
        );
    }

    #[test]
    fn a_legacy_server_never_negotiates_a_modern_revision() {
        assert_eq!(Revision::negotiate("2025-03-26"), Revision::V2025_03_26);
        assert_eq!(Revision::negotiate("2026-07-28"), Revision::LATEST_LEGACY);
        assert_eq!(Revision::negotiate("1.0"), Revision::LATEST_LEGACY);
    }
}
