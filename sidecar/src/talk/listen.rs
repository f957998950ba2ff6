//! What servers say about no call, for clients of either era: a modern client listens by a request of its own, a legacy
//! one by its session.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dataplane::call::Call;
use dataplane::deliver::{Events, Message, Reply};
use dataplane::refusal::Fault;
use futures_util::stream::{self, Stream, StreamExt as _};
use mcp::edit::{Edits, quoted};
use mcp::envelope::Kind;
use mcp::federate::listen::{SUBSCRIPTION_ID, ended};
use mcp::method;
use mcp::revision::Era;
use mcp::walk;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Setting;
use super::line::{Line, at_once};
use crate::bridge::Way;
use crate::serve::{failed, fault};
use crate::upstream::Error;
use crate::upstream::feed::{Ear, Interest as Counted, Listener};
use crate::upstream::greeting::Greeting;
use crate::upstream::link::Link;
use crate::upstream::response::Heard;
use crate::upstream::ticket::{Abandoned, Ask, Event, TakenBack};

/// A stream without an end of its own: no answer is ever due.
const ENDLESS: Duration = Duration::from_secs(30 * 24 * 3600);
/// Messages that a listener may be behind; one that is further behind is ended, and listens anew.
const BEHIND_MAX: usize = 64;
/// Resources that one listener may name.
const RESOURCES_MAX: usize = 1024;

/// What somebody wants to hear of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Interest {
    pub(crate) tools: bool,
    pub(crate) prompts: bool,
    pub(crate) resources: bool,
    pub(crate) uris: BTreeSet<String>,
}

impl Interest {
    fn of(call: &Call<'_>) -> Self {
        let find = |object, key: &str| walk::find(call.body, object, key);
        let wanted = call.message.params.and_then(|p| find(p, "notifications"));
        let Some(wanted) = wanted else {
            return Self::default();
        };
        let is_true = |key| find(wanted, key).is_some_and(|v| v.of(call.body) == b"true");
        let uris = find(wanted, "resourceSubscriptions");
        let uris = uris
            .into_iter()
            .flat_map(|uris| walk::elements(call.body, uris));
        let texts = uris.filter_map(|uri| walk::text(uri.of(call.body)));
        Self {
            tools: is_true("toolsListChanged"),
            prompts: is_true("promptsListChanged"),
            resources: is_true("resourcesListChanged"),
            uris: texts
                .map(|text| text.into_owned())
                .take(RESOURCES_MAX)
                .collect(),
        }
    }

    /// All that a server tells of its lists.
    pub(crate) fn lists_of(greeting: &Greeting) -> Self {
        let tells = |feature| greeting.offers_in(feature, "listChanged");
        Self {
            tools: tells("tools"),
            prompts: tells("prompts"),
            resources: tells("resources"),
            uris: BTreeSet::new(),
        }
    }

    fn cut(mut self, greeting: &Greeting) -> Self {
        let offered = Self::lists_of(greeting);
        self.tools &= offered.tools;
        self.prompts &= offered.prompts;
        self.resources &= offered.resources;
        if !greeting.offers_in("resources", "subscribe") {
            self.uris.clear();
        }
        self
    }

    fn hears(&self, heard: &Heard) -> bool {
        match heard.method.as_str() {
            method::TOOLS_LIST_CHANGED => self.tools,
            method::PROMPTS_LIST_CHANGED => self.prompts,
            method::RESOURCES_LIST_CHANGED => self.resources,
            method::RESOURCES_UPDATED => {
                let uri = heard.param("uri");
                uri.is_some_and(|uri| self.uris.contains(&*uri))
            }
            _ => false,
        }
    }

    pub(crate) fn json(&self) -> Value {
        let mut out = Map::new();
        let flags = [
            ("toolsListChanged", self.tools),
            ("promptsListChanged", self.prompts),
            ("resourcesListChanged", self.resources),
        ];
        for (key, _) in flags.iter().filter(|(_, wanted)| *wanted) {
            out.insert((*key).to_owned(), true.into());
        }
        if !self.uris.is_empty() {
            out.insert("resourceSubscriptions".to_owned(), json!(self.uris));
        }
        Value::Object(out)
    }
}

