//! Checks functions: which there are, and what they take.

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue};
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use regex::{Regex, RegexBuilder};

use super::check::{Checker, Typed, near};
use super::syntax::{Const, Function, Node, Part, Type};
use super::{Mistake, PATTERN_BYTES_MAX};

/// Most memory of a compiled regular expression, bytes.
const PATTERN_MEMORY_MAX: usize = 128 * 1024;

/// What may be called on something, and by itself.
const MEMBERS: &[&str] = &[
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "lowerAscii",
    "upperAscii",
    "containsIP",
    "all",
    "exists",
    "exists_one",
    "map",
    "filter",
    "getFullYear",
    "getMonth",
    "getDate",
    "getDayOfMonth",
    "getDayOfYear",
    "getDayOfWeek",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
];
const FUNCTIONS: &[&str] = &[
    "size",
    "has",
    "string",
    "int",
    "double",
    "matches",
    "timestamp",
    "duration",
    "cidr",
];

impl Checker {
    pub(super) fn function(
        &mut self,
        name: &str,
        target: Option<Typed>,
        args: &[IdedExpr],
    ) -> Result<Typed, Mistake> {
        match (name, target, args) {
            ("size", Some(of), []) => self.size(of),
            ("size", None, [of]) => {
                let of = self.part(of)?;
                self.size(of)
            }
            ("string", None, [of]) => self.convert(Function::ToText, of, Type::Text),
            ("int", None, [of]) => self.convert(Function::ToInt, of, Type::Int),
            ("double", None, [of]) => self.convert(Function::ToDouble, of, Type::Double),
            ("timestamp", None, [of]) => {
                let text = literal(of).ok_or_else(|| wants_literal("timestamp"))?;
                let at: Timestamp = text.parse().map_err(|_| {
                    Mistake::bad(format!("{text:?} is no time: write 2026-11-27T18:00:00Z"))
                })?;
                Ok((Node::Const(Const::Time(at)), Type::Time))
            }
            ("duration", None, [of]) => {
                let text = literal(of).ok_or_else(|| wants_literal("duration"))?;
                let span = duration(text).ok_or_else(|| {
                    Mistake::bad(format!("{text:?} is no duration: write 90s, 15m or 1h30m"))
                })?;
                Ok((Node::Const(Const::Span(span)), Type::Span))
            }
            ("matches", Some(of), [pattern]) => self.matches(of, pattern),
            ("matches", None, [of, pattern]) => {
                let of = self.part(of)?;
                self.matches(of, pattern)
            }
            ("contains", Some(of), [what]) => self.of_text(Function::Contains, of, Some(what)),
            ("startsWith", Some(of), [what]) => self.of_text(Function::StartsWith, of, Some(what)),
            ("endsWith", Some(of), [what]) => self.of_text(Function::EndsWith, of, Some(what)),
            ("lowerAscii", Some(of), []) => self.of_text(Function::LowerAscii, of, None),
            ("upperAscii", Some(of), []) => self.of_text(Function::UpperAscii, of, None),
            (name, Some(of), zone) if zone.len() < 2 && part_of(name).is_some() => {
                self.time_part(name, of, zone.first())
            }
            (name, target, _) => Err(no_such(name, target.is_some())),
        }
    }

    fn size(&mut self, (of, kind): Typed) -> Result<Typed, Mistake> {
        match kind {
            Type::Dyn | Type::Text | Type::List(_) | Type::Labels => {
                Ok((Node::Call(Function::Size, vec![of]), Type::Int))
            }
            other => Err(Mistake::never(format!("{} has no size", other.words()))),
        }
    }

    fn convert(&mut self, function: Function, of: &IdedExpr, to: Type) -> Result<Typed, Mistake> {
        let (of, kind) = self.part(of)?;
        let fits = match kind {
            Type::Dyn | Type::Int | Type::UInt | Type::Double | Type::Text => true,
            Type::Bool => to == Type::Text,
            _ => false,
        };
        if !fits {
            let message = format!("{} cannot be made {}", kind.words(), to.words());
            return Err(Mistake::never(message));
        }
        Ok((Node::Call(function, vec![of]), to))
    }

    fn of_text(
        &mut self,
        function: Function,
        (of, kind): Typed,
        what: Option<&IdedExpr>,
    ) -> Result<Typed, Mistake> {
        is_text(&kind)?;
        let given = match function {
            Function::LowerAscii | Function::UpperAscii => Type::Text,
            _ => Type::Bool,
        };
        let mut nodes = vec![of];
        if let Some(what) = what {
            let (what, kind) = self.part(what)?;
            is_text(&kind)?;
            nodes.push(what);
        }
        Ok((Node::Call(function, nodes), given))
    }

    /// Patterns stand in the condition: one that a caller could send would be compiled at each call.
    fn matches(&mut self, (of, kind): Typed, pattern: &IdedExpr) -> Result<Typed, Mistake> {
        is_text(&kind)?;
        let pattern = literal(pattern).ok_or_else(|| wants_literal("matches"))?;
        Ok((
            Node::Matches(Box::new(of), Box::new(regex(pattern)?)),
            Type::Bool,
        ))
    }

