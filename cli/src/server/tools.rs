//! `gatehouse server tools`, `accept` and `reject`: which definitions of a server's tools were approved, what waits, and
//! what differs.

use std::time::Duration;

use proto::v1::{
    AcceptToolsRequest, ListToolStatesRequest, ServerTools, ToolChoice, ToolPin, ToolSighting,
};
use serde_json::{Value, json};

use super::diff;
use crate::app::App;
use crate::apply;
use crate::fault::{Failure, Fault};
use crate::get;
use crate::link::Link;
use crate::show::{Meaning, Table, nearest};
use crate::when;

/// Show how the definitions of a server's tools stand.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse server tools docs
  gatehouse server tools docs --diff
  gatehouse server tools docs --diff search
  gatehouse server tools docs -o json

STATE: pinned (approved), new, changed, poisoned, look_alike (taken for another tool's name). What is not pinned is held
under `pin: review`, poisoned and look_alike also under `pin: auto`: in no list, and no call goes to it.

See also: gatehouse server accept, gatehouse server reject")]
pub struct Tools {
    /// Which server
    pub name: String,
    /// Show what differs from what was approved, of all tools that wait, or of this one
    #[arg(long, value_name = "TOOL", num_args = 0..=1, default_missing_value = "")]
    pub diff: Option<String>,
}

/// Approve definitions that wait: what was approved before is not any more.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse server accept docs search
  gatehouse server accept docs --all --yes --wait

Without --yes it shows what would be approved, and approves nothing.

See also: gatehouse server tools, gatehouse server reject")]
pub struct Accept {
    /// Which ones, and whether it is to be done
    #[command(flatten)]
    pub choice: Choice,
}

/// Let go of definitions that wait: what was approved before stays so.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse server reject docs search
  gatehouse server reject docs --all --yes

Without --yes it shows what would be let go, and changes nothing. What the server still shows comes back.

See also: gatehouse server tools, gatehouse server accept")]
pub struct Reject {
    /// Which ones, and whether it is to be done
    #[command(flatten)]
    pub choice: Choice,
}

/// Which definitions are meant, and whether it is to be done.
#[derive(Debug, clap::Args)]
pub struct Choice {
    /// Which server
    pub name: String,
    /// Which tools
    pub tools: Vec<String>,
    /// All that wait
    #[arg(long, conflicts_with = "tools")]
    pub all: bool,
    /// Do it: without this, it is only shown
    #[arg(long)]
    pub yes: bool,
    /// Wait until every live node runs the revision
    #[arg(long)]
    pub wait: bool,
    /// How long to wait at most
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = when::parse)]
    pub timeout: Duration,
}

/// Asks for the definitions of one server's tools, where there is such a server.
async fn fetch(link: &Link, server: &str) -> Result<ServerTools, Failure> {
    get::one(link, model::wire::SERVER, server).await?;
    let found = states(link, server).await?;
    Ok(found.into_iter().next().unwrap_or_default())
}

/// Asks for the definitions of one server's tools; of all servers' of which any is known, for an empty name.
///
/// # Errors
/// No answer.
pub async fn states(link: &Link, server: &str) -> Result<Vec<ServerTools>, Failure> {
    let request = ListToolStatesRequest {
        server: server.to_owned(),
    };
    let answer = link.admin().list_tool_states(request).await;
    Ok(answer.map_err(|s| link.fault(&s))?.into_inner().servers)
}

/// Runs `server tools`.
///
/// # Errors
/// No connection, or no such server or tool.
pub(super) async fn tools(args: Tools, app: &App) -> Result<(), Failure> {
    let link = app.link().await?;
    let all = fetch(&link, &args.name).await?;
    if let Some(tool) = args.diff.as_deref().filter(|tool| !tool.is_empty()) {
        let is_meant = |waits: &&ToolSighting| waits.tool == tool;
        if !all.pending.iter().any(|waits| is_meant(&waits)) {
            return Err(not_waiting(&all, tool));
        }
    }
    if app.show.is_json() {
        app.show.json(&json!({"items": items(&all)}));
        return Ok(());
    }
    match &args.diff {
        Some(tool) => show_diff(app, &all, |waits| tool.is_empty() || waits.tool == *tool),
        None => {
            let empty = match all.pin.as_str() {
                "off" => {
                    "nobody looks at its tools: `tools: {pin: review}` in its spec has them looked at"
                }
                _ => "none of its tools was seen yet",
            };
            app.show.table(&table(&all), empty);
            if !all.pending.is_empty() {
                app.show
                    .hint(&format!("gatehouse server tools {} --diff", args.name));
            }
        }
    }
    Ok(())
}

