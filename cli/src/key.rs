//! `gatehouse key`: API keys for users and their clients.

use std::time::Duration;

use proto::v1::{CreateKeyRequest, KeyInfo, ListKeysRequest, RevokeKeyRequest};
use serde::Serialize;
use serde_json::json;
use tonic::{Code, Status};

use crate::app::App;
use crate::codes;
use crate::fault::{Failure, Fault};
use crate::get;
use crate::link::Link;
use crate::rollout;
use crate::show::{Progress, Show, Table, nearest, shell_word};
use crate::when;

/// How long a change of keys waits for the nodes before it says that they do not have it yet.
const ROLLOUT_TIMEOUT: Duration = Duration::from_secs(10);

/// Make, list and revoke API keys.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a key and print it, once
    Create(Create),
    /// List all keys, without their text
    List(List),
    /// End a key, with the next push
    Revoke(Revoke),
}

/// Make an API key and print it: the only time that it is shown.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse key create --user ana@example.com --group engineering
  gatehouse key create --user ci --server docs --server time --expires 24h
  gatehouse key create --user ana@example.com --client cursor -o json

See also: gatehouse key list, gatehouse connect")]
pub struct Create {
    /// Who will call with it
    #[arg(long, value_name = "NAME")]
    pub user: String,
    /// A group of that user; any number of times
    #[arg(long, value_name = "GROUP")]
    pub group: Vec<String>,
    /// The client application that it is made for, as rules and limits name it (none: not bound to one)
    #[arg(
        long,
        value_name = "CLIENT",
        default_value = "",
        hide_default_value = true
    )]
    pub client: String,
    /// A server that the key is good for; any number of times (none: all that rules allow)
    #[arg(long, value_name = "SERVER")]
    pub server: Vec<String>,
    /// When it ends, from now (none: never)
    #[arg(long, value_name = "TIME", value_parser = when::parse)]
    pub expires: Option<Duration>,
}

/// List all API keys, without their text.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse key list
  gatehouse key list -o json

See also: gatehouse key create, gatehouse key revoke")]
pub struct List {}

/// End an API key: nodes refuse it with the next push.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse key revoke k7f3a
  gatehouse key revoke k7f3a -o json

See also: gatehouse key list")]
pub struct Revoke {
    /// The key's id, as `key list` shows it
    pub id: String,
}

/// Runs the command.
///
/// # Errors
/// No connection, or what the control plane refuses.
pub async fn run(command: Command, app: &App) -> Result<(), Failure> {
    match command {
        Command::Create(args) => create(args, app).await,
        Command::List(_) => list(app).await,
        Command::Revoke(args) => revoke(args, app).await,
    }
}

async fn create(args: Create, app: &App) -> Result<(), Failure> {
    let link = app.link().await?;
    let request = CreateKeyRequest {
        user: args.user,
        groups: args.group,
        servers: args.server.clone(),
        expires_ms: args.expires.map_or(0, |time| {
            u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
        }),
        client: args.client,
    };
    let made = match link.admin().create_key(request).await {
        Ok(made) => made.into_inner(),
        Err(status) => return Err(not_made(&link, &args.server, &status).await),
    };
    // The key must not be lost, whatever becomes of the wait: it is shown first.
    if app.show.is_json() {
        app.show.json(&json!({"id": made.id, "key": made.key}));
    } else {
        app.show.line(&made.key);
    }
    until_known(&link, &app.show, made.revision).await;
    let server = args.server.first().map_or("SERVER", String::as_str);
    app.show.hint(&format!(
        "gatehouse connect {} (the key is not shown again)",
        shell_word(server)
    ));
    Ok(())
}

/// Why there is no key: mostly a server's name.
async fn not_made(link: &Link, servers: &[String], status: &Status) -> Failure {
    let unknown = get::unknown_servers(link, servers).await;
    if unknown.is_empty() {
        return link.fault(status).into();
    }
    let faults = unknown
        .into_iter()
        .map(|sentence| Fault::new(codes::NO_SUCH, sentence));
    Failure::of(faults.collect(), Some("no key was made".to_owned()))
}

/// Waits a little until nodes know a change of keys; a warning says when they do not.
async fn until_known(link: &Link, show: &Show, revision: u64) {
    if rollout::wait(link, Progress::none(), revision, ROLLOUT_TIMEOUT)
        .await
        .is_err()
    {
        show.note(&format!(
            "not all nodes have revision {revision} yet: gatehouse nodes"
        ));
    }
}

async fn list(app: &App) -> Result<(), Failure> {
    let link = app.link().await?;
    let keys = keys(&link).await?;
    if app.show.is_json() {
        let items: Vec<View<'_>> = keys.iter().map(View::of).collect();
        app.show.json(&json!({ "items": items }));
        return Ok(());
    }
    let mut table = Table::new(&["ID", "USER", "GROUPS", "SERVERS", "AGE", "ENDS"]);
    for key in &keys {
        let servers = if key.servers.is_empty() {
            "*".to_owned()
        } else {
            key.servers.join(",")
        };
        table.row([
            key.id.clone(),
            key.user.clone(),
            key.groups.join(","),
            servers,
            when::age_of_text(&key.created),
            when::until(key.expires_unix_ms),
        ]);
    }
    app.show.table(
        &table,
        "there is no API key yet: gatehouse key create --user NAME",
    );
    Ok(())
}

/// All keys, without their text.
///
/// # Errors
/// No answer.
pub async fn keys(link: &Link) -> Result<Vec<KeyInfo>, Failure> {
    let answer = link
        .admin()
        .list_keys(ListKeysRequest {})
        .await
        .map_err(|s| link.fault(&s))?;
    Ok(answer.into_inner().keys)
}

async fn revoke(args: Revoke, app: &App) -> Result<(), Failure> {
    let link = app.link().await?;
    let request = RevokeKeyRequest {
        id: args.id.clone(),
    };
    let answer = match link.admin().revoke_key(request).await {
        Ok(answer) => answer.into_inner(),
        Err(status) if status.code() == Code::NotFound => {
            let there = keys(&link).await.unwrap_or_default();
            let fault = Fault::new(codes::NO_SUCH, format!("there is no key {:?}", args.id));
            let fault = match nearest(&args.id, there.iter().map(|key| key.id.as_str())) {
                Some(near) => fault.why(format!("did you mean {near}?")),
                None => fault,
            };
            return Err(fault.fix("gatehouse key list").into());
        }
        Err(status) => return Err(link.fault(&status).into()),
    };
    until_known(&link, &app.show, answer.revision).await;
    if app.show.is_json() {
        app.show
            .json(&json!({"id": args.id, "revoked": true, "revision": answer.revision}));
    } else {
        app.show.line(&format!(
            "key {} is revoked (revision {})",
            args.id, answer.revision
        ));
    }
    Ok(())
}

#[derive(Debug, Serialize)]
struct View<'a> {
    id: &'a str,
    user: &'a str,
    groups: &'a [String],
    servers: &'a [String],
    client: Option<&'a str>,
    created: &'a str,
    expires: Option<String>,
}

impl<'a> View<'a> {
    fn of(key: &'a KeyInfo) -> Self {
        Self {
            id: &key.id,
            user: &key.user,
            groups: &key.groups,
            servers: &key.servers,
            client: Some(key.client.as_str()).filter(|client| !client.is_empty()),
            created: &key.created,
            expires: when::rfc3339_ms(key.expires_unix_ms),
        }
    }
}
