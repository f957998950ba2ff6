//! Folding: what two spellings of the same text have in common.
//!
//! Characters that nobody sees are left out (zero-width and other ignorable ones), compatibility forms become plain ones
//! (NFKC: `Ｓ`, `ﬁ`, `𝗌`), and case is folded by way of upper case (so that `ſ`, `ß` and the Kelvin sign are no hiding
//! places). Look-alikes of other scripts stay what they are: see [`super::lookalike`].
//!
//! Most text is folded character by character, from a table; only where characters combine with the one before them is
//! the whole text put through normalisation.

use std::borrow::Cow;
use std::sync::LazyLock;

use unicode_normalization::char::canonical_combining_class;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// Text that compares as equal where only case, compatibility forms or invisible characters differ.
pub(super) fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            text.to_ascii_lowercase().into()
        } else {
            text.into()
        };
    }
    let mut folded = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| !byte.is_ascii()) {
        let (plain, wide) = rest.split_at(at);
        push_lower(&mut folded, plain);
        let Some(character) = wide.chars().next() else {
            break;
        };
        match TABLE.of(character) {
            Folded::Same => folded.push(character),
            Folded::As(text) => folded.push_str(text),
            Folded::Combines => return normalised(text).into(),
        }
        rest = wide.get(character.len_utf8()..).unwrap_or_default();
    }
    push_lower(&mut folded, rest);
    folded.into()
}

/// Whether a character is one that nobody sees and that means nothing for how a text reads.
pub(super) fn is_ignorable(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

fn push_lower(folded: &mut String, plain: &str) {
    let from = folded.len();
    folded.push_str(plain);
    if let Some(pushed) = folded.get_mut(from..) {
        pushed.make_ascii_lowercase();
    }
}

/// The same by the book, for any text.
fn normalised(text: &str) -> String {
    text.chars()
        .filter(|character| !is_ignorable(*character))
        .nfkd()
        // There and back and there again: the capital `ẞ` has no upper case, its lower case has.
        .flat_map(char::to_lowercase)
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .nfkc()
        .collect()
}

enum Folded<'t> {
    Same,
    As(&'t str),
    /// It may become one with the character before it.
    Combines,
}

/// What each character folds to.
struct Table {
    /// By the character's higher bits, the block that holds its lower eight; 0 is the block in which all stay the same.
    pages: Vec<u16>,
    blocks: Vec<[u32; 256]>,
    /// All that characters fold to, one after the other.
    texts: String,
}

/// Set in an entry: the character combines.
const COMBINES: u32 = u32::MAX;
/// Bits of an entry that hold a text's length; those above hold its place.
const LENGTH_BITS: u32 = 6;

static TABLE: LazyLock<Table> = LazyLock::new(Table::new);

impl Table {
    fn new() -> Self {
        let mut table = Self {
            pages: vec![0; 0x1100],
            blocks: vec![[0; 256]],
            texts: String::from(" "),
        };
        // Ideographs, private use and what is not assigned fold to themselves.
        let ranges = [
            0x80..=0x33ff,
            0xa000..=0xd7ff,
            0xf900..=0x1ffff,
            0x2f800..=0x2fa1f,
            0xe0000..=0xe0fff,
        ];
        for code in ranges.into_iter().flatten() {
            if let Some(character) = char::from_u32(code) {
                table.add(character);
            }
        }
        table
    }

    fn add(&mut self, character: char) {
        let folded = normalised(character.encode_utf8(&mut [0; 4]));
        let combines = |one: char| {
            canonical_combining_class(one) != 0
                || is_nfc_quick(std::iter::once(one)) == IsNormalized::Maybe
        };
        let entry = if combines(character) || folded.chars().next().is_some_and(combines) {
            COMBINES
        } else {
            if folded.chars().eq([character]) {
                return;
            }
            let place = self.texts.len() as u32;
            self.texts.push_str(&folded);
            place << LENGTH_BITS | (folded.len() as u32).min((1 << LENGTH_BITS) - 1)
        };
        let code = character as usize;
        let Some(page) = self.pages.get_mut(code >> 8) else {
            return;
        };
        if *page == 0 {
            *page = self.blocks.len() as u16;
            self.blocks.push([0; 256]);
        }
        if let Some(block) = self.blocks.get_mut(usize::from(*page)) {
            block[code & 0xff] = entry;
        }
    }

    fn of(&self, character: char) -> Folded<'_> {
        let code = character as usize;
        let page = self.pages.get(code >> 8).copied().unwrap_or_default();
        let block = self.blocks.get(usize::from(page));
        match block.map_or(0, |block| block[code & 0xff]) {
            0 => Folded::Same,
            COMBINES => Folded::Combines,
            entry => {
                let (place, length) = (entry >> LENGTH_BITS, entry & ((1 << LENGTH_BITS) - 1));
                let range = place as usize..(place + length) as usize;
                Folded::As(self.texts.get(range).unwrap_or_default())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spellings_of_one_text_are_one() {
        for (one, other) in [
            ("hacking", "HAC\u{212a}ING"),
            ("straße", "STRASSE"),
            ("secret", "ſecret"),
            ("secret", "ｓｅｃｒｅｔ"),
            ("office", "oﬃce"),
            ("secret", "𝐬𝐞𝐜𝐫𝐞𝐭"),
            ("secret", "se\u{200b}cr\u{ad}et\u{feff}"),
            ("größe", "gro\u{308}SSE"),
            ("οδος", "ΟΔΟΣ"),
            ("カ", "ｶ"),
            ("한", "\u{1112}\u{1161}\u{11ab}"),
        ] {
            assert_eq!(fold(one), fold(other), "{one} {other}");
        }
        assert_ne!(fold("a"), fold("ä"));
        assert_ne!(fold("secret"), fold("sеcret"), "a Cyrillic letter");
    }

    #[test]
    fn nothing_is_longer_than_an_entry_can_say() {
        let longest = ('\u{80}'..=char::MAX)
            .map(|character| normalised(&character.to_string()).len())
            .max();
        assert!(
            longest.is_some_and(|longest| longest < 1 << LENGTH_BITS),
            "{longest:?}"
        );
    }

    proptest! {
        /// The table gives what normalisation of the whole text gives, and folding twice is folding once.
        #[test]
        fn the_table_is_normalisation(text in "(\\PC|[a-zA-Zäöüß\u{300}-\u{310}\u{200b}ﬁΣΑΒ가-힣]){0,12}") {
            let folded = fold(&text).into_owned();
            prop_assert_eq!(&folded, &normalised(&text));
            prop_assert_eq!(fold(&folded), folded.as_str());
        }
    }
}
