//! Filters: which of them look at a message, in which order, and what they say.
//!
//! A message is selected for once, before it is there ([`Chain::select`] is cheap and answers mostly "none": then
//! nobody needs to hold a body back), and checked when it is. Filters that call out are selected here, in their place
//! in the order, and asked by the data plane. Text filters look at decoded strings, so an escape in JSON hides nothing.
//!
//! A kind of filter is a file that implements `finding::Look` and an entry in `kinds`; its settings are a variant of
//! [`model::filter::Kind`].

mod change;
mod finding;
mod fold;
mod hidden;
mod injection;
mod keywords;
mod kinds;
mod lookalike;
pub mod pii;
mod places;
pub mod poison;
mod regex;
pub mod schema;
mod size;
mod webhook;

use std::collections::HashMap;
use std::sync::Arc;

use model::filter::{Direction, Filter, Kind, Mode, OnError};
use model::name::{FilterName, Glob, ServerName};
use model::snapshot::Snapshot;

use crate::compile::Fault;
use finding::Look;
pub use finding::{Finding, Seen};
use kinds::Looks;
pub use webhook::Hook;

/// All filters of a snapshot, in order.
#[derive(Debug, Default)]
pub struct Chain {
    /// Filters whose servers are all literal, by server.
    by_server: HashMap<Arc<str>, Vec<Arc<Compiled>>>,
    /// Filters with a glob of servers, or for all servers.
    anywhere: Vec<Arc<Compiled>>,
    /// Whether one of them goes by tools' schemas.
    wants_schemas: bool,
}

/// One filter, ready to look.
#[derive(Debug)]
pub struct Compiled {
    /// Its place in the order of all filters.
    place: usize,
    filter: Arc<Filter>,
    looks: Looks,
}

impl Chain {
    /// # Errors
    /// Filters that cannot be compiled.
    pub(crate) fn compile(snapshot: &Snapshot) -> Result<Self, Vec<Fault>> {
        let mut sorted: Vec<&Arc<Filter>> = snapshot.filters.values().collect();
        sorted.sort_by(|a, b| (a.order, &a.name).cmp(&(b.order, &b.name)));
        let (mut chain, mut faults) = (Self::default(), Vec::new());
        for (place, filter) in sorted.into_iter().enumerate() {
            match kinds::compile(filter, snapshot) {
                Ok(looks) => chain.add(Compiled {
                    place,
                    filter: Arc::clone(filter),
                    looks,
                }),
                Err(fault) => faults.push(*fault),
            }
        }
        if faults.is_empty() {
            Ok(chain)
        } else {
            Err(faults)
        }
    }

    fn add(&mut self, compiled: Compiled) {
        self.wants_schemas |= compiled.wants_schemas();
        let compiled = Arc::new(compiled);
        let servers = &compiled.filter.matches.servers;
        if servers.is_empty() || !servers.iter().all(Glob::is_literal) {
            self.anywhere.push(Arc::clone(&compiled));
            return;
        }
        for server in servers {
            let list = self.by_server.entry(server.as_str().into()).or_default();
            // A server that is named twice is one server.
            if list.last().is_none_or(|last| last.place != compiled.place) {
                list.push(Arc::clone(&compiled));
            }
        }
    }

    /// Whether a filter that looks at calls of a tool, or at their results, goes by the tool's schemas. Cheap where no
    /// filter at all does.
    pub fn want_schemas(&self, server: &ServerName, tool: &str) -> bool {
        self.wants_schemas
            && [Direction::Request, Direction::Response].iter().any(|way| {
                let selection = self.select(server, mcp::method::TOOLS_CALL, Some(tool), *way);
                selection.filters().any(|filter| filter.wants_schemas())
            })
    }

    /// The filters that look at a message of `method` that goes `way` (`Request` or `Response`; a reply is selected for
    /// by the request's method and tool). Allocates only where there are some.
    pub fn select(
        &self,
        server: &ServerName,
        method: &str,
        tool: Option<&str>,
        way: Direction,
    ) -> Selection {
        self.select_any(server, &[method], tool, way)
    }

