//! What the control plane is told: each definition that it does not know, once for each state of what it has approved
//! and each stream to it.

use std::collections::HashSet;

use dashmap::DashMap;
use engine::pins::{Definition, Standing, Why};
use model::name::ServerName;
use model::pins::Era;
use model::server::ToolPolicy;
use model::snapshot::Sha256;
use model::wire::{TOOL_PINS_MAX, annotations_part, plain_part};
use proto::v1 as pb;

use super::{About, bounded};
use crate::config::sightings::Sightings;

/// Longest definition that is sent, bytes. Of a longer one the hash alone is.
const TEXT_BYTES_MAX: usize = 16 * 1024;
/// Bytes of all definitions in one message.
const TEXTS_BYTES_MAX: usize = 256 * 1024;
/// Longest name of a tool that is sent, bytes.
const NAME_BYTES_MAX: usize = 512;
/// Definitions of one server that are remembered as told.
const TOLD_MAX: usize = 2 * TOOL_PINS_MAX;

/// Says each thing once.
#[derive(Debug)]
pub(super) struct Teller {
    sightings: Sightings,
    told: DashMap<ServerName, Told>,
}

/// What was told of one server.
#[derive(Debug, Default)]
struct Told {
    since: Since,
    /// Whole listings, by era and hash of their pages.
    listings: HashSet<(Era, Sha256)>,
    /// Definitions, by name, era and hash.
    tools: HashSet<(String, Era, Sha256)>,
}

/// What makes everything worth telling again: the state of what was approved, and the stream.
#[derive(Debug, Default, PartialEq, Eq)]
struct Since {
    version: Option<u64>,
    stream: u64,
}

impl Teller {
    pub(super) fn new(sightings: Sightings) -> Self {
        Self {
            sightings,
            told: DashMap::new(),
        }
    }

    /// Whether anything in a listing may have to be told.
    pub(super) fn is_new(&self, about: About<'_>, listing: Sha256) -> bool {
        let since = self.since(about);
        let told = self.told.get(about.server);
        told.is_none_or(|told| {
            told.since != since || !told.listings.contains(&(about.era, listing))
        })
    }

    /// All of a listing was told, or `false`: has to be told again.
    pub(super) fn told(&self, about: About<'_>, listing: Sha256, all: bool) {
        if all && let Some(mut told) = self.told.get_mut(about.server) {
            if told.listings.len() >= TOLD_MAX {
                told.listings.clear();
            }
            told.listings.insert((about.era, listing));
        }
    }

    /// Tells of what is not approved. False: there was no room for it.
    pub(super) fn tell(
        &self,
        about: About<'_>,
        seen: impl Iterator<Item = (Definition, Standing)>,
    ) -> bool {
        let since = self.since(about);
        let is_first = since.version.is_none();
        bounded(&self.told);
        let mut told = self.told.entry(about.server.clone()).or_default();
        if told.since != since {
            *told = Told {
                since,
                ..Told::default()
            };
        }
        let mut message = pb::ToolSightings {
            server: about.server.to_string(),
            tools: Vec::new(),
        };
        let mut room = TEXTS_BYTES_MAX;
        for (definition, stands) in seen {
            let key = (definition.name.clone(), about.era, definition.hashes.whole);
            if definition.name.len() > NAME_BYTES_MAX
                || told.tools.len() >= TOLD_MAX
                || told.tools.contains(&key)
            {
                continue;
            }
            if let Some(mut sighting) = sighting(about, definition, &stands, is_first) {
                if sighting.definition.len() > TEXT_BYTES_MAX.min(room) {
                    sighting.definition = Vec::new();
                }
                room -= sighting.definition.len();
                told.tools.insert(key);
                message.tools.push(sighting);
            }
        }
        // The first listing of a server is told even where it is empty: then whatever comes later is new.
        if message.tools.is_empty() && !is_first {
            return true;
        }
        let sent = self.sightings.tell(message);
        if !sent {
            *told = Told::default();
        }
        sent
    }

    fn since(&self, about: About<'_>) -> Since {
        let pins = about.engine.tool_pins(about.server);
        Since {
            version: pins.map(|pins| pins.version),
            stream: self.sightings.streams(),
        }
    }
}

/// What is told of a definition; `None` where it is approved, and was read when it was.
fn sighting(
    about: About<'_>,
    definition: Definition,
    stands: &Standing,
    is_first: bool,
) -> Option<pb::ToolSighting> {
    let (why, detail) = match stands {
        Standing::Approved => return unread(about, &definition),
        // There is nothing to compare with: nothing is against it.
        Standing::Taken(Why::New) if is_first => ("", None),
        Standing::Taken(why) => (why.as_str(), None),
        Standing::Held(why, detail) => (why.as_str(), detail.as_deref()),
    };
    let (server, tool, user) = (about.server, &definition.name, about.user);
    if !why.is_empty() {
        tracing::warn!(
            %server, tool, why, detail, user, held = stands.is_held(), era = %about.era,
            "a tool's definition is not the one that was approved"
        );
    }
    Some(pb::ToolSighting {
        tool: definition.name,
        era: about.era.as_str().to_owned(),
        sha256: definition.hashes.whole.0.to_vec(),
        plain_sha256: plain_part(&definition.hashes),
        definition: definition.text,
        why: why.to_owned(),
        detail: detail.unwrap_or_default().to_owned(),
        user: user.to_owned(),
        seen_unix_ms: 0,
        annotations: Some(annotations_part(&definition.annotations)),
    })
}

/// What an approved definition says of its tool, where nobody has read that yet and it is asked for: it was approved by a
/// version that did not.
fn unread(about: About<'_>, definition: &Definition) -> Option<pb::ToolSighting> {
    about.policy().filter(ToolPolicy::is_trusted)?;
    let pins = about.engine.tool_pins(about.server)?;
    let (era, hashes) = pins.counting(&definition.name, about.era)?;
    let is_unread = pins.unread.contains(&(definition.name.clone(), era));
    // Named as it was approved. What bridges leave out are no annotations: both eras' definitions say the same here.
    is_unread.then(|| pb::ToolSighting {
        tool: definition.name.clone(),
        era: era.as_str().to_owned(),
        sha256: hashes.whole.0.to_vec(),
        plain_sha256: plain_part(hashes),
        annotations: Some(annotations_part(&definition.annotations)),
        user: about.user.to_owned(),
        ..Default::default()
    })
}
