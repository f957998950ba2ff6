//! What is wrong with something that an operator wrote: one fault, and the table of all codes.
//!
//! Knows no files and no lines; [`crate::yaml`] adds those. A code is kept for ever, so that a search for it
//! finds the right page: GH1 is files, GH2 is references and policy.

use std::fmt;

/// One fault of one resource.
///
/// The message continues the path: `spec.limits.startup: 10x is not a duration`. One that begins with `is `
/// continues it as a sentence: `spec.limits.idel is not a field of Server`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where, as users write it: `spec.limits.startup`, `spec.servers[1]`. Empty: the whole.
    pub path: String,
    /// A code of [`CODES`].
    pub code: &'static str,
    /// What is wrong, with the value that is.
    pub message: String,
    /// One edit or command that mends it, where one is known to.
    pub fix: Option<String>,
}

impl Fault {
    /// A fault without a fix.
    pub fn new(path: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            code,
            message: message.into(),
            fix: None,
        }
    }

    /// The same fault with what mends it.
    #[must_use]
    pub fn with_fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.path.is_empty(), self.message.starts_with("is ")) {
            (true, _) => f.write_str(&self.message),
            (false, true) => write!(f, "{} {}", self.path, self.message),
            (false, false) => write!(f, "{}: {}", self.path, self.message),
        }
    }
}

impl std::error::Error for Fault {}

/// A field that the kind does not have.
pub const UNKNOWN_FIELD: &str = "GH1001";
/// A value of the wrong type or out of its range.
pub const BAD_VALUE: &str = "GH1002";
/// A field that must be given and is not.
pub const MISSING: &str = "GH1003";
/// None, or more than one, of fields of which exactly one is wanted.
pub const ONE_OF: &str = "GH1004";
/// Text that is neither YAML nor JSON, or uses what is refused of them.
pub const NOT_YAML: &str = "GH1005";
/// A kind or an apiVersion that does not exist.
pub const UNKNOWN_KIND: &str = "GH1006";
/// The same key, or the same resource, twice.
pub const DUPLICATE: &str = "GH1007";
/// A file that cannot be read.
pub const UNREADABLE: &str = "GH1008";
/// A name of something that is not there.
pub const DANGLING: &str = "GH2001";
/// Something that later versions do.
pub const UNSUPPORTED: &str = "GH2002";
/// A pattern that is not one.
pub const BAD_GLOB: &str = "GH2003";
/// Something that can never take effect.
pub const NEVER_MATCHES: &str = "GH2004";
/// A pattern that matches nothing that is there now. A warning.
pub const MATCHES_NOTHING: &str = "GH2005";
/// More than a bound allows.
pub const TOO_MUCH: &str = "GH2006";

/// Rules that take each other's effect. A warning.
pub const OVERLAPS: &str = "GH2007";

/// Every code: its title, and the long text that `gatehouse explain CODE` prints.
pub const CODES: &[(&str, &str, &str)] = &[
    (
        UNKNOWN_FIELD,
        "unknown field",
        "A field was given that this kind does not have. Nothing is ignored: a misspelt field would otherwise \
         leave a rule wider, or a bound looser, than its writer meant. Names are case-sensitive. The message \
         offers the nearest name that would be right in that place.",
    ),
    (
        BAD_VALUE,
        "wrong type or value",
        "A value is not of the type that its field wants, or is out of range. Durations are written 500ms, 30s, \
         15m or 24h; sizes 512Mi or 1Gi; processors \"0.5\". Text that looks like a number or like true and false \
         wants quotes: version: \"1.0\".",
    ),
    (
        MISSING,
        "missing field",
        "A field that has no default was left out. The place shown is the nearest thing around it that is there.",
    ),
    (
        ONE_OF,
        "exactly one of several",
        "Some fields exclude each other, such as the ways to run a server or a rule's subjects and everyone. \
         Give exactly one of those that the message names.",
    ),
    (
        NOT_YAML,
        "not YAML or JSON",
        "The text could not be read. Tabs for indentation and unclosed quotes are frequent causes. Anchors, aliases \
         and tags are refused, as is nesting deeper than 64 levels. The rest of the file was not looked at.",
    ),
    (
        UNKNOWN_KIND,
        "unknown kind or apiVersion",
        "Every document names its form and what it is: apiVersion: gatehouse.dev/v1 and a kind.",
    ),
    (
        DUPLICATE,
        "given twice",
        "The same key stands twice in one mapping, or the same resource (kind and name) twice among the files \
         given. Which one was meant cannot be known, so neither is taken.",
    ),
    (
        UNREADABLE,
        "file cannot be read",
        "A file that was named, or that lies in a folder that was named, could not be read, or is larger than a \
         configuration file may be. It is never skipped: what it holds would be missing without anyone noticing.",
    ),
    (
        DANGLING,
        "reference to nothing",
        "A rule, filter or virtual server names a server that does not exist, neither among what is applied nor in the catalog. \
         Apply the server first or together with it, or use a glob, which may match nothing yet.",
    ),
    (
        UNSUPPORTED,
        "not supported by this version",
        "The field or kind is part of Gatehouse's format, but this version does not act on it. It is refused rather \
         than ignored, as a condition that nobody checks is worse than none.",
    ),
    (
        BAD_GLOB,
        "bad glob",
        "In a glob, * is any run of characters and ? is exactly one. Brackets, braces and backslashes have no \
         meaning here and are refused, as their writer expects more of them. A glob has at most 256 bytes.",
    ),
    (
        NEVER_MATCHES,
        "can never match",
        "What is written contradicts itself, so that the rule or filter could never take effect: a server pattern \
         with characters that no server name has, an empty list of targets, tools on a method that calls none, a \
         condition that asks for a field that there is not, or compares text with a number.",
    ),
    (
        MATCHES_NOTHING,
        "matches nothing yet",
        "A warning. The glob, or the labels, match no server of the catalog now; they will match those that come later.",
    ),
    (
        TOO_MUCH,
        "over a bound",
        "All filters' words together, or all rules together, are more than an engine takes. Split the installation or \
         use globs. A condition is bounded, too: in length, in how many parts it has and how deep they lie in each other.",
    ),
    (
        OVERLAPS,
        "no effect beside another rule",
        "A warning. A rule says the same as another one, allows only what another one denies without a condition, or has \
         a condition while another rule allows the same without. It works as it stands; most often something else was \
         meant.",
    ),
];

/// Title and long text of a code, in any case: `gh1001` finds GH1001.
pub fn look_up(code: &str) -> Option<(&'static str, &'static str, &'static str)> {
    CODES
        .iter()
        .find(|row| row.0.eq_ignore_ascii_case(code))
        .copied()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_message_continues_its_path() {
        let field = Fault::new(
            "spec.limits.idel",
            UNKNOWN_FIELD,
            "is not a field of Server",
        );
        assert_eq!(
            field.to_string(),
            "spec.limits.idel is not a field of Server"
        );
        let value = Fault::new("spec.limits.call", BAD_VALUE, "\"10x\" is not a duration");
        assert_eq!(
            value.to_string(),
            "spec.limits.call: \"10x\" is not a duration"
        );
        assert_eq!(Fault::new("", NOT_YAML, "no").to_string(), "no");
    }

    #[test]
    fn codes_are_sorted_and_unique() {
        assert!(CODES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(look_up("gh2003").unwrap().1, "bad glob");
        assert_eq!(look_up("GH9999"), None);
    }
}
