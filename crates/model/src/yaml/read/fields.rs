//! One document's fields, by the schema.

use std::collections::HashSet;

use super::super::schema::{Field, Object, SELECTOR_GLOB_TAG, Shape};
use super::super::tree::{Data, Entry, Node};
use super::encode;
use super::reader::Reader;
use crate::fault::{BAD_VALUE, ONE_OF};

impl Reader<'_> {
    /// A mapping, in the proto's encoded form.
    pub(super) fn object(&mut self, node: &Node, path: &str, object: &'static Object) -> Vec<u8> {
        let mut out = Vec::new();
        let Some(entries) = self.entries(node, path, "a mapping") else {
            return out;
        };
        let mut seen = HashSet::new();
        for entry in entries {
            let at = format!("{path}.{}", entry.key);
            self.note_span(&at, entry);
            if self.is_double(&mut seen, entry, &at) {
                continue;
            }
            match object.field(&entry.key) {
                Some(field) => {
                    self.field(field, &entry.value, &at, &mut out);
                }
                None => {
                    let names: Vec<_> = object.names().collect();
                    self.unknown(entry, &at, self.kind, &names);
                }
            }
        }
        self.check_exclusive(entries, path, object);
        out
    }

    fn check_exclusive(&mut self, entries: &[Entry], path: &str, object: &Object) {
        let mut given: Vec<&Entry> = Vec::new();
        for entry in entries {
            if object.exclusive.contains(&entry.key.as_str())
                && given.iter().all(|e| e.key != entry.key)
            {
                given.push(entry);
            }
        }
        if let [_, second, ..] = given.as_slice() {
            let names: Vec<&str> = given.iter().map(|entry| entry.key.as_str()).collect();
            let (last, first) = names.split_last().unwrap_or((&"", &[]));
            let message = format!("{} and {last}: keep one", first.join(", "));
            self.note(path, ONE_OF, &message, second.key_extent);
        }
    }

    fn field(&mut self, field: &'static Field, node: &Node, path: &str, out: &mut Vec<u8>) {
        let tags = field.tags;
        match &field.shape {
            Shape::Text => {
                if let Some(text) = self.full_text(node, path) {
                    encode::bytes(tags, text.as_bytes(), out);
                }
            }
            Shape::FreeText => {
                if let Some(text) = self.text(node, path) {
                    encode::bytes(tags, text.as_bytes(), out);
                }
            }
            Shape::Bool
            | Shape::Int { .. }
            | Shape::Duration
            | Shape::Size
            | Shape::Cpu
            | Shape::Choice(_) => {
                if let Some(number) = self.number(&field.shape, node, path) {
                    encode::varint(tags, number, out);
                }
            }
            Shape::Texts => self.each(node, path, &mut |this, item, at| {
                if let Some(text) = this.text(item, at) {
                    encode::bytes(tags, text.as_bytes(), out);
                }
            }),
            Shape::SomeTexts => self.some_texts(node, path, tags, out),
            Shape::Globs => {
                let mut globs = Vec::new();
                self.each(node, path, &mut |this, item, at| {
                    if let Some(text) = this.text(item, at) {
                        encode::bytes(&[1], text.as_bytes(), &mut globs);
                    }
                });
                encode::bytes(tags, &globs, out);
            }
            Shape::Selectors(object) => self.each(node, path, &mut |this, item, at| {
                let selector = match item.data {
                    Data::Map(_) => this.object(item, at, object),
                    _ => this.plain_selector(item, at),
                };
                encode::bytes(tags, &selector, out);
            }),
            Shape::Labels => self.labels(node, path, tags, out),
            Shape::Object(object) => {
                let message = self.object(node, path, object);
                encode::bytes(tags, &message, out);
            }
            Shape::Objects(object) => self.each(node, path, &mut |this, item, at| {
                let message = this.object(item, at, object);
                encode::bytes(tags, &message, out);
            }),
        }
    }

    fn some_texts(&mut self, node: &Node, path: &str, tags: &[u32], out: &mut Vec<u8>) {
        if matches!(&node.data, Data::List(items) if items.is_empty()) {
            self.note(
                path,
                BAD_VALUE,
                "is empty: leave it out to mean all",
                node.extent,
            );
        }
        self.each(node, path, &mut |this, item, at| {
            if let Some(text) = this.full_text(item, at) {
                encode::bytes(tags, text.as_bytes(), out);
            }
        });
    }

    fn plain_selector(&mut self, node: &Node, path: &str) -> Vec<u8> {
        let mut selector = Vec::new();
        if let Some(text) = self.text(node, path) {
            encode::bytes(&[SELECTOR_GLOB_TAG], text.as_bytes(), &mut selector);
        }
        selector
    }

    fn labels(&mut self, node: &Node, path: &str, tags: &[u32], out: &mut Vec<u8>) {
        let Some(entries) = self.entries(node, path, "a mapping of text to text") else {
            return;
        };
        let mut seen = HashSet::new();
        for entry in entries {
            let at = format!("{path}.{}", entry.key);
            self.note_span(&at, entry);
            if self.is_double(&mut seen, entry, &at) {
                continue;
            }
            if let Some(value) = self.text(&entry.value, &at) {
                let mut label = Vec::new();
                encode::bytes(&[1], entry.key.as_bytes(), &mut label);
                encode::bytes(&[2], value.as_bytes(), &mut label);
                encode::bytes(tags, &label, out);
            }
        }
    }

    fn each(&mut self, node: &Node, path: &str, take: &mut dyn FnMut(&mut Self, &Node, &str)) {
        let Data::List(items) = &node.data else {
            return self.wrong(node, path, "a list");
        };
        for (i, item) in items.iter().enumerate() {
            let at = format!("{path}[{i}]");
            self.spans.note(
                &at,
                None,
                item.extent,
                matches!(item.data, Data::Scalar { .. }),
            );
            take(self, item, &at);
        }
    }

    fn entries<'n>(&mut self, node: &'n Node, path: &str, wanted: &str) -> Option<&'n [Entry]> {
        match &node.data {
            Data::Map(entries) => Some(entries),
            _ => {
                self.wrong(node, path, wanted);
                None
            }
        }
    }
}
