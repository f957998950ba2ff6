//! What a client can do, in the words of the other era.
//!
//! What is declared to a server must be what the client on the other side can really be asked: whatever has no form in
//! one of the two eras is left out, so that the server does without it (PROTOCOL 4.2).

use serde_json::{Map, Value, json};

use crate::method;
use crate::revision::Revision;

/// The capabilities of a client, as it declared them; whatever is no object is none.
#[must_use]
pub fn read(raw: &[u8]) -> Map<String, Value> {
    serde_json::from_slice(raw).unwrap_or_default()
}

/// Those of a legacy client of `revision`, as a modern server is to read them.
#[must_use]
pub fn to_modern(declared: &Map<String, Value>, revision: Revision) -> Value {
    let newest = revision >= Revision::V2025_11_25;
    let mut out = Map::new();
    if declared.contains_key("roots") {
        out.insert("roots".to_owned(), json!({}));
    }
    if let Some(sampling) = declared.get("sampling") {
        let kept = if newest { sampling.clone() } else { json!({}) };
        out.insert("sampling".to_owned(), kept);
    }
    // Clients older than 2025-06-18 know nothing of it, and older than 2025-11-25 not of its modes.
    if let Some(elicitation) = declared.get("elicitation")
        && revision >= Revision::V2025_06_18
    {
        let kept = if newest {
            elicitation.clone()
        } else {
            json!({})
        };
        out.insert("elicitation".to_owned(), kept);
    }
    if let Some(experimental) = declared.get("experimental") {
        out.insert("experimental".to_owned(), experimental.clone());
    }
    Value::Object(out)
}

/// Those of a modern client, as a legacy server is to read them.
#[must_use]
pub fn to_legacy(declared: &Map<String, Value>) -> Value {
    let known = ["roots", "sampling", "elicitation", "experimental"];
    let kept = declared
        .iter()
        .filter(|(key, _)| known.contains(&key.as_str()));
    Value::Object(kept.map(|(k, v)| (k.clone(), v.clone())).collect())
}

/// Whether a client that declared this may be asked `method` with these raw parameters.
#[must_use]
pub fn may_be_asked(declared: &Map<String, Value>, method: &str, params: &[u8]) -> bool {
    match method {
        method::ROOTS_LIST => declared.contains_key("roots"),
        method::SAMPLING_CREATE_MESSAGE => declared.contains_key("sampling"),
        method::ELICITATION_CREATE => declared
            .get("elicitation")
            .is_some_and(|modes| may_be_elicited(modes, params)),
        _ => false,
    }
}

/// `{}` means forms only (2025-11-25 client/elicitation).
fn may_be_elicited(modes: &Value, params: &[u8]) -> bool {
    let params: Value = serde_json::from_slice(params).unwrap_or_default();
    if params["mode"] == "url" {
        return modes.get("url").is_some();
    }
    modes.get("form").is_some() || modes.get("url").is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: &Value) -> Map<String, Value> {
        read(value.to_string().as_bytes())
    }

    #[test]
    fn older_clients_are_not_made_out_to_be_able_to_more() {
        let all = object(
            &json!({"roots": {"listChanged": true}, "sampling": {"tools": {}},
            "elicitation": {"form": {}, "url": {}}, "tasks": {}, "experimental": {"x": {}}}),
        );
        assert_eq!(
            to_modern(&all, Revision::V2025_11_25),
            json!({"roots": {}, "sampling": {"tools": {}}, "elicitation": {"form": {}, "url": {}},
                "experimental": {"x": {}}})
        );
        assert_eq!(
            to_modern(&all, Revision::V2025_06_18),
            json!({"roots": {}, "sampling": {}, "elicitation": {}, "experimental": {"x": {}}})
        );
        assert_eq!(
            to_modern(&all, Revision::V2025_03_26),
            json!({"roots": {}, "sampling": {}, "experimental": {"x": {}}})
        );
    }

    #[test]
    fn extensions_have_no_legacy_home() {
        let modern = object(&json!({"sampling": {}, "extensions": {"io.x/y": {}}}));
        assert_eq!(to_legacy(&modern), json!({"sampling": {}}));
    }

    #[test]
    fn nobody_is_asked_for_what_was_not_declared() {
        let url = br#"{"mode":"url","url":"https://x"}"#;
        let asked = |declared: &Value, method, params: &[u8]| {
            may_be_asked(&object(declared), method, params)
        };
        let create = method::ELICITATION_CREATE;
        assert!(asked(&json!({"elicitation": {}}), create, b"{}"));
        assert!(!asked(&json!({"elicitation": {}}), create, url));
        assert!(asked(&json!({"elicitation": {"url": {}}}), create, url));
        assert!(!asked(&json!({"elicitation": {"url": {}}}), create, b"{}"));
        assert!(!asked(&json!({}), method::ROOTS_LIST, b"{}"));
        assert!(!asked(&json!({"roots": {}}), method::TASKS_GET, b"{}"));
    }
}
