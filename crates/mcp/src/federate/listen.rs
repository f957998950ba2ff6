//! One subscription made of several: what each member is asked for, and what all of them grant together.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::edit::{self, Edits, quoted};
use crate::envelope::{Envelope, Span};
use crate::federate::uri;
use crate::method;
use crate::tasks;
use crate::walk;

/// The key of `_meta` by which what is said in a subscription names it (2026-07-28 basic/utilities/subscriptions).
pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
/// Kinds of notification that a client asks for by a flag.
const FLAGS: [&str; 3] = [
    "toolsListChanged",
    "promptsListChanged",
    "resourcesListChanged",
];
const RESOURCES: &str = "resourceSubscriptions";
const TASKS: &str = "taskIds";
/// Most resources that one subscription may name.
pub const URIS_MAX: usize = 1024;
/// Most tasks that one subscription may name.
pub const TASKS_MAX: usize = 64;

/// What is wrong with the resources that a subscription names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadResources {
    /// This URI is no member's.
    Unknown(String),
    /// There are more than may be named, which is [`URIS_MAX`].
    TooMany,
    /// This task is no member's, or there are more than [`TASKS_MAX`].
    UnknownTask(String),
}

/// What a client wants to hear of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Whether any list is meant: then every member is asked.
    pub lists: bool,
    /// Resources: whose, and how that member knows them.
    pub resources: Vec<(String, String)>,
    /// Tasks: whose, and the id there.
    pub tasks: Vec<(String, String)>,
    span: Option<Span>,
    tasks_span: Option<Span>,
}

impl Wanted {
    /// As a request says it.
    ///
    /// # Errors
    /// A URI that no member's can look like, or too many of them.
    pub fn of(message: &[u8], envelope: &Envelope<'_>) -> Result<Self, BadResources> {
        let find = |object, key| walk::find(message, object, key);
        let Some(wanted) = envelope.params.and_then(|p| find(p, "notifications")) else {
            return Ok(Self::default());
        };
        let is_true =
            |key: &&str| walk::find(message, wanted, key).is_some_and(|v| v.of(message) == b"true");
        let span = find(wanted, RESOURCES);
        let mut resources = Vec::new();
        for raw in span
            .into_iter()
            .flat_map(|span| walk::elements(message, span))
        {
            let text = walk::text(raw.of(message)).unwrap_or_default();
            let Some((server, own)) = uri::own(&text) else {
                return Err(BadResources::Unknown(text.into_owned()));
            };
            if resources.len() == URIS_MAX {
                return Err(BadResources::TooMany);
            }
            resources.push((server.to_owned(), own.into_owned()));
        }
        let mut of_tasks = Vec::new();
        for raw in tasks::listed(message, Some(wanted)) {
            let text = walk::text(raw.of(message)).unwrap_or_default();
            match tasks::own(&text) {
                Some((server, own)) if of_tasks.len() < TASKS_MAX => {
                    of_tasks.push((server.to_owned(), own.to_owned()));
                }
                _ => return Err(BadResources::UnknownTask(text.into_owned())),
            }
        }
        Ok(Self {
            lists: FLAGS.iter().any(is_true),
            resources,
            tasks: of_tasks,
            span,
            tasks_span: find(wanted, TASKS),
        })
    }

    /// Whether `server` has anything of it.
    #[must_use]
    pub fn concerns(&self, server: &str) -> bool {
        let of_it = |(whose, _): &(String, String)| whose == server;
        self.lists || self.resources.iter().any(of_it) || self.tasks.iter().any(of_it)
    }

    /// The request as `server` gets it: with its own resources and tasks only.
    ///
    /// # Errors
    /// None that a scanned message can cause.
    pub fn of_member(&self, message: &[u8], server: &str) -> Result<Vec<u8>, edit::Error> {
        let mut edits = Edits::new(message);
        for (span, all) in [(self.span, &self.resources), (self.tasks_span, &self.tasks)] {
            let Some(span) = span else { continue };
            let own = all.iter().filter(|(whose, _)| whose == server);
            let own: Vec<&str> = own.map(|(_, name)| name.as_str()).collect();
            edits.replace(
                span,
                serde_json::to_vec(&own).unwrap_or_else(|_| b"[]".to_vec()),
            );
        }
        edits.apply()
    }
}

/// What members have granted so far.
#[derive(Debug, Clone, Default)]
pub struct Granted {
    flags: BTreeSet<&'static str>,
    resources: BTreeSet<String>,
    tasks: BTreeSet<String>,
}

impl Granted {
    /// Adds what `server` grants, if the message is its acknowledgement. False: it is another message.
    pub fn add(&mut self, message: &[u8], envelope: &Envelope<'_>, server: &str) -> bool {
        if envelope.method() != method::SUBSCRIPTIONS_ACKNOWLEDGED {
            return false;
        }
        let find = |object, key| walk::find(message, object, key);
        let Some(granted) = envelope.params.and_then(|p| find(p, "notifications")) else {
            return true;
        };
        for flag in FLAGS {
            if find(granted, flag).is_some_and(|value| value.of(message) == b"true") {
                self.flags.insert(flag);
            }
        }
        let uris = find(granted, RESOURCES);
        for raw in uris
            .into_iter()
            .flat_map(|span| walk::elements(message, span))
        {
            if let Some(own) =
                walk::text(raw.of(message)).filter(|_| self.resources.len() < URIS_MAX)
            {
                self.resources.insert(uri::exposed(server, &own));
            }
        }
        for raw in tasks::listed(message, Some(granted)) {
            if let Some(own) = walk::text(raw.of(message)).filter(|_| self.tasks.len() < URIS_MAX) {
                self.tasks.insert(tasks::named(server, &own));
            }
        }
        true
    }

    /// The acknowledgement of all, for the subscription with this raw id.
    #[must_use]
    pub fn acknowledgement(&self, raw_id: &[u8], mut meta: Map<String, Value>) -> Vec<u8> {
        let mut granted: Map<String, Value> = self
            .flags
            .iter()
            .map(|flag| ((*flag).to_owned(), Value::Bool(true)))
            .collect();
        if !self.resources.is_empty() {
            granted.insert(RESOURCES.to_owned(), json!(self.resources));
        }
        if !self.tasks.is_empty() {
            granted.insert(TASKS.to_owned(), json!(self.tasks));
        }
        meta.insert(SUBSCRIPTION_ID.to_owned(), id(raw_id));
        let params = json!({"notifications": granted, "_meta": meta});
        let message = json!({"jsonrpc": "2.0", "method": method::SUBSCRIPTIONS_ACKNOWLEDGED, "params": params});
        message.to_string().into_bytes()
    }
}

/// The end of a subscription, for the one with this raw id.
#[must_use]
pub fn ended(raw_id: &[u8]) -> Vec<u8> {
    let mut out = br#"{"jsonrpc":"2.0","id":"#.to_vec();
    out.extend_from_slice(raw_id);
    out.extend_from_slice(br#","result":{"resultType":"complete","_meta":{"#);
    out.extend_from_slice(&quoted(SUBSCRIPTION_ID));
    out.push(b':');
    out.extend_from_slice(raw_id);
    out.extend_from_slice(b"}}}");
    out
}

/// An id as it came, a text or a whole number.
fn id(raw: &[u8]) -> Value {
    serde_json::from_slice(raw).unwrap_or_default()
}
