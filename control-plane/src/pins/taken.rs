//! What becomes of a definition that was seen: approved at once, or put to whoever reviews. Pure.

use model::pins::{Era, TOOLS_MAX};
use model::server::Pin;
use model::snapshot::Sha256;
use model::wire::{TOOL_PINS_MAX, hashes};
use proto::v1 as pb;

use super::{kept, put};
use crate::catalog::{Edit, State};

/// Most definitions of one tool that wait, for clients of one era. What comes beyond is told again once somebody has
/// decided; so a server that shows another one each time cannot fill the store.
const PENDING_OF_TOOL_MAX: usize = 4;
/// Most definitions of one server that wait.
const PENDING_MAX: usize = 200;
/// Bytes of the texts of all definitions of one server. Beyond, the hash alone is kept.
const TEXTS_BYTES_MAX: usize = 400 * 1024;
/// Longest name, detail and user that are kept, bytes.
const WORDS_BYTES_MAX: usize = 512;

/// The change that a node's message makes. `None`: none.
pub(super) fn of(state: &State, node: &str, seen: &pb::ToolSightings, now: i64) -> Option<Edit> {
    let server = state.snapshot().servers.get(seen.server.as_str())?;
    let policy = server.tools.pin;
    if policy == Pin::Off {
        return None;
    }
    let before = kept(state, &seen.server);
    let is_first = before.is_none();
    let compared = |tool: &pb::ToolSighting| matches!(tool.why.as_str(), "new" | "changed");
    if is_first && !seen.tools.is_empty() && seen.tools.iter().all(compared) {
        // The node has compared them with what it was shown first, and that has not come here.
        return None;
    }
    let mut spec = before.cloned().unwrap_or_default();
    for tool in seen.tools.iter().take(TOOLS_MAX) {
        let by = match (is_first, policy) {
            (true, _) => format!("first seen by {node}"),
            (false, _) => format!("pin: {}", policy.as_str()),
        };
        take(&mut spec, tool, (policy, is_first), (&by, now));
    }
    (before != Some(&spec)).then(|| put(&seen.server, spec))
}

fn take(
    spec: &mut pb::ToolPinsSpec,
    tool: &pb::ToolSighting,
    (policy, is_first): (Pin, bool),
    (by, now): (&str, i64),
) {
    let is_whole = hashes(&tool.sha256, &tool.plain_sha256).is_some()
        && Era::parse(&tool.era).is_some()
        && tool.tool.len() <= WORDS_BYTES_MAX;
    if !is_whole || read(spec, tool) || is_approved(spec, tool) || waits(spec, tool) {
        return;
    }
    let mut tool = tool.clone();
    if Sha256::of(&tool.definition).0[..] != tool.sha256[..] {
        tool.definition = Vec::new();
    }
    let is_known = spec.tools.iter().any(|pin| pin.tool == tool.tool);
    let nothing_against = match tool.why.as_str() {
        "" if is_first => true,
        "" | "new" | "changed" => {
            tool.why = if is_known { "changed" } else { "new" }.to_owned();
            policy == Pin::Auto
        }
        "poisoned" | "look_alike" => false,
        _ => return,
    };
    if nothing_against {
        if !has_place(spec, &tool) {
            let (name, era) = (&tool.tool, &tool.era);
            tracing::warn!(
                tool = name,
                era,
                by,
                "a tool's definition finds no place: {TOOL_PINS_MAX} of its server are approved"
            );
            return;
        }
        let (name, why, era) = (&tool.tool, &tool.why, &tool.era);
        if !why.is_empty() {
            tracing::warn!(
                tool = name,
                why,
                era,
                by,
                "a tool's definition is taken as it is now"
            );
        }
        approve(spec, tool, (by, now));
    } else {
        wait(spec, tool, now);
    }
}

/// Keeps what an approved definition says of its tool, where no version that approved it has read that. False: there is
/// nothing to keep.
fn read(spec: &mut pb::ToolPinsSpec, tool: &pb::ToolSighting) -> bool {
    let is_meant = |pin: &&mut pb::ToolPin| {
        same_place(pin, tool) && pin.sha256 == tool.sha256 && pin.annotations.is_none()
    };
    let unread = spec.tools.iter_mut().find(is_meant);
    let Some(pin) = unread.filter(|_| tool.annotations.is_some()) else {
        return false;
    };
    pin.annotations = tool.annotations;
    true
}

