//! Is a tool still what was approved? Keeps what servers have shown, and to whom, and compares it with what the control
//! plane has approved; what is not approved goes into no list, and no call goes to it.
//!
//! ```text
//! tools/call -- pipeline::pinned: what the server shows this very caller, now -- judge -- goes on, or is held
//! tools/list ------------------------------------------------- its answer --- cut -- without what is held
//!                                                   \-- what the control plane does not know: told -- Sightings
//! ```
//!
//! Must not know how a server is asked. Start from [`Pins`].

mod schemas;
mod seats;
mod tell;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use dashmap::DashMap;
use engine::Engine;
use engine::filter::poison;
use engine::pins::{Approved, Definition, Listing, Pinned, Shown, Standing, Why, judge};
use mcp::envelope::{self, Limits};
use mcp::method::ListKind;
use mcp::walk;
use model::name::ServerName;
use model::pins::Era;
use model::server::{Pin, ToolPolicy};
use model::snapshot::Sha256;

pub use schemas::ToolSchemas;
pub use seats::{Seat, SeatKey};

use self::schemas::{Outline, Shelf};
use self::seats::Seats;
use self::tell::Teller;
use super::list::NotAList;
use crate::config::sightings::Sightings;

/// Servers of which the first listing is kept. A full map is emptied, and the next listing of each is its first.
const SERVERS_MAX: usize = 4096;

/// What this node knows of tool definitions. Cloned freely; all clones know the same.
#[derive(Debug, Clone)]
pub struct Pins(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// What was shown to whom.
    seats: Seats,
    /// What each server has shown first. Counts until the control plane has said what is approved.
    firsts: DashMap<ServerName, Arc<Listing>>,
    /// The newest listing of each server: nearly all callers are shown the same.
    latest: DashMap<ServerName, Arc<View>>,
    /// The schemas of tools that were called.
    shelf: Shelf,
    teller: Teller,
}

/// Whose tools, for whom, by which configuration.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// What is in force.
    pub engine: &'a Engine,
    /// The server.
    pub server: &'a ServerName,
    /// For clients of which era.
    pub era: Era,
    /// The caller.
    pub user: &'a str,
}

impl About<'_> {
    /// What is done with the server's definitions; `None`: nobody looks at them.
    pub fn policy(&self) -> Option<ToolPolicy> {
        let policy = self.engine.server(self.server.as_str())?.tools;
        (policy.pin != Pin::Off).then_some(policy)
    }

    fn pin(&self) -> Pin {
        self.policy().map_or(Pin::Off, |policy| policy.pin)
    }
}

/// The pages of one whole listing: responses to `tools/list`, each scanned before.
#[derive(Debug, Default)]
pub struct Pages(Vec<Bytes>);

impl Pages {
    /// Adds a page.
    pub fn add(&mut self, response: Bytes) {
        self.0.push(response);
    }

    fn hash(&self) -> Sha256 {
        let mut all = Vec::with_capacity(32 * self.0.len());
        for page in &self.0 {
            let result = tools_of(page).map(|(tools, _)| tools);
            all.extend_from_slice(&Sha256::of(result.unwrap_or_default()).0);
        }
        Sha256::of(&all)
    }

    fn definitions(&self) -> impl Iterator<Item = Definition> {
        self.0.iter().flat_map(definitions)
    }
}

/// What one listing shows, worked out as far as somebody wants to know.
#[derive(Debug)]
pub struct View {
    /// Of its pages.
    hash: Sha256,
    listing: OnceLock<Arc<Listing>>,
    outline: OnceLock<Outline>,
}

impl View {
    /// What is compared with what was approved; `None`: nobody wanted to know it.
    pub fn listing(&self) -> Option<&Arc<Listing>> {
        self.listing.get()
    }
}

impl Pins {
    /// Knows nothing yet; what is to be said goes to `sightings`.
    pub fn new(sightings: Sightings) -> Self {
        Self(Arc::new(Inner {
            seats: Seats::default(),
            firsts: DashMap::new(),
            latest: DashMap::new(),
            shelf: Shelf::default(),
            teller: Teller::new(sightings),
        }))
    }

    /// The place of one caller at one server.
    pub fn seat(&self, key: SeatKey) -> Arc<Seat> {
        self.0.seats.of(key)
    }

    /// Whether anything is known to compare with.
    pub fn is_begun(&self, about: About<'_>) -> bool {
        about.engine.tool_pins(about.server).is_some() || self.0.firsts.contains_key(about.server)
    }

    /// What a whole listing shows: kept as long as the server shows the same.
    pub fn view(&self, server: &ServerName, pages: &Pages) -> Arc<View> {
        let hash = pages.hash();
        let known = self.0.latest.get(server).map(|known| known.clone());
        known.filter(|known| known.hash == hash).unwrap_or_else(|| {
            let view = Arc::new(View {
                hash,
                listing: OnceLock::new(),
                outline: OnceLock::new(),
            });
            bounded(&self.0.latest);
            self.0.latest.insert(server.clone(), view.clone());
            view
        })
    }

