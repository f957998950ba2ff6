//! The upstream session over real processes: started, shared, ended, replaced.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use mcp::revision::{Era, Revision};
use model::server::Value as Told;
use serde_json::{Value, json};
use sidecar::upstream::Error;
use sidecar::upstream::link::Link;
use sidecar::upstream::running::Target;
use sidecar::upstream::session::{Ready, Route, Settings};
use sidecar::upstream::status::State;
use sidecar::upstream::ticket::{Abandoned, Ask, Event, Ticket};

use support::{DEADLINE, Supervised, eventually, forked, python, runs, server, wanted};

async fn ready(supervised: &mut Supervised) -> Arc<Ready> {
    let ready = tokio::time::timeout(DEADLINE, supervised.upstream.is_ready()).await;
    assert!(ready.unwrap_or_else(|_| panic!("not ready: {:#?}", supervised.status.borrow())));
    match supervised.upstream.route() {
        Route::Ready(ready) => ready,
        Route::Away(away) => panic!("{away:?}"),
    }
}

fn ask() -> Ask {
    Ask {
        origin: None,
        progress: false,
        hears: false,
        can_be_asked: false,
        listens: false,
        limit: DEADLINE,
        abandoned: Abandoned::Cancel,
        taken_back: Default::default(),
    }
}

async fn call(ready: &Ready, tool: &str, arguments: Value, ask: Ask) -> Result<Ticket, Error> {
    let link = link(ready);
    let id = link.next_id();
    let meta = if ask.progress {
        json!({"progressToken": id})
    } else {
        json!({})
    };
    let line = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
        "params": {"name": tool, "arguments": arguments, "_meta": meta}});
    link.send(id, line.to_string().into_bytes(), ask).await
}

fn link(ready: &Ready) -> &Link {
    match &ready.target {
        Target::Process(link) => link,
        Target::Http(_) => panic!("it is no process"),
    }
}

