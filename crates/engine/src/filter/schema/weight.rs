//! How much a schema can cost, before anything is compared with it: a schema comes from a server, and few words are
//! enough for one that takes forever.
//!
//! A *place* is one value of a message. In-place keywords (`allOf`, `$ref`, `if`, …) put further schemas to the same place,
//! others (`properties`, `items`, …) to places within it. What is put to one place is bounded here, in number and in
//! depth; what is put to all of them together is bounded when the message is there, by [`Weight::all`].

use std::collections::HashMap;

use jsonschema::Draft;
use serde_json::Value;

/// Most that may be put to one place, counted as values of the schema.
const IN_PLACE_MAX: u64 = 10_000;
/// Most schemas that lead from one to another at one place: each is a step down the stack.
const IN_PLACE_DEPTH_MAX: u32 = 32;
/// Most schemas that lead from one to another, whatever the place.
const CHAIN_MAX: usize = 256;

/// Keywords with one schema for the same place.
const SAME: [&str; 4] = ["not", "if", "then", "else"];
/// … with a list of them.
const SAME_LISTS: [&str; 3] = ["allOf", "anyOf", "oneOf"];
/// … with a mapping to them.
const SAME_MAPS: [&str; 2] = ["dependentSchemas", "dependencies"];
/// References, which are to the same place.
const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];
/// Keywords with one schema, or a list of them, for what is within.
const WITHIN: [&str; 9] = [
    "additionalProperties",
    "propertyNames",
    "items",
    "prefixItems",
    "additionalItems",
    "contains",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contentSchema",
];
/// … with a mapping to them.
const WITHIN_MAPS: [&str; 2] = ["properties", "patternProperties"];
/// Keywords for which a string is read from end to end.
const READING: [&str; 5] = [
    "pattern",
    "minLength",
    "maxLength",
    "format",
    "contentEncoding",
];

/// What comparing with a schema costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Weight {
    /// Most that is put to all places together, for each value of a message.
    pub(super) all: u64,
    /// How often a string is read, at most.
    pub(super) readings: u64,
    /// Expressions in it.
    pub(super) patterns: u64,
    /// The longest way from schema to schema at one place.
    pub(super) depth: u32,
    /// Whether it leads back to itself, for what is within.
    pub(super) is_recursive: bool,
}

/// What the schema weighs.
///
/// # Errors
/// It is too heavy, or refers to what is not in it.
pub(super) fn of(schema: &Value, draft: Draft) -> Result<Weight, String> {
    let parts = Parts::of(schema, draft)?.parts;
    let mut scales = Scales {
        in_place: vec![None; parts.len()],
        all: vec![State::New; parts.len()],
        is_recursive: false,
        parts,
    };
    let (mut at_most, mut readings, mut depth) = (0, 0, 0);
    for at in 0..scales.parts.len() {
        let measure = scales.in_place(at, 1)?;
        (at_most, depth) = (measure.weight.max(at_most), measure.depth.max(depth));
        readings += scales.parts[at].readings;
    }
    let whole = scales.all(0, 1)?;
    let places = scales.parts.len() as u64;
    let (all, readings) = match scales.is_recursive {
        // A schema that leads back to itself is put to a place by any of its parts.
        true => (
            at_most.saturating_mul(places),
            readings.saturating_mul(places),
        ),
        false => whole,
    };
    // What nobody else has looked at is found by going through all that stands beside once more.
    let again = match scales.parts.iter().any(|part| part.is_rest) {
        true => u64::from(depth),
        false => 1,
    };
    Ok(Weight {
        all: all.saturating_mul(again),
        readings,
        patterns: scales.parts.iter().map(|part| part.patterns).sum(),
        depth,
        is_recursive: scales.is_recursive,
    })
}

/// One schema within another.
#[derive(Debug, Default)]
struct Part {
    /// What it weighs by itself.
    own: u64,
    /// How often it has a string read.
    readings: u64,
    /// Its expressions.
    patterns: u64,
    /// Whether it has a keyword for what no other keyword has looked at.
    is_rest: bool,
    /// What it puts to the same place, and to places within.
    same: Vec<usize>,
    within: Vec<usize>,
}

