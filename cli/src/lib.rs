//! `gatehouse`: the only program that users start. Commands for the control plane, a built-in MCP client, the whole
//! system on one machine (`up`), and the three services as subcommands.
//!
//! ```text
//! main ─▶ run ─▶ args ─▶ one file a command ─▶ link (gRPC to the control plane), caller (MCP through an edge)
//!                                        └──▶ show (all output), fault (all errors, and the exit code)
//! ```
//! Must not know the store or the node API. Start from [`run`].

pub mod absent;
pub mod again;
pub mod app;
pub mod apply;
pub mod approve;
mod args;
pub mod audit;
pub mod call;
pub mod caller;
pub mod check;
pub mod codes;
pub mod completions;
pub mod connect;
pub mod context;
pub mod delete;
pub mod describe;
pub mod diff;
pub mod explain;
pub mod fault;
pub mod get;
pub mod history;
pub mod key;
pub mod kind;
pub mod link;
pub mod man;
pub mod node;
pub mod nodes;
mod question;
pub mod rollback;
pub mod rollout;
pub mod secret;
pub mod server;
pub mod services;
pub mod show;
pub mod source;
pub mod staged;
pub mod store;
pub mod stored;
pub mod tap;
pub mod tools;
pub mod up;
pub mod validate;
pub mod wait;
mod watch;
pub mod when;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use runtime::settings::env;

use app::App;
use args::{Cli, Command, Global, OVERVIEW};
use context::Asked;
use fault::{Failure, Fault};
use services::Service;
use show::{ColorChoice, Format, Show, Surroundings};

/// Runs one command line, the program's name first; gives the exit code: 0 done, 1 refused or failed, 2 usage,
/// 130 interrupted.
///
/// Makes a runtime of its own: must not be called from within one. A program that calls this must have called
/// [`sidecar::process::shim::intercept`] before anything else.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    if let Some(service) = args.get(1).and_then(|word| Service::named(word)) {
        return services::run(service, args[2..].to_vec(), &plain());
    }
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let app = app(&cli.global);
    let service = match cli.command {
        None => {
            app.show.line(OVERVIEW);
            return ExitCode::SUCCESS;
        }
        Some(Command::ControlPlane(rest)) => (Service::ControlPlane, rest),
        Some(Command::Edge(rest)) => (Service::Edge, rest),
        Some(Command::Sidecar(rest)) => (Service::Sidecar, rest),
        Some(command) => {
            return match start(command, cli.global.output, &app) {
                Ok(()) => ExitCode::SUCCESS,
                Err(failure) => failure.tell(&app.show),
            };
        }
    };
    services::run(service.0, service.1.flags, &app.show)
}

/// Output for a process that has no flags about it.
fn plain() -> Show {
    Show::new(
        Format::Table,
        ColorChoice::Auto,
        &surroundings(),
        false,
        false,
    )
}

/// What clap has to say: help and version are answers, everything else is a fault of usage.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    // Nobody is left to tell where the terminal is gone.
    let _ = error.print();
    if error.use_stderr() {
        ExitCode::from(2)
    } else {
        ExitCode::SUCCESS
    }
}

fn surroundings() -> Surroundings {
    Surroundings {
        no_color: env("NO_COLOR").is_some(),
        force_color: env("CLICOLOR_FORCE").is_some_and(|value| value != "0"),
        dumb: env("TERM").is_some_and(|value| value == "dumb"),
    }
}

fn app(global: &Global) -> App {
    App {
        show: Show::new(
            global.output,
            global.color,
            &surroundings(),
            global.quiet,
            global.verbose,
        ),
        asked: Asked {
            file: global.context.clone(),
            address: global.address.clone(),
            token: global.token.clone(),
            home: env("HOME").map(PathBuf::from),
        },
        folder: std::env::current_dir().unwrap_or_default(),
    }
}

fn start(command: Command, format: Format, app: &App) -> Result<(), Failure> {
    fits(&command, format)?;
    runtime::tls::install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime
        .map_err(|e| Fault::new(codes::FILE, "no threads can be started").why(e.to_string()))?;
    runtime.block_on(async {
        match command {
            // Hears Ctrl-C by itself, and drains.
            Command::Up(args) => up::run(args, app).await,
            command => tokio::select! {
                result = perform(command, app) => result,
                Ok(()) = tokio::signal::ctrl_c() => Err(Failure::interrupted(None)),
            },
        }
    })
}

/// Whether a command has this form of answer.
fn fits(command: &Command, format: Format) -> Result<(), Failure> {
    let fits = match format {
        Format::Table => true,
        Format::Json => !matches!(
            command,
            Command::Up(_) | Command::Completions(_) | Command::Man(_)
        ),
        Format::Wide => matches!(
            command,
            Command::Get(_)
                | Command::Nodes(_)
                | Command::Server(_)
                | Command::Audit(audit::Command::List(_))
        ),
        Format::Yaml | Format::Name => matches!(command, Command::Get(_)),
        Format::Short => matches!(command, Command::Check(_)),
    };
    if fits {
        return Ok(());
    }
    Err(Failure::usage(
        "this command does not answer in that form: leave -o out, or see --help",
    ))
}

async fn perform(command: Command, app: &App) -> Result<(), Failure> {
    match command {
        Command::Apply(args) => apply::run(args, app).await,
        Command::Diff(args) => diff::run(args, app).await,
        Command::History(args) => history::run(args, app).await,
        Command::Rollback(args) => rollback::run(args, app).await,
        Command::Rollout(command) => staged::run(command, app).await,
        Command::Get(args) => get::run(args, app).await,
        Command::Delete(args) => delete::run(args, app).await,
        Command::Completions(args) => completions::run(&args, app),
        Command::Man(args) => man::run(&args, app),
        Command::Validate(args) => validate::run(args, app).await,
        Command::Connect(args) => connect::run(args, app).await,
        Command::Wait(args) => wait::run(args, app).await,
        Command::Tap(args) => tap::run(args, app).await,
        Command::Tools(args) => tools::run(args, app).await,
        Command::Call(args) => call::run(args, app).await,
        Command::Key(command) => key::run(command, app).await,
        Command::Secret(command) => secret::run(command, app).await,
        Command::Describe(args) => describe::run(args, app).await,
        Command::Explain(args) => explain::run(args, app).await,
        Command::Audit(command) => audit::run(command, app).await,
        Command::Check(args) => check::run(args, app).await,
        Command::Approve(args) => approve::run(args, app).await,
        Command::Nodes(args) => nodes::run(args, app).await,
        Command::Server(command) => server::run(command, app).await,
        Command::Node(command) => node::run(command, app).await,
        Command::Store(command) => store::run(command, app).await,
        Command::Up(_) | Command::ControlPlane(_) | Command::Edge(_) | Command::Sidecar(_) => {
            Ok(())
        }
    }
}