async fn text(ready: &Ready, tool: &str, arguments: Value) -> String {
    let ticket = call(ready, tool, arguments, ask()).await.unwrap();
    let response = ticket.answer().await.unwrap();
    let result: Value = serde_json::from_slice(response.result().unwrap()).unwrap();
    result["content"][0]["text"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_server_that_dies_is_said_to_and_started_again() {
    let mut supervised = Supervised::new(server(python("dies.py", &[])));
    let first = ready(&mut supervised).await;
    assert_eq!(first.greeting.revision, Revision::V2025_11_25);
    let ticket = call(&first, "die", json!({}), ask()).await.unwrap();
    let error = ticket.answer().await.unwrap_err();
    assert_eq!(error, Error::Gone("the server exited with status 9".into()));
    let status = supervised
        .status("backoff", |status| status.state == State::Backoff)
        .await;
    assert_eq!(status.last_exit, "exited with status 9");
    assert!(status.next_start.is_some());
    assert_eq!(
        status.stderr,
        ["dies: asked for die, and that was too much"]
    );
    let status = supervised
        .status("ready again", |status| {
            status.state == State::Ready && status.restarts == 1
        })
        .await;
    assert_eq!(status.server_info, "dies 1.0.0");
    let pid = status.pid;
    let stopped = supervised.stop().await;
    assert_eq!((stopped.state, stopped.pid), (State::Stopped, 0));
    assert!(!runs(pid));
}

#[tokio::test]
async fn a_server_that_talks_rubbish_never_gets_ready_and_its_words_are_kept() {
    let mut supervised = Supervised::new(server(python("rubbish.py", &[])));
    let status = supervised
        .status("backoff", |status| status.state == State::Backoff)
        .await;
    let why = "the server exited with status 3 before it was ready; 3 of the lines on its standard output \
               are no MCP message, first: Welcome to the rubbish server! Listening on port 3000.";
    assert_eq!(status.message, why);
    assert_eq!(status.rubbish_lines, 3);
    assert_eq!(
        status.stderr,
        ["rubbish: starting", "rubbish: out of words"]
    );
    let Route::Away(away) = supervised.upstream.route() else {
        panic!("ready")
    };
    assert_eq!((away.state, away.message.as_str()), (State::Backoff, why));
    supervised.stop().await;
}

#[tokio::test]
async fn a_program_that_is_not_there_may_come_one_that_is_not_allowed_may_not() {
    let mut supervised = Supervised::new(server(vec!["no-such-program".to_owned()]));
    let status = supervised
        .status("backoff", |status| status.state == State::Backoff)
        .await;
    assert_eq!(status.message, "no-such-program is not installed");
    assert!(status.next_start.is_some());
    supervised.stop().await;
    let forbid = |settings: &mut Settings| settings.policy.allow_command = false;
    let mut supervised = Supervised::with(server(python("slow.py", &[])), forbid);
    let status = supervised
        .status("failed", |status| status.state == State::Failed)
        .await;
    assert!(status.message.contains("allow_command"), "{status:?}");
    assert_eq!(status.next_start, None);
    supervised.stop().await;
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let mut silent = server(vec!["sleep".to_owned(), "600".to_owned()]);
    silent.limits.startup = Duration::from_millis(300);
    let mut supervised = Supervised::new(silent);
    let status = supervised
        .status("backoff", |status| status.state == State::Backoff)
        .await;
    assert_eq!(
        status.message,
        "initialize: the server did not answer within 0.3 s"
    );
    assert_eq!(status.last_exit, "was ended by signal 15");
    supervised.stop().await;
}

/// Speaks the era of the first message of its process, and refuses the other.
const FIRST_WORD: &str = r#"
import json, sys
modern = None
for line in sys.stdin:
    message = json.loads(line)
    if modern is None:
        modern = message["method"] == "server/discover"
    answer = {"jsonrpc": "2.0", "id": message["id"]}
    if modern and message["method"] == "server/discover":
        answer["result"] = {"supportedVersions": ["2026-07-28"], "capabilities": {}, "resultType": "complete"}
    else:
        answer["error"] = {"code": -32601, "message": "not in this process"}
    print(json.dumps(answer), flush=True)
"#;

#[tokio::test]
async fn a_server_that_settles_for_an_era_by_its_first_message_gets_the_other_one_next() {
    let argv = ["python3", "-c", FIRST_WORD].map(str::to_owned);
    let mut supervised = Supervised::new(server(argv.into()));
    let ready = ready(&mut supervised).await;
    assert_eq!(ready.greeting.revision.era(), Era::Modern);
    supervised.stop().await;
}

#[tokio::test]
async fn a_modern_server_is_found_out() {
    let mut supervised = Supervised::new(server(python("modern_only.py", &[])));
    let ready = ready(&mut supervised).await;
    assert_eq!(ready.greeting.revision.era(), Era::Modern);
    assert_eq!(supervised.status.borrow().mcp_revision, "2026-07-28");
    supervised.stop().await;
}

#[tokio::test]
async fn progress_cancellation_and_deadlines_reach_a_real_server() {
    let mut supervised = Supervised::new(server(python("slow.py", &[])));
    let ready = ready(&mut supervised).await;
    // Progress.
    let short = json!({"seconds": 0.3, "steps": 2});
    let mut ticket = call(
        &ready,
        "sleep",
        short,
        Ask {
            progress: true,
            hears: false,
            listens: false,
            ..ask()
        },
    )
    .await
    .unwrap();
    let mut steps = 0;
    while let Event::Progress(_) = ticket.next().await.unwrap() {
        steps += 1;
    }
    assert_eq!(steps, 2);
    // A modern client goes, a legacy one goes, a deadline passes, a client takes its call back.
    let long = || json!({"seconds": 600});
    drop(call(&ready, "sleep", long(), ask()).await.unwrap());
    let finish = Ask {
        abandoned: Abandoned::Finish,
        taken_back: Default::default(),
        ..ask()
    };
    drop(call(&ready, "sleep", long(), finish).await.unwrap());
    let brief = Ask {
        limit: Duration::from_millis(50),
        ..ask()
    };
    let late = call(&ready, "sleep", long(), brief)
        .await
        .unwrap()
        .answer()
        .await;
    assert_eq!(late.unwrap_err(), Error::Timeout(Duration::from_millis(50)));
    let origin = Some(7);
    let taken_back = call(&ready, "sleep", long(), Ask { origin, ..ask() })
        .await
        .unwrap();
    link(&ready).cancel(7);
    assert_eq!(taken_back.answer().await.unwrap_err(), Error::Cancelled);
    // Messages are taken in order: all cancellations were heard before this call.
    assert_eq!(text(&ready, "cancelled", json!({})).await, "3");
    supervised.stop().await;
}

#[tokio::test]
async fn a_changed_server_takes_over_when_it_is_ready_and_the_old_one_finishes() {
    let mut supervised = Supervised::new(server(python("slow.py", &[])));
    let old = ready(&mut supervised).await;
    let pid = supervised.status.borrow().pid;
    let running = call(&old, "sleep", json!({"seconds": 1.5}), ask())
        .await
        .unwrap();
    let mut changed = server(python("slow.py", &[]));
    let blue = Told::Plain("blue".to_owned());
    changed.env.insert("COLOUR".to_owned(), blue);
    supervised.wanted.send_replace(Some(wanted(&changed)));
    let new = supervised
        .status("the new one", |status| {
            status.state == State::Ready && status.pid != pid
        })
        .await;
    assert!(
        running.answer().await.is_ok(),
        "the old one did not finish its call"
    );
    eventually("the end of the old one", || !runs(pid)).await;
    let again = ready(&mut supervised).await;
    assert_eq!(text(&again, "cancelled", json!({})).await, "0");
    // A change of limits is no reason to start again.
    changed.limits.call = Duration::from_secs(5);
    supervised.wanted.send_replace(Some(wanted(&changed)));
    assert_eq!(text(&again, "cancelled", json!({})).await, "0");
    assert_eq!(supervised.status.borrow().pid, new.pid);
    // A change that cannot be run leaves what runs.
    supervised
        .wanted
        .send_replace(Some(wanted(&server(vec!["no-such-program".to_owned()]))));
    let status = supervised
        .status("backoff", |status| status.state == State::Backoff)
        .await;
    assert!(
        status
            .message
            .ends_with("as it was before the change, it goes on"),
        "{status:?}"
    );
    assert_eq!(text(&again, "cancelled", json!({})).await, "0");
    supervised.stop().await;
}

#[tokio::test]
async fn a_server_that_leaves_the_catalog_ends_with_all_its_processes() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pids");
    let mut supervised = Supervised::new(server(python("forker.py", &[file.to_str().unwrap()])));
    let ready = ready(&mut supervised).await;
    assert_eq!(
        text(&ready, "echo", json!({"message": "hi"})).await,
        "Echo: hi"
    );
    let pids = forked(&file).await;
    supervised.wanted.send_replace(None);
    supervised
        .status("absent", |status| status.state == State::Absent)
        .await;
    assert!(matches!(supervised.upstream.route(), Route::Away(_)));
    eventually("the end of all processes", || {
        !pids.iter().any(|pid| runs(*pid))
    })
    .await;
    supervised.stop().await;
}
