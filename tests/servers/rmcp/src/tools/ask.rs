//! Tools that ask their client for something before they answer; how they ask is the era's ([`Call::ask`]).

use rmcp::model::{CallToolResponse, ClientCapabilities, ElicitRequestParams, InputRequest};
use serde_json::{Value, json};

use super::{NOTHING, Row, Schema, row};
use crate::call::{Call, Stop, capability_of, text};
use crate::questions::{
    confirmation, elicitation, field, filled_in, form, name, roots, said, sampling, uris,
};

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
    )
    .modern(),
];

pub async fn call(call: &Call<'_>) -> Result<CallToolResponse, Stop> {
    let answer = match call.target {
        "test_sampling" => {
            let answer = call.ask_one(sampling(call.argument("prompt"), 100)).await?;
            format!("LLM response: {}", said(&answer))
        }
        "test_elicitation" => {
            let fields = json!({
                "username": {"type": "string", "description": "User's response"},
                "email": {"type": "string", "description": "User's email address"},
            });
            let question = form(call.argument("message"), fields, &["username", "email"]);
            whole_form(call, "User response", question).await?
        }
        "test_elicitation_sep1034_defaults" => {
            let question = form("Please check these values", defaults(), &[]);
            whole_form(call, "Elicitation completed", question).await?
        }
        "test_elicitation_sep1330_enums" => {
            let question = form("Please choose", enums(), &[]);
            whole_form(call, "Elicitation completed", question).await?
        }
        "test_list_roots" | "test_input_required_result_list_roots" => {
            let answers = call.ask(None, [("client_roots", roots())]).await?;
            uris(&answers["client_roots"])
        }
        "test_input_required_result_elicitation" => greeting(call).await?,
        "test_input_required_result_sampling" => {
            let question = sampling("What is the capital of France?", 100);
            let answers = call.ask(None, [("capital_question", question)]).await?;
            format!("The model says: {}", said(&answers["capital_question"]))
        }
        "test_input_required_result_request_state"
        | "test_input_required_result_tampered_state" => {
            let state = json!("asked");
            let answers = call
                .ask(Some(&state), [("confirm", confirmation())])
                .await?;
            format!(
                "state-ok, confirmed: {}",
                filled_in(&answers["confirm"], "ok")
            )
        }
        "test_input_required_result_multiple_inputs" => multiple_inputs(call).await?,
        "test_input_required_result_multi_round" => multi_round(call).await?,
        "test_input_required_result_capabilities" => capabilities(call).await?,
        "test_streaming_elicitation" => {
            // So that there is a stream, where the client asked for progress.
            call.progress(1.0, 2.0).await;
            greeting(call).await?
        }
        _ => {
            call.require(ClientCapabilities::builder().enable_sampling().build())?;
            "The client declared sampling".to_owned()
        }
    };
    Ok(text(answer))
}

async fn whole_form(
    call: &Call<'_>,
    what: &str,
    question: ElicitRequestParams,
) -> Result<String, Stop> {
    let answer = call.ask_one(elicitation(question)).await?;
    let action = answer["action"].as_str().unwrap_or("none");
    let nothing = json!({});
    let content = answer.get("content").unwrap_or(&nothing);
    Ok(format!("{what}: action={action}, content={content}"))
}

async fn greeting(call: &Call<'_>) -> Result<String, Stop> {
    let answers = call.ask(None, [("user_name", name())]).await?;
    Ok(format!(
        "Hello, {}!",
        filled_in(&answers["user_name"], "name")
    ))
}

async fn multiple_inputs(call: &Call<'_>) -> Result<String, Stop> {
    let questions = [
        ("user_name", name()),
        ("greeting", sampling("Generate a greeting", 50)),
        ("client_roots", roots()),
    ];
    let answers = call.ask(Some(&json!("asked")), questions).await?;
    Ok(format!(
        "{}, {}!",
        said(&answers["greeting"]),
        filled_in(&answers["user_name"], "name")
    ))
}

async fn multi_round(call: &Call<'_>) -> Result<String, Stop> {
    // A modern client's second answer comes without the first, which is in the state by then.
    let state = call.state()?.unwrap_or_default();
    let name = match state["name"].as_str() {
        Some(name) => name.to_owned(),
        None => {
            let question = field("Step 1: What is your name?", "name", "string");
            // Also a first round has a state, as the suite wants it.
            let answers = call.ask(Some(&json!({})), [("step1", question)]).await?;
            filled_in(&answers["step1"], "name")
        }
    };
    let question = field("Step 2: What is your favorite color?", "color", "string");
    let known = json!({"name": name});
    let answers = call.ask(Some(&known), [("step2", question)]).await?;
    Ok(format!(
        "{name} likes {}",
        filled_in(&answers["step2"], "color")
    ))
}

async fn capabilities(call: &Call<'_>) -> Result<String, Stop> {
    let possible = [
        ("elicitation", name()),
        ("roots", roots()),
        ("sampling", sampling("Say hello", 50)),
    ];
    let may = |question: &InputRequest| call.require(capability_of(question)).is_ok();
    let asked = possible.into_iter().filter(|(_, question)| may(question));
    let names: Vec<_> = call.ask(None, asked).await?.into_keys().collect();
    Ok(match &names[..] {
        [] => "Declared: nothing".to_owned(),
        names => format!("Declared: {}", names.join(", ")),
    })
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
