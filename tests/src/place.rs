//! Where things lie: the repository, the built binary, the fixtures. Knows paths and nothing else.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// A file of the repository.
pub fn file(path: &str) -> PathBuf {
    let file = repository().join(path);
    file.canonicalize()
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The binary under test: the one that lies beside the test's own folder, so that debug tests run debug binaries.
pub fn gatehouse() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let folder = test
        .ancestors()
        .nth(2)
        .expect("tests lie in target/PROFILE/deps");
    let binary = folder.join("gatehouse");
    assert!(
        binary.exists(),
        "{} is missing: run `cargo build --bin gatehouse` first",
        binary.display()
    );
    binary
}

/// The Python that has the packages of the test clients.
pub fn python() -> PathBuf {
    installed(".tools/venv/bin/python")
}

/// A program of this machine, as a shell finds it; servers are named by whole paths only.
pub fn program(name: &str) -> PathBuf {
    let found = Command::new("sh")
        .args(["-c", "command -v \"$1\"", "sh", name])
        .output();
    let found = found.unwrap_or_else(|error| panic!("sh: {error}"));
    let path = String::from_utf8_lossy(&found.stdout).trim().to_owned();
    assert!(
        !path.is_empty(),
        "{name} is missing: run scripts/test-deps.sh first"
    );
    path.into()
}

/// What `scripts/test-deps.sh` puts into the repository.
pub fn installed(path: &str) -> PathBuf {
    // Not canonical: a venv's Python is a link, and is only a venv's while it is called by that name.
    let path = repository()
        .canonicalize()
        .expect("the repository is there")
        .join(path);
    assert!(
        path.exists(),
        "{} is missing: run scripts/test-deps.sh first",
        path.display()
    );
    path
}
