//! `gatehouse up`: the whole system on one machine.
//!
//! ```text
//! up ──stdin pipe──► control-plane                       a child process each, of this very binary; the end of
//!    ──stdin pipe──► edge (one for each --edge-listen)   its pipe tells a part that `up` is gone, however it died
//!    ──stdin pipe──► sidecar (one for each hosted server)
//! ```
//! Start from [`run`]. `home` keeps the data folder, `plan` chooses addresses, `parts` keeps processes
//! running, `system` brings them up in order and watches over them. `check` asks `home`, `ports` and `settings` what
//! `up` would.

mod board;
mod hint;
pub(crate) mod home;
mod logs;
mod old;
mod parts;
mod plan;
pub(crate) mod ports;
mod probe;
mod servers;
pub(crate) mod settings;
mod signals;
mod system;

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::app::App;
use crate::apply;
use crate::fault::Failure;
use crate::source::Sources;

use home::Home;
use plan::Plan;
use signals::Signals;
use system::System;

/// Run the whole system on this machine: control plane, edges, and a sidecar for each hosted server.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:
  gatehouse up
  gatehouse up -f deploy/quickstart
  gatehouse up --edge-listen 127.0.0.1:7800 --edge-listen 127.0.0.1:7801
  gatehouse up --store etcd://127.0.0.1:2379 --otlp http://127.0.0.1:4317

Ctrl-C drains all parts and ends; a second one ends them at once. A later start goes on where this one was.
A port 0 means a free one, which is kept for later starts.

See also: gatehouse apply, gatehouse nodes, gatehouse server status")]
pub struct Args {
    /// Where state is kept
    #[arg(long, value_name = "DIR", default_value = settings::DATA_DEFAULT)]
    pub data: PathBuf,
    /// Apply these once the control plane is up; any number of times
    #[arg(short, long = "file", value_name = "FILE|DIR")]
    pub file: Vec<PathBuf>,
    /// Where clients connect; one edge for each
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7800")]
    pub edge_listen: Vec<SocketAddr>,
    /// Where the control plane's APIs listen
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7700")]
    pub control_listen: SocketAddr,
    /// Where the control plane's web pages will listen; this version has none yet
    #[arg(long, value_name = "ADDR")]
    pub web_listen: Option<SocketAddr>,
    /// Where configuration is stored: embedded, or etcd://HOST:PORT,…
    #[arg(long, value_name = "STORE", default_value = "embedded", value_parser = store)]
    pub store: String,
    /// Send audit spans there, too (OTLP/gRPC); any number of times
    #[arg(long, value_name = "URL")]
    pub otlp: Vec<String>,
    /// Let servers with `runtime: command` run programs of this machine
    #[arg(long)]
    pub allow_command: bool,
    /// Let servers and webhook receivers be at private addresses, and over plain HTTP
    #[arg(long)]
    pub egress_allow_private: bool,
}

fn store(text: &str) -> Result<String, String> {
    let known = text == "embedded"
        || text
            .strip_prefix("etcd://")
            .is_some_and(|hosts| !hosts.is_empty());
    if known {
        Ok(text.to_owned())
    } else {
        Err("write embedded, or etcd://HOST:PORT,HOST:PORT".to_owned())
    }
}

/// Runs the command: until Ctrl-C, SIGTERM, or a fault that nothing can go on with.
///
/// # Errors
/// Faults of the files given with `-f`, an address or folder in use, a part that does not start, or not being ready
/// within ten minutes.
pub async fn run(args: Args, app: &App) -> Result<(), Failure> {
    if let Some(address) = args.web_listen {
        app.show.note(&format!(
            "this version has no web pages yet: nothing will listen on {address}"
        ));
    }
    let sources = if args.file.is_empty() {
        None
    } else {
        Some(Sources::read(&args.file).map_err(|failure| failure.and(apply::NOTHING))?)
    };
    let mut home = Home::open(&args.data)?;
    old::await_end(home.dir()).await;
    let plan = Plan::new(&args, &mut home)?;
    let mut signals = Signals::new()?;
    let mut system = System::new(app, &args, home, plan)?;
    let result = tokio::select! {
        result = system.work(sources) => result,
        () = signals.next() => Ok(()),
    };
    system.stop(&mut signals).await;
    result
}
