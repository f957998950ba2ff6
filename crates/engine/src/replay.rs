//! A call of the past under two policies: would the second decide otherwise than the first?
//!
//! Only what is on record is there to decide by. Where that does not do (arguments that were not recorded, and a filter
//! that wants them; a receiver that would have to be asked; a tool's schema) the answer is *unknown*, unless it is the
//! same for both policies whatever is missing. What a server answered is not looked at. Start from [`compare`].

use core::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use mcp::method;
use model::access::Effect;
use model::decision::Reason;
use model::filter::{Direction, OnError};
use model::limit::{Limit, Mode};
use model::name::{FilterName, RuleName, ServerName};
use model::principal::Principal;

use crate::filter::{Compiled, Finding, Seen};
use crate::{Action, Engine, Facts, Target, Verdict};

/// A call as it is on record.
#[derive(Debug, Clone, Copy)]
pub struct Past<'a> {
    /// Who called.
    pub principal: &'a Arc<Principal>,
    /// The server.
    pub server: &'a ServerName,
    /// The method. Empty: the message was never read.
    pub method: &'a str,
    /// The tool, prompt, URI or task.
    pub name: &'a str,
    /// The arguments.
    pub arguments: Arguments<'a>,
    /// Where the client called from.
    pub client_address: Option<IpAddr>,
    /// When.
    pub time: Option<SystemTime>,
    /// Filters of today that it is known to have passed.
    pub passed: &'a [&'a str],
}

/// What is on record of a call's arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arguments<'a> {
    /// All of them, as JSON.
    Whole(&'a str),
    /// Nothing.
    NotRecorded,
    /// Their beginning.
    Cut,
    /// Something else in the place of a part.
    Redacted,
}

/// Why it cannot be known what would be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unknown {
    /// The arguments are wanted, and not on record.
    ArgumentsNotRecorded,
    /// The arguments are wanted whole, and were cut.
    ArgumentsCut,
    /// The arguments are wanted as they were, and something in them was redacted.
    ArgumentsRedacted,
    /// The client's address is wanted, and not on record.
    Address,
    /// A receiver would have to be asked.
    Webhook,
    /// What the tool's schema was.
    Schema,
    /// The message was refused before it was read.
    Unread,
    /// What the call was aimed at is not on record: the tool of a task, say.
    Target,
    /// How much was called meanwhile: a limit that only one of both has.
    Limit,
    /// Whether the client was who it said: the key that tells is gone.
    Client,
    /// Which groups the caller was in by the credential: the key that tells is gone, and who is a member changes.
    Groups,
}

impl Unknown {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ArgumentsNotRecorded => "arguments not recorded",
            Self::ArgumentsCut => "arguments cut",
            Self::ArgumentsRedacted => "arguments redacted",
            Self::Address => "address not recorded",
            Self::Webhook => "webhook not asked",
            Self::Schema => "tool's schema not known",
            Self::Unread => "message not read",
            Self::Target => "target not recorded",
            Self::Limit => "limit not replayed",
            Self::Client => "client not known any more",
            Self::Groups => "groups not known any more",
        }
    }
}

/// What one policy decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ruling<'e> {
    /// Whether it goes on.
    pub effect: Effect,
    /// Why not.
    pub reason: Option<Reason>,
    /// The rule that decides.
    pub rule: Option<&'e RuleName>,
    /// The filter that refuses.
    pub filter: Option<&'e FilterName>,
}

/// What comes of comparing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared<'e> {
    /// Both decide the same, be it by different rules.
    Same {
        /// The first policy's ruling.
        before: Ruling<'e>,
        /// The second one's.
        after: Ruling<'e>,
    },
    /// They decide differently.
    Differs {
        /// The first policy's ruling.
        before: Ruling<'e>,
        /// The second one's.
        after: Ruling<'e>,
    },
    /// It cannot be known.
    Unknown(Unknown),
}

/// Decides `past` by `before` and by `after`.
pub fn compare<'e>(before: &'e Engine, after: &'e Engine, past: &Past<'_>) -> Compared<'e> {
    // Who is in which groups is each policy's to say.
    let (then, now) = (
        before.with_groups(past.principal),
        after.with_groups(past.principal),
    );
    let of = |principal| Past { principal, ..*past };
    let (then, now) = (of(&then), of(&now));
    let other_limits = || limits(before, &then) != limits(after, &now);
    let (was, is) = (side(before, after, &then), side(after, before, &now));
    // Whatever the same filters say of the same message, they say it under both.
    let cancels = match (&was.open, &is.open) {
        (None, None) => true,
        (Some(was), Some(is)) => was.same && is.same && was.filters == is.filters,
        _ => false,
    };
    let (before, after) = (was.ruling, is.ruling);
    match was.open.or(is.open) {
        Some(open) if !cancels || before.effect != after.effect => Compared::Unknown(open.why),
        _ if after.effect != Effect::Deny && other_limits() => Compared::Unknown(Unknown::Limit),
        _ if before.effect != after.effect => Compared::Differs { before, after },
        _ => Compared::Same { before, after },
    }
}

