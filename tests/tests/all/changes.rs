//! Changing what is configured, safely: what would change, what did, and the way back.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tests::catalog;
use tests::mesh::{Mesh, Running};
use tests::place;
use tests::process;
use tests::rpc::Modern;

/// How long a command may take.
const COMMAND: Duration = Duration::from_secs(60);

fn mesh() -> Running {
    let resources = [
        catalog::fixture("slow", &[]),
        catalog::allow("engineers", "engineering", &["*"]),
    ];
    Mesh::new().with(&resources).start()
}

fn head(mesh: &Running) -> u64 {
    let listed = mesh.gatehouse(&["history", "--limit", "1", "-o", "json"]);
    let items = listed.good().items();
    items[0]["revision"].as_u64().expect("a number")
}

/// Runs a command on a terminal, where `answer` is typed.
fn on_a_terminal(mesh: &Running, words: &[&str], answer: &str) -> process::Output {
    let inside = "import os, pty, sys, threading, time\n\
        answer = sys.argv[1].encode()\n\
        def read(fd):\n\
        \x20   data = os.read(fd, 1024)\n\
        \x20   if data.rstrip().endswith((b'[y/N]', b'roll back:')): os.write(fd, answer + b'\\n')\n\
        \x20   return data\n\
        sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[2:], read)))";
    let command = mesh.command();
    let mut terminal = Command::new(place::python());
    terminal
        .args(["-c", inside, answer])
        .arg(command.get_program())
        .args(words)
        .envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    process::run(&mut terminal, COMMAND)
}

#[test]
fn a_change_is_seen_before_told_after_and_taken_back_whole() {
    let mesh = mesh();
    let key = mesh.key("ana@example.com", &["engineering"]);
    let revoked = mesh.key("ben@example.com", &["engineering"]);
    let before = head(&mesh);
    let client = Modern::new(&mesh.url(0, "slow"), &key.text);
    assert_eq!(client.tools(), ["sleep", "cancelled"]);

    // Seen before.
    let deny = catalog::deny_tool("no-sleep", "engineering", "slow", "sleep");
    let file = mesh.file("change.yaml", &catalog::file(&[deny]));
    let seen = mesh
        .gatehouse(&["diff", "-f", &file, "--exit-code"])
        .ended_with(3);
    assert!(
        seen.stdout.contains("AccessRule/no-sleep   created"),
        "{seen}"
    );
    let line = format!("gatehouse apply -f {file} --if-revision {before}");
    assert!(seen.stderr.contains(&line), "{seen}");
    mesh.gatehouse(&["diff", "-f", &file]).good();

    // As the line says; then nothing differs any more.
    let on = before.to_string();
    let flags = ["apply", "-f", &file, "--if-revision", &on, "--wait"];
    mesh.gatehouse(&flags).good();
    assert_eq!(client.tools(), ["cancelled"], "the rule is in force");
    let same = mesh
        .gatehouse(&["diff", "-f", &file, "--exit-code", "-o", "json"])
        .good();
    assert_eq!(same.json()["changes"], json!([]));
    mesh.gatehouse(&["key", "revoke", &revoked.id]).good();

    // Told after.
    let told = mesh
        .gatehouse(&["history", "accessrule", "no-sleep", "-o", "json"])
        .good()
        .items();
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(
        (&told[0]["user"], &told[0]["changes"][0]["action"]),
        (&json!("admin"), &json!("created"))
    );
    let people = mesh.gatehouse(&["history"]).good();
    assert!(
        people.stdout.contains("AccessRule/no-sleep created"),
        "{people}"
    );

    // Taken back: what would happen, then what happens.
    let to = before.to_string();
    let looked = mesh
        .gatehouse(&["rollback", "--to", &to, "--dry-run"])
        .good();
    assert!(
        looked.stdout.contains("AccessRule/no-sleep   deleted"),
        "{looked}"
    );
    assert_eq!(client.tools(), ["cancelled"], "a dry run changes nothing");
    let last = head(&mesh);
    let back = mesh
        .gatehouse(&["rollback", "--to", &to, "--wait", "-o", "json"])
        .good()
        .json();
    assert_eq!(back["revision"], json!(last + 1));
    assert_eq!(back["rollout"]["current"], back["rollout"]["live"]);
    assert_eq!(client.tools(), ["sleep", "cancelled"], "ana may again");
    Modern::new(&mesh.url(0, "slow"), &revoked.text)
        .request("tools/list", json!({}))
        .send()
        .expect_status(401);
    let told: Vec<Value> = mesh
        .gatehouse(&["history", "--limit", "1", "-o", "json"])
        .good()
        .items();
    assert_eq!(told[0]["rolled_back_to"], json!(before));

    // And the rollback itself.
    let to = last.to_string();
    mesh.gatehouse(&["rollback", "--to", &to, "--wait"]).good();
    assert_eq!(client.tools(), ["cancelled"], "ana may not, again");
}

#[test]
fn a_rollback_asks_on_a_terminal_and_names_what_cannot_be_gone_back_to() {
    let mesh = mesh();
    let start = head(&mesh);
    mesh.apply(&[catalog::words("one", &["x"])]);
    mesh.apply(&[catalog::words("two", &["x"])]);
    let (one, far) = ((start + 1).to_string(), start.to_string());
    let refused = on_a_terminal(&mesh, &["rollback", "--to", &one], "n");
    assert_eq!(refused.status, Some(1), "{refused}");
    assert!(refused.stdout.contains("Filter/two   deleted"), "{refused}");
    let wrong = on_a_terminal(&mesh, &["rollback", "--to", &far], "y");
    assert_eq!(
        wrong.status,
        Some(1),
        "several are not agreed to by y: {wrong}"
    );
    assert_eq!(head(&mesh), start + 2, "nothing has changed");
    let done = on_a_terminal(&mesh, &["rollback", "--to", &far], &far);
    assert_eq!(done.status, Some(0), "{done}");
    assert_eq!(head(&mesh), start + 3);
    let undo = format!("gatehouse rollback --to {}", start + 2);
    assert!(done.stdout.contains(&undo), "{done}");
    let never = mesh
        .gatehouse(&["rollback", "--to", "99999", "-o", "json"])
        .ended_with(1);
    assert_eq!(never.errors()[0]["code"], json!("GH5106"), "{never}");
    mesh.gatehouse(&["rollback", "--to", "0"]).ended_with(2);
}
