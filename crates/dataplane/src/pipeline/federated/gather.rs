//! What is asked of all members at once, and answered as one: lists, and the level of their logs. A member that is slow,
//! gone or refuses costs its own items only, and the answer names it.

use bytes::Bytes;
use engine::federation::Federation;
use http::Response;
use mcp::bridge::handshake::SERVER_INFO_KEY;
use mcp::edit::quoted;
use mcp::envelope::{self, Limits};
use mcp::error::RpcError;
use mcp::federate::cursor;
use mcp::federate::hello::Identity;
use mcp::federate::lists::{self, Page};
use mcp::method::ListKind;
use model::decision::Reason;

use super::super::Incall;
use super::super::halt::{Ended, Halt};
use super::member::{Absences, Absent, Said};
use super::{result, whole};
use crate::body::ReplyBody;
use crate::budget::Permit;
use crate::call::Call;
use crate::deliver::Hop;
use crate::refusal::Fault;
use crate::stage::record::Recording;

/// Most names that a notice about tools which are not shown holds.
const NAMES_MAX: usize = 10;

/// A list that is being put together.
#[derive(Default)]
struct Gathered {
    pages: Vec<Page>,
    places: Vec<cursor::Place>,
    absences: Absences,
    answered: bool,
}

impl<H: Hop> Incall<'_, H> {
    /// A page of each member's list, as one.
    pub(super) async fn gather(
        &self,
        federation: &Federation,
        kind: ListKind,
        call: &Call<'_>,
        slot: &mut Option<Recording>,
        mut permit: Permit,
    ) -> Ended<Response<ReplyBody>> {
        let id = call.message.raw_id();
        let Some(questions) = self.questions(federation, kind, call) else {
            return Err(bad_cursor(id));
        };
        self.open(slot, id)?;
        let answers = self.ask_all(federation, call, &questions).await;
        if let Some(recording) = slot {
            recording.answered();
        }
        let goes_on = lists::cursor(call.body, call.message).is_ok_and(|cursor| cursor.is_some());
        if is_over(&answers) {
            return Err(Halt::fault(&Fault::session_was_ended(), id));
        }
        let mut gathered = Gathered::default();
        let mut bytes = 0;
        for (at, said) in answers {
            if goes_on && matches!(said, Said::BadParams) {
                return Err(bad_cursor(id));
            }
            self.take(federation, kind, at, said, &mut gathered);
            bytes += gathered.pages.last().map_or(0, |page| page.items.len());
        }
        if !gathered.answered && !gathered.absences.is_empty() {
            return Err(Halt::fault(&gathered.absences.fault(federation), id));
        }
        if !permit.hold_reply(bytes) {
            let fault = Fault::overloaded("there is no room for the servers' answers");
            return Err(Halt::fault(&fault, id));
        }
        let (cursor, left) = cursor::encode(kind, &gathered.places);
        for at in left.iter().filter_map(|server| federation.member(server)) {
            let message = "its list goes on, and its place in it is too long to be kept";
            let cut = Absent::new(Reason::Invalid, message);
            gathered.absences.add(&federation.members()[at].server, cut);
        }
        let list = self.list(federation, kind, call, &gathered, cursor.as_deref());
        let body = result(id, &list);
        whole(slot, id, body)
    }

    /// Whom to ask what: all members, or those of which the cursor holds a place. `None`: it is no cursor of ours.
    fn questions(
        &self,
        federation: &Federation,
        kind: ListKind,
        call: &Call<'_>,
    ) -> Option<Vec<(usize, Bytes)>> {
        let cursor = lists::cursor(call.body, call.message).ok()?;
        let places: Vec<(usize, Option<String>)> = match cursor {
            None => self.usable(federation).map(|at| (at, None)).collect(),
            Some(cursor) => {
                let places = cursor::decode(kind, &cursor)?;
                let mut known = Vec::with_capacity(places.len());
                for (server, cursor) in places {
                    let at = federation.member(&server)?;
                    // A member twice, or one that is not the caller's, was not in any cursor of ours.
                    if known.iter().any(|(seen, _)| *seen == at) {
                        return None;
                    }
                    known.push((at, Some(cursor)));
                }
                let usable: Vec<usize> = self.usable(federation).collect();
                known.retain(|(at, _)| usable.contains(at));
                known
            }
        };
        let question = |(at, cursor): (usize, Option<String>)| {
            let body = lists::at_place(call.body, call.message, cursor.as_deref()).ok()?;
            Some((at, Bytes::from(body.into_owned())))
        };
        places.into_iter().map(question).collect()
    }

    fn take(
        &self,
        federation: &Federation,
        kind: ListKind,
        at: usize,
        said: Said,
        gathered: &mut Gathered,
    ) {
        let server = &federation.members()[at].server;
        let page = match said {
            Said::Result(answer) => self.page(federation, kind, at, &answer.body),
            // It has no such list, or none for this caller.
            Said::Nothing | Said::Refused | Said::Over => {
                gathered.answered = true;
                return;
            }
            Said::BadParams => Err(Absent::new(Reason::Invalid, "it refuses the request")),
            Said::Failed(absent) => Err(absent),
        };
        match page {
            Ok((page, notice)) => {
                gathered.answered = true;
                if let Some(cursor) = page.cursor.clone() {
                    gathered.places.push((server.to_string(), cursor));
                }
                gathered.pages.push(page);
                if let Some(notice) = notice {
                    gathered.absences.add(server, notice);
                }
            }
            Err(absent) => gathered.absences.add(server, absent),
        }
    }

    /// A member's page under the names that clients know, and what is said about tools that are left out of it.
    fn page(
        &self,
        federation: &Federation,
        kind: ListKind,
        at: usize,
        message: &Bytes,
    ) -> Result<(Page, Option<Absent>), Absent> {
        let bad = |error: String| Absent::new(Reason::Unavailable, error);
        let read =
            envelope::scan(message, &Limits::RESPONSE).map_err(|error| bad(error.to_string()))?;
        let chars_max = self.shared.hop.federating().name_chars_max;
        let mut hidden = Vec::new();
        let mut rename = |own: &str| {
            let shown = match kind {
                ListKind::Tools => federation.tool(at, own, chars_max),
                _ => federation.prompt(at, own, chars_max),
            };
            if shown.is_none() && kind == ListKind::Tools && federation.is_shadowed(at, own) {
                hidden.push(own.to_owned());
            }
            shown.map(Into::into)
        };
        let server = federation.members()[at].server.as_str();
        let page = lists::page(message, &read, kind, server, &mut rename)
            .map_err(|error| bad(error.to_string()))?;
        let notice = (!hidden.is_empty()).then(|| {
            hidden.truncate(NAMES_MAX);
            let names = hidden.join(", ");
            Absent::new(
                Reason::Invalid,
                format!("tools whose names lead to other servers are not shown: {names}"),
            )
        });
        Ok((page, notice))
    }

    fn list(
        &self,
        federation: &Federation,
        kind: ListKind,
        call: &Call<'_>,
        gathered: &Gathered,
        cursor: Option<&str>,
    ) -> Vec<u8> {
        let mut out = b"{".to_vec();
        out.extend_from_slice(&quoted(kind.items_key()));
        out.extend_from_slice(b":[");
        let mut pages = gathered.pages.iter().filter(|page| !page.items.is_empty());
        if let Some(first) = pages.next() {
            out.extend_from_slice(&first.items);
        }
        for page in pages {
            out.push(b',');
            out.extend_from_slice(&page.items);
        }
        out.push(b']');
        if let Some(cursor) = cursor {
            out.extend_from_slice(br#","nextCursor":"#);
            out.extend_from_slice(&quoted(cursor));
        }
        let mut meta = gathered.absences.meta();
        if call.is_modern() {
            // Whoever is missing now may be there the next time.
            let ttl = gathered
                .pages
                .iter()
                .map(|page| page.ttl_ms.unwrap_or(0))
                .min();
            let ttl = ttl.filter(|_| gathered.absences.is_empty()).unwrap_or(0);
            let hints = format!(r#","resultType":"complete","ttlMs":{ttl},"cacheScope":"private""#);
            out.extend_from_slice(hints.as_bytes());
            meta.insert(SERVER_INFO_KEY.to_owned(), identity(federation).info());
        }
        if !meta.is_empty() {
            out.extend_from_slice(br#","_meta":"#);
            out.extend_from_slice(serde_json::Value::Object(meta).to_string().as_bytes());
        }
        out.push(b'}');
        out
    }

    /// Sets the level of all members' logs. It is done where one of them takes it.
    pub(super) async fn set_level(
        &self,
        federation: &Federation,
        call: &Call<'_>,
        slot: &mut Option<Recording>,
    ) -> Ended<Response<ReplyBody>> {
        let id = call.message.raw_id();
        let answers = self.open_and_ask_each(federation, call, slot).await?;
        let mut absences = Absences::default();
        let mut refused = None;
        for (at, said) in answers {
            match said {
                Said::Result(_) => return whole(slot, id, result(id, b"{}")),
                Said::Failed(absent) => absences.add(&federation.members()[at].server, absent),
                other => refused = Some(other),
            }
        }
        let error = match refused {
            Some(Said::BadParams) => RpcError::invalid_params("no server takes this level"),
            None => return Err(Halt::fault(&absences.fault(federation), id)),
            Some(_) => RpcError::method_not_found(call.method(), call.revision.era()),
        };
        Err(Halt::invalid(&error, id))
    }
}

/// Whether the client has ended the session: who begins its part anew without knowing of that changes nothing.
pub(super) fn is_over(answers: &[(usize, Said)]) -> bool {
    answers.iter().any(|(_, said)| matches!(said, Said::Over))
}

/// Who the whole is, for clients.
pub(super) fn identity(federation: &Federation) -> Identity<'_> {
    Identity {
        name: match federation.name() {
            name if name.is_all() => "gatehouse",
            name => name.as_str(),
        },
        title: federation.title(),
        version: env!("CARGO_PKG_VERSION"),
    }
}

fn bad_cursor(id: Option<&[u8]>) -> Box<Halt> {
    let error = RpcError {
        http_status: 200,
        ..RpcError::invalid_params("unknown cursor: begin the list anew, without one")
    };
    Halt::invalid(&error, id)
}
