//! A call that a rule wants a person to agree to.
//!
//! ```text
//! edge     nobody asked yet -> ask -> granted --------------------------------------> spend -> goes on
//!                              |-> pending -> the client waits (below), then decided anew -----^
//!                              \-> refused, over: -31010
//! sidecar  the edge states that somebody agreed to exactly what came -> goes on; else -31010
//! ```
//!
//! How a client waits is what it can take: a modern one that may be answered `input_required` is, after a little while; any
//! other that takes event streams gets one at once; the rest are answered when all is decided. Meanwhile the configuration
//! may have changed, and the caller's rights with it: so whoever has waited is let in and decided on anew.

mod hold;

use bytes::Bytes;
use http::Response;
use mcp::bridge::capabilities;
use mcp::bridge::inputs::{self, Asked};
use mcp::envelope::Kind;
use mcp::error::{RefusedBy, RpcError};
use mcp::method;
use model::decision::{Decision, Reason};
use model::name::RuleName;
use proto::v1 as pb;

use self::hold::{Held, Owned};
use super::halt::{Ended, Halt, scanned};
use super::old::is_old;
use super::{Incall, answer};
use crate::approval::binding::Binding;
use crate::approval::desk::{Desk, Error, State, state_of};
use crate::approval::{Approved, shown, state};
use crate::body::{ReplyBody, Telling};
use crate::budget::Permit;
use crate::call::Call;
use crate::deliver::Hop;
use crate::refusal::Fault;
use crate::stage::authorize::{By, Denied};
use crate::stage::limit::Held as Limited;
use crate::stage::record::Recording;

/// What a modern client's user is asked under.
const QUESTION: &str = "gatehouse_approval";

/// A call that waits for a person, as far as it is known.
struct Asking {
    rule: RuleName,
    binding: Binding,
    approval: pb::Approval,
}