/// The limits that count the call, and refuse.
fn limits(engine: &Engine, past: &Past<'_>) -> Vec<Arc<Limit>> {
    let limits = engine.limits();
    if limits.is_empty() {
        return Vec::new();
    }
    let tool = (past.method == method::TOOLS_CALL).then_some(past.name);
    let selected = limits.select(past.principal, past.server, past.method, tool);
    let refuse = selected.into_iter().filter(|l| l.mode == Mode::Enforce);
    refuse.collect()
}

/// What one policy says, as far as it can be known.
struct Side<'e> {
    /// If nothing that is open refuses.
    ruling: Ruling<'e>,
    open: Option<Open<'e>>,
}

/// What is not known.
struct Open<'e> {
    why: Unknown,
    /// Filters that may refuse.
    filters: Vec<&'e FilterName>,
    /// Whether the other policy has the very same ones, so that nothing else is open.
    same: bool,
}

impl<'e> Side<'e> {
    fn known(ruling: Ruling<'e>) -> Self {
        Self { ruling, open: None }
    }

    fn unknown(ruling: Ruling<'e>, why: Unknown) -> Self {
        let open = Open {
            why,
            filters: Vec::new(),
            same: false,
        };
        Self {
            ruling,
            open: Some(open),
        }
    }
}

fn side<'e>(engine: &'e Engine, other: &Engine, past: &Past<'_>) -> Side<'e> {
    if let Some(federation) = engine.federation(past.server) {
        // What concerns all members is decided by whether there is any; the rest is on record as a member's.
        let is_denied = !past.server.is_all() && engine.is_denied(past.principal, past.server);
        let mut members = federation.members().iter();
        let usable = members.any(|member| may_use(engine, past.principal, &member.server));
        return Side::known(if usable && !is_denied {
            ALLOWED
        } else {
            NO_RULE
        });
    }
    if !may_use(engine, past.principal, past.server) {
        return Side::known(NO_RULE);
    }
    if past.method.is_empty() {
        return Side::unknown(ALLOWED, Unknown::Unread);
    }
    if method::target_of(past.method) == method::Target::Task {
        // It is decided on as its tool, and the record holds the task.
        return Side::unknown(ALLOWED, Unknown::Target);
    }
    let ruling = match decide(engine, past, &Action::of(past.method, Some(past.name))) {
        Ok(ruling) if ruling.effect == Effect::Deny => return Side::known(ruling),
        Ok(ruling) => ruling,
        Err((ruling, why)) => return Side::unknown(ruling, why),
    };
    if past.method == method::COMPLETION_COMPLETE {
        let of_prompt = used(engine, past, &Action::prompt(past.name));
        let of_resource = used(engine, past, &Action::resource(past.name));
        if of_prompt.effect != of_resource.effect {
            return Side::unknown(ruling, Unknown::Target);
        }
        if of_prompt.effect == Effect::Deny {
            return Side::known(of_prompt);
        }
    }
    filtered(engine, other, past, ruling)
}

const ALLOWED: Ruling<'static> = Ruling {
    effect: Effect::Allow,
    reason: None,
    rule: None,
    filter: None,
};

const NO_RULE: Ruling<'static> = Ruling {
    effect: Effect::Deny,
    reason: Some(Reason::NoRule),
    rule: None,
    filter: None,
};

fn may_use(engine: &Engine, principal: &Principal, server: &ServerName) -> bool {
    engine.server(server.as_str()).is_some() && engine.may_use(principal, server)
}

/// What the rules decide of a prompt or resource that a completion is for: with which arguments it will be used is not
/// known.
fn used<'e>(engine: &'e Engine, past: &Past<'_>, action: &Action<'_>) -> Ruling<'e> {
    engine.decide(past.principal, past.server, action).into()
}

impl<'e> From<Verdict<'e>> for Ruling<'e> {
    fn from(verdict: Verdict<'e>) -> Self {
        Self {
            effect: verdict.effect,
            reason: verdict.reason,
            rule: verdict.rule,
            filter: None,
        }
    }
}

