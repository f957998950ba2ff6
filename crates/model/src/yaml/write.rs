//! Resources to what users write, by the schema: for `get -o yaml|json`, and good to be applied again.
//!
//! The proto's encoded form is walked under the numbers of the table. What the table does not hold is not shown: an API
//! key's hash and the keys of a ring are nobody's to read.

use bytes::Buf;
use prost::Message;
use prost::encoding::{WireType, decode_key, decode_varint};
use proto::v1 as pb;

use super::API_VERSION;
use super::emit::{self, Value};
use super::schema::{Field, METADATA, METADATA_TAG, Object, SELECTOR_GLOB_TAG, Shape, spec};
use crate::quantity::{format_cpu, format_duration, format_size};
use crate::wire;

/// A resource as YAML, ending in a line break. Several are joined by `---` lines.
pub fn to_yaml(resource: &pb::Resource) -> String {
    emit::yaml(&value(resource))
}

/// A resource as JSON.
pub fn to_json(resource: &pb::Resource) -> serde_json::Value {
    emit::json(&value(resource))
}

fn value(resource: &pb::Resource) -> Value {
    let encoded = resource.encode_to_vec();
    let message = Fields::of(&encoded);
    let kind = wire::kind_of(resource).unwrap_or("Unknown");
    let mut entries = vec![
        ("apiVersion".to_owned(), Value::Text(API_VERSION.to_owned())),
        ("kind".to_owned(), Value::Text(kind.to_owned())),
    ];
    if let Some(metadata) = message.last(METADATA_TAG) {
        entries.push(("metadata".to_owned(), object(metadata, &METADATA)));
    }
    if let Some((schema, tag)) = spec(kind)
        && let Some(spec) = message.last(tag)
    {
        entries.push(("spec".to_owned(), object(spec, schema)));
    }
    Value::Map(entries)
}

fn object(encoded: &[u8], object: &'static Object) -> Value {
    let message = Fields::of(encoded);
    let entry =
        |field: &'static Field| Some((field.name.to_owned(), field_value(&message, field)?));
    Value::Map(object.fields.iter().filter_map(entry).collect())
}

/// The value of a field, where it is there.
fn field_value(message: &Fields<'_>, field: &'static Field) -> Option<Value> {
    let (tag, outer) = field.tags.split_last()?;
    let mut holder = message;
    let mut inner;
    for tag in outer {
        inner = Fields::of(holder.last(*tag)?);
        holder = &inner;
    }
    if let Some(number) = holder.number(*tag) {
        return number_value(&field.shape, number);
    }
    let all: Vec<&[u8]> = holder.all(*tag).collect();
    let last = *all.last()?;
    let list =
        |one: &dyn Fn(&[u8]) -> Value| Value::List(all.iter().map(|bytes| one(bytes)).collect());
    Some(match &field.shape {
        Shape::Text | Shape::FreeText => text(last),
        Shape::Texts | Shape::SomeTexts => list(&text),
        Shape::Globs => Value::List(Fields::of(last).all(1).map(text).collect()),
        Shape::Labels => labels(&all),
        Shape::Object(schema) => object(last, schema),
        Shape::Objects(schema) => list(&|bytes| object(bytes, schema)),
        Shape::Selectors(schema) => {
            list(&|bytes| match Fields::of(bytes).last(SELECTOR_GLOB_TAG) {
                Some(glob) => text(glob),
                None => object(bytes, schema),
            })
        }
        Shape::Bool
        | Shape::Int { .. }
        | Shape::Duration
        | Shape::Size
        | Shape::Cpu
        | Shape::Choice(_) => {
            return None;
        }
    })
}

fn number_value(shape: &Shape, number: u64) -> Option<Value> {
    Some(match shape {
        Shape::Bool => Value::Bool(number != 0),
        Shape::Int { .. } => Value::Int(number.cast_signed()),
        Shape::Duration => Value::Text(format_duration(number)),
        Shape::Size => Value::Text(format_size(number)),
        Shape::Cpu => Value::Text(format_cpu(u32::try_from(number).ok()?)),
        Shape::Choice(words) => {
            let word = words
                .iter()
                .find(|(_, value)| i64::from(*value).cast_unsigned() == number)?;
            Value::Text(word.0.to_owned())
        }
        _ => return None,
    })
}

fn text(bytes: &[u8]) -> Value {
    Value::Text(String::from_utf8_lossy(bytes).into_owned())
}

fn labels(entries: &[&[u8]]) -> Value {
    let part = |message: &Fields<'_>, tag| {
        String::from_utf8_lossy(message.last(tag).unwrap_or_default()).into_owned()
    };
    let one = |bytes: &&[u8]| {
        let message = Fields::of(bytes);
        (part(&message, 1), Value::Text(part(&message, 2)))
    };
    Value::Map(entries.iter().map(one).collect())
}

/// A message's fields in the order of its encoded form. What is malformed ends it: the input is our own encoding.
struct Fields<'m>(Vec<(u32, Wire<'m>)>);

enum Wire<'m> {
    Number(u64),
    Bytes(&'m [u8]),
}

impl<'m> Fields<'m> {
    fn of(mut encoded: &'m [u8]) -> Self {
        let mut fields = Vec::new();
        while let Some(field) = next(&mut encoded) {
            fields.push(field);
        }
        Self(fields)
    }

    fn all(&self, tag: u32) -> impl Iterator<Item = &'m [u8]> {
        self.0.iter().filter_map(move |(t, wire)| match wire {
            Wire::Bytes(bytes) if *t == tag => Some(*bytes),
            _ => None,
        })
    }

    fn last(&self, tag: u32) -> Option<&'m [u8]> {
        self.all(tag).last()
    }

    fn number(&self, tag: u32) -> Option<u64> {
        self.0.iter().rev().find_map(|(t, wire)| match wire {
            Wire::Number(number) if *t == tag => Some(*number),
            _ => None,
        })
    }
}

fn next<'m>(encoded: &mut &'m [u8]) -> Option<(u32, Wire<'m>)> {
    if !encoded.has_remaining() {
        return None;
    }
    let (tag, wire) = decode_key(encoded).ok()?;
    let value = decode_varint(encoded).ok()?;
    match wire {
        WireType::Varint => Some((tag, Wire::Number(value))),
        WireType::LengthDelimited => {
            let (bytes, rest) = encoded.split_at_checked(usize::try_from(value).ok()?)?;
            *encoded = rest;
            Some((tag, Wire::Bytes(bytes)))
        }
        // The contract has no fixed-width fields and no groups.
        _ => None,
    }
}
