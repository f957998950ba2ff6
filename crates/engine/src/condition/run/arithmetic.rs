//! Numbers, times, and turning one kind of value into another. CEL mixes no kinds of numbers, and what does not fit into
//! one fails.

use std::borrow::Cow;
use std::rc::Rc;

use super::{Given, error};
use crate::condition::syntax::Op;
use crate::condition::value::Value;

pub(super) fn negate<'s>(of: &Value<'s>) -> Given<Value<'s>> {
    match of {
        Value::Int(n) => whole(n.checked_neg()),
        Value::Double(n) => Ok(Value::Double(-n)),
        other => error(format!("{} has no negative", other.words())),
    }
}

pub(super) fn reckon<'s>(op: Op, one: &Value<'s>, other: &Value<'s>) -> Given<Value<'s>> {
    match (one, other) {
        (Value::Int(a), Value::Int(b)) => match op {
            Op::Add => whole(a.checked_add(*b)),
            Op::Sub => whole(a.checked_sub(*b)),
            Op::Mul => whole(a.checked_mul(*b)),
            Op::Div => whole(a.checked_div(*b)),
            _ => whole(a.checked_rem(*b)),
        },
        (Value::UInt(a), Value::UInt(b)) => {
            let number = match op {
                Op::Add => a.checked_add(*b),
                Op::Sub => a.checked_sub(*b),
                Op::Mul => a.checked_mul(*b),
                Op::Div => a.checked_div(*b),
                _ => a.checked_rem(*b),
            };
            number.map_or_else(out_of_range, |n| Ok(Value::UInt(n)))
        }
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(match op {
            Op::Add => a + b,
            Op::Sub => a - b,
            Op::Mul => a * b,
            Op::Div => a / b,
            _ => return unfit(op, one, other),
        })),
        (Value::Text(a), Value::Text(b)) if op == Op::Add => {
            Ok(Value::Text(Cow::Owned(format!("{a}{b}"))))
        }
        _ => match (op, one.elements(), other.elements()) {
            (Op::Add, Some(a), Some(b)) if one.words() == "a list" && other.words() == "a list" => {
                Ok(Value::List(a.chain(b).collect::<Rc<[_]>>()))
            }
            _ => times(op, one, other),
        },
    }
}

fn times<'s>(op: Op, one: &Value<'s>, other: &Value<'s>) -> Given<Value<'s>> {
    let at = |at: Result<jiff::Timestamp, jiff::Error>| {
        at.map_or_else(|_| out_of_range(), |at| Ok(Value::Time(at)))
    };
    let span = |span: Option<jiff::SignedDuration>| {
        span.map_or_else(out_of_range, |span| Ok(Value::Span(span)))
    };
    match (op, one, other) {
        (Op::Add, Value::Time(a), Value::Span(b)) | (Op::Add, Value::Span(b), Value::Time(a)) => {
            at(a.checked_add(*b))
        }
        (Op::Sub, Value::Time(a), Value::Span(b)) => at(a.checked_sub(*b)),
        (Op::Sub, Value::Time(a), Value::Time(b)) => Ok(Value::Span(a.duration_since(*b))),
        (Op::Add, Value::Span(a), Value::Span(b)) => span(a.checked_add(*b)),
        (Op::Sub, Value::Span(a), Value::Span(b)) => span(a.checked_sub(*b)),
        _ => unfit(op, one, other),
    }
}

fn unfit<T>(op: Op, one: &Value<'_>, other: &Value<'_>) -> Given<T> {
    let op = match op {
        Op::Add => "+",
        Op::Sub => "-",
        Op::Mul => "*",
        Op::Div => "/",
        _ => "%",
    };
    error(format!(
        "{op} does not take {} and {}",
        one.words(),
        other.words()
    ))
}

fn whole<'s>(number: Option<i64>) -> Given<Value<'s>> {
    number.map_or_else(out_of_range, |n| Ok(Value::Int(n)))
}

fn out_of_range<T>() -> Given<T> {
    error("a number is out of range, or divided by zero")
}

pub(super) fn to_text<'s>(of: Value<'s>) -> Given<Value<'s>> {
    Ok(Value::Text(match of {
        Value::Text(text) => text,
        Value::Bool(truth) => Cow::Borrowed(if truth { "true" } else { "false" }),
        Value::Int(n) => Cow::Owned(n.to_string()),
        Value::UInt(n) => Cow::Owned(n.to_string()),
        Value::Double(n) => Cow::Owned(n.to_string()),
        other => return error(format!("{} cannot be made text", other.words())),
    }))
}

pub(super) fn to_int<'s>(of: &Value<'s>) -> Given<Value<'s>> {
    whole(match of {
        Value::Int(n) => Some(*n),
        Value::UInt(n) => i64::try_from(*n).ok(),
        // Both ends are powers of two, which a float holds.
        Value::Double(n)
            if *n > -9_223_372_036_854_775_808.0 && *n < 9_223_372_036_854_775_808.0 =>
        {
            Some(*n as i64)
        }
        Value::Text(text) => text.parse().ok(),
        _ => None,
    })
}

pub(super) fn to_double<'s>(of: &Value<'s>) -> Given<Value<'s>> {
    match of {
        Value::Double(n) => Ok(Value::Double(*n)),
        Value::Int(n) => Ok(Value::Double(*n as f64)),
        Value::UInt(n) => Ok(Value::Double(*n as f64)),
        Value::Text(text) => match text.parse::<f64>() {
            Ok(n) => Ok(Value::Double(n)),
            Err(_) => error("the text is no number"),
        },
        other => error(format!("{} cannot be made a number", other.words())),
    }
}
