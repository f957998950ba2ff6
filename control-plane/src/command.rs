//! The control plane's command line: flags over settings, then run until told to stop. Shared by
//! `gatehouse-control-plane` and `gatehouse control-plane`.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use runtime::drain::{Drain, wait_for_stop};
use runtime::{settings, telemetry};
use toml::{Table, Value};

use crate::app;
use crate::settings::Settings;

/// Longest that calls under way may take once the control plane was told to stop.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// Flags of a control plane. What is not given comes from the environment, the file, the defaults.
#[derive(Debug, Clone, Default, Args)]
pub struct Command {
    /// Settings file, TOML; this process reads its section `control_plane`
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address of the admin and node API [default: 127.0.0.1:7700]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Address of the receiver of audit records [default: 127.0.0.1:7702]
    #[arg(long, value_name = "ADDR")]
    pub otlp_listen: Option<String>,
    /// Address of /livez, /readyz, /metrics and /config [default: 127.0.0.1:7709]
    #[arg(long, value_name = "ADDR")]
    pub admin_listen: Option<String>,
    /// Folder for what must outlive the process [default: .gatehouse/control-plane]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where configuration is stored: `embedded`, or `etcd://h1:2379,h2:2379` [default: embedded]
    #[arg(long, value_name = "STORE")]
    pub store: Option<String>,
    /// The key that secrets in the store are sealed under [default: made in the data folder]
    #[arg(long, value_name = "FILE")]
    pub master_key_file: Option<PathBuf>,
    /// Administrators' tokens, one a line [default: made in the data folder]
    #[arg(long, value_name = "FILE")]
    pub admin_token_file: Option<PathBuf>,
    /// A further host or address under which it is reached; any number of times
    #[arg(long = "tls-host", value_name = "HOST")]
    pub tls_hosts: Vec<String>,
    /// Show the settings that would be used, without secrets, and end
    #[arg(long)]
    pub print_config: bool,
    /// End when standard input does: with the process that started this one
    #[arg(long, hide = true)]
    pub exit_with_stdin: bool,
    /// Log more; twice for all
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

impl Command {
    /// The settings that these flags lead to.
    ///
    /// # Errors
    /// The first value that cannot be used, with where it came from.
    pub fn settings(&self) -> Result<Settings, settings::Error> {
        settings::load("control_plane", self.config.as_deref(), self.flags())
    }

    /// Runs until a signal, or the end of standard input where that was asked for.
    ///
    /// # Errors
    /// What keeps the control plane from starting, or from going on.
    pub async fn run(self) -> anyhow::Result<()> {
        let settings = self.settings()?;
        if self.print_config {
            std::io::stdout().write_all(settings::print(&settings).as_bytes())?;
            return Ok(());
        }
        let _telemetry = telemetry::init("gatehouse-control-plane", self.verbose, &[])?;
        let drain = Drain::new();
        let running = drain.spawn("control plane", Box::pin(app::run(settings, drain.clone())));
        tokio::pin!(running);
        let ended = tokio::select! {
            stopped = wait_for_stop(self.exit_with_stdin) => {
                stopped?;
                None
            }
            ended = &mut running => Some(ended),
        };
        if !drain.finish(DRAIN_MAX).await {
            tracing::warn!("some calls were cut off: they did not end in time");
        }
        match ended {
            Some(ended) => ended?.unwrap_or(Ok(())),
            None => running.await?.unwrap_or(Ok(())),
        }
    }

    fn flags(&self) -> Table {
        let text = |text: &Option<String>| text.clone().map(Value::String);
        let path = |path: &Option<PathBuf>| {
            path.as_ref()
                .map(|path| Value::String(path.to_string_lossy().into_owned()))
        };
        let flags = [
            ("listen", text(&self.listen)),
            ("otlp_listen", text(&self.otlp_listen)),
            ("admin_listen", text(&self.admin_listen)),
            ("data_dir", path(&self.data_dir)),
            ("store", text(&self.store)),
            ("master_key_file", path(&self.master_key_file)),
            ("admin_token_file", path(&self.admin_token_file)),
        ];
        let mut table: Table = flags
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect();
        if !self.tls_hosts.is_empty() {
            let hosts = self.tls_hosts.iter().cloned().map(Value::String).collect();
            let tls = Table::from_iter([("hosts".to_owned(), Value::Array(hosts))]);
            table.insert("tls".to_owned(), Value::Table(tls));
        }
        table
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn flags_are_settings() {
        let command = Command {
            listen: Some("0.0.0.0:1".to_owned()),
            data_dir: Some("/d".into()),
            tls_hosts: vec!["cp.example.com".to_owned()],
            ..Command::default()
        };
        let settings = command.settings().unwrap();
        assert_eq!(settings.listen, "0.0.0.0:1");
        assert_eq!(settings.data_dir, PathBuf::from("/d"));
        assert_eq!(settings.tls.hosts, ["cp.example.com"]);
        assert_eq!(settings.store, "embedded");
    }
}
