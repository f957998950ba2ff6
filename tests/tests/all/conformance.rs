//! The official conformance suite (`tests/conformance`): against servers behind an edge that calls them itself, behind an edge
//! and a sidecar, and behind a virtual server; and as the servers, of which Gatehouse is the client.
//!
//! What fails for a known reason stands in `tests/conformance/expected`, with the reason; the runner refuses an exclusion
//! that passes. Each run leaves its results in `target/conformance`, from which `tests/conformance/table` makes the table of
//! `docs/compatibility.md`.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tests::by_hand::ByHand;
use tests::catalog;
use tests::fixture_server::{FixtureServer, Made, Speaks, argv};
use tests::mesh::{Mesh, Running};
use tests::place;
use tests::process;
use tests::rpc::{LEGACY, MODERN};

/// How long one set may take.
const SET: Duration = Duration::from_secs(180);

/// A way to a server: a column of the table.
#[derive(Debug, Clone, Copy)]
struct Way {
    /// What the runs of it are called.
    name: &'static str,
    /// What the file of known failures is called.
    expected: &'static str,
    /// What the server is made of.
    made: Made,
}

/// One run of the suite: a set of requirements, of the server with this name.
type Run = (&'static str, &'static str);

fn passes(mesh: &Running, key: &str, way: Way, (server, requirements): Run) {
    // The suite's scenario of DNS rebinding wants this name.
    let url = mesh.url(0, server).replace("127.0.0.1", "localhost");
    let made = match way.made {
        Made::Python => "python",
        Made::Rust => "rust",
    };
    let mut command = Command::new(place::file("tests/conformance/run"));
    command.args(["--url", &url, "--token", key]);
    let run = format!("{}.{made}.{server}", way.name);
    judged(&mut command, &run, requirements, way.expected);
}

/// Runs the suite, and leaves its results for the table.
fn judged(command: &mut Command, run: &str, requirements: &str, expected: &str) {
    let expected = place::file(&format!(
        "tests/conformance/expected/{expected}-{requirements}.txt"
    ));
    let results = results().join(format!("{run}.{requirements}.json"));
    command
        .args(["--requirements", requirements, "--expected"])
        .arg(expected)
        .arg("--json")
        .arg(results);
    let done = process::run(command, SET);
    assert_eq!(done.status, Some(0), "{run}, {requirements}: {done}");
}

fn results() -> PathBuf {
    let folder = place::repository().join("target/conformance");
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    folder
}

fn through_an_edge(made: Made) {
    let start = |speaks| FixtureServer::start(made, speaks);
    let (both, legacy, modern) = (
        start(Speaks::Both),
        start(Speaks::Legacy),
        start(Speaks::Modern),
    );
    let mesh = Mesh::new()
        .with(&[
            catalog::remote("both", both.url()),
            catalog::remote("legacy", legacy.url()),
            catalog::remote("modern", modern.url()),
            catalog::allow("all", "engineering", &["*"]),
        ])
        .start();
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    let way = Way {
        name: "edge",
        expected: "edge",
        made,
    };
    for run in [
        ("both", LEGACY),
        ("both", MODERN),
        ("legacy", LEGACY),
        ("modern", MODERN),
    ] {
        passes(&mesh, &key, way, run);
    }
}

/// Through an edge and a sidecar.
fn through_a_sidecar(made: Made) {
    let server = FixtureServer::start(made, Speaks::Both);
    let resources = [
        catalog::external("aside"),
        catalog::allow("all", "engineering", &["*"]),
    ];
    let mesh = Mesh::new().with(&resources).start();
    let _sidecar = ByHand::sidecar(&mesh, "aside", server.url());
    mesh.server_in("aside", "ready");
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    let way = Way {
        name: "sidecar",
        expected: "edge",
        made,
    };
    for requirements in [LEGACY, MODERN] {
        passes(&mesh, &key, way, ("aside", requirements));
    }
}

