//! Evaluates a checked condition: what is not known makes it unknown, what does not fit makes it fail, and after so many
//! steps it ends.
//!
//! `unknown` is stronger than a failure: with more known, it could come out either way.

use std::borrow::Cow;
use std::fmt::Display;
use std::rc::Rc;

use jiff::Timestamp;
use jiff::tz::Offset;

use super::scope::Scope;
use super::syntax::{Each, Function, Node, Op, Part, Var};
use super::value::Value;
use super::{Outcome, STEPS_MAX};

mod arithmetic;

/// Bytes that count as one step.
const STEP_BYTES: usize = 64;

/// Why there is no value.
#[derive(Debug)]
pub(super) enum Stop {
    Unknown,
    Error(Cow<'static, str>),
}

type Given<T> = Result<T, Stop>;

fn error<T>(why: impl Into<Cow<'static, str>>) -> Given<T> {
    Err(Stop::Error(why.into()))
}

pub(super) fn run(node: &Node, scope: &Scope<'_>) -> Outcome {
    let mut run = Run {
        scope,
        locals: Vec::new(),
        left: STEPS_MAX,
    };
    match run.truth(node) {
        Ok(true) => Outcome::Holds,
        Ok(false) => Outcome::Fails,
        Err(Stop::Unknown) => Outcome::Unknown,
        Err(Stop::Error(why)) => Outcome::Error(why.into_owned()),
    }
}

struct Run<'s, 'a> {
    scope: &'s Scope<'a>,
    /// What loops are at, from the outermost.
    locals: Vec<Value<'s>>,
    left: u32,
}

impl<'s> Run<'s, '_> {
    fn step(&mut self, bytes: usize) -> Given<()> {
        let steps = u32::try_from(bytes / STEP_BYTES).unwrap_or(u32::MAX);
        match self.left.checked_sub(steps.saturating_add(1)) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                self.left = 0;
                error(format!("it took more than {STEPS_MAX} steps"))
            }
        }
    }

    fn truth(&mut self, node: &'s Node) -> Given<bool> {
        match self.value(node)? {
            Value::Bool(truth) => Ok(truth),
            other => error(format!("{} is neither true nor false", other.words())),
        }
    }

    fn value(&mut self, node: &'s Node) -> Given<Value<'s>> {
        self.step(0)?;
        match node {
            Node::Const(constant) => Ok(Value::of_const(constant)),
            Node::Var(var) => self.var(*var),
            Node::Local(at) => match self.locals.get(*at) {
                Some(value) => {
                    let value = value.clone();
                    self.step(value.weight())?;
                    Ok(value)
                }
                None => error("a name of a loop is not there"),
            },
            Node::List(nodes) => {
                let values = nodes.iter().map(|node| self.value(node));
                Ok(Value::List(values.collect::<Given<_>>()?))
            }
            Node::Select(of, key) => {
                let of = self.value(of)?;
                self.member(&of, key)
            }
            Node::Has(of, key) => {
                let of = self.value(of)?;
                self.step(of.weight())?;
                match of.get(key) {
                    Some(found) => Ok(Value::Bool(found.is_some())),
                    None => error(format!("{} has no fields", of.words())),
                }
            }
            Node::Index(of, at) => {
                let (of, at) = (self.value(of)?, self.value(at)?);
                self.index(&of, &at)
            }
            Node::Not(of) => Ok(Value::Bool(!self.truth(of)?)),
            Node::Negate(of) => arithmetic::negate(&self.value(of)?),
            Node::And(one, other) => self.join(one, other, false),
            Node::Or(one, other) => self.join(one, other, true),
            Node::If(asked, yes, no) => {
                let branch = if self.truth(asked)? { yes } else { no };
                self.value(branch)
            }
            Node::Op(op, one, other) => {
                let (one, other) = (self.value(one)?, self.value(other)?);
                self.op(*op, &one, &other)
            }
            Node::Each {
                what,
                over,
                only,
                body,
            } => {
                let over = self.value(over)?;
                self.each(*what, &over, only.as_deref(), body)
            }
            Node::Call(function, nodes) => self.call(*function, nodes),
            Node::Part(part, of, offset) => match self.value(of)? {
                Value::Time(at) => part_of(*part, at, *offset),
                other => error(format!("{} has no parts of a time", other.words())),
            },
            Node::Matches(of, pattern) => {
                let text = self.text(of)?;
                // A pattern is not free: it takes several times what a plain search does.
                self.step(text.len().saturating_mul(4))?;
                Ok(Value::Bool(pattern.is_match(&text)))
            }
            Node::Holds(net, of) => {
                let text = self.text(of)?;
                let Ok(address) = text.parse::<core::net::IpAddr>() else {
                    return error(format!("{:?} is no address", cut(&text)));
                };
                Ok(Value::Bool(net.contains(&address)))
            }
        }
    }

    fn var(&self, var: Var) -> Given<Value<'s>> {
        let scope = self.scope;
        let text = |text: &'s str| Value::Text(Cow::Borrowed(text));
        let value = match var {
            Var::User => Some(text(&scope.principal.user)),
            Var::Groups => Some(Value::Strings(&scope.principal.groups)),
            Var::Client => Some(text(scope.principal.client.as_deref().unwrap_or_default())),
            Var::ServerName => Some(text(scope.server.as_str())),
            Var::Labels => Some(Value::Labels(scope.labels())),
            Var::Tool => scope.tool().map(text),
            Var::Name => scope.name().map(text),
            Var::Method => scope.action.map(|action| text(action.method)),
            Var::Args => match scope.facts.args.map(<[u8]>::trim_ascii) {
                None => None,
                Some(b"") => Some(Value::Json(b"{}")),
                Some(raw) => match Value::of_json(raw) {
                    Some(value) => Some(value),
                    None => return error("the arguments cannot be read"),
                },
            },
            Var::Address => scope.address().map(text),
            Var::Time => match scope.facts.time.map(Timestamp::try_from) {
                None => None,
                Some(Ok(at)) => Some(Value::Time(at)),
                Some(Err(_)) => return error("the clock is out of range"),
            },
        };
        value.ok_or(Stop::Unknown)
    }

    /// `&&` and `||`: `decisive` on either side decides, whatever the other one is.
    fn join(&mut self, one: &'s Node, other: &'s Node, decisive: bool) -> Given<Value<'s>> {
        let one = self.truth(one);
        if matches!(one, Ok(truth) if truth == decisive) {
            return Ok(Value::Bool(decisive));
        }
        let joined = match (one, self.truth(other)) {
            (_, Ok(truth)) if truth == decisive => Ok(decisive),
            (Ok(_), Ok(_)) => Ok(!decisive),
            (Err(Stop::Unknown), _) | (_, Err(Stop::Unknown)) => Err(Stop::Unknown),
            (Err(why), _) | (_, Err(why)) => Err(why),
        };
        joined.map(Value::Bool)
    }

    fn text(&mut self, node: &'s Node) -> Given<Cow<'s, str>> {
        match self.value(node)? {
            Value::Text(text) => Ok(text),
            other => error(format!("{} is no text", other.words())),
        }
    }

    fn member(&mut self, of: &Value<'s>, key: &str) -> Given<Value<'s>> {
        self.step(of.weight())?;
        match of.get(key) {
            Some(Some(value)) => Ok(value),
            Some(None) => error(format!("there is no {:?}", cut(key))),
            None => error(format!("{} has no field {:?}", of.words(), cut(key))),
        }
    }

    fn index(&mut self, of: &Value<'s>, at: &Value<'s>) -> Given<Value<'s>> {
        if let Value::Text(key) = at {
            return self.member(of, key);
        }
        self.step(of.weight())?;
        let place = match at {
            Value::Int(n) => usize::try_from(*n).ok(),
            Value::UInt(n) => usize::try_from(*n).ok(),
            other => return error(format!("{} is no place in a list", other.words())),
        };
        let is_list = matches!(
            of,
            Value::Json([b'[', ..]) | Value::Strings(_) | Value::List(_)
        );
        let found = place.filter(|_| is_list);
        match found.and_then(|place| of.elements()?.nth(place)) {
            Some(value) => Ok(value),
            None => error(format!("{} has nothing at that place", of.words())),
        }
    }

    fn op(&mut self, op: Op, one: &Value<'s>, other: &Value<'s>) -> Given<Value<'s>> {
        self.step(one.weight().saturating_add(other.weight()))?;
        let order = |says: fn(std::cmp::Ordering) -> bool| match one.order(other) {
            Some(order) => Ok(Value::Bool(says(order))),
            None => error(format!(
                "{} and {} have no order",
                one.words(),
                other.words()
            )),
        };
        match op {
            Op::Eq => Ok(Value::Bool(one.equals(other))),
            Op::Ne => Ok(Value::Bool(!one.equals(other))),
            Op::Lt => order(std::cmp::Ordering::is_lt),
            Op::Le => order(std::cmp::Ordering::is_le),
            Op::Gt => order(std::cmp::Ordering::is_gt),
            Op::Ge => order(std::cmp::Ordering::is_ge),
            Op::In => match (one, other) {
                (Value::Text(key), Value::Json([b'{', ..]) | Value::Labels(_)) => {
                    Ok(Value::Bool(other.get(key).flatten().is_some()))
                }
                (_, Value::Json([b'{', ..]) | Value::Labels(_)) => Ok(Value::Bool(false)),
                _ => match other.elements() {
                    Some(elements) => {
                        for element in elements {
                            // Each is compared with all of it.
                            self.step(one.weight())?;
                            if element.equals(one) {
                                return Ok(Value::Bool(true));
                            }
                        }
                        Ok(Value::Bool(false))
                    }
                    None => error(format!("{} holds nothing", other.words())),
                },
            },
            _ => arithmetic::reckon(op, one, other),
        }
    }

    fn each(
        &mut self,
        what: Each,
        over: &Value<'s>,
        only: Option<&'s Node>,
        body: &'s Node,
    ) -> Given<Value<'s>> {
        let Some(elements) = over.elements() else {
            return error(format!("{} is no list", over.words()));
        };
        let mut found = Found::default();
        for element in elements {
            self.step(element.weight())?;
            self.locals.push(element);
            let goes_on = self.one(what, only, body, &mut found);
            self.locals.pop();
            if !goes_on {
                break;
            }
        }
        found.end(what)
    }

    /// One element. False: the rest changes nothing.
    fn one(
        &mut self,
        what: Each,
        only: Option<&'s Node>,
        body: &'s Node,
        found: &mut Found<'s>,
    ) -> bool {
        match only.map(|only| self.truth(only)) {
            None | Some(Ok(true)) => {}
            Some(Ok(false)) => return true,
            Some(Err(stop)) => return found.stopped(stop, self.left),
        }
        if what == Each::Map {
            return match self.value(body) {
                Ok(value) => {
                    found.kept.push(value);
                    true
                }
                Err(stop) => found.stopped(stop, self.left),
            };
        }
        match (what, self.truth(body)) {
            (_, Err(stop)) => found.stopped(stop, self.left),
            (Each::All, Ok(false)) | (Each::Exists, Ok(true)) => {
                found.decided = true;
                false
            }
            (Each::ExistsOne, Ok(true)) => {
                found.count += 1;
                true
            }
            (Each::Filter, Ok(true)) => {
                found.kept.extend(self.locals.last().cloned());
                true
            }
            _ => true,
        }
    }

    fn call(&mut self, function: Function, nodes: &'s [Node]) -> Given<Value<'s>> {
        let Some((first, rest)) = nodes.split_first() else {
            return error("a function lacks its arguments");
        };
        let of = self.value(first)?;
        self.step(of.weight())?;
        match function {
            Function::Size => size(&of),
            Function::ToText => arithmetic::to_text(of),
            Function::ToInt => arithmetic::to_int(&of),
            Function::ToDouble => arithmetic::to_double(&of),
            _ => {
                let Value::Text(text) = of else {
                    return error(format!("{} is no text", of.words()));
                };
                let second = rest.first().map(|node| self.text(node)).transpose()?;
                let second = second.as_deref().unwrap_or_default();
                self.step(second.len())?;
                Ok(match function {
                    Function::Contains => Value::Bool(
                        memchr::memmem::find(text.as_bytes(), second.as_bytes()).is_some(),
                    ),
                    Function::StartsWith => Value::Bool(text.starts_with(second)),
                    Function::EndsWith => Value::Bool(text.ends_with(second)),
                    Function::UpperAscii => Value::Text(Cow::Owned(text.to_ascii_uppercase())),
                    _ => Value::Text(Cow::Owned(text.to_ascii_lowercase())),
                })
            }
        }
    }
}