/// Opens a modern client's subscription.
///
/// # Errors
/// The server cannot be listened to.
pub async fn listen(call: &Call<'_>, setting: &Setting<'_>) -> Result<Reply, Fault> {
    if !call.sse {
        return Err(Fault::not_bridgeable(
            "a subscription is a stream: the Accept header must list text/event-stream",
        ));
    }
    let way = setting.side().way(call.revision.era());
    let declared = super::declared(call);
    let line = Line::to(call, setting, &declared, way, false).await?;
    if way == Way::Same(Era::Modern) {
        return pass_on(call, setting, line).await;
    }
    from_legacy(call, setting, line).await
}

/// The request of one who listens.
pub(super) fn ask() -> Ask {
    Ask {
        origin: None,
        progress: false,
        hears: false,
        can_be_asked: false,
        listens: true,
        limit: ENDLESS,
        abandoned: Abandoned::Cancel,
        taken_back: TakenBack::default(),
    }
}

/// A modern server's own subscription, under the client's id.
async fn pass_on(call: &Call<'_>, setting: &Setting<'_>, line: Line) -> Result<Reply, Fault> {
    let translator = crate::bridge::cross(call, &setting.side())?;
    let mut underway = line.send(call, &translator, None, ask()).await?;
    let id = translator.id().to_vec();
    let first = match underway.next().await.map_err(fault)? {
        Event::Response(response) => return translator.response(&response).map(Reply::Whole),
        Event::Heard(heard) => tagged(&heard, &id),
        Event::Progress(_) => None,
    };
    let first = first.ok_or_else(|| Fault::unavailable("the server acknowledges nothing"))?;
    let translator = translator.into_owned();
    let events = stream::unfold((underway, line), |(mut underway, line)| async move {
        Some((underway.next().await, (underway, line)))
    });
    let own = id.clone();
    let said = events.filter_map(move |event| {
        std::future::ready(match event {
            Ok(Event::Heard(heard)) => tagged(&heard, &own),
            Ok(Event::Progress(_)) => None,
            Ok(Event::Response(_)) => Some(end(&own)),
            Err(error) => Some(failed(&fault(error), translator.id())),
        })
    });
    Ok(going_on(setting, id, first, said))
}

/// A subscription that goes on with what is `said`, until the client or this process leaves, or an answer ends it.
fn going_on(
    setting: &Setting<'_>,
    id: Vec<u8>,
    first: Message,
    said: impl Stream<Item = Message> + Send + 'static,
) -> Reply {
    let (client, rest) = mpsc::channel(BEHIND_MAX);
    let drain = setting.drain.clone();
    setting.drain.spawn("subscription", async move {
        let mut said = Box::pin(said);
        loop {
            let said = tokio::select! {
                () = client.closed() => return,
                () = drain.signaled() => Some(end(&id)),
                said = said.next() => said,
            };
            let Some(said) = said else { return };
            let is_last = said.kind == Kind::Response;
            if client.send(said).await.is_err() || is_last {
                return;
            }
        }
    });
    Reply::Events(Events {
        first,
        rest,
        guard: Box::new(()),
        tape: None,
        asker: None,
    })
}

/// A subscription that is made up from what a legacy server says in its session.
async fn from_legacy(call: &Call<'_>, setting: &Setting<'_>, line: Line) -> Result<Reply, Fault> {
    let id = call.message.raw_id().unwrap_or(b"null").to_vec();
    let (says, heard) = mpsc::channel(BEHIND_MAX);
    let ears = Arc::new(Ears {
        interest: Mutex::default(),
        id: id.clone(),
        says,
        behind: CancellationToken::new(),
    });
    let wanted = Interest::of(call).cut(&setting.ready.greeting);
    let (granted, held) = subscribe(line, wanted, &ears).await?;
    *ears.interest.lock() = granted.clone();
    let first = json!({"jsonrpc": "2.0", "method": method::SUBSCRIPTIONS_ACKNOWLEDGED,
        "params": {"_meta": {}, "notifications": granted.json()}});
    let first = with_id(&Bytes::from(first.to_string()), &id);
    let first = first.ok_or_else(|| Fault::unavailable("nothing can be acknowledged"))?;
    let first = Message::said(Kind::Notification, first);
    let said = stream::unfold((held, ears, heard), |(held, ears, mut heard)| async move {
        let said = tokio::select! {
            () = held.gone() => Some(end(&ears.id)),
            () = ears.behind.cancelled() => Some(end(&ears.id)),
            said = heard.recv() => said,
        };
        said.map(|said| (said, (held, ears, heard)))
    });
    Ok(going_on(setting, id, first, said))
}

