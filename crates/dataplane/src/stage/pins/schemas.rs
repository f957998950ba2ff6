//! The schemas of tools, for filters that compare messages with them.
//!
//! Of a listing only hashes are kept. Schemas are compiled for the tool that is called, once for each text, and shared by
//! all servers and callers that are shown the same.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use engine::filter::schema::{Compiled, Schema, Schemas};
use mcp::envelope::Span;
use mcp::method::ListKind;
use mcp::walk;
use model::pins::TOOLS_MAX;
use model::snapshot::Sha256;
use parking_lot::Mutex;

use super::{Pages, tools_of};

/// Schemas that are kept compiled. What would be one too many empties all; who needs one has it compiled anew.
const COMPILED_MAX: usize = 4096;
/// What they may take together, bytes, as [`Schema::bytes`] says.
const COMPILED_BYTES_MAX: usize = 256 << 20;

/// The schemas of a tool; `Err`: why they are not known.
pub type ToolSchemas = Result<Schemas, String>;

/// By which the schemas of one tool are known again. `None`: it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Texts {
    input: Option<Sha256>,
    output: Option<Sha256>,
}

/// Which schemas the tools of one listing have.
#[derive(Debug, Default)]
pub(super) struct Outline {
    /// `None`: the tool is listed twice, so nobody can tell which is meant.
    tools: HashMap<String, Option<Texts>>,
}

/// A schema's text where it stands in a page.
fn schema<'p>(page: &'p Bytes, tool: Span, key: &str) -> Option<&'p [u8]> {
    let raw = walk::find(page, tool, key)?.of(page);
    // Servers write null for none.
    (raw != b"null").then_some(raw)
}

fn texts(page: &Bytes, tool: Span) -> Texts {
    let hash = |key| schema(page, tool, key).map(Sha256::of);
    Texts {
        input: hash(INPUT),
        output: hash(OUTPUT),
    }
}

const INPUT: &str = "inputSchema";
const OUTPUT: &str = "outputSchema";

/// All tools of a listing, each where it stands.
fn tools(pages: &Pages) -> impl Iterator<Item = (&Bytes, Span)> {
    let items = |page| {
        let tools = tools_of(page).map(|(_, tools)| tools);
        let items = tools.map(|tools| walk::elements(page, tools));
        items.into_iter().flatten().map(move |item| (page, item))
    };
    pages.0.iter().flat_map(items)
}

impl Outline {
    /// That of a whole listing.
    pub(super) fn of(pages: &Pages) -> Self {
        let mut outline = Self::default();
        for (page, tool) in tools(pages).take(TOOLS_MAX) {
            let Some(name) = mcp::list::item_name(page, tool, ListKind::Tools) else {
                continue;
            };
            let texts = texts(page, tool);
            outline
                .tools
                .entry(name.into_owned())
                .and_modify(|known| *known = None)
                .or_insert(Some(texts));
        }
        outline
    }
}

/// What was compiled. The lock is held for a look, and not while something is compiled.
#[derive(Debug, Default)]
pub(super) struct Shelf(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    by_text: HashMap<Sha256, Arc<Slot>>,
    bytes: usize,
}

/// Filled by the first who needs it; others wait for the same.
type Slot = OnceLock<Arc<Compiled>>;

impl Shelf {
    /// The schemas of a tool that a listing shows. `None`: they have to be compiled, for which the listing itself is
    /// needed.
    pub(super) fn find(&self, outline: &Outline, tool: &str) -> Option<ToolSchemas> {
        let texts = match outline.tools.get(tool) {
            None => return Some(Err("the server lists no such tool".to_owned())),
            Some(None) => return Some(Err("the server lists the tool twice".to_owned())),
            Some(Some(texts)) => texts,
        };
        let kept = self.0.lock();
        let of = |hash: Option<Sha256>| match hash {
            None => Some(None),
            Some(hash) => Some(Some(kept.by_text.get(&hash)?.get()?.clone())),
        };
        Some(Ok(Schemas {
            input: of(texts.input)?,
            output: of(texts.output)?,
        }))
    }

    /// The same, compiled where they were not yet.
    pub(super) fn learn(&self, outline: &Outline, pages: &Pages, tool: &str) -> ToolSchemas {
        if let Some(known) = self.find(outline, tool) {
            return known;
        }
        let is_named = |(page, item): &(&Bytes, Span)| {
            mcp::list::item_name(page, *item, ListKind::Tools).is_some_and(|name| name == tool)
        };
        let found = tools(pages).find(is_named);
        let (page, item) = found.ok_or_else(|| "the server lists no such tool".to_owned())?;
        let of = |key| schema(page, item, key).map(|text| self.compiled(text));
        Ok(Schemas {
            input: of(INPUT),
            output: of(OUTPUT),
        })
    }

