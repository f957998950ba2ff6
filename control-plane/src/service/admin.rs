//! The admin API: what the command line, the dashboard and scripts speak.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use model::fault::{DANGLING, MISSING, UNKNOWN_KIND};
use model::name::ServerName;
use model::snapshot::ResourceKey;
use model::wire::KINDS;
use proto::v1 as pb;
use proto::v1::admin_server::Admin;
use runtime::drain::Drain;
use tonic::{Request, Response, Status};

use super::calls::Calls;
use super::{logs, merge, replay, rollout, status, watch};
use crate::access::{caller, reader};
use crate::catalog::{Asked, Catalog, End, Error, Options, Outcome, Standing, is_internal};
use crate::join::Desk;
use crate::keys;
use crate::logs::Logs;
use crate::nodes::Nodes;
use crate::pins;
use crate::replicas::{Peers, Replicas};
use crate::stager::Stager;

type Reply<T> = Result<Response<T>, Status>;
type Events<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The service. Every method but `version` asks [`caller`] first.
#[derive(Debug)]
pub(crate) struct AdminService {
    /// What is configured.
    pub catalog: Arc<Catalog>,
    /// Who runs it.
    pub nodes: Arc<Nodes>,
    /// The replicas of this control plane.
    pub replicas: Arc<Replicas>,
    /// The way to the others.
    pub peers: Arc<Peers>,
    /// Who may join.
    pub desk: Arc<Desk>,
    /// Who looks after staged rollouts.
    pub stager: Stager,
    /// Who reads logs.
    pub logs: Logs,
    /// What was called.
    pub calls: Calls,
    /// Ends streams.
    pub drain: Drain,
}

#[tonic::async_trait]
impl Admin for AdminService {
    async fn apply(&self, request: Request<pb::ApplyRequest>) -> Reply<pb::ApplyResponse> {
        let caller = caller(&request)?;
        let pb::ApplyRequest {
            resources,
            dry_run,
            if_revision,
            stages,
        } = request.into_inner();
        let options = Options {
            stages,
            ..Options::asked(dry_run, if_revision)
        };
        let outcome = self.catalog.apply(&caller.name, resources, options).await;
        applied(outcome, "resources")
    }

    async fn get(&self, request: Request<pb::GetRequest>) -> Reply<pb::Resource> {
        caller(&request)?;
        let key = key(request.into_inner().key)?;
        let state = self.catalog.state();
        match state.get(&key).filter(|_| !is_internal(&key.kind)) {
            Some(stored) => Ok(Response::new(stored.shown())),
            None => {
                check_kind(&key.kind)?;
                let message = format!("no {} named {}", key.kind, key.name);
                Err(status::not_found(DANGLING, &message))
            }
        }
    }

    async fn list(&self, request: Request<pb::ListRequest>) -> Reply<pb::ListResponse> {
        caller(&request)?;
        let kind = request.into_inner().kind;
        check_kind(&kind)?;
        let state = self.catalog.state();
        let resources = state
            .visible()
            .filter(|(key, _)| kind.is_empty() || key.kind == kind)
            .map(|(_, stored)| stored.shown())
            .collect();
        Ok(Response::new(pb::ListResponse {
            revision: state.revision(),
            resources,
        }))
    }

    async fn delete(&self, request: Request<pb::DeleteRequest>) -> Reply<pb::ApplyResponse> {
        let caller = caller(&request)?;
        let pb::DeleteRequest {
            keys,
            if_revision,
            dry_run,
        } = request.into_inner();
        let keys = keys
            .into_iter()
            .map(|k| key(Some(k)))
            .collect::<Result<Vec<_>, _>>()?;
        for key in &keys {
            check_kind(&key.kind)?;
        }
        let options = Options::asked(dry_run, if_revision);
        let outcome = self.catalog.delete(&caller.name, keys, options).await;
        applied(outcome, "keys")
    }

    type WatchStream = Events<pb::WatchEvent>;

