//! Tools that answer at once.

use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock};
use serde_json::{Value, json};

use super::{NOTHING, Row, Schema, row};
use crate::call::{Call, failed, text};
use crate::resources::{self, PNG, WAV};

pub const TOOLS: &[Row] = &[
    row("test_simple_text", "A text", NOTHING),
    row("test_image_content", "A picture", NOTHING),
    row("test_audio_content", "A sound", NOTHING),
    row("test_embedded_resource", "A resource", NOTHING),
    row(
        "test_multiple_content_types",
        "A text, a picture and a resource",
        NOTHING,
    ),
    row("test_error_handling", "Always fails", NOTHING),
    row(
        "test_x_mcp_header",
        "Says its region, which is also a header",
        Schema::Own(region),
    ),
    row(
        "json_schema_2020_12_tool",
        "Says its arguments",
        Schema::Own(schema_2020_12),
    ),
];

pub fn call(call: &Call<'_>) -> CallToolResponse {
    let picture = || ContentBlock::image(PNG, "image/png");
    let embedded =
        |uri, mime_type, content| ContentBlock::resource(resources::text(uri, mime_type, content));
    let blocks = match call.target {
        "test_simple_text" => vec![ContentBlock::text(
            "This is a simple text response for testing.",
        )],
        "test_image_content" => vec![picture()],
        "test_audio_content" => vec![ContentBlock::audio(WAV, "audio/wav")],
        "test_embedded_resource" => {
            let content = "This is an embedded resource content.";
            vec![embedded("test://embedded-resource", "text/plain", content)]
        }
        "test_multiple_content_types" => vec![
            ContentBlock::text("Multiple content types test:"),
            picture(),
            embedded(
                "test://mixed-content-resource",
                "application/json",
                r#"{"test":"data","value":123}"#,
            ),
        ],
        "test_error_handling" => {
            return failed("This tool intentionally returns an error for testing");
        }
        "test_x_mcp_header" => return text(format!("region={}", call.argument("region"))),
        _ => return text(json!(call.arguments).to_string()),
    };
    CallToolResult::success(blocks).into()
}

fn region() -> Value {
    json!({
        "type": "object",
        "properties": {"region": {"type": "string", "description": "Also a header", "x-mcp-header": "Region"}},
        "required": ["region"],
    })
}

/// Keywords that a hop which models schemas by hand would lose.
fn schema_2020_12() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
            },
        },
        "properties": {
            "name": {"type": "string"},
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": {"type": "string"},
            "email": {"type": "string"},
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": false,
    })
}
