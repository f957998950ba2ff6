//! The resources of the conformance suite.

use rmcp::model::{ErrorData, ReadResourceResult, Resource, ResourceContents, ResourceTemplate};
use serde_json::json;

/// The smallest picture and the smallest sound.
pub const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
pub const WAV: &str = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=";

pub const WATCHED: &str = "test://watched-resource";
const TEXT: &str = "test://static-text";
const BINARY: &str = "test://static-binary";

pub fn listed() -> Vec<Resource> {
    let resource = |uri: &str, description, mime_type| {
        let name = uri.trim_start_matches("test://").to_owned();
        Resource::new(uri, name)
            .with_description(description)
            .with_mime_type(mime_type)
    };
    vec![
        resource(TEXT, "A text", "text/plain"),
        resource(BINARY, "A picture", "image/png"),
        resource(WATCHED, "A text to subscribe to", "text/plain"),
    ]
}

pub fn templates() -> Vec<ResourceTemplate> {
    vec![
        ResourceTemplate::new("test://template/{id}/data", "template")
            .with_description("A document for each id")
            .with_mime_type("application/json"),
    ]
}

pub fn read(uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let contents = match uri {
        TEXT => text(
            uri,
            "text/plain",
            "This is the content of the static text resource.",
        ),
        WATCHED => text(uri, "text/plain", "Watched resource content"),
        BINARY => ResourceContents::BlobResourceContents {
            uri: uri.to_owned(),
            mime_type: Some("image/png".to_owned()),
            blob: PNG.to_owned(),
            meta: None,
        },
        _ => {
            let id =
                (uri.strip_prefix("test://template/")).and_then(|rest| rest.strip_suffix("/data"));
            // The SDK turns it into the error of the era.
            let unknown =
                || ErrorData::resource_not_found("Resource not found", Some(json!({"uri": uri})));
            let id = id
                .filter(|id| !id.is_empty() && !id.contains('/'))
                .ok_or_else(unknown)?;
            let document =
                json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")});
            text(uri, "application/json", document.to_string())
        }
    };
    Ok(ReadResourceResult::new(vec![contents]))
}

pub fn text(uri: &str, mime_type: &str, text: impl Into<String>) -> ResourceContents {
    ResourceContents::TextResourceContents {
        uri: uri.to_owned(),
        mime_type: Some(mime_type.to_owned()),
        text: text.into(),
        meta: None,
    }
}
