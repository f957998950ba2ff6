//! Values of an evaluation. They borrow from the question; arguments stay the JSON text that they came as, and are read
//! where they are asked for.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use mcp::walk;

use super::syntax::Const;

/// Most levels that two values are compared in.
const LEVELS_MAX: u32 = 64;

/// One value.
#[derive(Debug, Clone)]
pub(super) enum Value<'s> {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Double(f64),
    Text(Cow<'s, str>),
    Time(Timestamp),
    Span(SignedDuration),
    /// A JSON object or array, whole.
    Json(&'s [u8]),
    Strings(&'s [Arc<str>]),
    Labels(&'s BTreeMap<String, String>),
    List(Rc<[Value<'s>]>),
}

impl<'s> Value<'s> {
    pub(super) fn of_const(constant: &'s Const) -> Self {
        match constant {
            Const::Null => Self::Null,
            Const::Bool(b) => Self::Bool(*b),
            Const::Int(n) => Self::Int(*n),
            Const::UInt(n) => Self::UInt(*n),
            Const::Double(n) => Self::Double(*n),
            Const::Text(text) => Self::Text(Cow::Borrowed(text)),
            Const::Time(at) => Self::Time(*at),
            Const::Span(span) => Self::Span(*span),
        }
    }

    /// Reads one JSON value. `None`: it is none, or a number beyond all bounds.
    pub(super) fn of_json(raw: &'s [u8]) -> Option<Self> {
        Some(match raw.first()? {
            b'{' | b'[' => Self::Json(raw),
            b'"' => Self::Text(walk::text(raw)?),
            b't' => Self::Bool(true),
            b'f' => Self::Bool(false),
            b'n' => Self::Null,
            _ => number(std::str::from_utf8(raw).ok()?)?,
        })
    }

    /// In the words of messages.
    pub(super) fn words(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Int(_) | Self::UInt(_) | Self::Double(_) => "a number",
            Self::Text(_) => "text",
            Self::Time(_) => "a time",
            Self::Span(_) => "a duration",
            Self::Json([b'{', ..]) | Self::Labels(_) => "a map",
            Self::Json(_) | Self::Strings(_) | Self::List(_) => "a list",
        }
    }

    /// How many bytes are looked at where the whole of it is.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Json(raw) => raw.len(),
            Self::Strings(list) => list.len() * 16,
            Self::Labels(labels) => labels.len() * 32,
            Self::List(list) => list.iter().map(Self::weight).sum::<usize>() + list.len() * 16,
            _ => 0,
        }
    }

    /// How two values are ordered. `None`: they are not.
    pub(super) fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Time(a), Self::Time(b)) => Some(a.cmp(b)),
            (Self::Span(a), Self::Span(b)) => Some(a.cmp(b)),
            _ => Number::of(self)?.order(Number::of(other)?),
        }
    }

    /// Whether two values are equal; those of different kinds are not.
    pub(super) fn equals(&self, other: &Self) -> bool {
        equal(self, other, LEVELS_MAX)
    }

    /// The elements of a list, or the keys of a map. `None`: it is neither.
    pub(super) fn elements(&self) -> Option<Elements<'_, 's>> {
        Some(match self {
            Self::Json(raw @ [b'[', ..]) => {
                Elements::Json(raw, walk::elements(raw, walk::root(raw)))
            }
            Self::Json(raw) => Elements::Keys(walk::members(raw, walk::root(raw))),
            Self::Strings(list) => Elements::Strings(list.iter()),
            Self::Labels(labels) => Elements::Labels(labels.keys()),
            Self::List(list) => Elements::List(list.iter()),
            _ => return None,
        })
    }

    fn is_map(&self) -> bool {
        matches!(self, Self::Json([b'{', ..]) | Self::Labels(_))
    }

    /// The value under a key of a map. The outer `None`: it is no map.
    pub(super) fn get(&self, key: &str) -> Option<Option<Self>> {
        match self {
            Self::Json(raw @ [b'{', ..]) => {
                let found = walk::find(raw, walk::root(raw), key);
                Some(found.and_then(|span| Self::of_json(span.of(raw))))
            }
            Self::Labels(labels) => {
                let found = labels.get(key);
                Some(found.map(|text| Self::Text(Cow::Borrowed(text))))
            }
            _ => None,
        }
    }
}