/// What a loop has found so far.
#[derive(Default)]
struct Found<'s> {
    decided: bool,
    count: usize,
    kept: Vec<Value<'s>>,
    stop: Option<Stop>,
}

impl<'s> Found<'s> {
    /// The first failure is kept, and what is unknown beats it. Goes on while there are steps left: a later element may
    /// decide.
    fn stopped(&mut self, stop: Stop, left: u32) -> bool {
        match (&self.stop, &stop) {
            (None, _) | (Some(Stop::Error(_)), Stop::Unknown) => self.stop = Some(stop),
            _ => {}
        }
        left > 0
    }

    fn end(self, what: Each) -> Given<Value<'s>> {
        if self.decided {
            return Ok(Value::Bool(what == Each::Exists));
        }
        if let Some(stop) = self.stop {
            return Err(stop);
        }
        Ok(match what {
            Each::All => Value::Bool(true),
            Each::Exists => Value::Bool(false),
            Each::ExistsOne => Value::Bool(self.count == 1),
            Each::Map | Each::Filter => Value::List(Rc::from(self.kept)),
        })
    }
}

fn size<'s>(of: &Value<'s>) -> Given<Value<'s>> {
    let count = match of {
        Value::Text(text) => text.chars().count(),
        other => match other.elements() {
            Some(elements) => elements.count(),
            None => return error(format!("{} has no size", other.words())),
        },
    };
    Ok(Value::Int(i64::try_from(count).unwrap_or(i64::MAX)))
}

fn part_of<'s>(part: Part, at: Timestamp, offset: i32) -> Given<Value<'s>> {
    let Ok(offset) = Offset::from_seconds(offset) else {
        return error("there is no such offset from UTC");
    };
    let at = offset.to_datetime(at);
    Ok(Value::Int(match part {
        Part::FullYear => i64::from(at.year()),
        Part::Month => i64::from(at.month()) - 1,
        Part::Date => i64::from(at.day()),
        Part::DayOfMonth => i64::from(at.day()) - 1,
        Part::DayOfYear => i64::from(at.day_of_year()) - 1,
        Part::DayOfWeek => i64::from(at.weekday().to_sunday_zero_offset()),
        Part::Hours => i64::from(at.hour()),
        Part::Minutes => i64::from(at.minute()),
        Part::Seconds => i64::from(at.second()),
        Part::Milliseconds => i64::from(at.millisecond()),
    }))
}

/// The beginning of what a caller sent, for a message.
fn cut(text: &str) -> impl Display + std::fmt::Debug {
    const SHOWN_MAX: usize = 64;
    text[..text.floor_char_boundary(SHOWN_MAX)].to_owned()
}
