//! `initialize` and `server/discover`: each answered from what the other brought, and asked in either form.
//!
//! Once a session, so trees are built here. Capabilities are kept honest: what we would not pass on is not offered.

use serde_json::{Map, Value, json};

use super::Error;
use crate::edit::quoted;
use crate::method;
use crate::revision::Revision;
use crate::tasks::EXTENSION;

/// Which optional features are really passed on to clients; whatever is false is struck from the capabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Offer {
    /// Subscriptions to single resources.
    pub subscribe: bool,
    /// Notifications that a list has changed.
    pub list_changed: bool,
    /// Tasks, in the form of the server's own era.
    pub tasks: bool,
    /// Log messages.
    pub logging: bool,
}

/// The key of a modern result's `_meta` that names the server.
pub const SERVER_INFO_KEY: &str = "io.modelcontextprotocol/serverInfo";

/// The result of `server/discover` that stands for the `InitializeResult` of a legacy server (a result object).
/// `supported` is what *we* speak towards the client. Not to be cached: the legacy server said nothing about that.
///
/// # Errors
/// [`Error`] if `initialize_result` is not an object with capabilities.
pub fn discover_result(
    initialize_result: &[u8],
    supported: &[Revision],
    offer: Offer,
) -> Result<Vec<u8>, Error> {
    let mut upstream = object(initialize_result)?;
    let declared = upstream.get("capabilities");
    let tasks = declared.map(|declared| declared["extensions"][EXTENSION].clone());
    let mut capabilities = capabilities(&mut upstream, offer)?;
    // Modern tasks are an extension of another form: nothing of the legacy entry can be kept.
    capabilities.remove("tasks");
    if let Some(tasks) = tasks.filter(|tasks| offer.tasks && tasks.is_object()) {
        capabilities.insert("extensions".into(), json!({ EXTENSION: tasks }));
    }
    let versions: Vec<_> = supported.iter().map(|revision| revision.as_str()).collect();
    let mut result = json!({
        "resultType": "complete",
        "supportedVersions": versions,
        "capabilities": capabilities,
        "ttlMs": 0,
        "cacheScope": "private",
    });
    if let Some(instructions) = upstream.remove("instructions").filter(Value::is_string) {
        result["instructions"] = instructions;
    }
    if let Some(info) = upstream.remove("serverInfo").filter(Value::is_object) {
        result["_meta"] = json!({ SERVER_INFO_KEY: info });
    }
    Ok(serde_json::to_vec(&result)?)
}

/// The `InitializeResult` that a legacy client gets from us in the place of a legacy server's own: its revision is
/// the one negotiated with *this* client, its capabilities are cut to `offer`; all else stays.
///
/// # Errors
/// [`Error`] if `upstream` is not an object with capabilities.
pub fn initialize_result(
    upstream: &[u8],
    negotiated: Revision,
    offer: Offer,
) -> Result<Vec<u8>, Error> {
    let mut result = object(upstream)?;
    // What a modern server says of itself besides, in its answer to `server/discover`.
    for key in ["supportedVersions", "resultType", "ttlMs", "cacheScope"] {
        result.remove(key);
    }
    if let Some(Value::Object(meta)) = result.get_mut("_meta") {
        meta.remove(SERVER_INFO_KEY);
    }
    let mut capabilities = capabilities(&mut result, offer)?;
    if negotiated < Revision::V2025_11_25 {
        capabilities.remove("tasks");
    }
    if negotiated < Revision::V2025_03_26 {
        capabilities.remove("completions");
    }
    result.insert("capabilities".into(), Value::Object(capabilities));
    result.insert("protocolVersion".into(), negotiated.as_str().into());
    Ok(serde_json::to_vec(&result)?)
}

/// `initialize`, with the raw `id`. Declares no client capabilities: a session that many share cannot ask anybody.
#[must_use]
pub fn initialize_request(
    id: &[u8],
    revision: Revision,
    client_name: &str,
    client_version: &str,
) -> Vec<u8> {
    let info = json!({ "name": client_name, "version": client_version });
    initialize_request_of(id, revision, json!({}), info)
}

/// `initialize`, with the raw `id`, for a client that can do this much and names itself so.
#[must_use]
pub fn initialize_request_of(
    id: &[u8],
    revision: Revision,
    capabilities: Value,
    client_info: Value,
) -> Vec<u8> {
    let params = json!({
        "protocolVersion": revision.as_str(),
        "capabilities": capabilities,
        "clientInfo": client_info,
    });
    request(id, method::INITIALIZE, &params)
}

/// `notifications/initialized`, which ends the handshake.
#[must_use]
pub fn initialized_notification() -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","method":"{}"}}"#, method::INITIALIZED).into_bytes()
}

/// `server/discover` of the newest revision, with the raw `id`: the question that tells modern servers from legacy
/// ones.
#[must_use]
pub fn discover_request(id: &[u8], client_name: &str, client_version: &str) -> Vec<u8> {
    let params = json!({"_meta": {
        "io.modelcontextprotocol/protocolVersion": Revision::LATEST.as_str(),
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": { "name": client_name, "version": client_version },
    }});
    request(id, method::SERVER_DISCOVER, &params)
}