    async fn watch(&self, request: Request<pb::WatchRequest>) -> Reply<Self::WatchStream> {
        caller(&request)?;
        let pb::WatchRequest { kind, initial } = request.into_inner();
        check_kind(&kind)?;
        let events = watch::watch(self.catalog.watch(), kind, initial, self.drain.clone());
        Ok(Response::new(Box::pin(events)))
    }

    type RolloutStream = Events<pb::RolloutProgress>;

    async fn rollout(&self, request: Request<pb::RolloutRequest>) -> Reply<Self::RolloutStream> {
        caller(&request)?;
        let revision = request.into_inner().revision;
        let head = self.catalog.state().revision();
        if revision > head {
            let message = format!("there is no revision {revision} yet: the head is {head}");
            return Err(status::not_found(DANGLING, &message));
        }
        let (nodes, others) = (self.nodes.clone(), self.replicas.watch());
        let states = self.catalog.watch();
        let progress = rollout::follow(revision, nodes, (others, states), self.drain.clone());
        Ok(Response::new(Box::pin(progress)))
    }

    async fn get_staged_rollout(
        &self,
        request: Request<pb::GetStagedRolloutRequest>,
    ) -> Reply<pb::StagedRollout> {
        caller(&request)?;
        Ok(Response::new(self.stager.shown()))
    }

    async fn end_staged_rollout(
        &self,
        request: Request<pb::EndStagedRolloutRequest>,
    ) -> Reply<pb::ApplyResponse> {
        let author = caller(&request)?.name;
        let pb::EndStagedRolloutRequest { promote, revision } = request.into_inner();
        let (how, what) = if promote {
            (End::Promote, "promoted")
        } else {
            (End::Halt, "halted")
        };
        let why = format!("{what} by {author}");
        let outcome = self.catalog.end_staged(&author, revision, how, &why).await;
        applied(outcome, "rollout")
    }

    async fn create_key(
        &self,
        request: Request<pb::CreateKeyRequest>,
    ) -> Reply<pb::CreateKeyResponse> {
        let caller = caller(&request)?;
        let made = keys::create(&self.catalog, &caller.name, request.get_ref()).await;
        let keys::Created { id, key, revision } =
            made.map_err(|e| status::of_catalog(e, "keys"))?;
        Ok(Response::new(pb::CreateKeyResponse {
            id,
            key: key.to_string(),
            revision,
        }))
    }

    async fn list_keys(
        &self,
        request: Request<pb::ListKeysRequest>,
    ) -> Reply<pb::ListKeysResponse> {
        caller(&request)?;
        Ok(Response::new(pb::ListKeysResponse {
            keys: keys::list(&self.catalog.state()),
        }))
    }

    async fn revoke_key(&self, request: Request<pb::RevokeKeyRequest>) -> Reply<pb::ApplyResponse> {
        let caller = caller(&request)?;
        let id = &request.get_ref().id;
        let outcome = keys::revoke(&self.catalog, &caller.name, id).await;
        applied(outcome, "keys")
    }

    async fn create_join_token(
        &self,
        request: Request<pb::CreateJoinTokenRequest>,
    ) -> Reply<pb::CreateJoinTokenResponse> {
        caller(&request)?;
        let server = self.server_of(request.get_ref())?;
        let token = self.desk.create(server).await.map_err(status::of_join)?;
        Ok(Response::new(pb::CreateJoinTokenResponse {
            token: token.text.to_string(),
            expires_unix_ms: token.expires_unix_ms,
        }))
    }

    async fn list_nodes(
        &self,
        request: Request<pb::ListNodesRequest>,
    ) -> Reply<pb::ListNodesResponse> {
        reader(&request)?;
        let ours = pb::ListNodesResponse {
            revision: self.catalog.state().revision(),
            nodes: self.nodes.list(),
            absent: Vec::new(),
        };
        if request.get_ref().only_here || self.peers.is_alone() {
            return Ok(Response::new(ours));
        }
        let question = pb::ListNodesRequest { only_here: true };
        let answers = self
            .peers
            .ask(|mut peer| async move { peer.admin.list_nodes(question).await })
            .await;
        let here = self.replicas.name().to_owned();
        Ok(Response::new(merge::nodes(here, ours, answers)))
    }

