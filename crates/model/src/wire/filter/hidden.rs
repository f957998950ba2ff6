//! Characters that nobody sees.

use proto::v1 as pb;

use super::{Faults, Kind, no_action};
use crate::filter::{Action, Hidden};

pub(super) fn convert(hidden: pb::HiddenFilter, faults: &mut Faults) -> Option<Kind> {
    let action = match pb::HiddenAction::try_from(hidden.action) {
        Ok(pb::HiddenAction::Unspecified | pb::HiddenAction::Refuse) => Action::Refuse,
        Ok(pb::HiddenAction::Strip) => Action::Strip,
        Err(_) => {
            no_action("spec.hidden.action", hidden.action, faults);
            return None;
        }
    };
    Some(Kind::Hidden(Hidden { action }))
}
