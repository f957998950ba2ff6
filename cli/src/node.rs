//! `gatehouse node token create`: lets one edge or sidecar join.

use proto::v1::{CreateJoinTokenRequest, NodeKind};
use serde_json::json;
use tonic::Code;

use crate::app::App;
use crate::fault::Failure;
use crate::get;
use crate::when;

/// Let edges and sidecars join.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make join tokens
    #[command(subcommand)]
    Token(Token),
}

/// Make join tokens.
#[derive(Debug, clap::Subcommand)]
pub enum Token {
    /// Make a join token for one node: one use, ten minutes
    Create(Create),
}

/// What a node may join as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Client-facing proxy.
    Edge,
    /// Stands before one server.
    Sidecar,
}

/// Make a join token and print it: good for one node, once, for ten minutes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse node token create --kind edge
  gatehouse node token create --kind sidecar --server docs
  gatehouse node token create --kind edge -o json

Give it to the node as --join @FILE, so that it stands in no list of processes.

See also: gatehouse nodes")]
pub struct Create {
    /// What it may join as
    #[arg(long, value_enum)]
    pub kind: Kind,
    /// The server that a sidecar stands before
    #[arg(long, value_name = "SERVER", required_if_eq("kind", "sidecar"))]
    pub server: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// No connection, or what the control plane refuses.
pub async fn run(command: Command, app: &App) -> Result<(), Failure> {
    let Command::Token(Token::Create(args)) = command;
    let kind = match args.kind {
        Kind::Edge if args.server.is_some() => {
            return Err(Failure::usage(
                "an edge serves all servers: leave --server out",
            ));
        }
        Kind::Edge => NodeKind::Edge,
        Kind::Sidecar => NodeKind::Sidecar,
    };
    let link = app.link().await?;
    let server = args.server.unwrap_or_default();
    let request = CreateJoinTokenRequest {
        kind: kind.into(),
        server: server.clone(),
    };
    let made = match link.admin().create_join_token(request).await {
        Ok(made) => made.into_inner(),
        Err(status) if status.code() == Code::NotFound => {
            return Err(get::no_such(&link, model::wire::SERVER, &server)
                .await
                .into());
        }
        Err(status) => return Err(link.fault(&status).into()),
    };
    if app.show.is_json() {
        app.show
            .json(&json!({"token": made.token, "expires": when::rfc3339_ms(made.expires_unix_ms)}));
    } else {
        app.show.line(&made.token);
        app.show
            .hint("start the node with --join @FILE within ten minutes");
    }
    Ok(())
}