    /// `cidr("10.0.0.0/8").containsIP(client_address)`
    pub(super) fn network(&mut self, cidr: &IdedExpr, call: &CallExpr) -> Result<Typed, Mistake> {
        let Expr::Call(CallExpr {
            args, target: None, ..
        }) = &cidr.expr
        else {
            return Err(Mistake::bad("cidr wants text: cidr(\"10.0.0.0/8\")"));
        };
        let text = match args.as_slice() {
            [text] => literal(text),
            _ => None,
        };
        let text = text.ok_or_else(|| wants_literal("cidr"))?;
        let net: IpNet = text.parse().map_err(|_| {
            Mistake::bad(format!(
                "{text:?} is no network: write 10.0.0.0/8 or fd00::/8"
            ))
        })?;
        let ("containsIP", [address]) = (call.func_name.as_str(), call.args.as_slice()) else {
            return Err(Mistake::bad(
                "a network answers one question: cidr(\"10.0.0.0/8\").containsIP(client_address)",
            ));
        };
        let (address, kind) = self.part(address)?;
        is_text(&kind)?;
        Ok((Node::Holds(net, Box::new(address)), Type::Bool))
    }

    fn time_part(
        &mut self,
        name: &str,
        (of, kind): Typed,
        zone: Option<&IdedExpr>,
    ) -> Result<Typed, Mistake> {
        let part = part_of(name).ok_or_else(|| no_such(name, true))?;
        if kind != Type::Time {
            return Err(Mistake::never(format!(
                "{name} is asked of a time, not of {}",
                kind.words()
            )));
        }
        let offset = match zone {
            None => 0,
            Some(zone) => {
                let text = literal(zone).ok_or_else(|| wants_literal(name))?;
                offset(text).ok_or_else(|| {
                    Mistake::bad(format!(
                        "{text:?} is no offset from UTC: write \"UTC\", \"+02:00\" or \"-05:30\""
                    ))
                })?
            }
        };
        Ok((Node::Part(part, Box::new(of), offset), Type::Int))
    }
}

fn is_text(kind: &Type) -> Result<(), Mistake> {
    if kind.may_be(&Type::Text) {
        return Ok(());
    }
    Err(Mistake::never(format!(
        "text is wanted, not {}",
        kind.words()
    )))
}

fn literal(tree: &IdedExpr) -> Option<&str> {
    match &tree.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

fn wants_literal(function: &str) -> Mistake {
    Mistake::bad(format!(
        "{function} wants text that stands in the condition itself"
    ))
}

fn no_such(name: &str, member: bool) -> Mistake {
    let (names, form) = if member {
        (MEMBERS, format!(".{name}()"))
    } else {
        (FUNCTIONS, format!("{name}()"))
    };
    if names.contains(&name) {
        return Mistake::bad(format!("{form} has other arguments than these"));
    }
    let mistake = Mistake::bad(format!("conditions have no function {form}"));
    near(mistake, name, names.iter().copied(), ", ")
}

/// Matching takes time linear in the text, whatever the pattern.
fn regex(pattern: &str) -> Result<Regex, Mistake> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(Mistake::too_much(format!(
            "{} bytes are over the {PATTERN_BYTES_MAX} that a regular expression may have",
            pattern.len()
        )));
    }
    RegexBuilder::new(pattern)
        .size_limit(PATTERN_MEMORY_MAX)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => Mistake::too_much(format!(
                "the regular expression {pattern:?} is too large once compiled"
            )),
            other => Mistake::bad(format!("{pattern:?} is no regular expression: {other}")),
        })
}

fn part_of(name: &str) -> Option<Part> {
    Some(match name {
        "getFullYear" => Part::FullYear,
        "getMonth" => Part::Month,
        "getDate" => Part::Date,
        "getDayOfMonth" => Part::DayOfMonth,
        "getDayOfYear" => Part::DayOfYear,
        "getDayOfWeek" => Part::DayOfWeek,
        "getHours" => Part::Hours,
        "getMinutes" => Part::Minutes,
        "getSeconds" => Part::Seconds,
        "getMilliseconds" => Part::Milliseconds,
        _ => return None,
    })
}

/// `UTC`, `+02:00` or `-05:30`, in seconds. Zones by name change with a database that nodes may have different ones of.
fn offset(text: &str) -> Option<i32> {
    if text == "UTC" {
        return Some(0);
    }
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => (1, text),
    };
    let (hours, minutes) = rest.split_once(':')?;
    let number = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<i32>().ok().filter(|_| digits)
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours <= 14 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// `90s`, `1h30m`, `500ms`: a number and its unit, any number of times.
fn duration(text: &str) -> Option<SignedDuration> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let mut nanos = 0_i64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let count: i64 = rest.get(..digits)?.parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = match &rest[..letters] {
            "h" => 3_600_000_000_000,
            "m" => 60_000_000_000,
            "s" => 1_000_000_000,
            "ms" => 1_000_000,
            "us" => 1_000,
            "ns" => 1,
            _ => return None,
        };
        rest = &rest[letters..];
        nanos = nanos.checked_add(count.checked_mul(unit)?)?;
    }
    Some(SignedDuration::from_nanos(sign * nanos))
}
