//! The control plane is away: what edges and sidecars do by themselves.

use std::time::Duration;

use serde_json::{Value, json};
use tests::catalog;
use tests::mesh::{Mesh, Running};
use tests::process::{self, Process, Signal};
use tests::rpc::{Modern, Session};
use tests::wait;

/// How long a part may take to serve again: longer than `up` waits between two tries.
const SERVES: Duration = Duration::from_secs(45);

#[test]
fn without_the_control_plane_calls_go_on_rules_hold_and_parts_restart_from_disk() {
    let resources = [
        catalog::fixture("slow", &[]),
        catalog::allow("all", "engineering", &["*"]),
        catalog::deny_tool("no-counting", "engineering", "slow", "cancelled"),
        catalog::words("no-hacking", &["hacking"]),
    ];
    let mesh = Mesh::new().with(&resources).start();
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    let session = Session::begin(&mesh.url(0, "slow"), &key);
    serves_as_ever(&mesh, &key);

    // One that hangs is worse than one that is gone: it still takes connections.
    let hung = mesh.part("control-plane", "").pid;
    process::signal(hung, Signal::STOP);
    serves_as_ever(&mesh, &key);
    process::signal(hung, Signal::CONT);

    let watching = Process::start(mesh.command().args(["get", "AccessRule", "-w"]), None);
    wait::wait_for("what there is to be told", SERVES, || {
        watching.stdout().contains("added   AccessRule/all")
    });

    let away = mesh.without_control_plane();
    serves_as_ever(&mesh, &key);
    says_what_is_away(&mesh);

    mesh.kill9_part("edge", "");
    serves_again(&mesh, &key);
    serves_as_ever(&mesh, &key);
    assert_eq!(
        session.tools(),
        ["sleep"],
        "a session outlives the edge that began it"
    );

    mesh.kill9_part("sidecar", "slow");
    serves_again(&mesh, &key);
    serves_as_ever(&mesh, &key);

    drop(away);
    // What `apply --wait` waits for are live nodes, and a control plane that has just come back has seen none yet.
    wait::until("the control plane and its nodes to be back", SERVES, || {
        let output = mesh.gatehouse(&["nodes", "-o", "json"]);
        let live = if output.status == Some(0) {
            output.items().len()
        } else {
            0
        };
        if live == 2 {
            Ok(())
        } else {
            Err(output.to_string())
        }
    });
    mesh.apply(&[catalog::deny_tool(
        "no-sleep",
        "engineering",
        "slow",
        "sleep",
    )]);
    assert_eq!(
        Modern::new(&mesh.url(0, "slow"), &key).tools(),
        Vec::<String>::new()
    );
    wait::until("whoever watched to be told", SERVES, || {
        let (told, said) = (watching.stdout(), watching.stderr());
        let once = told.matches("AccessRule/all ").count() == 1;
        if once && told.contains("added   AccessRule/no-sleep") && said.contains("connected again")
        {
            Ok(())
        } else {
            Err(format!("{told}\n{said}"))
        }
    });
    wait::until(
        "what was called meanwhile, kept on disk, to be on record",
        SERVES,
        || {
            let rows = mesh.audit(&["--user", "ana@example.com", "--limit", "1000"]);
            let allowed = |row: &&Value| row["name"] == "sleep" && row["decision"] == "allow";
            // One before, and at least three while it was away.
            if rows.iter().filter(allowed).count() >= 4 {
                Ok(())
            } else {
                Err(format!("{rows:#?}"))
            }
        },
    );
}

/// One red line, and the edge goes on.
#[track_caller]
fn says_what_is_away(mesh: &Running) {
    let check = mesh.gatehouse(&["check", "-o", "json"]).ended_with(1);
    let of = |verdict: &str| -> Vec<Value> {
        let items = check.items();
        let of = items.into_iter().filter(|item| item["verdict"] == verdict);
        of.map(|item| item["id"].clone()).collect()
    };
    assert_eq!(of("fail"), ["cp-reachable"], "{check}");
    assert!(of("ok").contains(&json!("edge-reachable")), "{check}");
    assert!(of("skip").contains(&json!("server-started")), "{check}");
}

#[track_caller]
fn serves_as_ever(mesh: &Running, key: &str) {
    let client = Modern::new(&mesh.url(0, "slow"), key);
    assert_eq!(client.tools(), ["sleep"]);
    assert_eq!(
        client.call("sleep", json!({"seconds": 0})).content(),
        "slept 0 s"
    );
    assert_eq!(
        client.call("cancelled", json!({})).error_code(),
        -32602,
        "the deny rule holds"
    );
    let refused = client.call("sleep", json!({"seconds": "hacking"}));
    assert_eq!(
        refused.refusal(),
        (-31010, "filter".to_owned()),
        "the filter holds"
    );
    client
        .request("tools/list", json!({}))
        .with("authorization", "Bearer gh_no")
        .send()
        .expect_status(401);
}

#[track_caller]
fn serves_again(mesh: &Running, key: &str) {
    let client = Modern::new(&mesh.url(0, "slow"), key);
    wait::until("the restarted part to serve from its disk", SERVES, || {
        let call = client
            .calling("sleep", json!({"seconds": 0}))
            .deadline(Duration::from_secs(5));
        let answer = call.try_send().map_err(|error| error.to_string())?;
        if answer.status == 200 && answer.reply()["result"].is_object() {
            Ok(())
        } else {
            Err(answer.to_string())
        }
    });
}
