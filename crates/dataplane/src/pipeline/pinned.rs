//! What a server shows this very caller, asked for before a tool of it is called: on the same way and in the same session
//! as the call, so that no server can show the caller one thing and us another.
//!
//! Not a call of the caller's: it is not on record, and no filter sees it. Filters that compare messages with a tool's
//! schemas have them from the same question.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use engine::filter::schema::ANSWERED_BY_TOOLS;
use engine::pins::Standing;
use http::{HeaderMap, HeaderValue};
use mcp::edit::{Change, Edits};
use mcp::envelope::{self, Id, Kind, Limits};
use mcp::error::code;
use mcp::headers::{MCP_METHOD, is_mirror};
use mcp::{method, walk};
use model::pins::Era;
use tokio::time::{Instant, timeout};

use super::Incall;
use super::halt::{Ended, Halt};
use super::reply::{collect, last_response};
use crate::budget::Permit;
use crate::call::Call;
use crate::config::live::Config;
use crate::deliver::direct::ANSWER_BYTES_MAX;
use crate::deliver::messages::is_event_stream;
use crate::deliver::{Hop, Reply};
use crate::refusal::Fault;
use crate::stage::pins::{About, Pages, Pins, SeatKey, ToolSchemas, View};

/// Most pages of a list.
const PAGES_MAX: usize = 100;

/// How long the list may take where only filters want it: as long as all filters of one message may.
const SCHEMAS_WITHIN: Duration = Duration::from_secs(10);

/// What is known of the tool of one call before it goes on.
#[derive(Debug, Clone, Default)]
pub(super) struct Tool {
    /// Its schemas, where a filter wants them.
    pub(super) schemas: Option<Arc<ToolSchemas>>,
    /// Since when the server has been asked for it, where nobody was waited for since: who wants to know it as it is now
    /// need not ask again.
    pub(super) since: Option<Instant>,
}

/// Looks at the tools in an answer.
#[derive(Debug, Clone)]
pub(super) struct Cut {
    pins: Pins,
    config: Arc<Config>,
}

/// Whose tools a call is about. By the newest configuration, not by the one that the call began with: what was approved
/// meanwhile must not be taken for what nobody has seen yet.
fn about<'a>(call: &'a Call<'_>, newest: &'a Config) -> About<'a> {
    About {
        engine: &newest.engine,
        server: call.server,
        era: era(call.is_modern()),
        user: &call.principal.user,
    }
}

/// The era of a client.
pub(super) fn era(is_modern: bool) -> Era {
    if is_modern { Era::Modern } else { Era::Legacy }
}

impl Cut {
    /// A list without the tools that are held.
    ///
    /// # Errors
    /// It cannot be shown.
    pub(super) fn cut(&self, call: &Call<'_>, list: Bytes) -> Result<Bytes, String> {
        let cut = self.pins.cut(about(call, &self.config), list);
        let (list, is_held) = cut.map_err(|error| error.to_string())?;
        if is_held {
            // What was known of the caller's tools is not true any more.
            self.pins.seat(SeatKey::of(call)).forget();
        }
        Ok(list)
    }
}

