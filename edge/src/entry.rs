//! From a command line to a running edge: what `gatehouse-edge` and `gatehouse edge` share.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use dataplane::frame;
use runtime::drain::Drain;
use runtime::{settings, telemetry, tls};

use crate::app::{self, Settings};

/// Flags of an edge. Each overrides the setting of the same name.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// Settings file (TOML).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where clients connect.
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Where clients reach the edges; the first is the canonical one. May be given several times.
    #[arg(long = "public-url", value_name = "URL")]
    pub public_urls: Vec<String>,
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
    /// Let servers and webhook receivers be at private addresses, and over plain HTTP.
    #[arg(long)]
    pub egress_allow_private: bool,
    /// Print the settings in force, without secrets, and exit.
    #[arg(long)]
    pub print_config: bool,
    /// End when standard input ends: so a parent that is gone takes this process with it.
    #[arg(long, hide = true)]
    pub exit_with_stdin: bool,
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
        for (key, text) in [("listen", &self.listen), ("join", &self.join)] {
            if let Some(text) = text {
                flags.insert(key.to_owned(), text.clone().into());
            }
        }
        for (key, list) in [
            ("public_urls", &self.public_urls),
            ("control", &self.control),
        ] {
            if !list.is_empty() {
                flags.insert(key.to_owned(), list.clone().into());
            }
        }
        if self.egress_allow_private {
            flags.insert("egress".to_owned(), frame::egress_flags());
        }
        flags
    }
}

/// Runs an edge until it is told to stop.
pub fn main(args: Args) -> ExitCode {
    match start(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            frame::complain("gatehouse-edge", &error);
            ExitCode::FAILURE
        }
    }
}

fn start(args: &Args) -> anyhow::Result<()> {
    let settings: Settings = settings::load("edge", args.config.as_deref(), args.flags())?;
    if args.print_config {
        return frame::print_settings(&settings);
    }
    tls::install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let _telemetry = telemetry::init("gatehouse-edge", 0, &settings.audit.otlp)?;
        let delay = Duration::from_secs(settings.drain_delay_s);
        let drain = Drain::new();
        let edge = app::run(settings, drain.clone(), None);
        frame::run(edge, &drain, delay, args.exit_with_stdin).await
    })
}
