//! The byte machine: checks a JSON text in one pass and says where things stand, building nothing.
//!
//! Stricter than RFC 8259 wherever two parsers could read a text differently: duplicate keys, lone surrogates, numbers
//! that overflow, deep nesting. It must not know what a JSON-RPC message is: [`capture`] tells it which members to
//! note, [`crate::interpret`] makes sense of them.
//!
//! A *hard* fault ends the pass ([`Stop`]); a *soft* one is noted and the pass goes on, so that the id of a request
//! that is refused can still be told.

pub(crate) mod capture;
mod fault;
pub(crate) mod keys;
pub(crate) mod number;
mod string;

pub use fault::{ScanError, ScanFault};
pub(crate) use string::Text;
pub use string::{Strings, strings};
pub(crate) use string::{decode, string_end};

use crate::span::Span;
use keys::Keys;

/// How much a message may ask of us. All three are inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Length of the whole text, bytes.
    pub bytes: usize,
    /// Objects and arrays open at once.
    pub depth: usize,
    /// JSON values, containers and scalars alike.
    pub nodes: usize,
}

impl Limits {
    /// For what a client sends.
    pub const REQUEST: Self = Self {
        bytes: 4 << 20,
        depth: 64,
        nodes: 10_000,
    };
    /// For what a server answers: results are larger than calls.
    pub const RESPONSE: Self = Self {
        bytes: 64 << 20,
        depth: 96,
        nodes: 1_000_000,
    };
}

/// No limit above this is honoured: the machine calls itself once a level, and the stack is finite.
const DEPTH_MAX: usize = 128;

/// What a value is, as far as its first bytes tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Shape {
    /// The member did not occur.
    #[default]
    Absent,
    /// It occurred twice: nobody may rely on either.
    Twice,
    Null,
    True,
    False,
    /// A number without fraction and exponent.
    Int,
    Float,
    /// A string without escapes: its bytes are its text.
    Plain,
    /// A string with escapes.
    Escaped,
    Object,
    Array,
}

/// A value: where it stands and what it is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Token {
    pub(crate) span: Span,
    pub(crate) shape: Shape,
}

/// The pass ended early; [`Scanner::into_fault`] says why.
#[derive(Debug)]
pub(crate) struct Stop;

/// The machine. `at` is the next byte to read.
pub(crate) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    nodes_left: usize,
    limits: Limits,
    fault: Option<(ScanFault, usize)>,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(bytes: &'a [u8], limits: &Limits) -> Self {
        let limits = Limits {
            bytes: limits.bytes.min(string::MESSAGE_BYTES_MAX),
            depth: limits.depth.min(DEPTH_MAX),
            nodes: limits.nodes,
        };
        Self {
            bytes,
            at: 0,
            nodes_left: limits.nodes,
            limits,
            fault: None,
        }
    }

    /// The hard fault if there was one, else the first soft one, with its offset.
    pub(crate) fn into_fault(self) -> Option<(ScanFault, usize)> {
        self.fault
    }

    /// Ends the pass. A hard fault outweighs the soft ones noted before.
    fn fail<T>(&mut self, fault: ScanFault, at: usize) -> Result<T, Stop> {
        self.fault = Some((fault, at));
        Err(Stop)
    }

    /// Notes a soft fault; the first one counts.
    fn note(&mut self, fault: ScanFault, at: usize) {
        self.fault.get_or_insert((fault, at));
    }

    /// The grammar wants something else here.
    fn unexpected<T>(&mut self) -> Result<T, Stop> {
        match self.bytes.get(self.at) {
            Some(&byte) => self.fail(ScanFault::Unexpected(byte), self.at),
            None => self.fail(ScanFault::End, self.at),
        }
    }

    /// The next byte; NUL, which is valid nowhere outside a string, at the end.
    #[inline]
    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or_default()
    }

    #[inline]
    fn blank(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

    #[inline]
    fn token(&self, start: usize, shape: Shape) -> Token {
        Token {
            span: Span::new(start, self.at),
            shape,
        }
    }

    #[inline]
    fn node(&mut self) -> Result<(), Stop> {
        match self.nodes_left.checked_sub(1) {
            Some(left) => {
                self.nodes_left = left;
                Ok(())
            }
            None => self.fail(
                ScanFault::Nodes {
                    limit: self.limits.nodes,
                },
                self.at,
            ),
        }
    }

    /// Checks that nothing but blanks is left.
    fn end(&mut self) -> Result<(), Stop> {
        self.blank();
        if self.at == self.bytes.len() {
            Ok(())
        } else {
            self.fail(ScanFault::Trailing, self.at)
        }
    }

    /// One value, `depth` containers deep, with blanks before it.
    fn value(&mut self, depth: usize) -> Result<Token, Stop> {
        self.blank();
        let start = self.at;
        let shape = self.skip(depth)?;
        Ok(self.token(start, shape))
    }

    /// A value of which only the kind is of interest.
    fn skip(&mut self, depth: usize) -> Result<Shape, Stop> {
        self.blank();
        self.node()?;
        Ok(match self.peek() {
            b'"' => self.string()?.shape(),
            b'{' => {
                self.object(depth, |scanner, _| scanner.skip(depth + 1).map(drop))?;
                Shape::Object
            }
            b'[' => {
                self.array(depth)?;
                Shape::Array
            }
            b'-' | b'0'..=b'9' => self.number()?,
            b't' => self.literal(b"true", Shape::True)?,
            b'f' => self.literal(b"false", Shape::False)?,
            b'n' => self.literal(b"null", Shape::Null)?,
            _ => return self.unexpected(),
        })
    }

    fn literal(&mut self, word: &[u8], shape: Shape) -> Result<Shape, Stop> {
        for expected in word {
            if self.peek() != *expected {
                return self.unexpected();
            }
            self.at += 1;
        }
        Ok(shape)
    }

    /// Steps into a container, which must not be one too many.
    fn open(&mut self, depth: usize) -> Result<(), Stop> {
        if depth >= self.limits.depth {
            return self.fail(
                ScanFault::Depth {
                    limit: self.limits.depth,
                },
                self.at,
            );
        }
        self.at += 1;
        self.blank();
        Ok(())
    }

    /// An object; `member` reads the value of each key.
    fn object<F>(&mut self, depth: usize, mut member: F) -> Result<(), Stop>
    where
        F: FnMut(&mut Self, Text) -> Result<(), Stop>,
    {
        self.open(depth)?;
        if self.peek() == b'}' {
            self.at += 1;
            return Ok(());
        }
        let mut keys = Keys::new();
        loop {
            self.blank();
            if self.peek() != b'"' {
                return self.unexpected();
            }
            let key_at = self.at;
            let key = self.string()?;
            if !keys.insert(self.bytes, key) {
                self.note(
                    ScanFault::DuplicateKey(fault::shown(key.of(self.bytes))),
                    key_at,
                );
            }
            self.blank();
            if self.peek() != b':' {
                return self.unexpected();
            }
            self.at += 1;
            member(self, key)?;
            if self.next_or_close(b'}')? {
                return Ok(());
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), Stop> {
        self.open(depth)?;
        if self.peek() == b']' {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.skip(depth + 1)?;
            if self.next_or_close(b']')? {
                return Ok(());
            }
        }
    }

    /// After an item: a comma (false) or the closing bracket (true).
    #[inline]
    fn next_or_close(&mut self, close: u8) -> Result<bool, Stop> {
        self.blank();
        let byte = self.peek();
        if byte != b',' && byte != close {
            return self.unexpected();
        }
        self.at += 1;
        Ok(byte == close)
    }
}

#[cfg(test)]
mod tests;
