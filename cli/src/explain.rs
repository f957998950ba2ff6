//! `gatehouse explain`: why a call is allowed or not, decided by the very engine that nodes run; the long form of an
//! error code; the fields of a resource.

use std::path::PathBuf;

use engine::Engine;
use engine::action::Action;
use engine::filter::Outcome;
use mcp::method;
use model::access::Effect;
use model::filter::Direction;
use model::name::ServerName;
use model::principal::Principal;
use model::snapshot::Snapshot;
use serde::Serialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::call;
use crate::codes;
use crate::fault::{Failure, Fault};
use crate::get;
use crate::show::{Meaning, Table, nearest};
use crate::source::Sources;
use crate::validate;

/// Explain a decision (the rule that made it, rules that came near, filters), an error code, or a resource's fields.
#[derive(Debug, clap::Args)]
#[command(after_help = r#"Examples:
  gatehouse explain --user ana@example.com --group engineering --server everything --tool get-env
  gatehouse explain --user admin --group admin --server everything --tool echo --args '{"message":"hacking"}'
  gatehouse explain --user sam@example.com --server time --tool get_current_time -f deploy/quickstart
  gatehouse explain Server.spec.limits

An error's code: gatehouse explain GH1001

See also: gatehouse audit list, gatehouse get AccessRule"#)]
pub struct Args {
    /// An error code, such as GH1001, or a field of a resource, such as Server.spec
    #[arg(value_name = "CODE|FIELD", conflicts_with_all = ["user", "group", "server", "tool", "client", "args", "file"])]
    pub topic: Option<String>,
    /// Who calls
    #[arg(long, value_name = "USER", required_unless_present = "topic")]
    pub user: Option<String>,
    /// A group of that user; any number of times
    #[arg(long, value_name = "GROUP")]
    pub group: Vec<String>,
    /// The client application that the credential was made for
    #[arg(long, value_name = "CLIENT")]
    pub client: Option<String>,
    /// The server
    #[arg(long, value_name = "SERVER", required_unless_present = "topic")]
    pub server: Option<String>,
    /// The tool
    #[arg(long, value_name = "TOOL", required_unless_present = "topic")]
    pub tool: Option<String>,
    /// The call's arguments, so that filters can be asked, too: a JSON object, @FILE, or -
    #[arg(long, value_name = "JSON")]
    pub args: Option<String>,
    /// Ask these files instead of the control plane; any number of times
    #[arg(short, long = "file", value_name = "FILE|DIR|-")]
    pub file: Vec<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// An unknown code or server, bad files or arguments, or no connection.
pub async fn run(args: Args, app: &App) -> Result<(), Failure> {
    if let Some(topic) = &args.topic {
        return if is_code(topic) {
            explain_code(topic, app)
        } else {
            explain_field(topic, app)
        };
    }
    let snapshot = if args.file.is_empty() {
        stored(app).await?
    } else {
        validate::snapshot(&Sources::read(&args.file)?)?
    };
    let question = question(&args, &snapshot)?;
    let engine = Engine::compile(snapshot.into()).map_err(|faults| {
        let faults = faults.iter().map(|f| Fault {
            code: f.code.into(),
            message: f.to_string(),
            ..Fault::default()
        });
        Failure::of(faults.collect(), None)
    })?;
    let answer = question.ask(&engine);
    if app.show.is_json() {
        app.show.json(&answer);
    } else {
        for line in answer.lines(app) {
            app.show.line(&line);
        }
    }
    Ok(())
}

/// `GH` and a digit: no resource is called that.
fn is_code(topic: &str) -> bool {
    topic
        .get(..2)
        .is_some_and(|start| start.eq_ignore_ascii_case("gh"))
        && topic[2..].starts_with(|c: char| c.is_ascii_digit())
}

fn explain_field(path: &str, app: &App) -> Result<(), Failure> {
    let Some(fields) = model::yaml::describe(path) else {
        let mut around = path;
        // A field without fields of its own, or a misspelt one: what stands around it helps with both.
        while let Some((outer, _)) = around.rsplit_once('.') {
            if model::yaml::describe(outer).is_some() {
                return Err(Failure::usage(format!(
                    "{path} has no fields: gatehouse explain {outer}"
                )));
            }
            around = outer;
        }
        return Err(Failure::usage(format!(
            "{path:?} is no error code and no field: gatehouse explain Server.spec"
        )));
    };
    if app.show.is_json() {
        let items: Vec<Value> = fields
            .iter()
            .map(|f| json!({"field": f.name, "type": f.shape, "meaning": f.doc}))
            .collect();
        app.show.json(&json!({"path": path, "items": items}));
        return Ok(());
    }
    let mut table = Table::new(&["FIELD", "TYPE", "MEANING"]);
    for field in fields {
        table.row([
            field.name.to_owned(),
            field.shape.to_owned(),
            field.doc.to_owned(),
        ]);
    }
    app.show.table(&table, "it has no fields");
    Ok(())
}

fn explain_code(code: &str, app: &App) -> Result<(), Failure> {
    let Some((code, title, text)) = codes::look_up(code) else {
        let all = codes::CODES
            .iter()
            .chain(model::fault::CODES)
            .map(|row| row.0);
        let offer = nearest(&code.to_ascii_uppercase(), all)
            .map_or_else(String::new, |near| format!(": did you mean {near}?"));
        return Err(Failure::usage(format!(
            "there is no error code {code:?}{offer}"
        )));
    };
    if app.show.is_json() {
        app.show
            .json(&json!({"code": code, "title": title, "text": text}));
    } else {
        app.show.line(&format!(
            "{}  {title}\n\n{text}",
            app.show.paint(Meaning::Name, code)
        ));
    }
    Ok(())
}

/// What the control plane holds, as far as decisions look at it.
async fn stored(app: &App) -> Result<Snapshot, Failure> {
    let link = app.link().await?;
    let mut snapshot = Snapshot::default();
    for kind in [
        model::wire::SERVER,
        model::wire::ACCESS_RULE,
        model::wire::FILTER,
    ] {
        for resource in get::all(&link, kind).await? {
            match model::wire::convert(&resource) {
                Ok(item) => model::wire::insert(&mut snapshot, item),
                Err(faults) => {
                    let why = faults.first().map(ToString::to_string).unwrap_or_default();
                    let text = "the control plane holds what this command does not know: it is of an older version";
                    return Err(Fault::new(codes::NO_ANSWER, text).why(why).into());
                }
            }
        }
    }
    Ok(snapshot)
}

/// Who wants to do what.
#[derive(Debug)]
struct Question {
    principal: Principal,
    server: ServerName,
    tool: String,
    arguments: Option<Value>,
}

fn question(args: &Args, snapshot: &Snapshot) -> Result<Question, Failure> {
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
    let groups: Vec<&str> = args.group.iter().map(String::as_str).collect();
    let user = args.user.as_deref().unwrap_or_default();
    Ok(Question {
        principal: Principal::new(user, &groups, args.client.as_deref(), "explain"),
        server,
        tool: args.tool.clone().unwrap_or_default(),
        arguments: args.args.as_deref().map(call::arguments).transpose()?,
    })
}

impl Question {
    fn ask(&self, engine: &Engine) -> Answer {
        let found = engine.explain(&self.principal, &self.server, &Action::tool(&self.tool));
        let allowed = found.verdict.is_allowed();
        let rules = found
            .rules
            .iter()
            .map(|rule| Rule {
                name: rule.rule.to_string(),
                effect: if rule.effect == Effect::Allow {
                    "allow"
                } else {
                    "deny"
                },
                matched: rule.matched,
                why_not: Some(rule.why_not.clone()).filter(|why| !why.is_empty()),
            })
            .collect();
        let mut answer = Answer {
            decision: if allowed { "allow" } else { "deny" },
            reason: found.verdict.reason.map(model::decision::Reason::as_str),
            rule: found.verdict.rule.map(ToString::to_string),
            filters: found.filters.iter().map(ToString::to_string).collect(),
            filter: None,
            filter_says: None,
            rules,
            asked: Asked::No,
        };
        if allowed {
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
        answer.asked = Asked::Passed;
        if let Outcome::Deny { filter, reason } = selection.check(message.to_string().as_bytes()) {
            answer.asked = Asked::Refused;
            answer.decision = "deny";
            answer.reason = Some(model::decision::Reason::Filter.as_str());
            answer.filter = Some(filter.to_string());
            answer.filter_says = Some(reason);
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
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter_says: Option<String>,
    rules: Vec<Rule>,
    #[serde(skip)]
    asked: Asked,
}

#[derive(Debug, Serialize)]
struct Rule {
    name: String,
    effect: &'static str,
    matched: bool,
    why_not: Option<String>,
}

impl Answer {
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
        let mut lines = vec![
            format!("decision  {decision}"),
            format!("because   {because}"),
        ];
        for (n, rule) in self.rules.iter().enumerate() {
            let head = if n == 0 { "rules     " } else { "          " };
            let fit = rule.why_not.as_ref().map_or_else(
                || "matches".to_owned(),
                |why| format!("does not match: {why}"),
            );
            lines.push(format!("{head}{} ({}) {fit}", rule.name, rule.effect));
        }
        let asked = match self.asked {
            Asked::No if self.filters.is_empty() => "none",
            Asked::No => " (not asked: no --args)",
            Asked::Passed if self.filters.is_empty() => "none",
            Asked::Passed => " (the request passes)",
            Asked::Refused => "",
        };
        lines.push(format!("filters   {}{asked}", self.filters.join(", ")));
        lines
    }
}

#[cfg(test)]
mod tests;
