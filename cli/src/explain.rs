//! `gatehouse explain`: why a call is allowed or not, decided by the very engine that nodes run; the long form of an
//! error code or of a check; the fields of a resource; who can call a tool, and what a caller can. Start from [`run`].

mod code;
mod decision;
mod field;
mod many;

use std::net::IpAddr;
use std::path::PathBuf;

use crate::app::App;
use crate::fault::Failure;

/// Explain a decision (the rule that made it, rules that came near, filters), an error code, a check, or a field.
#[derive(Debug, clap::Args)]
#[command(after_help = r#"Examples:
  gatehouse explain --user admin --group admin --server everything --tool echo --args '{"message":"hacking"}'
  gatehouse explain --server everything --tool get-env --who
  gatehouse explain --user ana@example.com --group engineering --what
  gatehouse explain Server.spec --recursive

An error's code: gatehouse explain GH1001; a check: gatehouse explain cp-reachable

See also: gatehouse audit list, gatehouse describe, gatehouse check"#)]
pub struct Args {
    /// An error code such as GH1001, a check such as cp-reachable, or a field such as Server.spec
    #[arg(value_name = "CODE|CHECK|FIELD", conflicts_with_all = ["user", "group", "server", "tool", "client", "args", "address", "at", "file", "who", "what"])]
    pub topic: Option<String>,
    /// With a field: those in it, and those in them
    #[arg(long, requires = "topic")]
    pub recursive: bool,
    /// Everyone who can call the tool: whom rules name, and the callers of API keys
    #[arg(long, requires = "server", requires = "tool", conflicts_with_all = ["user", "group", "client", "args", "address", "at", "what"])]
    pub who: bool,
    /// All that rules let the user call, on one server or on all
    #[arg(long, requires = "user", conflicts_with_all = ["tool", "args", "address", "at"])]
    pub what: bool,
    /// Who calls
    #[arg(long, value_name = "USER", required_unless_present_any = ["topic", "who"])]
    pub user: Option<String>,
    /// A group of that user; any number of times
    #[arg(long, value_name = "GROUP")]
    pub group: Vec<String>,
    /// The client application that the credential was made for
    #[arg(long, value_name = "CLIENT")]
    pub client: Option<String>,
    /// The server, or a virtual one
    #[arg(long, value_name = "SERVER", required_unless_present_any = ["topic", "what"])]
    pub server: Option<String>,
    /// The tool
    #[arg(long, value_name = "TOOL", required_unless_present_any = ["topic", "what"])]
    pub tool: Option<String>,
    /// The call's arguments, so that conditions and filters can be asked, too: a JSON object, @FILE, or -
    #[arg(long, value_name = "JSON")]
    pub args: Option<String>,
    /// Where the client calls from, for conditions that ask for it
    #[arg(long, value_name = "IP")]
    pub address: Option<IpAddr>,
    /// When, for conditions that ask for it, such as 2026-11-27T18:00:00Z
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// Ask these files instead of the control plane; any number of times
    #[arg(short, long = "file", value_name = "FILE|DIR|-")]
    pub file: Vec<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// An unknown code, field or server, bad files or arguments, or no connection.
pub async fn run(args: Args, app: &App) -> Result<(), Failure> {
    match &args.topic {
        None if args.who => many::who(&args, app).await,
        None if args.what => many::what(&args, app).await,
        None => decision::explain(&args, app).await,
        Some(topic) if code::is_code(topic) => code::explain(topic, app),
        Some(topic) if code::explain_check(topic, app) => Ok(()),
        Some(topic) => field::explain(topic, args.recursive, app),
    }
}
