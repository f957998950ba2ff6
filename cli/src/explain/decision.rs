//! Why a call is allowed or not: the rule that decided, those that came near, and the filters that would run.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use engine::action::Action;
use engine::condition::Outcome;
use engine::federation::{Found, NAME_CHARS};
use engine::filter::{Compiled, Finding, Seen};
use engine::{Engine, Facts};
use mcp::method;
use model::decision::Reason;
use model::filter::{Direction, OnError};
use model::name::ServerName;
use model::principal::Principal;
use model::snapshot::{ResourceKey, Snapshot};
use model::wire;
use serde::Serialize;
use serde_json::{Value, json};

use super::Args;
use crate::app::App;
use crate::call;
use crate::codes;
use crate::fault::{Failure, Fault};
use crate::show::{Meaning, nearest};
use crate::source::Sources;
use crate::stored::{self, Stored};
use crate::validate;

/// Answers the question of the command line.
///
/// # Errors
/// An unknown server, bad files or arguments, or no connection.
pub(super) async fn explain(args: &Args, app: &App) -> Result<(), Failure> {
    let sources = if args.file.is_empty() {
        None
    } else {
        Some(Sources::read(&args.file)?)
    };
    let snapshot = match &sources {
        Some(sources) => {
            let mut snapshot = validate::snapshot(sources)?;
            stored::stand_in(&mut snapshot);
            snapshot.into()
        }
        None => Stored::fetch(&app.link().await?).await?.snapshot,
    };
    let engine = stored::compile(snapshot)?;
    let question = question(args, &engine)?;
    let mut answer = question.ask(&engine);
    answer.place = sources.as_ref().and_then(|sources| answer.place(sources));
    if app.show.is_json() {
        app.show.json(&answer);
    } else {
        for line in answer.lines(app) {
            app.show.line(&line);
        }
    }
    Ok(())
}

/// Who wants to do what.
#[derive(Debug)]
struct Question {
    principal: Arc<Principal>,
    server: ServerName,
    tool: String,
    /// The virtual server that was asked about, where these are one of its members and that one's own tool.
    through: Option<ServerName>,
    arguments: Option<Value>,
    address: Option<IpAddr>,
    time: Option<SystemTime>,
}

/// The server that is meant, which is one of the catalog.
///
/// # Errors
/// There is none of that name; with the nearest.
pub(super) fn server_of(args: &Args, snapshot: &Snapshot) -> Result<ServerName, Failure> {
    let name = args.server.as_deref().unwrap_or_default();
    let server = ServerName::new(name).map_err(|e| Failure::usage(e.to_string()))?;
    if !snapshot.servers.contains_key(&server) {
        let fault = Fault::new(codes::NO_SUCH, format!("there is no Server {name:?}"));
        let fault = match nearest(name, snapshot.servers.keys().map(ServerName::as_str)) {
            Some(near) => fault.why(format!("did you mean {near}?")),
            None => fault,
        };
        return Err(fault.fix("gatehouse get Server").into());
    }
    Ok(server)
}

fn question(args: &Args, engine: &Engine) -> Result<Question, Failure> {
    let groups: Vec<&str> = args.group.iter().map(String::as_str).collect();
    let user = args.user.as_deref().unwrap_or_default();
    let principal = Arc::new(Principal::new(
        user,
        &groups,
        args.client.as_deref(),
        "explain",
    ));
    let tool = args.tool.clone().unwrap_or_default();
    let named = args.server.as_deref().unwrap_or_default();
    let virtual_server = ServerName::new(named)
        .ok()
        .filter(|name| engine.snapshot().virtual_servers.contains_key(name));
    let (server, tool, through) = match virtual_server {
        None => (server_of(args, engine.snapshot())?, tool, None),
        // To whom everything there is refused it does not exist: the rule is about its name.
        Some(name) if engine.is_denied(&engine.with_groups(&principal), &name) => {
            (name, tool, None)
        }
        Some(name) => {
            let (member, own) = member(engine, &name, &tool)?;
            (member, own, Some(name))
        }
    };
    Ok(Question {
        principal,
        server,
        tool,
        through,
        arguments: args.args.as_deref().map(call::arguments).transpose()?,
        address: args.address,
        time: args.at.as_deref().map(instant).transpose()?,
    })
}

