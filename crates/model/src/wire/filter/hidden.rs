//! Characters that nobody sees.

use proto::v1 as pb;

use super::{Faults, Kind, action};
use crate::filter::{Action, Hidden};

pub(super) fn convert(hidden: pb::HiddenFilter, faults: &mut Faults) -> Option<Kind> {
    let allowed = [Action::Refuse, Action::Strip];
    let action = action("spec.hidden.action", hidden.action, &allowed, faults)?;
    Some(Kind::Hidden(Hidden { action }))
}
