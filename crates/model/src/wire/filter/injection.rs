//! Text that gives orders to a model.

use proto::v1 as pb;

use super::{Faults, Kind};
use crate::fault::BAD_VALUE;
use crate::filter::Injection;

/// The points that one clear sign gives.
const THRESHOLD: u32 = 4;
/// Nothing gives more.
const THRESHOLD_MAX: u32 = 100;

pub(super) fn convert(injection: pb::InjectionFilter, faults: &mut Faults) -> Option<Kind> {
    let threshold = match injection.threshold {
        0 => THRESHOLD,
        given => given,
    };
    if threshold > THRESHOLD_MAX {
        let message = format!("{threshold} is over {THRESHOLD_MAX}: nothing would be refused");
        faults.push("spec.injection.threshold", BAD_VALUE, message);
        return None;
    }
    Some(Kind::Injection(Injection { threshold }))
}
