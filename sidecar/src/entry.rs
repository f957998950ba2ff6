//! From a command line to a running sidecar: what `gatehouse-sidecar` and `gatehouse sidecar` share.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use dataplane::frame;
use runtime::drain::Drain;
use runtime::{settings, telemetry, tls};

use crate::app::{self, Settings};
use crate::process::child::Launcher;

/// Flags of a sidecar. Each overrides the setting of the same name.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// Settings file (TOML).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The server that it stands before, by its name in the catalog.
    #[arg(long, value_name = "NAME")]
    pub server: Option<String>,
    /// Where edges connect.
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Where edges reach it, if not at the listen address.
    #[arg(long, value_name = "ADDR")]
    pub advertise: Option<String>,
    /// A control plane to connect to. May be given several times.
    #[arg(long, value_name = "ADDR")]
    pub control: Vec<String>,
    /// Roots to trust while joining (PEM).
    #[arg(long, value_name = "FILE")]
    pub control_ca: Option<PathBuf>,
    /// Where identity, configuration and audit log are kept.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// A join token, or @FILE.
    #[arg(long, value_name = "TOKEN")]
    pub join: Option<String>,
    /// Let the catalog name programs by path (`command`).
    #[arg(long)]
    pub allow_command: bool,
    /// A folder in which npx and uvx are looked for first. May be given several times.
    #[arg(long, value_name = "DIR")]
    pub tools_path: Vec<PathBuf>,
    /// The endpoint of a server whose runtime is `external`.
    #[arg(long, value_name = "URL")]
    pub upstream_url: Option<String>,
    /// Let servers and webhook receivers be at private addresses, and over plain HTTP.
    #[arg(long)]
    pub egress_allow_private: bool,
    /// Print the settings in force, without secrets, and exit.
    #[arg(long)]
    pub print_config: bool,
    /// End when standard input ends: so a parent that is gone takes this process with it.
    #[arg(long, hide = true)]
    pub exit_with_stdin: bool,
    /// The program of a server whose runtime is `external`, with its arguments.
    #[arg(last = true, value_name = "PROGRAM")]
    pub upstream_argv: Vec<String>,
}

impl Args {
    fn flags(&self) -> toml::Table {
        let mut flags = toml::Table::new();
        let paths = [
            ("control_ca", &self.control_ca),
            ("data_dir", &self.data_dir),
        ];
        for (key, path) in paths {
            if let Some(path) = path {
                flags.insert(key.to_owned(), path.display().to_string().into());
            }
        }
        let texts = [
            ("server", &self.server),
            ("listen", &self.listen),
            ("advertise", &self.advertise),
            ("join", &self.join),
            ("upstream_url", &self.upstream_url),
        ];
        for (key, text) in texts {
            if let Some(text) = text {
                flags.insert(key.to_owned(), text.clone().into());
            }
        }
        let tools: Vec<_> = self
            .tools_path
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        let lists = [
            ("tools_path", &tools),
            ("control", &self.control),
            ("upstream_argv", &self.upstream_argv),
        ];
        for (key, list) in lists {
            if !list.is_empty() {
                flags.insert(key.to_owned(), list.clone().into());
            }
        }
        if self.allow_command {
            flags.insert("allow_command".to_owned(), true.into());
        }
        if self.egress_allow_private {
            flags.insert("egress".to_owned(), frame::egress_flags());
        }
        flags
    }
}

/// Runs a sidecar until it is told to stop.
///
/// The program that calls this must have called [`crate::process::shim::intercept`] before anything else.
pub fn main(args: Args) -> ExitCode {
    match start(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            frame::complain("gatehouse-sidecar", &error);
            ExitCode::FAILURE
        }
    }
}

fn start(args: &Args) -> anyhow::Result<()> {
    let settings: Settings = settings::load("sidecar", args.config.as_deref(), args.flags())?;
    if args.print_config {
        return frame::print_settings(&settings);
    }
    tls::install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let _telemetry = telemetry::init("gatehouse-sidecar", 0, &settings.audit.otlp)?;
        let delay = Duration::from_secs(settings.drain_delay_s);
        let drain = Drain::new();
        let sidecar = app::run(settings, Launcher::this_program(), drain.clone(), None);
        frame::run(sidecar, &drain, delay, args.exit_with_stdin).await?;
        drain.finish(frame::DRAIN).await;
        Ok(())
    })
}
