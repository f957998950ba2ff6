#![allow(clippy::unwrap_used, reason = "tests")]
use proptest::prelude::*;

use super::*;

/// All events of a stream that arrives in pieces of these sizes, over and over.
fn decode(stream: &[u8], sizes: &[usize]) -> Vec<Event> {
    let mut decoder = Decoder::default();
    let mut events = Vec::new();
    let mut rest = stream;
    for size in sizes.iter().cycle() {
        let (chunk, next) = rest.split_at((*size).clamp(1, rest.len().max(1)).min(rest.len()));
        decoder.push(chunk);
        while let Some(event) = decoder.next_event() {
            events.push(event.unwrap());
        }
        rest = next;
        if rest.is_empty() {
            break;
        }
    }
    events
}

fn datas(stream: &str) -> Vec<String> {
    let text = |event: Event| String::from_utf8(event.data.to_vec()).unwrap();
    let whole: Vec<_> = decode(stream.as_bytes(), &[usize::MAX])
        .into_iter()
        .map(text)
        .collect();
    let single: Vec<_> = decode(stream.as_bytes(), &[1])
        .into_iter()
        .map(text)
        .collect();
    assert_eq!(whole, single, "{stream:?}");
    whole
}

#[test]
fn a_message_is_one_event() {
    assert_eq!(
        encode(br#"{"a":1}"#),
        &b"event: message\ndata: {\"a\":1}\n\n"[..]
    );
    assert_eq!(
        encode(b"{\r\n\"a\":1\r}\n"),
        &b"event: message\ndata: {\ndata: \"a\":1\ndata: }\ndata: \n\n"[..]
    );
    assert_eq!(
        encode_event("x\ny", Some("1\n2"), b""),
        &b"event: x\nid: 1\ndata: \n\n"[..]
    );
}

#[test]
fn all_line_ends_are_the_same() {
    for end in ["\n", "\r", "\r\n"] {
        let stream = ["event: x", "data: a", "data: b", "", "data:c", "", ""].join(end);
        assert_eq!(datas(&stream), ["a\nb", "c"], "{end:?}");
    }
    assert_eq!(datas("data: a\r\rdata: b\n\r\n"), ["a", "b"]);
}

#[test]
fn comments_unknown_fields_and_a_byte_order_mark_are_skipped() {
    assert_eq!(
        datas("\u{feff}data: a\n\n:keep-alive\n\n: x\nfoo: bar\ndata\ndata:  b\n\n"),
        ["a", "\n b"]
    );
    assert_eq!(decode(&comment(), &[1]), []);
    assert_eq!(datas("event: x\n\n"), Vec::<String>::new());
}

#[test]
fn an_unfinished_event_is_not_given_out() {
    assert_eq!(datas("data: a\n\ndata: b\n"), ["a"]);
}

#[test]
fn fields_are_read() {
    let events = decode(
        b"id: 7\nretry: 1500\n\nevent: endpoint\ndata: /x\nid: a\0b\nretry: 1x\n\n",
        &[3],
    );
    let event = |event: &str, data: &'static [u8], id: Option<&str>, retry| Event {
        event: event.into(),
        data: Bytes::from_static(data),
        id: id.map(Into::into),
        retry,
    };
    assert_eq!(
        events,
        [
            event("message", b"", Some("7"), Some(1500)),
            event("endpoint", b"/x", None, None)
        ]
    );
}

#[test]
fn too_much_is_an_error_once_and_then_nothing() {
    let limit = 100;
    for stream in [
        "data: ".to_owned() + &"x".repeat(200),
        "data: xxxxxxxxx\n".repeat(20),
        ":".repeat(101),
    ] {
        let mut decoder = Decoder::new(limit);
        let mut seen = Vec::new();
        for chunk in stream.as_bytes().chunks(7) {
            decoder.push(chunk);
            seen.extend(decoder.next_event());
        }
        decoder.push(b"\n\ndata: late\n\n");
        seen.extend(decoder.next_event());
        assert_eq!(seen, [Err(Error::TooLong { limit })], "{stream}");
    }
}

#[test]
fn who_pushes_without_reading_is_stopped() {
    let mut decoder = Decoder::new(100);
    for _ in 0..=BACKLOG_BYTES_MAX / 1000 {
        decoder.push(&[b'\n'; 1000]);
    }
    assert_eq!(
        decoder.next_event(),
        Some(Err(Error::TooLong { limit: 100 }))
    );
    assert!(decoder.buffer.capacity() == 0);
}

proptest! {
    /// What is encoded comes out again, however it is cut on the way.
    #[test]
    fn messages_round_trip(
        messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 1..5),
        sizes in proptest::collection::vec(1_usize..40, 1..20),
    ) {
        // A CR is a line end to receivers: it cannot be told from LF, and in JSON stands between values only.
        let messages: Vec<Vec<u8>> =
            messages.into_iter().map(|m| m.into_iter().filter(|b| *b != b'\r').collect()).collect();
        let stream: Vec<u8> = messages.iter().flat_map(|message| encode(message)).collect();
        let decoded: Vec<_> = decode(&stream, &sizes).into_iter().map(|event| event.data.to_vec()).collect();
        prop_assert_eq!(decoded, messages);
    }

    /// No bytes make it panic, and how they are cut makes no difference.
    #[test]
    fn pieces_make_no_difference(
        stream in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b':'), Just(b'd'), any::<u8>()], 0..200),
        sizes in proptest::collection::vec(1_usize..9, 1..20),
    ) {
        prop_assert_eq!(decode(&stream, &sizes), decode(&stream, &[usize::MAX]));
    }
}
