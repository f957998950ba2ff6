//! Single values: text, numbers and words, and what to say of those that are none.

use super::super::schema::Shape;
use super::super::tree::{Data, Node};
use super::reader::Reader;
use crate::fault::BAD_VALUE;
use crate::quantity::{parse_cpu, parse_duration, parse_size};

impl Reader<'_> {
    pub(super) fn full_text<'n>(&mut self, node: &'n Node, path: &str) -> Option<&'n str> {
        let text = self.text(node, path)?;
        if text.is_empty() {
            self.note(
                path,
                BAD_VALUE,
                "is empty: leave it out or give it a value",
                node.extent,
            );
            return None;
        }
        Some(text)
    }

    /// Text. What YAML takes for a number, a boolean or nothing is none: `1.10` would be 1.1 for other readers.
    pub(super) fn text<'n>(&mut self, node: &'n Node, path: &str) -> Option<&'n str> {
        match &node.data {
            Data::Scalar { text, plain } if !plain || Plain::of(text) == Plain::Text => Some(text),
            _ => {
                self.wrong(node, path, "text");
                None
            }
        }
    }

    /// A value that the proto holds as a varint.
    pub(super) fn number(&mut self, shape: &Shape, node: &Node, path: &str) -> Option<u64> {
        let Data::Scalar { text, plain } = &node.data else {
            self.wrong(node, path, shape.words());
            return None;
        };
        let read = match shape {
            Shape::Bool if *plain => Plain::boolean(text).map(u64::from),
            Shape::Int { min, max } if *plain => match text.parse::<i64>() {
                Ok(number) if (*min..=*max).contains(&number) => Some(number.cast_unsigned()),
                Ok(number) => {
                    self.note(
                        path,
                        BAD_VALUE,
                        &format!("{number} is not from {min} to {max}"),
                        node.extent,
                    );
                    return None;
                }
                Err(_) => None,
            },
            Shape::Duration => parse_duration(text),
            Shape::Size => parse_size(text),
            Shape::Cpu => parse_cpu(text).map(u64::from),
            Shape::Choice(words) => return self.choice(words, text, node, path),
            _ => None,
        };
        if read.is_none() {
            self.wrong(node, path, shape.words());
        }
        read
    }

    fn choice(
        &mut self,
        words: &'static [(&'static str, i32)],
        text: &str,
        node: &Node,
        path: &str,
    ) -> Option<u64> {
        if let Some((_, number)) = words.iter().find(|(word, _)| *word == text) {
            return Some(i64::from(*number).cast_unsigned());
        }
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let message = format!("{text:?} is not one of {}", names.join(", "));
        self.note(path, BAD_VALUE, &message, node.extent);
        self.offer(text, names);
        None
    }

    /// A value of the wrong type.
    pub(super) fn wrong(&mut self, node: &Node, path: &str, wanted: &str) {
        let mut fix = None;
        let found = match &node.data {
            // Told where it was refused.
            Data::Refused => {
                self.count_as_told(path);
                return;
            }
            Data::List(_) => "a list".to_owned(),
            Data::Map(_) => "a mapping".to_owned(),
            Data::Scalar { text, plain: true } if Plain::of(text) == Plain::Null => {
                let extent = self.spans.key(path).unwrap_or(node.extent);
                return self.note(
                    path,
                    BAD_VALUE,
                    "is empty: leave it out or give it a value",
                    extent,
                );
            }
            Data::Scalar { text, plain: true } => match Plain::of(text) {
                Plain::Number | Plain::Boolean if wanted == "text" => {
                    fix = Some(format!("put it in quotes: \"{text}\""));
                    format!("{text} (without quotes)")
                }
                Plain::Number | Plain::Boolean => text.clone(),
                Plain::Text | Plain::Null => format!("{text:?}"),
            },
            Data::Scalar { text, plain: false } => format!("{text:?}"),
        };
        self.note(
            path,
            BAD_VALUE,
            &format!("{found} is not {wanted}"),
            node.extent,
        );
        if let Some(noted) = self.faults.last_mut() {
            noted.fault.fix = fix;
        }
    }
}

/// What unquoted text means (YAML 1.2 section 10.3, core schema).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plain {
    Null,
    Boolean,
    Number,
    Text,
}

impl Plain {
    fn of(text: &str) -> Self {
        if matches!(text, "" | "~" | "null" | "Null" | "NULL") {
            Self::Null
        } else if Self::boolean(text).is_some() {
            Self::Boolean
        } else if Self::is_number(text) {
            Self::Number
        } else {
            Self::Text
        }
    }

    fn boolean(text: &str) -> Option<bool> {
        match text {
            "true" | "True" | "TRUE" => Some(true),
            "false" | "False" | "FALSE" => Some(false),
            _ => None,
        }
    }

    fn is_number(text: &str) -> bool {
        let radix = |prefix: &str, radix| {
            text.strip_prefix(prefix)
                .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_digit(radix)))
        };
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        // Rust also reads `inf` and `nan`, which are text in YAML; YAML's own begin with a dot.
        let decimal = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
            && unsigned.parse::<f64>().is_ok();
        let named = matches!(unsigned, ".inf" | ".Inf" | ".INF")
            || matches!(text, ".nan" | ".NaN" | ".NAN");
        radix("0x", 16) || radix("0o", 8) || decimal || named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_means_what_the_core_schema_says() {
        for text in [
            "1", "-1", "+1", "1.10", ".5", "1e3", "0x1F", "0o17", ".inf", "-.Inf", ".nan",
        ] {
            assert_eq!(Plain::of(text), Plain::Number, "{text}");
        }
        for text in [
            "1.2.3",
            "inf",
            "nan",
            "yes",
            "0xzz",
            "2026.8.31",
            "-",
            "1_000",
            "echo",
            "12:30",
        ] {
            assert_eq!(Plain::of(text), Plain::Text, "{text}");
        }
        assert_eq!(
            (Plain::of("True"), Plain::of("~"), Plain::of("")),
            (Plain::Boolean, Plain::Null, Plain::Null)
        );
    }
}
