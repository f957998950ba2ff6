//! Approved tool definitions, as nodes get them. They are made by the control plane; a fault in one is a fault of ours
//! or a store that was tampered with.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proto::v1 as pb;

use super::Faults;
use crate::annotations::{Annotations, Hint, Hints};
use crate::fault::{BAD_VALUE, DUPLICATE};
use crate::name::ServerName;
use crate::pins::{Era, Hashes, TOOLS_MAX, ToolPins};
use crate::server::{Pin, ToolPolicy};
use crate::snapshot::Sha256;

/// Most definitions of one server that are kept: of each tool, one for either era.
pub const TOOL_PINS_MAX: usize = 2 * TOOLS_MAX;
/// Longest interval between two looks.
const CHECK_MAX: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn convert(
    name: &str,
    version: u64,
    spec: &pb::ToolPinsSpec,
    faults: &mut Faults,
) -> Option<ToolPins> {
    if spec.tools.len() > TOOL_PINS_MAX {
        let message = format!(
            "{} entries are over the {TOOL_PINS_MAX} of one server",
            spec.tools.len()
        );
        faults.push("spec.tools", BAD_VALUE, message);
    }
    let mut tools: BTreeMap<String, BTreeMap<Era, Hashes>> = BTreeMap::new();
    let mut hints: BTreeMap<String, Hints> = BTreeMap::new();
    let mut unread = BTreeSet::new();
    for (i, pin) in spec.tools.iter().take(TOOL_PINS_MAX).enumerate() {
        let at = |field: &str| format!("spec.tools[{i}].{field}");
        let Some(era) = Era::parse(&pin.era) else {
            let message = format!("{:?} is not one of legacy, modern", pin.era);
            faults.push(at("era"), BAD_VALUE, message);
            continue;
        };
        let Some(hashes) = hashes(&pin.sha256, &pin.plain_sha256) else {
            faults.push(at("sha256"), BAD_VALUE, "is not 32 bytes");
            continue;
        };
        let of_tool = tools.entry(pin.tool.clone()).or_default();
        if of_tool.insert(era, hashes).is_some() {
            let message = format!("{:?} is given twice for {era} clients", pin.tool);
            faults.push(at("tool"), DUPLICATE, message);
        }
        let says = Hints::of(&annotations(pin.annotations.as_ref()));
        let known = hints.entry(pin.tool.clone()).or_insert(says);
        *known = known.worse(&says);
        if pin.annotations.is_none() {
            unread.insert((pin.tool.clone(), era));
        }
    }
    hints.retain(|_, hints| *hints != Hints::default());
    Some(ToolPins {
        server: ServerName::new(name).ok()?,
        version,
        tools,
        hints,
        unread,
    })
}

/// Annotations, as messages carry them.
pub fn annotations(given: Option<&pb::ToolAnnotations>) -> Annotations {
    let given = given.copied().unwrap_or_default();
    Annotations::default()
        .with(Hint::ReadOnly, given.read_only_hint)
        .with(Hint::Destructive, given.destructive_hint)
        .with(Hint::Idempotent, given.idempotent_hint)
        .with(Hint::OpenWorld, given.open_world_hint)
}

/// What [`annotations`] reads.
pub fn annotations_part(annotations: &Annotations) -> pb::ToolAnnotations {
    pb::ToolAnnotations {
        read_only_hint: annotations.get(Hint::ReadOnly),
        destructive_hint: annotations.get(Hint::Destructive),
        idempotent_hint: annotations.get(Hint::Idempotent),
        open_world_hint: annotations.get(Hint::OpenWorld),
    }
}

/// The hashes of a definition, as messages carry them; `None` where they are none.
pub fn hashes(whole: &[u8], plain: &[u8]) -> Option<Hashes> {
    let read = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).ok().map(Sha256);
    let whole = read(whole)?;
    let plain = match plain {
        [] => whole,
        plain => read(plain)?,
    };
    Some(Hashes { whole, plain })
}

/// The second hash of [`hashes`], as messages carry it.
pub fn plain_part(hashes: &Hashes) -> Vec<u8> {
    match hashes.plain == hashes.whole {
        true => Vec::new(),
        false => hashes.plain.0.to_vec(),
    }
}

/// What is done with a server's definitions.
pub(super) fn policy(spec: Option<&pb::ToolPolicy>, faults: &mut Faults) -> ToolPolicy {
    let Some(spec) = spec else {
        return ToolPolicy::default();
    };
    let pin = match spec.pin.as_str() {
        "" | "off" => Pin::Off,
        "auto" => Pin::Auto,
        "review" => Pin::Review,
        other => {
            let message = format!("{other:?} is not one of review, auto, off");
            faults.push("spec.tools.pin", BAD_VALUE, message);
            Pin::Off
        }
    };
    let check = Duration::from_millis(spec.check_ms);
    if check > CHECK_MAX {
        let message = "more than 24h is not an interval at which anything is noticed";
        faults.push("spec.tools.check", BAD_VALUE, message);
    }
    if !check.is_zero() && pin == Pin::Off {
        let message = "is given, and nothing is checked: `pin: review` or `pin: auto` is wanted";
        faults.push("spec.tools.check", BAD_VALUE, message);
    }
    if !spec.overrides.is_empty() {
        faults.unsupported("spec.tools.overrides", "tools.overrides");
    }
    if spec.trust_annotations && pin == Pin::Off {
        let message = "is true, and no definition is ever approved that could be trusted: `pin: review` or \
                       `pin: auto` is wanted";
        faults.push("spec.tools.trustAnnotations", BAD_VALUE, message);
    }
    ToolPolicy {
        pin,
        check,
        trust_annotations: spec.trust_annotations,
    }
}
