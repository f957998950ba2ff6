//! Who can call this, and what can she call? Answered by the engine, for all whom rules name and for the callers of API
//! keys.

use std::sync::Arc;

use engine::questions::Said;
use engine::{Action, Engine};
use model::access::Effect;
use model::name::ServerName;
use model::principal::Principal;
use serde_json::{Value, json};

use super::Args;
use super::decision::server_of;
use crate::app::App;
use crate::fault::Failure;
use crate::key;
use crate::show::{Meaning, Table};
use crate::source::Sources;
use crate::stored::{self, Stored};
use crate::validate;

/// What is asked of, and whose keys there are: none where files are asked.
struct Ground {
    engine: Engine,
    callers: Vec<(String, Arc<Principal>)>,
}

impl Ground {
    async fn of(args: &Args, app: &App) -> Result<Self, Failure> {
        if !args.file.is_empty() {
            let mut snapshot = validate::snapshot(&Sources::read(&args.file)?)?;
            stored::stand_in(&mut snapshot);
            let engine = stored::compile(snapshot.into())?;
            return Ok(Self {
                engine,
                callers: Vec::new(),
            });
        }
        let link = app.link().await?;
        let engine = stored::compile(Stored::fetch(&link).await?.snapshot)?;
        let keys = key::keys(&link).await?;
        let caller = |key: &proto::v1::KeyInfo| {
            let groups: Vec<&str> = key.groups.iter().map(String::as_str).collect();
            let principal = Principal::new(&key.user, &groups, None, &key.id);
            (format!("key {} of {}", key.id, key.user), principal.into())
        };
        Ok(Self {
            engine,
            callers: keys.iter().map(caller).collect(),
        })
    }
}

/// `--who`: everyone who can call a tool.
///
/// # Errors
/// An unknown server, bad files, or no connection.
pub(super) async fn who(args: &Args, app: &App) -> Result<(), Failure> {
    let Ground { engine, callers } = Ground::of(args, app).await?;
    let server = server_of(args, engine.snapshot())?;
    let tool = args.tool.clone().unwrap_or_default();
    let mut asked = engine.who(&server, &Action::tool(&tool), callers);
    asked.retain(|asked| asked.verdict.is_possible());
    if app.show.is_json() {
        let items: Vec<Value> = asked
            .iter()
            .map(|asked| {
                json!({"who": asked.who, "decision": asked.verdict.effect.as_str(),
                    "rule": asked.verdict.rule.map(ToString::to_string), "when": asked.condition})
            })
            .collect();
        app.show.json(&json!({ "items": items }));
        return Ok(());
    }
    let mut table = Table::new(&["WHO", "DECISION", "BY", "WHEN"]);
    for asked in &asked {
        table.cells(vec![
            (asked.who.clone(), Meaning::Plain),
            decision(asked.verdict.effect),
            plain(
                asked
                    .verdict
                    .rule
                    .map(ToString::to_string)
                    .unwrap_or_default(),
            ),
            plain(asked.condition.unwrap_or_default().to_owned()),
        ]);
    }
    let nobody = format!("nobody can call {server}/{tool}: no rule allows it");
    app.show.table(&table, &nobody);
    Ok(())
}

/// `--what`: all that rules let a caller do.
///
/// # Errors
/// An unknown server, bad files, or no connection.
pub(super) async fn what(args: &Args, app: &App) -> Result<(), Failure> {
    let Ground { engine, .. } = Ground::of(args, app).await?;
    let groups: Vec<&str> = args.group.iter().map(String::as_str).collect();
    let user = args.user.as_deref().unwrap_or_default();
    let caller = Principal::new(user, &groups, args.client.as_deref(), "explain");
    let caller = engine.with_groups(&caller.into());
    let servers: Vec<ServerName> = match &args.server {
        Some(_) => vec![server_of(args, engine.snapshot())?],
        None => engine.snapshot().servers.keys().cloned().collect(),
    };
    let mut table = Table::new(&["SERVER", "KIND", "WHAT", "DECISION", "BY", "WHEN"]);
    let mut items = Vec::new();
    for server in &servers {
        for said in engine.what(&caller, server) {
            let rule = said.rule.map(ToString::to_string);
            let mut item = json!({"server": server.as_str(), "kind": said.kind, "pattern": said.pattern,
                "decision": said.effect.as_str(), "rule": rule, "when": said.condition});
            if let Some(annotations) = annotations(&said) {
                item["annotations"] = annotations;
            }
            items.push(item);
            table.cells(vec![
                plain(server.to_string()),
                plain(said.kind.to_owned()),
                plain(said.pattern.to_owned()),
                decision(said.effect),
                plain(rule.unwrap_or_default()),
                plain(when(&said)),
            ]);
        }
    }
    if app.show.is_json() {
        app.show.json(&json!({ "items": items }));
    } else {
        app.show.table(
            &table,
            &format!("{user} can use no server: no rule allows it"),
        );
    }
    Ok(())
}

/// What a tool has to say of itself, where anything is wanted.
fn annotations(said: &Said<'_>) -> Option<Value> {
    let given = said.annotations.given();
    let given = given.map(|(hint, value)| (hint.as_str().to_owned(), Value::Bool(value)));
    (!said.annotations.is_empty()).then(|| Value::Object(given.collect()))
}

/// What must still be so: `readOnlyHint: true; args.n < 3`.
fn when(said: &Said<'_>) -> String {
    let annotations = said.annotations.to_string();
    let wanted = [annotations.as_str(), said.condition.unwrap_or_default()];
    wanted
        .into_iter()
        .filter(|w| !w.is_empty())
        .collect::<Vec<_>>()
        .join("; ")
}

fn plain(text: String) -> (String, Meaning) {
    (text, Meaning::Plain)
}

fn decision(effect: Effect) -> (String, Meaning) {
    let meaning = match effect {
        Effect::Allow => Meaning::Good,
        Effect::Approve => Meaning::Look,
        Effect::Deny => Meaning::Act,
    };
    (effect.as_str().to_owned(), meaning)
}
