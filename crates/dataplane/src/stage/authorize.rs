//! May this caller do this? Asks the engine, and says no in the words that the client may hear.

use engine::Action;
use mcp::error::{RefusedBy, RpcError};
use mcp::method::{self, Target};
use mcp::walk;
use model::decision::{Decision, Reason};
use model::name::RuleName;

use crate::call::Call;

/// A refusal: what the client hears, and what goes on record.
#[derive(Debug)]
pub struct Denied {
    /// For the client.
    pub error: RpcError,
    /// For the record.
    pub reason: Reason,
    /// The rule that denies. `None`: no rule allows.
    pub rule: Option<RuleName>,
}

/// Decides on one call. `Ok` names the rule that allows it, where one had to.
///
/// A target that the caller may not see is answered as one that does not exist (CONTRACT section 4): who
/// may not use a tool shall not learn that there is one. A completion is decided twice, as a method and as
/// the use of the prompt or resource that it completes for: it must tell nothing about what is hidden.
pub fn authorize(call: &Call<'_>) -> Result<Option<RuleName>, Denied> {
    let action = match call.task {
        // Who may not use the tool any more may not have what came of it.
        Some(task) => Action::tool(&task.tool),
        None => Action::of(call.method(), call.target()),
    };
    let allowed = decide(call, &action)?;
    if call.method() == method::COMPLETION_COMPLETE {
        let used = match call.message.target_kind {
            Target::Prompt => method::PROMPTS_GET,
            _ => method::RESOURCES_READ,
        };
        decide(call, &Action::of(used, call.target()))?;
    }
    if call.method() == method::SUBSCRIPTIONS_LISTEN {
        listened_to(call)?;
    }
    Ok(allowed)
}

/// Who wants to hear of a resource has to be allowed to read it.
fn listened_to(call: &Call<'_>) -> Result<(), Denied> {
    let member = |object, key| walk::find(call.body, object, key);
    let wanted = call.message.params.and_then(|p| member(p, "notifications"));
    let Some(uris) = wanted.and_then(|wanted| member(wanted, "resourceSubscriptions")) else {
        return Ok(());
    };
    for raw in walk::elements(call.body, uris) {
        // What is no text is no resource: the server says so.
        let Some(uri) = walk::text(raw.of(call.body)) else {
            continue;
        };
        let read = Action::of(method::RESOURCES_READ, Some(&uri));
        let verdict = call
            .config
            .engine
            .decide(call.principal, call.server, &read);
        if !verdict.is_allowed() {
            return Err(Denied {
                error: RpcError::unknown_target(Target::Resource, &uri, call.revision.era()),
                reason: verdict.reason.unwrap_or(Reason::NoRule),
                rule: verdict.rule.cloned(),
            });
        }
    }
    Ok(())
}

fn decide(call: &Call<'_>, action: &Action<'_>) -> Result<Option<RuleName>, Denied> {
    let verdict = call
        .config
        .engine
        .decide(call.principal, call.server, action);
    if verdict.is_allowed() {
        return Ok(verdict.rule.cloned());
    }
    let reason = verdict.reason.unwrap_or(Reason::NoRule);
    let error = match (action.target, call.target()) {
        (engine::Target::None, _) | (_, None) => {
            let by = verdict
                .rule
                .map_or(RefusedBy::Nothing, |rule| RefusedBy::Rule(rule.as_str()));
            RpcError::refused(reason.as_str(), by, Decision::Deny.as_str())
        }
        (_, Some(name)) => {
            RpcError::unknown_target(call.message.target_kind, name, call.revision.era())
        }
    };
    Err(Denied {
        error,
        reason,
        rule: verdict.rule.cloned(),
    })
}
