#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
//! What matches, what does not, and what is not looked at.

mod cost;

use serde_json::{Value, json};

use super::*;

fn compiled(schema: &Value) -> Option<Arc<Compiled>> {
    Some(Arc::new(Schema::compile(schema.to_string().as_bytes())))
}

fn schemas(input: &Value, output: &Value) -> Schemas {
    let of = |schema: &Value| match schema {
        Value::Null => None,
        schema => compiled(schema),
    };
    Schemas {
        input: of(input),
        output: of(output),
    }
}

fn look(schemas: &Schemas, way: Direction, method: &str, message: &Value) -> Finding {
    let message = message.to_string();
    let seen = Seen::new(message.as_bytes(), way).of(method, "pay");
    ToolSchemas.look(&seen.under(Ok(schemas)))
}

/// What is found of a call with these arguments.
fn calling(schema: &Value, arguments: &Value) -> Finding {
    let schemas = schemas(schema, &Value::Null);
    let mut params = json!({"name": "pay"});
    if !arguments.is_null() {
        params["arguments"] = arguments.clone();
    }
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    look(&schemas, Direction::Request, "tools/call", &message)
}

/// What is found of such a result, of a tool with this output schema.
fn answering(schema: &Value, method: &str, result: &Value) -> Finding {
    let message = json!({"jsonrpc": "2.0", "id": 1, "result": result});
    let schemas = schemas(&Value::Null, schema);
    look(&schemas, Direction::Response, method, &message)
}

fn refuses(finding: &Finding) -> &str {
    match finding {
        Finding::Refuses(why) => why,
        other => panic!("{other:?}"),
    }
}

fn fails(finding: &Finding) -> &str {
    match finding {
        Finding::Fails(why) => why,
        other => panic!("{other:?}"),
    }
}

fn payment() -> Value {
    json!({"type": "object", "properties": {"amount": {"type": "integer", "maximum": 100},
        "note": {"type": "string", "pattern": "^[a-z ]*$", "maxLength": 20}},
        "required": ["amount"], "additionalProperties": false})
}

#[test]
fn arguments_are_what_the_input_schema_says_or_refused_by_its_own_words() {
    let schema = payment();
    for good in [
        json!({"amount": 100}),
        json!({"amount": 1.0, "note": "for you"}),
    ] {
        assert_eq!(calling(&schema, &good), Finding::Nothing, "{good}");
    }
    for (bad, at) in [
        (json!({"amount": 101}), "/properties/amount/maximum"),
        (json!({"amount": "1"}), "/properties/amount/type"),
        (
            json!({"amount": 1, "note": "SECRET"}),
            "/properties/note/pattern",
        ),
        (json!({"amount": 1, "secret": 1}), "/additionalProperties"),
        (json!({"note": "a"}), "/required"),
        // None at all are an empty object.
        (Value::Null, "/required"),
        (json!([1]), "/type"),
    ] {
        let found = calling(&schema, &bad);
        let why = refuses(&found);
        assert_eq!(
            why,
            format!("the arguments do not match the tool's input schema at {at}")
        );
    }
    assert_eq!(
        calling(&Value::Null, &json!({"anything": 1})),
        Finding::Nothing
    );
}

#[test]
fn results_are_what_the_output_schema_promises() {
    let schema =
        json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    let text = json!([{"type": "text", "text": "{\"n\": \"x\"}"}]);
    for method in ["tools/call", "tasks/result"] {
        let found = |result: &Value| answering(&schema, method, result);
        for good in [
            json!({"content": text, "structuredContent": {"n": 1}}),
            json!({"content": text, "isError": true}),
            json!({"content": text, "structuredContent": {"n": "x"}, "isError": true}),
            // What is still to come has none of it yet.
            json!({"resultType": "input_required", "inputRequests": {}, "requestState": "x"}),
            json!({"resultType": "task", "taskId": "1", "status": "working"}),
            json!({"task": {"taskId": "1", "status": "working"}}),
        ] {
            assert_eq!(found(&good), Finding::Nothing, "{good}");
        }
        let bad = found(&json!({"content": text, "structuredContent": {"n": "x"}}));
        assert!(refuses(&bad).ends_with("output schema at /properties/n/type"));
        for missing in [
            json!({"content": text}),
            json!({"content": text, "isError": "true"}),
            json!({"content": text, "resultType": "complete"}),
            // It is no task that has content.
            json!({"content": text, "task": {}}),
        ] {
            let found = found(&missing);
            assert!(
                refuses(&found).contains("no structuredContent"),
                "{missing}"
            );
        }
        // A word that it is to come does not make anything else of what is there.
        let early = json!({"resultType": "task", "structuredContent": {"n": "x"}});
        refuses(&found(&early));
    }
    let any = answering(&Value::Null, "tools/call", &json!({"structuredContent": 1}));
    assert_eq!(any, Finding::Nothing, "it promises nothing");
}

