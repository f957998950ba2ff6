//! Personal data and secrets.

use proto::v1 as pb;

use super::{Faults, Kind, no_action, secret_name};
use crate::fault::{BAD_VALUE, MISSING};
use crate::filter::{Action, Detector, Pii};

pub(super) fn convert(pii: &pb::PiiFilter, faults: &mut Faults) -> Option<Kind> {
    let detect = detect(&pii.detect, faults);
    let action = match pb::PiiAction::try_from(pii.action) {
        Ok(pb::PiiAction::Unspecified | pb::PiiAction::Refuse) => Action::Refuse,
        Ok(pb::PiiAction::Redact) => Action::Redact,
        Ok(pb::PiiAction::Tokenise) => Action::Tokenise,
        Err(_) => {
            no_action("spec.pii.action", pii.action, faults);
            return None;
        }
    };
    let path = "spec.pii.secretName";
    let secret = match (action, pii.secret_name.as_str()) {
        (Action::Tokenise, "") => {
            faults.push(path, MISSING, "is missing: tokens are made under a secret");
            None
        }
        (_, "") => None,
        (Action::Tokenise, text) => secret_name(path, text, faults),
        (other, _) => {
            let message = format!("is for action tokenise only, not for {}", other.as_str());
            faults.push(path, BAD_VALUE, message);
            None
        }
    };
    Some(Kind::Pii(Pii {
        detect,
        action,
        secret,
    }))
}

/// Each once, in the order of all that there are.
fn detect(names: &[String], faults: &mut Faults) -> Vec<Detector> {
    if names.is_empty() {
        return Detector::ALL.to_vec();
    }
    let path = "spec.pii.detect";
    faults.check_length(path, names.len());
    for (i, name) in names.iter().enumerate() {
        if Detector::of(name).is_none() {
            let all: Vec<_> = Detector::ALL.iter().map(|one| one.as_str()).collect();
            let message = format!("{name:?} is not one of {}", all.join(", "));
            faults.push(format!("{path}[{i}]"), BAD_VALUE, message);
        }
    }
    let named = |detector: &Detector| names.iter().any(|name| name == detector.as_str());
    Detector::ALL.into_iter().filter(named).collect()
}
