//! That no schema makes a look long, or takes the stack.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::*;
use super::{calling, fails, refuses};

/// How long a look may take in a build that is not optimised, on a machine that does something else, too.
const WALL: Duration = Duration::from_secs(1);
/// As the threads that calls run on have it.
const STACK: usize = 2 << 20;

/// On a thread with as much stack as those that calls run on. The quickest of several looks counts: the machine may have
/// been busy with something else.
fn within_wall(name: &str, schema: Value, value: Value) -> Finding {
    let look = move || {
        let mut least = Duration::MAX;
        let mut found = Finding::Nothing;
        for _ in 0..5 {
            let began = Instant::now();
            found = calling(&schema, &value);
            least = least.min(began.elapsed());
            if least < WALL {
                break;
            }
        }
        (found, least)
    };
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(look);
    let (found, took) = thread.unwrap().join().unwrap();
    assert!(took < WALL, "{name} took {took:?}");
    found
}

/// `$defs` of which each puts the next to a value twice.
fn doubling(levels: usize, keyword: &str, step: fn(Value) -> Value) -> Value {
    let mut defs = json!({format!("a{levels}"): {"type": "integer"}});
    for n in 0..levels {
        let next = step(json!({"$ref": format!("#/$defs/a{}", n + 1)}));
        defs[format!("a{n}")] = json!({keyword: [next.clone(), next]});
    }
    json!({"$defs": defs, "$ref": "#/$defs/a0"})
}

fn nested(levels: usize) -> Value {
    let mut value = json!({"x": 1});
    for _ in 0..levels {
        value = json!({ "a": value });
    }
    value
}

#[test]
fn schemas_that_double_at_each_step_are_not_followed() {
    for keyword in ["allOf", "anyOf", "oneOf"] {
        for levels in [12, 20, 30, 60] {
            let found = within_wall(keyword, doubling(levels, keyword, |next| next), json!("x"));
            assert!(fails(&found).contains("cannot be used"), "{levels}");
        }
        // What doubles for values within is as heavy, and known once the value is there.
        let within = |next: Value| json!({"properties": {"a": next}, "required": ["a"]});
        let found = within_wall(keyword, doubling(60, keyword, within), nested(60));
        fails(&found);
    }
}

#[test]
fn schemas_that_lead_back_to_themselves_end() {
    let branch =
        json!({"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#/$defs/x"}}});
    let mut other = branch.clone();
    other["minProperties"] = json!(1);
    for keyword in ["anyOf", "oneOf", "allOf"] {
        let schema = json!({"$defs": {"x": {keyword: [branch, other]}}, "$ref": "#/$defs/x"});
        let found = within_wall(keyword, schema, nested(60));
        refuses(&found);
    }
    let deep = json!({"$defs": {"x": {"properties": {"a": {"$ref": "#/$defs/x"}}, "unevaluatedProperties": false,
        "anyOf": [{"properties": {"a": {"$ref": "#/$defs/x"}}}, {"required": ["b"]}]}}, "$ref": "#/$defs/x"});
    within_wall("unevaluated", deep, nested(60));
}

#[test]
fn long_ways_through_a_schema_do_not_take_the_stack() {
    let chain = |levels: usize, step: fn(Value) -> Value| {
        let mut defs = json!({format!("a{levels}"): {"type": "integer"}});
        for n in 0..levels {
            defs[format!("a{n}")] = step(json!({"$ref": format!("#/$defs/a{}", n + 1)}));
        }
        json!({"$defs": defs, "$ref": "#/$defs/a0"})
    };
    for levels in [33, 300, 3_000] {
        fails(&within_wall(
            "references",
            chain(levels, |next| next),
            json!(1),
        ));
    }
    let within = |next: Value| json!({"properties": {"a": next}});
    for levels in [300, 2_000] {
        fails(&within_wall(
            "references within",
            chain(levels, within),
            nested(60),
        ));
    }
    // Whatever is let through goes through.
    let found = within_wall("all that may be", chain(120, within), nested(60));
    assert_eq!(found, Finding::Nothing);
    let mut steep = json!({"$ref": "#"});
    for _ in 0..10 {
        steep = json!({"allOf": [steep]});
    }
    let steep = json!({"properties": {"a": steep}});
    assert_eq!(within_wall("steep", steep, nested(60)), Finding::Nothing);
}

#[test]
fn large_schemas_and_large_values_end_in_time() {
    let numbers = |from: usize, count: usize| (from..from + count).map(|n| json!({"a": {"b": n}}));
    let list: Vec<Value> = numbers(0, 3_000).collect();
    let other: Vec<Value> = numbers(9_000, 1_000).collect();
    within_wall(
        "enum",
        json!({"items": {"not": {"enum": list}}}),
        json!(other),
    );
    let many: Vec<Value> = numbers(0, 3_000).collect();
    let found = within_wall("uniqueItems", json!({"uniqueItems": true}), json!(many));
    assert_eq!(found, Finding::Nothing);
    let long = "é".repeat(1 << 20);
    let found = within_wall("minLength", json!({"minLength": 1 << 20}), json!(long));
    assert_eq!(found, Finding::Nothing);
    let lengths: Vec<Value> = (0..2_000).map(|n| json!({"minLength": n})).collect();
    fails(&within_wall(
        "lengths",
        json!({"allOf": lengths}),
        json!(long),
    ));
    let found = within_wall("bytes", json!(true), json!("x".repeat(VALUE_MAX)));
    fails(&found);
    let cells = vec![vec![1; 100]; 99];
    within_wall(
        "contains",
        json!({"contains": {"contains": {"contains": {"const": 5}}}}),
        json!(cells),
    );
}

const VALUE_MAX: usize = 4 << 20;

#[test]
fn patterns_take_time_by_the_length_of_the_text_alone() {
    let noise = |bytes: usize| {
        let mut seed = 88_172_645_463_325_252_u64;
        let mut text = String::with_capacity(bytes);
        while text.len() < bytes {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let _ = write!(text, "{}", if seed & 1 == 0 { 'a' } else { 'b' });
        }
        text
    };
    let text = noise(256 * 1024);
    for pattern in [
        "^(a+)+$",
        "(a|b|ab)*c",
        "[ab]*a[ab]{500}c?$",
        "^(?:[ab]?[^c]){100}c",
        "(.*)(.*)(.*)(.*)x",
    ] {
        let schema = json!({ "pattern": pattern });
        within_wall(pattern, schema, json!(text));
    }
    let names = |count: usize| {
        let name = |n| (format!("^a{n}.*[0-9]{{3}}x$"), json!({"type": "integer"}));
        let names: serde_json::Map<String, Value> = (0..count).map(name).collect();
        json!({ "patternProperties": names })
    };
    let members = (0..1_000).map(|n| (format!("a{n}"), json!(n)));
    let members = Value::Object(members.collect());
    let found = within_wall("patternProperties", names(100), members.clone());
    assert_eq!(found, Finding::Nothing);
    fails(&within_wall("too many", names(101), members));
    // Each as large as it may be.
    let large = |n| json!({"pattern": format!("^(?:[ab]?[^c{n}]){{90}}c")});
    let all: Vec<Value> = (0..100).map(large).collect();
    within_wall("large", json!({ "anyOf": all }), json!("ab"));
}
