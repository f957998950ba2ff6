//! The prompts of the conformance suite.

use rmcp::model::{
    ContentBlock, ErrorData, GetPromptResponse, GetPromptResult, Prompt, PromptArgument,
    PromptMessage, Role,
};

use crate::call::{Call, Stop};
use crate::questions::{field, filled_in};
use crate::resources::{self, PNG};

/// Name, description, required arguments.
const PROMPTS: &[(&str, &str, &[&str])] = &[
    ("test_simple_prompt", "No arguments", &[]),
    (
        "test_prompt_with_arguments",
        "Says its arguments",
        &["arg1", "arg2"],
    ),
    (
        "test_prompt_with_embedded_resource",
        "Holds a resource",
        &["resourceUri"],
    ),
    ("test_prompt_with_image", "Holds a picture", &[]),
    (
        "test_input_required_result_prompt",
        "Asks for its context first",
        &[],
    ),
];

pub fn listed() -> Vec<Prompt> {
    PROMPTS
        .iter()
        .map(|&(name, description, arguments)| {
            let argument = |&name: &&str| {
                PromptArgument::new(name)
                    .with_description(name)
                    .with_required(true)
            };
            let arguments: Vec<_> = arguments.iter().map(argument).collect();
            Prompt::new(
                name,
                Some(description),
                (!arguments.is_empty()).then_some(arguments),
            )
        })
        .collect()
}

pub async fn get(call: &Call<'_>) -> Result<GetPromptResponse, ErrorData> {
    let Some((name, _, arguments)) = PROMPTS.iter().find(|(name, ..)| *name == call.target) else {
        return Err(ErrorData::invalid_params(
            format!("Unknown prompt: {}", call.target),
            None,
        ));
    };
    if let Some(missing) = arguments
        .iter()
        .find(|&&name| !call.arguments.contains_key(name))
    {
        return Err(ErrorData::invalid_params(
            format!("Missing argument: {missing}"),
            None,
        ));
    }
    let blocks = match *name {
        "test_simple_prompt" => vec![ContentBlock::text("This is a simple prompt for testing.")],
        "test_prompt_with_arguments" => {
            let (one, two) = (call.argument("arg1"), call.argument("arg2"));
            vec![ContentBlock::text(format!(
                "Prompt with arguments: arg1='{one}', arg2='{two}'"
            ))]
        }
        "test_prompt_with_embedded_resource" => {
            let content = "Embedded resource content for testing.";
            vec![
                ContentBlock::resource(resources::text(
                    call.argument("resourceUri"),
                    "text/plain",
                    content,
                )),
                ContentBlock::text("Please process the embedded resource above."),
            ]
        }
        "test_prompt_with_image" => vec![
            ContentBlock::image(PNG, "image/png"),
            ContentBlock::text("Please analyze the image above."),
        ],
        _ => match context(call).await {
            Ok(context) => vec![ContentBlock::text(format!("Context: {context}"))],
            Err(Stop::Asking(result)) => return Ok(result.into()),
            Err(Stop::Failed(said)) => return Err(ErrorData::internal_error(said, None)),
            Err(Stop::Fault(fault)) => return Err(fault),
        },
    };
    let messages = blocks
        .into_iter()
        .map(|block| PromptMessage::new(Role::User, block));
    Ok(GetPromptResult::new(messages.collect()).into())
}

async fn context(call: &Call<'_>) -> Result<String, Stop> {
    let question = field("What context should the prompt use?", "context", "string");
    let answers = call.ask(None, [("user_context", question)]).await?;
    Ok(filled_in(&answers["user_context"], "context"))
}
