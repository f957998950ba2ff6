//! The stream behind `Admin.Replay`: calls on record, decided by the configuration as it is and as it would be.
//!
//! Page by page, newest first; no more than a page is held at a time. It decides nothing itself: that is
//! `engine::replay`'s business.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use engine::Engine;
use engine::replay::{Arguments, Compared, Past, Ruling, Unknown, compare};
use futures_util::Stream;
use futures_util::stream::unfold;
use model::access::Effect;
use model::decision::{Decision, Reason};
use model::name::ServerName;
use model::principal::Principal;
use model::snapshot::ResourceKey;
use model::wire::FILTER;
use proto::v1 as pb;
use tonic::Status;

use super::calls::Calls;
use super::status;
use crate::catalog::State;

/// Calls of one page.
const PAGE: u32 = 1000;

/// Both configurations, ready to decide.
struct Policies {
    before: Engine,
    after: Engine,
    state: Arc<State>,
    next: State,
}

struct Replaying {
    policies: Arc<Policies>,
    calls: Calls,
    since_unix_ns: i64,
    /// The next page. `None`: there is none.
    after: Option<String>,
    sums: Sums,
}

/// All that was found so far.
#[derive(Debug, Clone, Default)]
struct Sums {
    looked: u64,
    changed: u64,
    unknown: BTreeMap<Unknown, u64>,
    otherwise: u64,
    differed: u64,
}

/// Replays what is on record since `since_unix_ns`.
///
/// # Errors
/// A configuration that does not compile: it is checked before, so that is a fault of ours.
pub(super) async fn replay(
    calls: Calls,
    state: Arc<State>,
    next: State,
    since_unix_ns: i64,
) -> Result<impl Stream<Item = Result<pb::ReplayEvent, Status>> + Send + 'static, Status> {
    let compiled = tokio::task::spawn_blocking(move || Policies::compile(state, next)).await;
    let policies = compiled.map_err(|e| Status::internal(e.to_string()))??;
    let replaying = Replaying {
        policies: Arc::new(policies),
        calls,
        since_unix_ns,
        after: Some(String::new()),
        sums: Sums::default(),
    };
    Ok(unfold(replaying, |mut replaying| async move {
        let after = replaying.after.take()?;
        let event = replaying.page(after).await;
        Some((event, replaying))
    }))
}

impl Policies {
    fn compile(state: Arc<State>, next: State) -> Result<Self, Status> {
        let engine = |state: &State| {
            Engine::compile(state.snapshot().clone()).map_err(|faults| {
                let first = faults.first().map(ToString::to_string);
                status::invalid(model::fault::BAD_VALUE, &first.unwrap_or_default())
            })
        };
        Ok(Self {
            before: engine(&state)?,
            after: engine(&next)?,
            state,
            next,
        })
    }

    fn compare(&self, call: &pb::Call) -> Option<Compared<'_>> {
        if call.reason == Reason::Invalid.as_str() {
            // What is no message is none under any policy.
            return None;
        }
        let server = server(&call.server)?;
        let key = self.state.snapshot().api_keys.get(&call.credential);
        let passed = self.passed(call);
        let judged = |principal: &Arc<Principal>| {
            let past = Past {
                principal,
                server: &server,
                method: &call.method,
                name: &call.name,
                arguments: arguments(call),
                client_address: call
                    .client_address
                    .parse()
                    .ok()
                    .map(|at: SocketAddr| at.ip().to_canonical()),
                time: u64::try_from(call.time_unix_ns)
                    .ok()
                    .map(|ns| SystemTime::UNIX_EPOCH + Duration::from_nanos(ns)),
                passed: &passed,
            };
            compare(&self.before, &self.after, &past)
        };
        let Some(key) = key else {
            if self.before.snapshot().groups != self.after.snapshot().groups {
                // Those on record hold what membership added then.
                return Some(Compared::Unknown(Unknown::Groups));
            }
            let groups: Vec<&str> = call.groups.iter().map(String::as_str).collect();
            let by = |client: Option<&str>| {
                let principal = Principal::new(&call.user, &groups, client, &call.credential);
                judged(&Arc::new(principal))
            };
            // The record's client may be the client's own word, where the credential said nothing.
            let said = Some(call.client.as_str()).filter(|client| !client.is_empty());
            let (proven, unproven) = (by(said), by(None));
            return Some(match proven == unproven {
                true => proven,
                false => Compared::Unknown(Unknown::Client),
            });
        };
        Some(judged(&key.principal))
    }

    /// Filters that let the call pass then, and are under both policies what they were.
    fn passed<'c>(&self, call: &'c pb::Call) -> Vec<&'c str> {
        let was_stopped = Reason::parse(&call.reason)
            .is_some_and(|reason| matches!(reason, Reason::Filter | Reason::FilterError));
        if was_stopped || call.decision == Decision::Change.as_str() {
            return Vec::new();
        }
        let is_as_it_was = |name: &&str| {
            let key = ResourceKey::new(FILTER, name);
            let version = |state: &State| state.get(&key).map(|stored| stored.version);
            let now = version(&self.state);
            now.is_some_and(|version| version <= call.revision) && now == version(&self.next)
        };
        let names = call.filters.iter().map(String::as_str);
        names.filter(is_as_it_was).collect()
    }
}

