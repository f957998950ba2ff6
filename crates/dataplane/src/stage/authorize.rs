//! May this caller do this? Asks the engine, and says no in the words that the client may hear.

use std::net::IpAddr;
use std::time::SystemTime;

use engine::{Action, Engine, Facts, Verdict};
use mcp::error::{RefusedBy, RpcError};
use mcp::method::{self, Target};
use mcp::walk;
use model::decision::{Decision, Reason};
use model::name::{RuleName, ServerName};
use model::principal::Principal;

use crate::call::Call;
use crate::deliver::tasks::Task;

/// Who decided.
#[derive(Debug, Default)]
pub struct By {
    /// The rule. `None`: no rule allows.
    pub rule: Option<RuleName>,
    /// What rules that only observe would have changed: `deny by no-secrets`.
    pub observed: Option<String>,
}

impl By {
    fn of(verdict: &Verdict<'_>) -> Self {
        Self {
            rule: verdict.rule.cloned(),
            observed: verdict.observed.map(|observed| observed.to_string()),
        }
    }
}

/// It may go on.
#[derive(Debug)]
pub struct Allowed {
    /// For the record.
    pub by: By,
}

/// A refusal: what the client hears, and what goes on record.
#[derive(Debug)]
pub struct Denied {
    /// For the client.
    pub error: RpcError,
    /// For the record.
    pub reason: Reason,
    /// For the record.
    pub by: By,
}

/// Decides on one call. `Ok` names the rule that allows it, where one had to. A call that a person has to agree to comes
/// back as denied, for [`Reason::Approval`]: what becomes of it is the pipeline's.
///
/// A target that the caller may not see is answered as one that does not exist (CONTRACT section 4): who may not use a
/// tool shall not learn that there is one. One that is listed, and may not be used in this way or now, is refused as
/// such. A completion is decided twice, as a method and as the use of the prompt or resource that it completes for: it
/// must tell nothing about what is hidden.
pub fn authorize(call: &Call<'_>) -> Result<Allowed, Denied> {
    let tool = call.tasks.one.as_ref().and_then(Task::tool);
    let (action, args) = match tool {
        // Who may not use the tool any more may not have what came of it. With which arguments it was called is not known
        // here: it was decided then.
        Some(tool) => (Action::tool(tool), None),
        None => (
            Action::of(call.method(), call.target()),
            Some(call.arguments()),
        ),
    };
    let mut allowed = decide(call, &action, args);
    if tool.is_some() {
        // Whoever had to agree did when it was begun.
        allowed = possible(allowed);
    }
    let allowed = allowed?;
    if call.method() == method::COMPLETION_COMPLETE {
        let used = match call.message.target_kind {
            Target::Prompt => method::PROMPTS_GET,
            _ => method::RESOURCES_READ,
        };
        // To use it somebody may have to agree; what it could be used with may be known.
        possible(decide(call, &Action::of(used, call.target()), None))?;
    }
    if call.method() == method::SUBSCRIPTIONS_LISTEN {
        listened_to(call)?;
        // A task tells what came of its tool.
        for tool in call.tasks.heard_of.iter().filter_map(Task::tool) {
            possible(decide(call, &Action::tool(tool), None))?;
        }
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
    let facts = facts(call.client_address, Some(&[]));
    for raw in walk::elements(call.body, uris) {
        // What is no text is no resource: the server says so.
        let Some(uri) = walk::text(raw.of(call.body)) else {
            continue;
        };
        let read = Action::of(method::RESOURCES_READ, Some(&uri));
        let engine = &call.config.engine;
        let verdict = engine.decide_with(call.principal, call.server, &read, &facts);
        // That it has changed says nothing of what it holds.
        if !verdict.is_possible() {
            return Err(Denied {
                error: RpcError::unknown_target(Target::Resource, &uri, call.revision.era()),
                reason: verdict.reason.unwrap_or(Reason::NoRule),
                by: By::of(&verdict),
            });
        }
    }
    Ok(())
}

/// Whether a caller may read a resource now, be it once a person agrees: only then is it told of changes.
pub fn may_read(
    engine: &Engine,
    (principal, server): (&Principal, &ServerName),
    address: Option<IpAddr>,
    uri: &str,
) -> bool {
    let read = Action::resource(uri);
    let facts = facts(address, Some(&[]));
    engine
        .decide_with(principal, server, &read, &facts)
        .is_possible()
}

fn facts(client_address: Option<IpAddr>, args: Option<&[u8]>) -> Facts<'_> {
    Facts {
        args,
        client_address,
        time: Some(SystemTime::now()),
    }
}

/// What may be done once a person agrees counts as allowed.
fn possible(decided: Result<Allowed, Denied>) -> Result<Allowed, Denied> {
    match decided {
        Err(Denied {
            reason: Reason::Approval,
            by,
            ..
        }) => Ok(Allowed { by }),
        decided => decided,
    }
}

fn decide(call: &Call<'_>, action: &Action<'_>, args: Option<&[u8]>) -> Result<Allowed, Denied> {
    let engine = &call.config.engine;
    let facts = facts(call.client_address, args);
    let verdict = engine.decide_with(call.principal, call.server, action, &facts);
    if verdict.is_allowed() {
        return Ok(Allowed {
            by: By::of(&verdict),
        });
    }
    let reason = verdict.reason.unwrap_or(Reason::NoRule);
    let refused = || {
        let by = verdict
            .rule
            .map_or(RefusedBy::Nothing, |rule| RefusedBy::Rule(rule.as_str()));
        RpcError::refused(reason.as_str(), by, Decision::Deny.as_str())
    };
    let error = match (action.target, call.target()) {
        // It is there to be seen.
        _ if verdict.is_possible() => refused(),
        (engine::Target::None, _) | (_, None) => refused(),
        _ if engine.visible(call.principal, call.server, action) => refused(),
        (_, Some(name)) => {
            RpcError::unknown_target(call.message.target_kind, name, call.revision.era())
        }
    };
    Err(Denied {
        error,
        reason,
        by: By::of(&verdict),
    })
}
