//! Tools that tell something while they run.

use std::sync::atomic::Ordering;
use std::time::Duration;

use rmcp::model::{CallToolResponse, LoggingLevel};
use tokio::time::{sleep, timeout};

use super::{NOTHING, Row, row};
use crate::call::{Call, text};
use crate::resources::WATCHED;

/// Between two notifications, so that they are seen one by one.
const STEP: Duration = Duration::from_millis(50);
/// The longest wait.
const WAIT: Duration = Duration::from_secs(60);

pub const TOOLS: &[Row] = &[
    row("test_tool_with_logging", "Logs three lines", NOTHING),
    row(
        "test_tool_with_progress",
        "Tells its progress three times",
        NOTHING,
    ),
    row(
        "test_logging_tool",
        "Logs a line in each of three levels",
        NOTHING,
    ),
    row(
        "test_trigger_tool_change",
        "Says that tools changed",
        NOTHING,
    ),
    row(
        "test_trigger_prompt_change",
        "Says that prompts changed",
        NOTHING,
    ),
    row(
        "test_trigger_resource_update",
        "Says that test://watched-resource changed",
        NOTHING,
    ),
    row("test_wait", "Waits until it is cancelled", NOTHING),
    row("test_cancelled_calls", "How many were cancelled", NOTHING),
    row(
        "test_reconnection",
        "Takes longer than its stream may last",
        NOTHING,
    )
    .legacy(),
];

pub async fn call(call: &Call<'_>) -> CallToolResponse {
    let (peer, changes) = (&call.cx.peer, &call.fixture.shared.changes);
    let cancelled = &call.fixture.shared.cancelled;
    text(match call.target {
        "test_cancelled_calls" => return text(cancelled.load(Ordering::Relaxed).to_string()),
        "test_wait" => {
            if timeout(WAIT, call.cx.ct.cancelled()).await.is_ok() {
                cancelled.fetch_add(1, Ordering::Relaxed);
            }
            "Nobody cancelled"
        }
        "test_tool_with_logging" => {
            for line in [
                "Tool execution started",
                "Tool processing data",
                "Tool execution completed",
            ] {
                call.log(LoggingLevel::Info, line).await;
                sleep(STEP).await;
            }
            "Three lines logged"
        }
        "test_tool_with_progress" => {
            for done in [0.0, 50.0, 100.0] {
                call.progress(done, 100.0).await;
                sleep(STEP).await;
            }
            "Progress told three times"
        }
        "test_logging_tool" => {
            for level in [
                LoggingLevel::Debug,
                LoggingLevel::Info,
                LoggingLevel::Warning,
            ] {
                call.log(level, "A line of this level").await;
            }
            "Three levels logged"
        }
        "test_trigger_tool_change" => {
            if call.modern() {
                changes.tools_changed().await;
            } else {
                let _ = peer.notify_tool_list_changed().await;
            }
            "Said that tools changed"
        }
        "test_trigger_prompt_change" => {
            if call.modern() {
                changes.prompts_changed().await;
            } else {
                let _ = peer.notify_prompt_list_changed().await;
            }
            "Said that prompts changed"
        }
        "test_trigger_resource_update" => {
            changes.resource_changed(WATCHED).await;
            "Said that test://watched-resource changed"
        }
        _ => {
            sleep(Duration::from_millis(200)).await;
            "The result of a long call"
        }
    })
}
