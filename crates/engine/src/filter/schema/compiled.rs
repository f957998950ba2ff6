//! One schema, compiled, and a value that is compared with it.
//!
//! Everything here has a bound: the schema comes from a server, the value from a client or a server. What is over a bound
//! is not looked at, which is said, and never taken for what matches.

use jsonschema::{Draft, PatternOptions, Validator};
use mcp::walk::{self, Event};
use model::text::spelt;
use serde_json::Value;

use super::weight::{self, Weight};

/// Longest schema, bytes.
pub const SCHEMA_BYTES_MAX: usize = 256 * 1024;
/// Values of a schema, its containers included.
const SCHEMA_VALUES_MAX: u64 = 10_000;
/// Expressions of `pattern` and `patternProperties`.
const PATTERNS_MAX: u64 = 100;
/// Largest of them, compiled, bytes; each is there twice, and may remember as much again.
const PATTERN_BYTES_MAX: usize = 256 * 1024;
/// What a byte of a schema's text takes once it is compiled, about.
const BYTES_A_BYTE: usize = 20;
/// Longest value that is compared, bytes: that of the largest request.
const VALUE_BYTES_MAX: usize = 4 << 20;
/// What may be put to all values together.
const WORK_MAX: u64 = 20_000_000;
/// Bytes that may be read for `pattern` and its like.
const READ_BYTES_MAX: u64 = 64 << 20;
/// Steps down the stack: how deep a value is, times how deep a schema is at one place.
const STEPS_MAX: u32 = 1_024;
/// Up to which work the place in the schema is looked for: each fault on the way there takes memory.
const PLACE_WORK_MAX: u64 = 100_000;
/// Longest piece of a server's words that is repeated, characters.
const SHOWN_CHARS_MAX: usize = 200;

/// A schema, ready to be compared with.
#[derive(Debug)]
pub struct Schema {
    validator: Validator,
    weight: Weight,
    /// Of its text.
    bytes: usize,
}

/// Why a value does not go on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Bad {
    /// It is not what the schema says; where in the schema that stands, with a word before it.
    DoesNotMatch(String),
    /// It cannot be looked at; the reason.
    Unseen(String),
}

impl Schema {
    /// Compiles the JSON text of a schema that the strict scan has passed.
    ///
    /// # Errors
    /// It is no schema, is over a bound, or refers to what is not in it; the reason.
    pub fn compile(text: &[u8]) -> Result<Self, String> {
        if text.len() > SCHEMA_BYTES_MAX {
            return Err(format!("it has more than {SCHEMA_BYTES_MAX} bytes"));
        }
        let schema: Value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        if weight::values(&schema) > SCHEMA_VALUES_MAX {
            return Err(format!("it has more than {SCHEMA_VALUES_MAX} values"));
        }
        let draft = dialect(&schema);
        let weight = weight::of(&schema, draft)?;
        if weight.patterns > PATTERNS_MAX {
            return Err(format!("it has more than {PATTERNS_MAX} patterns"));
        }
        let patterns = PatternOptions::regex()
            .size_limit(PATTERN_BYTES_MAX)
            .dfa_size_limit(PATTERN_BYTES_MAX);
        let validator = jsonschema::options()
            .with_draft(draft)
            .with_pattern_options(patterns)
            .offline()
            .build(&schema)
            .map_err(|error| shown(&error.masked().to_string()))?;
        Ok(Self {
            validator,
            weight,
            bytes: text.len(),
        })
    }

    /// How much memory it may take, at most, about.
    pub fn bytes(&self) -> usize {
        let patterns = usize::try_from(self.weight.patterns).unwrap_or(usize::MAX);
        let patterns = patterns.saturating_mul(2 * PATTERN_BYTES_MAX);
        (self.bytes * BYTES_A_BYTE).saturating_add(patterns)
    }

    /// Compares the JSON text of a value that the strict scan has passed.
    pub(super) fn check(&self, text: &[u8]) -> Result<(), Bad> {
        let values = self.affordable(text).map_err(Bad::Unseen)?;
        let unread = |error: serde_json::Error| {
            Bad::Unseen(format!("it cannot be read: {:?}", error.classify()))
        };
        let value: Value = serde_json::from_slice(text).map_err(unread)?;
        if self.validator.is_valid(&value) {
            return Ok(());
        }
        let is_cheap = self.weight.all.saturating_mul(values) <= PLACE_WORK_MAX;
        // On a schema that leads back to itself faults may be many more than parts.
        let found = (is_cheap && !self.weight.is_recursive)
            .then(|| self.validator.validate(&value).err())
            .flatten();
        let at = found.map(|error| format!(" at {}", shown(error.schema_path().as_str())));
        Err(Bad::DoesNotMatch(at.unwrap_or_default()))
    }

    /// How many values there are to compare.
    ///
    /// # Errors
    /// It would take too long, or numbers would be taken for other ones.
    fn affordable(&self, text: &[u8]) -> Result<u64, String> {
        if text.len() > VALUE_BYTES_MAX {
            return Err(format!("there are more than {VALUE_BYTES_MAX} bytes"));
        }
        let (mut values, mut depth, mut deepest) = (0_u64, 0_u32, 0_u32);
        for event in walk::events(text) {
            match event {
                Event::Object(_) | Event::Array(_) => {
                    (values, depth) = (values + 1, depth + 1);
                    deepest = deepest.max(depth);
                }
                Event::Close => depth = depth.saturating_sub(1),
                Event::Scalar(span) => {
                    values += 1;
                    if !is_held(span.of(text)) {
                        return Err("there is a whole number of more than 64 bits".to_owned());
                    }
                }
                Event::Key(_) | Event::Text(_) => values += 1,
            }
        }
        let (work, bytes) = (self.weight.all, text.len() as u64);
        if work.saturating_mul(values) > WORK_MAX
            || self.weight.readings.saturating_mul(bytes) > READ_BYTES_MAX
            || (deepest + 1).saturating_mul(self.weight.depth) > STEPS_MAX
        {
            return Err("there is too much of it for a schema like the tool's".to_owned());
        }
        Ok(values)
    }
}

/// What a schema says that it is written in, where that is known; else what MCP says of one that says nothing.
fn dialect(schema: &Value) -> Draft {
    match Draft::Draft202012.detect(schema) {
        Draft::Unknown => Draft::Draft202012,
        known => known,
    }
}

/// Whether a scalar is compared as what it is: a larger whole number would be rounded, and two would be one.
fn is_held(raw: &[u8]) -> bool {
    let digits = raw.strip_prefix(b"-").unwrap_or(raw);
    if digits.len() < 19 || !digits.iter().all(u8::is_ascii_digit) {
        return true;
    }
    let text = std::str::from_utf8(raw).unwrap_or_default();
    text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok()
}

/// Somebody else's words, cut, and spelt out where they would not be seen.
pub(super) fn shown(text: &str) -> String {
    let cut: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    spelt(&cut)
}
