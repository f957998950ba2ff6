//! Names that people and models take for another: the same but for case, for compatibility forms (NFKC), or for letters
//! of other scripts that look alike (UTS #39).

use unicode_normalization::UnicodeNormalization;
use unicode_security::confusable_detection::skeleton;

/// What all names have in common that look alike. For comparing only: it is no name.
///
/// The skeleton of UTS #39 takes capitals for what they are: `I` is like `l`, and `i` is not. As case is folded here,
/// all three are one, with `1`; so that `mail` and `mall` beside each other are held until somebody says that both are
/// meant.
pub(super) fn look(name: &str) -> String {
    let bare = name.nfkc().filter(|c| !is_ignored(*c)).collect::<String>();
    let folded: String = skeleton(&bare).flat_map(char::to_lowercase).collect();
    let again: String = skeleton(&folded).nfkc().collect();
    again
        .chars()
        .flat_map(char::to_lowercase)
        .map(|c| match c {
            'i' => 'l',
            // Nobody hears the difference between `get-item` and `get_item`.
            '-' | '.' | '/' | ' ' => '_',
            c => c,
        })
        .collect()
}

/// Takes no room on a screen.
fn is_ignored(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_alike_share_a_look() {
        for (a, b) in [
            ("search", "Search"),
            ("search", "SEARCH"),
            ("search", "s\u{435}arch"),    // Cyrillic е
            ("search", "ｓｅａｒｃｈ"),    // full width
            ("search", "sea\u{200b}rch"),  // zero width space
            ("search", "sea\u{e0041}rch"), // tag
            ("file", "\u{fb01}le"),        // ligature
            ("send_mail", "send-mail"),
            ("PAYPAL", "paypa\u{406}"), // Ukrainian І for l
            ("o0", "\u{43e}0"),         // Cyrillic о
        ] {
            assert_eq!(look(a), look(b), "{a:?} {b:?}");
        }
    }

    #[test]
    fn other_names_do_not() {
        let names = [
            "get_item",
            "get_items",
            "set_item",
            "echo",
            "ech",
            "add",
            "sum",
            "list_a",
            "list_b",
            "größe",
            "grosse",
            "読む",
            "書く",
        ];
        for (n, a) in names.iter().enumerate() {
            for b in &names[n + 1..] {
                assert_ne!(look(a), look(b), "{a:?} {b:?}");
            }
        }
    }
}
