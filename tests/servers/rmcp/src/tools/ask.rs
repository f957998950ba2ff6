//! Tools of the legacy era that ask their client while they run, on the stream of the call.

use std::time::Duration;

use rmcp::model::{CallToolResponse, ClientCapabilities, ElicitRequestParams};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{NOTHING, Row, Schema, row};
use crate::call::{Call, failed, text};
use crate::questions::{form, said, sample, uris};

pub const TOOLS: &[Row] = &[
    row(
        "test_sampling",
        "Asks the model",
        Schema::Strings(&["prompt"]),
    ),
    row(
        "test_elicitation",
        "Asks the user",
        Schema::Strings(&["message"]),
    ),
    row(
        "test_elicitation_sep1034_defaults",
        "Asks with defaults",
        NOTHING,
    ),
    row(
        "test_elicitation_sep1330_enums",
        "Asks with choices",
        NOTHING,
    ),
    row("test_list_roots", "Asks for the roots", NOTHING),
    row(
        "test_reconnection",
        "Takes longer than its stream may last",
        NOTHING,
    ),
];

pub async fn call(call: &Call<'_>) -> CallToolResponse {
    let answer = match call.target {
        "test_sampling" => sampling(call).await,
        "test_elicitation" => {
            let fields = json!({
                "username": {"type": "string", "description": "User's response"},
                "email": {"type": "string", "description": "User's email address"},
            });
            let question = form(call.argument("message"), fields, &["username", "email"]);
            elicitation(call, "User response", question).await
        }
        "test_elicitation_sep1034_defaults" => {
            elicitation(
                call,
                "Elicitation completed",
                form("Please check these values", defaults(), &[]),
            )
            .await
        }
        "test_elicitation_sep1330_enums" => {
            elicitation(
                call,
                "Elicitation completed",
                form("Please choose", enums(), &[]),
            )
            .await
        }
        "test_list_roots" => roots(call).await,
        _ => {
            sleep(Duration::from_millis(200)).await;
            Ok("The result of a long call".to_owned())
        }
    };
    answer.map_or_else(failed, text)
}

async fn sampling(call: &Call<'_>) -> Result<String, String> {
    declared(
        call,
        ClientCapabilities::builder().enable_sampling().build(),
    )?;
    let answer = call
        .cx
        .peer
        .create_message(sample(call.argument("prompt"), 100))
        .await;
    let answer = answer.map_err(|fault| fault.to_string())?;
    Ok(format!("LLM response: {}", said(&json!(answer))))
}

async fn elicitation(
    call: &Call<'_>,
    what: &str,
    question: ElicitRequestParams,
) -> Result<String, String> {
    declared(
        call,
        ClientCapabilities::builder().enable_elicitation().build(),
    )?;
    let answer = call.cx.peer.create_elicitation(question).await;
    let answer = answer.map_err(|fault| fault.to_string())?;
    let action = json!(answer.action);
    let content = answer.content.unwrap_or_else(|| json!({}));
    Ok(format!(
        "{what}: action={}, content={content}",
        action.as_str().unwrap_or("none")
    ))
}

async fn roots(call: &Call<'_>) -> Result<String, String> {
    declared(call, ClientCapabilities::builder().enable_roots().build())?;
    let answer = call
        .cx
        .peer
        .list_roots()
        .await
        .map_err(|fault| fault.to_string())?;
    Ok(uris(&json!(answer)))
}

/// In this era what the client cannot do is the tool's own fault to tell.
fn declared(call: &Call<'_>, wanted: ClientCapabilities) -> Result<(), String> {
    call.require(wanted)
        .map_err(|fault| fault.message.into_owned())
}

fn defaults() -> Value {
    json!({
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": true},
    })
}

fn enums() -> Value {
    let options = ["option1", "option2", "option3"];
    let titled = |what| {
        [1, 2, 3].map(|n| json!({"const": format!("value{n}"), "title": format!("{what} {n}")}))
    };
    json!({
        "untitledSingle": {"type": "string", "enum": options},
        "titledSingle": {"type": "string", "oneOf": titled("Option")},
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": options}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled("Choice")}},
    })
}
