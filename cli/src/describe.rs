//! `gatehouse describe`: all that is known of one thing, what is wrong with it first.
//!
//! ```text
//! Ground (catalog, engine, nodes) ─▶ server | rule | filter | group | node ─▶ Sheet ─▶ people, programs
//! ```
//! What is wrong is found by the very functions of [`crate::check`]. Start from [`run`].

mod callers;
mod filter;
mod group;
mod limit;
mod node;
mod rule;
mod server;
mod sheet;
mod virtual_server;

use engine::Engine;
use model::access::AccessRule;
use model::name::Glob;
use proto::v1::{Call, CallFilter, ListCallsRequest, ListNodesResponse, Resource};

use crate::app::App;
use crate::fault::Failure;
use crate::get;
use crate::history;
use crate::kind;
use crate::link::Link;
use crate::nodes;
use crate::stored::{self, Stored};

use sheet::Sheet;

/// Calls that are shown.
const CALLS_SHOWN: usize = 5;
/// Changes that are shown.
const CHANGES_SHOWN: u32 = 3;
/// Newest calls among which they are looked for, where the record cannot be asked for them alone.
const CALLS_LOOKED_AT: u32 = 1000;

/// Show all that is known of one thing, problems first: where it runs, who may use it and by which rule, its last calls.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse describe Server everything
  gatehouse describe AccessRule engineers -o json
  gatehouse describe Group finance
  gatehouse describe node edge-1f2e3d4c

See also: gatehouse get, gatehouse check, gatehouse explain")]
pub struct Args {
    /// Server, VirtualServer, AccessRule, Filter, Limit, Group, Secret or node
    pub kind: String,
    /// Its name
    pub name: String,
}

/// Runs the command.
///
/// # Errors
/// Unknown kind or name, or no connection.
pub async fn run(args: Args, app: &App) -> Result<(), Failure> {
    let kind = if kind::is_node(&args.kind) {
        None
    } else {
        Some(kind::parse(&args.kind)?)
    };
    let ground = Ground::fetch(app.link().await?).await?;
    let Some(kind) = kind else {
        let node = nodes::find(&ground.nodes, &args.name)?;
        node::describe(&ground, node).await.show(&app.show);
        return Ok(());
    };
    let Some(resource) = ground.stored.resource(kind, &args.name) else {
        return Err(get::no_such(&ground.link, kind, &args.name).await.into());
    };
    let mut sheet = match kind {
        model::wire::SERVER => server::describe(&ground, resource).await,
        model::wire::VIRTUAL_SERVER => virtual_server::describe(&ground, resource).await,
        model::wire::ACCESS_RULE => rule::describe(&ground, resource).await,
        model::wire::LIMIT => limit::describe(&ground, resource).await,
        model::wire::FILTER => filter::describe(&ground, resource).await,
        model::wire::GROUP => group::describe(&ground, resource),
        _ => ground.sheet(resource, kind),
    };
    last_changes(&ground.link, kind, &args.name, &mut sheet).await;
    sheet.show(&app.show);
    Ok(())
}

/// What it went through lately; nothing where the control plane does not say.
async fn last_changes(link: &Link, kind: &str, name: &str, sheet: &mut Sheet) {
    let Ok(entries) = history::last(link, kind, name, CHANGES_SHOWN).await else {
        return;
    };
    let table = history::table(&entries);
    sheet.table("last changes", table, "older than history");
    sheet.set("changes", history::json(&entries));
}

/// All that a sheet is made of.
#[derive(Debug)]
struct Ground {
    link: Link,
    stored: Stored,
    engine: Engine,
    nodes: ListNodesResponse,
}

impl Ground {
    async fn fetch(link: Link) -> Result<Self, Failure> {
        let (stored, nodes) = tokio::join!(Stored::fetch(&link), nodes::all(&link));
        let (stored, nodes) = (stored?, nodes?);
        let engine = stored::compile(stored.snapshot.clone())?;
        Ok(Self {
            link,
            stored,
            engine,
            nodes,
        })
    }

    /// The last calls that `fit`, newest first. `None`: the audit store does not answer.
    async fn calls(&self, filter: CallFilter, fits: impl Fn(&Call) -> bool) -> Option<Vec<Call>> {
        let request = ListCallsRequest {
            filter: Some(filter),
            limit: CALLS_LOOKED_AT,
            ..ListCallsRequest::default()
        };
        let answer = self.link.audit().list_calls(request).await.ok()?;
        let calls = answer.into_inner().calls.into_iter();
        Some(calls.filter(fits).take(CALLS_SHOWN).collect())
    }

    /// Names of the servers of the catalog that these globs match. None given: all.
    fn servers(&self, globs: &[Glob]) -> Vec<String> {
        let names = self.stored.snapshot.servers.keys();
        let matched = |name: &str| globs.is_empty() || globs.iter().any(|g| g.matches(name));
        names
            .filter(|name| matched(name.as_str()))
            .map(ToString::to_string)
            .collect()
    }

    /// Names of the servers of the catalog that a rule is about.
    fn selected(&self, rule: &AccessRule) -> Vec<String> {
        let servers = self.stored.snapshot.servers.values();
        servers
            .filter(|server| rule.selects(server.name.as_str(), &server.labels))
            .map(|server| server.name.to_string())
            .collect()
    }

    /// A sheet with what all resources have.
    fn sheet(&self, resource: &Resource, kind: &str) -> Sheet {
        let meta = resource.metadata.clone().unwrap_or_default();
        Sheet::of_resource(resource, kind, &meta, &self.nodes)
    }
}
