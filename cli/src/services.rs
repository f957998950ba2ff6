//! The three services as subcommands: `gatehouse edge …` is the program `gatehouse-edge …`.
//!
//! Their flags are their own: the flags that all other commands have mean nothing to them, so they are split off
//! before those are read.

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::codes;
use crate::fault::{Failure, Fault};
use crate::show::Show;

/// A service of Gatehouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Stores and pushes configuration.
    ControlPlane,
    /// The client-facing proxy.
    Edge,
    /// The hop before one server.
    Sidecar,
}

impl Service {
    /// The service that a subcommand names.
    pub fn named(word: &OsStr) -> Option<Self> {
        match word.to_str()? {
            "control-plane" => Some(Self::ControlPlane),
            "edge" => Some(Self::Edge),
            "sidecar" => Some(Self::Sidecar),
            _ => None,
        }
    }
}

/// What follows the name of a service, unread.
#[derive(Debug, Clone, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Rest {
    /// Flags of the service
    #[arg(
        value_name = "FLAG",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub(crate) flags: Vec<OsString>,
}

#[derive(Debug, Parser)]
#[command(name = "gatehouse control-plane", version)]
/// Run a control plane: it stores catalog, rules and filters, and pushes them to edges and sidecars.
struct ControlPlane {
    #[command(flatten)]
    command: control_plane::command::Command,
}

#[derive(Debug, Parser)]
#[command(name = "gatehouse edge", version)]
/// Run an edge: the MCP proxy that clients connect to.
struct Edge {
    #[command(flatten)]
    args: edge::entry::Args,
}

#[derive(Debug, Parser)]
#[command(name = "gatehouse sidecar", version)]
/// Run a sidecar: it stands before one MCP server, runs it, and enforces policy again.
struct Sidecar {
    #[command(flatten)]
    args: sidecar::entry::Args,
}

/// The services' own command lines, each by the name of its subcommand.
pub(crate) fn commands() -> [clap::Command; 3] {
    [
        ControlPlane::command().name("control-plane"),
        Edge::command().name("edge"),
        Sidecar::command().name("sidecar"),
    ]
}

/// Runs a service until it is told to stop.
pub fn run(service: Service, flags: Vec<OsString>, show: &Show) -> ExitCode {
    let words = std::iter::once(OsString::from("gatehouse")).chain(flags);
    match service {
        Service::ControlPlane => match ControlPlane::try_parse_from(words) {
            Ok(parsed) => control_plane(parsed.command, show),
            Err(error) => crate::usage(&error),
        },
        Service::Edge => match Edge::try_parse_from(words) {
            Ok(parsed) => edge::entry::main(parsed.args),
            Err(error) => crate::usage(&error),
        },
        Service::Sidecar => match Sidecar::try_parse_from(words) {
            Ok(parsed) => sidecar::entry::main(parsed.args),
            Err(error) => crate::usage(&error),
        },
    }
}

fn control_plane(command: control_plane::command::Command, show: &Show) -> ExitCode {
    runtime::tls::install_default();
    let ended = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(Box::pin(command.run())));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let fault = Fault::new(codes::PART_FAILED, format!("{error:#}"));
            Failure::from(fault).tell(show)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn services_are_known_by_their_subcommands() {
        assert_eq!(Service::named(OsStr::new("edge")), Some(Service::Edge));
        assert_eq!(Service::named(OsStr::new("edges")), None);
    }

    #[test]
    fn each_takes_what_up_gives_it() {
        let given = [
            "gatehouse",
            "--config",
            "settings.toml",
            "--exit-with-stdin",
        ];
        assert!(
            ControlPlane::try_parse_from(given)
                .unwrap()
                .command
                .exit_with_stdin
        );
        let given = [
            "gatehouse",
            "--config",
            "settings.toml",
            "--join",
            "@join.token",
            "--exit-with-stdin",
        ];
        assert!(Edge::try_parse_from(given).unwrap().args.exit_with_stdin);
        assert!(Sidecar::try_parse_from(given).unwrap().args.exit_with_stdin);
    }
}