/// What the rules decide. `Err`: a condition asks for what is not on record, and what then.
fn decide<'e>(
    engine: &'e Engine,
    past: &Past<'_>,
    action: &Action<'_>,
) -> Result<Ruling<'e>, (Ruling<'e>, Unknown)> {
    let facts = Facts {
        args: match past.arguments {
            Arguments::Whole(arguments) => Some(arguments.as_bytes()),
            _ => None,
        },
        client_address: past.client_address,
        time: past.time,
    };
    let (principal, server) = (past.principal, past.server);
    let verdict = engine.decide_with(principal, server, action, &facts);
    let worst = engine.decide_at_worst(principal, server, action, &facts);
    if verdict.effect == worst.effect {
        return Ok(verdict.into());
    }
    let why = match past.arguments {
        Arguments::NotRecorded => Unknown::ArgumentsNotRecorded,
        Arguments::Cut => Unknown::ArgumentsCut,
        Arguments::Redacted => Unknown::ArgumentsRedacted,
        Arguments::Whole(_) => Unknown::Address,
    };
    Err((verdict.into(), why))
}

/// What the filters over requests make of a call that the rules let go on.
fn filtered<'e>(
    engine: &'e Engine,
    other: &Engine,
    past: &Past<'_>,
    ruling: Ruling<'e>,
) -> Side<'e> {
    let tool = (past.method == method::TOOLS_CALL).then_some(past.name);
    let way = Direction::Request;
    let selection = engine.filters().select(past.server, past.method, tool, way);
    if selection.is_empty() {
        return Side::known(ruling);
    }
    let mut open: Option<Open<'e>> = None;
    let mut message = past.message();
    for filter in selection.filters() {
        if filter.is_observer() || past.passed.contains(&filter.name().as_str()) {
            continue;
        }
        // Of the snapshot, as the selection does not live as long as the engine.
        let Some(own) = engine.snapshot().filters.get(filter.name()) else {
            continue;
        };
        let looked = match (&message, filter.hook()) {
            (_, Some(_)) => Err(Unknown::Webhook),
            _ if filter.wants_schemas() => Err(Unknown::Schema),
            (Err(why), None) => Err(*why),
            (Ok(message), None) => {
                let seen = Seen::new(message, way).of(past.method, past.name);
                Ok(outcome(filter, filter.look(&seen)))
            }
        };
        match looked {
            Ok(Outcome::Passes) => {}
            Ok(Outcome::Changes(changed)) => message = Ok(changed),
            // Whoever else may have refused: it does not go on.
            Ok(Outcome::Refuses(reason)) => {
                return Side::known(Ruling {
                    effect: Effect::Deny,
                    reason: Some(reason),
                    filter: Some(&own.name),
                    ..ruling
                });
            }
            Err(why) => {
                let open = open.get_or_insert_with(|| Open {
                    why,
                    filters: Vec::new(),
                    same: true,
                });
                open.filters.push(&own.name);
                open.same &= other.snapshot().filters.get(filter.name()) == Some(own);
            }
        }
    }
    Side { ruling, open }
}

enum Outcome {
    Passes,
    Changes(Vec<u8>),
    Refuses(Reason),
}

fn outcome(filter: &Compiled, finding: Finding) -> Outcome {
    match finding {
        Finding::Nothing => Outcome::Passes,
        Finding::Refuses(_) => Outcome::Refuses(Reason::Filter),
        Finding::Changes { message, .. } if filter.may_change() => Outcome::Changes(message),
        Finding::Changes { .. } | Finding::Fails(_) => match filter.on_error() {
            OnError::Deny => Outcome::Refuses(Reason::FilterError),
            OnError::Allow => Outcome::Passes,
        },
    }
}

impl Past<'_> {
    /// The message, as far as it is on record; or why it is not.
    fn message(&self) -> Result<Vec<u8>, Unknown> {
        let text = |text: &str| String::from_utf8_lossy(&mcp::edit::quoted(text)).into_owned();
        let params = match Action::of(self.method, Some(self.name)).target {
            Target::Tool(name) | Target::Prompt(name) => {
                let arguments = match self.arguments {
                    Arguments::Whole(json) => json,
                    Arguments::NotRecorded => return Err(Unknown::ArgumentsNotRecorded),
                    Arguments::Cut => return Err(Unknown::ArgumentsCut),
                    Arguments::Redacted => return Err(Unknown::ArgumentsRedacted),
                };
                format!(r#"{{"name":{},"arguments":{arguments}}}"#, text(name))
            }
            Target::Resource(uri) => format!(r#"{{"uri":{}}}"#, text(uri)),
            Target::None => "{}".to_owned(),
        };
        let method = text(self.method);
        Ok(format!(r#"{{"jsonrpc":"2.0","id":1,"method":{method},"params":{params}}}"#).into())
    }
}

#[cfg(test)]
mod tests;
