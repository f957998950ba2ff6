//! Resources as tests write them, and the servers of `tests/clients/python/servers`.
//!
//! Text, not types: what is applied is what an operator could have written.

use serde_json::{Value, json};

use crate::place;

/// Many resources as one file.
pub fn file(resources: &[Value]) -> String {
    // JSON is YAML, too; a file of several documents needs only the lines between them.
    resources
        .iter()
        .map(|resource| format!("---\n{resource:#}\n"))
        .collect()
}

/// Any resource.
pub fn resource(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "gatehouse.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// A server that is a program.
pub fn command(name: &str, argv: &[String]) -> Value {
    resource(
        "Server",
        name,
        &json!({"tenancy": "shared", "runtime": {"command": {"argv": argv}}}),
    )
}

/// A server that is a program, one for each user and what its client can do.
pub fn own_command(name: &str, argv: &[String]) -> Value {
    let mut server = command(name, argv);
    server["spec"]["tenancy"] = json!("per-session");
    server
}

/// A server that is one of our misbehaving fixtures: `fixture("slow", &[])`.
pub fn fixture(name: &str, arguments: &[&str]) -> Value {
    named_fixture(name, name, arguments)
}

/// The same under another name.
pub fn named_fixture(name: &str, program: &str, arguments: &[&str]) -> Value {
    let script = place::file(&format!("tests/clients/python/servers/{program}.py"));
    let words = [place::python(), script];
    let words = words.iter().map(|word| word.to_string_lossy().into_owned());
    let argv: Vec<_> = words
        .chain(arguments.iter().map(|&word| word.to_owned()))
        .collect();
    command(name, &argv)
}

/// The same, one for each user and what its client can do.
pub fn own_fixture(name: &str, program: &str) -> Value {
    let mut server = named_fixture(name, program, &[]);
    server["spec"]["tenancy"] = json!("per-session");
    server
}

/// The reference server that exercises all of MCP, from the packages of the test clients: no package manager stands
/// before it, so that it starts at once.
pub fn everything() -> Value {
    let main =
        "tests/clients/ts/node_modules/@modelcontextprotocol/server-everything/dist/index.js";
    let words = [
        place::program("node"),
        place::installed(main),
        "stdio".into(),
    ];
    command(
        "everything",
        &words.map(|word| word.to_string_lossy().into_owned()),
    )
}

/// A rule that allows a group all of some servers.
pub fn allow(name: &str, group: &str, servers: &[&str]) -> Value {
    let spec = json!({"effect": "allow", "subjects": [{"group": group}], "servers": servers});
    resource("AccessRule", name, &spec)
}

/// A rule that denies a group one tool.
pub fn deny_tool(name: &str, group: &str, server: &str, tool: &str) -> Value {
    let subjects = json!([{"group": group}]);
    let spec =
        json!({"effect": "deny", "subjects": subjects, "servers": [server], "tools": [tool]});
    resource("AccessRule", name, &spec)
}

/// A rule that denies one user a whole server.
pub fn deny_user(name: &str, user: &str, server: &str) -> Value {
    let spec = json!({"effect": "deny", "subjects": [{"user": user}], "servers": [server]});
    resource("AccessRule", name, &spec)
}

/// A rule that denies one user a server's resources of this form.
pub fn deny_resource(name: &str, user: &str, server: &str, uri: &str) -> Value {
    let mut rule = deny_user(name, user, server);
    rule["spec"]["resources"] = json!([uri]);
    rule
}

/// A filter for words, in both directions.
pub fn words(name: &str, words: &[&str]) -> Value {
    let spec = json!({
        "match": {"servers": ["*"], "methods": ["tools/call"], "direction": "both"},
        "keywords": {"words": words, "fold": true},
        "onError": "deny",
        "mode": "enforce",
    });
    resource("Filter", name, &spec)
}

/// A server that is reached over HTTP.
pub fn remote(name: &str, url: &str) -> Value {
    resource(
        "Server",
        name,
        &json!({"runtime": {"remote": {"url": url}}}),
    )
}

/// A server that runs elsewhere, with sidecars of its own.
pub fn external(name: &str) -> Value {
    resource("Server", name, &json!({"runtime": {"external": {}}}))
}

/// A virtual server of these members, each a server with its prefix.
pub fn virtual_server(name: &str, members: &[(&str, &str)]) -> Value {
    let member = |(server, prefix): &(&str, &str)| json!({"server": server, "prefix": prefix});
    let members: Vec<Value> = members.iter().map(member).collect();
    resource("VirtualServer", name, &json!({ "members": members }))
}

/// A filter that asks a receiver about all messages of some servers' calls, signed with a secret.
pub fn webhook(name: &str, servers: &[&str], url: &str, secret: &str) -> Value {
    let spec = json!({
        "match": {"servers": servers, "methods": ["tools/call"], "direction": "both"},
        "webhook": {"url": url, "secretName": secret, "timeout": "500ms"},
        "onError": "deny",
    });
    resource("Filter", name, &spec)
}

/// A secret.
pub fn secret(name: &str, value: &str) -> Value {
    resource("Secret", name, &json!({ "value": value }))
}
