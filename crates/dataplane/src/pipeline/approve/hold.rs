//! A call that is held until somebody decides, apart from the request that it came by: the answer may have begun.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Response};
use mcp::envelope::{self, Limits};
use mcp::error::RpcError;
use mcp::revision::Revision;
use model::decision::Reason;
use model::name::ServerName;
use model::record::{CallId, Trace};
use proto::v1 as pb;
use tokio::time::timeout;

use super::{Asking, ask_again, not_approved, telling};
use crate::approval::binding::Binding;
use crate::approval::desk::{Desk, Seat};
use crate::body::{Came, ReplyBody, WaitingBody};
use crate::budget::Permit;
use crate::call::Call;
use crate::config::live::Config;
use crate::deliver::messages::is_event_stream;
use crate::deliver::tasks::Tasks;
use crate::deliver::{Admitted, Connection, Hop};
use crate::pipeline::halt::{Ended, Halt};
use crate::pipeline::reply::collect_apart;
use crate::pipeline::standing::leads_to;
use crate::pipeline::{Incall, Shared, note};
use crate::refusal::Fault;
use crate::stage::authorize::authorize;
use crate::stage::record::Recording;

/// How long a modern client waits before it is sent away to come back: so long that nobody comes back too often, and less
/// than any client waits for an answer.
const BRIEFLY: Duration = Duration::from_secs(15);

/// All of a request and its call.
pub(super) struct Owned<H> {
    shared: Arc<Shared<H>>,
    peer: Connection,
    parts: Parts,
    admitted_to: ServerName,
    admitted: Admitted,
    /// As the client calls it: of a virtual server's member, the virtual one.
    called: ServerName,
    server: ServerName,
    config: Arc<Config>,
    id: CallId,
    body: Bytes,
    headers: HeaderMap,
    revision: Revision,
    session: Option<String>,
    trace: Trace,
    sse: bool,
    client: Arc<str>,
    tasks: Tasks,
}

/// A call that is held.
pub(super) struct Held<H> {
    pub(super) call: Owned<H>,
    pub(super) desk: Desk,
    pub(super) seat: Seat,
    pub(super) asking: Asking,
    pub(super) recording: Recording,
    pub(super) permit: Permit,
}

impl<H: Hop> Owned<H> {
    pub(super) fn of(incall: &Incall<'_, H>, call: &Call<'_>) -> Self {
        Self {
            shared: incall.shared.clone(),
            peer: incall.peer.clone(),
            parts: incall.parts.clone(),
            admitted_to: incall.admitted_to.clone(),
            admitted: incall.admitted.clone(),
            called: incall.server.clone(),
            server: call.server.clone(),
            config: call.config.clone(),
            id: call.id,
            body: call.body.clone(),
            headers: call.headers.clone(),
            revision: call.revision,
            session: call.session.map(str::to_owned),
            trace: call.trace,
            sse: call.sse,
            client: call.client.into(),
            tasks: call.tasks.clone(),
        }
    }

    /// Does something with the call as it is by `config` and for `admitted`.
    fn call<'a>(
        &'a self,
        config: &'a Arc<Config>,
        admitted: &'a Admitted,
        message: &'a envelope::Envelope<'a>,
    ) -> Call<'a> {
        Call {
            id: self.id,
            server: &self.server,
            principal: &admitted.principal,
            client_address: admitted.client_address,
            config,
            body: &self.body,
            message,
            revision: self.revision,
            session: self.session.as_deref(),
            trace: self.trace,
            sse: self.sse,
            headers: &self.headers,
            client: &self.client,
            came: None,
            tasks: &self.tasks,
            approval: None,
        }
    }

    fn message(&self) -> Ended<envelope::Envelope<'_>> {
        envelope::scan(&self.body, &Limits::REQUEST)
            .map_err(|fault| Halt::invalid(&RpcError::from(&fault), fault.id()))
    }

    /// Somebody has decided: the caller is let in again, and the call decided on by what is in force now.
    async fn go_on(
        &self,
        desk: &Desk,
        asking: Asking,
        slot: &mut Option<Recording>,
        permit: Permit,
    ) -> Ended<Response<ReplyBody>> {
        let (shared, server) = (&self.shared, &self.server);
        let config = shared.live.load();
        let config = config.unwrap_or_else(|| self.config.clone());
        let admitted = shared
            .hop
            .admit(&config, &self.peer, &self.parts, &self.admitted_to)
            .map_err(|refused| Halt::refused(&refused))?;
        let message = self.message()?;
        let id = message.raw_id();
        let incall = Incall {
            shared,
            peer: &self.peer,
            parts: &self.parts,
            admitted_to: &self.admitted_to,
            config: &config,
            admitted: &admitted,
            server: &self.called,
        };
        let front = &self.admitted_to;
        if !incall.may_use(server) || !leads_to(&config.engine, &admitted.principal, front, server)
        {
            return Err(Halt::refused(&crate::refusal::Refused::not_found()));
        }
        let call = self.call(&config, &admitted, &message);
        let decided = authorize(&call);
        note(slot, &call, &decided, H::HOP);
        match decided {
            // Nobody has to agree any more.
            Ok(_) => incall.proceed(&call, id, slot, permit).await,
            Err(denied) if denied.reason != Reason::Approval => Err(Halt::denied(&denied, id)),
            Err(denied) => match &denied.by.rule {
                Some(rule) if Binding::of(&call, rule) == asking.binding => {
                    incall.decided(desk, &call, &asking, slot, permit).await
                }
                _ => {
                    let why = "the rules, or the caller's rights, changed meanwhile: call again";
                    Err(not_approved(&asking.rule, why, id))
                }
            },
        }
    }
}

