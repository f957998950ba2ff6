//! Tools of the modern era that ask their client by their result: `input_required`, answered by a new call.

use rmcp::model::{CallToolResponse, ClientCapabilities, ErrorData, InputRequests};
use serde_json::{Value, json};

use super::{NOTHING, Row, row};
use crate::call::{Call, text};
use crate::questions::{confirmation, field, filled_in, name, roots, said, sampling, uris};

pub const TOOLS: &[Row] = &[
    row(
        "test_input_required_result_elicitation",
        "Asks for a name",
        NOTHING,
    ),
    row(
        "test_input_required_result_sampling",
        "Asks the model",
        NOTHING,
    ),
    row(
        "test_input_required_result_list_roots",
        "Asks for the roots",
        NOTHING,
    ),
    row(
        "test_input_required_result_request_state",
        "Wants its state back",
        NOTHING,
    ),
    row(
        "test_input_required_result_multiple_inputs",
        "Asks three things at once",
        NOTHING,
    ),
    row(
        "test_input_required_result_multi_round",
        "Asks twice",
        NOTHING,
    ),
    row(
        "test_input_required_result_tampered_state",
        "Wants its state unchanged",
        NOTHING,
    ),
    row(
        "test_input_required_result_capabilities",
        "Asks what it may",
        NOTHING,
    ),
    row(
        "test_streaming_elicitation",
        "Tells progress, then asks for a name",
        NOTHING,
    ),
    row(
        "test_missing_capability",
        "Refuses a client without sampling",
        NOTHING,
    ),
];

pub async fn call(call: &Call<'_>) -> Result<CallToolResponse, ErrorData> {
    // A state that was changed on its way is refused whatever the tool.
    let state = call.state()?;
    match call.target {
        "test_input_required_result_elicitation" => elicitation(call),
        "test_input_required_result_sampling" => match call.response("capital_question") {
            Some(answer) => Ok(text(format!("The model says: {}", said(answer)))),
            None => {
                let question = sampling("What is the capital of France?", 100);
                Ok(call.needs(None, [("capital_question", question)])?.into())
            }
        },
        "test_input_required_result_list_roots" => match call.response("client_roots") {
            Some(answer) => Ok(text(uris(answer))),
            None => Ok(call.needs(None, [("client_roots", roots())])?.into()),
        },
        "test_input_required_result_request_state"
        | "test_input_required_result_tampered_state" => match (state, call.response("confirm")) {
            (Some(_), Some(answer)) => Ok(text(format!(
                "state-ok, confirmed: {}",
                filled_in(answer, "ok")
            ))),
            _ => Ok(call
                .needs(Some(&json!("asked")), [("confirm", confirmation())])?
                .into()),
        },
        "test_input_required_result_multiple_inputs" => multiple_inputs(call),
        "test_input_required_result_multi_round" => multi_round(call, state),
        "test_input_required_result_capabilities" => capabilities(call),
        "test_streaming_elicitation" => {
            // So that there is a stream, where the client asked for progress.
            call.progress(1.0, 2.0).await;
            elicitation(call)
        }
        _ => {
            call.require(ClientCapabilities::builder().enable_sampling().build())?;
            Ok(text("The client declared sampling"))
        }
    }
}

fn elicitation(call: &Call<'_>) -> Result<CallToolResponse, ErrorData> {
    match call.response("user_name") {
        Some(answer) => Ok(text(format!("Hello, {}!", filled_in(answer, "name")))),
        None => Ok(call.needs(None, [("user_name", name())])?.into()),
    }
}

fn multiple_inputs(call: &Call<'_>) -> Result<CallToolResponse, ErrorData> {
    let questions = [
        ("user_name", name()),
        ("greeting", sampling("Generate a greeting", 50)),
        ("client_roots", roots()),
    ];
    // What is answered is not asked for again.
    let open = questions
        .into_iter()
        .filter(|(key, _)| call.response(key).is_none());
    let open: InputRequests = open
        .map(|(key, question)| (key.to_owned(), question))
        .collect();
    if !open.is_empty() {
        return Ok(call.needs_all(Some(&json!("asked")), open)?.into());
    }
    let answer = |key: &str| call.response(key).cloned().unwrap_or_default();
    Ok(text(format!(
        "{}, {}!",
        said(&answer("greeting")),
        filled_in(&answer("user_name"), "name")
    )))
}

fn multi_round(call: &Call<'_>, state: Option<Value>) -> Result<CallToolResponse, ErrorData> {
    let known = state
        .as_ref()
        .and_then(|state| state["name"].as_str())
        .map(str::to_owned);
    let known = known.or_else(|| {
        call.response("step1")
            .map(|answer| filled_in(answer, "name"))
    });
    match (known, call.response("step2")) {
        // Also a first round has a state, as the suite wants it.
        (None, _) => {
            let question = field("Step 1: What is your name?", "name", "string");
            Ok(call.needs(Some(&json!({})), [("step1", question)])?.into())
        }
        (Some(name), None) => {
            let question = field("Step 2: What is your favorite color?", "color", "string");
            Ok(call
                .needs(Some(&json!({"name": name})), [("step2", question)])?
                .into())
        }
        (Some(name), Some(answer)) => {
            Ok(text(format!("{name} likes {}", filled_in(answer, "color"))))
        }
    }
}

fn capabilities(call: &Call<'_>) -> Result<CallToolResponse, ErrorData> {
    let declared = call.declared();
    let possible = [
        ("elicitation", declared.elicitation.is_some().then(name)),
        (
            "sampling",
            declared
                .sampling
                .is_some()
                .then(|| sampling("Say hello", 50)),
        ),
        ("roots", declared.roots.is_some().then(roots)),
    ];
    let asked = possible
        .into_iter()
        .filter_map(|(key, question)| Some((key.to_owned(), question?)));
    let asked: InputRequests = asked.collect();
    if asked.is_empty() || !call.responses.is_empty() {
        let names: Vec<_> = asked.into_keys().collect();
        return Ok(text(format!("Declared: {}", names.join(", "))));
    }
    Ok(call.needs_all(None, asked)?.into())
}
