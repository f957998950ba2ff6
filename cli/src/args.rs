//! The command line: every command, and the flags that all have.

use std::path::PathBuf;

use clap::{ArgAction, CommandFactory, Parser};

use crate::services::{self, Rest};
use crate::show::{ColorChoice, Format};
use crate::{
    apply, approve, audit, call, check, completions, connect, delete, describe, diff, explain, get,
    history, key, man, node, nodes, rollback, secret, server, staged, store, tap, tools, up,
    validate, wait,
};

/// Gatehouse: the gate before your MCP servers.
#[derive(Debug, Parser)]
#[command(
    name = "gatehouse",
    version,
    disable_version_flag = true,
    disable_help_subcommand = true,
    propagate_version = false,
    after_help = "Examples:
  gatehouse up -f deploy/quickstart
  gatehouse check
  gatehouse call everything echo --args '{\"message\":\"hi\"}'
  gatehouse audit list --limit 1

Errors carry a code: gatehouse explain GH1001

See also: gatehouse check, gatehouse explain, gatehouse describe"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Flags of every command that asks the control plane or an edge.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Global {
    /// The file that says where the control plane is and who you are
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "GATEHOUSE_CONTEXT",
        help_heading = "Global"
    )]
    pub(crate) context: Option<PathBuf>,
    /// The control plane's address, instead of the context's
    #[arg(long, global = true, value_name = "URL", help_heading = "Global")]
    pub(crate) address: Option<String>,
    /// The admin token, instead of the context's
    #[arg(
        long,
        global = true,
        value_name = "TOKEN|@FILE",
        help_heading = "Global"
    )]
    pub(crate) token: Option<String>,
    /// The form of the answer: table and json everywhere, wide for lists, yaml and name for `get`, short for `check`
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value = "table",
        value_name = "FORMAT",
        help_heading = "Global"
    )]
    pub(crate) output: Format,
    /// When to use colour
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "auto",
        value_name = "WHEN",
        help_heading = "Global"
    )]
    pub(crate) color: ColorChoice,
    /// No hints
    #[arg(short, long, global = true, help_heading = "Global")]
    pub(crate) quiet: bool,
    /// More about what happens and why it failed
    #[arg(short, long, global = true, help_heading = "Global")]
    pub(crate) verbose: bool,
    /// Print the version
    #[arg(long, action = ArgAction::Version, help_heading = "Global")]
    pub(crate) version: Option<bool>,
}

/// What there is to do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Up(up::Args),
    Check(check::Args),
    Apply(apply::Args),
    Diff(diff::Args),
    Get(get::Args),
    Describe(describe::Args),
    Delete(delete::Args),
    History(history::Args),
    Rollback(rollback::Args),
    #[command(subcommand)]
    Rollout(staged::Command),
    Validate(validate::Args),
    Connect(connect::Args),
    Wait(wait::Args),
    Tools(tools::Args),
    Call(call::Args),
    #[command(subcommand)]
    Key(key::Command),
    #[command(subcommand)]
    Secret(secret::Command),
    Explain(explain::Args),
    Approve(approve::Args),
    #[command(subcommand)]
    Audit(audit::Command),
    Tap(tap::Args),
    Nodes(nodes::Args),
    #[command(subcommand)]
    Server(server::Command),
    #[command(subcommand)]
    Node(node::Command),
    #[command(subcommand)]
    Store(store::Command),
    Completions(completions::Args),
    Man(man::Args),
    /// Run a control plane, as the program gatehouse-control-plane does
    ControlPlane(Rest),
    /// Run an edge, as the program gatehouse-edge does
    Edge(Rest),
    /// Run a sidecar, as the program gatehouse-sidecar does
    Sidecar(Rest),
}

/// The whole command line, with the flags that the services read by themselves: for completions and the manual.
pub(crate) fn whole() -> clap::Command {
    services::commands()
        .into_iter()
        .fold(Cli::command(), |whole, service| {
            let name = service.get_name().to_owned();
            whole.mut_subcommand(name, |_| service)
        })
}

/// What `gatehouse` alone prints.
pub(crate) const OVERVIEW: &str = "\
start      up         the whole system on this machine
           check      whether everything works, and what mends it; --pre before a first start
           connect    a server's URL, and the configuration of a client
configure  apply      store what files hold; diff before, history, rollback after; get, delete, wait
           approve    calls that wait for a person; key, node token, secret: what proves who calls
           describe   one thing with its problems, where it runs, who may use it, its last calls
           explain    why a call is allowed or not; what a field, an error code or a check means
watch      nodes      every edge and sidecar; server status: what runs for a server
           tap        calls as they come; audit list: those on record; call, tools: make one
more       --help     all commands; gatehouse COMMAND --help shows examples; completions, man";

#[cfg(test)]
mod tests;
