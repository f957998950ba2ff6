//! `gatehouse server`: what runs for a server, its last words where it does not, and its log.

mod diff;
mod logs;
pub mod tools;

use std::collections::BTreeMap;

use proto::v1::{GetServerStatusRequest, ServerStatus};
use serde::Serialize;
use serde_json::json;

use crate::app::App;
use crate::fault::Failure;
use crate::get;
use crate::link::Link;
use crate::show::{Format, Meaning, Table};
use crate::when;

/// Look after running servers.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Show what runs for a server, and its last words where it does not
    Status(Status),
    /// Show what a server says on standard error, and what became of it
    Logs(logs::Args),
    /// Show how the definitions of its tools stand: approved, or held, and why
    Tools(tools::Tools),
    /// Approve definitions of tools that wait
    Accept(tools::Accept),
    /// Let go of definitions that wait, without approving them
    Reject(tools::Reject),
}

/// Show what runs for each server: state, restarts, and the last lines of one that failed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse server status
  gatehouse server status everything
  gatehouse server status -o json

STATE: installing, starting, ready, failed, backoff (ended, will be started again), stopped, absent (no sidecar).

See also: gatehouse nodes, gatehouse get Server")]
pub struct Status {
    /// One server only, with its last lines
    pub name: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// No connection, or no server of that name.
pub async fn run(command: Command, app: &App) -> Result<(), Failure> {
    match command {
        Command::Status(args) => status(args, app).await,
        Command::Logs(args) => logs::run(args, app).await,
        Command::Tools(args) => tools::tools(args, app).await,
        Command::Accept(args) => tools::decide(args.choice, false, app).await,
        Command::Reject(args) => tools::decide(args.choice, true, app).await,
    }
}

async fn status(args: Status, app: &App) -> Result<(), Failure> {
    let link = app.link().await?;
    if let Some(name) = &args.name {
        get::one(&link, model::wire::SERVER, name).await?;
    }
    let servers = statuses(&link, args.name.as_deref().unwrap_or_default()).await?;
    if app.show.is_json() {
        let items: Vec<View<'_>> = servers.iter().map(View::of).collect();
        app.show.json(&json!({ "items": items }));
        return Ok(());
    }
    let table = table(&servers, app.show.format() == Format::Wide);
    app.show
        .table(&table, "there is no Server yet: gatehouse apply -f FILE");
    if args.name.is_some() {
        for line in servers.iter().flat_map(details) {
            app.show.line(&line);
        }
    }
    Ok(())
}

/// What runs for one server, or for all where `server` is empty.
///
/// # Errors
/// No answer.
pub async fn statuses(link: &Link, server: &str) -> Result<Vec<ServerStatus>, Failure> {
    let request = GetServerStatusRequest {
        server: server.to_owned(),
        only_here: false,
    };
    let answer = link
        .admin()
        .get_server_status(request)
        .await
        .map_err(|s| link.fault(&s))?;
    Ok(answer.into_inner().servers)
}

/// One status for each server, by name: of several sidecars the one that is ready, else the one that changed last. A
/// sidecar that is gone may still be known beside its successor.
pub fn one_each(statuses: Vec<ServerStatus>) -> impl Iterator<Item = ServerStatus> {
    let mut best: BTreeMap<String, ServerStatus> = BTreeMap::new();
    let rank = |status: &ServerStatus| (status.state == "ready", status.since_unix_ms);
    for status in statuses {
        let better = best
            .get(&status.server)
            .is_none_or(|known| rank(&status) > rank(known));
        if better {
            best.insert(status.server.clone(), status);
        }
    }
    best.into_values()
}

fn meaning(state: &str) -> Meaning {
    match state {
        "ready" => Meaning::Good,
        "failed" => Meaning::Act,
        "installing" | "starting" | "backoff" => Meaning::Look,
        _ => Meaning::Plain,
    }
}

/// Statuses as a table.
pub(crate) fn table(servers: &[ServerStatus], wide: bool) -> Table {
    let mut header = vec!["SERVER", "STATE", "SINCE", "RESTARTS", "MCP", "MESSAGE"];
    if wide {
        header.extend(["NODE", "PID", "RUBBISH", "SAYS"]);
    }
    let mut table = Table::new(&header);
    for status in servers {
        let plain = |text: String| (text, Meaning::Plain);
        let mut cells = vec![
            plain(status.server.clone()),
            (status.state.clone(), meaning(&status.state)),
            plain(when::age(status.since_unix_ms)),
            plain(status.restarts.to_string()),
            plain(status.mcp_revision.clone()),
            plain(status.message.clone()),
        ];
        if wide {
            let pid = if status.pid == 0 {
                String::new()
            } else {
                status.pid.to_string()
            };
            cells.extend([
                plain(status.node.clone()),
                plain(pid),
                plain(status.rubbish_lines.to_string()),
                plain(status.server_info.clone()),
            ]);
        }
        table.cells(cells);
    }
    table
}

/// What a single server is asked about: how it was started, how it ended, when it is tried again, its last lines.
pub(crate) fn details(status: &ServerStatus) -> Vec<String> {
    let mut lines = Vec::new();
    let mut field = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push(format!("{name:<13} {value}"));
        }
    };
    field("started with", status.argv.join(" "));
    field("last exit", status.last_exit.clone());
    if status.next_start_unix_ms != 0 {
        field(
            "next start",
            format!("in {}", when::until(status.next_start_unix_ms)),
        );
    }
    if status.rubbish_lines > 0 {
        field(
            "rubbish",
            format!(
                "{} lines on its standard output were no message",
                status.rubbish_lines
            ),
        );
    }
    if !status.stderr.is_empty() {
        lines.push("its last lines:".to_owned());
        lines.extend(status.stderr.iter().map(|line| format!("  {line}")));
    }
    lines
}

