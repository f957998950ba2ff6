//! A tool's own schemas: whether what it is called with, and what it answers, is what its definition says.
//!
//! The schemas are handed in with what is seen ([`Seen::schemas`]); whose they are, and whence, is not known here. Start
//! from [`Schemas`].

mod compiled;
mod weight;

use std::sync::Arc;

use mcp::envelope::Span;
use mcp::{method, walk};
use model::filter::Direction;

use super::finding::{Finding, Look, Seen};
use compiled::{Bad, shown};
pub use compiled::{SCHEMA_BYTES_MAX, Schema};

/// The result of a call of 2025-11-25 that was made a task, as it is fetched.
const TASKS_RESULT: &str = "tasks/result";
/// What has become of a task; to a modern client with the result in it.
const TASKS_GET: &str = "tasks/get";

/// Which methods' answers have a tool's result in them.
pub const ANSWERED_BY_TOOLS: [&str; 3] = [method::TOOLS_CALL, TASKS_RESULT, TASKS_GET];

/// Members of results that are no tool's.
const OTHERS: [&str; 7] = [
    "tools",
    "contents",
    "resources",
    "resourceTemplates",
    "messages",
    "prompts",
    "completion",
];

/// A schema, or why there is none to go by.
pub type Compiled = Result<Schema, String>;

/// The schemas of one tool, as its server shows it to whoever calls.
#[derive(Debug, Clone, Default)]
pub struct Schemas {
    /// Of arguments. `None`: it asks for nothing.
    pub input: Option<Arc<Compiled>>,
    /// Of `structuredContent`. `None`: it promises nothing.
    pub output: Option<Arc<Compiled>>,
}

/// The filter. All that it goes by comes with the message.
#[derive(Debug)]
pub(super) struct ToolSchemas;

impl Look for ToolSchemas {
    fn look(&self, seen: &Seen<'_>) -> Finding {
        let message = seen.message;
        let member = |of, key| walk::find(message, of, key);
        if seen.way == Direction::Request {
            if seen.method != method::TOOLS_CALL {
                return Finding::Nothing;
            }
            let params = member(walk::root(message), "params");
            return arguments(seen, params.and_then(|params| member(params, "arguments")));
        }
        if seen.method == method::SUBSCRIPTIONS_LISTEN {
            // Of the tasks that are told of there each has its tool.
            let told = member(walk::root(message), "params");
            let inner = told.and_then(|task| member(task, "result"));
            return inner.map_or(Finding::Nothing, |inner| result(seen, inner));
        }
        let Some(answer) = member(walk::root(message), "result") else {
            return Finding::Nothing;
        };
        match seen.method {
            method::TOOLS_CALL | TASKS_RESULT => result(seen, answer),
            TASKS_GET => match member(answer, "result") {
                Some(inner) => result(seen, inner),
                None => Finding::Nothing,
            },
            // Which request it answers is not known.
            "" if is_anothers(message, answer) => Finding::Nothing,
            "" => result(seen, answer),
            _ => Finding::Nothing,
        }
    }
}

/// The arguments of a call.
fn arguments(seen: &Seen<'_>, span: Option<Span>) -> Finding {
    let schema = match seen.schemas {
        Ok(Schemas { input: None, .. }) => return Finding::Nothing,
        Ok(Schemas {
            input: Some(schema),
            ..
        }) => schema,
        Err(why) => return Finding::Fails(why.to_owned()),
    };
    let arguments = span.map_or(&b"{}"[..], |span| span.of(seen.message));
    let schema = match &**schema {
        Ok(schema) => schema,
        Err(why) => return unusable("input", why),
    };
    match schema.check(arguments) {
        Ok(()) => Finding::Nothing,
        Err(Bad::DoesNotMatch(at)) => Finding::Refuses(format!(
            "the arguments do not match the tool's input schema{at}"
        )),
        Err(Bad::Unseen(why)) => Finding::Fails(format!("the arguments cannot be compared: {why}")),
    }
}

/// The result of a call.
fn result(seen: &Seen<'_>, span: Span) -> Finding {
    let member = |key| walk::find(seen.message, span, key);
    let raw = |key| member(key).map(|span| span.of(seen.message));
    let structured = member("structuredContent");
    // An error need not be what a result is, and what is no result yet has none of it.
    if raw("isError") == Some(b"true") || (structured.is_none() && is_to_come(seen.message, span)) {
        return Finding::Nothing;
    }
    let schema = match seen.schemas {
        Ok(Schemas { output: None, .. }) => return Finding::Nothing,
        Ok(Schemas {
            output: Some(schema),
            ..
        }) => schema,
        Err(why) => return Finding::Fails(why.to_owned()),
    };
    let schema = match &**schema {
        Ok(schema) => schema,
        Err(why) => return unusable("output", why),
    };
    let Some(structured) = structured else {
        let message =
            "the result has no structuredContent, which the tool's output schema promises";
        return Finding::Refuses(message.to_owned());
    };
    match schema.check(structured.of(seen.message)) {
        Ok(()) => Finding::Nothing,
        Err(Bad::DoesNotMatch(at)) => Finding::Refuses(format!(
            "the result does not match the tool's output schema{at}"
        )),
        Err(Bad::Unseen(why)) => Finding::Fails(format!("the result cannot be compared: {why}")),
    }
}

fn unusable(which: &str, why: &str) -> Finding {
    Finding::Fails(format!(
        "the tool's {which} schema cannot be used: {}",
        shown(why)
    ))
}

/// Whether an answer only says that the result is still to come: of a task (2025-11-25; ext-tasks), or because the client
/// has to say something before (2026-07-28).
fn is_to_come(message: &[u8], result: Span) -> bool {
    let member = |key| walk::find(message, result, key);
    let kind = member("resultType").and_then(|kind| walk::text(kind.of(message)));
    let is_task = || member("task").is_some() && member("content").is_none();
    matches!(kind.as_deref(), Some("input_required" | "task")) || is_task()
}

/// Whether a result is of a request that calls no tool, whichever it was.
fn is_anothers(message: &[u8], result: Span) -> bool {
    let has = |key: &&str| walk::find(message, result, key).is_some();
    !["content", "structuredContent"].iter().any(has) && OTHERS.iter().any(has)
}

#[cfg(test)]
mod tests;
