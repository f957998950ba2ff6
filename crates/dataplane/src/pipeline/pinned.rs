//! What a server shows this very caller, asked for before a tool of it is called: on the same way and in the same session
//! as the call, so that no server can show the caller one thing and us another.
//!
//! Not a call of the caller's: it is not on record, and no filter sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use engine::pins::{Listing, Standing};
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
use crate::stage::pins::{About, Pages, Pins, SeatKey};

/// Most pages of a list.
const PAGES_MAX: usize = 100;

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
    /// Holds a call of a tool whose definition is not the approved one. Gives who looks at the answer, where it is a list
    /// of tools.
    pub(super) async fn pinned(
        &self,
        call: &Call<'_>,
        way: &H::Way,
        id: Option<&[u8]>,
    ) -> Ended<Option<Cut>> {
        let newest = self.shared.live.load();
        let newest = newest.unwrap_or_else(|| call.config.clone());
        let about = about(call, &newest);
        if about.policy().is_none() || !H::is_last(way) {
            return Ok(None);
        }
        let pins = &self.shared.pins;
        match (call.method(), call.target()) {
            (method::TOOLS_CALL, Some(tool)) => {
                let listing = self.shown(call, way, about).await;
                let listing = listing.map_err(|fault| Halt::fault(&fault, id))?;
                match pins.judge(about, &listing, tool) {
                    Standing::Held(why, detail) => {
                        Err(Halt::held(call, (tool, why, detail.as_deref()), id))
                    }
                    Standing::Approved | Standing::Taken(_) => Ok(None),
                }
            }
            (method::TOOLS_LIST, _) => {
                if !pins.is_begun(about) {
                    let shown = self.shown(call, way, about).await;
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

    /// What the server shows the caller, no older than it may be.
    async fn shown(
        &self,
        call: &Call<'_>,
        way: &H::Way,
        about: About<'_>,
    ) -> Result<Arc<Listing>, Fault> {
        let arrived = Instant::now();
        let age = about.policy().unwrap_or_default().check;
        let seat = self.shared.pins.seat(SeatKey::of(call));
        if let Some(listing) = seat.fresh(arrived, age) {
            return Ok(listing);
        }
        let server = call.config.engine.server(call.server.as_str());
        let within = server.map_or(Duration::from_secs(60), |server| server.limits.call);
        let asked = async {
            let _asking = seat.asking.lock().await;
            if let Some(listing) = seat.fresh(arrived, age) {
                return Ok(listing);
            }
            let asked = Instant::now();
            let pages = self.tools_of(call, way).await?;
            let listing = self.shared.pins.take(about, &pages);
            seat.note(asked, listing.clone());
            Ok(listing)
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
            task: None,
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