/// The member that a virtual server's tool is of, and what that one calls it.
fn member(engine: &Engine, name: &ServerName, tool: &str) -> Result<(ServerName, String), Failure> {
    let federation = engine.federation(name);
    let found = federation.and_then(|federation| {
        let found = federation.find_tool(tool, NAME_CHARS)?;
        Some((found, federation.members()))
    });
    let Some((found, members)) = found else {
        let message = format!("no tool of {name} is called {tool:?}");
        let fault = Fault::new(codes::NO_SUCH, message);
        return Err(fault.fix(format!("gatehouse tools {name}")).into());
    };
    match found {
        Found::Own(at, own) => Ok((members[at].server.clone(), own.into_owned())),
        Found::Shortened(at) => {
            let server = &members[at].server;
            let fault = Fault::new(
                codes::NO_SUCH,
                format!(
                    "{tool:?} was shortened: which tool of {server} it is tells that one's list alone"
                ),
            );
            let fix = format!("gatehouse explain --server {server} --tool NAME, by its own name");
            Err(fault.fix(fix).into())
        }
    }
}

fn instant(text: &str) -> Result<SystemTime, Failure> {
    let at: Result<jiff::Timestamp, _> = text.parse();
    at.map(SystemTime::from).map_err(|_| {
        Failure::usage(format!(
            "--at {text}: write a time such as 2026-11-27T18:00:00Z"
        ))
    })
}

impl Question {
    fn ask(&self, engine: &Engine) -> Answer {
        // What is not said is not known: then the answer is about what may be, as in a list.
        let given = self.arguments.as_ref().map(Value::to_string);
        let facts = Facts {
            args: given.as_deref().map(str::as_bytes),
            client_address: self.address,
            time: self.time,
        };
        let action = Action::tool(&self.tool);
        let principal = engine.with_groups(&self.principal);
        let found = engine.explain(&principal, &self.server, &action, &facts);
        let rules = found
            .rules
            .iter()
            .map(|rule| Rule {
                name: rule.rule.to_string(),
                effect: rule.effect.as_str(),
                matched: rule.matched,
                why_not: Some(rule.why_not.clone()).filter(|why| !why.is_empty()),
                mode: if rule.observes { "observe" } else { "enforce" },
                when: rule.condition.as_ref().map(|c| c.text.to_owned()),
                condition: rule.condition.as_ref().map(|c| words(&c.outcome)),
            })
            .collect();
        let mut answer = Answer {
            decision: found.verdict.effect.as_str(),
            reason: found.verdict.reason.map(model::decision::Reason::as_str),
            rule: found.verdict.rule.map(ToString::to_string),
            filters: found.filters.iter().map(ToString::to_string).collect(),
            limits: found.limits.iter().map(ToString::to_string).collect(),
            filter: None,
            filter_says: None,
            place: None,
            through: self.through.as_ref().map(|name| Through {
                virtual_server: name.to_string(),
                server: self.server.to_string(),
                tool: self.tool.clone(),
            }),
            observed: found.verdict.observed.map(|o| o.to_string()),
            rules,
            asked: Asked::No,
        };
        if found.verdict.is_possible() {
            self.ask_filters(engine, &mut answer);
        }
        answer
    }

    /// Shows the call to the filters, where its arguments are given: the same bytes that a client would send.
    fn ask_filters(&self, engine: &Engine, answer: &mut Answer) {
        let Some(arguments) = &self.arguments else {
            return;
        };
        let params = json!({"name": self.tool, "arguments": arguments});
        let message =
            json!({"jsonrpc": "2.0", "id": 1, "method": method::TOOLS_CALL, "params": params});
        let selection = engine.filters().select(
            &self.server,
            method::TOOLS_CALL,
            Some(&self.tool),
            Direction::Request,
        );
        let mut message = message.to_string().into_bytes();
        answer.asked = Asked::Passed;
        // Who only looks decides nothing.
        for filter in selection.filters().filter(|f| !f.is_observer()) {
            if filter.hook().is_some() {
                // Receivers hear of calls, not of questions.
                answer.asked = Asked::Partly;
                continue;
            }
            let seen = Seen::new(&message, Direction::Request).of(method::TOOLS_CALL, &self.tool);
            let refused = match filter.look(&seen) {
                Finding::Refuses(says) => (Reason::Filter, says),
                Finding::Fails(says) if filter.on_error() == OnError::Deny => {
                    (Reason::FilterError, says)
                }
                Finding::Changes {
                    message: changed, ..
                } => {
                    // The next filter sees what this one has made of it.
                    message = changed;
                    continue;
                }
                Finding::Nothing | Finding::Fails(_) => continue,
            };
            answer.refused(filter, refused);
            return;
        }
    }
}

/// Whether filters were shown the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// No arguments were given.
    No,
    /// None refused it.
    Passed,
    /// None refused it; receivers of webhooks were not asked.
    Partly,
    /// One did.
    Refused,
}

