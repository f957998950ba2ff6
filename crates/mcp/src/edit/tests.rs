#![allow(clippy::unwrap_used, reason = "tests")]
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn set(bytes: &[u8], members: &[(&str, &'static [u8])]) -> String {
    let members: Vec<_> = members
        .iter()
        .map(|(key, value)| (*key, Cow::Borrowed(*value)))
        .collect();
    let mut edits = Edits::new(bytes);
    edits.set(walk::root(bytes), &members);
    String::from_utf8(edits.apply().unwrap()).unwrap()
}

#[test]
fn what_is_not_edited_keeps_its_bytes() {
    assert_eq!(
        set(br#"{ "a" : 1 , "b":2 }"#, &[("a", b"9")]),
        r#"{ "a" : 9 , "b":2 }"#
    );
}

#[test]
fn members_are_added_with_the_right_commas() {
    assert_eq!(set(b"{}", &[("x", b"1"), ("y", b"2")]), r#"{"x":1,"y":2}"#);
    assert_eq!(set(br#"{"a":1}"#, &[("x", b"1")]), r#"{"a":1,"x":1}"#);
    assert_eq!(
        set(br#"{"a":1}"#, &[("x\"", b"1"), ("a", b"2")]),
        r#"{"a":2,"x\"":1}"#
    );
}

#[test]
fn all_members_may_go_and_others_come() {
    let bytes = br#"{ "a":1, "b":2 }"#;
    let mut edits = Edits::new(bytes);
    edits.members(walk::root(bytes), |_| Change::Remove, [("c", &b"3"[..])]);
    let changed: Value = serde_json::from_slice(&edits.apply().unwrap()).unwrap();
    assert_eq!(changed, json!({"c": 3}));
}

#[test]
fn insertions_at_one_place_keep_their_order_and_come_before_the_replacement() {
    let mut edits = Edits::new(b"abc");
    edits
        .replace(Span { start: 1, end: 2 }, &b"-"[..])
        .insert(1, &b"1"[..])
        .insert(1, &b"2"[..]);
    assert_eq!(edits.apply().unwrap(), b"a12-c");
}

#[test]
fn contradictions_are_errors() {
    let mut edits = Edits::new(b"abcdef");
    edits
        .replace(Span { start: 0, end: 3 }, &b""[..])
        .replace(Span { start: 2, end: 4 }, &b""[..]);
    assert_eq!(edits.apply(), Err(Error::Overlap { at: 2 }));
    let mut edits = Edits::new(b"abc");
    assert_eq!(
        edits.insert(9, &b"x"[..]).apply(),
        Err(Error::Outside { at: 9 })
    );
    let mut edits = Edits::new(b"{}");
    edits
        .set(walk::root(b"{}"), &[("a", Cow::Borrowed(b"1"))])
        .set(walk::root(b"{}"), &[("b", Cow::Borrowed(b"1"))]);
    assert_eq!(edits.apply(), Err(Error::Overlap { at: 0 }));
}

proptest! {
    /// Whatever members go, stay, change or come: the text stays JSON and says what was asked for.
    #[test]
    fn edited_objects_stay_valid(
        actions in proptest::collection::vec(0_u8..3, 0..8),
        added in 0_usize..3,
        pretty in any::<bool>(),
    ) {
        let mut before = serde_json::Map::new();
        let mut after = serde_json::Map::new();
        for (i, action) in actions.iter().enumerate() {
            let value = json!([i, "x,}", {"k": i}]);
            before.insert(format!("k{i}"), value.clone());
            match action {
                0 => { after.insert(format!("k{i}"), value); }
                1 => { after.insert(format!("k{i}"), json!("new")); }
                _ => {}
            }
        }
        let new: Vec<String> = (0..added).map(|i| format!("n{i}")).collect();
        after.extend(new.iter().map(|key| (key.clone(), Value::Null)));
        let before = Value::Object(before);
        let bytes = if pretty { serde_json::to_vec_pretty(&before) } else { serde_json::to_vec(&before) }.unwrap();
        let mut edits = Edits::new(&bytes);
        edits.members(
            walk::root(&bytes),
            |member| match actions[member.key[1..].parse::<usize>().unwrap()] {
                0 => Change::Keep,
                1 => Change::Replace(Cow::Borrowed(b"\"new\"")),
                _ => Change::Remove,
            },
            new.iter().map(|key| (key.as_str(), &b"null"[..])),
        );
        let changed: Value = serde_json::from_slice(&edits.apply().unwrap()).unwrap();
        prop_assert_eq!(changed, Value::Object(after));
    }

    /// Whatever elements go: the array stays JSON and holds the others in order.
    #[test]
    fn cut_arrays_stay_valid(keep in proptest::collection::vec(any::<bool>(), 0..10)) {
        let before: Vec<_> = (0..keep.len()).map(|i| json!({"i": i, "s": "],["})).collect();
        let after: Vec<_> = before.iter().zip(&keep).filter(|(_, kept)| **kept).map(|(v, _)| v.clone()).collect();
        let bytes = serde_json::to_vec_pretty(&before).unwrap();
        let mut edits = Edits::new(&bytes);
        let mut next = keep.iter();
        let cut = edits.elements(walk::root(&bytes), |_| *next.next().unwrap());
        prop_assert_eq!(cut, keep.contains(&false));
        let changed: Vec<Value> = serde_json::from_slice(&edits.apply().unwrap()).unwrap();
        prop_assert_eq!(changed, after);
    }
}
