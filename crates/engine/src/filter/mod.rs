//! Filters: which of them look at a message, in which order, and what they say.
//!
//! A message is selected for once, before it is there ([`Chain::select`] is cheap and answers mostly "none": then
//! nobody needs to hold a body back), and checked when it is. Filters that call out will be selected here and run by the data plane.
//! Text filters look at decoded strings, so an escape in JSON hides nothing.

mod keywords;

use std::collections::HashMap;
use std::sync::Arc;

use model::filter::{Direction, Filter, Kind};
use model::name::{FilterName, Glob, ServerName};
use model::snapshot::{ResourceKey, Snapshot};
use model::wire::FILTER;

use crate::compile::Fault;
use keywords::Keywords;

/// All filters of a snapshot, in order.
#[derive(Debug, Default)]
pub struct Chain {
    /// Filters whose servers are all literal, by server.
    by_server: HashMap<Arc<str>, Vec<Arc<Compiled>>>,
    /// Filters with a glob of servers, or for all servers.
    anywhere: Vec<Arc<Compiled>>,
}

#[derive(Debug)]
struct Compiled {
    /// Its place in the order of all filters.
    place: usize,
    filter: Arc<Filter>,
    keywords: Keywords,
}

impl Chain {
    /// # Errors
    /// Filters whose words are too many to be searched for at once.
    pub(crate) fn compile(snapshot: &Snapshot) -> Result<Self, Vec<Fault>> {
        let mut sorted: Vec<&Arc<Filter>> = snapshot.filters.values().collect();
        sorted.sort_by(|a, b| (a.order, &a.name).cmp(&(b.order, &b.name)));
        let (mut chain, mut faults) = (Self::default(), Vec::new());
        for (place, filter) in sorted.into_iter().enumerate() {
            let Kind::Keywords { words, fold } = &filter.kind;
            match Keywords::compile(words, *fold) {
                Ok(keywords) => chain.add(Compiled {
                    place,
                    filter: Arc::clone(filter),
                    keywords,
                }),
                Err(error) => faults.push(Fault {
                    resource: ResourceKey::new(FILTER, filter.name.as_str()),
                    path: "spec.keywords.words".to_owned(),
                    code: model::fault::TOO_MUCH,
                    message: error.to_string(),
                    fix: None,
                }),
            }
        }
        if faults.is_empty() {
            Ok(chain)
        } else {
            Err(faults)
        }
    }

    fn add(&mut self, compiled: Compiled) {
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

    /// The filters that look at a message of `method` that goes `way` (`Request` or `Response`; a reply is selected for
    /// by the request's method and tool). Allocates only where there are some.
    pub fn select(
        &self,
        server: &ServerName,
        method: &str,
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
            if compiled.sees(server, method, tool, way) {
                selected.push(Arc::clone(compiled));
            }
        }
        selected.sort_unstable_by_key(|compiled| compiled.place);
        Selection { selected }
    }
}

impl Compiled {
    fn sees(&self, server: &ServerName, method: &str, tool: Option<&str>, way: Direction) -> bool {
        let matches = &self.filter.matches;
        let any = |globs: &[Glob], text: &str| {
            globs.is_empty() || globs.iter().any(|glob| glob.matches(text))
        };
        let tools = || {
            matches.tools.is_empty()
                || (method == mcp::method::TOOLS_CALL
                    && any(&matches.tools, tool.unwrap_or_default()))
        };
        matches.direction.includes(way)
            && any(&matches.methods, method)
            && any(&matches.servers, server.as_str())
            && tools()
    }
}

/// The filters that look at one message, in order. Owned, so that it may outlive the engine it came from.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    selected: Vec<Arc<Compiled>>,
}

/// What filters say of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<'s> {
    /// It may go on as it is.
    Pass,
    /// It is refused.
    Deny {
        /// The first filter, in order, that refuses it.
        filter: &'s FilterName,
        /// Why: the configured word, and nothing of the message.
        reason: String,
    },
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

    /// Shows `message` to each filter. It must be JSON that the strict scan has passed: what is said of other bytes
    /// means nothing.
    pub fn check(&self, message: &[u8]) -> Outcome<'_> {
        for compiled in &self.selected {
            if let Some(word) = compiled.keywords.find(message) {
                return Outcome::Deny {
                    filter: &compiled.filter.name,
                    reason: format!("holds {word:?}"),
                };
            }
        }
        Outcome::Pass
    }
}

#[cfg(test)]
mod tests;
