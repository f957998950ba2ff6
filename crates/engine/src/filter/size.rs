//! Size: messages that are larger, deeper or more than they may be.
//!
//! Only what a filter sees is bounded, so bounds differ by server and tool; the process's own hold for everything before.

use mcp::walk::{self, Event};
use model::filter::Size as Spec;

use super::{Finding, Look, Seen};

/// Compiled.
#[derive(Debug)]
pub(super) struct Size {
    bounds: Spec,
}

impl Size {
    pub(super) fn compile(spec: &Spec) -> Self {
        Self { bounds: *spec }
    }
}

impl Look for Size {
    fn look(&self, seen: &Seen<'_>) -> Finding {
        match self.exceeded(seen.message) {
            Some(why) => Finding::Refuses(why),
            None => Finding::Nothing,
        }
    }
}

impl Size {
    fn exceeded(&self, message: &[u8]) -> Option<String> {
        let bounds = &self.bounds;
        if let Some(most) = bounds.bytes.filter(|most| message.len() as u64 > *most) {
            return Some(format!("has more than {most} bytes"));
        }
        if (bounds.depth, bounds.nodes, bounds.string_bytes) == (None, None, None) {
            return None;
        }
        let (mut depth, mut nodes) = (0_u32, 0_u32);
        for event in walk::events(message) {
            match event {
                Event::Object(_) | Event::Array(_) => (depth, nodes) = (depth + 1, nodes + 1),
                Event::Close => depth = depth.saturating_sub(1),
                Event::Text(_) | Event::Scalar(_) => nodes += 1,
                Event::Key(_) => {}
            }
            if let Some(most) = bounds.depth.filter(|most| depth > *most) {
                return Some(format!("is nested deeper than {most}"));
            }
            if let Some(most) = bounds.nodes.filter(|most| nodes > *most) {
                return Some(format!("has more than {most} values"));
            }
            if let (Event::Key(span) | Event::Text(span), Some(most)) = (event, bounds.string_bytes)
            {
                let raw = span.of(message);
                // Decoded it is not longer than it stands.
                let is_longer = raw.len() as u64 > most + 2
                    && walk::text(raw).is_some_and(|text| text.len() as u64 > most);
                if is_longer {
                    return Some(format!("has a string of more than {most} bytes"));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use model::filter::Direction;

    use super::*;

    fn refused(bounds: Spec, message: &str) -> bool {
        let seen = Seen::new(message.as_bytes(), Direction::Request);
        Size::compile(&bounds).look(&seen) != Finding::Nothing
    }

    #[test]
    fn each_bound_holds_by_itself_and_is_inclusive() {
        let message = r#"{"a":[[1],"\u0061\u0062c"]}"#;
        let none = Spec::default();
        for (least, spec) in [
            (
                message.len() as u64,
                (|n| Spec {
                    bytes: Some(n),
                    ..Spec::default()
                }) as fn(u64) -> Spec,
            ),
            (3, |n| Spec {
                depth: Some(n as u32),
                ..Spec::default()
            }),
            (5, |n| Spec {
                nodes: Some(n as u32),
                ..Spec::default()
            }),
            (3, |n| Spec {
                string_bytes: Some(n),
                ..Spec::default()
            }),
        ] {
            assert!(!refused(spec(least), message));
            assert!(refused(spec(least - 1), message));
        }
        assert!(!refused(none, message));
    }

    #[test]
    fn keys_are_strings_too() {
        let bound = Spec {
            string_bytes: Some(4),
            ..Spec::default()
        };
        assert!(refused(bound, r#"{"abcde":1}"#));
        assert!(!refused(bound, r#"{"abcd":1}"#));
    }
}