    async fn get_server_status(
        &self,
        request: Request<pb::GetServerStatusRequest>,
    ) -> Reply<pb::GetServerStatusResponse> {
        reader(&request)?;
        let pb::GetServerStatusRequest {
            server: wanted,
            only_here,
        } = request.into_inner();
        let state = self.catalog.state();
        let known = &state.snapshot().servers;
        if !wanted.is_empty() && !known.contains_key(wanted.as_str()) {
            return Err(no_server(&wanted));
        }
        let meant = known
            .keys()
            .filter(|name| wanted.is_empty() || name.as_str() == wanted);
        let ours = pb::GetServerStatusResponse {
            servers: self.nodes.servers(meant),
            absent: Vec::new(),
        };
        if only_here || self.peers.is_alone() {
            return Ok(Response::new(ours));
        }
        let question = pb::GetServerStatusRequest {
            server: wanted,
            only_here: true,
        };
        let answers = self
            .peers
            .ask(|mut peer| {
                let question = question.clone();
                async move { peer.admin.get_server_status(question).await }
            })
            .await;
        Ok(Response::new(merge::servers(ours, answers)))
    }

    type ServerLogsStream = Events<pb::ServerLogsEvent>;

    async fn server_logs(
        &self,
        request: Request<pb::ServerLogsRequest>,
    ) -> Reply<Self::ServerLogsStream> {
        reader(&request)?;
        let request = request.into_inner();
        if !self
            .catalog
            .state()
            .snapshot()
            .servers
            .contains_key(request.server.as_str())
        {
            return Err(no_server(&request.server));
        }
        let readings = logs::here(&self.nodes, &self.logs, &request);
        let theirs = if request.only_here {
            Vec::new()
        } else {
            logs::elsewhere(&self.peers, &request).await
        };
        if readings.is_empty() && theirs.is_empty() && !request.only_here {
            return Err(logs::no_sidecar(&request.server));
        }
        let events = logs::merge(readings, theirs, self.drain.clone());
        Ok(Response::new(Box::pin(events)))
    }

    async fn history(&self, request: Request<pb::HistoryRequest>) -> Reply<pb::HistoryResponse> {
        caller(&request)?;
        let request = request.into_inner();
        let key = request.key.map(|named| key(Some(named))).transpose()?;
        let asked = Asked {
            key,
            limit: request.limit as usize,
            before: request.before,
        };
        let page = self.catalog.history(&asked).await;
        let page = page.map_err(|e| status::of_catalog(e, "key"))?;
        Ok(Response::new(pb::HistoryResponse {
            revision: page.revision,
            entries: page.entries,
            next: page.next,
        }))
    }

    type ReplayStream = Events<pb::ReplayEvent>;

    async fn replay(&self, request: Request<pb::ReplayRequest>) -> Reply<Self::ReplayStream> {
        caller(&request)?;
        let pb::ReplayRequest {
            resources,
            since_unix_ns,
        } = request.into_inner();
        let tried = self.catalog.try_out(resources).await;
        let (before, after) = tried.map_err(|e| status::of_catalog(e, "resources"))?;
        let events = replay::replay(self.calls.clone(), before, after, since_unix_ns).await?;
        let drain = self.drain.clone();
        let events = events.take_until(async move { drain.signaled().await });
        Ok(Response::new(Box::pin(events)))
    }

    async fn rollback(&self, request: Request<pb::RollbackRequest>) -> Reply<pb::ApplyResponse> {
        let caller = caller(&request)?;
        let pb::RollbackRequest {
            revision,
            dry_run,
            if_revision,
        } = request.into_inner();
        let options = Options::asked(dry_run, if_revision);
        let outcome = self.catalog.rollback(&caller.name, revision, options).await;
        applied(outcome, "resources")
    }

