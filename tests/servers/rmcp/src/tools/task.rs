//! Tools of the tasks extension: they go on after their result, which is then a task to ask for.

use std::time::Duration;

use rmcp::model::{
    CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock, CreateTaskResult, ErrorData,
};
use rmcp::task_manager::{TaskContext, TaskExit, TaskOptions};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{NOTHING, Row, Schema, row};
use crate::call::{Call, Stop, text};
use crate::questions::{field, filled_in, name};

/// What a client is told to wait before it asks again.
const POLL_MS: u64 = 200;

/// The longest that a call may ask for.
const SECONDS_MAX: f64 = 600.0;

pub const TOOLS: &[Row] = &[
    row(
        "greet",
        "Greets at once, never as a task",
        Schema::Strings(&["name"]),
    )
    .modern(),
    row(
        "slow_compute",
        "Takes its seconds; a task for those who know tasks",
        Schema::Own(slow_schema),
    )
    .modern(),
    row("failing_job", "A task whose tool fails", NOTHING).modern(),
    row(
        "protocol_error_job",
        "A task that ends in an error of the protocol",
        NOTHING,
    )
    .modern(),
    row(
        "confirm_delete",
        "A task that asks for a confirmation",
        Schema::Strings(&["filename"]),
    )
    .modern(),
    row(
        "multi_input",
        "A task that asks two things at once",
        NOTHING,
    )
    .modern(),
    row(
        "test_tool_with_task",
        "Asks for a name, then goes on as a task",
        NOTHING,
    )
    .modern(),
];

type Outcome = Result<CallToolResult, TaskExit>;

pub async fn call(call: &Call<'_>) -> Result<CallToolResponse, Stop> {
    let tasks = call.declared().supports_tasks();
    match call.target {
        "greet" => Ok(text(format!("Hello, {}!", call.argument("name")))),
        "slow_compute" => {
            let seconds = call
                .arguments
                .get("seconds")
                .and_then(Value::as_f64)
                .unwrap_or(1.0);
            let wait = Duration::from_secs_f64(seconds.clamp(0.0, SECONDS_MAX));
            if tasks {
                return Ok(spawn(call, move |task| slow(task, wait)));
            }
            sleep(wait).await;
            Ok(text(format!("Computed for {wait:?}")))
        }
        "protocol_error_job" if !tasks => Err(broken().into()),
        "protocol_error_job" => Ok(spawn(call, |_| async {
            sleep(Duration::from_millis(200)).await;
            Err(TaskExit::Error(broken()))
        })),
        _ if !tasks => Err(ErrorData::missing_required_client_capability(
            ClientCapabilities::builder().enable_tasks().build(),
        )
        .into()),
        "failing_job" => Ok(spawn(call, |_| async {
            sleep(Duration::from_secs(1)).await;
            Ok(CallToolResult::error(vec![ContentBlock::text(
                "The job failed, as it always does",
            )]))
        })),
        "confirm_delete" => {
            let file = call.argument("filename").to_owned();
            Ok(spawn(call, |task| confirm(task, file)))
        }
        "multi_input" => Ok(spawn(call, two_inputs)),
        _ => {
            let answers = call.ask(None, [("user_name", name())]).await?;
            let name = filled_in(&answers["user_name"], "name");
            Ok(spawn(call, |_| async move {
                sleep(Duration::from_millis(200)).await;
                done(format!("Hello, {name}!"))
            }))
        }
    }
}

fn spawn<F>(call: &Call<'_>, work: impl FnOnce(TaskContext) -> F) -> CallToolResponse
where
    F: Future<Output = Outcome> + Send + 'static,
{
    let options = TaskOptions::new().with_poll_interval_ms(POLL_MS);
    let task = (call.fixture.shared.tasks).spawn(options, |context| Box::pin(work(context)));
    CreateTaskResult::new(task).into()
}

async fn slow(task: TaskContext, wait: Duration) -> Outcome {
    tokio::select! {
        () = task.cancelled() => Err(TaskExit::Cancelled),
        () = sleep(wait) => done(format!("Computed for {wait:?}")),
    }
}

async fn confirm(task: TaskContext, file: String) -> Outcome {
    let question = field(&format!("Delete {file}?"), "confirm", "boolean");
    let answer = task.request_input("confirm", question).await?;
    done(format!("{file} deleted: {}", filled_in(&answer, "confirm")))
}

async fn two_inputs(task: TaskContext) -> Outcome {
    let question = |key: &'static str| task.request_input(key, field(key, "value", "string"));
    let (first, second) = tokio::join!(question("first"), question("second"));
    let value = |answer: &Value| filled_in(answer, "value");
    done(format!("{} and {}", value(&first?), value(&second?)))
}

fn done(said: String) -> Outcome {
    Ok(CallToolResult::success(vec![ContentBlock::text(said)]))
}

fn broken() -> ErrorData {
    ErrorData::internal_error("The job broke, as it always does", None)
}

fn slow_schema() -> Value {
    json!({"type": "object", "properties": {"seconds": {"type": "number"}, "label": {"type": "string"}}})
}