    /// Takes a whole listing, of which this is the view: what is in it is known from now on, and what the control plane
    /// does not know is told.
    pub fn take(&self, about: About<'_>, view: &View, pages: &Pages) -> Arc<Listing> {
        let hash = view.hash;
        let listing = view
            .listing
            .get_or_init(|| Arc::new(listing(pages.definitions(), |_| false)))
            .clone();
        if about.engine.tool_pins(about.server).is_some() {
            self.0.firsts.remove(about.server);
        } else {
            bounded(&self.0.firsts);
            let first = self.0.firsts.entry(about.server.clone());
            first.or_insert_with(|| listing.clone());
        }
        if self.0.teller.is_new(about, hash) {
            let told = self.tell(&self.known(about), pages.definitions(), &listing);
            self.0.teller.told(about, hash, told);
        }
        listing
    }

    /// The schemas of a tool, as a listing shows it. `None`: the listing itself is needed.
    pub fn schemas(&self, view: &View, tool: &str) -> Option<ToolSchemas> {
        self.0.shelf.find(view.outline.get()?, tool)
    }

    /// The same, from the listing.
    pub fn learn(&self, view: &View, pages: &Pages, tool: &str) -> ToolSchemas {
        let outline = view.outline.get_or_init(|| Outline::of(pages));
        self.0.shelf.learn(outline, pages, tool)
    }

    /// How a tool stands, as `listing` shows it.
    pub fn judge(&self, about: About<'_>, listing: &Listing, tool: &str) -> Standing {
        let Some(shown) = listing.get(tool) else {
            return Standing::Held(Why::Unlisted, None);
        };
        self.known(about).stands(tool, shown)
    }

    /// A response without the tools that are held; as it is, where it holds no tools. True: some were.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn cut(&self, about: About<'_>, response: Bytes) -> Result<(Bytes, bool), NotAList> {
        if tools_of(&response).is_none() {
            return Ok((response, false));
        }
        let read = envelope::scan(&response, &Limits::RESPONSE).map_err(|_| NotAList)?;
        let pins = about.engine.tool_pins(about.server);
        let is_approved = |definition: &Definition| {
            pins.is_some_and(|pins| pins.approve(&definition.name, about.era, &definition.hashes))
        };
        let shown = listing(definitions(&response), is_approved);
        let known = self.known(about);
        let mut is_held = false;
        let mut keep = |tool: &str| {
            let stands = shown.get(tool).map(|shown| known.stands(tool, shown));
            let goes = stands.is_some_and(|stands| !stands.is_held());
            is_held |= !goes;
            goes
        };
        let cut = mcp::list::cut(&response, &read, ListKind::Tools, &mut keep);
        let cut = cut.map_err(|_| NotAList)?;
        let is_unread = || {
            let is_trusted = about.policy().is_some_and(|policy| policy.is_trusted());
            is_trusted && pins.is_some_and(|pins| !pins.unread.is_empty())
        };
        if is_held || is_unread() {
            self.tell(&known, definitions(&response), &shown);
        }
        Ok((cut.map_or(response, Bytes::from), is_held))
    }

    fn known<'a>(&self, about: About<'a>) -> Known<'a> {
        let first = self.0.firsts.get(about.server);
        Known {
            about,
            pins: about
                .engine
                .tool_pins(about.server)
                .map(|pins| Pinned::new(pins)),
            first: first.map(|first| first.clone()).unwrap_or_default(),
        }
    }

    /// Tells the control plane of what it does not know. False: not all of it, as there was no room.
    fn tell(
        &self,
        known: &Known<'_>,
        definitions: impl Iterator<Item = Definition>,
        listing: &Listing,
    ) -> bool {
        let seen = definitions.filter_map(|definition| {
            let shown = listing.get(&definition.name)?;
            let stands = known.stands(&definition.name, shown);
            Some((definition, stands))
        });
        self.0.teller.tell(known.about, seen)
    }
}

/// What the tools of one listing are compared with.
struct Known<'a> {
    about: About<'a>,
    pins: Option<Pinned<'a>>,
    first: Arc<Listing>,
}

impl Known<'_> {
    fn stands(&self, tool: &str, shown: &Shown) -> Standing {
        let approved = match &self.pins {
            Some(pins) => Approved::Pins(pins),
            None => Approved::First(&self.first),
        };
        let about = self.about;
        judge(about.pin(), approved, about.era, (tool, shown))
    }
}

/// What is approved is not looked through for poison: a person has looked.
fn listing(
    definitions: impl Iterator<Item = Definition>,
    is_approved: impl Fn(&Definition) -> bool,
) -> Listing {
    let mut listing = Listing::default();
    for definition in definitions {
        let found = match is_approved(&definition) {
            true => None,
            false => poison::scan(&definition.text),
        };
        if !listing.add(&definition, found.map(Into::into)) {
            break;
        }
    }
    listing
}

/// The raw array of tools in a response, and where it stands.
fn tools_of(response: &Bytes) -> Option<(&[u8], envelope::Span)> {
    let result = walk::find(response, walk::root(response), "result")?;
    let tools = walk::find(response, result, ListKind::Tools.items_key())?;
    Some((tools.of(response), tools))
}

fn definitions(response: &Bytes) -> impl Iterator<Item = Definition> {
    let tools = tools_of(response).map(|(_, tools)| tools);
    let items = tools.map(|tools| walk::elements(response, tools));
    items
        .into_iter()
        .flatten()
        .filter_map(|item| Definition::of(response, item))
}

fn bounded<T>(map: &DashMap<ServerName, T>) {
    if map.len() >= SERVERS_MAX {
        map.clear();
    }
}

#[cfg(test)]
mod tests;
