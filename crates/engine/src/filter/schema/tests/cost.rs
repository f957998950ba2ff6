//! That no schema makes a look long, or takes the stack.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::*;
use super::{calling, fails};

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

/// A schema of which two branches lead back to the whole, for each value within, by this reference.
fn branching(keyword: &str, reference: &Value) -> Value {
    let within = json!({"type": "object", "required": ["a"], "properties": {"a": reference}});
    let list = json!({"type": "array", "items": reference, "contains": reference});
    let mut other = within.clone();
    other["minProperties"] = json!(1);
    let branches = match keyword {
        "if" => json!({"if": within, "then": other, "else": list}),
        "unevaluatedProperties" => {
            json!({"anyOf": [within, other, list], "unevaluatedProperties": reference})
        }
        _ => json!({keyword: [within, other, list]}),
    };
    let mut whole = branches;
    whole["$anchor"] = json!("y");
    whole["$dynamicAnchor"] = json!("x");
    whole
}

#[test]
fn schemas_that_lead_back_to_themselves_end() {
    let mut lists = json!([1]);
    for _ in 0..60 {
        lists = json!([lists, 1]);
    }
    for reference in [
        json!({"$ref": "#"}),
        json!({"$ref": "#y"}),
        json!({"$dynamicRef": "#x"}),
        json!({"$recursiveRef": "#"}),
        json!({"$ref": "#/$defs/x"}),
        // What refers to what refers.
        json!({"allOf": [{"$ref": "#"}]}),
    ] {
        for keyword in ["anyOf", "oneOf", "allOf", "if", "unevaluatedProperties"] {
            let mut schema = branching(keyword, &reference);
            let mut inner = branching(keyword, &reference);
            let names = inner.as_object_mut().unwrap();
            names.retain(|key, _| !key.ends_with("nchor"));
            schema["$defs"] = json!({ "x": inner });
            let dialects = ["draft/2020-12/schema", "draft/2019-09/schema"];
            for dialect in dialects {
                schema["$schema"] = json!(format!("https://json-schema.org/{dialect}"));
                for value in [nested(60), lists.clone()] {
                    within_wall(&format!("{keyword} {reference}"), schema.clone(), value);
                }
            }
        }
    }
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

/// Anything that stands in schemas, put together anyhow.
fn anyhow() -> impl Strategy<Value = Value> {
    let words = [
        "#",
        "#/$defs/a",
        "#/$defs/b",
        "#/properties/a",
        "#/$defs/a/enum",
        "#x",
        "other",
        "object",
        "array",
        "integer",
        "^a+$",
        "[",
        "date-time",
        "http://json-schema.org/draft-04/schema#",
        "https://json-schema.org/draft/2019-09/schema",
    ];
    let keys = [
        "$ref",
        "$dynamicRef",
        "$recursiveRef",
        "$defs",
        "$id",
        "$anchor",
        "$dynamicAnchor",
        "$recursiveAnchor",
        "$schema",
        "type",
        "enum",
        "const",
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        "if",
        "then",
        "else",
        "dependentSchemas",
        "dependencies",
        "properties",
        "patternProperties",
        "additionalProperties",
        "unevaluatedProperties",
        "propertyNames",
        "items",
        "prefixItems",
        "contains",
        "minContains",
        "unevaluatedItems",
        "uniqueItems",
        "minimum",
        "multipleOf",
        "pattern",
        "minLength",
        "format",
        "required",
        "a",
        "b",
        "x",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(words.to_vec()).prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 5, move |inner| {
        let key = prop::sample::select(keys.to_vec());
        let member = (key, inner.clone()).prop_map(|(key, value)| (key.to_owned(), value));
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            prop::collection::vec(member, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn whatever_is_given_for_a_schema_is_answered(schema in anyhow(), value in anyhow()) {
        if let Ok(schema) = Schema::compile(schema.to_string().as_bytes()) {
            // Which of the answers is not the question.
            let _ = schema.check(value.to_string().as_bytes());
        }
    }
}
