//! The official conformance suite, through an edge that calls the server itself, and through an edge and a sidecar
//! (`tests/conformance`).
//!
//! What fails for a known reason stands in `tests/conformance/expected`, with the reason; the runner refuses an exclusion
//! that passes.

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

/// One run of the suite: a set of requirements, of the server with this name.
type Run = (&'static str, &'static str);

fn passes(mesh: &Running, key: &str, run: Run) {
    passes_but_for(mesh, key, run, "edge");
}

/// … where what is known to fail stands in the files of this name.
fn passes_but_for(mesh: &Running, key: &str, (server, requirements): Run, way: &str) {
    // The suite's scenario of DNS rebinding wants this name.
    let url = mesh.url(0, server).replace("127.0.0.1", "localhost");
    let expected = place::file(&format!(
        "tests/conformance/expected/{way}-{requirements}.txt"
    ));
    let mut command = Command::new(place::file("tests/conformance/run"));
    command
        .args(["--url", &url, "--token", key])
        .args(["--requirements", requirements, "--expected"])
        .arg(expected);
    let done = process::run(&mut command, SET);
    assert_eq!(done.status, Some(0), "{server}, {requirements}: {done}");
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
    for run in [
        ("both", LEGACY),
        ("both", MODERN),
        ("legacy", LEGACY),
        ("modern", MODERN),
    ] {
        passes(&mesh, &key, run);
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
    for requirements in [LEGACY, MODERN] {
        passes(&mesh, &key, ("aside", requirements));
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
    for run in [("legacy-stdio", LEGACY), ("modern-stdio", MODERN)] {
        passes(&mesh, &key, run);
    }
    for run in [
        ("modern", LEGACY),
        ("modern-stdio", LEGACY),
        ("legacy", MODERN),
        ("legacy-stdio", MODERN),
    ] {
        passes_but_for(&mesh, &key, run, "across");
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
    for requirements in [LEGACY, MODERN] {
        passes_but_for(&mesh, &key, ("whole", requirements), "virtual");
    }
}
