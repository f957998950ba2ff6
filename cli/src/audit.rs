//! `gatehouse audit`: the record of every call, one row a call.

pub(crate) mod row;

use std::time::Duration;

use proto::v1::{AbsentReplica, Call, CallFilter, ListCallsRequest, TailCallsRequest};
use serde::Serialize;

use crate::absent;
use crate::app::App;
use crate::fault::Failure;
use crate::get;
use crate::link::Link;
use crate::show::Format;
use crate::when;

use row::View;

/// Most rows that one page of the control plane holds.
const PAGE_MAX: u32 = 1000;
/// How long `tail` waits for something before it says why there may be nothing.
const QUIET: Duration = Duration::from_secs(5);

/// Read the record of every call.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Show calls, newest first
    List(List),
    /// Show calls as they come, until Ctrl-C
    Tail(Tail),
}

/// Show calls, newest first: who called what, what was decided, and by which rule or filter.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse audit list --limit 1
  gatehouse audit list --user ana@example.com --outcome deny --since 1h
  gatehouse audit list --server everything --tool echo -o wide
  gatehouse audit list --since 24h -o json

See also: gatehouse audit tail, gatehouse explain")]
pub struct List {
    /// Which calls
    #[command(flatten)]
    pub filter: Filter,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit: u32,
    /// Go on from there: `next` of the page before
    #[arg(long, value_name = "CURSOR")]
    pub after: Option<String>,
}

/// Show calls as they come, until Ctrl-C.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse audit tail
  gatehouse audit tail --server everything --outcome deny
  gatehouse audit tail -o json

See also: gatehouse audit list")]
pub struct Tail {
    /// Which calls
    #[command(flatten)]
    pub filter: Filter,
}

/// What a call's decision may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Outcome {
    /// It went on unchanged.
    Allow,
    /// It was refused.
    Deny,
    /// It went on changed.
    Change,
    /// It waited for a person.
    Approve,
    /// It failed.
    Error,
}

/// Which calls; all that are given must fit.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Filter {
    /// Calls of this user
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// Calls of users in this group
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// Calls to this server
    #[arg(long, value_name = "SERVER")]
    pub server: Option<String>,
    /// Calls of this tool, prompt or resource URI
    #[arg(long, value_name = "TOOL")]
    pub tool: Option<String>,
    /// Calls of this MCP method
    #[arg(long, value_name = "METHOD")]
    pub method: Option<String>,
    /// Calls with this decision
    #[arg(long, value_enum)]
    pub outcome: Option<Outcome>,
    /// Calls since that long ago
    #[arg(long, value_name = "TIME", value_parser = when::parse)]
    pub since: Option<Duration>,
}

impl Filter {
    fn wire(&self) -> CallFilter {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let since_unix_ns = self.since.map_or(0, |ago| {
            let ago_ms = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
            when::now_unix_ms()
                .saturating_sub(ago_ms)
                .max(1)
                .saturating_mul(1_000_000)
        });
        CallFilter {
            user: text(&self.user),
            server: text(&self.server),
            tool: text(&self.tool),
            outcome: self.outcome.map(outcome).unwrap_or_default().to_owned(),
            since_unix_ns,
            group: text(&self.group),
            method: text(&self.method),
        }
    }

    /// The flags that narrow the list, for "nothing matches …".
    fn words(&self) -> String {
        let mut words = Vec::new();
        let given = [
            ("user", &self.user),
            ("group", &self.group),
            ("server", &self.server),
            ("tool", &self.tool),
            ("method", &self.method),
        ];
        words.extend(
            given
                .iter()
                .filter_map(|(name, v)| v.as_ref().map(|v| format!("--{name} {v}"))),
        );
        words.extend(self.outcome.map(|o| format!("--outcome {}", outcome(o))));
        words.extend(
            self.since
                .map(|since| format!("--since {}", when::span(since))),
        );
        words.join(" ")
    }
}

pub(crate) const fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Allow => "allow",
        Outcome::Deny => "deny",
        Outcome::Change => "change",
        Outcome::Approve => "approve",
        Outcome::Error => "error",
    }
}

