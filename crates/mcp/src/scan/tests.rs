#![allow(clippy::unwrap_used, reason = "tests")]
use proptest::prelude::*;

use super::capture::Captures;
use super::*;
use crate::envelope::scan;

/// The fault of a request whose `params.v` is this text.
fn fault(value: &[u8]) -> Option<ScanFault> {
    let mut text = br#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"v":"#.to_vec();
    text.extend_from_slice(value);
    text.extend_from_slice(b"}}");
    scan(&text, &Limits::REQUEST).err().map(|error| error.fault)
}

#[test]
fn values_of_all_kinds_pass() {
    for value in [
        "null",
        "true",
        "-0",
        "0.5e-3",
        "1E+2",
        r#""""#,
        "[ ]",
        "{ }",
        "[1 , [2]]",
        r#"{"a":{"b":[]}}"#,
    ] {
        assert_eq!(fault(value.as_bytes()), None, "{value}");
    }
}

#[test]
fn strings_are_checked_wherever_the_fault_stands() {
    // Every offset within the eight bytes that are looked at at once.
    for lead in 0..20 {
        let pad = "a".repeat(lead);
        let string = |inside: &[u8]| [b"\"", pad.as_bytes(), inside, b"tail-tail-tail\""].concat();
        assert_eq!(fault(&string(b"")), None);
        assert_eq!(fault(&string("é€😀".as_bytes())), None);
        assert_eq!(
            fault(&string(br#"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"#)),
            None
        );
        assert_eq!(fault(&string(b"\n")), Some(ScanFault::Control));
        assert_eq!(fault(&string(b"\0")), Some(ScanFault::Control));
        assert_eq!(fault(&string(b"\x1f")), Some(ScanFault::Control));
        assert_eq!(fault(&string(b"\x7f")), None);
        assert_eq!(fault(&string(b"\xc3")), Some(ScanFault::Utf8));
        assert_eq!(fault(&string("é".as_bytes())), None);
        assert_eq!(
            fault(&string(b"\xc3\xa9\xed\xa0\x80")),
            Some(ScanFault::Utf8)
        );
        assert_eq!(
            fault(&string("é\u{1}".as_bytes())),
            Some(ScanFault::Control)
        );
        assert_eq!(fault(&string(br"\x")), Some(ScanFault::Escape));
        assert_eq!(fault(&string(br"\u12g4")), Some(ScanFault::Escape));
        assert_eq!(fault(&string(br"\ud800")), Some(ScanFault::LoneSurrogate));
        assert_eq!(
            fault(&string(br"\ud800\u0041")),
            Some(ScanFault::LoneSurrogate)
        );
        assert_eq!(
            fault(&string(br"\udc00\ud800")),
            Some(ScanFault::LoneSurrogate)
        );
    }
}

#[test]
fn a_stopping_byte_is_found_among_all_others() {
    for byte in 0..=255_u8 {
        let found = string::stops(
            u64::from_le_bytes([b'a', b'b', byte, b'c', b'"', 0, 0xff, b'\\']),
            string::HIGH,
        );
        let stops = byte < 0x20 || byte == b'"' || byte == b'\\' || byte >= 0x80;
        assert_eq!(
            found.trailing_zeros() / 8,
            if stops { 2 } else { 4 },
            "{byte:#x}"
        );
    }
}

#[test]
fn numbers_that_overflow_are_refused_and_those_that_vanish_are_not() {
    for number in [
        "1e400",
        "-1e400",
        "0.4e00669999999999999999999999999999999999999",
    ] {
        assert_eq!(
            fault(number.as_bytes()),
            Some(ScanFault::NumberRange),
            "{number}"
        );
    }
    assert_eq!(
        fault("9".repeat(310).as_bytes()),
        Some(ScanFault::NumberRange)
    );
    let longest = "9".repeat(300);
    for number in [
        "1e-400",
        "1.7976931348623157e308",
        "123123e-10000000",
        "100000000000000000000",
        &longest,
    ] {
        assert_eq!(fault(number.as_bytes()), None, "{number}");
    }
    for number in [
        "01",
        "-",
        "1.",
        ".5",
        "+1",
        "1e",
        "1e+",
        "0x1",
        "NaN",
        "Infinity",
        "-Infinity",
    ] {
        assert!(
            matches!(fault(number.as_bytes()), Some(ScanFault::Unexpected(_))),
            "{number}"
        );
    }
}

#[test]
fn duplicate_keys_are_found_at_every_depth_and_in_every_spelling() {
    for value in [
        r#"{"a":1,"a":2}"#,
        r#"[[{"b":{"a":1,"c":2,"a":1}}]]"#,
        r#"{"a":1,"\u0061":2}"#,
        r#"{"\u0061":1,"\u0061":2}"#,
        r#"{"😀":1,"\ud83d\ude00":2}"#,
        r#"{"":1,"":2}"#,
    ] {
        assert!(
            matches!(fault(value.as_bytes()), Some(ScanFault::DuplicateKey(_))),
            "{value}"
        );
    }
    assert_eq!(
        fault(br#"{"a":1,"A":2,"\\u0061":3,"b":{"a":1},"c":{"a":1}}"#),
        None
    );
}

#[test]
fn many_keys_are_compared_as_well_as_few() {
    for count in [15, 16, 17, 18, 40] {
        let members = |last: &str| {
            let keys: Vec<_> = (0..count).map(|i| format!(r#""k{i}":0"#)).collect();
            format!("{{{},{last}:0}}", keys.join(","))
        };
        assert_eq!(fault(members(r#""other""#).as_bytes()), None);
        for twice in [r#""k0""#, r#""k14""#, r#""\u006b3""#] {
            let found = fault(members(twice).as_bytes());
            assert!(
                matches!(found, Some(ScanFault::DuplicateKey(_))),
                "{count} {twice}"
            );
        }
        let found = fault(members(&format!(r#""k{}""#, count - 1)).as_bytes());
        assert!(matches!(found, Some(ScanFault::DuplicateKey(_))), "{count}");
    }
}

#[test]
fn limits_hold_exactly() {
    let limits = Limits {
        bytes: 100,
        depth: 4,
        nodes: 10,
    };
    let run = |text: &str| {
        let mut scanner = Scanner::new(text.as_bytes(), &limits);
        let stopped = scanner.message(&mut Captures::default()).is_err();
        (stopped, scanner.into_fault().map(|(fault, _)| fault))
    };
    assert_eq!(run(r#"{"a":[[[]]]}"#), (false, None));
    assert_eq!(
        run(r#"{"a":[[[[]]]]}"#),
        (true, Some(ScanFault::Depth { limit: 4 }))
    );
    assert_eq!(run(r#"{"a":[1,2,3,4,5,6,7,8]}"#), (false, None));
    assert_eq!(
        run(r#"{"a":[1,2,3,4,5,6,7,8,9]}"#),
        (true, Some(ScanFault::Nodes { limit: 10 }))
    );
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(92));
    assert_eq!((long.len(), run(&long)), (100, (false, None)));
    let longer = long + " ";
    assert_eq!(
        run(&longer),
        (true, Some(ScanFault::TooLong { limit: 100 }))
    );
}

#[test]
fn no_limit_makes_the_machine_go_deeper_than_the_stack_allows() {
    let text = format!(r#"{{"a":{}}}"#, "[".repeat(1 << 20));
    let limits = Limits {
        bytes: 1 << 22,
        depth: usize::MAX,
        nodes: usize::MAX,
    };
    let error = scan(text.as_bytes(), &limits).unwrap_err();
    assert_eq!(error.fault, ScanFault::Depth { limit: DEPTH_MAX });
}

#[test]
fn what_is_around_the_message_is_checked_too() {
    let told = |text: &[u8]| {
        scan(text, &Limits::REQUEST)
            .map(|_| ())
            .map_err(|error| (error.fault.clone(), error.code()))
    };
    assert_eq!(told(b""), Err((ScanFault::End, -32700)));
    assert_eq!(told(b"[]"), Err((ScanFault::Batch, -32600)));
    assert_eq!(told(b"1"), Err((ScanFault::NotObject, -32600)));
    assert_eq!(told(b"\"a\" x"), Err((ScanFault::Trailing, -32700)));
    assert_eq!(told(b"\xef\xbb\xbf{}"), Err((ScanFault::Bom, -32700)));
    assert_eq!(
        told(br#"{"jsonrpc":"2.0","id":1,"result":{}}{}"#),
        Err((ScanFault::Trailing, -32700))
    );
    assert_eq!(
        told(b" \r\n\t{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}} \n"),
        Ok(())
    );
    assert_eq!(
        told(b"{'jsonrpc':1}"),
        Err((ScanFault::Unexpected(b'\''), -32700))
    );
    assert_eq!(
        told(b"{\"a\":1,}"),
        Err((ScanFault::Unexpected(b'}'), -32700))
    );
}

#[test]
fn a_fault_says_what_and_where() {
    let error = scan(br#"{"jsonrpc":"2.0","id":1,"id":2}"#, &Limits::REQUEST).unwrap_err();
    assert_eq!(error.to_string(), r#"duplicate key "id" at byte 24"#);
    let error = scan(b"{\"a\" 1}", &Limits::REQUEST).unwrap_err();
    assert_eq!(error.to_string(), "unexpected '1' at byte 5");
}

#[test]
fn strings_gives_keys_and_values_decoded_and_in_order() {
    let text = br#"{"k\u0065y" : ["ha\u0063king", "", "a\"b", {"x":"\\"}], "n":1}"#;
    let found: Vec<_> = strings(text).collect();
    assert_eq!(found, ["key", "hacking", "", "a\"b", "x", "\\", "n"]);
    assert_eq!(strings(br#""unfinished"#).count(), 0);
}

proptest! {
    /// A duplicate is found exactly where a set of the decoded keys finds one, however the keys are spelt.
    #[test]
    fn duplicates_are_those_of_a_set(
        keys in proptest::collection::vec(("[ab]{0,2}|[a-c]{7,9}|[a-z\u{e9}]{1,12}", 0..8_u8), 0..24),
    ) {
        let mut seen = std::collections::HashSet::new();
        let twice = !keys.iter().all(|(key, _)| seen.insert(key));
        let spelt = |(key, escape): &(String, u8)| {
            let letter = |c: char| if *escape == 0 { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
            format!("\"{}\":0", key.chars().map(letter).collect::<String>())
        };
        let object = format!("{{{}}}", keys.iter().map(spelt).collect::<Vec<_>>().join(","));
        let mut scanner = Scanner::new(object.as_bytes(), &Limits::REQUEST);
        prop_assert!(scanner.skip(0).is_ok());
        let found = matches!(scanner.into_fault(), Some((ScanFault::DuplicateKey(_), _)));
        prop_assert_eq!(found, twice, "{}", object);
    }
}