fn same_place(pin: &pb::ToolPin, tool: &pb::ToolSighting) -> bool {
    pin.tool == tool.tool && pin.era == tool.era
}

fn is_approved(spec: &pb::ToolPinsSpec, tool: &pb::ToolSighting) -> bool {
    let own = spec.tools.iter().find(|pin| same_place(pin, tool));
    if let Some(own) = own {
        return own.sha256 == tool.sha256;
    }
    let plain = hashes(&tool.sha256, &tool.plain_sha256).map(|hashes| hashes.plain);
    let other = spec.tools.iter().find(|pin| pin.tool == tool.tool);
    let other = other.and_then(|pin| hashes(&pin.sha256, &pin.plain_sha256));
    other.is_some_and(|other| Some(other.plain) == plain)
}

fn waits(spec: &pb::ToolPinsSpec, tool: &pb::ToolSighting) -> bool {
    spec.pending.iter().any(|known| {
        known.tool == tool.tool && known.era == tool.era && known.sha256 == tool.sha256
    })
}

fn wait(spec: &mut pb::ToolPinsSpec, mut tool: pb::ToolSighting, now: i64) {
    let of_tool = |known: &&pb::ToolSighting| known.tool == tool.tool && known.era == tool.era;
    if spec.pending.len() >= PENDING_MAX
        || spec.pending.iter().filter(of_tool).count() >= PENDING_OF_TOOL_MAX
    {
        return;
    }
    if tool.definition.len() > room(spec) {
        tool.definition = Vec::new();
    }
    cut(&mut tool.detail);
    cut(&mut tool.user);
    tool.seen_unix_ms = now;
    spec.pending.push(tool);
}

/// Whether it can be approved: there is room, or it takes the place of another one.
fn has_place(spec: &pb::ToolPinsSpec, tool: &pb::ToolSighting) -> bool {
    spec.tools.len() < TOOL_PINS_MAX || spec.tools.iter().any(|pin| same_place(pin, tool))
}

/// Puts a definition that [`has_place`] in the place of the one that was approved before. What else waits for the tool is
/// let go: if it is still shown to anybody, it is told again.
fn approve(spec: &mut pb::ToolPinsSpec, tool: pb::ToolSighting, (by, now): (&str, i64)) {
    spec.pending
        .retain(|known| known.tool != tool.tool || known.era != tool.era);
    spec.tools.retain(|pin| !same_place(pin, &tool));
    let definition = if tool.definition.len() > room(spec) {
        Vec::new()
    } else {
        tool.definition
    };
    let pin = pb::ToolPin {
        tool: tool.tool,
        era: tool.era,
        sha256: tool.sha256,
        plain_sha256: tool.plain_sha256,
        definition,
        accepted_by: by.to_owned(),
        accepted_unix_ms: now,
        annotations: tool.annotations,
    };
    let key = |pin: &pb::ToolPin| (pin.tool.clone(), pin.era.clone());
    let at = spec.tools.partition_point(|known| key(known) < key(&pin));
    spec.tools.insert(at, pin);
}

/// Why nothing was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undecided {
    /// It does not wait.
    NotWaiting,
    /// As many are approved as are kept. It goes on waiting.
    Full,
}

/// Approves one that waits, in the name of somebody; or lets it go.
pub(super) fn decide(
    spec: &mut pb::ToolPinsSpec,
    choice: &pb::ToolChoice,
    approved: Option<(&str, i64)>,
) -> Result<(), Undecided> {
    let is_meant = |known: &pb::ToolSighting| {
        known.tool == choice.tool && known.era == choice.era && known.sha256 == choice.sha256
    };
    let Some(at) = spec.pending.iter().position(is_meant) else {
        return Err(Undecided::NotWaiting);
    };
    if approved.is_some() && !has_place(spec, &spec.pending[at]) {
        return Err(Undecided::Full);
    }
    let tool = spec.pending.remove(at);
    if let Some(by) = approved {
        approve(spec, tool, by);
    }
    Ok(())
}

/// Room for one more text.
fn room(spec: &pb::ToolPinsSpec) -> usize {
    let approved = spec.tools.iter().map(|pin| pin.definition.len());
    let pending = spec.pending.iter().map(|tool| tool.definition.len());
    TEXTS_BYTES_MAX.saturating_sub(approved.chain(pending).sum())
}

fn cut(text: &mut String) {
    if text.len() > WORDS_BYTES_MAX {
        let end = (0..=WORDS_BYTES_MAX)
            .rev()
            .find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or_default());
    }
}
