//! Which sidecar a call is for: the one that holds its session, a call that waits there for its client, or a task.

use dataplane::call::Call;
use dataplane::deliver::PARKED_PREFIX;
use mcp::bridge::inputs;
use mcp::walk;

/// Where a call has to go on, `{node}.{key}`; `None`: anywhere.
pub(crate) fn named(call: &Call<'_>) -> Option<String> {
    if let Some(session) = call.session {
        return Some(session.to_owned());
    }
    // Other sidecars may stand before another process.
    let of_task = || Some(format!("{}.", call.tasks.node()?));
    parked_at(call).or_else(of_task)
}

/// Where a modern call goes on that waits for its client: `{node}.{key}`. Nearly no call is one: then its parameters are
/// not read a second time.
fn parked_at(call: &Call<'_>) -> Option<String> {
    let params = call.message.params.filter(|_| call.is_modern())?;
    memchr::memmem::find(params.of(call.body), PARKED_PREFIX.as_bytes())?;
    let state = walk::find(call.body, params, inputs::STATE_KEY)?;
    let state = walk::text(state.of(call.body))?;
    state.strip_prefix(PARKED_PREFIX).map(str::to_owned)
}