/// Runs `server accept` and `server reject`.
///
/// # Errors
/// No connection, no such server, a tool that does not wait, or the rollout.
pub(super) async fn decide(args: Choice, reject: bool, app: &App) -> Result<(), Failure> {
    let link = app.link().await?;
    let all = fetch(&link, &args.name).await?;
    for tool in &args.tools {
        if !all.pending.iter().any(|waits| waits.tool == *tool) {
            return Err(not_waiting(&all, tool));
        }
    }
    let is_meant = |waits: &ToolSighting| args.all || args.tools.contains(&waits.tool);
    let meant: Vec<&ToolSighting> = all.pending.iter().filter(|waits| is_meant(waits)).collect();
    let verb = if reject { "reject" } else { "accept" };
    if meant.is_empty() {
        let message = match all.pending.is_empty() {
            true => format!("nothing waits at {}", args.name),
            false => "which tools? Name them, or say --all".to_owned(),
        };
        return Err(fault(message, format!("gatehouse server tools {}", args.name)).into());
    }
    if !reject && let Some(tool) = twice(&meant) {
        let message = format!(
            "several definitions of tool {tool:?} wait, and one alone can be approved: reject what is not meant"
        );
        return Err(fault(
            message,
            format!("gatehouse server tools {} --diff {tool}", args.name),
        )
        .into());
    }
    if !args.yes {
        show_diff(app, &all, is_meant);
        let message = format!("nothing was done: add --yes to {verb} what is shown");
        return Err(fault(
            message,
            format!("gatehouse server {verb} {} … --yes", args.name),
        )
        .into());
    }
    let choice = |waits: &&ToolSighting| ToolChoice {
        tool: waits.tool.clone(),
        era: waits.era.clone(),
        sha256: waits.sha256.clone(),
    };
    let request = AcceptToolsRequest {
        server: args.name.clone(),
        tools: meant.iter().map(choice).collect(),
        reject,
    };
    let answer = link.admin().accept_tools(request).await;
    let answer = answer.map_err(|status| link.fault(&status))?.into_inner();
    if !app.show.is_json() {
        for waits in &meant {
            app.show.line(&format!(
                "{verb}ed {} for {} clients",
                waits.tool, waits.era
            ));
        }
    }
    apply::finish(&link, &app.show, &answer, args.wait, args.timeout).await
}

/// A tool of which two definitions are meant, for clients of the same era.
fn twice<'a>(meant: &[&'a ToolSighting]) -> Option<&'a str> {
    let mut seen = std::collections::BTreeSet::new();
    let twice = meant
        .iter()
        .find(|waits| !seen.insert((&waits.tool, &waits.era)));
    twice.map(|waits| waits.tool.as_str())
}

fn fault(message: String, fix: String) -> Fault {
    Fault {
        message,
        fix: Some(fix.into()),
        ..Fault::default()
    }
}

fn not_waiting(all: &ServerTools, tool: &str) -> Failure {
    let mut missing = fault(
        format!("no definition of tool {tool:?} waits at {}", all.server),
        format!("gatehouse server tools {}", all.server),
    );
    let names = all.pending.iter().map(|waits| waits.tool.as_str());
    if let Some(near) = nearest(tool, names) {
        missing = missing.why(format!("did you mean {near}?"));
    }
    missing.into()
}

/// Tools as a table: those that are approved, then those that wait.
pub(crate) fn table(all: &ServerTools) -> Table {
    let mut table = Table::new(&["TOOL", "STATE", "CLIENTS", "SINCE", "BY", "WHY"]);
    for pin in &all.approved {
        table.cells(vec![
            (pin.tool.clone(), Meaning::Plain),
            ("pinned".to_owned(), Meaning::Good),
            (pin.era.clone(), Meaning::Plain),
            (when::age(pin.accepted_unix_ms), Meaning::Plain),
            (pin.accepted_by.clone(), Meaning::Plain),
            (String::new(), Meaning::Plain),
        ]);
    }
    for waits in &all.pending {
        table.cells(vec![
            (waits.tool.clone(), Meaning::Plain),
            (waits.why.clone(), Meaning::Look),
            (waits.era.clone(), Meaning::Plain),
            (when::age(waits.seen_unix_ms), Meaning::Plain),
            (waits.user.clone(), Meaning::Plain),
            (why(waits), Meaning::Plain),
        ]);
    }
    table
}

/// Why a definition waits, for people.
fn why(waits: &ToolSighting) -> String {
    match waits.why.as_str() {
        "new" => "nobody has accepted the tool yet".to_owned(),
        "changed" => "not defined any more as it was approved".to_owned(),
        "poisoned" => waits.detail.clone(),
        "look_alike" => format!("can be taken for {}", waits.detail),
        other => other.to_owned(),
    }
}

/// Tools as programs read them.
pub(crate) fn items(all: &ServerTools) -> Vec<Value> {
    let text = |definition: &[u8]| serde_json::from_slice::<Value>(definition).ok();
    let pinned = all.approved.iter().map(|pin| {
        json!({"tool": pin.tool, "state": "pinned", "clients": pin.era, "sha256": hex::encode(&pin.sha256),
            "since": when::rfc3339_ms(pin.accepted_unix_ms), "by": pin.accepted_by,
            "definition": text(&pin.definition)})
    });
    let waits = all.pending.iter().map(|waits| {
        json!({"tool": waits.tool, "state": waits.why, "clients": waits.era, "sha256": hex::encode(&waits.sha256),
            "since": when::rfc3339_ms(waits.seen_unix_ms), "user": waits.user, "why": why(waits),
            "definition": text(&waits.definition),
            "approved": before(all, waits).and_then(|pin| text(&pin.definition))})
    });
    pinned.chain(waits).collect()
}

/// What was approved before: for the same clients, else for the others.
fn before<'a>(all: &'a ServerTools, waits: &ToolSighting) -> Option<&'a ToolPin> {
    let mut of_tool = all.approved.iter().filter(|pin| pin.tool == waits.tool);
    let own = of_tool.clone().find(|pin| pin.era == waits.era);
    own.or_else(|| of_tool.next())
}

fn show_diff(app: &App, all: &ServerTools, is_meant: impl Fn(&ToolSighting) -> bool) {
    let meant: Vec<_> = all.pending.iter().filter(|waits| is_meant(waits)).collect();
    if meant.is_empty() {
        app.show.note("nothing waits");
    }
    for waits in meant {
        let head = format!(
            "{} for {} clients: {} (seen for {})",
            waits.tool,
            waits.era,
            why(waits),
            waits.user
        );
        app.show.line(&app.show.paint(Meaning::Name, &head));
        let pin = before(all, waits);
        let old = pin.map(|pin| pin.definition.as_slice());
        for (meaning, line) in diff::lines(old, &waits.definition) {
            app.show.line(&app.show.paint(meaning, &line));
        }
    }
}
