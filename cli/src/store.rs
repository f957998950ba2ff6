//! `gatehouse store`: where the control plane keeps everything, and what to do after it was restored from a backup.

use proto::v1::{AcceptStoreRequest, ReplicaStatus, VersionRequest};
use serde_json::json;

use crate::app::App;
use crate::fault::Failure;
use crate::show::{Meaning, Table};

/// The control plane's store and its replicas.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Show the store, its revision, and the replicas that stand on it
    Status(Status),
    /// Agree to what a restored store holds
    Accept(Accept),
}

/// Show the store, its revision, and the replicas of the control plane that stand on it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse store status
  gatehouse store status -o json

See also: gatehouse nodes, gatehouse store accept")]
pub struct Status {}

/// Agree to what the store holds after it was restored from a backup: it goes on from there, above the highest
/// revision that any node has run. What was changed since that backup is given up.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse store accept --revision 40
  gatehouse store accept --revision 40 -o json

Until then nodes keep the rules that they run, and nothing can be changed.

See also: gatehouse store status, gatehouse nodes")]
pub struct Accept {
    /// The revision that the store holds, as `gatehouse store status` shows it
    #[arg(long, value_name = "REVISION")]
    pub revision: u64,
}

/// Runs the command.
///
/// # Errors
/// No connection, or what the control plane refuses.
pub async fn run(command: Command, app: &App) -> Result<(), Failure> {
    match command {
        Command::Status(Status {}) => status(app).await,
        Command::Accept(args) => accept(&args, app).await,
    }
}

async fn status(app: &App) -> Result<(), Failure> {
    let link = app.link().await?;
    let answer = link.admin().version(VersionRequest {}).await;
    let answer = answer.map_err(|s| link.fault(&s))?.into_inner();
    let back = answer.went_back;
    if app.show.is_json() {
        let replicas: Vec<_> = answer.replicas.iter().map(view).collect();
        app.show.json(&json!({
            "store": answer.store,
            "revision": answer.revision,
            "sha256": answer.sha256,
            "went_back": back.map(|back| json!({"ran": back.ran, "holds": back.holds})),
            "replicas": replicas,
        }));
        return Ok(());
    }
    app.show.line(&format!(
        "{} store, revision {}, {}",
        answer.store, answer.revision, answer.sha256
    ));
    let mut table = Table::new(&[
        "REPLICA", "ADDRESS", "STATE", "HEAD", "NODES", "LOWEST", "VERSION",
    ]);
    for replica in &answer.replicas {
        let meaning = if replica.state == "gone" {
            Meaning::Look
        } else {
            Meaning::Plain
        };
        let plain = |text: String| (text, Meaning::Plain);
        table.cells(vec![
            plain(replica.name.clone()),
            plain(replica.address.clone()),
            (replica.state.clone(), meaning),
            plain(replica.head.to_string()),
            plain(replica.live_nodes.to_string()),
            plain(match replica.lowest_revision {
                0 => "-".to_owned(),
                lowest => lowest.to_string(),
            }),
            plain(replica.version.clone()),
        ]);
    }
    app.show.table(&table, "");
    if let Some(back) = back {
        app.show.note(&format!(
            "the store went back: it holds revision {}, but revision {} was run; nodes keep what they run and nothing \
             is changed until you agree: gatehouse store accept --revision {}",
            back.holds, back.ran, back.holds
        ));
    }
    Ok(())
}

fn view(replica: &ReplicaStatus) -> serde_json::Value {
    json!({
        "name": replica.name,
        "address": replica.address,
        "state": replica.state,
        "head": replica.head,
        "live_nodes": replica.live_nodes,
        "lowest_revision": replica.lowest_revision,
        "version": replica.version,
    })
}

async fn accept(args: &Accept, app: &App) -> Result<(), Failure> {
    let link = app.link().await?;
    let request = AcceptStoreRequest {
        revision: args.revision,
    };
    let answer = link.admin().accept_store(request).await;
    let revision = answer.map_err(|s| link.fault(&s))?.into_inner().revision;
    if app.show.is_json() {
        app.show
            .json(&json!({"accepted": args.revision, "revision": revision}));
    } else {
        app.show.line(&format!(
            "what the store held as revision {} is revision {revision} now",
            args.revision
        ));
        app.show.hint("gatehouse nodes");
    }
    Ok(())
}
