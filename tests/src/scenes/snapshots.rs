//! An edge starts from a snapshot that somebody has tampered with, while no control plane is there to say what is
//! right: it refuses it, does not crash, and opens no door.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::{GROUP, cluster, key, tell};
use crate::catalog;
use crate::cluster::{Cluster, Running};
use crate::http::Response;
use crate::rpc::Modern;
use crate::wait;

mod files;
mod mutations;

use files::Files;
use mutations::{Expected, Known, Mutation};

/// How long an edge may take to say whether it is ready.
const SAYS: Duration = Duration::from_secs(20);
/// How long it may take to serve.
const SERVES: Duration = Duration::from_secs(30);
/// Callers whose rights were taken away: in an older snapshot they still have them.
const GUESTS: &str = "guests";

/// The stage of this scene. The first edge is the one whose files are spoilt.
fn stage() -> Cluster {
    cluster()
        .members(1)
        .with(&[
            catalog::allow("guests", GUESTS, &["slow"]),
            catalog::deny_tool("no-counting", GROUP, "slow", "cancelled"),
        ])
        .tolerating("is refused")
        .tolerating("are refused")
        .tolerating("no snapshot is kept on disk")
        .tolerating("the snapshot is not kept on disk")
        .drain_delay_s(0)
}

/// Who knocks at the spoilt edge.
struct Callers {
    /// May use everything but one tool.
    member: Modern,
    /// May use nothing any more.
    guest: Modern,
}

/// Mutations that there are at least.
const MUTATIONS_MIN: usize = 100;

/// Starts the first edge with each mutation done to its files, while no control plane is there.
pub fn spoilt() {
    let mutations = mutations::all();
    assert!(mutations.len() >= MUTATIONS_MIN, "{}", mutations.len());
    let mut cluster = stage().start();
    let url = cluster.edge_urls("slow").swap_remove(0);
    let callers = Callers {
        member: Modern::new(&url, &key(&cluster)),
        guest: Modern::new(&url, &cluster.key("guest@example.com", GUESTS)),
    };
    cluster.settled();
    let older = Files::read(&cluster.edges[0].data());
    let revoke = ["delete", "AccessRule", "guests", "--wait"];
    cluster.gatehouse(0, &revoke).good();
    let current = wait::until("the second copy", SAYS, || {
        let files = Files::read(&cluster.edges[0].data());
        let differs = files.copies.iter().zip(&older.copies).all(|(a, b)| a != b);
        if differs {
            Ok(files)
        } else {
            Err("it is still the older one".to_owned())
        }
    });
    let stranger = Files::read(&cluster.edges[1].data());
    let sidecar = Files::read(&cluster.sidecars[0].data());
    for control_plane in &mut cluster.control_planes {
        control_plane.kill9();
    }
    cluster.edges[0].kill9();

    let data = cluster.edges[0].data();
    let mut refused = 0;
    for mutation in &mutations {
        current.put_back(&data);
        mutation.apply(
            &data,
            &Known {
                older: &older,
                stranger: &stranger,
                sidecar: &sidecar,
            },
        );
        refused += usize::from(mutation.expected == Expected::Refused);
        starts_safely(&mut cluster, mutation, &callers);
    }
    tell(&format!(
        "{} mutations, {refused} of them refused, the others served from the good copy",
        mutations.len()
    ));
    recovers(&mut cluster, &callers, &current);
}

/// One life of the edge.
fn starts_safely(cluster: &mut Running, mutation: &Mutation, callers: &Callers) {
    let edge = &mut cluster.edges[0];
    let said = edge.log().len();
    edge.launch();
    let what = format!("an edge with {} to say whether it is ready", mutation.name);
    let ready = wait::until(&what, SAYS, || {
        assert!(
            edge.runs(),
            "{}: it crashed\n{}",
            mutation.name,
            edge.last_words()
        );
        edge.page("/readyz").map(|(status, _)| status == 200)
    });
    let name = &mutation.name;
    let log = edge.log().split_off(said);
    match mutation.expected {
        Expected::Refused => {
            assert!(!ready, "{name}: it is ready\n{log}");
            assert!(
                !is_answered(&callers.member, "sleep"),
                "{name}: it serves\n{log}"
            );
        }
        Expected::SecondCopy => {
            assert!(ready, "{name}: it is not ready\n{log}");
            assert!(
                is_answered(&callers.member, "sleep"),
                "{name}: it does not serve\n{log}"
            );
        }
        Expected::Safe => {}
    }
    // Whatever it took: no door is open.
    assert!(
        !is_answered(&callers.guest, "sleep"),
        "{name}: the guest is let in\n{log}"
    );
    assert!(
        !is_answered(&callers.member, "cancelled"),
        "{name}: what is denied is not\n{log}"
    );
    let is_said = log.contains("refused") || log.contains("no snapshot is kept");
    let silent = mutation.expected == Expected::Safe || mutation.is_absence;
    assert!(is_said || silent, "{name}: nobody is told\n{log}");
    assert!(edge.runs(), "{name}: it crashed\n{log}");
    edge.kill9();
}

/// Whether a call of a tool gets a result.
fn is_answered(client: &Modern, tool: &str) -> bool {
    let call = client.calling(tool, json!({"seconds": 0}));
    let answer: Option<Response> = call.deadline(SAYS).try_send().ok();
    let answer = answer.filter(|answer| answer.status == 200);
    let messages = answer.and_then(|answer| answer.try_messages().ok());
    let last = messages.and_then(|messages| messages.last().cloned());
    last.is_some_and(|last| last["result"].is_object())
}

/// With the control planes back, an edge whose files are all spoilt has the newest rules, and keeps them.
fn recovers(cluster: &mut Running, callers: &Callers, current: &Files) {
    for name in ["config-1.snap", "config.mark", "snapshot.key"] {
        let data = cluster.edges[0].data();
        current.put_back(&data);
        spoil(&data.join(name));
        cluster.edges[0].launch();
        for control_plane in &mut cluster.control_planes {
            if !control_plane.runs() {
                control_plane.launch();
            }
        }
        cluster.edges[0].wait_until_ready(SERVES);
        assert!(is_answered(&callers.member, "sleep"), "{name}");
        assert!(!is_answered(&callers.guest, "sleep"), "{name}");
        cluster.edges[0].kill9();
        // From what it kept now.
        cluster.edges[0].restart();
        assert!(is_answered(&callers.member, "sleep"), "{name}");
        assert!(!is_answered(&callers.guest, "sleep"), "{name}");
        cluster.edges[0].kill9();
    }
}

fn spoil(path: &Path) {
    std::fs::write(path, b"not what it was").expect("it can be written");
}