#[test]
fn servers_behind_a_sidecar_pass_the_suite_as_they_do_alone() {
    through_a_sidecar(Made::Python);
    through_a_sidecar(Made::Rust);
}

#[test]
fn servers_on_the_python_sdk_pass_the_suite_through_an_edge_as_they_do_alone() {
    through_an_edge(Made::Python);
}

#[test]
fn servers_on_the_rust_sdk_pass_the_suite_through_an_edge_as_they_do_alone() {
    through_an_edge(Made::Rust);
}

/// Each client on the server that speaks the other era alone: through a sidecar, over HTTP and over stdio.
fn across(made: Made) {
    let (legacy, modern) = (
        FixtureServer::start(made, Speaks::Legacy),
        FixtureServer::start(made, Speaks::Modern),
    );
    let stdio = |speaks| argv(made, speaks, &["stdio"]);
    let mesh = Mesh::new()
        .with(&[
            catalog::remote("legacy", legacy.url()),
            catalog::remote("modern", modern.url()),
            catalog::own_command("legacy-stdio", &stdio(Speaks::Legacy)),
            catalog::own_command("modern-stdio", &stdio(Speaks::Modern)),
            catalog::allow("all", "engineering", &["*"]),
        ])
        .start();
    for server in ["legacy", "modern", "legacy-stdio", "modern-stdio"] {
        mesh.server_in(server, "ready");
    }
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    let way = |name, expected| Way {
        name,
        expected,
        made,
    };
    for run in [("legacy-stdio", LEGACY), ("modern-stdio", MODERN)] {
        passes(&mesh, &key, way("stdio", "stdio"), run);
    }
    for run in [("modern", LEGACY), ("legacy", MODERN)] {
        passes(&mesh, &key, way("across", "across"), run);
    }
    for run in [("modern-stdio", LEGACY), ("legacy-stdio", MODERN)] {
        passes(&mesh, &key, way("across-stdio", "across"), run);
    }
}

#[test]
fn clients_and_servers_of_different_eras_pass_the_suite_on_the_python_sdk() {
    across(Made::Python);
}

#[test]
fn clients_and_servers_of_different_eras_pass_the_suite_on_the_rust_sdk() {
    across(Made::Rust);
}

#[test]
fn a_virtual_server_passes_the_suite_but_for_the_uris_of_resources() {
    let server = FixtureServer::start(Made::Rust, Speaks::Both);
    let resources = [
        catalog::remote("both", server.url()),
        catalog::virtual_server("whole", &[("both", "")]),
        catalog::allow("all", "engineering", &["*"]),
    ];
    let mesh = Mesh::new().with(&resources).start();
    mesh.server_in("both", "ready");
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    let way = Way {
        name: "virtual",
        expected: "virtual",
        made: Made::Rust,
    };
    for requirements in [LEGACY, MODERN] {
        passes(&mesh, &key, way, ("whole", requirements));
    }
}

/// The suite plays the servers, and judges what Gatehouse sends them: for a client of their own era, which the edge passes
/// on, and for one of the other era, for which the sidecar is the client.
#[test]
fn gatehouse_passes_the_suite_as_a_client_of_servers() {
    let everyone = catalog::allow("all", "engineering", &["*"]);
    let mesh = Mesh::new().with(&[everyone]).start();
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    for (way, requirements, era) in [
        ("client", LEGACY, "legacy"),
        ("client", MODERN, "modern"),
        ("client-across", LEGACY, "modern"),
        ("client-across", MODERN, "legacy"),
    ] {
        let mut command = Command::new(place::file("tests/conformance/through"));
        command
            .env("GATEHOUSE_CONTEXT", mesh.data().join("client.toml"))
            .args(["--all", "--era", era, "--edge", mesh.edge(0)])
            .args(["--token", &key, "--gatehouse"])
            .arg(place::gatehouse());
        judged(&mut command, way, requirements, way);
    }
}
