//! Asks for calls: newest first, page by page.
//!
//! A page's cursor is the place of its last row (time and call), not a count: rows that come meanwhile
//! shift nothing. Knows SQL; not who asks.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::record::CallId;
use parking_lot::Mutex;
use prost::Message;
use proto::v1::{Call, CallFilter, ListCallsRequest, ListCallsResponse};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use tokio::sync::Semaphore;

use super::store::SEPARATOR;
use super::{Error, schema};

/// Questions at one time. Further ones wait.
const READERS: usize = 4;
/// Rows in a page, unless asked otherwise.
pub(super) const LIMIT: u32 = 100;
/// Rows in a page, at most.
pub(super) const LIMIT_MAX: u32 = 1000;

/// Connections that read.
pub(super) struct Readers {
    /// One for each connection in `idle`.
    free: Semaphore,
    /// Locked to take one and to put it back.
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    pub(super) fn open(file: &Path) -> Result<Self, Error> {
        let idle = (0..READERS)
            .map(|_| schema::open_reader(file))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            free: Semaphore::new(READERS),
            idle: Arc::new(Mutex::new(idle)),
        })
    }

    pub(super) async fn list(&self, request: ListCallsRequest) -> Result<ListCallsResponse, Error> {
        let question = Question::new(request)?;
        let permit = self.free.acquire().await.map_err(|_| Error::Ended)?;
        let idle = self.idle.clone();
        let answer = tokio::task::spawn_blocking(move || {
            let connection = idle.lock().pop().ok_or(Error::Busy)?;
            let answer = question.ask(&connection);
            idle.lock().push(connection);
            answer
        });
        // The permit is given back after the connection was.
        let answer = answer.await.map_err(|_| Error::Ended)?;
        drop(permit);
        answer
    }
}

/// The place of a row in the order of the list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) time_ns: i64,
    pub(super) call_id: Vec<u8>,
}

impl Place {
    /// Where a row stands.
    pub(super) fn of(call: &Call) -> Self {
        let id = CallId::parse(&call.call_id).unwrap_or_default();
        Self {
            time_ns: call.time_unix_ns,
            call_id: id.0.to_vec(),
        }
    }

    pub(super) fn encode(&self) -> String {
        let mut bytes = self.time_ns.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.call_id);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    pub(super) fn decode(text: &str) -> Result<Self, Error> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        let place = bytes.as_deref().and_then(|bytes| {
            let (time, call_id) = bytes.split_first_chunk::<8>()?;
            let time_ns = i64::from_be_bytes(*time);
            (call_id.len() == 16).then(|| Self {
                time_ns,
                call_id: call_id.to_vec(),
            })
        });
        place.ok_or_else(|| Error::Cursor(text.to_owned()))
    }
}

/// A statement with its values.
struct Question {
    sql: String,
    values: Vec<Value>,
    limit: usize,
}

impl Question {
    fn new(request: ListCallsRequest) -> Result<Self, Error> {
        let limit = if request.limit == 0 {
            LIMIT
        } else {
            request.limit.min(LIMIT_MAX)
        };
        let mut conditions = Conditions::default();
        if !request.call_ids.is_empty() {
            return Self::of_calls(&request.call_ids);
        }
        if !request.after.is_empty() {
            let place = Place::decode(&request.after)?;
            conditions.sql.push("(time_ns, call_id) < (?, ?)");
            conditions
                .values
                .extend([place.time_ns.into(), place.call_id.into()]);
        }
        conditions.filter(request.filter.unwrap_or_default());
        let Conditions { sql, mut values } = conditions;
        let wheres = if sql.is_empty() {
            "TRUE".to_owned()
        } else {
            sql.join(" AND ")
        };
        // One more than asked for says whether there is another page.
        values.push((i64::from(limit) + 1).into());
        Ok(Self {
            sql: format!(
                "SELECT time_ns, call_id, body FROM call WHERE {wheres}
                 ORDER BY time_ns DESC, call_id DESC LIMIT ?"
            ),
            values,
            limit: limit as usize,
        })
    }

    /// Exactly these calls; ids that are none are of no call.
    fn of_calls(ids: &[String]) -> Result<Self, Error> {
        let ids = ids.iter().take(LIMIT_MAX as usize);
        let values: Vec<Value> = ids
            .filter_map(|id| CallId::parse(id))
            .map(|id| id.0.to_vec().into())
            .collect();
        let wanted = vec!["?"; values.len()].join(", ");
        Ok(Self {
            limit: values.len(),
            sql: format!("SELECT time_ns, call_id, body FROM call WHERE call_id IN ({wanted})"),
            values,
        })
    }

    fn ask(self, connection: &Connection) -> Result<ListCallsResponse, Error> {
        let mut statement = connection.prepare_cached(&self.sql)?;
        let mut rows = statement.query(params_from_iter(self.values))?;
        let mut calls = Vec::new();
        let mut last = None;
        let mut next = String::new();
        while let Some(row) = rows.next()? {
            if calls.len() == self.limit {
                next = last.as_ref().map_or_else(String::new, Place::encode);
                break;
            }
            last = Some(Place {
                time_ns: row.get(0)?,
                call_id: row.get(1)?,
            });
            let body: Vec<u8> = row.get(2)?;
            match Call::decode(body.as_slice()) {
                Ok(call) => calls.push(call),
                Err(error) => tracing::error!(%error, "a stored call cannot be read"),
            }
        }
        Ok(ListCallsResponse {
            calls,
            next,
            absent: Vec::new(),
        })
    }
}

#[derive(Default)]
struct Conditions {
    sql: Vec<&'static str>,
    values: Vec<Value>,
}

impl Conditions {
    fn filter(&mut self, filter: CallFilter) {
        self.equal("user = ?", filter.user);
        self.equal("server = ?", filter.server);
        self.equal("name = ?", filter.tool);
        self.equal("decision = ?", filter.outcome);
        self.equal("method = ?", filter.method);
        if !filter.group.is_empty() {
            let group = format!("{SEPARATOR}{}{SEPARATOR}", filter.group);
            self.equal("instr(groups, ?) > 0", group);
        }
        if filter.since_unix_ns > 0 {
            self.sql.push("time_ns >= ?");
            self.values.push(filter.since_unix_ns.into());
        }
    }

    fn equal(&mut self, condition: &'static str, wanted: String) {
        if !wanted.is_empty() {
            self.sql.push(condition);
            self.values.push(wanted.into());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_others_are_refused() {
        let place = Place {
            time_ns: -5,
            call_id: vec![9; 16],
        };
        assert_eq!(Place::decode(&place.encode()).unwrap(), place);
        for bad in ["x", "!!", "AAAA", &"A".repeat(100)] {
            assert!(matches!(Place::decode(bad), Err(Error::Cursor(_))), "{bad}");
        }
    }
}