impl<H: Hop> Held<H> {
    /// Answers when all is decided.
    pub(super) async fn until_decided(mut self) -> Response<ReplyBody> {
        let since = Instant::now();
        let decided = self.wait().await;
        self.recording.waited_since(since);
        match decided {
            Ok(approval) => self.go_on(approval).await,
            Err(fault) => self.give_up(&fault),
        }
    }

    /// Waits a little; if nobody has decided by then, the client is to come back.
    pub(super) async fn briefly(mut self) -> Response<ReplyBody> {
        let since = Instant::now();
        let decided = timeout(BRIEFLY, self.wait()).await;
        self.recording.waited_since(since);
        match decided {
            Ok(Ok(approval)) => self.go_on(approval).await,
            Ok(Err(fault)) => self.give_up(&fault),
            Err(_) => self.ask_again(),
        }
    }

    /// Answers with a stream that tells of the wait, and of the call once it is made.
    pub(super) fn telling(self) -> Response<ReplyBody> {
        let telling = match self.call.message() {
            Ok(message) => {
                let call = self
                    .call
                    .call(&self.call.config, &self.call.admitted, &message);
                telling(&call, &self.asking)
            }
            Err(halt) => return halt.end(Some(self.recording)),
        };
        let budget = self.call.shared.budget.clone();
        let waits = async move {
            let response = self.until_decided().await;
            if is_event_stream(response.headers()) {
                return Came::Stream(response.into_body());
            }
            match collect_apart(&budget, response.into_body()).await {
                Ok(whole) => Came::Whole(whole),
                Err(why) => {
                    // The stream ends without an answer: its client is told so by that.
                    tracing::warn!(why, "the answer of a call that waited cannot be passed on");
                    Came::Whole(Bytes::new())
                }
            }
        };
        let body = WaitingBody::new(Box::pin(waits), telling);
        crate::pipeline::reply::event_stream(body.into())
    }

    /// Until somebody decides, the client cancels, or this edge leaves.
    async fn wait(&self) -> Result<pb::Approval, Fault> {
        let call = &self.call;
        let id = call.message().ok();
        let id = id.as_ref().and_then(|message| message.id.as_ref());
        let wait = self
            .desk
            .waits()
            .enter(call.session.as_deref(), id.map(envelope::Id::key));
        let approval = &self.asking.approval;
        let decided = self
            .desk
            .decided(&self.seat, &approval.id, approval.expires_unix_ms);
        tokio::select! {
            decided = decided => Ok(decided),
            () = wait.cancelled() => Err(Fault::cancelled("the client cancelled while it waited")),
            () = call.shared.drain.leaving() => {
                let why = "this edge is about to end: call again, what was asked for is still there";
                Err(Fault::overloaded(why))
            }
        }
    }

    async fn go_on(self, approval: pb::Approval) -> Response<ReplyBody> {
        let asking = Asking {
            approval,
            ..self.asking
        };
        let mut slot = Some(self.recording);
        let went = self.call.go_on(&self.desk, asking, &mut slot, self.permit);
        let went = Box::pin(went).await;
        went.unwrap_or_else(|halt| halt.end(slot))
    }

    fn give_up(self, fault: &Fault) -> Response<ReplyBody> {
        match self.call.message() {
            Ok(message) => Halt::fault(fault, message.raw_id()).end(Some(self.recording)),
            Err(halt) => halt.end(Some(self.recording)),
        }
    }

    fn ask_again(self) -> Response<ReplyBody> {
        let owned = &self.call;
        match owned.message() {
            Ok(message) => {
                let call = owned.call(&owned.config, &owned.admitted, &message);
                ask_again(&call, &self.asking, self.recording)
            }
            Err(halt) => halt.end(Some(self.recording)),
        }
    }
}
