#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;

use super::*;

#[test]
fn what_nobody_sees_is_found_and_taken_out() {
    for (text, what, left) in [
        ("a\u{202e}b", BIDI, "ab"),
        ("a\u{e0041}\u{e0042}b", TAGS, "ab"),
        ("ig\u{200b}nore", ZERO_WIDTH, "ignore"),
        ("é\u{200b}\u{200c}é", ZERO_WIDTH, "éé"),
        ("a\u{fe01}\u{fe02}b", SELECTORS, "ab"),
        ("a\u{3164}b", FILLERS, "ab"),
        ("a\u{1b}[31;1mred\u{1b}[0m", ANSI, "ared"),
        ("a\u{1b}]8;;https://x.example\u{7}b", ANSI, "ab"),
        ("a\u{1b}]0;t\u{1b}\\b", ANSI, "ab"),
        ("a\u{9b}2Jb", ANSI, "ab"),
        ("a\u{8}b\u{0}", CONTROL, "ab"),
    ] {
        assert_eq!(find(text), Some(what), "{text:?}");
        assert_eq!(strip(text), left, "{text:?}");
    }
}

#[test]
fn languages_and_emoji_keep_what_they_need() {
    for text in [
        "plain\ttext\r\n",
        "größe",
        "👩\u{200d}💻 👨\u{200d}👩\u{200d}👧 ❤\u{fe0f}",
        "کتاب\u{200c}ها",
        "क्\u{200d}ष",
        "🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
        "ไทย\u{200b}ไทย",
        "\u{feff}begins",
        "עברית \u{200f}",
        "葛\u{e0100}",
        "\u{1112}\u{1160}\u{11ab}",
    ] {
        assert_eq!(find(text), None, "{text:?}");
        assert_eq!(strip(text), text);
    }
}

proptest! {
    /// What is stripped hides nothing, and what hides nothing is not touched.
    #[test]
    fn stripped_text_hides_nothing(
        text in "([a-z ]|\\PC|[\u{0}-\u{1f}\u{200b}-\u{200f}\u{202a}-\u{202e}\u{2060}-\u{206f}\u{e0001}-\u{e007f}\u{fe00}-\u{fe0f}\u{1f3f4}\u{1b}\\[;m]){0,24}"
    ) {
        let stripped = strip(&text);
        prop_assert_eq!(find(&stripped), None, "{:?}", stripped);
        if find(&text).is_none() {
            prop_assert_eq!(&*stripped, text.as_str());
        }
    }
}
