//! `gatehouse call`: one tool call through an edge, with the record and the decisions that every client gets.

use std::io::Read;
use std::time::Duration;

use mcp::method;
use serde_json::{Value, json};

use crate::app::App;
use crate::caller::{Answer, Caller, Error, Message};
use crate::codes;
use crate::context::Context;
use crate::fault::{Failure, Fault};
use crate::get;
use crate::link::Link;
use crate::show::{nearest, shell_word};
use crate::when;

/// Largest argument text, in bytes.
const ARGS_BYTES_MAX: u64 = 16 << 20;
/// JSON-RPC code of a call that was refused by policy.
const REFUSED: i64 = -31010;
/// JSON-RPC code of a server that cannot take the call.
const AWAY: i64 = -31011;
/// JSON-RPC code of parameters that do not fit, a tool that is not known included.
const INVALID_PARAMS: i64 = -32602;

/// Call a tool through an edge, as the caller of the context, and print what it says.
#[derive(Debug, clap::Args)]
#[command(after_help = r#"Examples:
  gatehouse call everything echo --args '{"message":"hi"}'
  gatehouse call time get_current_time --args '{"timezone":"UTC"}' -o json
  gatehouse call docs index --args @arguments.json --timeout 5m

See also: gatehouse tools, gatehouse explain, gatehouse audit list"#)]
pub struct Args {
    /// The server
    pub server: String,
    /// The tool
    pub tool: String,
    /// Its arguments: a JSON object, @FILE, or - for standard input
    #[arg(
        long,
        value_name = "JSON",
        default_value = "{}",
        hide_default_value = true
    )]
    pub args: String,
    /// How long to wait at most
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = when::parse)]
    pub timeout: Duration,
}

/// Runs the command.
///
/// # Errors
/// The call was refused, the tool reports an error, or nothing came back.
pub async fn run(args: Args, app: &App) -> Result<(), Failure> {
    let arguments = arguments(&args.args)?;
    let context = app.context()?;
    let caller = Caller::new(&context)?;
    let params = json!({"name": args.tool, "arguments": arguments});
    let message = Message {
        method: method::TOOLS_CALL,
        name: Some(&args.tool),
        params,
    };
    match caller.request(&args.server, message, args.timeout).await {
        Ok(Answer::Result(result)) => tell(app, &result),
        Ok(Answer::Error(error)) if error["code"] == REFUSED => {
            let condition = condition(&context, &error).await;
            Err(refused(&context, &args, &arguments, (&error, condition)).into())
        }
        Ok(Answer::Error(error)) if error["code"] == INVALID_PARAMS => {
            Err(not_taken(&caller, &args, &error).await.into())
        }
        Ok(other) => Err(not_a_result(app, &context, &args.server, other)
            .await
            .into()),
        Err(error) => Err(no_answer(&caller, &args.server, &error).into()),
    }
}

/// The arguments as a JSON object.
///
/// # Errors
/// They are none; with the place where they stop being one.
pub fn arguments(given: &str) -> Result<Value, Failure> {
    let text = match given.strip_prefix('@') {
        Some(file) => bounded(std::fs::File::open(file)).map_err(|e| unreadable(file, &e))?,
        None if given == "-" => {
            bounded(Ok(std::io::stdin().lock())).map_err(|e| unreadable("standard input", &e))?
        }
        None => given.to_owned(),
    };
    let value: Value = serde_json::from_str(&text)
        .map_err(|e| Failure::usage(format!("--args is not JSON: {e}")))?;
    if value.is_object() {
        return Ok(value);
    }
    Err(Failure::usage(
        "--args wants a JSON object, such as '{\"message\":\"hi\"}'",
    ))
}

