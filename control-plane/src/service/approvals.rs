//! Approvals: what edges ask for, and what people answer.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::unfold;
use proto::v1 as pb;
use proto::v1::approval_desk_server::ApprovalDesk;
use proto::v1::approvals_server::Approvals as People;
use runtime::drain::Drain;
use runtime::tls::Peer;
use tokio::sync::watch;
use tonic::{Code, Request, Response, Status};

use super::node::certified;
use super::status;
use crate::access::{ApiKey, caller};
use crate::approvals::{Approvals, Decider, Error};
use crate::catalog::{Catalog, State};
use crate::clock;
use crate::keys;

type Reply<T> = Result<Response<T>, Status>;
type Events = Pin<Box<dyn Stream<Item = Result<pb::Approval, Status>> + Send>>;

/// How soon the store is asked again that did not answer.
const AGAIN: Duration = Duration::from_millis(500);
/// How long after an approval's end is looked, which nobody announces.
const LAG: Duration = Duration::from_millis(50);
/// How often is looked whether a key is still good.
const LOOK_AT_KEY: Duration = Duration::from_secs(30);
/// How long is waited for what does not change by itself.
const LONG: Duration = Duration::from_secs(3600);

/// For edges.
#[derive(Debug)]
pub(crate) struct DeskService {
    /// What waits.
    pub approvals: Arc<Approvals>,
    /// Ends streams.
    pub drain: Drain,
}

/// For people.
#[derive(Debug)]
pub(crate) struct PeopleService {
    /// What waits.
    pub approvals: Arc<Approvals>,
    /// Whose API keys these are.
    pub catalog: Arc<Catalog>,
    /// Ends streams.
    pub drain: Drain,
}

#[tonic::async_trait]
impl ApprovalDesk for DeskService {
    async fn ask(&self, request: Request<pb::AskApprovalRequest>) -> Reply<pb::Approval> {
        let node = edge(&request)?;
        let asked = self.approvals.ask(&node, request.get_ref()).await;
        asked.map(Response::new).map_err(of_approvals)
    }

    type FollowStream = Events;

    async fn follow(
        &self,
        request: Request<pb::FollowApprovalRequest>,
    ) -> Reply<Self::FollowStream> {
        edge(&request)?;
        let id = request.into_inner().id;
        // Who follows what is not there is told at once.
        self.approvals.look(&id).await.map_err(of_approvals)?;
        let following = Following {
            changes: self.approvals.changes(),
            approvals: self.approvals.clone(),
            id,
            told: None,
            over: false,
            drain: self.drain.clone(),
        };
        let events = unfold(following, |mut following| async {
            following.next().await.map(|event| (event, following))
        });
        Ok(Response::new(Box::pin(events)))
    }

    async fn spend(&self, request: Request<pb::SpendApprovalRequest>) -> Reply<pb::Approval> {
        edge(&request)?;
        let spent = self.approvals.spend(request.get_ref()).await;
        spent.map(Response::new).map_err(of_approvals)
    }
}

#[tonic::async_trait]
impl People for PeopleService {
    async fn list(
        &self,
        request: Request<pb::ListApprovalsRequest>,
    ) -> Reply<pb::ListApprovalsResponse> {
        let decider = self.decider(&request)?;
        let approvals = self.approvals.list(&decider, request.get_ref().all).await;
        Ok(Response::new(pb::ListApprovalsResponse {
            approvals: approvals.map_err(of_approvals)?,
        }))
    }

    type WatchStream = Events;

    async fn watch(&self, request: Request<pb::ListApprovalsRequest>) -> Reply<Self::WatchStream> {
        let key = request.extensions().get::<ApiKey>().cloned();
        let watching = Watching {
            decider: self.decider(&request)?,
            key,
            states: self.catalog.watch(),
            changes: self.approvals.changes(),
            approvals: self.approvals.clone(),
            told: BTreeMap::new(),
            all: request.get_ref().all,
            queue: Vec::new(),
            over: false,
            drain: self.drain.clone(),
        };
        let events = unfold(watching, |mut watching| async {
            watching.next().await.map(|event| (event, watching))
        });
        Ok(Response::new(Box::pin(events)))
    }

    async fn decide(&self, request: Request<pb::DecideApprovalRequest>) -> Reply<pb::Approval> {
        let decider = self.decider(&request)?;
        let decided = self.approvals.decide(&decider, request.get_ref()).await;
        decided.map(Response::new).map_err(of_approvals)
    }
}

impl PeopleService {
    /// Who decides: by an API key, or by an administrator's token.
    fn decider<T>(&self, request: &Request<T>) -> Result<Decider, Status> {
        match request.extensions().get() {
            None => Ok(Decider::Admin(caller(request)?.name)),
            Some(key) => by_key(&self.catalog.state(), key),
        }
    }
}

/// Who decides by this key, as things are now.
fn by_key(state: &State, ApiKey(text): &ApiKey) -> Result<Decider, Status> {
    let key = keys::find(state, text, clock::now_ms());
    let key = key.ok_or_else(|| {
        status::unauthenticated("GH3003", "the API key is not one of this installation's")
    })?;
    Ok(Decider::of_key(key, state.snapshot()))
}

