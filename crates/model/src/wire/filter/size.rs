//! Bounds of messages.

use proto::v1 as pb;

use super::{Faults, Kind};
use crate::fault::MISSING;
use crate::filter::Size;

pub(super) fn convert(size: &pb::SizeFilter, faults: &mut Faults) -> Option<Kind> {
    let bounds = Size {
        bytes: given(size.bytes),
        depth: given(size.depth),
        nodes: given(size.nodes),
        string_bytes: given(size.string_bytes),
    };
    if bounds == Size::default() {
        let message = "bounds nothing: give one of bytes, depth, nodes, stringBytes";
        faults.push("spec.size", MISSING, message);
        return None;
    }
    Some(Kind::Size(bounds))
}

/// 0 is what is left out: nothing could pass such a bound.
fn given<T: Default + PartialEq>(bound: T) -> Option<T> {
    (bound != T::default()).then_some(bound)
}
