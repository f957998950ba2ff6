//! What several servers say of themselves, said as one.
//!
//! Once a session, so trees are built here.

use serde_json::{Map, Value, json};

use crate::bridge::Error;
use crate::bridge::handshake::{self, Offer, SERVER_INFO_KEY};
use crate::revision::Revision;
use crate::tasks::EXTENSION;

/// What a client may rely on where any member offers it.
const FEATURES: [&str; 5] = ["tools", "prompts", "resources", "completions", "logging"];
/// The extension that consists of what is forwarded anyhow: tools and resources.
const APPS: &str = "io.modelcontextprotocol/ui";
/// Longest instructions of one member that are passed on, characters.
const INSTRUCTIONS_CHARS_MAX: usize = 8 * 1024;

/// Who the whole is.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// For programs.
    pub name: &'a str,
    /// For people. May be empty.
    pub title: &'a str,
    /// Gatehouse's.
    pub version: &'a str,
}

impl Identity<'_> {
    /// As `serverInfo`.
    #[must_use]
    pub fn info(&self) -> Value {
        let mut info = json!({"name": self.name, "version": self.version});
        if !self.title.is_empty() {
            info["title"] = json!(self.title);
        }
        info
    }
}

/// The result of `server/discover` that stands for those of `members`, each with its name. `ttlMs` is the least that any
/// member says.
#[must_use]
pub fn discover_result(
    members: &[(&str, Value)],
    identity: Identity<'_>,
    supported: &[Revision],
    mut meta: Map<String, Value>,
) -> Value {
    let versions: Vec<_> = supported.iter().map(|revision| revision.as_str()).collect();
    let ttl = |(_, result): &(&str, Value)| result["ttlMs"].as_u64().unwrap_or(0);
    meta.insert(SERVER_INFO_KEY.to_owned(), identity.info());
    let mut result = json!({
        "resultType": "complete",
        "supportedVersions": versions,
        "capabilities": capabilities(members),
        "ttlMs": members.iter().map(ttl).min().unwrap_or(0),
        "cacheScope": "private",
        "_meta": meta,
    });
    if let Some(instructions) = instructions(members) {
        result["instructions"] = Value::String(instructions);
    }
    result
}

/// The `InitializeResult` that stands for those of `members`, each with its name.
///
/// # Errors
/// None that could be caused from outside.
pub fn initialize_result(
    members: &[(&str, Value)],
    identity: Identity<'_>,
    revision: Revision,
    meta: Map<String, Value>,
) -> Result<Vec<u8>, Error> {
    let mut result = json!({
        "protocolVersion": revision.as_str(),
        "capabilities": capabilities(members),
        "serverInfo": identity.info(),
    });
    if let Some(instructions) = instructions(members) {
        result["instructions"] = Value::String(instructions);
    }
    if !meta.is_empty() {
        result["_meta"] = Value::Object(meta);
    }
    let all = Offer {
        subscribe: true,
        list_changed: true,
        tasks: true,
        logging: true,
    };
    handshake::initialize_result(&serde_json::to_vec(&result)?, revision, all)
}

/// What any member offers.
fn capabilities(members: &[(&str, Value)]) -> Value {
    let mut union = Map::new();
    for (_, result) in members {
        let offered = &result["capabilities"];
        for feature in FEATURES {
            let Some(said) = offered[feature].as_object() else {
                continue;
            };
            let entry = union.entry(feature).or_insert_with(|| json!({}));
            for flag in ["listChanged", "subscribe"] {
                if said.get(flag) == Some(&Value::Bool(true)) {
                    entry[flag] = Value::Bool(true);
                }
            }
        }
        for extension in [APPS, EXTENSION] {
            let said = &offered["extensions"][extension];
            if said.is_object() {
                let all = union.entry("extensions").or_insert_with(|| json!({}));
                if all.get(extension).is_none() {
                    all[extension] = said.clone();
                }
            }
        }
        // Of 2025-11-25: no list of them, as nothing says whose one is.
        if offered["tasks"]["requests"]["tools"]["call"].is_object() {
            let entry = union.entry("tasks").or_insert_with(|| json!({}));
            entry["requests"] = json!({"tools": {"call": {}}});
            if offered["tasks"]["cancel"].is_object() {
                entry["cancel"] = json!({});
            }
        }
    }
    Value::Object(union)
}

/// The members' instructions, each under its name.
fn instructions(members: &[(&str, Value)]) -> Option<String> {
    let said = members.iter().filter_map(|(name, result)| {
        let text = result["instructions"].as_str()?.trim();
        let text: String = text.chars().take(INSTRUCTIONS_CHARS_MAX).collect();
        (!text.is_empty()).then(|| format!("## {name}\n\n{text}"))
    });
    let said: Vec<String> = said.collect();
    (!said.is_empty()).then(|| said.join("\n\n"))
}
