//! Calls of legacy servers that wait for their modern client: what the server asks for went out as a result, and the call
//! goes on when the client sends it again with its answers (PROTOCOL 4.3, "M client -> L server").
//!
//! The `requestState` of such a result is `gh1.{node}.{key}`: the node, so that any edge finds the way back, and a key of
//! 128 random bits under which the call waits here, with its user, what it asked for, and its end. Each key is good once.
//! A call is never begun anew to make up for one that is lost.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dataplane::call::Call;
use dataplane::deliver::{Message, PARKED_PREFIX, Reply};
use dataplane::refusal::Fault;
use mcp::bridge::inputs::{self, Asked, Brought};
use mcp::envelope::Kind;
use mcp::error::RpcError;
use mcp::walk;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::follow::body_of;
use super::{Setting, Talk};
use crate::serve::failed;
use crate::upstream::response::Response;

/// How long a call waits for its client.
const PARKED: Duration = Duration::from_secs(600);
/// Calls that wait.
const PARKED_MAX: usize = 4096;
/// Of one user.
const PARKED_OF_USER_MAX: usize = 128;
/// How often a server may ask in one call.
pub(super) const ROUNDS_MAX: u32 = 16;
/// Questions that a server may put at once.
pub(super) const PENDING_MAX: usize = 32;

/// What a server asks for and has no answer to.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    /// Its raw id.
    pub(super) id: Vec<u8>,
    /// As the client reads it.
    pub(super) asked: Asked,
}

/// By what a call is known again.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    user: Arc<str>,
    client: Arc<str>,
    /// Of its method and parameters, without what each round brings.
    digest: u64,
    /// How often its client was asked.
    pub(super) rounds: u32,
    /// Whether the server was asked for the headers that it wants.
    pub(super) learned: bool,
}

impl Mark {
    /// `parks`: whether the call may come to wait here; no other is ever looked for by what it says.
    pub(super) fn of(call: &Call<'_>, parks: bool) -> Self {
        Self {
            user: call.principal.user.clone(),
            client: call.principal.client.as_deref().unwrap_or_default().into(),
            digest: if parks { digest(call) } else { 0 },
            rounds: 0,
            learned: false,
        }
    }

    fn is_of(&self, call: &Call<'_>) -> bool {
        let other = Self::of(call, true);
        (&self.user, &self.client, self.digest) == (&other.user, &other.client, other.digest)
    }
}

/// Within one process alone, so that any hash will do. Members may come in another order the next time.
fn digest(call: &Call<'_>) -> u64 {
    let mut parts: Vec<(String, &[u8])> = Vec::new();
    if let Some(params) = call.message.params {
        let changes = ["_meta", inputs::RESPONSES_KEY, inputs::STATE_KEY];
        let members = walk::members(call.body, params);
        let stays = members.filter(|member| !changes.contains(&&*member.key));
        parts.extend(stays.map(|m| (m.key.into_owned(), m.value.of(call.body))));
    }
    parts.sort();
    let mut hasher = DefaultHasher::new();
    (call.method(), parts).hash(&mut hasher);
    hasher.finish()
}

/// A call that waits.
#[derive(Debug)]
struct Parked {
    mark: Mark,
    until: Instant,
    /// The call under way; `None`: it is to be sent anew, as the server has said no.
    talk: Option<(Box<Talk>, Vec<Pending>)>,
}

/// All calls that wait, by key. Locked for a look-up.
#[derive(Debug)]
pub struct Shelf {
    node: Arc<str>,
    parked: Mutex<HashMap<String, Parked>>,
}

impl Shelf {
    /// An empty one, of the sidecar `node`.
    pub fn new(node: Arc<str>) -> Self {
        Self {
            node,
            parked: Mutex::default(),
        }
    }

    /// How many calls wait.
    pub fn len(&self) -> usize {
        self.parked.lock().len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.parked.lock().is_empty()
    }

    /// Gives up what nobody has come back for.
    pub fn sweep(&self) {
        let now = Instant::now();
        let over: Vec<Parked> = {
            let mut parked = self.parked.lock();
            let over = parked.extract_if(|_, parked| parked.until <= now);
            over.map(|(_, parked)| parked).collect()
        };
        over.into_iter().for_each(Parked::give_up);
    }

    /// Gives all up: this process goes.
    pub fn clear(&self) {
        let all: Vec<Parked> = self.parked.lock().drain().map(|(_, p)| p).collect();
        all.into_iter().for_each(Parked::give_up);
    }

    /// Keeps a call; its state. The call comes back where there is no room.
    fn put(&self, call: Parked) -> Result<String, Box<(Parked, Fault)>> {
        let mut random = [0; 16];
        if rand::fill(&mut random).is_err() {
            let fault = Fault::unavailable("there is no randomness");
            return Err(Box::new((call, fault)));
        }
        let key = URL_SAFE_NO_PAD.encode(random);
        let mut parked = self.parked.lock();
        let of_user = parked.values().filter(|p| p.mark.user == call.mark.user);
        if parked.len() >= PARKED_MAX || of_user.count() >= PARKED_OF_USER_MAX {
            let fault = Fault::overloaded("too many calls wait for their client");
            return Err(Box::new((call, fault)));
        }
        parked.insert(key.clone(), call);
        Ok(format!("{PARKED_PREFIX}{}.{key}", self.node))
    }

    /// Gives up the call that a state names.
    fn give_up(&self, state: &str) {
        let key = state.rsplit_once('.').map_or("", |(_, key)| key);
        let parked = self.parked.lock().remove(key);
        if let Some(parked) = parked {
            parked.give_up();
        }
    }

