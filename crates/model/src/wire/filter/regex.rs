//! Regular expressions. Whether one is valid the engine says: it compiles them.

use std::collections::HashSet;

use proto::v1 as pb;

use super::{Faults, Kind, no_action};
use crate::fault::{BAD_VALUE, MISSING};
use crate::filter::{Action, Pattern, Regex};

/// Most expressions of one filter.
const PATTERNS_MAX: usize = 100;
/// Longest name of one.
const NAME_BYTES_MAX: usize = 40;
/// Longest expression.
const PATTERN_BYTES_MAX: usize = 4096;

pub(super) fn convert(regex: &pb::RegexFilter, faults: &mut Faults) -> Option<Kind> {
    let path = "spec.regex.patterns";
    if regex.patterns.is_empty() {
        faults.push(path, MISSING, "is missing: at least one pattern is wanted");
    }
    if regex.patterns.len() > PATTERNS_MAX {
        let message = format!("more than {PATTERNS_MAX} patterns are not taken");
        faults.push(path, BAD_VALUE, message);
    }
    let mut names = HashSet::new();
    for (i, pattern) in regex.patterns.iter().take(PATTERNS_MAX).enumerate() {
        check(&format!("{path}[{i}]"), pattern, faults);
        if !pattern.name.is_empty() && !names.insert(&*pattern.name) {
            let message = format!("{:?} is the name of two patterns", pattern.name);
            faults.push(format!("{path}[{i}].name"), BAD_VALUE, message);
        }
    }
    let action = match pb::RegexAction::try_from(regex.action) {
        Ok(pb::RegexAction::Unspecified | pb::RegexAction::Refuse) => Action::Refuse,
        Ok(pb::RegexAction::Redact) => Action::Redact,
        Err(_) => {
            no_action("spec.regex.action", regex.action, faults);
            return None;
        }
    };
    let pattern = |pattern: &pb::RegexPattern| Pattern {
        name: pattern.name.clone(),
        pattern: pattern.pattern.clone(),
    };
    let patterns = regex.patterns.iter().take(PATTERNS_MAX);
    Some(Kind::Regex(Regex {
        patterns: patterns.map(pattern).collect(),
        action,
    }))
}

fn check(path: &str, pattern: &pb::RegexPattern, faults: &mut Faults) {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if pattern.name.is_empty() {
        faults.push(format!("{path}.name"), MISSING, "is missing");
    } else if pattern.name.len() > NAME_BYTES_MAX || !pattern.name.chars().all(fits) {
        let message = format!(
            "{:?} is not 1 to {NAME_BYTES_MAX} of a-z, 0-9 and -",
            pattern.name
        );
        faults.push(format!("{path}.name"), BAD_VALUE, message);
    }
    if pattern.pattern.is_empty() {
        faults.push(format!("{path}.pattern"), MISSING, "is missing");
    } else if pattern.pattern.len() > PATTERN_BYTES_MAX {
        let message = format!("a pattern has at most {PATTERN_BYTES_MAX} bytes");
        faults.push(format!("{path}.pattern"), BAD_VALUE, message);
    }
}
