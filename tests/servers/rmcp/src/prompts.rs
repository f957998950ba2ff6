//! The prompts of the conformance suite.

use rmcp::model::{
    ContentBlock, ErrorData, GetPromptResponse, GetPromptResult, Prompt, PromptArgument,
    PromptMessage, Role,
};

use crate::call::Call;
use crate::questions::{field, filled_in};
use crate::resources::{self, PNG};

const WITH_INPUT: &str = "test_input_required_result_prompt";

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
    (WITH_INPUT, "Asks for its context first", &[]),
];

pub fn listed(modern: bool) -> Vec<Prompt> {
    let prompts = PROMPTS
        .iter()
        .filter(|(name, ..)| modern || *name != WITH_INPUT);
    prompts
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

pub fn get(call: &Call<'_>) -> Result<GetPromptResponse, ErrorData> {
    let known = PROMPTS.iter().find(|(name, ..)| *name == call.target);
    let Some((name, _, arguments)) =
        known.filter(|(name, ..)| call.modern() || *name != WITH_INPUT)
    else {
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
        _ => match call.response("user_context") {
            Some(answer) => vec![ContentBlock::text(format!(
                "Context: {}",
                filled_in(answer, "context")
            ))],
            None => {
                let question = field("What context should the prompt use?", "context", "string");
                return Ok(call.needs(None, [("user_context", question)])?.into());
            }
        },
    };
    let messages = blocks
        .into_iter()
        .map(|block| PromptMessage::new(Role::User, block));
    Ok(GetPromptResult::new(messages.collect()).into())
}
