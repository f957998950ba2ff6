//! What becomes of etcd: compacted behind our back, stopped, put back from a backup. Nodes keep the right rules.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{cluster, key, targets, tell};
use crate::catalog;
use crate::cluster::verdict::Verdict;
use crate::cluster::{Cluster, Running};
use crate::rpc::{self, Modern};
use crate::wait;

/// How long nodes may take to have what they missed.
const RESYNC: Duration = Duration::from_secs(10);
/// How long everything may take to work again when etcd is back.
const BACK: Duration = Duration::from_secs(15);
/// How long a refusal may take: a write must not hang while etcd is away.
const REFUSED: Duration = Duration::from_secs(15);
/// A node that is silent counts as live for so long, and a little more.
const NODES_LIVE: Duration = Duration::from_secs(20);
/// Between two looks at whether rules hold.
const LOOK: Duration = Duration::from_secs(2);
/// A caller whose rights are taken away.
const GUESTS: &str = "guests";

/// The stage of these scenes: guests may use `slow`, but not its tool `cancelled`.
fn stage() -> Cluster {
    cluster()
        .with(&[
            catalog::allow("guests", GUESTS, &["slow"]),
            catalog::deny_tool("guests-no-counting", GUESTS, "slow", "cancelled"),
        ])
        .drain_delay_s(1)
}

/// Whoever asks at each edge.
struct Guest {
    clients: Vec<Modern>,
}

impl Guest {
    fn of(cluster: &Running) -> Self {
        let key = cluster.key("guest@example.com", GUESTS);
        let urls = cluster.edge_urls("slow");
        Self {
            clients: urls.iter().map(|url| Modern::new(url, &key)).collect(),
        }
    }

    /// What each edge lets it do: the tools that it sees; `None` where it is as if the server were not there.
    fn sees(&self) -> Vec<Option<Vec<String>>> {
        let tools = |client: &Modern| {
            let response = client.request("tools/list", json!({})).send();
            match response.status {
                200 => Some(rpc::names(&response)),
                404 => None,
                _ => panic!("{response}"),
            }
        };
        self.clients.iter().map(tools).collect()
    }

    /// Requires that all edges let it do this.
    #[track_caller]
    fn sees_everywhere(&self, expected: Option<&[&str]>) {
        for seen in self.sees() {
            let seen: Option<Vec<_>> = seen
                .as_ref()
                .map(|tools| tools.iter().map(String::as_str).collect());
            assert_eq!(seen.as_deref(), expected);
        }
    }

    /// Waits until all edges let it do this, and tells how long that took since `since`.
    fn comes_to_see(&self, expected: Option<&[&str]>, since: Instant) -> Duration {
        let wanted: Option<Vec<String>> =
            expected.map(|tools| tools.iter().map(|&tool| tool.to_owned()).collect());
        wait::until("all edges to have the change", RESYNC, || {
            let seen = self.sees();
            if seen.iter().all(|each| *each == wanted) {
                Ok(())
            } else {
                Err(format!("{seen:?}"))
            }
        });
        since.elapsed()
    }
}

/// One control plane, to which all nodes are connected, is cut off from etcd for `gap`. Meanwhile rights are taken
/// away and given through the other one, and etcd is compacted past all of it.
pub fn compacted_in_the_gap(gap: Duration) {
    let cluster = stage().gated(0).nodes_at_the_first().start();
    let (key, guest) = (key(&cluster), Guest::of(&cluster));
    cluster.settled();
    guest.sees_everywhere(Some(&["sleep"]));
    let load = cluster.load(&key, &targets());

    let cut = Instant::now();
    for gate in &cluster.gates {
        gate.shut();
    }
    cluster.apply_without_wait(
        1,
        &[catalog::deny_tool("no-sleep", GUESTS, "slow", "sleep")],
    );
    for rule in ["guests-no-counting", "no-sleep"] {
        cluster.gatehouse(1, &["delete", "AccessRule", rule]).good();
    }
    let before = cluster.etcd.compact();
    // No control plane knows more than it can: as long as a node is known that has not got it, `--wait` waits.
    let words = [
        "delete",
        "AccessRule",
        "guests",
        "--wait",
        "--timeout",
        "3s",
    ];
    let waited = cluster.gatehouse(1, &words);
    if guest.sees().iter().any(Option::is_some) {
        assert_ne!(
            waited.status,
            Some(0),
            "the guest is still let in: {waited}"
        );
    }
    cluster.apply_without_wait(1, &[catalog::allow("later", "others", &["slow"])]);
    let compacted = cluster.etcd.compact();
    assert!(compacted > before, "something was deleted between the two");
    load.go_on(gap.saturating_sub(cut.elapsed()));

    let open = Instant::now();
    for gate in &cluster.gates {
        gate.open();
    }
    let took = guest.comes_to_see(None, open);
    wait::until(
        "the control plane that was cut off to be there",
        BACK,
        || cluster.is_settled(0),
    );
    assert_eq!(cluster.head(0), cluster.head(1));
    let back = catalog::allow("guests", GUESTS, &["slow"]);
    cluster.apply(0, &[back]);
    guest.sees_everywhere(Some(&["sleep", "cancelled"]));
    let verdict = Verdict::of(load.finish());
    tell(&format!(
        "{verdict}cut off for {:?}, revoked {took:?} after",
        open - cut
    ));
    verdict.none_failed();
}

