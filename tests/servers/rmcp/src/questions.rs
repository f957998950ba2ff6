//! What is asked of a client, in either era, and how its answers are read.

use rmcp::model::{
    CreateMessageRequest, CreateMessageRequestParams, ElicitRequest, ElicitRequestParams,
    InputRequest, ListRootsRequest, SamplingMessage,
};
use serde_json::{Map, Value, json};

/// A form; each field is its name and its schema.
pub fn form(message: &str, fields: Value, required: &[&str]) -> ElicitRequestParams {
    let schema = json!({"type": "object", "properties": fields, "required": required});
    ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: message.to_owned(),
        requested_schema: serde_json::from_value(schema)
            .expect("the schemas of this file and of tools are valid"),
    }
}

pub fn elicitation(form: ElicitRequestParams) -> InputRequest {
    InputRequest::Elicitation(ElicitRequest::new(form))
}

/// A form of one required field.
pub fn field(message: &str, name: &str, kind: &str) -> InputRequest {
    let fields = Map::from_iter([(name.to_owned(), json!({"type": kind}))]);
    elicitation(form(message, fields.into(), &[name]))
}

pub fn name() -> InputRequest {
    field("What is your name?", "name", "string")
}

pub fn confirmation() -> InputRequest {
    field("Please confirm", "ok", "boolean")
}

pub fn sampling(prompt: &str, tokens_max: u32) -> InputRequest {
    let messages = vec![SamplingMessage::user_text(prompt)];
    let params = CreateMessageRequestParams::new(messages, tokens_max);
    InputRequest::CreateMessage(CreateMessageRequest::new(params))
}

pub fn roots() -> InputRequest {
    InputRequest::ListRoots(ListRootsRequest::default())
}

/// Whether this is an answer to the question, by what every such answer has.
pub fn answers(question: &InputRequest, answer: &Value) -> bool {
    match question {
        InputRequest::Elicitation(_) => answer["action"].is_string(),
        InputRequest::CreateMessage(_) => answer["model"].is_string(),
        _ => answer["roots"].is_array(),
    }
}

/// What a form brought under `key`.
pub fn filled_in(answer: &Value, key: &str) -> String {
    match &answer["content"][key] {
        Value::Null => "nobody".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What a model said.
pub fn said(answer: &Value) -> &str {
    answer["content"]["text"].as_str().unwrap_or("nothing")
}

pub fn uris(answer: &Value) -> String {
    let roots = answer["roots"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let uris: Vec<_> = roots
        .iter()
        .filter_map(|root| root["uri"].as_str())
        .collect();
    format!("{} roots: {}", roots.len(), uris.join(", "))
}
