//! Tool integrity: is a tool still what was approved?
//!
//! ```text
//! tools/list results --Listing::add--> Listing     what a server shows one caller, by name
//! Listing + ToolPins + policy --judge--> Standing  approved, taken, or held, and why
//! ```
//!
//! Must not know who asked, when, or what becomes of what is held. Start from [`judge`].

mod canonical;
mod names;
#[cfg(test)]
mod tests;

use std::cell::OnceCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use mcp::envelope::Span;
use mcp::method::ListKind;
use mcp::walk;
use model::annotations::{Annotations, Hint};
use model::pins::{Era, Hashes, TOOLS_MAX, ToolPins};
use model::server::Pin;
use model::snapshot::Sha256;

use names::look;

/// One tool's definition, as a server shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// The tool's name.
    pub name: String,
    /// By which it is known again.
    pub hashes: Hashes,
    /// What it says of what the tool does. Part of `text`, so that none of it changes without the hashes.
    pub annotations: Annotations,
    /// Its canonical form.
    pub text: Vec<u8>,
}

impl Definition {
    /// The definition at `item`, an element of a list of tools in a scanned message. `None`: it has no readable name.
    pub fn of(message: &[u8], item: Span) -> Option<Self> {
        let name = mcp::list::item_name(message, item, ListKind::Tools)?.into_owned();
        let text = canonical::whole(message, item);
        let plain = canonical::plain(message, item);
        let hashes = Hashes {
            whole: Sha256::of(&text),
            plain: Sha256::of(&plain),
        };
        Some(Self {
            name,
            hashes,
            annotations: annotations(message, item),
            text,
        })
    }
}

/// What a definition says of what the tool does. What is neither true nor false is not said.
fn annotations(message: &[u8], item: Span) -> Annotations {
    let Some(given) = walk::find(message, item, "annotations") else {
        return Annotations::default();
    };
    let of = |hint: Hint| match walk::find(message, given, hint.as_str())?.of(message) {
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    };
    let add = |all: Annotations, hint: Hint| all.with(hint, of(hint));
    Hint::ALL.into_iter().fold(Annotations::default(), add)
}

/// Why a definition is not simply taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// None of the tool's was approved yet.
    New,
    /// Another one was approved.
    Changed,
    /// It says what no definition has to say.
    Poisoned,
    /// Its name is taken for another's.
    LookAlike,
    /// The server lists no such tool.
    Unlisted,
}

impl Why {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Changed => "changed",
            Self::Poisoned => "poisoned",
            Self::LookAlike => "look_alike",
            Self::Unlisted => "unlisted",
        }
    }
}

/// What is known of a tool, apart from what was approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// By which its definition is known again.
    pub hashes: Hashes,
    /// What is found in its definition that no definition has to say.
    pub poison: Option<Box<str>>,
    /// Another name that it is taken for, in the same list.
    pub twin: Option<Box<str>>,
    /// What its name has in common with all that look like it.
    look: Box<str>,
}

/// All tools that a server shows one caller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    tools: HashMap<String, Shown>,
    /// The first name of each look.
    looks: HashMap<String, String>,
}

impl Listing {
    /// Adds a definition; `poison` is what is found in it. False: there are too many already.
    pub fn add(&mut self, definition: &Definition, poison: Option<Box<str>>) -> bool {
        if self.tools.len() >= TOOLS_MAX {
            return false;
        }
        let name = &definition.name;
        let own = look(name);
        let mut shown = Shown {
            hashes: definition.hashes,
            poison,
            twin: None,
            look: own.as_str().into(),
        };
        match self.looks.entry(own) {
            Entry::Vacant(place) => drop(place.insert(name.clone())),
            Entry::Occupied(first) => {
                let first = first.get().clone();
                shown.twin = Some(first.as_str().into());
                // Which of the two is meant nobody can tell, the first one included.
                if let Some(before) = self.tools.get_mut(&first) {
                    before.twin.get_or_insert_with(|| name.as_str().into());
                }
            }
        }
        // Given twice, it is its own twin: the first stays, and is held.
        self.tools.entry(name.clone()).or_insert(shown);
        true
    }

