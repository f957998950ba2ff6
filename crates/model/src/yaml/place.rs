//! From characters to bytes and lines: the parser counts characters, reports want bytes.

use super::span::Extent;

/// A file's text with what is needed to find places in it, each in logarithmic time: a file may be one long line.
#[derive(Debug)]
pub(super) struct Text<'t> {
    whole: &'t str,
    /// Byte offset of each character of [`Self::body`]. `None`: all ASCII, where both are the same.
    offsets: Option<Vec<usize>>,
    /// At which character of the body each line begins.
    lines: Vec<usize>,
}

/// A byte order mark, which editors on Windows like to put first.
const BOM: char = '\u{feff}';

impl<'t> Text<'t> {
    pub(super) fn new(whole: &'t str) -> Self {
        let body = whole.strip_prefix(BOM).unwrap_or(whole);
        let start = whole.len() - body.len();
        let breaks = body
            .chars()
            .enumerate()
            .filter(|(_, c)| *c == '\n')
            .map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(breaks).collect();
        let offsets =
            (!whole.is_ascii()).then(|| body.char_indices().map(|(at, _)| start + at).collect());
        Self {
            whole,
            offsets,
            lines,
        }
    }

    /// What is to be parsed: all but a byte order mark.
    pub(super) fn body(&self) -> &'t str {
        self.whole.strip_prefix(BOM).unwrap_or(self.whole)
    }

    /// The extent between two positions, in characters of the body.
    pub(super) fn extent(&self, start: usize, end: usize) -> Extent {
        let offset = self.byte(start);
        let end = self.byte(end).max(offset);
        let line = self.lines.partition_point(|begin| *begin <= start).max(1);
        let begin = self.lines.get(line - 1).copied().unwrap_or_default();
        Extent {
            line,
            column: start - begin + 1,
            offset,
            length: end - offset,
        }
    }

    /// The part of an extent that lies on its first line, without blanks at its end.
    pub(super) fn first_line(&self, extent: Extent) -> Extent {
        let text = self
            .whole
            .get(extent.offset..extent.offset + extent.length)
            .unwrap_or_default();
        let line = text.lines().next().unwrap_or_default();
        Extent {
            length: line.trim_end().len(),
            ..extent
        }
    }

    fn byte(&self, character: usize) -> usize {
        match &self.offsets {
            None => character.min(self.whole.len()),
            Some(offsets) => offsets.get(character).copied().unwrap_or(self.whole.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, start: usize, end: usize) -> (usize, usize, usize, usize) {
        let extent = Text::new(text).extent(start, end);
        (extent.line, extent.column, extent.offset, extent.length)
    }

    #[test]
    fn characters_become_bytes_and_lines() {
        assert_eq!(at("a: b\nc: d", 5, 6), (2, 1, 5, 1));
        assert_eq!(at("ä: ö\nü: x", 5, 6), (2, 1, 7, 2));
        assert_eq!(at("ä: ö\nü: x", 8, 9), (2, 4, 11, 1));
    }

    #[test]
    fn a_byte_order_mark_is_no_character() {
        assert_eq!(at("\u{feff}a: b", 0, 1), (1, 1, 3, 1));
    }

    #[test]
    fn beyond_the_end_is_the_end() {
        assert_eq!(at("ab", 2, 9), (1, 3, 2, 0));
        assert_eq!(at("", 0, 0), (1, 1, 0, 0));
    }

    #[test]
    fn the_first_line_has_no_blanks_at_its_end() {
        let text = Text::new("a:  \r\n  b: c");
        assert_eq!(text.first_line(text.extent(0, 12)).length, 2);
    }
}