    /// The filters that look at a message of which only is known that it belongs to one of these methods, otherwise as
    /// [`Self::select`].
    pub fn select_any(
        &self,
        server: &ServerName,
        methods: &[&str],
        tool: Option<&str>,
        way: Direction,
    ) -> Selection {
        let literal = self
            .by_server
            .get(server.as_str())
            .map(Vec::as_slice)
            .unwrap_or_default();
        let mut selected = Vec::new();
        for compiled in literal.iter().chain(&self.anywhere) {
            // Of one of several methods: which tool it is about is not known either.
            let about = match (tool, methods) {
                (Some(tool), _) => About::Tool(tool),
                (None, [_]) => About::Nothing,
                (None, _) => About::Unknown,
            };
            let sees = |method: &&str| compiled.sees(server, method, about, way);
            if methods.iter().any(sees) {
                selected.push(Arc::clone(compiled));
            }
        }
        selected.sort_unstable_by_key(|compiled| compiled.place);
        Selection { selected }
    }
}

impl Compiled {
    /// Its name.
    pub fn name(&self) -> &FilterName {
        &self.filter.name
    }

    /// What happens where it fails.
    pub fn on_error(&self) -> OnError {
        self.filter.on_error
    }

    /// Whether it only looks, and decides nothing.
    pub fn is_observer(&self) -> bool {
        self.filter.mode == Mode::Observe
    }

    /// Whether it may change messages.
    pub fn may_change(&self) -> bool {
        self.filter.may_change
    }

    /// The receiver that has to be asked; `None` for a filter that looks by itself.
    pub fn hook(&self) -> Option<&Hook> {
        match &self.looks {
            Looks::Asked(hook) => Some(hook),
            Looks::Itself(_) => None,
        }
    }

    /// Whether it goes by the schemas of the tool that a message is about.
    pub fn wants_schemas(&self) -> bool {
        matches!(self.filter.kind, Kind::Schema)
    }

    /// Looks at a message, which must be JSON that the strict scan has passed. Reasons name what was configured, and
    /// nothing of the message. A filter that has to be asked says nothing here.
    pub fn look(&self, seen: &Seen<'_>) -> Finding {
        match &self.looks {
            Looks::Itself(looks) => looks.look(seen),
            Looks::Asked(_) => Finding::Nothing,
        }
    }

    fn sees(&self, server: &ServerName, method: &str, about: About<'_>, way: Direction) -> bool {
        let matches = &self.filter.matches;
        let any = |globs: &[Glob], text: &str| {
            globs.is_empty() || globs.iter().any(|glob| glob.matches(text))
        };
        let tools = || {
            matches.tools.is_empty()
                || (method == mcp::method::TOOLS_CALL
                    && match about {
                        About::Tool(tool) => any(&matches.tools, tool),
                        About::Nothing => any(&matches.tools, ""),
                        About::Unknown => true,
                    })
        };
        // Nothing else has a schema: what such a filter cannot look at is not held for it.
        let has_schemas = !self.wants_schemas() || schema::ANSWERED_BY_TOOLS.contains(&method);
        has_schemas
            && matches.direction.includes(way)
            && any(&matches.methods, method)
            && any(&matches.servers, server.as_str())
            && tools()
    }
}

/// Which tool a message is about.
#[derive(Debug, Clone, Copy)]
enum About<'a> {
    Tool(&'a str),
    Nothing,
    /// Any could be meant: then every filter of tools looks.
    Unknown,
}

/// The filters that look at one message, in order. Owned, so that it may outlive the engine it came from.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    selected: Vec<Arc<Compiled>>,
}

impl Selection {
    /// Whether no filter looks.
    pub fn is_empty(&self) -> bool {
        self.selected.is_empty()
    }

    /// Names of those that look, in order.
    pub fn names(&self) -> impl Iterator<Item = &FilterName> {
        self.entries().map(|(_, name)| name)
    }

    /// Place in the order of all filters, and name.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (usize, &FilterName)> {
        self.selected
            .iter()
            .map(|compiled| (compiled.place, &compiled.filter.name))
    }

    /// The filters that look, in order.
    pub fn filters(&self) -> impl Iterator<Item = &Arc<Compiled>> {
        self.selected.iter()
    }

    /// The same, as they stand side by side.
    pub fn as_slice(&self) -> &[Arc<Compiled>] {
        &self.selected
    }

    /// Whether a message has to wait for one of them: it has to be asked, and decides.
    pub fn calls_out(&self) -> bool {
        let asked = |filter: &Arc<Compiled>| filter.hook().is_some() && !filter.is_observer();
        self.selected.iter().any(asked)
    }
}

#[cfg(test)]
mod tests;
