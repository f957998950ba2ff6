//! `gatehouse wait`: until a resource or a node is ready, gone, or at a revision; also for what is not there yet.

mod state;

use std::time::{Duration, Instant};

use proto::v1::ServerStatus;
use serde_json::json;

use crate::again::passes;
use crate::app::App;
use crate::codes;
use crate::fault::{Failure, Fault};
use crate::get;
use crate::kind;
use crate::link::Link;
use crate::nodes;
use crate::server;
use crate::show::shell_word;
use crate::when;

use state::{State, of_node, of_resource};

/// How often is looked.
const LOOK: Duration = Duration::from_millis(250);
/// What nodes are called here, beside the kinds of resources.
const NODE: &str = "node";

/// Wait until a resource or a node is ready, deleted, or at a revision; also for one that is not there yet.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse wait Server everything
  gatehouse wait Server old-docs --for deleted --timeout 5m
  gatehouse wait AccessRule engineers --for revision=14
  gatehouse wait node edge-1f2e3d4c -o json

ready: stored, and every live node that it concerns runs it; a server also takes calls. A node: live, and current.
revision=N: every live node that it concerns runs revision N or a later one. A server concerns all edges and its own
sidecars; a rule or a filter concerns all nodes.

See also: gatehouse apply --wait, gatehouse check --wait 60s, gatehouse describe")]
pub struct Args {
    /// Server, VirtualServer, AccessRule, Filter, Limit, Group, Secret or node
    pub kind: String,
    /// Its name
    pub name: String,
    /// What to wait for: ready, deleted or revision=N
    #[arg(long = "for", value_name = "STATE", default_value = "ready", value_parser = goal)]
    pub goal: Goal,
    /// How long to wait at most
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = when::parse)]
    pub timeout: Duration,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// It is there and works.
    Ready,
    /// It is not there.
    Deleted,
    /// Nodes run this revision or a later one.
    Revision(u64),
}

fn goal(text: &str) -> Result<Goal, String> {
    match (text, text.strip_prefix("revision=")) {
        ("ready", _) => Ok(Goal::Ready),
        ("deleted", _) => Ok(Goal::Deleted),
        (_, Some(number)) => number
            .parse()
            .map(Goal::Revision)
            .map_err(|_| format!("{number:?} is not a revision: write revision=14")),
        _ => Err(format!("write ready, deleted or revision=N, not {text:?}")),
    }
}

impl Goal {
    /// As it is written on the command line.
    fn written(self) -> String {
        match self {
            Self::Ready => "ready".to_owned(),
            Self::Deleted => "deleted".to_owned(),
            Self::Revision(revision) => format!("revision={revision}"),
        }
    }
}

impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::Deleted => f.write_str("deleted"),
            Self::Revision(revision) => write!(f, "at revision {revision}"),
        }
    }
}

/// Runs the command.
///
/// # Errors
/// Unknown kind, a fault that does not pass by itself, or the time is over.
pub async fn run(args: Args, app: &App) -> Result<(), Failure> {
    let kind = if kind::is_node(&args.kind) {
        NODE
    } else {
        kind::parse(&args.kind)?
    };
    let context = app.context()?;
    let what = format!("{kind} {}", args.name);
    let began = Instant::now();
    let mut progress = app.show.progress();
    let mut state = State::unknown();
    let awaited = format!("waiting for {what} to be {}", args.goal);
    progress.set(&awaited, &format!(", {} at most", when::span(args.timeout)));
    let wait = async {
        let mut link = None;
        loop {
            let looked = match &link {
                Some(link) => look(link, kind, &args.name, args.goal).await,
                None => match Link::connect(&context).await {
                    Ok(made) => {
                        link = Some(made);
                        continue;
                    }
                    Err(fault) => Err(fault),
                },
            };
            match looked {
                Ok(found) => state = found,
                Err(fault) if passes(&fault) => {
                    link = None;
                    state = State::open(fault.message);
                }
                Err(fault) => return Err(Failure::from(fault)),
            }
            if state.is_met {
                return Ok(());
            }
            let spent = format!("{}, {}", state.more(), when::span(began.elapsed()));
            progress.set(&format!("{awaited}: {}", state.text), &spent);
            tokio::time::sleep(LOOK).await;
        }
    };
    let waited = tokio::time::timeout(args.timeout, wait).await;
    drop(progress);
    match waited {
        Ok(Ok(())) => {
            tell(app, kind, &args, &state, began.elapsed());
            Ok(())
        }
        Ok(Err(failure)) => Err(failure),
        Err(_) => Err(too_late(kind, &args, &state).into()),
    }
}

fn tell(app: &App, kind: &str, args: &Args, state: &State, took: Duration) {
    if app.show.is_json() {
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        app.show.json(
            &json!({"kind": kind, "name": args.name, "for": args.goal.written(), "met": true,
            "state": state.text, "duration_ms": duration_ms}),
        );
    } else {
        let seconds = took.as_secs_f64();
        let (name, goal) = (&args.name, args.goal);
        app.show
            .line(&format!("{kind} {name} is {goal} ({seconds:.1} s)"));
    }
}

fn too_late(kind: &str, args: &Args, state: &State) -> Fault {
    let (name, goal, after) = (&args.name, args.goal, when::span(args.timeout));
    let message = format!("{kind} {name} is not {goal} after {after}");
    let fault =
        Fault::new(codes::WAIT_OVER, message).why(format!("{}{}", state.text, state.more()));
    let fault = if state.exists {
        fault.fix(format!("gatehouse describe {kind} {}", shell_word(name)))
    } else {
        fault
    };
    fault.retryable()
}

async fn look(link: &Link, kind: &str, name: &str, goal: Goal) -> Result<State, Fault> {
    if kind == NODE {
        let answer = nodes::all(link).await?;
        let node = answer.nodes.iter().find(|node| node.name == name);
        return Ok(of_node(node, name, answer.revision, goal));
    }
    let resource = get::find(link, kind, name).await?;
    let nodes = nodes::all(link).await?;
    let status = match (&resource, goal) {
        (Some(_), Goal::Ready) if kind == model::wire::SERVER => status(link, name).await?,
        _ => None,
    };
    Ok(of_resource(
        kind,
        name,
        resource.as_ref(),
        &nodes,
        status.as_ref(),
        goal,
    ))
}

/// What runs for a server. `None`: it was deleted in this very moment.
async fn status(link: &Link, name: &str) -> Result<Option<ServerStatus>, Fault> {
    match server::statuses(link, name).await {
        Ok(statuses) => Ok(server::one_each(statuses).next()),
        Err(failure) => match failure.faults.into_iter().next() {
            Some(fault) if fault.code == model::fault::DANGLING => Ok(None),
            fault => Err(fault.unwrap_or_default()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_are_read_as_written() {
        assert_eq!(goal("ready"), Ok(Goal::Ready));
        assert_eq!(goal("revision=14"), Ok(Goal::Revision(14)));
        for text in ["ready", "deleted", "revision=14"] {
            assert_eq!(goal(text).map(Goal::written).as_deref(), Ok(text));
        }
        assert!(goal("revision=x").is_err() && goal("gone").is_err());
    }
}