#[test]
fn the_result_within_a_task_is_one() {
    let schema = json!({"type": "integer"});
    let found = |result: &Value| answering(&schema, "tasks/get", result);
    let working = json!({"taskId": "1", "status": "working"});
    assert_eq!(found(&working), Finding::Nothing);
    let done =
        |content: Value| json!({"status": "completed", "result": {"structuredContent": content}});
    assert_eq!(found(&done(json!(1))), Finding::Nothing);
    refuses(&found(&done(json!("1"))));
    let cancelled = answering(&schema, "tasks/cancel", &json!({}));
    assert_eq!(cancelled, Finding::Nothing);
}

#[test]
fn what_is_no_call_and_no_result_is_nothing_to_it() {
    let schema = json!({"type": "integer"});
    let both = schemas(&schema, &schema);
    let error = json!({"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": "no"}});
    let progress = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {}});
    for message in [&error, &progress] {
        let found = look(&both, Direction::Response, "tools/call", message);
        assert_eq!(found, Finding::Nothing);
    }
    let get = json!({"jsonrpc": "2.0", "id": 1, "method": "tasks/get", "params": {"taskId": "1"}});
    let found = look(&both, Direction::Request, "tasks/get", &get);
    assert_eq!(found, Finding::Nothing);
}

#[test]
fn what_is_not_known_is_not_taken_for_what_matches() {
    let of = |result: Value, method: &str| {
        let message = json!({"jsonrpc": "2.0", "id": 1, "result": result}).to_string();
        let seen = Seen::new(message.as_bytes(), Direction::Response).of(method, "");
        ToolSchemas.look(&seen.under(Err("it is gone")))
    };
    assert_eq!(
        fails(&of(json!({"content": []}), "tools/call")),
        "it is gone"
    );
    // Which request it answers is not known.
    for possible in [
        json!({"content": []}),
        json!({"structuredContent": 1, "tools": []}),
        json!({}),
    ] {
        fails(&of(possible, ""));
    }
    for other in [
        json!({"tools": []}),
        json!({"contents": []}),
        json!({"content": [], "isError": true}),
    ] {
        assert_eq!(of(other, ""), Finding::Nothing);
    }
}

#[test]
fn a_schema_that_cannot_be_used_is_said() {
    let long = json!({"description": "x".repeat(SCHEMA_BYTES_MAX)});
    let mut deep = json!({"type": "integer"});
    for _ in 0..130 {
        deep = json!({ "not": deep });
    }
    for (bad, why) in [
        (
            json!({"$ref": "http://127.0.0.1:9/x"}),
            "refers to what is not in it",
        ),
        (
            json!({"$ref": "file:///etc/passwd"}),
            "refers to what is not in it",
        ),
        (
            json!({"$ref": "other.json#/a"}),
            "refers to what is not in it",
        ),
        (
            json!({"properties": {"a": {"$ref": "#/$defs/b"}}}),
            "refers to what is not in it",
        ),
        (
            json!({"allOf": [{"$id": "https://a.example/b", "$ref": "#/x"}]}),
            "holds another with an $id",
        ),
        (json!({"$ref": "#"}), "lead to one another for one value"),
        (
            json!({"$defs": {"a": {"$anchor": "x"}, "b": {"$anchor": "x"}}}),
            "gives two parts one name",
        ),
        (json!({"type": "strin"}), ""),
        (json!({"pattern": "(a)\\1"}), ""),
        (json!({"pattern": "(?=a)a"}), ""),
        (json!({"pattern": "^((a?b{1,100}){1,100}){1,100}$"}), ""),
        (json!(5), ""),
        (long, "has more than 262144 bytes"),
        (
            json!({"enum": (0..10_000).collect::<Vec<_>>()}),
            "has more than 10000 values",
        ),
        (deep, ""),
    ] {
        let found = calling(&bad, &json!({}));
        assert_ne!(found, Finding::Nothing, "{bad}");
        let told = fails(&found);
        assert!(
            told.starts_with("the tool's input schema cannot be used: "),
            "{told}"
        );
        assert!(told.contains(why) && told.chars().count() < 400, "{told}");
    }
}