/// All parts that the root leads to; the root is the first.
struct Parts<'s> {
    root: &'s Value,
    /// By name, what an anchor stands for.
    anchors: HashMap<&'s str, &'s Value>,
    parts: Vec<Part>,
    /// By where a schema stands in memory, its number.
    numbers: HashMap<usize, usize>,
    /// Those whose keywords were not looked at yet.
    open: Vec<&'s Value>,
}

impl<'s> Parts<'s> {
    fn of(root: &'s Value, draft: Draft) -> Result<Self, String> {
        let mut all = Self {
            root,
            anchors: HashMap::new(),
            parts: Vec::new(),
            numbers: HashMap::new(),
            open: Vec::new(),
        };
        let id = if draft == Draft::Draft4 { "id" } else { "$id" };
        all.names(root, id, true)?;
        all.number(root);
        while let Some(schema) = all.open.pop() {
            let part = all.part(schema)?;
            let at = all.number(schema);
            all.parts[at] = part;
        }
        Ok(all)
    }

    fn number(&mut self, schema: &'s Value) -> usize {
        let next = self.parts.len();
        let number = *self
            .numbers
            .entry(std::ptr::from_ref(schema) as usize)
            .or_insert(next);
        if number == next {
            self.parts.push(Part::default());
            self.open.push(schema);
        }
        number
    }

    fn part(&mut self, schema: &'s Value) -> Result<Part, String> {
        let mut part = Part {
            own: 1,
            ..Part::default()
        };
        for (key, value) in schema.as_object().into_iter().flatten() {
            let key = key.as_str();
            part.readings += u64::from(READING.contains(&key));
            part.is_rest |= key.starts_with("unevaluated");
            let (mut same, within) = steps(key, value);
            if key == "patternProperties" {
                part.readings += within.len() as u64;
                part.patterns += within.len() as u64;
            }
            part.patterns += u64::from(key == "pattern");
            match (REFERENCES.contains(&key), value.as_str()) {
                (true, Some(reference)) => same.push(self.target(reference)?),
                _ if same.is_empty() && within.is_empty() => part.own += own(key, value),
                _ => {}
            }
            part.same.extend(same.into_iter().map(|to| self.number(to)));
            part.within
                .extend(within.into_iter().map(|to| self.number(to)));
        }
        Ok(part)
    }

    /// Takes all names that parts have. Wherever they stand: what is no schema seldom looks like one.
    fn names(&mut self, value: &'s Value, id: &str, is_root: bool) -> Result<(), String> {
        match value {
            Value::Object(members) => {
                for (key, named) in members {
                    match (key.as_str(), named.as_str()) {
                        ("$anchor" | "$dynamicAnchor", Some(name)) => self.name(name, value)?,
                        (key, Some(name)) if key == id => match name.strip_prefix('#') {
                            Some(name) => self.name(name, value)?,
                            // Of what is within it `#` would be another root.
                            None if !is_root => {
                                return Err(format!("it holds another with an {id}"));
                            }
                            None => {}
                        },
                        _ => self.names(named, id, false)?,
                    }
                }
                Ok(())
            }
            Value::Array(items) => items
                .iter()
                .try_for_each(|item| self.names(item, id, false)),
            _ => Ok(()),
        }
    }

    fn name(&mut self, name: &'s str, schema: &'s Value) -> Result<(), String> {
        let before = self.anchors.insert(name, schema);
        match before.is_some_and(|before| !std::ptr::eq(before, schema)) {
            true => Err("it gives two parts one name".to_owned()),
            false => Ok(()),
        }
    }

    /// What a reference refers to.
    fn target(&self, reference: &str) -> Result<&'s Value, String> {
        let found = reference.strip_prefix('#').and_then(decoded);
        let found = found.and_then(|fragment| match fragment.as_str() {
            "" => Some(self.root),
            pointer if pointer.starts_with('/') => self.root.pointer(pointer),
            name => self.anchors.get(name).copied(),
        });
        found.ok_or_else(|| "it refers to what is not in it".to_owned())
    }
}

/// What one schema puts to its place.
#[derive(Debug, Clone, Copy)]
struct InPlace {
    weight: u64,
    depth: u32,
}

/// What is known of one schema and all that it leads to.
#[derive(Debug, Clone, Copy)]
enum State {
    New,
    /// It is being weighed: who comes by again has gone in a circle.
    Open,
    /// Weight and readings.
    Known(u64, u64),
}