/// One approval, told of until it does not change any more.
struct Following {
    approvals: Arc<Approvals>,
    changes: watch::Receiver<u64>,
    id: String,
    told: Option<String>,
    over: bool,
    drain: Drain,
}

impl Following {
    async fn next(&mut self) -> Option<Result<pb::Approval, Status>> {
        while !self.over {
            self.changes.mark_unchanged();
            let pause = match self.approvals.look(&self.id).await {
                Ok(approval) if self.told.as_ref() == Some(&approval.state) => left(&approval),
                Ok(approval) => {
                    self.told = Some(approval.state.clone());
                    self.over = !matches!(approval.state.as_str(), "pending" | "granted");
                    return Some(Ok(approval));
                }
                Err(Error::Store(error)) if error.may_be_retried() => AGAIN,
                Err(error) => {
                    self.over = true;
                    return Some(Err(of_approvals(error)));
                }
            };
            tokio::select! {
                () = self.drain.signaled() => return None,
                changed = self.changes.changed() => changed.ok()?,
                () = tokio::time::sleep(pause) => {}
            }
        }
        None
    }
}

/// All approvals of somebody, told of as they come and change. Bounded by what the store holds.
struct Watching {
    approvals: Arc<Approvals>,
    changes: watch::Receiver<u64>,
    decider: Decider,
    /// By which key, where it is by one: it may be revoked, or end, and groups may change.
    key: Option<ApiKey>,
    states: watch::Receiver<Arc<State>>,
    all: bool,
    /// What was told last of each.
    told: BTreeMap<String, String>,
    /// What is to be told, the next one last.
    queue: Vec<pb::Approval>,
    over: bool,
    drain: Drain,
}

impl Watching {
    async fn next(&mut self) -> Option<Result<pb::Approval, Status>> {
        while !self.over {
            if let Some(approval) = self.queue.pop() {
                return Some(Ok(approval));
            }
            self.changes.mark_unchanged();
            if let Some(key) = &self.key {
                match by_key(&self.states.borrow_and_update(), key) {
                    Ok(decider) => self.decider = decider,
                    Err(status) => {
                        self.over = true;
                        return Some(Err(status));
                    }
                }
            }
            let pause = match self.approvals.list(&self.decider, true).await {
                Ok(now) => self.compare(now),
                Err(Error::Store(error)) if error.may_be_retried() => AGAIN,
                Err(error) => {
                    self.over = true;
                    return Some(Err(of_approvals(error)));
                }
            };
            if !self.queue.is_empty() {
                continue;
            }
            let by_key = self.key.is_some();
            // A key's end is announced by nobody.
            let pause = if by_key {
                pause.min(LOOK_AT_KEY)
            } else {
                pause
            };
            tokio::select! {
                () = self.drain.signaled() => return None,
                changed = self.changes.changed() => changed.ok()?,
                changed = self.states.changed(), if by_key => changed.ok()?,
                () = tokio::time::sleep(pause) => {}
            }
        }
        None
    }

    /// Queues what is new; says when the next one ends.
    fn compare(&mut self, now: Vec<pb::Approval>) -> Duration {
        let next = now.iter().map(left).min();
        let mut told = BTreeMap::new();
        for approval in now.into_iter().rev() {
            let before = self.told.get(&approval.id);
            let is_news = before.is_some() || self.all || approval.state == "pending";
            if is_news {
                told.insert(approval.id.clone(), approval.state.clone());
            }
            if is_news && before != Some(&approval.state) {
                self.queue.push(approval);
            }
        }
        self.told = told;
        next.unwrap_or(LONG)
    }
}

/// How long until an approval changes by itself.
fn left(approval: &pb::Approval) -> Duration {
    match approval.state.as_str() {
        "pending" | "granted" => {
            let left = approval.expires_unix_ms - clock::now_ms();
            Duration::from_millis(u64::try_from(left).unwrap_or(0)) + LAG
        }
        _ => LONG,
    }
}

/// The edge at the other end.
fn edge<T>(request: &Request<T>) -> Result<String, Status> {
    let (peer, ends_unix_ms) = certified(request)?;
    if ends_unix_ms <= clock::now_ms() {
        // The connection is older than the end of its certificate.
        let message = "the node's certificate is over: join anew";
        return Err(status::unauthenticated("GH3105", message));
    }
    match peer {
        Peer::Edge { node } => Ok(node.to_string()),
        _ => {
            let message = "only edges ask people to agree";
            Err(status::with_code(Code::PermissionDenied, "GH3106", message))
        }
    }
}

fn of_approvals(error: Error) -> Status {
    let message = error.to_string();
    match error {
        Error::Unknown(_) => status::not_found(model::fault::DANGLING, &message),
        Error::Own | Error::NoApprover(_) => {
            status::with_code(Code::PermissionDenied, "GH3201", &message)
        }
        Error::Other | Error::Decided(..) | Error::NoRule(_) => {
            status::with_code(Code::FailedPrecondition, "GH3202", &message)
        }
        Error::TooMany(..) => status::with_code(Code::ResourceExhausted, "GH3203", &message),
        Error::Request(..) => status::invalid(model::fault::BAD_VALUE, &message),
        Error::Busy => status::with_code(Code::Aborted, "GH5003", &message),
        Error::Store(error) => status::of_store(&error),
    }
}
