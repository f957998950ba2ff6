//! Poisoned tool definitions: text in a tool's definition that is not meant for the person who reads of the tool.
//!
//! Every string is looked at, names and keys included: hidden characters, names in disguise, orders to the model, and
//! parameters that ask for what no tool needs. Start from [`scan`].

use std::sync::LazyLock;

use regex::RegexSet;

use super::fold::fold;
use super::places::{Context, Place, leaves_of};
use super::{change, hidden, injection, lookalike};

/// Points at which a string is taken for an order to the model; the default of filters of kind `injection`, too.
pub const THRESHOLD: u32 = 4;

/// Why a tool's definition, an object as it stands in the answer to `tools/list`, is not to be shown to a model; `None`:
/// nothing speaks against it. The definition must have passed the strict scan. The reason names the place, and nothing
/// of the text.
pub fn scan(definition: &[u8]) -> Option<String> {
    let mut leaves = leaves_of(definition, Context::Protocol(0));
    while let Some(leaf) = leaves.next() {
        if leaf.place == Place::Opaque || leaf.is_bare {
            continue;
        }
        let text = change::text_of(definition, &leaf);
        let is_property = leaf.is_key && leaves.names_property();
        let path = || leaves.path();
        if let Some(what) = hidden::find(&text) {
            return Some(format!("holds {what} at {}", path().escape_debug()));
        }
        let is_name = is_property || (!leaf.is_key && leaves.path() == "name");
        if is_name && lookalike::is_disguised(&text) {
            let path = if is_property {
                "the name of a parameter".to_owned()
            } else {
                path()
            };
            return Some(format!("holds letters that look like others at {path}"));
        }
        if is_property && asks_too_much(&text) {
            return Some("has a parameter that asks for what no tool needs".to_owned());
        }
        match injection::score(&text) {
            Ok(Some(found)) if found.points >= THRESHOLD => {
                return Some(format!(
                    "reads like {} at {}",
                    found.name,
                    path().escape_debug()
                ));
            }
            Ok(_) => {}
            Err(why) => return Some(why),
        }
    }
    None
}

/// Names of parameters under which models have been seen to hand over what they know.
const NAMES: [&str; 6] = [
    r"\b(system|initial|developer) prompts?$",
    r"\b(conversation|chat|message|tool call) (history|log)\b",
    r"\b(chain of thought|internal reasoning|model reasoning|hidden reasoning)\b",
    r"\b(previous|prior|earlier) messages\b",
    r"\bcontents? (of|from)\b.*\b(ssh|id rsa|env|etc|passwd|shadow|credentials?|secrets?)\b",
    r"\b(tool names|tools list|api keys?\b.*\bpasswords?|names and descriptions of other)\b",
];

static ASKS: LazyLock<Option<RegexSet>> = LazyLock::new(|| RegexSet::new(NAMES).ok());

fn asks_too_much(name: &str) -> bool {
    let mut words = String::with_capacity(name.len() + 8);
    let mut was_lower = false;
    for character in name.chars() {
        match character {
            '_' | '-' | '.' => words.push(' '),
            // Humps of camels.
            c if c.is_uppercase() && was_lower => words.extend([' ', c]),
            c => words.push(c),
        }
        was_lower = character.is_lowercase();
    }
    let words = fold(&words);
    ASKS.as_ref().is_none_or(|asks| asks.is_match(&words))
}

#[cfg(test)]
#[path = "poison_tests.rs"]
mod tests;
