//! The way of a call to the server: which session it is sent in, in whose name.

use std::sync::Arc;

use bytes::Bytes;
use dataplane::call::Call;
use dataplane::refusal::Fault;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderValue};
use mcp::bridge::{Mirror, to_modern};
use mcp::headers::{MCP_METHOD, MCP_PROTOCOL_VERSION};
use mcp::method;
use mcp::revision::{Era, Revision};
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use super::Setting;
use crate::bridge::{Inputs, Translator, Way};
use crate::client::Client;
use crate::serve::fault;
use crate::upstream::Error;
use crate::upstream::greeting::Who;
use crate::upstream::http::HttpServer;
use crate::upstream::level::Level;
use crate::upstream::link::Link;
use crate::upstream::response::Response;
use crate::upstream::running::Target;
use crate::upstream::seats::Lease;
use crate::upstream::session::Ready;
use crate::upstream::ticket::{Abandoned, Ask, Event, TakenBack};
use crate::upstream::underway::Underway;

/// How long a server may take to take over a level, or a subscription.
pub const CHORE: std::time::Duration = std::time::Duration::from_secs(10);

/// Chores of one session that a server is given at the same time.
const AT_ONCE_MAX: usize = 32;

/// Takes over what a session has many of, such as its subscriptions: a few at a time, and all of them within the time of
/// one chore, as somebody waits. What is not done by then is left.
pub async fn at_once<F: Future<Output = ()>>(uris: Vec<String>, take_over: impl Fn(String) -> F) {
    let all = stream::iter(uris).for_each_concurrent(AT_ONCE_MAX, take_over);
    if timeout(CHORE, all).await.is_err() {
        tracing::warn!("the server is slow to take over what a session wants to hear of");
    }
}

/// Where a call goes.
#[derive(Debug)]
pub enum Line {
    /// To a process, which is not ended meanwhile.
    Process(Link, Option<Lease>),
    /// Over HTTP, in the name of somebody.
    Http(HttpServer, Who),
}

impl Line {
    /// The line for a call of a client that declared this much.
    ///
    /// # Errors
    /// A process of its own cannot be started.
    pub(super) async fn to(
        call: &Call<'_>,
        setting: &Setting<'_>,
        declared: &Map<String, Value>,
        way: Way,
        can_be_asked: bool,
    ) -> Result<Self, Fault> {
        let user = &call.principal.user;
        let application = call.principal.client.as_deref().unwrap_or_default();
        let of = |declared: &str| Who::of(user, application, declared);
        let who = || of(&Value::Object(declared.clone()).to_string());
        let ready = setting.ready;
        match (&ready.target, &ready.seats, setting.client) {
            (Target::Http(server), ..) => Ok(Self::Http(server.clone(), who())),
            (Target::Process(link), None, _) => Ok(Self::Process(link.clone(), None)),
            (_, Some(seats), Some(client)) => {
                let lease = seats.lease(&client.who, false).await.map_err(fault)?;
                Self::of_client(client, lease).await.map_err(fault)
            }
            (_, Some(seats), None) => {
                let alone = can_be_asked && way == Way::ModernOnLegacy;
                let who = if way == Way::Same(Era::Modern) {
                    // Each request says anew what its client can do.
                    of("{}")
                } else {
                    who()
                };
                let lease = seats.lease(&who, alone).await.map_err(fault)?;
                let link = lease.up().map_err(fault)?.link.clone();
                Ok(Self::Process(link, Some(lease)))
            }
        }
    }

    /// The line to the process of one session alone. One that was started anew is told what the one before it was told.
    ///
    /// # Errors
    /// It is gone.
    pub async fn of_client(client: &Arc<Client>, lease: Lease) -> Result<Self, Error> {
        let link = lease.up()?.link.clone();
        let is_legacy = lease.up()?.greeting.revision.era() == Era::Legacy;
        let line = Self::Process(link.clone(), Some(lease));
        if client.served_by(&link) {
            let listener: Arc<dyn crate::upstream::feed::Listener> = client.clone();
            link.feed().add(Arc::downgrade(&listener));
            if is_legacy {
                if let Some(level) = client.level() {
                    let params = json!({ "level": level });
                    let _ = line.order(method::LOGGING_SET_LEVEL, &params).await;
                }
                let line = &line;
                let subscribe = |uri: String| async move {
                    let params = json!({ "uri": uri });
                    let _ = line.order(method::RESOURCES_SUBSCRIBE, &params).await;
                };
                at_once(client.subscriptions(), subscribe).await;
            }
        }
        Ok(line)
    }

    /// Sends a call on.
    ///
    /// # Errors
    /// It could not be sent.
    pub(super) async fn send(
        &self,
        call: &Call<'_>,
        translator: &Translator<'_>,
        client: Option<&Arc<Client>>,
        ask: Ask,
    ) -> Result<Underway, Fault> {
        let id = self.next_id();
        let message = translator.request(call.message, id, client)?;
        let origin = match self {
            Self::Process(link, _) => call
                .session
                .zip(call.message.id)
                .map(|(session, id)| link.origin(session, &id.key())),
            _ => None,
        };
        let ask = Ask { origin, ..ask };
        let mirrors = self.mirrors(translator.method(), call.target());
        self.put(translator, id, message, &mirrors, ask).await
    }

