//! `gatehouse tools`: what the caller may use of a server, seen as every client sees it: through an edge.

use std::time::Duration;

use serde_json::{Value, json};

use crate::app::App;
use crate::call;
use crate::caller::Caller;
use crate::fault::Failure;
use crate::show::{Meaning, Table, shell_word};
use crate::when;

/// Show the tools of a server that you may use, through an edge, as every client sees them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse tools everything
  gatehouse tools everything -o json

See also: gatehouse call, gatehouse explain")]
pub struct Args {
    /// The server
    pub server: String,
    /// How long to wait at most
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = when::parse)]
    pub timeout: Duration,
}

/// Runs the command.
///
/// # Errors
/// No such server, a key that is not good, or no connection.
pub async fn run(args: Args, app: &App) -> Result<(), Failure> {
    let context = app.context()?;
    let caller = Caller::new(&context)?;
    let tools = match caller.tools(&args.server, args.timeout).await {
        Ok(Ok(tools)) => tools,
        Ok(Err(answer)) => {
            return Err(call::not_a_result(app, &context, &args.server, answer)
                .await
                .into());
        }
        Err(error) => return Err(call::no_answer(&caller, &args.server, &error).into()),
    };
    if app.show.is_json() {
        app.show.json(&json!({ "items": tools }));
        return Ok(());
    }
    let mut table = Table::new(&["NAME", "DESCRIPTION"]);
    for tool in &tools {
        let text = |field: &str| tool[field].as_str().unwrap_or_default().to_owned();
        table.cells(vec![
            (text("name"), Meaning::Name),
            (first_line(&text("description")), Meaning::Plain),
        ]);
    }
    app.show.table(
        &table,
        &format!("{} has no tool that you may use", args.server),
    );
    if let Some(tool) = tools.iter().find_map(|tool| sample(&args.server, tool)) {
        app.show.hint(&tool);
    }
    Ok(())
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// A call of this tool, ready to paste, where its arguments can be guessed: text, and nothing else required.
pub fn sample(server: &str, tool: &Value) -> Option<String> {
    let name = tool["name"].as_str()?;
    let schema = &tool["inputSchema"];
    let mut args = serde_json::Map::new();
    for required in schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        let property = &schema["properties"][required];
        let free_text = property["type"] == "string"
            && ["enum", "format", "pattern"]
                .iter()
                .all(|bound| property.get(*bound).is_none());
        // Only where any text will do; a place, a path or a zone would be guessed wrongly.
        if !free_text || !["message", "text"].contains(&required) {
            return None;
        }
        args.insert(required.to_owned(), Value::from("hi"));
    }
    let call = format!("gatehouse call {} {}", shell_word(server), shell_word(name));
    Some(if args.is_empty() {
        call
    } else {
        format!(
            "{call} --args {}",
            shell_word(&Value::Object(args).to_string())
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_only_offered_where_it_works() {
        let tool = |required: &str, property: Value| json!({"name": "echo", "inputSchema": {"properties": {required: property}, "required": [required]}});
        assert_eq!(
            sample("everything", &tool("message", json!({"type": "string"}))).as_deref(),
            Some(r#"gatehouse call everything echo --args '{"message":"hi"}'"#)
        );
        assert_eq!(
            sample("time", &tool("timezone", json!({"type": "string"}))),
            None
        );
        assert_eq!(
            sample("x", &tool("message", json!({"type": "number"}))),
            None
        );
        assert_eq!(
            sample("x", &json!({"name": "now"})).as_deref(),
            Some("gatehouse call x now")
        );
        assert_eq!(sample("x", &json!({})), None);
    }
}
