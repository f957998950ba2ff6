//! Letters that look like Latin ones and are none.
//!
//! Only letters that are hard to tell apart in common fonts are listed, of the scripts that are used for it most.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

/// A Latin letter that `character` looks like, in lower case.
fn latin(character: char) -> Option<char> {
    Some(match character {
        'а' | 'А' | 'α' | 'Α' | 'ɑ' => 'a',
        'В' | 'Β' | 'Ь' => 'b',
        'с' | 'С' | 'ϲ' => 'c',
        'ԁ' => 'd',
        'е' | 'Е' | 'Ε' | 'ҽ' => 'e',
        'ɡ' | 'ց' => 'g',
        'һ' | 'Н' | 'Η' | 'հ' => 'h',
        'і' | 'І' | 'ι' | 'Ι' | 'ı' => 'i',
        'ј' | 'Ј' => 'j',
        'К' | 'к' | 'Κ' | 'κ' => 'k',
        'ӏ' | 'Ӏ' => 'l',
        'М' | 'Μ' => 'm',
        'Ν' | 'ո' => 'n',
        'о' | 'О' | 'ο' | 'Ο' | 'օ' => 'o',
        'р' | 'Р' | 'ρ' | 'Ρ' => 'p',
        'ԛ' => 'q',
        'ѕ' | 'Ѕ' => 's',
        'Т' | 'Τ' => 't',
        'ս' | 'υ' => 'u',
        'ѵ' | 'ν' => 'v',
        'ԝ' | 'ѡ' => 'w',
        'х' | 'Х' | 'Χ' | 'χ' => 'x',
        'у' | 'У' | 'Υ' | 'γ' => 'y',
        'Ζ' => 'z',
        _ => return None,
    })
}

/// Whether a name passes for another one: Latin letters beside look-alikes, look-alikes alone, or letters in a
/// compatibility form of Latin ones.
pub(super) fn is_disguised(name: &str) -> bool {
    if name.is_ascii() {
        return false;
    }
    let letters = || name.chars().filter(|character| character.is_alphabetic());
    let alike = letters().filter(|letter| latin(*letter).is_some()).count();
    let ascii = letters().filter(char::is_ascii_alphabetic).count();
    let compatible = letters()
        .any(|letter| !letter.is_ascii() && letter.nfkc().all(|plain| plain.is_ascii_alphabetic()));
    compatible || (alike > 0 && (ascii > 0 || alike == letters().count()))
}

/// The text with Latin letters for the look-alikes in words that hold Latin letters, too. Words of another script stay.
pub(super) fn skeleton(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || !text.chars().any(|character| latin(character).is_some()) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    for word in text.split_inclusive(|character: char| !character.is_alphanumeric()) {
        if word.bytes().any(|byte| byte.is_ascii_alphabetic()) {
            plain.extend(word.chars().map(|c| latin(c).unwrap_or(c)));
        } else {
            plain.push_str(word);
        }
    }
    plain.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_disguise_are_told_from_names_of_another_language() {
        for name in [
            "sеnd_email",
            "раth",
            "ехес",
            "ｌist",
            "delete_ﬁle",
            "𝗀et",
            "tοken",
        ] {
            assert!(is_disguised(name), "{name}");
        }
        for name in [
            "send_email",
            "größe",
            "天気予報",
            "都市API",
            "поиск",
            "αριθμός",
            "Δx",
            "m²",
            "جستجوی_کتاب",
            "naïve",
            "año",
        ] {
            assert!(!is_disguised(name), "{name}");
        }
    }

    #[test]
    fn only_mixed_words_are_read_as_latin() {
        assert_eq!(skeleton("Ignоre аll"), "Ignore all");
        assert_eq!(skeleton("поиск по всем"), "поиск по всем");
    }
}
