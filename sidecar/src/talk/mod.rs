//! One call from its request to its answer: what is said in between, and who is asked for what.
//!
//! ```text
//! begin: a line to the server -> Talk -- follow: progress, log messages, questions, until the answer
//!                                          |-- ask: a modern server's result asks a legacy client, by requests
//!                                          \-- parked: a legacy server's request asks a modern client, by a result
//! listen: what servers say about no call
//! ```
//!
//! Knows both sides' messages as [`crate::bridge`] turns them over. Must not know connections of clients: what is to be
//! said goes into a channel or into the client's outbox.

mod ask;
pub mod attend;
mod follow;
pub mod line;
pub mod listen;
pub mod parked;

use std::sync::Arc;
use std::time::Duration;

use dataplane::call::Call;
use dataplane::deliver::{Asker, Events, Reply, Tape};
use dataplane::refusal::Fault;
use mcp::bridge::capabilities;
use mcp::envelope::{IdKey, Kind};
use mcp::method;
use mcp::revision::Era;
use runtime::drain::Drain;
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::line::Line;
use self::parked::Shelf;
use crate::bridge::{Side, Translator, Way};
use crate::client::Client;
use crate::serve::fault;
use crate::upstream::level::Level;
use crate::upstream::session::Ready;
use crate::upstream::ticket::{Abandoned, Ask, Event, Held, TakenBack};
use crate::upstream::underway::Underway;

/// Messages of one reply that may wait for its client.
const EVENTS_MAX: usize = 16;

/// What a call needs besides itself.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// The server.
    pub ready: &'a Arc<Ready>,
    /// The caller's session, where it has one.
    pub client: Option<&'a Arc<Client>>,
    /// Where calls wait for their client.
    pub shelf: &'a Arc<Shelf>,
    /// Owns the tasks that stream replies.
    pub drain: &'a Drain,
    /// How long an answer may take.
    pub limit: Duration,
}

impl<'a> Setting<'a> {
    /// The server's side of the call.
    pub fn side(&self) -> Side<'a> {
        Side {
            greeting: &self.ready.greeting,
            own: self.ready.is_own(),
        }
    }
}

/// A call under way.
#[derive(Debug)]
pub struct Talk {
    translator: Translator<'static>,
    underway: Underway,
    line: Line,
    ask: Ask,
    client: Option<Arc<Client>>,
    /// The client takes the call back.
    taken_back: CancellationToken,
    _begun: Arc<Begun>,
    /// Whether the client takes a stream.
    streams: bool,
    /// What a modern client can be asked for.
    declared: Arc<Map<String, Value>>,
    /// The lowest level of log messages that a modern client wants.
    level: Option<Level>,
    /// The tool, prompt or resource that it is about.
    target: Option<String>,
    shelf: Arc<Shelf>,
    /// Whose call it is, and what it is, to know it again.
    mark: parked::Mark,
}

/// Sends a call on, and gives its reply.
///
/// # Errors
/// It could not be sent, or its answer has no form for the client.
pub async fn talk(call: &Call<'_>, setting: &Setting<'_>) -> Result<Reply, Fault> {
    let talk = begin(call, setting).await?;
    reply(talk, None, setting.drain).await
}