/// See [`Value::elements`].
pub(super) enum Elements<'v, 's> {
    Json(&'s [u8], walk::Elements<'s>),
    Keys(walk::Members<'s>),
    Strings(std::slice::Iter<'s, Arc<str>>),
    Labels(std::collections::btree_map::Keys<'s, String, String>),
    List(std::slice::Iter<'v, Value<'s>>),
}

impl<'s> Iterator for Elements<'_, 's> {
    type Item = Value<'s>;

    fn next(&mut self) -> Option<Value<'s>> {
        match self {
            Self::Json(raw, elements) => Value::of_json(elements.next()?.of(raw)),
            Self::Keys(members) => Some(Value::Text(members.next()?.key)),
            Self::Strings(list) => Some(Value::Text(Cow::Borrowed(list.next()?))),
            Self::Labels(keys) => Some(Value::Text(Cow::Borrowed(keys.next()?))),
            Self::List(list) => list.next().cloned(),
        }
    }
}

fn equal(a: &Value<'_>, b: &Value<'_>, levels: u32) -> bool {
    let Some(levels) = levels.checked_sub(1) else {
        return false;
    };
    match (a, b) {
        (Value::Null, Value::Null) => true,
        _ if a.is_map() && b.is_map() => equal_maps(a, b, levels),
        _ if a.is_map() || b.is_map() => false,
        _ => match (a.elements(), b.elements()) {
            (Some(mut one), Some(mut other)) => loop {
                match (one.next(), other.next()) {
                    (None, None) => return true,
                    (Some(a), Some(b)) if equal(&a, &b, levels) => {}
                    _ => return false,
                }
            },
            _ => a.order(b) == Some(Ordering::Equal),
        },
    }
}

/// Each map is read once: a caller may send large ones.
fn equal_maps(a: &Value<'_>, b: &Value<'_>, levels: u32) -> bool {
    let (a, b) = (entries(a), entries(b));
    let same =
        |(key, a): (&Cow<'_, str>, &Value<'_>)| b.get(key).is_some_and(|b| equal(a, b, levels));
    a.len() == b.len() && a.iter().all(same)
}

/// What a map holds. What is none holds nothing.
fn entries<'v>(map: &'v Value<'_>) -> HashMap<Cow<'v, str>, Value<'v>> {
    match map {
        Value::Json(raw) => walk::members(raw, walk::root(raw))
            .filter_map(|member| Some((member.key, Value::of_json(member.value.of(raw))?)))
            .collect(),
        Value::Labels(labels) => labels
            .iter()
            .map(|(label, value)| (label.as_str().into(), Value::Text(value.as_str().into())))
            .collect(),
        _ => HashMap::new(),
    }
}

/// Whole numbers stay whole, as far as they fit.
fn number<'s>(text: &str) -> Option<Value<'s>> {
    if let Ok(whole) = text.parse() {
        return Some(Value::Int(whole));
    }
    if let Ok(whole) = text.parse() {
        return Some(Value::UInt(whole));
    }
    let real: f64 = text.parse().ok()?;
    real.is_finite().then_some(Value::Double(real))
}

/// A number of any kind: they are compared by what they are worth.
#[derive(Clone, Copy)]
enum Number {
    Whole(i128),
    Real(f64),
}

impl Number {
    fn of(value: &Value<'_>) -> Option<Self> {
        Some(match value {
            Value::Int(n) => Self::Whole(i128::from(*n)),
            Value::UInt(n) => Self::Whole(i128::from(*n)),
            Value::Double(n) => Self::Real(*n),
            _ => return None,
        })
    }

    fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => Some(a.cmp(&b)),
            (Self::Real(a), Self::Real(b)) => a.partial_cmp(&b),
            (Self::Whole(a), Self::Real(b)) => exact(a, b),
            (Self::Real(a), Self::Whole(b)) => exact(b, a).map(Ordering::reverse),
        }
    }
}

/// Without rounding the whole number, which a float cannot always hold.
fn exact(whole: i128, real: f64) -> Option<Ordering> {
    if real.is_nan() {
        return None;
    }
    // Saturates far beyond 64 bits.
    let floor = real.floor();
    let order = whole.cmp(&(floor as i128));
    Some(order.then(if real > floor {
        Ordering::Less
    } else {
        Ordering::Equal
    }))
}
