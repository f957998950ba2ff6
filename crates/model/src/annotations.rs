//! What the definitions of tools say of what the tools do, and what rules want of it: MCP's hints.
//!
//! ```text
//! Annotations   as they were given: each hint true, false, or not said
//! Hints         what is taken for true of a tool: as it says, else MCP's defaults, which are the worst case
//! ```

use std::fmt;

/// One of MCP's hints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hint {
    /// It does not modify its environment.
    ReadOnly,
    /// It may destroy or overwrite, not only add.
    Destructive,
    /// Calling it again with the same arguments changes nothing more.
    Idempotent,
    /// It may reach out to anything, not only to what is its own.
    OpenWorld,
}

impl Hint {
    /// All of them, in MCP's order.
    pub const ALL: [Self; 4] = [
        Self::ReadOnly,
        Self::Destructive,
        Self::Idempotent,
        Self::OpenWorld,
    ];

    /// As MCP writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "readOnlyHint",
            Self::Destructive => "destructiveHint",
            Self::Idempotent => "idempotentHint",
            Self::OpenWorld => "openWorldHint",
        }
    }

    /// What it is where nothing is said: MCP's default, which is the worst that there could be.
    pub const fn worst(self) -> bool {
        matches!(self, Self::Destructive | Self::OpenWorld)
    }

    const fn place(self) -> usize {
        self as usize
    }
}

/// Hints as they were given: of a definition what it says, of a rule what it wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Annotations([Option<bool>; 4]);

impl Annotations {
    /// What is given of a hint.
    pub const fn get(&self, hint: Hint) -> Option<bool> {
        self.0[hint.place()]
    }

    /// The same with this hint.
    #[must_use]
    pub const fn with(mut self, hint: Hint, value: Option<bool>) -> Self {
        self.0[hint.place()] = value;
        self
    }

    /// Whether nothing is given.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// All that is given.
    pub fn given(&self) -> impl Iterator<Item = (Hint, bool)> {
        Hint::ALL
            .into_iter()
            .zip(self.0)
            .filter_map(|(hint, value)| Some((hint, value?)))
    }

    /// Whether a tool is as it is wanted here.
    pub fn hold(&self, hints: &Hints) -> bool {
        self.given().all(|(hint, wanted)| hints.get(hint) == wanted)
    }

    /// Whether every tool that is as `other` wants it is as it is wanted here.
    pub fn cover(&self, other: &Self) -> bool {
        self.given()
            .all(|(hint, wanted)| other.get(hint) == Some(wanted))
    }
}

impl fmt::Display for Annotations {
    /// `readOnlyHint: true, openWorldHint: false`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (hint, value)) in self.given().enumerate() {
            let between = if i == 0 { "" } else { ", " };
            write!(f, "{between}{}: {value}", hint.as_str())?;
        }
        Ok(())
    }
}

/// What is taken for true of a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hints([bool; 4]);

impl Default for Hints {
    fn default() -> Self {
        Self(Hint::ALL.map(Hint::worst))
    }
}

impl Hints {
    /// By what a definition says. A tool that modifies nothing destroys nothing, and changes nothing when called again:
    /// unless it says otherwise itself.
    pub fn of(said: &Annotations) -> Self {
        let reads_only = said.get(Hint::ReadOnly) == Some(true);
        let of = |hint: Hint| {
            let left_out = match hint {
                Hint::Destructive | Hint::Idempotent if reads_only => !hint.worst(),
                _ => hint.worst(),
            };
            said.get(hint).unwrap_or(left_out)
        };
        Self(Hint::ALL.map(of))
    }

    /// One of them.
    pub const fn get(&self, hint: Hint) -> bool {
        self.0[hint.place()]
    }

    /// The worse of two: a hint is better than its default only where it is so in both.
    #[must_use]
    pub fn worse(&self, other: &Self) -> Self {
        Self(
            Hint::ALL.map(|hint| match self.get(hint) == other.get(hint) {
                true => self.get(hint),
                false => hint.worst(),
            }),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(given: &[(Hint, bool)]) -> Annotations {
        let add = |all: Annotations, (hint, value): &(Hint, bool)| all.with(*hint, Some(*value));
        given.iter().fold(Annotations::default(), add)
    }

    fn hints(given: &[(Hint, bool)]) -> [bool; 4] {
        Hints::of(&said(given)).0
    }

    #[test]
    fn what_is_not_said_is_the_worst_that_there_could_be() {
        assert_eq!(Hints::default().0, [false, true, false, true]);
        assert_eq!(hints(&[]), Hints::default().0);
        assert_eq!(
            hints(&[(Hint::OpenWorld, false)]),
            [false, true, false, false]
        );
        assert_eq!(hints(&[(Hint::ReadOnly, false)]), Hints::default().0);
    }

    #[test]
    fn what_modifies_nothing_destroys_nothing_unless_it_says_so() {
        assert_eq!(hints(&[(Hint::ReadOnly, true)]), [true, false, true, true]);
        assert_eq!(
            hints(&[
                (Hint::ReadOnly, true),
                (Hint::Destructive, true),
                (Hint::Idempotent, false)
            ]),
            [true, true, false, true]
        );
    }

    #[test]
    fn of_two_the_worse_counts_hint_by_hint() {
        let reads = Hints::of(&said(&[(Hint::ReadOnly, true)]));
        let closed = Hints::of(&said(&[
            (Hint::OpenWorld, false),
            (Hint::Destructive, false),
        ]));
        assert_eq!(reads.worse(&closed).0, [false, false, false, true]);
        assert_eq!(reads.worse(&closed), closed.worse(&reads));
        assert_eq!(reads.worse(&reads), reads);
        assert_eq!(reads.worse(&Hints::default()), Hints::default());
    }

    #[test]
    fn all_that_is_wanted_must_be_so() {
        let wanted = said(&[(Hint::ReadOnly, true), (Hint::OpenWorld, false)]);
        assert_eq!(
            wanted.to_string(),
            "readOnlyHint: true, openWorldHint: false"
        );
        assert!(!wanted.hold(&Hints::of(&said(&[(Hint::ReadOnly, true)]))));
        assert!(wanted.hold(&Hints::of(&wanted)));
        let reads = said(&[(Hint::ReadOnly, true)]);
        assert!(reads.cover(&wanted) && !wanted.cover(&reads));
        assert!(
            Annotations::default().cover(&reads) && Annotations::default().hold(&Hints::default())
        );
        assert!(said(&[(Hint::Destructive, true)]).hold(&Hints::default()));
    }
}
