//! What every resource has: its name and labels.

use std::collections::BTreeMap;

use proto::v1 as pb;

use super::{Faults, kind_of};
use crate::fault::{BAD_VALUE, MISSING};
use crate::name::{BadName, is_name};
use crate::wire::{API_KEY, KEY_RING};

/// Most labels of one resource.
pub(super) const LABELS_MAX: usize = 64;

/// Longest label key and value, in bytes.
const LABEL_BYTES_MAX: usize = 63;

/// Longest name of something that the control plane made, in bytes.
const INTERNAL_NAME_BYTES_MAX: usize = 64;

/// The name, checked as far as its kind asks. Labels are checked on the way.
pub(super) fn name<'r>(resource: &'r pb::Resource, faults: &mut Faults) -> &'r str {
    let Some(metadata) = &resource.metadata else {
        faults.push("metadata", MISSING, "is missing");
        return "";
    };
    check_labels(&metadata.labels, faults);
    let name = metadata.name.as_str();
    if name.is_empty() {
        faults.push("metadata.name", MISSING, "is missing");
    } else if matches!(kind_of(resource), Some(API_KEY | KEY_RING)) {
        if name.len() > INTERNAL_NAME_BYTES_MAX || !name.bytes().all(|b| b.is_ascii_graphic()) {
            faults.push("metadata.name", BAD_VALUE, format!("{name:?} is not an id"));
        }
    } else if !is_name(name) {
        faults.push(
            "metadata.name",
            BAD_VALUE,
            BadName(name.to_owned()).to_string(),
        );
    }
    name
}

/// The labels as they are; [`name`] has checked them.
pub(super) fn labels(resource: &pb::Resource) -> BTreeMap<String, String> {
    resource
        .metadata
        .as_ref()
        .map(|m| m.labels.clone())
        .unwrap_or_default()
}

fn check_labels(labels: &BTreeMap<String, String>, faults: &mut Faults) {
    if labels.len() > LABELS_MAX {
        faults.push(
            "metadata.labels",
            BAD_VALUE,
            format!(
                "{} labels are over the {LABELS_MAX} that one may have",
                labels.len()
            ),
        );
    }
    for (key, value) in labels.iter().take(LABELS_MAX) {
        let plain =
            |text: &str| text.len() <= LABEL_BYTES_MAX && !text.chars().any(char::is_control);
        if key.is_empty() || !plain(key) || !plain(value) {
            let message = format!(
                "{key:?}: {value:?} is not a label: at most {LABEL_BYTES_MAX} bytes each, no control characters"
            );
            faults.push(format!("metadata.labels.{key}"), BAD_VALUE, message);
        }
    }
}