fn bounded(from: std::io::Result<impl Read>) -> std::io::Result<String> {
    let mut text = String::new();
    from?.take(ARGS_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

fn unreadable(what: &str, error: &std::io::Error) -> Failure {
    Fault::new(codes::FILE, format!("{what} cannot be read"))
        .why(error.to_string())
        .into()
}

/// Shows a result: text as it is, everything else as JSON.
fn tell(app: &App, result: &Value) -> Result<(), Failure> {
    if app.show.is_json() {
        app.show.json(result);
    } else {
        for line in lines(result) {
            app.show.line(&line);
        }
    }
    match result["resultType"].as_str() {
        None | Some("complete") => {}
        Some(other) => {
            let text = format!(
                "the tool did not finish: it answers {other:?}, which this client cannot go on with"
            );
            return Err(Fault::new(codes::TOOL_FAILED, text).into());
        }
    }
    if result["isError"] == true {
        return Err(Fault::new(codes::TOOL_FAILED, "the tool reports an error").into());
    }
    Ok(())
}

fn lines(result: &Value) -> Vec<String> {
    let content = result["content"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if content.is_empty() && !result["structuredContent"].is_null() {
        return vec![result["structuredContent"].to_string()];
    }
    content
        .iter()
        .map(
            |block| match (block["type"].as_str(), block["text"].as_str()) {
                (Some("text"), Some(text)) => text.trim_end_matches('\n').to_owned(),
                _ => block.to_string(),
            },
        )
        .collect()
}

/// The condition of the rule that refused, where it has one and the caller may look it up.
async fn condition(context: &Context, error: &Value) -> Option<String> {
    use proto::v1::resource::Spec;
    let rule = error["data"]["rule"].as_str()?;
    let link = Link::connect(context).await.ok()?;
    let rules = get::all(&link, model::wire::ACCESS_RULE).await.ok()?;
    let is_meant = |r: &proto::v1::Resource| r.metadata.as_ref().is_some_and(|m| m.name == rule);
    match rules.into_iter().find(is_meant)?.spec {
        Some(Spec::AccessRule(spec)) => Some(spec.when).filter(|when| !when.is_empty()),
        _ => None,
    }
}

/// `refused by rule no-secrets: args.message.contains("secret")`, and the command that shows why.
fn refused(
    context: &Context,
    args: &Args,
    arguments: &Value,
    (error, condition): (&Value, Option<String>),
) -> Fault {
    let data = &error["data"];
    let by = ["rule", "filter"]
        .into_iter()
        .find_map(|by| data[by].as_str().map(|name| format!("{by} {name}")));
    let by = by.map(|by| condition.map_or_else(|| by.clone(), |when| format!("{by}: {when}")));
    let message = match (by, data["reason"].as_str()) {
        (Some(by), _) => format!("refused by {by}"),
        (None, Some(reason)) => format!("refused: {reason}"),
        (None, None) => error["message"].as_str().unwrap_or("refused").to_owned(),
    };
    // Says by itself what happened: no code before it. Programs find the code in the JSON form.
    Fault {
        spoken: true,
        ..Fault::new(codes::REFUSED, message)
    }
    .why(explain(context, args, arguments))
}

fn explain(context: &Context, args: &Args, arguments: &Value) -> String {
    let mut words = vec!["gatehouse explain --user".to_owned()];
    words.push(shell_word(context.user.as_deref().unwrap_or("USER")));
    for group in &context.groups {
        words.push(format!("--group {}", shell_word(group)));
    }
    words.push(format!(
        "--server {} --tool {}",
        shell_word(&args.server),
        shell_word(&args.tool)
    ));
    if arguments
        .as_object()
        .is_some_and(|object| !object.is_empty())
    {
        words.push(format!("--args {}", shell_word(&arguments.to_string())));
    }
    words.join(" ")
}

/// The server does not take the parameters: is it the tool's name, or its arguments?
async fn not_taken(caller: &Caller, args: &Args, error: &Value) -> Fault {
    let said = error["message"]
        .as_str()
        .unwrap_or("invalid parameters")
        .to_owned();
    let seen = match caller.tools(&args.server, args.timeout).await {
        Ok(Ok(tools)) => tools,
        _ => return Fault::new(codes::SERVER_ERROR, said),
    };
    let names: Vec<&str> = seen
        .iter()
        .filter_map(|tool| tool["name"].as_str())
        .collect();
    if names.contains(&args.tool.as_str()) {
        return Fault::new(
            codes::SERVER_ERROR,
            format!(
                "{}/{} does not take these arguments",
                args.server, args.tool
            ),
        )
        .why(said)
        .fix(format!(
            "gatehouse tools {} -o json",
            shell_word(&args.server)
        ));
    }
    let fault = Fault::new(
        codes::NO_SUCH,
        format!(
            "{} has no tool {:?} that you may use",
            args.server, args.tool
        ),
    );
    match nearest(&args.tool, names.iter().copied()) {
        Some(near) => fault.why(format!("did you mean {near}?")),
        None => fault,
    }
    .fix(format!("gatehouse tools {}", shell_word(&args.server)))
}

/// An answer that is no result, in the operator's words.
pub async fn not_a_result(app: &App, context: &Context, server: &str, answer: Answer) -> Fault {
    let error = match answer {
        Answer::Error(error) => error,
        Answer::NoServer | Answer::Result(_) => return no_server(context, server).await,
    };
    let said = error["message"]
        .as_str()
        .unwrap_or("no reason given")
        .to_owned();
    if error["code"] == AWAY {
        let reason = error["data"]["reason"].as_str().unwrap_or("unavailable");
        return Fault::new(
            codes::SERVER_AWAY,
            format!("{server} cannot take the call now: {reason}"),
        )
        .why(said)
        .fix(format!("gatehouse server status {}", shell_word(server)))
        .retryable();
    }
    let code = error["code"]
        .as_i64()
        .map_or_else(String::new, |code| format!(" ({code})"));
    let mut fault = Fault::new(
        codes::SERVER_ERROR,
        format!("{server} answers with an error{code}"),
    )
    .why(said);
    if app.show.is_verbose() && !error["data"].is_null() {
        fault.chain.push(error["data"].to_string());
    }
    fault
}

/// No such server for this caller; the nearest that there is, where the admin API says so.
async fn no_server(context: &Context, server: &str) -> Fault {
    let fault = Fault::new(
        codes::NO_SUCH,
        format!("there is no server {server:?} that you may use"),
    );
    let there = match Link::connect(context).await {
        Ok(link) => get::all(&link, model::wire::SERVER)
            .await
            .unwrap_or_default(),
        Err(_) => Vec::new(),
    };
    let names: Vec<&str> = there
        .iter()
        .filter_map(|r| r.metadata.as_ref())
        .map(|m| m.name.as_str())
        .collect();
    if names.contains(&server) {
        let user = context.user.as_deref().unwrap_or("USER");
        return fault
            .why("it exists, but no rule lets this key use it")
            .fix(format!(
                "gatehouse explain --user {} --server {} --tool TOOL",
                shell_word(user),
                shell_word(server)
            ));
    }
    match nearest(server, names.iter().copied()) {
        Some(near) => fault.why(format!("did you mean {near}?")),
        None => fault,
    }
    .fix("gatehouse get Server")
}

/// Nothing came back that can be worked with.
pub fn no_answer(caller: &Caller, server: &str, error: &Error) -> Fault {
    let url = caller.url(server);
    match error {
        Error::Connection(why) => Fault::new(codes::NO_EDGE, format!("{url} cannot be reached"))
            .why(why.clone())
            .fix("gatehouse nodes")
            .retryable(),
        Error::Key => Fault::new(
            codes::NOT_SIGNED_IN,
            format!("{url} does not accept the context's key"),
        )
        .why("it is unknown, revoked or expired")
        .fix("gatehouse key list"),
        Error::Timeout(after) => Fault::new(
            codes::SERVER_AWAY,
            format!("no answer within {}", when::span(*after)),
        )
        .fix("give it longer with --timeout")
        .retryable(),
        Error::NotMcp(what) => Fault::new(
            codes::NOT_MCP,
            format!("{url} answers something that is not MCP"),
        )
        .why(what.clone()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn args() -> Args {
        Args {
            server: "everything".to_owned(),
            tool: "echo".to_owned(),
            args: String::new(),
            timeout: Duration::ZERO,
        }
    }

    #[test]
    fn text_is_shown_as_it_is_and_the_rest_as_json() {
        let result = json!({"content": [
            {"type": "text", "text": "Echo: hi"},
            {"type": "image", "data": "AA==", "mimeType": "image/png"},
        ]});
        assert_eq!(
            lines(&result),
            [
                "Echo: hi",
                r#"{"data":"AA==","mimeType":"image/png","type":"image"}"#
            ]
        );
        assert_eq!(
            lines(&json!({"content": [], "structuredContent": {"a": 1}})),
            [r#"{"a":1}"#]
        );
    }

    #[test]
    fn a_refusal_names_who_refused_and_how_to_see_why() {
        let context = Context {
            user: Some("admin".to_owned()),
            groups: vec!["admin".to_owned()],
            ..Context::default()
        };
        let error = json!({"code": -31010, "data": {"reason": "filter", "filter": "no-hacking"}});
        let fault = refused(
            &context,
            &args(),
            &json!({"message": "hacking"}),
            (&error, None),
        );
        assert_eq!(fault.message, "refused by filter no-hacking");
        assert_eq!(
            fault.why.as_deref(),
            Some(
                "gatehouse explain --user admin --group admin --server everything --tool echo \
                 --args '{\"message\":\"hacking\"}'"
            )
        );
        let error = json!({"code": -31010, "data": {"reason": "rule", "rule": "no-env"}});
        assert_eq!(
            refused(&context, &args(), &json!({}), (&error, None)).message,
            "refused by rule no-env"
        );
        let when = Some("args.a > 1".to_owned());
        assert_eq!(
            refused(&context, &args(), &json!({}), (&error, when)).message,
            "refused by rule no-env: args.a > 1"
        );
        let error = json!({"code": -31010, "data": {"reason": "limit"}});
        assert_eq!(
            refused(&context, &args(), &json!({}), (&error, None)).message,
            "refused: limit"
        );
    }

    #[test]
    fn arguments_must_be_an_object() {
        assert_eq!(arguments("{}").unwrap(), json!({}));
        assert_eq!(arguments("[1]").unwrap_err().exit, 2);
        assert_eq!(arguments("{").unwrap_err().exit, 2);
        assert_eq!(arguments("@/no/such/file").unwrap_err().exit, 1);
    }
}