fn request(id: &[u8], method: &str, params: &Value) -> Vec<u8> {
    let mut out = br#"{"jsonrpc":"2.0","id":"#.to_vec();
    out.extend_from_slice(id);
    out.extend_from_slice(br#","method":"#);
    out.extend_from_slice(&quoted(method));
    out.extend_from_slice(br#","params":"#);
    out.extend_from_slice(params.to_string().as_bytes());
    out.push(b'}');
    out
}

fn object(bytes: &[u8]) -> Result<Map<String, Value>, Error> {
    match serde_json::from_slice(bytes)? {
        Value::Object(object) => Ok(object),
        _ => Err(Error::Shape {
            what: "InitializeResult",
            wanted: "an object",
        }),
    }
}

/// Takes the capabilities out of an `InitializeResult`, cut to `offer`.
fn capabilities(
    result: &mut Map<String, Value>,
    offer: Offer,
) -> Result<Map<String, Value>, Error> {
    let Some(Value::Object(mut capabilities)) = result.remove("capabilities") else {
        return Err(Error::Shape {
            what: "InitializeResult.capabilities",
            wanted: "an object",
        });
    };
    for feature in ["tools", "prompts", "resources"] {
        if let Some(Value::Object(feature)) = capabilities.get_mut(feature) {
            if !offer.list_changed {
                feature.remove("listChanged");
            }
            if !offer.subscribe {
                feature.remove("subscribe");
            }
        }
    }
    for (name, kept) in [("tasks", offer.tasks), ("logging", offer.logging)] {
        if !kept {
            capabilities.remove(name);
        }
    }
    // We know nothing of the methods behind most extensions, and so forward none of them.
    capabilities.remove("extensions");
    Ok(capabilities)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::envelope::{Kind, Limits, scan};

    const UPSTREAM: &[u8] = br#"{
        "protocolVersion": "2025-11-25", "instructions": "be kind",
        "capabilities": {"tools": {"listChanged": true}, "resources": {"subscribe": true, "listChanged": true},
            "prompts": {}, "logging": {}, "completions": {}, "tasks": {"list": {}}, "experimental": {"x": {}}},
        "serverInfo": {"name": "everything", "version": "1"}, "_meta": {"k": 1}
    }"#;

    #[test]
    fn discover_offers_what_is_passed_on_and_no_more() {
        let result = discover_result(UPSTREAM, &[Revision::LATEST], Offer::default()).unwrap();
        assert_eq!(
            serde_json::from_slice::<Value>(&result).unwrap(),
            json!({
                "resultType": "complete", "supportedVersions": ["2026-07-28"], "ttlMs": 0, "cacheScope": "private",
                "capabilities": {"tools": {}, "resources": {}, "prompts": {}, "completions": {},
                    "experimental": {"x": {}}},
                "instructions": "be kind",
                "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "everything", "version": "1"}},
            })
        );
    }

    #[test]
    fn the_tasks_extension_is_offered_where_it_is_passed_on_and_no_other() {
        let face = json!({"capabilities": {"tools": {}, "extensions": {EXTENSION: {}, "x/y": {}}}});
        let face = face.to_string();
        let offered = |tasks| {
            let offer = Offer {
                tasks,
                ..Offer::default()
            };
            let result = discover_result(face.as_bytes(), &[Revision::LATEST], offer).unwrap();
            serde_json::from_slice::<Value>(&result).unwrap()["capabilities"].clone()
        };
        let whole = json!({"tools": {}, "extensions": {EXTENSION: {}}});
        assert_eq!(offered(true), whole);
        assert_eq!(offered(false), json!({"tools": {}}));
        let offer = Offer {
            tasks: true,
            ..Offer::default()
        };
        let old = initialize_result(face.as_bytes(), Revision::LATEST_LEGACY, offer).unwrap();
        let old: Value = serde_json::from_slice(&old).unwrap();
        assert_eq!(old["capabilities"], json!({"tools": {}}));
    }

    #[test]
    fn an_older_client_is_not_offered_what_it_cannot_know() {
        let offer = Offer {
            subscribe: true,
            list_changed: true,
            tasks: true,
            logging: true,
        };
        let whole = initialize_result(UPSTREAM, Revision::V2025_11_25, offer).unwrap();
        assert_eq!(
            serde_json::from_slice::<Value>(&whole).unwrap(),
            serde_json::from_slice::<Value>(UPSTREAM).unwrap()
        );
        let old = initialize_result(UPSTREAM, Revision::V2024_11_05, offer).unwrap();
        let old: Value = serde_json::from_slice(&old).unwrap();
        assert_eq!(old["protocolVersion"], "2024-11-05");
        assert_eq!(old["capabilities"].get("tasks"), None);
        assert_eq!(old["capabilities"].get("completions"), None);
        assert_eq!(old["capabilities"]["resources"]["subscribe"], true);
    }

    #[test]
    fn a_result_without_capabilities_is_an_error() {
        assert!(discover_result(b"{}", &[], Offer::default()).is_err());
        assert!(initialize_result(b"[]", Revision::LATEST_LEGACY, Offer::default()).is_err());
    }

    #[test]
    fn what_we_ask_is_what_we_would_accept() {
        let initialize = initialize_request(br#""a""#, Revision::LATEST_LEGACY, "gate\"house", "0");
        let read = scan(&initialize, &Limits::REQUEST).unwrap();
        let asked = read.initialize.unwrap();
        assert_eq!(
            (&*asked.protocol_version, asked.client_name.as_deref()),
            ("2025-11-25", Some("gate\"house"))
        );
        let discover = discover_request(b"7", "gatehouse", "0");
        let read = scan(&discover, &Limits::REQUEST).unwrap();
        assert_eq!(
            (read.method(), read.meta_version()),
            (method::SERVER_DISCOVER, Some("2026-07-28"))
        );
        let initialized = initialized_notification();
        assert_eq!(
            scan(&initialized, &Limits::REQUEST).unwrap().kind,
            Kind::Notification
        );
    }
}