impl<H: Hop> Incall<'_, H> {
    /// Ends the wait of a request that a legacy client cancels, where that waits here.
    pub(super) fn heed_cancelled(&self, call: &Call<'_>) {
        if call.message.kind != Kind::Notification || call.method() != method::CANCELLED {
            return;
        }
        let id = call.message.request_id.as_ref();
        if let (Some(desk), Some(session), Some(id)) = (self.shared.hop.desk(), call.session, id) {
            desk.waits().cancel(session, id.key());
        }
    }

    /// What becomes of a call to which a person has to agree, as `denied` says.
    pub(super) async fn approve(
        &self,
        call: &Call<'_>,
        denied: &Denied,
        slot: &mut Option<Recording>,
        permit: Permit,
    ) -> Ended<Response<ReplyBody>> {
        let id = call.message.raw_id();
        let Some(rule) = &denied.by.rule else {
            return Err(Halt::denied(denied, id));
        };
        let Some(desk) = self.shared.hop.desk() else {
            return self.stated(call, rule, slot, permit).await;
        };
        let Some(brought) = state::brought(call, QUESTION) else {
            let binding = Binding::of(call, rule);
            let asked = ask(desk, call, rule, &binding).await;
            let approval = asked.map_err(|error| not_approved(rule, &error.to_string(), id))?;
            let asking = Asking {
                rule: rule.clone(),
                binding,
                approval,
            };
            return self.asked(desk, call, asking, slot, permit).await;
        };
        // From here on it is the call as it was before it was asked about.
        let message = scanned(&brought.body)?;
        let began = Call {
            body: &brought.body,
            message: &message,
            ..*call
        };
        let asking = gone_on(&began, rule, &brought)?;
        self.asked(desk, &began, asking, slot, permit).await
    }

    /// What a modern client brings back of a wait for an approval. Only edges send any away with one.
    pub(super) fn waited(&self, call: &Call<'_>) -> Option<state::Brought> {
        self.shared.hop.desk()?;
        state::brought(call, QUESTION).filter(|brought| brought.state.is_some())
    }

    /// Nobody has to agree any more to a call for which a client has waited: what it carries of that is no server's.
    pub(super) async fn agreed_to_by_rules(
        &self,
        brought: state::Brought,
        call: &Call<'_>,
        slot: &mut Option<Recording>,
        permit: Permit,
    ) -> Ended<Response<ReplyBody>> {
        let id = call.message.raw_id();
        if brought.given_up {
            let error = RpcError::invalid_request("the caller does not wait for it");
            return Err(Halt::invalid(&error, id));
        }
        let message = scanned(&brought.body)?;
        let began = Call {
            body: &brought.body,
            message: &message,
            ..*call
        };
        self.proceed(&began, message.raw_id(), slot, permit).await
    }

    /// Goes on as the approval stands.
    async fn asked(
        &self,
        desk: &Desk,
        call: &Call<'_>,
        asking: Asking,
        slot: &mut Option<Recording>,
        permit: Permit,
    ) -> Ended<Response<ReplyBody>> {
        let id = call.message.raw_id();
        if let Some(recording) = slot {
            recording.approval(&asking.approval.id, &asking.approval.decided_by);
        }
        if state_of(&asking.approval) != State::Pending {
            return self.decided(desk, call, &asking, slot, permit).await;
        }
        let Some(seat) = desk.seat(&call.principal.user) else {
            let fault = Fault::overloaded("too many calls wait for a person to agree");
            return Err(Halt::fault(&fault, id));
        };
        let Some(recording) = slot.take() else {
            return Err(Halt::unrecorded(id));
        };
        let held = Held {
            call: Owned::of(self, call),
            desk: desk.clone(),
            seat,
            asking,
            recording,
            permit,
        };
        // One that goes on with its server's own state keeps that: ours would take its place.
        let goes_on = inputs::of_request(call.message).is_some();
        if call.is_modern() && method::may_ask_for_input(call.method()) && !goes_on {
            return Ok(held.briefly().await);
        }
        if call.sse && !call.session.is_some_and(is_old) {
            return Ok(held.telling());
        }
        Ok(held.until_decided().await)
    }

    /// Somebody has decided, or nobody will.
    async fn decided(
        &self,
        desk: &Desk,
        call: &Call<'_>,
        asking: &Asking,
        slot: &mut Option<Recording>,
        permit: Permit,
    ) -> Ended<Response<ReplyBody>> {
        let (id, approval) = (call.message.raw_id(), &asking.approval);
        let refused = |why: &str| not_approved(&asking.rule, why, id);
        if let Some(recording) = slot {
            recording.approval(&approval.id, &approval.decided_by);
        }
        match state_of(approval) {
            State::Granted => {}
            State::Refused => return Err(refused(&refusal(approval))),
            State::Used => return Err(refused("the approval was used already: it is for one use")),
            State::Pending | State::Expired => {
                return Err(refused("nobody agreed in time"));
            }
        }
        // What a limit refuses uses no approval up.
        let counted = self.count(call, id, slot).await?;
        let spending = pb::SpendApprovalRequest {
            id: approval.id.clone(),
            binding: asking.binding.0.to_vec(),
            call_id: call.id.0.to_vec(),
        };
        let spent = match desk.spend(&spending).await {
            Ok(spent) => spent,
            Err(error) => {
                // A call that does not go is none.
                counted.give_back();
                return Err(refused(&error.to_string()));
            }
        };
        let approved = Approved {
            id: spent.id.into(),
            by: spent.decided_by.into(),
            binding: asking.binding,
        };
        self.agreed(call, &approved, counted, (slot, permit)).await
    }

    /// The hop before has asked: what came must be what somebody agreed to.
    async fn stated(
        &self,
        call: &Call<'_>,
        rule: &RuleName,
        slot: &mut Option<Recording>,
        permit: Permit,
    ) -> Ended<Response<ReplyBody>> {
        let id = call.message.raw_id();
        let Some(approved) = &self.admitted.approval else {
            let why = "the edge states no approval: it decides by an older configuration";
            return Err(not_approved(rule, why, id));
        };
        if approved.binding != Binding::of(call, rule) {
            let why = "the call is not the one that somebody agreed to";
            return Err(not_approved(rule, why, id));
        }
        let counted = self.count(call, id, slot).await?;
        self.agreed(call, approved, counted, (slot, permit)).await
    }

    async fn agreed(
        &self,
        call: &Call<'_>,
        approved: &Approved,
        counted: Limited,
        (slot, permit): (&mut Option<Recording>, Permit),
    ) -> Ended<Response<ReplyBody>> {
        if let Some(recording) = slot {
            recording.decide(Decision::Approve, None);
            recording.approval(&approved.id, &approved.by);
        }
        let call = Call {
            approval: Some(approved),
            ..*call
        };
        let id = call.message.raw_id();
        self.counted(&call, counted, id, slot, permit).await
    }
}

/// A call that a filter has changed, and that is refused as it is now: unless it is still what somebody agreed to.
pub(super) fn still_agreed(call: &Call<'_>, denied: &Denied) -> Ended<()> {
    let id = call.message.raw_id();
    let (Reason::Approval, Some(rule)) = (denied.reason, &denied.by.rule) else {
        return Err(Halt::denied(denied, id));
    };
    match call.approval {
        Some(approved) if approved.binding == Binding::of(call, rule) => Ok(()),
        Some(_) => {
            let why = "a filter changed the arguments after approval";
            Err(not_approved(rule, why, id))
        }
        None => {
            let why = "a filter made of it what somebody would have to agree to";
            Err(not_approved(rule, why, id))
        }
    }
}