    /// What is known of a tool.
    pub fn get(&self, tool: &str) -> Option<&Shown> {
        self.tools.get(tool)
    }
}

/// How a tool stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is what was approved.
    Approved,
    /// It is taken as it is, and this is to be said.
    Taken(Why),
    /// It must not be shown nor called.
    Held(Why, Option<Box<str>>),
}

impl Standing {
    /// Whether it must not be shown nor called.
    pub fn is_held(&self) -> bool {
        matches!(self, Self::Held(..))
    }
}

/// Approved definitions, for as long as one listing is compared with them.
#[derive(Debug)]
pub struct Pinned<'a> {
    pins: &'a ToolPins,
    /// The first name of each look. Worked out once, and only where a tool is not known by its name.
    looks: OnceCell<HashMap<String, Box<str>>>,
}

impl<'a> Pinned<'a> {
    /// These.
    pub fn new(pins: &'a ToolPins) -> Self {
        Self {
            pins,
            looks: OnceCell::new(),
        }
    }

    fn knows(&self, tool: &str) -> bool {
        self.pins.tools.contains_key(tool)
    }

    fn of_look(&self, own: &str) -> Option<Box<str>> {
        let looks = self.looks.get_or_init(|| {
            let mut looks = HashMap::with_capacity(self.pins.tools.len());
            for name in self.pins.tools.keys() {
                looks
                    .entry(look(name))
                    .or_insert_with(|| name.as_str().into());
            }
            looks
        });
        looks.get(own).cloned()
    }
}

/// What was approved before.
#[derive(Debug, Clone, Copy)]
pub enum Approved<'a> {
    /// These, by the control plane.
    Pins(&'a Pinned<'a>),
    /// Nothing: the first listing counts, which is this.
    First(&'a Listing),
}

/// How `tool` stands, of which `shown` is known, for clients of `era`.
///
/// What a person approved is approved, whatever is found in it. Otherwise what is poisoned or taken for another tool is
/// held even where nobody reviews.
pub fn judge(
    policy: Pin,
    approved: Approved<'_>,
    era: Era,
    (tool, shown): (&str, &Shown),
) -> Standing {
    if policy == Pin::Off {
        return Standing::Approved;
    }
    let (is_known, is_approved) = match approved {
        Approved::Pins(pins) => (
            pins.knows(tool),
            pins.pins.approve(tool, era, &shown.hashes),
        ),
        Approved::First(first) => (first.get(tool).is_some(), false),
    };
    // A name that stands twice in one list is held even where one of the two was approved.
    let is_double = shown.twin.as_deref() == Some(tool);
    if is_approved && !is_double {
        return Standing::Approved;
    }
    if let Some(found) = &shown.poison {
        return Standing::Held(Why::Poisoned, Some(found.clone()));
    }
    if let Some(other) = twin(approved, tool, shown) {
        return Standing::Held(Why::LookAlike, Some(other));
    }
    let is_first = match approved {
        Approved::Pins(_) => false,
        Approved::First(first) => first.get(tool).is_some_and(|f| f.hashes == shown.hashes),
    };
    let why = if is_known { Why::Changed } else { Why::New };
    match policy {
        _ if is_first => Standing::Taken(Why::New),
        Pin::Review => Standing::Held(why, None),
        Pin::Auto | Pin::Off => Standing::Taken(why),
    }
}

/// The tool that this one is taken for: of the same list, or one that was approved.
fn twin(approved: Approved<'_>, tool: &str, shown: &Shown) -> Option<Box<str>> {
    let is_known = |name: &str| match approved {
        Approved::Pins(pins) => pins.knows(name),
        Approved::First(first) => first.get(name).is_some(),
    };
    if let Some(twin) = &shown.twin {
        // Whoever comes later is the one in disguise: a name that is known is not held for it.
        let is_first = tool != &**twin && is_known(tool) && !is_known(twin);
        return (!is_first).then(|| twin.clone());
    }
    let Approved::Pins(pins) = approved else {
        return None;
    };
    if is_known(tool) {
        return None;
    }
    pins.of_look(&shown.look)
}