/// The decision and its grounds; the contract's four fields first.
#[derive(Debug, Serialize)]
struct Answer {
    decision: &'static str,
    reason: Option<&'static str>,
    rule: Option<String>,
    filters: Vec<String>,
    /// Limits that would count the call.
    limits: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter_says: Option<String>,
    /// Where the rule, or the filter that refused, stands in the files that were asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<String>,
    /// Whose tool it is, where a virtual server was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    through: Option<Through>,
    /// What rules that only observe would have changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    observed: Option<String>,
    rules: Vec<Rule>,
    #[serde(skip)]
    asked: Asked,
}

#[derive(Debug, Serialize)]
struct Through {
    virtual_server: String,
    server: String,
    tool: String,
}

#[derive(Debug, Serialize)]
struct Rule {
    name: String,
    effect: &'static str,
    matched: bool,
    why_not: Option<String>,
    mode: &'static str,
    /// Its condition …
    #[serde(skip_serializing_if = "Option::is_none")]
    when: Option<String>,
    /// … and what came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<String>,
}

impl Rule {
    /// `no-secrets (deny, observes) matches: args.message.contains("secret") holds`
    fn line(&self) -> String {
        let Self { name, effect, .. } = self;
        let observes = if self.mode == "observe" {
            ", observes"
        } else {
            ""
        };
        let fit = self.why_not.as_ref().map_or_else(
            || "matches".to_owned(),
            |why| format!("does not match: {why}"),
        );
        let condition = match (&self.when, &self.condition) {
            (Some(when), Some(outcome)) => format!("; {when} {outcome}"),
            _ => String::new(),
        };
        format!("{name} ({effect}{observes}) {fit}{condition}")
    }
}

fn words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Holds => "holds".to_owned(),
        Outcome::Fails => "does not hold".to_owned(),
        Outcome::Unknown => "is not known: it asks for more than is said here".to_owned(),
        Outcome::Error(why) => format!("cannot be evaluated: {why}"),
    }
}

impl Answer {
    /// A filter refuses what the rules let go on.
    fn refused(&mut self, by: &Compiled, (reason, says): (Reason, String)) {
        self.asked = Asked::Refused;
        self.decision = "deny";
        self.reason = Some(reason.as_str());
        self.filter = Some(by.name().to_string());
        self.filter_says = Some(says);
    }

    /// `rules.yaml:12`.
    fn place(&self, sources: &Sources) -> Option<String> {
        let key = match (&self.filter, &self.rule) {
            (Some(filter), _) => ResourceKey::new(wire::FILTER, filter),
            (None, Some(rule)) => ResourceKey::new(wire::ACCESS_RULE, rule),
            (None, None) => return None,
        };
        let located = &sources.located[sources.index_of(&key)?];
        Some(format!("{}:{}", located.file, located.line))
    }

    fn lines(&self, app: &App) -> Vec<String> {
        let meaning = if self.decision == "allow" {
            Meaning::Good
        } else {
            Meaning::Act
        };
        let decision = app.show.paint(meaning, self.decision);
        let because = match (&self.filter, &self.rule) {
            (Some(filter), _) => format!(
                "filter {filter}: {}",
                self.filter_says.as_deref().unwrap_or_default()
            ),
            (None, Some(rule)) => format!("rule {}", app.show.paint(Meaning::Name, rule)),
            (None, None) => "no rule allows it".to_owned(),
        };
        let place = self
            .place
            .as_ref()
            .map_or_else(String::new, |place| format!(", {place}"));
        let mut lines = vec![
            format!("decision  {decision}"),
            format!("because   {because}{place}"),
        ];
        if let Some(Through {
            virtual_server,
            server,
            tool,
        }) = &self.through
        {
            lines.push(format!(
                "through   {virtual_server}: it is {tool} of {server}"
            ));
        }
        for (n, rule) in self.rules.iter().enumerate() {
            let head = if n == 0 { "rules     " } else { "          " };
            lines.push(format!("{head}{}", rule.line()));
        }
        if let Some(observed) = &self.observed {
            lines.push(format!("observed  would be {observed}"));
        }
        let asked = match self.asked {
            Asked::No if self.filters.is_empty() => "none",
            Asked::No => " (not asked: no --args)",
            Asked::Passed if self.filters.is_empty() => "none",
            Asked::Passed => " (the request passes)",
            Asked::Partly => {
                " (receivers of webhooks are asked by calls alone; the others let the request pass)"
            }
            Asked::Refused => "",
        };
        lines.push(format!("filters   {}{asked}", self.filters.join(", ")));
        if !self.limits.is_empty() {
            lines.push(format!("limits    {}", self.limits.join(", ")));
        }
        lines
    }
}

#[cfg(test)]
mod tests;
