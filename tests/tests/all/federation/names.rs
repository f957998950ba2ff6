//! Names that are too long, lists in several pages, and configurations that are refused.

use serde_json::{Value, json};
use tests::catalog;
use tests::listener::{Answer, Listener};
use tests::mesh::Mesh;
use tests::rpc::{Modern, names};

const PAGE: usize = 2;

/// A modern server with these tools, two on a page; a call says which tool it was.
fn paged(tools: Vec<String>) -> Listener {
    Listener::start(move |heard| {
        let message = heard.json();
        let params = &message["params"];
        let answer = |mut result: Value| {
            result["resultType"] = json!("complete");
            Answer::json(&json!({"jsonrpc": "2.0", "id": message["id"], "result": result}))
        };
        match message["method"].as_str().unwrap_or_default() {
            "server/discover" => answer(json!({"supportedVersions": ["2026-07-28"],
                "capabilities": {"tools": {}}, "ttlMs": 0, "cacheScope": "private"})),
            "tools/list" => {
                let from = match params["cursor"].as_str().map(str::parse::<usize>) {
                    None => 0,
                    Some(Ok(from)) => from,
                    Some(Err(_)) => {
                        let error = json!({"code": -32602, "message": "unknown cursor"});
                        return Answer::json(
                            &json!({"jsonrpc": "2.0", "id": message["id"], "error": error}),
                        );
                    }
                };
                let page = tools.iter().skip(from).take(PAGE);
                let page: Vec<Value> = page
                    .map(|name| json!({"name": name, "inputSchema": {"type": "object"}}))
                    .collect();
                let mut result = json!({"tools": page, "ttlMs": 0, "cacheScope": "private"});
                if from + PAGE < tools.len() {
                    result["nextCursor"] = json!((from + PAGE).to_string());
                }
                answer(result)
            }
            "tools/call" => {
                let text = format!(
                    "{} {}",
                    params["name"].as_str().unwrap_or_default(),
                    heard.header("mcp-name")
                );
                answer(json!({"content": [{"type": "text", "text": text}]}))
            }
            _ => Answer::status(500),
        }
    })
}

fn many(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("t{i}")).collect()
}

#[test]
fn pages_of_all_members_go_on_at_any_edge_and_long_names_are_shortened() {
    let long = "x".repeat(100);
    let (a, b) = (
        paged(many(5)),
        paged(vec!["u".into(), "v".into(), long.clone()]),
    );
    let mesh = Mesh::new()
        .with(&[
            catalog::remote("a", &a.url("/mcp")),
            catalog::remote("b", &b.url("/mcp")),
            catalog::virtual_server("desk", &[("a", ""), ("b", "t1")]),
            catalog::allow("all", "engineering", &["*"]),
        ])
        .edges(2)
        .start();
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    let at = |edge: usize| Modern::new(&format!("{}/mcp", mesh.edge(edge)), &key);
    let page = |edge: usize, cursor: Option<&str>| {
        let params = cursor.map_or_else(|| json!({}), |cursor| json!({"cursor": cursor}));
        let answer = at(edge).request("tools/list", params).send();
        let next = answer.result()["nextCursor"].as_str().map(str::to_owned);
        (names(&answer), next)
    };
    let (first, next) = page(0, None);
    assert_eq!(first, ["a_t0", "a_t1", "b_u", "b_v"]);
    let (second, next) = page(1, next.as_deref());
    let shown = &second[2];
    assert_eq!(
        (&second[..2], shown.len(), &shown[..3]),
        (&["a_t2".to_owned(), "a_t3".to_owned()][..], 64, "b_x")
    );
    let (third, none) = page(0, next.as_deref());
    assert_eq!((third, none), (vec!["a_t4".to_owned()], None));
    // Any edge finds out which tool it is, and tells the member its own name, in the header as well.
    for edge in [0, 1] {
        let said = at(edge).call(shown, json!({})).content();
        assert_eq!(said, format!("{long} {long}"));
        let other = format!("{}.00000000", &shown[..55]);
        assert_eq!(at(edge).call(&other, json!({})).error_code(), -32602);
    }
    for bad in ["x", "", "e30", "eyJ0b29scyI6W119"] {
        let refused = at(0).request("tools/list", json!({"cursor": bad})).send();
        assert_eq!(refused.error_code(), -32602, "{refused}");
    }
    // A name without a prefix that looks like another member's leads there, and the list says so.
    let desk = Modern::new(&mesh.url(0, "desk"), &key);
    let list = desk.request("tools/list", json!({})).send();
    assert_eq!(names(&list), ["t0", "t1u", "t1v"]);
    let notice = &list.result()["_meta"]["gatehouse.dev/unavailable"][0];
    assert_eq!(notice["server"], "a");
    assert!(
        notice["message"]
            .as_str()
            .is_some_and(|text| text.ends_with(": t1")),
        "{notice}"
    );
    assert_eq!(desk.call("t1v", json!({})).content(), "v v");

    // What cannot be told apart is refused, and so is a name that a server has.
    let refused = |resource: Value, wanted: &str| {
        let file = mesh.file("refused.yaml", &catalog::file(&[resource]));
        let output = mesh.gatehouse(&["apply", "-f", &file]).ended_with(1);
        assert!(output.stderr.contains(wanted), "{output}");
    };
    refused(
        catalog::virtual_server("a", &[("b", "b_")]),
        "cannot share a name",
    );
    refused(
        catalog::virtual_server("late", &[("nobody", "")]),
        "no server is named",
    );
    refused(
        catalog::virtual_server("late", &[("a", ""), ("b", "")]),
        "takes all names without a prefix",
    );
    let mut filter = catalog::words("words", &["x"]);
    filter["spec"]["match"]["servers"] = json!(["desk"]);
    refused(filter, "no server is named");
    mesh.apply(&[catalog::virtual_server("late", &[("a", "")])]);
    assert_eq!(
        Modern::new(&mesh.url(1, "late"), &key)
            .call("t4", json!({}))
            .content(),
        "t4 t4"
    );
    let rows = mesh.gatehouse(&["get", "VirtualServer"]).good().stdout;
    assert!(rows.contains("late") && rows.contains("a,b"), "{rows}");
    let sheet = mesh
        .gatehouse(&["describe", "VirtualServer", "desk"])
        .good()
        .stdout;
    assert!(sheet.contains("t1") && sheet.contains("MEMBER"), "{sheet}");
    let url = mesh.gatehouse(&["connect", "desk"]).good().stdout;
    assert!(url.trim().ends_with("/mcp/desk"), "{url}");
    // A member cannot go before what is made of it.
    let kept = mesh.gatehouse(&["delete", "Server", "a"]).ended_with(1);
    assert!(kept.stderr.contains("VirtualServer"), "{kept}");
}
