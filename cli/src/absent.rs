//! Replicas of the control plane that did not answer the one that was asked: named, as what they know is missing.

use proto::v1::AbsentReplica;
use serde_json::{Value, json};

use crate::show::Show;

/// Says on standard error who is absent, and `what` may be missing for it.
pub fn note(show: &Show, absent: &[AbsentReplica], what: &str) {
    for replica in absent {
        show.note(&format!(
            "control plane {} at {} did not answer ({}): {what} may be missing",
            replica.replica, replica.address, replica.why
        ));
    }
}

/// The same for scripts.
pub fn json(absent: &[AbsentReplica]) -> Value {
    let view = |replica: &AbsentReplica| json!({"replica": replica.replica, "address": replica.address, "why": replica.why});
    absent.iter().map(view).collect()
}