    fn compiled(&self, text: &[u8]) -> Arc<Compiled> {
        let hash = Sha256::of(text);
        let slot = self.slot(hash);
        let mut took = None;
        let compiled = slot.get_or_init(|| {
            let compiled = Schema::compile(text);
            took = Some(compiled.as_ref().map_or(0, Schema::bytes));
            Arc::new(compiled)
        });
        if let Some(bytes) = took {
            self.weigh(hash, &slot, bytes);
        }
        compiled.clone()
    }

    fn slot(&self, hash: Sha256) -> Arc<Slot> {
        let mut kept = self.0.lock();
        if kept.by_text.len() >= COMPILED_MAX && !kept.by_text.contains_key(&hash) {
            *kept = Kept::default();
        }
        kept.by_text.entry(hash).or_default().clone()
    }

    /// What a schema takes is known once it is compiled: where that is too much with the others, it stays alone.
    fn weigh(&self, hash: Sha256, slot: &Arc<Slot>, bytes: usize) {
        let mut kept = self.0.lock();
        if kept.bytes.saturating_add(bytes) > COMPILED_BYTES_MAX {
            *kept = Kept::default();
            kept.by_text.insert(hash, slot.clone());
        }
        kept.bytes = kept.bytes.saturating_add(bytes);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn pages(tools: &[String]) -> Pages {
        let mut pages = Pages::default();
        for tools in tools.chunks(2) {
            let tools = tools.join(",");
            let page = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":[{tools}]}}}}"#);
            pages.add(page.into());
        }
        pages
    }

    fn tool(name: &str, schema: &str) -> String {
        format!(r#"{{"name":"{name}","inputSchema":{schema},"outputSchema":null}}"#)
    }

    fn input(known: &ToolSchemas) -> Arc<Compiled> {
        known.as_ref().unwrap().input.clone().unwrap()
    }

    #[test]
    fn a_schema_is_compiled_once_for_all_who_are_shown_the_same_text() {
        let shelf = Shelf::default();
        let both = [
            tool("a", r#"{"type":"object"}"#),
            tool("b", r#"{"type":"object"}"#),
        ];
        let first = pages(&both);
        let outline = Outline::of(&first);
        assert!(shelf.find(&outline, "a").is_none(), "not compiled yet");
        let learnt = shelf.learn(&outline, &first, "a");
        assert!(learnt.as_ref().unwrap().output.is_none());
        for name in ["a", "b"] {
            let found = shelf.find(&outline, name).unwrap();
            assert!(Arc::ptr_eq(&input(&found), &input(&learnt)));
        }
        let other = pages(&[tool("c", r#"{"type": "object"}"#)]);
        let outline = Outline::of(&other);
        let another = shelf.learn(&outline, &other, "c");
        assert!(!Arc::ptr_eq(&input(&another), &input(&learnt)));
        assert_eq!(shelf.0.lock().by_text.len(), 2);
    }

    #[test]
    fn a_tool_that_is_not_listed_or_listed_twice_is_not_known() {
        let shelf = Shelf::default();
        let twice = pages(&[tool("a", "{}"), tool("b", "{}"), tool("a", "true")]);
        let outline = Outline::of(&twice);
        for (name, why) in [("a", "twice"), ("c", "no such tool")] {
            let known = shelf.learn(&outline, &twice, name);
            assert!(known.unwrap_err().contains(why), "{name}");
        }
        shelf.learn(&outline, &twice, "b").unwrap();
    }

    #[test]
    fn what_is_kept_has_a_bound() {
        let shelf = Shelf::default();
        let most = COMPILED_BYTES_MAX / (100 * 512 * 1024);
        let learn = |n: usize| {
            let patterns: Vec<_> = (0..100)
                .map(|p| format!(r#"{{"pattern":"^{n}x{p}"}}"#))
                .collect();
            let schema = format!(r#"{{"anyOf":[{}]}}"#, patterns.join(","));
            let pages = pages(&[tool("a", &schema)]);
            let outline = Outline::of(&pages);
            assert!((*input(&shelf.learn(&outline, &pages, "a"))).is_ok());
            assert!(
                shelf.find(&outline, "a").is_some(),
                "it stays for its own call"
            );
            shelf.0.lock().by_text.len()
        };
        let kept: Vec<usize> = (0..=most).map(learn).collect();
        assert!(kept.iter().all(|kept| *kept <= most), "{kept:?}");
        assert_eq!(kept.last(), Some(&1));
    }
}