    async fn accept_store(
        &self,
        request: Request<pb::AcceptStoreRequest>,
    ) -> Reply<pb::ApplyResponse> {
        let caller = caller(&request)?;
        let outcome = self
            .catalog
            .accept(&caller.name, request.get_ref().revision)
            .await;
        applied(outcome, "revision")
    }

    async fn list_tool_states(
        &self,
        request: Request<pb::ListToolStatesRequest>,
    ) -> Reply<pb::ListToolStatesResponse> {
        caller(&request)?;
        let wanted = &request.get_ref().server;
        let servers = pins::list(&self.catalog.state(), wanted);
        if !wanted.is_empty() && servers.is_empty() {
            return Err(no_server(wanted));
        }
        Ok(Response::new(pb::ListToolStatesResponse { servers }))
    }

    async fn accept_tools(
        &self,
        request: Request<pb::AcceptToolsRequest>,
    ) -> Reply<pb::ApplyResponse> {
        let caller = caller(&request)?;
        let request = request.get_ref();
        let state = self.catalog.state();
        if !state
            .snapshot()
            .servers
            .contains_key(request.server.as_str())
        {
            return Err(no_server(&request.server));
        }
        let outcome = pins::decide(&self.catalog, &caller.name, request).await;
        applied(outcome, "tools")
    }

    async fn version(&self, _: Request<pb::VersionRequest>) -> Reply<pb::VersionResponse> {
        let state = self.catalog.state();
        Ok(Response::new(pb::VersionResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: state.revision(),
            sha256: state.sha256().hex(),
            store: self.catalog.store_kind().to_owned(),
            replicas: self.replicas.list(),
            went_back: match self.catalog.standing() {
                Standing::Firm => None,
                Standing::WentBack(back) => Some(pb::WentBack {
                    ran: back.ran,
                    holds: back.holds,
                }),
            },
        }))
    }
}

impl AdminService {
    /// The server that a node to be stands before; `None` for an edge.
    fn server_of(
        &self,
        request: &pb::CreateJoinTokenRequest,
    ) -> Result<Option<ServerName>, Status> {
        match request.kind() {
            pb::NodeKind::Edge if request.server.is_empty() => Ok(None),
            pb::NodeKind::Edge => Err(status::invalid(
                "GH1002",
                "an edge stands before no server of its own",
            )),
            pb::NodeKind::Sidecar => {
                let name = ServerName::new(&request.server)
                    .map_err(|bad| status::invalid("GH1002", &bad.to_string()))?;
                match self.catalog.state().snapshot().servers.contains_key(&name) {
                    true => Ok(Some(name)),
                    false => Err(no_server(&request.server)),
                }
            }
            pb::NodeKind::Unspecified => Err(status::invalid(
                MISSING,
                "say what joins: an edge or a sidecar",
            )),
        }
    }
}

/// What a change did; its faults are about `field` of the request.
fn applied(outcome: Result<Outcome, Error>, field: &str) -> Reply<pb::ApplyResponse> {
    let Outcome {
        revision,
        changes,
        warnings,
    } = outcome.map_err(|error| status::of_catalog(error, field))?;
    Ok(Response::new(pb::ApplyResponse {
        revision,
        changes,
        warnings,
    }))
}

fn key(key: Option<pb::ResourceKey>) -> Result<ResourceKey, Status> {
    let key = key.ok_or_else(|| status::invalid(MISSING, "key is missing"))?;
    Ok(ResourceKey::new(&key.kind, &key.name))
}

/// Kinds that users see; empty is all of them.
fn check_kind(kind: &str) -> Result<(), Status> {
    if kind.is_empty() || KINDS.iter().any(|known| known.name == kind) {
        return Ok(());
    }
    Err(status::invalid(
        UNKNOWN_KIND,
        &format!("{kind:?} is not a kind of resource"),
    ))
}

fn no_server(name: &str) -> Status {
    status::not_found(DANGLING, &format!("no Server named {name}"))
}
