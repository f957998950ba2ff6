#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

/// Texts by place: free, fixed, opaque.
fn told(message: &str) -> [Vec<String>; 3] {
    let bytes = message.as_bytes();
    let mut told = [const { Vec::new() }; 3];
    for leaf in leaves(bytes) {
        let text = String::from_utf8_lossy(leaf.span.of(bytes));
        if !leaf.is_key {
            told[leaf.place as usize].push(text.trim_matches('"').to_owned());
        }
    }
    told
}

#[test]
fn calls_and_results_hold_free_text_in_arguments_and_content() {
    let [free, fixed, opaque] = told(
        r#"{"jsonrpc":"2.0","id":"i","method":"tools/call","params":{"name":"n","arguments":{"name":"x","a":["y",{"uri":"z"}],"n":1},
        "_meta":{"progressToken":"p","io.modelcontextprotocol/clientInfo":{"name":"c"},"mine/x":"m"}}}"#,
    );
    assert_eq!(free, ["x", "y", "z", "m"]);
    assert_eq!(fixed, ["n", "1"]);
    assert_eq!(opaque, ["2.0", "i", "tools/call", "p", "c"]);
    let [free, fixed, opaque] = told(
        r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"t"},{"type":"image","data":"iiii","mimeType":"image/png"},
        {"type":"resource","resource":{"uri":"u","blob":"bbbb"}},{"type":"resource_link","uri":"l","name":"n","description":"d"}],
        "structuredContent":{"type":"s","data":"sd"},"isError":false,"nextCursor":"cc"}}"#,
    );
    assert_eq!(free, ["t", "d", "s", "sd"]);
    assert_eq!(
        fixed,
        [
            "text",
            "image",
            "image/png",
            "resource",
            "u",
            "resource_link",
            "l",
            "n",
            "false"
        ]
    );
    assert_eq!(opaque, ["2.0", "1", "iiii", "bbbb", "cc"]);
}

#[test]
fn lists_hold_free_text_in_descriptions_only() {
    let [free, fixed, _] = told(
        r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"n","title":"t","description":"d","inputSchema":{"type":"object",
        "properties":{"description":{"type":"string","description":"pd","enum":["e"],"default":"x"}},"required":["description"]}}],
        "prompts":[{"name":"pn","arguments":[{"name":"an","description":"ad"}]}]}}"#,
    );
    assert_eq!(free, ["t", "d", "pd", "ad"]);
    assert_eq!(
        fixed,
        ["n", "object", "string", "e", "x", "description", "pn", "an"]
    );
}

#[test]
fn errors_questions_and_log_messages_hold_free_text() {
    let free = |message: &str| told(message).into_iter().next().unwrap();
    assert_eq!(
        free(r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m","data":{"k":"v"}}}"#),
        ["m", "v"]
    );
    assert_eq!(
        free(
            r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","logger":"l","data":{"type":"image","x":"v"}}}"#
        ),
        ["image", "v"]
    );
    assert_eq!(
        free(r#"{"jsonrpc":"2.0","id":1,"result":{"action":"accept","content":{"name":"Ann"}}}"#),
        ["Ann"]
    );
    assert_eq!(
        free(
            r#"{"jsonrpc":"2.0","id":1,"result":{"inputRequests":{"uri":{"method":"elicitation/create","params":{"message":"m"}}},"requestState":"s"}}"#
        ),
        ["m"]
    );
}