struct Scales {
    parts: Vec<Part>,
    in_place: Vec<Option<InPlace>>,
    all: Vec<State>,
    is_recursive: bool,
}

impl Scales {
    /// `deep`: how many led here. A circle at one place is one that is too deep.
    fn in_place(&mut self, at: usize, deep: u32) -> Result<InPlace, String> {
        if let Some(known) = self.in_place[at] {
            return Ok(known);
        }
        if deep > IN_PLACE_DEPTH_MAX {
            return Err(too_deep());
        }
        let mut sum = InPlace {
            weight: self.parts[at].own,
            depth: 1,
        };
        for n in 0..self.parts[at].same.len() {
            let to = self.parts[at].same[n];
            let step = self.in_place(to, deep + 1)?;
            sum.weight = sum.weight.saturating_add(step.weight);
            sum.depth = sum.depth.max(step.depth + 1);
        }
        if sum.weight > IN_PLACE_MAX {
            return Err("it puts too much to one value".to_owned());
        }
        if sum.depth > IN_PLACE_DEPTH_MAX {
            return Err(too_deep());
        }
        self.in_place[at] = Some(sum);
        Ok(sum)
    }

    fn all(&mut self, at: usize, deep: usize) -> Result<(u64, u64), String> {
        match self.all[at] {
            State::Known(all, readings) => return Ok((all, readings)),
            State::Open => {
                self.is_recursive = true;
                return Ok((0, 0));
            }
            State::New if deep > CHAIN_MAX => {
                let message = format!("more than {CHAIN_MAX} parts of it lead to one another");
                return Err(message);
            }
            State::New => self.all[at] = State::Open,
        }
        let part = &self.parts[at];
        let (mut all, mut readings) = (part.own, part.readings);
        let steps: Vec<usize> = part.same.iter().chain(&part.within).copied().collect();
        for to in steps {
            let step = self.all(to, deep + 1)?;
            all = all.saturating_add(step.0);
            readings = readings.saturating_add(step.1);
        }
        self.all[at] = State::Known(all, readings);
        Ok((all, readings))
    }
}

fn too_deep() -> String {
    format!("more than {IN_PLACE_DEPTH_MAX} parts of it lead to one another for one value")
}

/// The schemas that a keyword leads to: for the same place, and within.
fn steps<'s>(key: &str, value: &'s Value) -> (Vec<&'s Value>, Vec<&'s Value>) {
    let is_schema = |value: &&Value| value.is_object() || value.is_boolean();
    let one = || Some(value).filter(is_schema).into_iter().collect();
    let list = || {
        value
            .as_array()
            .into_iter()
            .flatten()
            .filter(is_schema)
            .collect()
    };
    let map = || {
        let members = value.as_object().into_iter().flatten();
        members.map(|(_, value)| value).filter(is_schema).collect()
    };
    match key {
        _ if SAME.contains(&key) => (one(), Vec::new()),
        _ if SAME_LISTS.contains(&key) => (list(), Vec::new()),
        _ if SAME_MAPS.contains(&key) => (map(), Vec::new()),
        _ if WITHIN_MAPS.contains(&key) => (Vec::new(), map()),
        _ if WITHIN.contains(&key) && value.is_array() => (Vec::new(), list()),
        _ if WITHIN.contains(&key) => (Vec::new(), one()),
        _ => (Vec::new(), Vec::new()),
    }
}

/// What a keyword weighs that leads nowhere: `enum` is compared with each of its values.
fn own(key: &str, value: &Value) -> u64 {
    match key {
        // Nothing is put to a value by these.
        "$defs" | "definitions" | "examples" | "default" => 0,
        _ => values(value),
    }
}

/// Values within one another, with itself. The depth is that of a text that was parsed.
pub(super) fn values(value: &Value) -> u64 {
    match value {
        Value::Array(items) => 1 + items.iter().map(values).sum::<u64>(),
        Value::Object(members) => 1 + members.values().map(values).sum::<u64>(),
        _ => 1,
    }
}

/// A fragment without its %-escapes.
fn decoded(fragment: &str) -> Option<String> {
    if !fragment.contains('%') {
        return Some(fragment.to_owned());
    }
    let mut bytes = fragment.bytes();
    let mut out = Vec::with_capacity(fragment.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        out.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(out).ok()
}
