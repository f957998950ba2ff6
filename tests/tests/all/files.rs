//! Files that must not take effect: refused with file, line, path and value, all faults at once.

use serde_json::{Value, json};
use tests::mesh::{Mesh, Running};

use crate::stage;

/// Before each bad resource: what would be in effect if any of the file were.
const GOOD: &str = "apiVersion: gatehouse.dev/v1
kind: Filter
metadata: {name: never-stored}
spec: {match: {servers: [\"*\"]}, keywords: {words: [never]}}
---
apiVersion: gatehouse.dev/v1
";

/// A bad resource, the line of its fault counted from its own first line, the path, and the value that is wrong.
const BAD: &[(&str, &str, usize, &str, &str)] = &[
    (
        "unknown field",
        "kind: Server\nmetadata: {name: bad}\nspec:\n  limits: {idel: 15m}\n  runtime: {npx: {package: a, version: 1.0.0}}",
        4,
        "spec.limits.idel",
        "idel",
    ),
    (
        "wrong type",
        "kind: Server\nmetadata: {name: bad}\nspec:\n  runtime:\n    npx:\n      package: a\n      version: 1.0.0\n      args: {a: 1}",
        8,
        "spec.runtime.npx.args",
        "",
    ),
    (
        "bad duration",
        "kind: Server\nmetadata: {name: bad}\nspec:\n  runtime: {npx: {package: a, version: 1.0.0}}\n  limits:\n    startup: 10x",
        6,
        "spec.limits.startup",
        "10x",
    ),
    (
        "two runtimes",
        "kind: Server\nmetadata: {name: bad}\nspec:\n  runtime:\n    npx: {package: a, version: 1.0.0}\n    uvx: {package: b, version: 1.0.0}",
        6,
        "spec.runtime",
        "uvx",
    ),
    (
        "bad name",
        "kind: Server\nmetadata: {name: Bad_Name}\nspec:\n  runtime: {npx: {package: a, version: 1.0.0}}",
        2,
        "metadata.name",
        "Bad_Name",
    ),
    (
        "unknown kind",
        "kind: Sever\nmetadata: {name: bad}\nspec: {}",
        1,
        "kind",
        "Sever",
    ),
    (
        "dangling server",
        "kind: AccessRule\nmetadata: {name: bad}\nspec:\n  effect: allow\n  everyone: true\n  servers:\n    - slow\n    - no-such-server",
        8,
        "spec.servers[1]",
        "no-such-server",
    ),
    (
        "bad glob",
        "kind: AccessRule\nmetadata: {name: bad}\nspec:\n  effect: allow\n  everyone: true\n  servers: [\"*\"]\n  tools: [\"a[b\"]",
        7,
        "spec.tools[0]",
        "a[b",
    ),
    (
        "not supported yet",
        "kind: Server\nmetadata: {name: bad}\nspec:\n  runtime: {external: {}}\n  egress: [api.example.com]",
        5,
        "spec.egress",
        "",
    ),
    (
        "approvers of a rule that asks nobody",
        "kind: AccessRule\nmetadata: {name: bad}\nspec:\n  effect: allow\n  everyone: true\n  servers: [\"*\"]\n  approvers: [{group: a}]",
        7,
        "spec.approvers",
        "approve",
    ),
    (
        "unsupported filter",
        "kind: Filter\nmetadata: {name: bad}\nspec:\n  match: {servers: [\"*\"]}\n  keywords: {words: [a]}\n  mode: watch",
        6,
        "spec.mode",
        "watch",
    ),
    (
        "webhook without a secret",
        "kind: Filter\nmetadata: {name: bad}\nspec:\n  match: {servers: [\"*\"]}\n  webhook: {url: \"https://x.example\"}",
        5,
        "spec.webhook.secretName",
        "",
    ),
    (
        "secret that is not there",
        "kind: Server\nmetadata: {name: bad}\nspec:\n  runtime: {remote: {url: \"https://x.example\"}}\n  config:\n    - {key: X-Key, from: secret, secretName: nobody-set-it, as: header}",
        5,
        "spec.config",
        "nobody-set-it",
    ),
    (
        "URL that readers take differently",
        "kind: Server\nmetadata: {name: bad}\nspec:\n  runtime: {remote: {url: \"https://0x7f.1/\"}}",
        4,
        "spec.runtime.remote.url",
        "0x7f.1",
    ),
    (
        "key twice",
        "kind: Server\nmetadata: {name: bad}\nspec:\n  runtime: {npx: {package: a, version: 1.0.0}}\n  runtime: {npx: {package: b, version: 1.0.0}}",
        5,
        "spec.runtime",
        "runtime",
    ),
    (
        "not YAML",
        "kind: Server\nmetadata: {name: bad\nspec: [}",
        3,
        "",
        "",
    ),
];

#[test]
fn a_bad_file_is_refused_with_file_line_path_and_value_and_nothing_of_it_takes_effect() {
    let mesh = stage::workshop();
    let first = GOOD.lines().count();
    for (what, bad, line, path, value) in BAD {
        let file = mesh.file(
            &format!("{}.yaml", what.replace(' ', "-")),
            &format!("{GOOD}{bad}\n"),
        );
        let refused = mesh
            .gatehouse(&["apply", "-f", &file, "-o", "json"])
            .ended_with(1);
        assert_eq!(refused.stdout, "", "{what}");
        let errors = refused.errors();
        let place = |error: &Value| error["where"][0].clone();
        let found = errors
            .iter()
            .find(|error| place(error)["path"] == *path && place(error)["line"] == first + line);
        let error = found.unwrap_or_else(|| {
            panic!(
                "{what}: no fault of {path} in line {}: {refused}",
                first + line
            )
        });
        assert_eq!(place(error)["file"], json!(file), "{what}");
        assert!(
            place(error)["column"]
                .as_u64()
                .is_some_and(|column| column >= 1),
            "{what}: {error}"
        );
        assert!(
            error["code"]
                .as_str()
                .is_some_and(|code| code.starts_with("GH")),
            "{what}: {error}"
        );
        let text = format!("{} {}", error["message"], error["why"]);
        assert!(
            text.contains(value),
            "{what}: {value:?} is not named: {error}"
        );
        not_stored(&mesh, what);
    }
}

#[track_caller]
fn not_stored(mesh: &Running, what: &str) {
    for words in [
        ["get", "Filter", "never-stored"],
        ["get", "Server", "bad"],
        ["get", "AccessRule", "bad"],
    ] {
        let output = mesh.gatehouse(&words);
        assert_eq!(output.status, Some(1), "{what}: {output}");
    }
}

#[test]
fn all_faults_of_all_files_are_told_at_once() {
    let mesh = stage::workshop();
    let one = mesh.file("one.yaml", &format!("{GOOD}{}\n", BAD[0].1));
    let two = mesh.file(
        "two.yaml",
        &format!("{GOOD}{}\n", BAD[4].1).replace("never-stored", "never-stored-two"),
    );
    let refused = mesh
        .gatehouse(&["apply", "-f", &one, "-f", &two, "-o", "json"])
        .ended_with(1);
    let files: Vec<_> = refused
        .errors()
        .iter()
        .map(|error| error["where"][0]["file"].clone())
        .collect();
    assert!(
        files.contains(&json!(one)) && files.contains(&json!(two)),
        "{refused}"
    );

    let people = mesh
        .gatehouse(&["apply", "-f", &one, "-f", &two])
        .ended_with(1);
    for part in [
        "error GH1001",
        "idel",
        "did you mean `idle`?",
        "one.yaml:",
        "two.yaml:",
        "nothing was applied",
    ] {
        assert!(people.stderr.contains(part), "no {part:?}: {people}");
    }
}

#[test]
fn two_hundred_files_are_one_revision_or_none() {
    let mesh = Mesh::new().start();
    let folder = mesh.folder().join("many");
    std::fs::create_dir(&folder).expect("a folder can be made");
    for number in 0..200 {
        let filter = tests::catalog::words(&format!("many-{number}"), &["never"]);
        let text = tests::catalog::file(&[filter]);
        std::fs::write(folder.join(format!("{number}.yaml")), text).expect("a file can be written");
    }
    let spoilt = folder.join("100.yaml");
    let good = std::fs::read_to_string(&spoilt).expect("it was just written");
    std::fs::write(&spoilt, good.replace("keywords", "keyword")).expect("a file can be written");
    let path = folder.to_str().expect("its path is text");

    let before = revision(&mesh);
    mesh.gatehouse(&["apply", "-f", path]).ended_with(1);
    assert_eq!(
        (revision(&mesh), filters(&mesh)),
        (before, 0),
        "one bad file, and none is stored"
    );

    std::fs::write(&spoilt, good).expect("a file can be written");
    mesh.gatehouse(&["apply", "-f", path, "--wait"]).good();
    assert_eq!((revision(&mesh), filters(&mesh)), (before + 1, 200));
    mesh.gatehouse(&["apply", "-f", path, "--wait"]).good();
    assert_eq!(
        revision(&mesh),
        before + 1,
        "nothing differs, so nothing is new"
    );
}

/// The head revision.
fn revision(mesh: &Running) -> u64 {
    let nodes = mesh.gatehouse(&["nodes", "-o", "json"]).good().json();
    nodes["revision"].as_u64().expect("it is a number")
}

fn filters(mesh: &Running) -> usize {
    mesh.gatehouse(&["get", "Filter", "-o", "json"])
        .good()
        .items()
        .len()
}

#[test]
fn validate_says_the_same_without_storing() {
    let mesh = stage::workshop();
    let file = mesh.file("validate.yaml", &format!("{GOOD}{}\n", BAD[0].1));
    let refused = mesh
        .gatehouse(&["validate", "-f", &file, "-o", "json"])
        .ended_with(1);
    assert_eq!(
        refused.errors()[0]["where"][0]["path"],
        "spec.limits.idel",
        "{refused}"
    );
    let good = mesh.file(
        "good.yaml",
        GOOD.trim_end()
            .trim_end_matches("apiVersion: gatehouse.dev/v1"),
    );
    mesh.gatehouse(&["validate", "-f", &good]).good();
    not_stored(&mesh, "validate");
}

#[test]
fn a_server_that_a_rule_names_cannot_be_deleted_from_under_it() {
    let mesh = stage::workshop();
    let refused = mesh
        .gatehouse(&["delete", "Server", "slow", "-o", "json"])
        .ended_with(1);
    assert!(
        refused.stderr.contains("no-counting"),
        "the rule is named: {refused}"
    );
    mesh.gatehouse(&["get", "Server", "slow"]).good();
}