/// Runs the command.
///
/// # Errors
/// No connection, or what the control plane refuses.
pub async fn run(command: Command, app: &App) -> Result<(), Failure> {
    match command {
        Command::List(args) => list(args, app).await,
        Command::Tail(args) => tail(args, app).await,
    }
}

async fn list(args: List, app: &App) -> Result<(), Failure> {
    let link = app.link().await?;
    let Pages {
        calls,
        after: next,
        absent,
    } = pages(&link, &args).await?;
    if app.show.is_json() {
        let items: Vec<View<'_>> = calls.iter().map(View::of).collect();
        app.show.json(&Page {
            items,
            next: Some(next).filter(|next| !next.is_empty()),
            absent: absent::json(&absent),
        });
        return Ok(());
    }
    absent::note(&app.show, &absent, "calls that it has stored");
    let table = row::table(&calls, app.show.format() == Format::Wide);
    let words = args.filter.words();
    let empty = if words.is_empty() {
        "no call is on record yet".to_owned()
    } else {
        format!("no call matches {words}")
    };
    app.show.table(&table, &empty);
    if let (true, Some(server)) = (calls.is_empty(), &args.filter.server) {
        for sentence in get::unknown_servers(&link, std::slice::from_ref(server)).await {
            app.show.note(&sentence);
        }
    }
    if !next.is_empty() {
        app.show.hint(&format!("older ones: add --after {next}"));
    }
    Ok(())
}

/// Calls, and what there is to know of the list.
struct Pages {
    calls: Vec<Call>,
    /// Where the next page begins. Empty: there is none.
    after: String,
    absent: Vec<AbsentReplica>,
}

/// As many pages as the limit takes.
async fn pages(link: &Link, args: &List) -> Result<Pages, Failure> {
    let mut calls = Vec::new();
    let mut after = args.after.clone().unwrap_or_default();
    loop {
        let had = u32::try_from(calls.len()).unwrap_or(u32::MAX);
        let limit = args.limit.saturating_sub(had).min(PAGE_MAX);
        let request = ListCallsRequest {
            filter: Some(args.filter.wire()),
            limit,
            after,
            ..Default::default()
        };
        let page = link
            .audit()
            .list_calls(request)
            .await
            .map_err(|s| link.fault(&s))?
            .into_inner();
        calls.extend(page.calls);
        after = page.next;
        if after.is_empty() || calls.len() >= args.limit as usize {
            return Ok(Pages {
                calls,
                after,
                absent: page.absent,
            });
        }
    }
}

async fn tail(args: Tail, app: &App) -> Result<(), Failure> {
    let link = app.link().await?;
    let request = TailCallsRequest {
        filter: Some(args.filter.wire()),
        only_here: false,
    };
    let mut stream = link
        .audit()
        .tail_calls(request)
        .await
        .map_err(|s| link.fault(&s))?
        .into_inner();
    let words = args.filter.words();
    app.show.note(&format!(
        "watching calls{}{words}; Ctrl-C ends it",
        if words.is_empty() { "" } else { " with " }
    ));
    let mut said_quiet = false;
    while !app.show.is_closed() {
        let next = tokio::time::timeout(QUIET, stream.message()).await;
        let call = match next {
            Err(_) if said_quiet => continue,
            Err(_) => {
                app.show.note(
                    "no call yet; it is shown once an edge has sent its record: gatehouse nodes",
                );
                said_quiet = true;
                continue;
            }
            Ok(message) => message.map_err(|s| link.fault(&s))?,
        };
        let Some(call) = call else { break };
        said_quiet = true;
        if app.show.is_json() {
            app.show.json_line(&View::of(&call));
        } else {
            app.show.line(&row::line(&app.show, &call));
        }
    }
    Ok(())
}

#[derive(Debug, Serialize)]
struct Page<'a> {
    items: Vec<View<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    absent: serde_json::Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_emptied_a_list_is_named() {
        let filter = Filter {
            user: Some("ana".to_owned()),
            outcome: Some(Outcome::Deny),
            since: Some(Duration::from_secs(3_600)),
            ..Filter::default()
        };
        assert_eq!(filter.words(), "--user ana --outcome deny --since 60m");
        assert!(filter.wire().since_unix_ns > 0);
        assert_eq!(Filter::default().wire(), CallFilter::default());
    }
}
