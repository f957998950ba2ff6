//! Kinds as users type them: `Server`, `server`, `servers`.

use model::wire::KINDS;

use crate::fault::{Failure, Fault};
use crate::show::nearest;

/// The kind that was meant.
///
/// # Errors
/// A usage fault with the nearest kind, or all of them.
pub fn parse(typed: &str) -> Result<&'static str, Failure> {
    let folded = typed.to_ascii_lowercase();
    let singular = folded.strip_suffix('s').unwrap_or(&folded);
    let named = |wanted: &str| {
        KINDS
            .iter()
            .find(|kind| kind.name.eq_ignore_ascii_case(wanted))
    };
    match named(&folded).or_else(|| named(singular)) {
        Some(kind) if kind.supported => Ok(kind.name),
        Some(kind) => Err(Failure::from(Fault::new(
            model::fault::UNSUPPORTED,
            format!("{} is not supported by this version", kind.name),
        ))),
        None => Err(unknown(typed)),
    }
}

/// Whether a node is meant, which is no resource.
pub fn is_node(typed: &str) -> bool {
    ["node", "nodes"].contains(&typed.to_ascii_lowercase().as_str())
}

/// What is shown by a command of its own, and is no kind.
fn elsewhere(typed: &str) -> Option<&'static str> {
    Some(match typed.to_ascii_lowercase().as_str() {
        "node" | "nodes" | "edge" | "edges" | "sidecar" | "sidecars" => "gatehouse nodes",
        "key" | "keys" | "apikey" | "apikeys" => "gatehouse key list",
        "call" | "calls" | "audit" | "record" | "records" => "gatehouse audit list",
        "tool" | "tools" => "gatehouse tools SERVER",
        _ => return None,
    })
}

fn unknown(typed: &str) -> Failure {
    if let Some(command) = elsewhere(typed) {
        let text = format!("{typed:?} is no kind of resource, and shown by: {command}");
        return Failure::usage(text);
    }
    let names = || {
        KINDS
            .iter()
            .filter(|kind| kind.supported)
            .map(|kind| kind.name)
    };
    let offer = nearest(typed, names()).map_or_else(
        || format!("kinds are {}", names().collect::<Vec<_>>().join(", ")),
        |near| format!("did you mean {near}?"),
    );
    Failure::usage(format!("there is no kind {typed:?}: {offer}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn kinds_are_found_however_they_are_typed() {
        for typed in ["AccessRule", "accessrule", "accessrules", "ACCESSRULES"] {
            assert_eq!(parse(typed), Ok("AccessRule"), "{typed}");
        }
    }

    #[test]
    fn an_unknown_kind_is_a_usage_fault_with_an_offer() {
        let failure = parse("Sever").map(str::to_owned).unwrap_err();
        assert_eq!(failure.exit, 2);
        assert!(
            failure.faults[0].message.contains("did you mean Server?"),
            "{failure:?}"
        );
        let failure = parse("nodes").map(str::to_owned).unwrap_err();
        assert!(failure.faults[0].message.ends_with("gatehouse nodes"));
    }
}