async fn ask(
    desk: &Desk,
    call: &Call<'_>,
    rule: &RuleName,
    binding: &Binding,
) -> Result<pb::Approval, Error> {
    let (arguments, shortened) = shown::arguments(call);
    let principal = call.principal;
    desk.ask(&pb::AskApprovalRequest {
        binding: binding.0.to_vec(),
        user: principal.user.to_string(),
        groups: principal.groups.iter().map(ToString::to_string).collect(),
        client: principal.client.as_deref().unwrap_or_default().to_owned(),
        server: call.server.to_string(),
        method: call.method().to_owned(),
        name: call.target().unwrap_or_default().to_owned(),
        arguments,
        shortened,
        rule: rule.to_string(),
    })
    .await
}

/// What a modern client comes back with, where it is what it was sent away with.
fn gone_on(call: &Call<'_>, rule: &RuleName, brought: &state::Brought) -> Ended<Asking> {
    let id = call.message.raw_id();
    let refused = |why: &str| not_approved(rule, why, id);
    let Some(state) = &brought.state else {
        let why = "the requestState is not good for this caller: call again without it";
        return Err(refused(why));
    };
    let binding = Binding::of(call, rule);
    if !state.is_for(&binding) {
        let why = "the arguments, or what decides about them, changed after approval was asked for";
        return Err(refused(why));
    }
    if brought.given_up {
        return Err(refused("the caller does not wait for it"));
    }
    Ok(Asking {
        rule: rule.clone(),
        binding,
        approval: pb::Approval {
            id: state.id.clone(),
            state: "pending".to_owned(),
            expires_unix_ms: state.expires_unix_ms,
            ..pb::Approval::default()
        },
    })
}

/// Sends a modern client away, to come back: with a question for its user where it can put one, so that it is the user who
/// says how often; else at once.
fn ask_again(call: &Call<'_>, asking: &Asking, mut recording: Recording) -> Response<ReplyBody> {
    let id = call.message.raw_id();
    let approval = &asking.approval;
    let state = state::State::new(&approval.id, &asking.binding, approval.expires_unix_ms);
    let Some(state) = state.seal(call) else {
        let fault = Fault::unavailable("the edge has no key to seal the wait with");
        return Halt::fault(&fault, id).end(Some(recording));
    };
    let requests: Vec<Asked> = question(call, asking).into_iter().collect();
    let body = inputs::response(id.unwrap_or(b"null"), &requests, &state, None);
    recording.decide(Decision::Approve, Some(Reason::Approval));
    recording.outcome(200, 0, false);
    if recording.close().is_err() {
        return Halt::unrecorded(id).into_response();
    }
    answer::json(http::StatusCode::OK, Bytes::from(body))
}

fn question(call: &Call<'_>, asking: &Asking) -> Option<Asked> {
    let declared = call.message.meta.as_ref()?.client_capabilities?;
    let declared = capabilities::read(declared.of(call.body));
    let message = mcp::edit::quoted(&format!("{}. Look again?", waits_for(call, asking)));
    let mut params = br#"{"mode":"form","message":"#.to_vec();
    params.extend_from_slice(&message);
    params.extend_from_slice(br#","requestedSchema":{"type":"object","properties":{}}}"#);
    let can = capabilities::may_be_asked(&declared, method::ELICITATION_CREATE, &params);
    can.then(|| Asked {
        key: QUESTION.to_owned(),
        method: method::ELICITATION_CREATE.to_owned(),
        params,
    })
}

/// What a client is told while it waits.
fn telling(call: &Call<'_>, asking: &Asking) -> Telling {
    let token = call
        .message
        .meta
        .as_ref()
        .and_then(|meta| meta.progress_token);
    Telling {
        token: token.map(|token| token.of(call.body).to_vec()),
        message: waits_for(call, asking),
    }
}

fn waits_for(call: &Call<'_>, asking: &Asking) -> String {
    let approval = &asking.approval;
    let by = match approval.approvers.as_str() {
        "" => String::new(),
        approvers => format!(" by {approvers}"),
    };
    let what = call.target().unwrap_or_else(|| call.method());
    format!("{what} waits for approval {}{by}", approval.id)
}

fn refusal(approval: &pb::Approval) -> String {
    match approval.comment.as_str() {
        "" => format!("refused by {}", approval.decided_by),
        comment => format!("refused by {}: {comment}", approval.decided_by),
    }
}

/// Nobody agrees.
fn not_approved(rule: &RuleName, why: &str, id: Option<&[u8]>) -> Box<Halt> {
    let by = RefusedBy::Rule(rule.as_str());
    let reason = Reason::Approval;
    let refused = RpcError::refused(reason.as_str(), by, Decision::Deny.as_str());
    let denied = Denied {
        error: RpcError {
            message: format!("not approved (rule {rule}): {why}"),
            ..refused
        },
        reason,
        by: By {
            rule: Some(rule.clone()),
            observed: None,
        },
    };
    Halt::denied(&denied, id)
}