/// A server, or all of them as one.
fn server(name: &str) -> Option<ServerName> {
    if name == ServerName::all().as_str() {
        return Some(ServerName::all());
    }
    ServerName::new(name).ok()
}

fn arguments(call: &pb::Call) -> Arguments<'_> {
    match call {
        _ if call.arguments_cut => Arguments::Cut,
        _ if call.arguments_redacted => Arguments::Redacted,
        _ if call.arguments.is_empty() => Arguments::NotRecorded,
        _ => Arguments::Whole(&call.arguments),
    }
}

impl Replaying {
    async fn page(&mut self, after: String) -> Result<pb::ReplayEvent, Status> {
        let request = pb::ListCallsRequest {
            filter: Some(pb::CallFilter {
                since_unix_ns: self.since_unix_ns,
                ..Default::default()
            }),
            limit: PAGE,
            after,
            ..Default::default()
        };
        let page = self.calls.page(request).await?;
        let done = page.next.is_empty();
        self.after = Some(page.next).filter(|_| !done);
        let (policies, mut sums) = (self.policies.clone(), self.sums.clone());
        let judged = tokio::task::spawn_blocking(move || {
            let calls = judge(&policies, &page.calls, &mut sums);
            (calls, sums)
        });
        let (calls, sums) = judged.await.map_err(|e| Status::internal(e.to_string()))?;
        self.sums = sums;
        Ok(pb::ReplayEvent {
            revision: self.policies.state.revision(),
            looked: self.sums.looked,
            changed: self.sums.changed,
            unknown: self.sums.unknown.iter().map(unknown).collect(),
            otherwise: self.sums.otherwise,
            differed: self.sums.differed,
            calls,
            absent: page.absent,
            done,
        })
    }
}

fn unknown((why, count): (&Unknown, &u64)) -> pb::ReplayUnknown {
    pb::ReplayUnknown {
        why: why.as_str().to_owned(),
        count: *count,
    }
}

/// Judges some calls; gives those that would be decided otherwise.
fn judge(policies: &Policies, calls: &[pb::Call], sums: &mut Sums) -> Vec<pb::ReplayedCall> {
    let mut changed = Vec::new();
    for call in calls {
        sums.looked += 1;
        let before = match policies.compare(call) {
            None => continue,
            Some(Compared::Unknown(why)) => {
                *sums.unknown.entry(why).or_default() += 1;
                continue;
            }
            Some(Compared::Same { before, after }) => {
                let whose = |ruling: &Ruling<'_>| (ruling.rule.cloned(), ruling.filter.cloned());
                sums.otherwise += u64::from(whose(&before) != whose(&after));
                before
            }
            Some(Compared::Differs { before, after }) => {
                sums.changed += 1;
                changed.push(replayed(call, &before, &after));
                before
            }
        };
        sums.differed += u64::from(differed(call, &before));
    }
    changed
}

/// Whether the head decides otherwise than it was decided when the call was made.
fn differed(call: &pb::Call, now: &Ruling<'_>) -> bool {
    let was_refused = call.decision == Decision::Deny.as_str();
    match (Reason::parse(&call.reason), now.effect) {
        (Some(Reason::Rule | Reason::NoRule), effect) => effect != Effect::Deny,
        // It may have been what the server answered.
        (Some(Reason::Filter | Reason::FilterError), _) => false,
        (_, Effect::Deny) => !was_refused,
        (_, Effect::Allow | Effect::Approve) => false,
    }
}

fn replayed(call: &pb::Call, before: &Ruling<'_>, after: &Ruling<'_>) -> pb::ReplayedCall {
    pb::ReplayedCall {
        call_id: call.call_id.clone(),
        time_unix_ns: call.time_unix_ns,
        user: call.user.clone(),
        server: call.server.clone(),
        method: call.method.clone(),
        name: call.name.clone(),
        before: Some(ruling(before)),
        after: Some(ruling(after)),
    }
}

fn ruling(ruling: &Ruling<'_>) -> pb::ReplayRuling {
    let text = |name: Option<&str>| name.unwrap_or_default().to_owned();
    pb::ReplayRuling {
        decision: ruling.effect.as_str().to_owned(),
        reason: text(ruling.reason.map(Reason::as_str)),
        rule: text(ruling.rule.map(|rule| rule.as_str())),
        filter: text(ruling.filter.map(|filter| filter.as_str())),
    }
}