/// A server's status as programs read it.
#[derive(Debug, Serialize)]
pub(crate) struct View<'a> {
    server: &'a str,
    node: Option<&'a str>,
    state: &'a str,
    message: &'a str,
    pid: Option<u32>,
    restarts: u32,
    since: Option<String>,
    next_start: Option<String>,
    mcp_revision: &'a str,
    server_info: &'a str,
    rubbish_lines: u64,
    argv: &'a [String],
    last_exit: &'a str,
    stderr: &'a [String],
}

impl<'a> View<'a> {
    pub(crate) fn of(status: &'a ServerStatus) -> Self {
        Self {
            server: &status.server,
            node: Some(status.node.as_str()).filter(|node| !node.is_empty()),
            state: &status.state,
            message: &status.message,
            pid: Some(status.pid).filter(|pid| *pid != 0),
            restarts: status.restarts,
            since: when::rfc3339_ms(status.since_unix_ms),
            next_start: when::rfc3339_ms(status.next_start_unix_ms),
            mcp_revision: &status.mcp_revision,
            server_info: &status.server_info,
            rubbish_lines: status.rubbish_lines,
            argv: &status.argv,
            last_exit: &status.last_exit,
            stderr: &status.stderr,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> ServerStatus {
        ServerStatus {
            server: "time".to_owned(),
            state: "backoff".to_owned(),
            message: "exited with status 1".to_owned(),
            argv: vec!["uvx".to_owned(), "mcp-server-time".to_owned()],
            last_exit: "exit status: 1".to_owned(),
            stderr: vec!["no such package".to_owned()],
            ..ServerStatus::default()
        }
    }

    #[test]
    fn one_that_failed_shows_its_last_words() {
        let lines = details(&failed()).join("\n");
        assert_eq!(
            lines,
            "started with  uvx mcp-server-time\nlast exit     exit status: 1\nits last lines:\n  no such package"
        );
    }

    #[test]
    fn both_tables_are_even() {
        for wide in [false, true] {
            assert!(table(&[failed()], wide).is_even());
        }
    }
}