/// One control plane, to which all nodes are connected, is cut off from etcd for long, and the other one is not: a
/// change through that one is live on all nodes when `--wait` returns all the same, as nodes turn to it.
pub fn cut_off() {
    let cluster = stage().gated(0).nodes_at_the_first().start();
    let (key, guest) = (key(&cluster), Guest::of(&cluster));
    cluster.settled();
    let load = cluster.load(&key, &targets());
    let cut = Instant::now();
    for gate in &cluster.gates {
        gate.shut();
    }
    let revoke = ["delete", "AccessRule", "guests", "--wait"];
    cluster.gatehouse(1, &revoke).good();
    guest.sees_everywhere(None);
    let took = cut.elapsed();
    // Longer than any silent node counts as live: whoever is waited for is known for sure.
    load.go_on(NODES_LIVE);
    let back = catalog::allow("guests", GUESTS, &["slow"]);
    cluster.apply(1, &[back]);
    guest.sees_everywhere(Some(&["sleep"]));
    cluster
        .is_settled(1)
        .expect("all nodes are at the other one");

    cluster.etcd.compact();
    for gate in &cluster.gates {
        gate.open();
    }
    cluster.gatehouse(1, &revoke).good();
    guest.sees_everywhere(None);
    wait::until(
        "the control plane that was cut off to be there",
        BACK,
        || cluster.is_settled(0),
    );
    let verdict = Verdict::of(load.finish());
    tell(&format!(
        "{verdict}nodes were with the other one {took:?} after"
    ));
    verdict.none_failed();
}

/// etcd is away for `time`: calls go on, rules hold, nodes restart; nothing can be changed, and that is said at once.
pub fn stopped(time: Duration) {
    let mut cluster = stage().tolerating("the store is away").start();
    let (key, guest) = (key(&cluster), Guest::of(&cluster));
    let load = cluster.load(&key, &targets());
    cluster.etcd.kill9_all();
    let since = Instant::now();
    refuses(&cluster, 0);

    // From disk, and with control planes that have nothing to look at themselves.
    let mut kills = vec![cluster.kill_edge(0)];
    cluster.edges[0].restart();
    kills.push(cluster.kill_sidecar(0));
    cluster.sidecars[0].restart();
    while since.elapsed() < time {
        guest.sees_everywhere(Some(&["sleep"]));
        load.go_on(LOOK.min(time.saturating_sub(since.elapsed())));
    }
    guest.sees_everywhere(Some(&["sleep"]));
    refuses(&cluster, 1);

    cluster.etcd.launch_all();
    cluster.etcd.wait_until_healthy();
    let back = Instant::now();
    let deny = catalog::deny_tool("no-sleep", GUESTS, "slow", "sleep");
    let file = cluster.file(&[deny]);
    let works = cluster.works(0, &["apply", "-f", &file, "--wait"], back, BACK);
    guest.sees_everywhere(Some(&[]));
    cluster.works(
        1,
        &["delete", "AccessRule", "no-sleep", "--wait"],
        back,
        BACK,
    );
    cluster.settled();
    guest.sees_everywhere(Some(&["sleep"]));
    let verdict = Verdict::of(load.finish());
    let cost = verdict.cost(&kills);
    tell(&format!(
        "{verdict}away for {time:?}, writable {works:?} after; cost: {cost:?}"
    ));
    verdict.only_lost_with(&kills);
}

