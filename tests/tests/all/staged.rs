//! Staged rollouts: a change reaches a share of the nodes first, and goes on or back by what is seen there.

use std::time::Duration;

use serde_json::{Value, json};
use tests::catalog;
use tests::mesh::{Mesh, Running};
use tests::process::Process;
use tests::rpc::Modern;
use tests::wait;

const EDGES: usize = 3;
/// How long what comes by itself may take.
const SOON: Duration = Duration::from_secs(60);

/// Three edges, a server, and one that may call it.
struct Ground {
    mesh: Running,
    clients: Vec<Modern>,
}

impl Ground {
    fn new() -> Self {
        let resources = [
            catalog::fixture("slow", &[]),
            catalog::allow("engineers", "engineering", &["*"]),
        ];
        let mesh = Mesh::new().edges(EDGES).with(&resources).start();
        let key = mesh.key("ana@example.com", &["engineering"]);
        let client = |edge| Modern::new(&mesh.url(edge, "slow"), &key.text);
        Self {
            clients: (0..EDGES).map(client).collect(),
            mesh,
        }
    }

    /// Applies a rule that nobody counts, for a third of the nodes; gives its revision.
    fn stage(&self, flags: &[&str]) -> u64 {
        let deny = catalog::deny_tool("no-counting", "engineering", "slow", "cancelled");
        let file = self.mesh.file("staged.yaml", &catalog::file(&[deny]));
        let words = ["apply", "-f", &file, "--stage", "10%", "-o", "json"];
        let words = [&words, flags].concat();
        let stored = self.mesh.gatehouse(&words).good();
        stored.json()["revision"].as_u64().expect("a number")
    }

    /// At how many edges nobody counts.
    fn having(&self) -> usize {
        let has = |client: &&Modern| client.tools() == ["sleep"];
        self.clients.iter().filter(has).count()
    }

    fn rollout(&self) -> Value {
        self.mesh
            .gatehouse(&["rollout", "status", "-o", "json"])
            .good()
            .json()
    }

    fn is_in(&self, state: &str) -> Value {
        wait::until(&format!("the rollout to be {state}"), SOON, || {
            let rollout = self.rollout();
            if rollout["state"] == state {
                Ok(rollout)
            } else {
                Err(rollout.to_string())
            }
        })
    }

    fn begins(&self) {
        wait::wait_for("one edge to have it", SOON, || self.having() == 1);
    }

    fn nodes(&self, state: &str) -> usize {
        let nodes = self.mesh.gatehouse(&["nodes", "-o", "json"]).good().items();
        nodes.iter().filter(|node| node["state"] == state).count()
    }
}

#[test]
fn a_share_of_the_edges_has_it_until_it_is_promoted_and_what_else_is_changed_is_everywhere() {
    let ground = Ground::new();
    let revision = ground.stage(&["--stage-for", "1h"]);
    ground.begins();
    let rollout = ground.rollout();
    assert_eq!(
        (&rollout["state"], &rollout["revision"], &rollout["nodes"]),
        (
            &json!("running"),
            &json!(revision),
            &json!({"having": 1, "concerned": EDGES})
        )
    );
    // Two edges, and the sidecar: it would refuse for all edges.
    assert_eq!(ground.nodes("held"), EDGES);
    let people = ground.mesh.gatehouse(&["nodes"]).good();
    assert!(
        people.stdout.contains(&format!("without {revision}")),
        "{people}"
    );

    let other = catalog::deny_user("no-ben", "ben@example.com", "slow");
    ground.mesh.apply(&[other]);
    let ben = ground.mesh.key("ben@example.com", &["engineering"]);
    for edge in 0..EDGES {
        let client = Modern::new(&ground.mesh.url(edge, "slow"), &ben.text);
        let status = client.request("tools/list", json!({})).send().status;
        assert_eq!(status, 404, "edge {edge}");
    }
    assert_eq!(ground.having(), 1, "the change is where it was");

    let own = catalog::deny_tool("no-counting", "engineering", "slow", "sleep");
    let file = ground.mesh.file("own.yaml", &catalog::file(&[own]));
    let refused = ground
        .mesh
        .gatehouse(&["apply", "-f", &file, "-o", "json"])
        .ended_with(1);
    assert_eq!(refused.errors()[0]["code"], "GH5005", "{refused}");

    ground
        .mesh
        .gatehouse(&["rollout", "promote", "--wait"])
        .good();
    assert_eq!((ground.having(), ground.nodes("held")), (EDGES, 0));
    ground.is_in("done");
    let nothing = ground
        .mesh
        .gatehouse(&["rollout", "halt", "-o", "json"])
        .ended_with(1);
    assert_eq!(nothing.errors()[0]["code"], "GH5107", "{nothing}");
}

#[test]
fn failures_that_rise_take_it_back_everywhere() {
    let ground = Ground::new();
    // What is usual: calls that go well.
    for client in &ground.clients {
        assert_eq!(client.call("cancelled", json!({})).status, 200);
    }
    ground.stage(&["--stage-for", "1h"]);
    ground.begins();
    let file = format!("{}/staged.yaml", ground.mesh.folder().display());
    let mut waiting = ground.mesh.command();
    waiting.args(["wait", "AccessRule", "no-counting", "--for", "deleted"]);
    let mut waiting = Process::start(&mut waiting, None);
    for _ in 0..30 {
        for client in &ground.clients {
            client.call("cancelled", json!({}));
        }
    }
    let halted = ground.is_in("halted");
    let why = halted["why"].as_str().expect("a text");
    let (start, end) = (
        "calls failed or were refused at edges that have it",
        "% is usual",
    );
    assert!(why.contains(start) && why.ends_with(end), "{why}");
    assert!(waiting.wait(SOON).success(), "{}", waiting.stderr());
    wait::wait_for("all edges to be as before", SOON, || ground.having() == 0);
    assert_eq!(ground.nodes("held"), 0);

    // Whoever waits for one that is taken back is told so.
    let words = [
        "apply",
        "-f",
        &file,
        "--stage",
        "10%",
        "--stage-for",
        "1h",
        "--wait",
        "-o",
        "json",
    ];
    let mut applying = ground.mesh.command();
    let mut applying = Process::start(applying.args(words), None);
    ground.begins();
    ground.mesh.gatehouse(&["rollout", "halt"]).good();
    assert_eq!(applying.wait(SOON).code(), Some(1));
    let told = format!("{}{}", applying.stdout(), applying.stderr());
    assert!(
        told.contains("GH5006") && told.contains("halted by admin"),
        "{told}"
    );
}

#[test]
fn it_goes_on_by_itself_also_after_the_control_plane_was_killed() {
    let ground = Ground::new();
    let revision = ground.stage(&["--stage-for", "10s"]);
    ground.begins();
    ground.mesh.kill9_part("control-plane", "");
    let done = wait::until("the rollout to be done", SOON, || {
        let told = ground.mesh.gatehouse(&["rollout", "status", "-o", "json"]);
        match told.status {
            Some(0) if told.json()["state"] == "done" => Ok(told.json()),
            _ => Err(told.to_string()),
        }
    });
    assert_eq!(done["revision"], json!(revision));
    wait::wait_for("all edges to have it", SOON, || ground.having() == EDGES);
}
