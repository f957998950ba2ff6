//! The comments of the wire contract: messages with their fields, enums with their words.
//!
//! Reads the encoded `FileDescriptorSet` and nothing else; what users call a field is not its business.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context, Result, ensure};
use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet};

// Numbers of fields in descriptor.proto, of which paths to comments are made.
const MESSAGES: i32 = 4;
const ENUMS: i32 = 5;
const PARTS: i32 = 2;

/// Messages and enums by full name: `.gatehouse.v1.Runtime`.
#[derive(Debug, Default)]
pub(super) struct Contract {
    messages: BTreeMap<String, Message>,
    enums: BTreeMap<String, Vec<Word>>,
}

/// One message.
#[derive(Debug)]
pub(super) struct Message {
    /// Its comment, on one line.
    pub(super) comment: String,
    /// Full name of the type of each field, by the field's name. Empty: a scalar.
    fields: BTreeMap<String, String>,
    /// Fields of which it is told apart whether they were given: left out, they have no value.
    optional: BTreeSet<String>,
}

/// One word of an enum, as users write it.
#[derive(Debug, Clone)]
pub(super) struct Word {
    /// `per-session`.
    pub(super) word: String,
    /// Its comment, on one line.
    pub(super) comment: String,
}

impl Contract {
    /// Reads an encoded descriptor set.
    ///
    /// # Errors
    /// Where it is none, or holds no comments.
    pub(super) fn load(descriptor: &[u8]) -> Result<Self> {
        let set = FileDescriptorSet::decode(descriptor).context("not a FileDescriptorSet")?;
        let mut contract = Self::default();
        for file in &set.file {
            contract.take(file);
        }
        let commented = |message: &Message| !message.comment.is_empty();
        ensure!(
            contract.messages.values().any(commented),
            "the descriptor holds no comments"
        );
        Ok(contract)
    }

    fn take(&mut self, file: &FileDescriptorProto) {
        let comments = Comments::of(file);
        let full = |name: &str| format!(".{}.{name}", file.package());
        for (at, message) in (0..).zip(&file.message_type) {
            let fields = message
                .field
                .iter()
                .map(|field| (field.name().to_owned(), field.type_name().to_owned()));
            let optional = message.field.iter().filter(|f| f.proto3_optional());
            let known = Message {
                optional: optional.map(|field| field.name().to_owned()).collect(),
                comment: comments.at(&[MESSAGES, at]),
                fields: fields.collect(),
            };
            self.messages.insert(full(message.name()), known);
        }
        for (at, each) in (0..).zip(&file.enum_type) {
            let prefix = format!("{}_", screaming(each.name()));
            let word = |(i, value): (i32, &prost_types::EnumValueDescriptorProto)| Word {
                word: spoken(value.name(), &prefix),
                comment: comments.at(&[ENUMS, at, PARTS, i]),
            };
            let words = (0..).zip(&each.value).map(word).collect();
            self.enums.insert(full(each.name()), words);
        }
    }

    /// A message of `gatehouse.v1`.
    pub(super) fn message(&self, name: &str) -> Option<&Message> {
        self.messages.get(&format!(".gatehouse.v1.{name}"))
    }

    /// The message that a field of `message` holds, by the name that users write.
    pub(super) fn within(&self, message: &Message, field: &str) -> Option<&Message> {
        self.messages.get(message.fields.get(&snake(field))?)
    }

    /// Whether a field of `message` has no value where it is left out.
    pub(super) fn is_optional(&self, message: &Message, field: &str) -> bool {
        message.optional.contains(&snake(field))
    }

    /// The words that a field of `message` takes; the first is what it means to leave it out.
    pub(super) fn words(&self, message: &Message, field: &str) -> Option<&[Word]> {
        let words = self.enums.get(message.fields.get(&snake(field))?)?;
        Some(words)
    }
}

struct Comments<'f>(HashMap<&'f [i32], &'f str>);

impl<'f> Comments<'f> {
    fn of(file: &'f FileDescriptorProto) -> Self {
        let locations = file.source_code_info.iter().flat_map(|info| &info.location);
        Self(
            locations
                .map(|location| (location.path.as_slice(), location.leading_comments()))
                .collect(),
        )
    }

    fn at(&self, path: &[i32]) -> String {
        let lines = self.0.get(path).copied().unwrap_or_default().lines();
        lines
            .map(str::trim)
            .collect::<Vec<_>>()
            .join(" ")
            .trim()
            .to_owned()
    }
}

/// `upstreamAuth` to `upstream_auth`.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// `OnError` to `ON_ERROR`.
fn screaming(name: &str) -> String {
    snake(name).trim_start_matches('_').to_ascii_uppercase()
}

/// `TENANCY_PER_SESSION` to `per-session`.
fn spoken(value: &str, prefix: &str) -> String {
    let bare = value.strip_prefix(prefix).unwrap_or(value);
    bare.to_ascii_lowercase().replace('_', "-")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on should end")]

    use super::*;

    #[test]
    fn names_turn_into_what_users_write() {
        assert_eq!(snake("upstreamAuth"), "upstream_auth");
        assert_eq!(screaming("OnError"), "ON_ERROR");
        assert_eq!(spoken("ON_ERROR_DENY", "ON_ERROR_"), "deny");
        assert_eq!(spoken("TENANCY_PER_USER", "TENANCY_"), "per-user");
    }

    #[test]
    fn comments_and_words_are_found() {
        let contract = Contract::load(proto::DESCRIPTOR).unwrap();
        let server = contract.message("ServerSpec").unwrap();
        assert!(server.comment.starts_with("An entry of the catalog"));
        let words = contract.words(server, "tenancy").unwrap();
        assert_eq!(words[1].word, "shared");
        assert!(contract.within(server, "upstreamAuth").is_some());
        assert!(contract.within(server, "title").is_none());
    }

    #[test]
    fn rubbish_is_refused() {
        assert!(Contract::load(&[]).is_err());
        assert!(Contract::load(b"\xff\xff\xff").is_err());
    }
}