/// A change through a control plane is refused soon, as something to be tried again.
fn refuses(cluster: &Running, through: usize) {
    let file = cluster.file(&[catalog::allow("more", "others", &["slow"])]);
    let asked = Instant::now();
    let refused = cluster.gatehouse(through, &["apply", "-f", &file, "-o", "json"]);
    let refused = refused.ended_with(1);
    assert!(asked.elapsed() < REFUSED, "it took {:?}", asked.elapsed());
    assert_eq!(refused.errors()[0]["retryable"], true, "{refused}");
}

/// etcd is put back from a backup in which guests still have rights that were taken away since. It is held so for
/// `time`, over restarts of a control plane and of an edge, until an operator agrees.
pub fn restored(time: Duration) {
    let mut cluster = stage()
        .tolerating("the store went back")
        .tolerating("it went back")
        .start();
    let (key, guest) = (key(&cluster), Guest::of(&cluster));
    let backup = cluster.folder().join("backup.db");
    cluster.etcd.save(&backup);
    let held = cluster.head(0);
    cluster
        .gatehouse(0, &["delete", "AccessRule", "guests", "--wait"])
        .good();
    cluster.apply(1, &[catalog::allow("later", "others", &["slow"])]);
    let ran = cluster.head(0);
    guest.sees_everywhere(None);
    let load = cluster.load(&key, &targets());

    cluster.etcd.restore(&backup);
    cluster.etcd.wait_until_healthy();
    let since = Instant::now();
    went_back(&cluster, ran, held);
    is_refused(&cluster);
    let mut kills = Vec::new();
    while since.elapsed() < time {
        guest.sees_everywhere(None);
        load.go_on(LOOK.min(time.saturating_sub(since.elapsed())));
        if kills.is_empty() {
            kills.push(cluster.kill_control_plane(0));
            cluster.control_planes[0].restart();
            kills.push(cluster.kill_edge(0));
            cluster.edges[0].restart();
            went_back(&cluster, ran, held);
        }
    }
    is_refused(&cluster);
    guest.sees_everywhere(None);

    let held = held.to_string();
    let words = ["store", "accept", "--revision", &held, "-o", "json"];
    let accepted = cluster.gatehouse(0, &words).good().json();
    assert!(accepted["revision"].as_u64() > Some(ran), "{accepted}");
    let agreed = Instant::now();
    let took = guest.comes_to_see(Some(&["sleep"]), agreed);
    cluster.settled();
    // What was given up is gone, and what was there is changed as ever.
    cluster
        .gatehouse(1, &["delete", "AccessRule", "guests", "--wait"])
        .good();
    guest.sees_everywhere(None);
    let verdict = Verdict::of(load.finish());
    let cost = verdict.cost(&kills);
    tell(&format!(
        "{verdict}in force {took:?} after it was agreed to; cost: {cost:?}"
    ));
    verdict.only_lost_with(&kills);
}

/// Both control planes say that the store went back, from which revision to which.
fn went_back(cluster: &Running, ran: u64, held: u64) {
    for through in 0..cluster.control_planes.len() {
        wait::until("the store to be seen to have gone back", BACK, || {
            let output = cluster.gatehouse(through, &["store", "status", "-o", "json"]);
            let status: Value = match output.status {
                Some(0) => output.json(),
                _ => Value::Null,
            };
            if status["went_back"] == json!({"ran": ran, "holds": held}) {
                Ok(())
            } else {
                Err(output.to_string())
            }
        });
    }
}

/// Nothing is changed on top of it, through either control plane; nor is a revision agreed to that it does not hold.
fn is_refused(cluster: &Running) {
    let file = cluster.file(&[catalog::allow("more", "others", &["slow"])]);
    for through in 0..cluster.control_planes.len() {
        let words = ["apply", "-f", &file, "-o", "json"];
        let refused = cluster.gatehouse(through, &words).ended_with(1);
        assert!(refused.stderr.contains("GH5103"), "{refused}");
        let wrong = ["store", "accept", "--revision", "999999"];
        cluster.gatehouse(through, &wrong).ended_with(1);
    }
}
