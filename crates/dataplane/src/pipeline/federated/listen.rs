//! Streams of several members as one: a modern client's subscription, and what a legacy client's session has standing.

use engine::federation::Federation;
use futures_util::future::join_all;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use mcp::error::RpcError;
use mcp::federate::listen::{BadResources, URIS_MAX, Wanted};
use mcp::federate::{asked_by, outward, uri};
use mcp::method::Target;
use mcp::tasks;
use model::decision::Reason;
use model::name::ServerName;
use tokio::time::{Instant, timeout};

use super::super::Incall;
use super::super::halt::{Ended, Halt};
use super::super::reply::event_stream;
use super::member::{Absences, Absent, Said, said};
use crate::body::{FederatedBody, ReplyBody, Subscription};
use crate::budget::Permit;
use crate::call::Call;
use crate::deliver::messages::is_event_stream;
use crate::deliver::standing::{LAST_EVENT_ID, not_offered};
use crate::deliver::tasks::is_of;
use crate::deliver::{Hop, Session};
use crate::refusal::{Fault, Refused};
use crate::stage::authorize::may_read;
use crate::stage::record::Recording;

impl<H: Hop> Incall<'_, H> {
    /// A subscription: at each member that may grant something of it, and granted where one does.
    pub(super) async fn listen(
        &self,
        federation: &Federation,
        call: &Call<'_>,
        slot: &mut Option<Recording>,
        permit: Permit,
    ) -> Ended<Response<ReplyBody>> {
        let id = call.message.raw_id();
        if !call.sse {
            let message = "the Accept header must list text/event-stream";
            let refused = Refused::new(StatusCode::NOT_ACCEPTABLE, message);
            return Err(Halt::refused(&refused));
        }
        let wanted = self.wanted(federation, call)?;
        let usable: Vec<usize> = self.usable(federation).collect();
        self.open(slot, id)?;
        let asked = usable
            .into_iter()
            .map(|at| &federation.members()[at].server)
            .filter(|server| wanted.concerns(server.as_str()))
            .map(|server| Box::pin(self.listen_at(call, server, &wanted)));
        let mut absences = Absences::default();
        let mut parts = Vec::new();
        for (server, opened) in join_all(asked).await {
            match opened {
                Ok(Some(body)) => parts.push((server.clone(), body)),
                Ok(None) => {}
                Err(absent) => absences.add(server, absent),
            }
        }
        if parts.is_empty() {
            let fault = if absences.is_empty() {
                Fault::not_bridgeable("no server here can be listened to")
            } else {
                absences.fault(federation)
            };
            return Err(Halt::fault(&fault, id));
        }
        let mut recording = slot.take();
        if let Some(recording) = &mut recording {
            recording.hold(permit);
        }
        let until = Instant::now() + self.shared.hop.federating().member_timeout;
        let id = id.unwrap_or(b"null").to_vec();
        let subscription = Subscription::new(id, absences.meta(), recording, until);
        Ok(event_stream(
            FederatedBody::of_subscription(parts, subscription).into(),
        ))
    }

    /// What the client wants to hear of: resources that it may read, and tasks of its own.
    fn wanted(&self, federation: &Federation, call: &Call<'_>) -> Ended<Wanted> {
        let id = call.message.raw_id();
        let unknown = |kind: Target, named: &str| {
            let error = RpcError::unknown_target(kind, named, call.revision.era());
            Halt::invalid(&error, id)
        };
        let wanted = Wanted::of(call.body, call.message).map_err(|bad| match bad {
            BadResources::Unknown(uri) => unknown(Target::Resource, &uri),
            BadResources::TooMany => {
                let message = format!("a subscription may name at most {URIS_MAX} resources");
                Halt::invalid(&RpcError::invalid_params(message), id)
            }
            BadResources::UnknownTask(named) => unknown(Target::Task, &named),
        })?;
        let member = |name: &str| {
            let server = &federation.members()[federation.member(name)?].server;
            Some(server).filter(|server| self.may_use(server))
        };
        for (server, own) in &wanted.resources {
            if !member(server).is_some_and(|server| self.may_read(server, own)) {
                return Err(unknown(Target::Resource, &uri::exposed(server, own)));
            }
        }
        for (server, own) in &wanted.tasks {
            let who = member(server).map(|server| (&*self.admitted.principal, server));
            if !who.is_some_and(|who| is_of(self.config, who, own)) {
                return Err(unknown(Target::Task, &tasks::named(server, own)));
            }
        }
        Ok(wanted)
    }

    /// Who wants to hear of a resource has to be allowed to read it: what is not, is no member's.
    fn may_read(&self, server: &ServerName, uri: &str) -> bool {
        let who = (&*self.admitted.principal, server);
        may_read(&self.config.engine, who, self.admitted.client_address, uri)
    }

    /// `None`: the member has nothing to be listened to.
    async fn listen_at<'f>(
        &self,
        call: &Call<'_>,
        server: &'f ServerName,
        wanted: &Wanted,
    ) -> (&'f ServerName, Result<Option<ReplyBody>, Absent>) {
        let opened = async {
            let body = wanted.of_member(call.body, server.as_str());
            let body = body.map_err(|error| Absent::new(Reason::Invalid, error.to_string()))?;
            let response = self.reply_of(call, server, &body.into(), true).await?;
            if is_event_stream(response.headers()) {
                return Ok(Some(response.into_body()));
            }
            match said(&self.shared.budget, response).await {
                Said::Failed(absent) if !absent.is(Reason::NotBridgeable) => Err(absent),
                _ => Ok(None),
            }
        };
        let opened = timeout(self.time_of(server), opened).await;
        (server, opened.unwrap_or_else(|_| Err(Absent::late())))
    }

    /// The member whose stream a client has lost, and the id of the last event that it had.
    fn lost(&self, parts: &Parts, federation: &Federation) -> Option<(usize, HeaderValue)> {
        let event = parts.headers.get(&LAST_EVENT_ID)?.to_str().ok()?;
        let (server, own) = asked_by(event).filter(|_| parts.method == Method::GET)?;
        let at = federation.member(server)?;
        let is_usable = self.may_use(&federation.members()[at].server);
        Some((at, HeaderValue::from_str(own).ok()?)).filter(|_| is_usable)
    }

    /// Goes on with a stream that was one member's.
    async fn resume_at(
        &self,
        parts: &Parts,
        (server, event): (&ServerName, HeaderValue),
        opened: &Session,
    ) -> Result<Response<ReplyBody>, Refused> {
        let mut own = parts.clone();
        own.headers.insert(LAST_EVENT_ID, event);
        let member = Incall { server, ..*self };
        let stood = Box::pin(member.stand_in(&own, opened, self.server, None)).await?;
        let body = FederatedBody::of_request(server.clone(), outward::ANY, stood.into_body());
        Ok(event_stream(body.into()))
    }

    /// What a legacy client asks of its session without a message, of all members whose sidecars know it.
    pub(in super::super) async fn stand_federated(
        &self,
        parts: &Parts,
        federation: &Federation,
        opened: &Session,
    ) -> Result<Response<ReplyBody>, Refused> {
        if let Some((at, event)) = self.lost(parts, federation) {
            let server = &federation.members()[at].server;
            return self.resume_at(parts, (server, event), opened).await;
        }
        let asked = self.usable(federation).map(|at| {
            let server = &federation.members()[at].server;
            let member = Incall { server, ..*self };
            Box::pin(async move {
                let stood = member.stand_in(parts, opened, self.server, None);
                (server, timeout(self.time_of(server), stood).await)
            })
        });
        let stood: Vec<_> = join_all(asked).await;
        if parts.method == Method::DELETE {
            let mut response = Response::new(ReplyBody::full(bytes::Bytes::new()));
            *response.status_mut() = StatusCode::OK;
            return Ok(response);
        }
        let mut is_over = false;
        let mut streams = Vec::with_capacity(stood.len());
        for (server, stood) in stood {
            match stood {
                Ok(Ok(response)) => streams.push((server.clone(), response.into_body())),
                Ok(Err(refused)) => is_over |= refused.status == StatusCode::NOT_FOUND,
                Err(_late) => {}
            }
        }
        if streams.is_empty() {
            return Err(if is_over {
                Refused::session_ended()
            } else {
                not_offered(&parts.method)
            });
        }
        Ok(event_stream(FederatedBody::of_standing(streams).into()))
    }
}
