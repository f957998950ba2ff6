#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;

use super::*;

#[test]
fn the_patterns_that_are_built_in_compile() {
    Detectors::compile(&Detector::ALL).unwrap();
    let all = Detector::ALL.into_iter();
    for what in all {
        assert!(
            detectors::PATTERNS
                .iter()
                .any(|pattern| pattern.what == what),
            "{what:?}"
        );
    }
}

#[test]
fn what_is_found_gives_way_to_its_name() {
    for (text, wanted) in [
        ("mail a.b@c.example now", "mail [redacted:email] now"),
        ("IBAN DE89 3704 0044 0532 0130 00.", "IBAN [redacted:iban]."),
        ("4111 1111 1111 1111", "[redacted:credit-card]"),
        (
            "postgres://app:s3cr3tPa55@db/x",
            "postgres://app:[redacted:url-password]@db/x",
        ),
        (
            "password: Tr0ub4dor&3",
            "password: [redacted:generic-secret]",
        ),
        ("nothing here", "nothing here"),
    ] {
        assert_eq!(redact(text), wanted);
    }
}

#[test]
fn tokens_are_stable_and_keyed_and_not_found_again() {
    let key = |secret: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, secret);
    let all = Detectors::compile(&Detector::ALL).unwrap();
    let with = |key: &hmac::Key, text: &str| all.replace(text, |found| token(key, found)).unwrap();
    let (one, two) = (key(b"one"), key(b"two"));
    let told = with(&one, "a@b.example wrote to A@B.example and c@b.example");
    let tokens: Vec<&str> = told
        .split(' ')
        .filter(|word| word.starts_with("[email#"))
        .collect();
    assert_eq!(tokens[0], tokens[1]);
    assert_ne!(tokens[0], tokens[2]);
    assert_ne!(
        told,
        with(&two, "a@b.example wrote to A@B.example and c@b.example")
    );
    assert_eq!(with(&one, &told), told);
}

proptest! {
    /// Whatever stands around what is found, nothing is left to be found.
    #[test]
    fn redacting_twice_is_redacting_once(
        parts in prop::collection::vec(prop_oneof![
            Just("a@b.example".to_owned()), Just("4111111111111111".to_owned()), Just("password=".to_owned()),
            Just("Bearer ".to_owned()), Just("+49 151 23456789".to_owned()), Just("DE89370400440532013000".to_owned()),
            Just("192.168.1.20".to_owned()), Just("://u:".to_owned()), "[a-zA-Z0-9@:.=_ -]{0,6}", "\\PC{0,3}",
        ], 0..8),
    ) {
        let once = redact(&parts.concat()).into_owned();
        prop_assert_eq!(redact(&once), once.as_str());
    }
}

#[test]
fn what_stands_beside_a_number_does_not_hide_it() {
    for (text, redacted) in [
        ("2024 4111 1111 1111 1111", "2024 [redacted:credit-card]"),
        ("BE68 5390 0754 7034 EUR", "[redacted:iban] EUR"),
        ("AT61 1904 3002 3457 3201 2024", "[redacted:iban] 2024"),
    ] {
        assert_eq!(redact(text), redacted, "{text}");
    }
}
