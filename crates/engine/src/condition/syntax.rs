//! A checked condition as a tree: what [`super::check`] makes and [`super::run`] walks.

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use regex::Regex;

/// What a condition may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Var {
    /// `principal.user`
    User,
    /// `principal.groups`
    Groups,
    /// `principal.client`; empty where the credential was made for none.
    Client,
    /// `server.name`
    ServerName,
    /// `server.labels`
    Labels,
    /// `tool`; empty where the call is of no tool.
    Tool,
    /// `name`: of the tool or prompt, or the resource's URI.
    Name,
    /// `method`
    Method,
    /// `args`
    Args,
    /// `client_address`
    Address,
    /// `time`
    Time,
}

/// What a condition depends on, that is not known everywhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Needs {
    pub(super) args: bool,
    pub(super) address: bool,
    pub(super) time: bool,
}

impl Needs {
    /// Those of both.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            args: self.args || other.args,
            address: self.address || other.address,
            time: self.time || other.time,
        }
    }
}

/// A type, as far as it can be told where a condition is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Type {
    /// Whatever an argument is.
    Dyn,
    Null,
    Bool,
    Int,
    UInt,
    Double,
    Text,
    List(Box<Type>),
    /// Text to text.
    Labels,
    Time,
    Span,
}

impl Type {
    /// In the words of messages.
    pub(super) fn words(&self) -> &'static str {
        match self {
            Self::Dyn => "any value",
            Self::Null => "null",
            Self::Bool => "true or false",
            Self::Int | Self::UInt | Self::Double => "a number",
            Self::Text => "text",
            Self::List(_) => "a list",
            Self::Labels => "a map",
            Self::Time => "a time",
            Self::Span => "a duration",
        }
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::UInt | Self::Double)
    }

    /// Whether a value of this type may turn out to be one of the other.
    pub(super) fn may_be(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Dyn, _) | (_, Self::Dyn) => true,
            (Self::List(a), Self::List(b)) => a.may_be(b),
            (a, b) => a == b,
        }
    }
}

/// A value that stands in the condition itself.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Const {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Double(f64),
    Text(Box<str>),
    Time(Timestamp),
    Span(SignedDuration),
}

/// What two values are put through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
}

/// What is done with each element of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Each {
    All,
    Exists,
    ExistsOne,
    Map,
    Filter,
}

/// A function of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Size,
    Contains,
    StartsWith,
    EndsWith,
    LowerAscii,
    UpperAscii,
    ToText,
    ToInt,
    ToDouble,
}

/// A part of a point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    FullYear,
    Month,
    Date,
    DayOfMonth,
    DayOfYear,
    DayOfWeek,
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
}

/// One part of a condition.
#[derive(Debug)]
pub(super) enum Node {
    Const(Const),
    Var(Var),
    /// The element that a loop is at; loops are counted from the outermost.
    Local(usize),
    List(Vec<Node>),
    Select(Box<Node>, Box<str>),
    Has(Box<Node>, Box<str>),
    Index(Box<Node>, Box<Node>),
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    If(Box<Node>, Box<Node>, Box<Node>),
    Op(Op, Box<Node>, Box<Node>),
    Each {
        what: Each,
        over: Box<Node>,
        /// Of `map` with three arguments: which elements.
        only: Option<Box<Node>>,
        body: Box<Node>,
    },
    Call(Function, Vec<Node>),
    /// A part of a time, at an offset from UTC in seconds.
    Part(Part, Box<Node>, i32),
    Matches(Box<Node>, Box<Regex>),
    /// Whether a network holds an address.
    Holds(IpNet, Box<Node>),
}
