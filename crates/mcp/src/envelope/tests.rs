#![allow(clippy::unwrap_used, reason = "tests")]
use super::*;

fn request(text: &str) -> Result<Envelope<'_>, ScanError> {
    scan(text.as_bytes(), &Limits::REQUEST)
}

fn fault(text: &str) -> ScanFault {
    request(text).unwrap_err().fault
}

/// A request of that method with these members of `params`.
fn call(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":7,"method":"{method}","params":{{{params}}}}}"#)
}

#[test]
fn a_modern_call_is_read_whole() {
    let text = r#"{"params":{"arguments":{"b":[1]},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",
        "io.modelcontextprotocol/clientCapabilities":{"roots":{}},"progressToken":"p\u0031","traceparent":"00-a",
        "io.modelcontextprotocol/clientInfo":{"name":"c\"c","version":"1"},"acme/x":1,
        "io.modelcontextprotocol/logLevel":"info"},"name":"ec\u0068o"},"method":"tools/call","id":"a","jsonrpc":"2.0"}"#;
    let read = request(text).unwrap();
    assert_eq!(
        (read.kind, read.method(), read.raw_id()),
        (Kind::Request, "tools/call", Some(&br#""a""#[..]))
    );
    assert_eq!(
        (read.target.as_deref(), read.target_kind),
        (Some("echo"), Target::Tool)
    );
    assert_eq!(read.target_span.unwrap().of(read.bytes), br#""ec\u0068o""#);
    assert_eq!(read.arguments.unwrap().of(read.bytes), br#"{"b":[1]}"#);
    let meta = read.meta.as_ref().unwrap();
    assert_eq!(read.meta_version(), Some("2026-07-28"));
    assert_eq!(
        meta.client_capabilities.unwrap().of(read.bytes),
        br#"{"roots":{}}"#
    );
    assert_eq!(meta.progress_token.unwrap().of(read.bytes), br#""p\u0031""#);
    assert_eq!(
        (meta.client_name.as_deref(), meta.client_version.as_deref()),
        (Some("c\"c"), Some("1"))
    );
    assert_eq!(
        (meta.traceparent.as_deref(), meta.log_level.as_deref()),
        (Some("00-a"), Some("info"))
    );
    assert!(meta.span.of(read.bytes).starts_with(b"{") && meta.span.of(read.bytes).ends_with(b"}"));
}

#[test]
fn a_message_without_escapes_is_borrowed_whole() {
    let text = call("tools/call", r#""name":"echo","arguments":{}"#);
    let read = request(&text).unwrap();
    assert!(matches!(read.method, Some(Cow::Borrowed(_))));
    assert!(matches!(read.target, Some(Cow::Borrowed(_))));
}

#[test]
fn each_method_has_its_target() {
    let target = |method: &str, params: &str| {
        let text = call(method, params);
        let read = request(&text).unwrap();
        (read.target_kind, read.target.map(Cow::into_owned))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        target("prompts/get", r#""name":"p","uri":"u""#),
        (Target::Prompt, some("p"))
    );
    assert_eq!(
        target("resources/read", r#""name":"p","uri":"u""#),
        (Target::Resource, some("u"))
    );
    assert_eq!(
        target("tasks/result", r#""taskId":"t""#),
        (Target::Task, some("t"))
    );
    assert_eq!(target("tools/list", r#""name":"p""#), (Target::None, None));
    let prompt = r#""ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a","value":""}"#;
    assert_eq!(
        target("completion/complete", prompt),
        (Target::Prompt, some("p"))
    );
    let resource = r#""ref":{"type":"ref/resource","uri":"u","name":"n"}"#;
    assert_eq!(
        target("completion/complete", resource),
        (Target::Resource, some("u"))
    );
}

#[test]
fn a_target_that_is_missing_or_no_string_is_refused() {
    for (method, params) in [
        ("tools/call", r#""arguments":{}"#),
        ("tools/call", r#""name":1"#),
        ("tools/call", r#""name":null"#),
        ("tools/call", r#""name":["echo"]"#),
        ("resources/read", r#""name":"x""#),
        ("tasks/get", ""),
        (
            "completion/complete",
            r#""ref":{"type":"ref/other","name":"p"}"#,
        ),
        (
            "completion/complete",
            r#""ref":{"type":"ref/prompt","uri":"p"}"#,
        ),
        ("completion/complete", ""),
    ] {
        let error = request(&call(method, params)).map(|_| ()).unwrap_err();
        assert_eq!(
            (error.code(), error.id()),
            (-32602, Some(&b"7"[..])),
            "{method} {params}"
        );
    }
}

#[test]
fn a_removed_method_of_a_modern_client_is_left_to_be_called_unknown() {
    let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
    assert_eq!(
        request(&call("resources/subscribe", meta)).unwrap().target,
        None
    );
    assert!(request(&call("resources/read", meta)).is_err());
    assert!(request(&call("resources/subscribe", "")).is_err());
    assert!(request(&call("resources/subscribe", &format!(r#"{meta},"uri":1"#))).is_err());
}

#[test]
fn ids_are_strings_or_integers_that_all_parsers_read_alike() {
    let with = |id: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
    for id in [
        "0",
        "-1",
        "9007199254740991",
        "-9007199254740991",
        r#""""#,
        r#""a\u0000""#,
    ] {
        assert_eq!(
            request(&with(id)).unwrap().raw_id(),
            Some(id.as_bytes()),
            "{id}"
        );
    }
    let long = format!("\"{}\"", "x".repeat(ID_BYTES_MAX - 1));
    for id in [
        "null",
        "true",
        "1.0",
        "1e3",
        "-0",
        "9007199254740992",
        "99999999999999999999",
        "[1]",
        "{}",
        &long,
    ] {
        let error = request(&with(id)).map(|_| ()).unwrap_err();
        assert_eq!(
            (&error.fault, error.code(), error.id()),
            (&ScanFault::Id, -32600, None),
            "{id}"
        );
    }
}

#[test]
fn equal_ids_are_equal_keys_however_they_are_spelt() {
    let key = |id: &str| {
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        request(&text).unwrap().id.unwrap().key()
    };
    assert_eq!(key(r#""a""#), key(r#""\u0061""#));
    assert_ne!(key(r#""1""#), key("1"));
    assert_eq!(key("1"), IdKey::Int(1));
}

#[test]
fn a_message_is_exactly_one_of_three() {
    for text in [
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"},"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","error":{"code":1,"message":""}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":null}"#,
    ] {
        assert_eq!(fault(text), ScanFault::Kind, "{text}");
    }
}

#[test]
fn no_call_is_smuggled_as_a_notification() {
    let text = r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"a"}}"#;
    assert_eq!(fault(text), ScanFault::IdMissing("tools/call".into()));
    let text = r#"{"jsonrpc":"2.0","method":"tools\/call","params":{"name":"a"}}"#;
    assert_eq!(fault(text), ScanFault::IdMissing("tools/call".into()));
    let text = r#"{"jsonrpc":"2.0","id":null,"method":"tools/call","params":{"name":"a"}}"#;
    assert_eq!(fault(text), ScanFault::Id);
    assert_eq!(
        fault(&call("notifications/initialized", "")),
        ScanFault::IdOnNotification
    );
    assert_eq!(
        request(r#"{"jsonrpc":"2.0","method":"acme/x"}"#)
            .unwrap()
            .kind,
        Kind::Notification
    );
}

/// GHSA-4gph-2hhr-5mwg and CVE-2026-27896: two readers, two tools.
#[test]
fn keys_that_another_parser_could_take_for_routed_ones_are_refused() {
    for text in [
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/list","Method":"tools/call"}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":7,"METHOD":"tools/call"}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":7,"method":"ping","PARAMS":{}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":7,"method":"ping","param\u017f":{}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":7,"method":"ping","paramſ":{}}"#.to_owned(),
        call("tools/call", r#""name":"allowed","Name":"secret""#),
        call(
            "tools/call",
            r#""name":"allowed","arguments":{},"Arguments":{}"#,
        ),
        call("tools/call", r#""name":"allowed","\u004eame":"secret""#),
        call("tasks/get", "\"taskId\":\"a\",\"tas\u{212a}Id\":\"b\""),
        call("resources/read", "\"uri\":\"a\",\"ur\u{131}\":\"b\""),
        call("tools/list", r#""Cursor":"b""#),
        call("ping", r#""_META":{}"#),
        call(
            "ping",
            r#""_meta":{"io.modelcontextprotocol/protocolversion":"x"}"#,
        ),
    ] {
        let error = request(&text).map(|_| ()).unwrap_err();
        assert!(
            matches!(error.fault, ScanFault::LookAlike { .. }),
            "{text}: {error}"
        );
        assert_eq!((error.code(), error.id()), (-32600, Some(&b"7"[..])));
    }
    // Arguments are the tool's own: their keys may be what they like.
    request(&call(
        "tools/call",
        r#""name":"a","arguments":{"Name":1,"name":2,"Method":3}"#,
    ))
    .unwrap();
    let result = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[],"Tools":[]}}"#;
    assert!(matches!(fault(result), ScanFault::LookAlike { .. }));
}

#[test]
fn a_doubled_id_is_not_echoed_and_any_other_fault_echoes_it() {
    let error = request(r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#)
        .map(|_| ())
        .unwrap_err();
    assert_eq!(error.id(), None);
    let error = request(r#"{"method":"ping","params":{"a":1,"a":2},"id":"x","jsonrpc":"2.0"}"#)
        .map(|_| ())
        .unwrap_err();
    assert_eq!(error.id(), Some(&br#""x""#[..]));
    let error = request(r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{]}"#)
        .map(|_| ())
        .unwrap_err();
    assert_eq!((error.id(), error.code()), (None, -32700));
}

#[test]
fn the_version_of_json_rpc_and_the_shape_of_params_are_checked() {
    for text in [
        r#"{"id":1,"method":"ping"}"#,
        r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#,
    ] {
        assert_eq!(fault(text), ScanFault::Jsonrpc);
    }
    for params in ["[]", "null", "\"a\"", "1"] {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{params}}}"#);
        assert_eq!(fault(&text), ScanFault::Params);
    }
    assert!(matches!(
        fault(r#"{"jsonrpc":"2.0","id":1,"method":1}"#),
        ScanFault::Method { .. }
    ));
    let long = call(&"m".repeat(METHOD_BYTES_MAX + 1), "");
    assert!(matches!(fault(&long), ScanFault::Method { .. }));
}

#[test]
fn members_of_the_wrong_type_are_named() {
    let version = "io.modelcontextprotocol/protocolVersion";
    for (params, key) in [
        (r#""_meta":[]"#.to_owned(), "params._meta"),
        (r#""arguments":[]"#.to_owned(), "params.arguments"),
        (r#""arguments":null"#.to_owned(), "params.arguments"),
        (format!(r#""_meta":{{"{version}":20260728}}"#), version),
        (
            r#""_meta":{"progressToken":1.5}"#.to_owned(),
            "_meta.progressToken",
        ),
        (
            r#""_meta":{"progressToken":null}"#.to_owned(),
            "_meta.progressToken",
        ),
    ] {
        let error = request(&call("ping", &params)).map(|_| ()).unwrap_err();
        assert_eq!(error.code(), -32602, "{params}");
        assert!(error.to_string().starts_with(key), "{error}");
    }
}

#[test]
fn initialize_and_notifications_show_what_they_carry() {
    let text = call(
        "initialize",
        r#""protocolVersion":"2025-11-25","capabilities":{"roots":{}},"clientInfo":{"name":"c","version":"2"}"#,
    );
    let read = request(&text).unwrap();
    let asked = read.initialize.unwrap();
    assert_eq!(asked.protocol_version, "2025-11-25");
    assert_eq!(
        asked.capabilities.unwrap().of(read.bytes),
        br#"{"roots":{}}"#
    );
    assert_eq!(
        (
            asked.client_name.as_deref(),
            asked.client_version.as_deref()
        ),
        (Some("c"), Some("2"))
    );
    assert!(
        request(&call("initialize", r#""protocolVersion":1"#))
            .unwrap()
            .initialize
            .is_none()
    );

    let text = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"r"}}"#;
    assert_eq!(request(text).unwrap().request_id.unwrap().raw, br#""r""#);
    let text = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":5,"progress":1}}"#;
    assert_eq!(
        request(text)
            .unwrap()
            .progress_token
            .unwrap()
            .of(text.as_bytes()),
        b"5"
    );
    let text =
        r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"u"}}"#;
    assert_eq!(request(text).unwrap().target.as_deref(), Some("u"));
}

#[test]
fn results_and_errors_are_read() {
    let text = r#"{"jsonrpc":"2.0","id":3,"result":{"isError":true,"resultType":"input_required","content":[]}}"#;
    let read = request(text).unwrap();
    assert_eq!(
        (read.kind, read.is_error, read.result_type),
        (Kind::Response, true, Some(ResultType::InputRequired))
    );
    assert_eq!(read.result.unwrap().of(read.bytes).first(), Some(&b'{'));
    let text = r#"{"jsonrpc":"2.0","id":3,"result":{"resultType":"task"}}"#;
    assert_eq!(
        request(text).unwrap().result_type,
        Some(ResultType::Other("task".into()))
    );

    let text = r#"{"jsonrpc":"2.0","id":3,"error":{"code":-32002,"message":"m"}}"#;
    let read = request(text).unwrap();
    assert_eq!(
        (
            read.error_code,
            read.error_code_span.unwrap().of(read.bytes)
        ),
        (Some(-32002), &b"-32002"[..])
    );
    for text in [
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"m"}}"#,
        r#"{"jsonrpc":"2.0","error":{"code":1,"message":"m"}}"#,
    ] {
        let read = request(text).unwrap();
        assert_eq!((read.kind, read.id), (Kind::Response, None));
    }
}

#[test]
fn rubbish_for_results_and_errors_is_refused() {
    for (member, wanted) in [
        (r#""result":[]"#, ScanFault::Result),
        (r#""result":null"#, ScanFault::Result),
        (r#""error":"no""#, ScanFault::Error),
        (r#""error":{"message":"m"}"#, ScanFault::Error),
        (r#""error":{"code":1.5}"#, ScanFault::Error),
        (r#""error":{"code":"1"}"#, ScanFault::Error),
    ] {
        assert_eq!(
            fault(&format!(r#"{{"jsonrpc":"2.0","id":1,{member}}}"#)),
            wanted,
            "{member}"
        );
    }
    assert_eq!(fault(r#"{"jsonrpc":"2.0","result":{}}"#), ScanFault::Id);
    assert_eq!(
        fault(r#"{"jsonrpc":"2.0","id":null,"result":{}}"#),
        ScanFault::Id
    );
}

#[test]
fn nothing_of_the_body_is_in_the_debug_form() {
    let text = call(
        "tools/call",
        r#""name":"echo","arguments":{"token":"s3cret"}"#,
    );
    assert!(!format!("{:?}", request(&text).unwrap()).contains("s3cret"));
}
