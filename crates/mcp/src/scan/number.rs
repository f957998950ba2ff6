//! Numbers: the grammar of RFC 8259 section 6, and no value that overflows.

use super::{ScanFault, Scanner, Shape, Stop};

/// A number of no more digits than this and without exponent is finite: the greatest double has 309 digits.
const FINITE_DIGITS: usize = 300;

impl Scanner<'_> {
    /// A number, its first byte at `at`.
    pub(super) fn number(&mut self) -> Result<Shape, Stop> {
        let start = self.at;
        if self.peek() == b'-' {
            self.at += 1;
        }
        if self.peek() == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        let mut shape = Shape::Int;
        if self.peek() == b'.' {
            shape = Shape::Float;
            self.at += 1;
            self.digits()?;
        }
        let exponent = matches!(self.peek(), b'e' | b'E');
        if exponent {
            shape = Shape::Float;
            self.at += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        if (exponent || self.at - start > FINITE_DIGITS) && !self.is_finite(start) {
            self.note(ScanFault::NumberRange, start);
        }
        Ok(shape)
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<(), Stop> {
        if !self.peek().is_ascii_digit() {
            return self.unexpected();
        }
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        Ok(())
    }

    fn is_finite(&self, start: usize) -> bool {
        self.bytes
            .get(start..self.at)
            .and_then(|raw| std::str::from_utf8(raw).ok())
            .and_then(|text| text.parse::<f64>().ok())
            .is_some_and(f64::is_finite)
    }
}

/// The greatest integer that every parser reads exactly: 2^53 - 1.
const SAFE_INTEGER_MAX: i64 = (1 << 53) - 1;

/// The value of an integer token if all parsers read it alike: within ±(2^53-1), and not `-0`, which some take for a
/// floating point number.
pub(crate) fn safe_integer(raw: &[u8]) -> Option<i64> {
    if raw == b"-0" {
        return None;
    }
    let value: i64 = std::str::from_utf8(raw).ok()?.parse().ok()?;
    (-SAFE_INTEGER_MAX..=SAFE_INTEGER_MAX)
        .contains(&value)
        .then_some(value)
}