#[test]
fn words_of_a_server_are_spelt_and_cut() {
    let name = "a\u{202e}\u{1b}[31m\n".repeat(100);
    let schema = json!({"properties": {name.as_str(): {"type": "string"}}});
    let found = calling(&schema, &json!({name.as_str(): 1}));
    let why = refuses(&found);
    assert!(
        why.contains("\\u{202e}") && !why.contains(['\u{202e}', '\u{1b}', '\n']),
        "{why}"
    );
    assert!(why.len() < 2_000, "{}", why.len());
}

#[test]
fn a_schema_is_read_as_what_it_says_that_it_is() {
    let tuple = |dialect: &str| json!({"$schema": dialect, "items": [{"type": "string"}]});
    // In draft-07 a list of items is a tuple.
    let old = tuple("http://json-schema.org/draft-07/schema#");
    refuses(&calling(&old, &json!([1])));
    assert_eq!(calling(&old, &json!(["a", 1])), Finding::Nothing);
    // Since 2020-12 it is none, and so it is for who says nothing, or what nobody knows.
    for new in [
        "https://json-schema.org/draft/2020-12/schema",
        "https://example.com/own",
    ] {
        fails(&calling(&tuple(new), &json!([1])));
        let prefix = json!({"$schema": new, "prefixItems": [{"type": "string"}]});
        refuses(&calling(&prefix, &json!([1])));
    }
    let mail = |dialect: &str| json!({"$schema": dialect, "format": "email"});
    refuses(&calling(
        &mail("http://json-schema.org/draft-07/schema#"),
        &json!("x"),
    ));
    for dialect in ["draft/2019-09", "draft/2020-12"] {
        let new = mail(&format!("https://json-schema.org/{dialect}/schema"));
        assert_eq!(calling(&new, &json!("x")), Finding::Nothing, "{dialect}");
    }
}

#[test]
fn whole_numbers_are_compared_to_the_last_digit_or_not_at_all() {
    let most = json!({"maximum": 9_007_199_254_740_992_i64});
    refuses(&calling(&most, &json!(9_007_199_254_740_993_i64)));
    assert_eq!(
        calling(&most, &json!(9_007_199_254_740_992_i64)),
        Finding::Nothing
    );
    let large = json!({"minimum": 0, "maximum": u64::MAX});
    assert_eq!(calling(&large, &json!(u64::MAX)), Finding::Nothing);
    let schemas = schemas(&json!({"const": {"n": 1}}), &Value::Null);
    for number in ["18446744073709551616", "-9223372036854775809", "1e999"] {
        let message = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"arguments":{{"n":{number}}}}}}}"#
        );
        let seen = Seen::new(message.as_bytes(), Direction::Request).of("tools/call", "pay");
        let found = ToolSchemas.look(&seen.under(Ok(&schemas)));
        fails(&found);
    }
}

#[test]
fn a_schema_may_refer_to_itself_for_what_is_within() {
    let tree = json!({"$defs": {"tree": {"type": "object", "properties": {"n": {"type": "integer"},
        "of": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}, "required": ["n"]}}, "$ref": "#/$defs/tree"});
    assert_eq!(
        calling(
            &tree,
            &json!({"n": 1, "of": [{"n": 2}, {"n": 3, "of": []}]})
        ),
        Finding::Nothing
    );
    let found = calling(&tree, &json!({"n": 1, "of": [{"n": 2}, {"of": []}]}));
    assert_eq!(
        refuses(&found),
        "the arguments do not match the tool's input schema"
    );
    let named = json!({"properties": {"a": {"$anchor": "x", "type": "integer"}, "b": {"$ref": "#x"},
        "c": {"$ref": "#/properties/a"}, "d~/e": {"$ref": "#/properties/d~0~1e%66"}, "d~/ef": {"type": "null"}}});
    for bad in [json!({"b": "1"}), json!({"c": "1"}), json!({"d~/e": 1})] {
        refuses(&calling(&named, &bad));
    }
}

#[test]
fn what_a_subscription_tells_of_a_task_is_a_result_of_some_tool() {
    let told = |params: Value| {
        let message = json!({"jsonrpc": "2.0", "method": "notifications/tasks", "params": params})
            .to_string();
        let seen = Seen::new(message.as_bytes(), Direction::Response);
        ToolSchemas.look(&seen.of("subscriptions/listen", ""))
    };
    let result = json!({"structuredContent": {"amount": 1}});
    fails(&told(
        json!({"taskId": "1", "status": "completed", "result": result}),
    ));
    let to_come = told(json!({"taskId": "1", "status": "working"}));
    assert_eq!(to_come, Finding::Nothing);
}