impl<H: Hop> Incall<'_, H> {
    /// The schemas of the tool that a call is about, as the server shows it to the caller, where a filter goes by them.
    pub(super) async fn tool(&self, call: &Call<'_>, way: &H::Way) -> Tool {
        let tool = match &call.tasks.one {
            Some(task) => task.tool(),
            None if call.method() == method::TOOLS_CALL => call.target(),
            // Whose result it is is not known.
            None => None,
        };
        let filters = call.config.engine.filters();
        let Some(tool) = tool.filter(|tool| {
            H::is_last(way)
                && ANSWERED_BY_TOOLS.contains(&call.method())
                && filters.want_schemas(call.server, tool)
        }) else {
            return Tool::default();
        };
        let newest = self.newest(call);
        let since = Instant::now();
        let shown = self.shown(call, way, about(call, &newest), (since, Some(tool)));
        let known = match shown.await {
            Ok((_, known)) => known.unwrap_or_else(|| Err("it was not asked for".to_owned())),
            Err(fault) => Err(format!(
                "the tool's definition is not known: {}",
                fault.message
            )),
        };
        Tool {
            schemas: Some(Arc::new(known)),
            since: Some(since),
        }
    }

    /// Holds a call of a tool whose definition is not the approved one. Gives who looks at the answer, where it is a list
    /// of tools. `since`: no older may be what is known of the tool.
    pub(super) async fn pinned(
        &self,
        call: &Call<'_>,
        way: &H::Way,
        id: Option<&[u8]>,
        since: Option<Instant>,
    ) -> Ended<Option<Cut>> {
        let newest = self.newest(call);
        let about = about(call, &newest);
        if about.policy().is_none() || !H::is_last(way) {
            return Ok(None);
        }
        let pins = &self.shared.pins;
        let since = since.unwrap_or_else(Instant::now);
        match (call.method(), call.target()) {
            (method::TOOLS_CALL, Some(tool)) => {
                let shown = self.shown(call, way, about, (since, None)).await;
                let (view, _) = shown.map_err(|fault| Halt::fault(&fault, id))?;
                // Without a listing there is nothing that was approved.
                let listing = view.listing().cloned().unwrap_or_default();
                match pins.judge(about, &listing, tool) {
                    Standing::Held(why, detail) => {
                        Err(Halt::held(call, (tool, why, detail.as_deref()), id))
                    }
                    Standing::Approved | Standing::Taken(_) => Ok(None),
                }
            }
            (method::TOOLS_LIST, _) => {
                if !pins.is_begun(about) {
                    let shown = self.shown(call, way, about, (since, None)).await;
                    shown.map_err(|fault| Halt::fault(&fault, id))?;
                }
                Ok(Some(Cut {
                    pins: pins.clone(),
                    config: newest.clone(),
                }))
            }
            _ => Ok(None),
        }
    }

    fn newest(&self, call: &Call<'_>) -> Arc<Config> {
        let newest = self.shared.live.load();
        newest.unwrap_or_else(|| call.config.clone())
    }

    /// What the server shows the caller, no older than it may be; and of one tool its schemas.
    async fn shown(
        &self,
        call: &Call<'_>,
        way: &H::Way,
        about: About<'_>,
        (since, tool): (Instant, Option<&str>),
    ) -> Result<(Arc<View>, Option<ToolSchemas>), Fault> {
        let pins = &self.shared.pins;
        let is_pinned = about.policy().is_some();
        let server = about.engine.server(about.server.as_str());
        let age = server.map_or(Duration::ZERO, |server| server.tools.check);
        let seat = pins.seat(SeatKey::of(call));
        let known = || {
            let view = seat.fresh(since, age)?;
            if is_pinned && view.listing().is_none() {
                return None;
            }
            match tool {
                None => Some((view, None)),
                Some(tool) => pins.schemas(&view, tool).map(|known| (view, Some(known))),
            }
        };
        if let Some(known) = known() {
            return Ok(known);
        }
        let server = call.config.engine.server(call.server.as_str());
        let within = server.map_or(Duration::from_secs(60), |server| server.limits.call);
        let within = match tool {
            Some(_) => within.min(SCHEMAS_WITHIN),
            None => within,
        };
        let asked = async {
            let _asking = seat.asking.lock().await;
            if let Some(known) = known() {
                return Ok(known);
            }
            let asked = Instant::now();
            let pages = self.tools_of(call, way).await?;
            let view = pins.view(about.server, &pages);
            if is_pinned {
                pins.take(about, &view, &pages);
            }
            let known = tool.map(|tool| pins.learn(&view, &pages, tool));
            seat.note(asked, view.clone());
            Ok((view, known))
        };
        let late = |_| Fault::timeout("the server does not show its tools in time");
        Box::pin(timeout(within, asked)).await.map_err(late)?
    }

    /// All pages of the server's list of tools.
    async fn tools_of(&self, call: &Call<'_>, way: &H::Way) -> Result<Pages, Fault> {
        let mut room = self.room()?;
        let headers = headers(call);
        let mut pages = Pages::default();
        let mut cursor = None;
        for _ in 0..PAGES_MAX {
            let page = self.page_of_tools(call, way, (&headers, cursor.as_deref()), &mut room);
            let Some(page) = page.await? else {
                return Ok(pages);
            };
            let result = walk::find(&page, walk::root(&page), "result");
            let next = result.and_then(|result| walk::find(&page, result, "nextCursor"));
            // The cursor as it came: what is no text ends the list, as it does for clients.
            let next = next.map(|next| next.of(&page).to_vec());
            pages.add(page);
            cursor = next.filter(|next| next.first() == Some(&b'"'));
            if cursor.is_none() {
                return Ok(pages);
            }
        }
        Err(Fault::unavailable(format!(
            "the server's list of tools has more than {PAGES_MAX} pages"
        )))
    }

    fn room(&self) -> Result<Permit, Fault> {
        let room = self.shared.budget.take(0);
        room.ok_or_else(|| Fault::overloaded("too many calls are under way"))
    }

    /// One page; `None` where the server has no tools at all.
    async fn page_of_tools(
        &self,
        call: &Call<'_>,
        way: &H::Way,
        (headers, cursor): (&HeaderMap, Option<&[u8]>),
        room: &mut Permit,
    ) -> Result<Option<Bytes>, Fault> {
        let body = Bytes::from(request(call, cursor)?);
        let ours = |_| Fault::unavailable("the server's tools cannot be asked for");
        let message = envelope::scan(&body, &Limits::REQUEST).map_err(ours)?;
        let listing = Call {
            body: &body,
            message: &message,
            headers,
            sse: false,
            came: None,
            tasks: &crate::deliver::tasks::NONE,
            ..*call
        };
        let reply = Box::pin(self.shared.hop.deliver(&listing, way)).await?;
        let answer = answer(reply, room).await;
        let unusable =
            |why: String| Fault::unavailable(format!("the server's tools cannot be seen: {why}"));
        let answer = answer.map_err(unusable)?;
        let read = envelope::scan(&answer, &Limits::RESPONSE);
        let read = read.map_err(|error| unusable(error.to_string()))?;
        let is_ours = read.kind == Kind::Response
            && read.id.as_ref().map(Id::key) == message.id.as_ref().map(Id::key);
        match read.error_code {
            _ if !is_ours => Err(unusable("it answers another request".to_owned())),
            Some(code::METHOD_NOT_FOUND) => Ok(None),
            Some(code) => Err(unusable(format!("it answers with the error {code}"))),
            None => Ok(Some(answer.clone())),
        }
    }
}