    /// Takes out the call that a state names, for the one who sends it again.
    fn take(&self, state: &str, call: &Call<'_>) -> Option<Parked> {
        let (_, key) = state.strip_prefix(PARKED_PREFIX)?.rsplit_once('.')?;
        let mut parked = self.parked.lock();
        // Possession proves nothing: neither is it told that there is one, nor is it lost for its owner.
        parked.get(key).filter(|parked| parked.mark.is_of(call))?;
        parked.remove(key)
    }
}

impl Parked {
    /// The server is told that nobody answers, and that nobody waits.
    fn give_up(self) {
        let Some((talk, pending)) = self.talk else {
            return;
        };
        let fault = Fault::timeout("nobody has answered");
        for pending in &pending {
            talk.underway.answer(body_of(&fault, &pending.id));
        }
    }
}

/// Goes on with a call that waits here.
///
/// # Errors
/// None waits under this state: it is over, somebody else's, or of another call.
pub async fn resume(
    call: &Call<'_>,
    brought: Brought,
    setting: &Setting<'_>,
) -> Result<Reply, Fault> {
    let state = brought.state.as_deref().unwrap_or_default();
    let parked = setting.shelf.take(state, call).ok_or_else(unknown)?;
    let Some((mut talk, pending)) = parked.talk else {
        // The server wanted something done first: now it may be.
        let mut talk = super::begin(call, setting).await?;
        talk.mark.rounds = parked.mark.rounds;
        return super::reply(talk, None, setting.drain).await;
    };
    talk.take_over(call, setting)?;
    let mut missing = Vec::new();
    for pending in pending {
        let given = brought
            .responses
            .iter()
            .find(|(key, _)| *key == pending.asked.key);
        match given {
            Some((_, result)) => talk.underway.answer(response(&pending.id, result)),
            // What is missing is asked for again (2026-07-28 basic/patterns/mrtr).
            None => missing.push(pending),
        }
    }
    if missing.is_empty() {
        talk.underway.goes_on();
        return super::reply(*talk, None, setting.drain).await;
    }
    let (client, mut asked) = mpsc::channel(1);
    talk.park(missing, &client).await;
    let asked = asked.recv().await;
    asked.map(Reply::Whole).ok_or_else(unknown)
}

fn unknown() -> Fault {
    Fault::invalid(RpcError::invalid_params(
        "the requestState is unknown or over: send the call again without it, if it may be done twice",
    ))
}

fn response(id: &[u8], result: &[u8]) -> Vec<u8> {
    [
        br#"{"jsonrpc":"2.0","id":"#,
        id,
        br#","result":"#,
        result,
        b"}",
    ]
    .concat()
}

impl Talk {
    /// Puts the call aside; its client is told what is asked for.
    pub(super) async fn park(mut self, pending: Vec<Pending>, out: &mpsc::Sender<Message>) {
        self.underway.waits_for_somebody(PARKED);
        self.mark.rounds += 1;
        let asked: Vec<Asked> = pending.iter().map(|p| p.asked.clone()).collect();
        let id = self.translator.id().to_vec();
        let info = self.translator.server_info().map(<[u8]>::to_vec);
        let shelf = self.shelf.clone();
        if self.mark.rounds > ROUNDS_MAX {
            let why = format!("the server asked for more input {ROUNDS_MAX} times");
            for pending in &pending {
                let refusal = body_of(&Fault::timeout("nobody answers"), &pending.id);
                self.underway.answer(refusal);
            }
            let _ = out.send(failed(&Fault::unavailable(why), &id)).await;
            return;
        }
        self.translator = self.translator.clone().without_request();
        let parked = Parked {
            mark: self.mark.clone(),
            until: Instant::now() + PARKED,
            talk: Some((Box::new(self), pending)),
        };
        let state = match shelf.put(parked) {
            Ok(state) => state,
            Err(back) => {
                let (parked, fault) = *back;
                parked.give_up();
                let _ = out.send(failed(&fault, &id)).await;
                return;
            }
        };
        let text = inputs::response(&id, &asked, &state, info.as_deref());
        let said = Message::said(Kind::Response, text.into());
        if out.send(said).await.is_err() {
            // Nobody has the state, and nobody will come back with it.
            shelf.give_up(&state);
        }
    }

    /// The error of 2025-11-25 that wants something done by URL: the client is asked for it, and then sends the call anew.
    pub(super) fn url_required(&self, response: &Response) -> Result<Message, Fault> {
        let asked = inputs::of_url_error(response.error().unwrap_or_default());
        if asked.is_empty() || self.mark.rounds >= ROUNDS_MAX {
            // It names nothing that could be done about it, or never has enough.
            return self.translator.response(response);
        }
        let parked = Parked {
            mark: Mark {
                rounds: self.mark.rounds + 1,
                ..self.mark.clone()
            },
            until: Instant::now() + PARKED,
            talk: None,
        };
        let state = self.shelf.put(parked).map_err(|back| back.1)?;
        let (id, info) = (self.translator.id(), self.translator.server_info());
        let text = inputs::response(id, &asked, &state, info);
        Ok(Message::said(Kind::Response, text.into()))
    }

    /// The call goes on under another request of its client.
    fn take_over(&mut self, call: &Call<'_>, setting: &Setting<'_>) -> Result<(), Fault> {
        self.translator = crate::bridge::cross(call, &setting.side())?.into_owned();
        self.streams = call.sse;
        Ok(())
    }
}
