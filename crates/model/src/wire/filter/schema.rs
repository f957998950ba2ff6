//! Tools' own schemas: nothing to set, but tools must be among what is seen.

use super::{Faults, TOOLS_CALL};
use crate::fault::NEVER_MATCHES;
use crate::filter::Match;

pub(super) fn check(matches: &Match, faults: &mut Faults) {
    let methods = &matches.methods;
    // Where tools are named, that fault is told of them.
    if !matches.tools.is_empty() || methods.is_empty() {
        return;
    }
    if !methods.iter().any(|method| method.matches(TOOLS_CALL)) {
        let message = "the filter can never match: schemas are those of tools, which are called by tools/call, \
                       and methods leave that out";
        faults.push("spec.match.methods", NEVER_MATCHES, message);
    }
}