/// One who listens to a legacy server.
struct Ears {
    interest: Mutex<Interest>,
    /// The raw id of the subscription.
    id: Vec<u8>,
    says: mpsc::Sender<Message>,
    /// It does not keep up.
    behind: CancellationToken,
}

impl Listener for Ears {
    fn hear(&self, heard: &Heard, _: Option<&Link>) -> bool {
        if heard.kind != Kind::Notification || !self.interest.lock().hears(heard) {
            return false;
        }
        let Some(said) = tagged(heard, &self.id) else {
            return false;
        };
        let is_said = self.says.try_send(said).is_ok();
        if !is_said {
            self.behind.cancel();
        }
        is_said
    }
}

/// What is held as long as somebody listens.
struct Held {
    /// `None`: the server tells of nothing.
    ear: Option<Ear>,
    _line: Line,
    /// Dropped, the server is told that nobody wants to hear of them.
    _interests: Vec<Counted>,
}

impl Held {
    /// Ready when nothing will come any more.
    async fn gone(&self) {
        match &self.ear {
            Some(ear) => ear.over().await,
            None => std::future::pending().await,
        }
    }
}

/// Listens to a legacy server; what it really tells of.
async fn subscribe(
    line: Line,
    wanted: Interest,
    ears: &Arc<Ears>,
) -> Result<(Interest, Held), Fault> {
    let ear = match &line {
        Line::Process(link, _) => Some(Ear::Link(link.clone())),
        Line::Http(server, who) => match server.attend(who).await {
            Ok(attended) => Some(Ear::Attended(attended)),
            // Without a stream of its own, a session tells of nothing.
            Err(Error::Invalid(_)) => None,
            Err(error) => return Err(fault(error)),
        },
    };
    let mut granted = if ear.is_some() {
        wanted
    } else {
        Interest::default()
    };
    let mut interests = Vec::new();
    if let Some(ear) = &ear {
        let listener: Arc<dyn Listener> = ears.clone();
        ear.feed().add(Arc::downgrade(&listener));
        let taken = Mutex::new((Vec::new(), BTreeSet::new()));
        let (line, kept) = (&line, &taken);
        let subscribe = |uri: String| async move {
            let (interest, is_first) = Counted::of(ear.clone(), &uri);
            let params = json!({ "uri": uri });
            let asked = is_first.then(|| line.order(method::RESOURCES_SUBSCRIBE, &params));
            if let Some(asked) = asked
                && asked.await.is_err()
            {
                return;
            }
            let mut taken = kept.lock();
            taken.0.push(interest);
            taken.1.insert(uri);
        };
        at_once(granted.uris.into_iter().collect(), subscribe).await;
        (interests, granted.uris) = taken.into_inner();
    }
    let held = Held {
        ear,
        _line: line,
        _interests: interests,
    };
    Ok((granted, held))
}

/// A notification under the raw id of the subscription that it is for.
fn tagged(heard: &Heard, id: &[u8]) -> Option<Message> {
    with_id(&heard.bytes, id).map(|body| Message::said(Kind::Notification, body))
}

fn with_id(text: &Bytes, id: &[u8]) -> Option<Bytes> {
    let root = walk::root(text);
    let mut edits = Edits::new(text);
    let meta = |meta: &[u8]| [b"{", &quoted(SUBSCRIPTION_ID)[..], b":", meta, b"}"].concat();
    match walk::find(text, root, "params") {
        None => {
            let params = [br#","params":{"_meta":"#, &meta(id)[..], b"}"].concat();
            edits.insert(root.end - 1, params);
        }
        Some(params) => match walk::find(text, params, "_meta") {
            Some(known) => {
                edits.set(known, &[(SUBSCRIPTION_ID, id.to_vec().into())]);
            }
            None => {
                edits.set(params, &[("_meta", meta(id).into())]);
            }
        },
    }
    edits.apply().ok().map(Bytes::from)
}

/// The end of a subscription, as its raw id's answer.
fn end(id: &[u8]) -> Message {
    Message::said(Kind::Response, ended(id).into())
}