/// `tools/list` in the caller's name.
fn request(call: &Call<'_>, cursor: Option<&[u8]>) -> Result<Vec<u8>, Fault> {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let id = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut params = Vec::new();
    if let Some(cursor) = cursor {
        params.extend_from_slice(br#""cursor":"#);
        params.extend_from_slice(cursor);
    }
    if let Some(meta) = call.message.meta.as_ref().filter(|_| call.is_modern()) {
        if !params.is_empty() {
            params.push(b',');
        }
        params.extend_from_slice(br#""_meta":"#);
        params.extend_from_slice(&own_meta(meta.span.of(call.body))?);
    }
    let method = method::TOOLS_LIST;
    let head =
        format!(r#"{{"jsonrpc":"2.0","id":"gatehouse-tools-{id}","method":"{method}","params":{{"#);
    Ok([head.as_bytes(), &params, b"}}"].concat())
}

/// What the caller says of itself, without what is about its call alone.
fn own_meta(meta: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut edits = Edits::new(meta);
    let change = |member: &walk::Member<'_>| match &*member.key {
        "progressToken" | "io.modelcontextprotocol/logLevel" => Change::Remove,
        _ => Change::Keep,
    };
    edits.members(walk::root(meta), change, []);
    let ours = |_| Fault::unavailable("the server's tools cannot be asked for");
    edits.apply().map_err(ours)
}

/// The caller's headers, with those that mirror the message being of this one.
fn headers(call: &Call<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in call.headers.iter().filter(|(name, _)| !is_mirror(name)) {
        headers.append(name.clone(), value.clone());
    }
    if call.is_modern() {
        headers.insert(MCP_METHOD, HeaderValue::from_static(method::TOOLS_LIST));
    }
    headers
}

/// The response in a reply.
async fn answer(reply: Reply, room: &mut Permit) -> Result<Bytes, String> {
    match reply {
        Reply::Whole(message) => Ok(message.body),
        Reply::Direct(forwarded) => {
            let (parts, body) = forwarded.response.into_parts();
            let body = collect(body, ANSWER_BYTES_MAX, |bytes| room.hold_reply(bytes)).await?;
            if !is_event_stream(&parts.headers) {
                return Ok(body);
            }
            last_response(&body).ok_or_else(|| "its stream ended before the response".to_owned())
        }
        Reply::Events(mut events) => {
            let mut message = events.first;
            while message.kind != Kind::Response {
                let next = events.rest.recv().await;
                message = next.ok_or("its stream ended before the response")?;
            }
            Ok(message.body)
        }
        Reply::Accepted | Reply::Forwarded(_) => Err("it gives no answer".to_owned()),
    }
}
