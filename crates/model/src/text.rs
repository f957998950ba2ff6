//! Text of others, shown to people: what they may not see must not decide for them.

/// Whether a character is seen by who reads it: it takes room, and moves or turns nothing else.
///
/// False for controls, for what joins, breaks or turns text, for selectors of variants, for tags, and for letters that
/// are empty.
#[must_use]
pub fn is_seen(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{ad}' | '\u{61c}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Text with all spelt out that is not seen.
#[must_use]
pub fn spelt(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_seen(c) {
            out.push(c);
        } else {
            out.extend(c.escape_unicode());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_or_turns_text_is_not_seen() {
        for c in [
            '\0',
            '\n',
            '\u{1b}',
            '\u{ad}',
            '\u{200b}',
            '\u{202e}',
            '\u{2066}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{e0041}',
        ] {
            assert!(!is_seen(c), "{c:?}");
        }
        for c in ['a', ' ', 'é', '漢', '🙂', '\u{fffd}'] {
            assert!(is_seen(c), "{c:?}");
        }
    }

    #[test]
    fn what_is_not_seen_is_spelt_out() {
        assert_eq!(spelt("a\u{202e}b\u{1b}[2J"), "a\\u{202e}b\\u{1b}[2J");
        assert_eq!(spelt("émile 🙂"), "émile 🙂");
    }
}