    /// Sends a call again, to go on with it in the modern era.
    ///
    /// # Errors
    /// It could not be sent.
    pub(super) async fn send_again(
        &self,
        translator: &Translator<'_>,
        client: Option<&Arc<Client>>,
        (inputs, target): (&Inputs, Option<&str>),
        ask: Ask,
    ) -> Result<Underway, Fault> {
        let id = self.next_id();
        let message = translator.request_with(id, client, inputs)?;
        let mirrors = self.mirrors(translator.method(), target);
        self.put(translator, id, message, &mirrors, ask).await
    }

    async fn put(
        &self,
        translator: &Translator<'_>,
        id: u64,
        message: Vec<u8>,
        mirrors: &[Mirror],
        ask: Ask,
    ) -> Result<Underway, Fault> {
        let sent = match self {
            Self::Process(link, _) => link.send(id, message, ask).await.map(Underway::Process),
            Self::Http(server, _) if translator.way() == Way::LegacyOnModern => {
                let mirror = translator.mirror(mirrors)?;
                let sent = server.send_modern(id, message, mirror, ask).await;
                sent.map(|sent| Underway::Http(Box::new(sent)))
            }
            Self::Http(server, who) => {
                let sent = server.send(who, id, message, ask).await;
                sent.map(|sent| Underway::Http(Box::new(sent)))
            }
        };
        sent.map_err(fault)
    }

    /// Sends a modern request of ours.
    pub(super) async fn put_modern(
        &self,
        id: u64,
        method: &'static str,
        message: &Value,
        ask: Ask,
    ) -> Result<Underway, Error> {
        let message = message.to_string().into_bytes();
        match self {
            Self::Process(link, _) => link.send(id, message, ask).await.map(Underway::Process),
            Self::Http(server, _) => {
                let mut headers = HeaderMap::new();
                let revision = HeaderValue::from_static(Revision::LATEST.as_str());
                headers.insert(MCP_PROTOCOL_VERSION, revision);
                headers.insert(MCP_METHOD, HeaderValue::from_static(method));
                let sent = server.send_modern(id, message, headers, ask).await;
                sent.map(|sent| Underway::Http(Box::new(sent)))
            }
        }
    }

    /// Keeps what a list of tools says of headers.
    pub(super) fn keep_mirrors(&self, mirrors: Vec<(String, Vec<Mirror>)>) {
        if let Self::Http(server, _) = self {
            server.keep_mirrors(mirrors);
        }
    }

    /// Asks a modern server for its tools, for what they say of headers. Where it does not answer, nothing is learned.
    pub(super) async fn learn(&self) {
        let id = self.next_id();
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method::TOOLS_LIST, "params": {"_meta": {
            "io.modelcontextprotocol/protocolVersion": Revision::LATEST.as_str(),
            "io.modelcontextprotocol/clientCapabilities": {}}}});
        let ask = Ask {
            limit: CHORE,
            listens: false,
            ..super::listen::ask()
        };
        let sent = self.put_modern(id, method::TOOLS_LIST, &request, ask).await;
        let Ok(mut underway) = sent else { return };
        while let Ok(event) = underway.next().await {
            if let Event::Response(response) = event {
                let result = response.result_span().unwrap_or_default();
                self.keep_mirrors(to_modern::mirrors(response.bytes(), result));
                return;
            }
        }
    }

    pub(super) fn next_id(&self) -> u64 {
        match self {
            Self::Process(link, _) => link.next_id(),
            Self::Http(server, _) => server.next_id(),
        }
    }

    fn mirrors(&self, method: &str, target: Option<&str>) -> Arc<[Mirror]> {
        match (self, target) {
            (Self::Http(server, _), Some(tool)) if method == method::TOOLS_CALL => {
                server.mirrors(tool)
            }
            _ => Arc::default(),
        }
    }

    /// Asks a legacy server for something on the side; its raw result.
    ///
    /// # Errors
    /// It did not do it.
    pub async fn order(&self, method: &str, params: &Value) -> Result<Bytes, Error> {
        let id = self.next_id();
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let message = message.to_string().into_bytes();
        let ask = Ask {
            origin: None,
            progress: false,
            hears: false,
            can_be_asked: false,
            listens: false,
            limit: CHORE,
            abandoned: Abandoned::Finish,
            taken_back: TakenBack::default(),
        };
        let mut underway = match self {
            Self::Process(link, _) => Underway::Process(link.send(id, message, ask).await?),
            Self::Http(server, who) => {
                Underway::Http(Box::new(server.send(who, id, message, ask).await?))
            }
        };
        loop {
            if let Event::Response(response) = underway.next().await? {
                return done(&response);
            }
        }
    }

    /// Has a legacy server tell log messages of this level, where it tells less now. Nobody is kept waiting for a server
    /// that does not do it.
    pub(super) async fn set_level(&self, level: Level, ready: &Ready) {
        if !ready.greeting.offers("logging") {
            return;
        }
        let known = match self {
            Self::Process(_, Some(lease)) => lease.level(),
            Self::Process(_, None) => return,
            Self::Http(server, who) => match server.level(who).await {
                Ok(known) => known,
                Err(_) => return,
            },
        };
        let is_new = known.lock().is_none_or(|known| level < known);
        if is_new {
            let params = json!({ "level": level.name() });
            if self.order(method::LOGGING_SET_LEVEL, &params).await.is_ok() {
                *known.lock() = Some(level);
            }
        }
    }
}

fn done(response: &Response) -> Result<Bytes, Error> {
    match response.result_span() {
        Some(span) => {
            let (start, end) = (span.start as usize, span.end as usize);
            Ok(response.bytes().slice(start..end))
        }
        None => Err(Error::Invalid("it refuses".to_owned())),
    }
}