async fn begin(call: &Call<'_>, setting: &Setting<'_>) -> Result<Talk, Fault> {
    let ready = setting.ready;
    let own = ready.is_own();
    let translator = crate::bridge::cross(call, &setting.side())?;
    let way = translator.way();
    let declared = declared(call);
    let meta = call.message.meta.as_ref();
    let level = meta.and_then(|meta| meta.log_level.as_deref());
    let level = level.and_then(Level::of).filter(|_| own);
    let may_ask = method::may_ask_for_input(call.method());
    // A list is answered whole, as it has to be cut; who takes no stream hears of nothing, and gets no more time for it.
    let streams = call.sse && method::is_list(call.method()).is_none();
    let can_be_asked = !declared.is_empty() && may_ask;
    let line = Line::to(call, setting, &declared, way, can_be_asked).await?;
    let hears = own
        && match way {
            Way::ModernOnLegacy => can_be_asked || (level.is_some() && streams),
            Way::Same(_) | Way::LegacyOnModern => streams,
        };
    // Known before it is sent: a server over HTTP may say nothing until it answers.
    let begun = Begun::of(call, setting.client);
    let ask = Ask {
        origin: None,
        progress: translator.wants_progress() && streams,
        hears,
        can_be_asked: can_be_asked && way == Way::ModernOnLegacy,
        listens: false,
        limit: setting.limit,
        abandoned: if call.is_modern() {
            Abandoned::Cancel
        } else {
            Abandoned::Finish
        },
        taken_back: TakenBack::by(begun.taken_back.clone(), Some(begun.clone())),
    };
    if let (Way::ModernOnLegacy, Some(level)) = (way, level) {
        line.set_level(level, ready).await;
    }
    let underway = tokio::select! {
        sent = line.send(call, &translator, setting.client, ask.clone()) => sent?,
        () = begun.taken_back.cancelled() => {
            return Err(Fault::cancelled("the call was cancelled by its client"));
        }
    };
    Ok(Talk {
        mark: parked::Mark::of(call, way == Way::ModernOnLegacy && can_be_asked),
        translator: translator.into_owned(),
        underway,
        line,
        ask,
        client: setting.client.cloned(),
        taken_back: begun.taken_back.clone(),
        _begun: begun,
        streams,
        declared: Arc::new(declared),
        level,
        target: call.target().map(str::to_owned),
        shelf: setting.shelf.clone(),
    })
}

/// What a modern client can be asked for.
fn declared(call: &Call<'_>) -> Map<String, Value> {
    let meta = call.message.meta.as_ref();
    let raw = meta.and_then(|meta| meta.client_capabilities);
    let declared = raw.map(|span| capabilities::read(span.of(call.body)));
    match capabilities::to_legacy(&declared.unwrap_or_default()) {
        Value::Object(declared) => declared,
        _ => Map::new(),
    }
}

/// What comes first decides the form of the reply. `first`: it has come already.
async fn reply(mut talk: Talk, first: Option<Event>, drain: &Drain) -> Result<Reply, Fault> {
    let event = match first {
        Some(event) => event,
        None => {
            let taken_back = talk.taken_back.clone();
            tokio::select! {
                event = talk.underway.next() => event.map_err(fault)?,
                () = taken_back.cancelled() => return Err(talk.is_taken_back()),
            }
        }
    };
    if let Event::Response(response) = &event
        && talk.is_last(response)
    {
        talk.learn(response);
        return talk.translator.response(response).map(Reply::Whole);
    }
    let (client, mut rest) = mpsc::channel(EVENTS_MAX);
    let kept_for = talk.client.clone().filter(|_| talk.streams);
    // Ends with the call: by its answer, its deadline, or its client.
    drain.spawn("reply", talk.follow(Some(event), client));
    let first = rest.recv().await;
    let first = first.ok_or_else(|| Fault::unavailable("the call came to no end"))?;
    if first.kind == Kind::Response {
        return Ok(Reply::Whole(first));
    }
    let asker = kept_for.clone().map(|client| -> Arc<dyn Asker> { client });
    let tape = kept_for.map(|client| {
        let reel: Arc<dyn Tape> = client.tapes.begin(client.revision, drain);
        reel
    });
    Ok(Reply::Events(Events {
        first,
        rest,
        guard: Box::new(()),
        tape,
        asker,
    }))
}

impl Talk {
    fn is_modern(&self) -> bool {
        self.translator.way().client() == Era::Modern
    }

    /// The client takes the call back: so does it from the server, by what is dropped.
    fn is_taken_back(&mut self) -> Fault {
        self.underway.give_up();
        Fault::cancelled("the call was cancelled by its client")
    }
}

/// A call that its client can take back, as long as this lives.
#[derive(Debug)]
struct Begun {
    client: Option<(Arc<Client>, IdKey)>,
    taken_back: CancellationToken,
}

impl Begun {
    fn of(call: &Call<'_>, client: Option<&Arc<Client>>) -> Arc<Self> {
        let id = call.message.id.as_ref().map(mcp::envelope::Id::key);
        let client = client.cloned().zip(id);
        let taken_back = match &client {
            Some((client, id)) => client.begin_call(id),
            None => CancellationToken::new(),
        };
        Arc::new(Self { client, taken_back })
    }
}

impl Held for Begun {}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some((client, id)) = &self.client {
            client.end_call(id);
        }
    }
}
