//! `gatehouse up` is killed with -9 in mid-load: what was answered is on record, and nothing is left behind.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tests::catalog;
use tests::mesh::{Mesh, Running};
use tests::rpc::Modern;
use tests::wait;

/// Clients at once.
const CLIENTS: usize = 8;
/// Replies before the kill.
const REPLIES: usize = 300;
/// How long they, and the records after the restart, may take.
const LOAD: Duration = Duration::from_secs(60);
/// The largest page of `audit list`.
const PAGE: &str = "1000";

#[test]
fn what_was_answered_before_a_kill_is_on_record_after_it_and_no_process_is_left() {
    let pids = tempfile::NamedTempFile::new().expect("a file can be made");
    let pids_file = pids.path().to_str().expect("its path is text");
    let resources = [
        catalog::fixture("forker", &[pids_file]),
        catalog::allow("all", "load", &["*"]),
    ];
    let mut mesh = Mesh::new().with(&resources).start();
    let key = mesh.key("load@example.com", &["load"]).text;
    let client = Modern::new(&mesh.url(0, "forker"), &key);

    let answered = Mutex::new(BTreeSet::new());
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for worker in 0..CLIENTS {
            let (client, answered, over) = (&client, &answered, &over);
            scope.spawn(move || load(worker, client, answered, over));
        }
        wait::wait_for("the load", LOAD, || count(&answered) >= REPLIES);
        let family = mesh.kill9().and(&forked(pids_file));
        over.store(true, Ordering::Relaxed);
        assert!(
            family.len() > 5,
            "up, three parts, a shim, a server and two more: {family:?}"
        );
        family.wait_until_gone();
    });

    mesh.restart();
    let answered = answered.into_inner().expect("no client panicked");
    wait::until("every answered call to be on record", LOAD, || {
        let recorded = recorded(&mesh);
        let missing: Vec<_> = answered.difference(&recorded).collect();
        if missing.is_empty() {
            Ok(())
        } else {
            Err(format!(
                "{} of {} miss: {missing:?}",
                missing.len(),
                answered.len()
            ))
        }
    });
    assert_eq!(
        client.call("echo", json!({"message": "again"})).content(),
        "Echo: again"
    );
}

/// Calls until it is over, and notes each call whose reply has come whole.
fn load(worker: usize, client: &Modern, answered: &Mutex<BTreeSet<String>>, over: &AtomicBool) {
    for turn in 0.. {
        if over.load(Ordering::Relaxed) {
            return;
        }
        let id = format!("load-{worker}-{turn}");
        let params = json!({"name": "echo", "arguments": {"message": &id}});
        let call = client
            .request_with_id(&id, "tools/call", params)
            .deadline(Duration::from_secs(10));
        let Ok(answer) = call.try_send() else {
            continue;
        };
        // A reply is a reply: one that says that a part has just gone is on record like any other.
        let reply = answer.reply();
        assert_eq!(reply["id"], id, "no reply is crossed with another");
        let text = &reply["result"]["content"][0]["text"];
        assert!(
            reply["error"]["code"] == -31011 || *text == format!("Echo: {id}"),
            "{reply}"
        );
        answered.lock().expect("no client panicked").insert(id);
    }
}

fn count(answered: &Mutex<BTreeSet<String>>) -> usize {
    answered
        .lock()
        .map_or(usize::MAX, |answered| answered.len())
}

/// The processes that the server has left behind by now.
fn forked(file: &str) -> Vec<u32> {
    let text = std::fs::read_to_string(file).expect("the server has written it");
    let pids: Vec<_> = text.lines().filter_map(|line| line.parse().ok()).collect();
    assert_eq!(pids.len(), 3, "{text}");
    pids
}

/// The request ids of all calls that are on record.
fn recorded(mesh: &Running) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    let mut after = None;
    loop {
        let mut words = vec![
            "audit",
            "list",
            "-o",
            "json",
            "--user",
            "load@example.com",
            "--limit",
            PAGE,
        ];
        words.extend(
            after
                .as_deref()
                .into_iter()
                .flat_map(|cursor| ["--after", cursor]),
        );
        let page = mesh.gatehouse(&words).good();
        ids.extend(
            page.items()
                .iter()
                .filter_map(|row| row["request_id"].as_str())
                .map(str::to_owned),
        );
        after = page.json()["next"]
            .as_str()
            .filter(|cursor| !cursor.is_empty())
            .map(str::to_owned);
        if after.is_none() {
            return ids;
        }
    }
}

#[test]
fn ctrl_c_drains_and_a_second_start_goes_on_where_it_was() {
    let resources = [
        catalog::fixture("slow", &[]),
        catalog::allow("all", "engineering", &["*"]),
    ];
    let mut mesh = Mesh::new().with(&resources).start();
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    let url = mesh.url(0, "slow");
    let session = tests::rpc::Session::begin(&url, &key);
    let family = mesh.family();

    // A call that is under way when the drain begins is finished first. Its first progress shows that it is.
    let call =
        Modern::new(&url, &key).calling_with_progress("sleep", json!({"seconds": 3, "steps": 9}));
    let mut under_way = call.open();
    assert_eq!(
        under_way.first_message()["method"],
        "notifications/progress"
    );
    let end = std::thread::spawn(move || under_way.whole());
    assert!(mesh.stop().success(), "a drain is no failure");
    assert_eq!(end.join().expect("the call ends").content(), "slept 3 s");
    family.wait_until_gone();

    mesh.restart();
    assert_eq!(
        session.call("sleep", json!({"seconds": 0})).content(),
        "slept 0 s",
        "a session outlives it"
    );
}

#[test]
fn a_second_up_on_the_same_folder_is_refused_and_the_first_goes_on() {
    let mesh = Mesh::new().with(&[catalog::fixture("slow", &[])]).start();
    let data = mesh.data().to_str().expect("its path is text").to_owned();
    let (control, edge) = (tests::ports::address(), tests::ports::address());
    let words = [
        "up",
        "--data",
        &data,
        "--control-listen",
        &control,
        "--edge-listen",
        &edge,
    ];
    let refused = mesh.gatehouse(&words).ended_with(1);
    assert!(refused.stderr.contains("GH6002"), "{refused}");
    assert!(mesh.edge_is_ready(0));
    mesh.gatehouse(&["nodes"]).good();
}
