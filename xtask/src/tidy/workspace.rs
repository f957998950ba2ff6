//! The workspace as `cargo metadata` shows it: crates, where they lie, what they depend on directly.
//! Judges nothing.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// One crate of the workspace.
#[derive(Debug)]
pub(crate) struct Crate {
    /// Its name, as in `Cargo.toml`.
    pub(crate) name: String,
    /// Its folder, relative to the root.
    pub(crate) folder: String,
    /// What it depends on directly when it runs or is built; not what only its tests need.
    pub(crate) dependencies: Vec<String>,
}

/// Reads the crates of the workspace at `root`, without the network.
pub(crate) fn load(root: &Path) -> Result<Vec<Crate>> {
    let output = Command::new("cargo")
        .args([
            "metadata",
            "--offline",
            "--no-deps",
            "--format-version",
            "1",
        ])
        .current_dir(root)
        .output()
        .context("cargo metadata does not start")?;
    ensure!(
        output.status.success(),
        "cargo metadata failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    parse(&output.stdout, root)
}

fn parse(json: &[u8], root: &Path) -> Result<Vec<Crate>> {
    let metadata: Value = serde_json::from_slice(json).context("cargo metadata is not JSON")?;
    list(&metadata, "packages")?
        .iter()
        .map(|package| {
            let manifest = Path::new(text(package, "manifest_path")?);
            let folder = manifest
                .parent()
                .and_then(|folder| folder.strip_prefix(root).ok())
                .context("a crate lies outside the workspace")?;
            let dependencies = list(package, "dependencies")?
                .iter()
                .filter(|dependency| dependency["kind"] != "dev")
                .map(|dependency| Ok(text(dependency, "name")?.to_owned()))
                .collect::<Result<_>>()?;
            Ok(Crate {
                name: text(package, "name")?.to_owned(),
                folder: folder.to_string_lossy().into_owned(),
                dependencies,
            })
        })
        .collect()
}

fn list<'a>(value: &'a Value, key: &str) -> Result<&'a [Value]> {
    let list = value[key].as_array();
    Ok(list.with_context(|| format!("cargo metadata has no list `{key}`"))?)
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    let text = value[key].as_str();
    text.with_context(|| format!("cargo metadata has no text `{key}`"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on should end")]

    use super::*;

    #[test]
    fn test_dependencies_are_left_out() {
        let json =
            br#"{"packages": [{"name": "engine", "manifest_path": "/r/crates/engine/Cargo.toml",
            "dependencies": [{"name": "model", "kind": null}, {"name": "cc", "kind": "build"},
                             {"name": "proptest", "kind": "dev"}]}]}"#;
        let crates = parse(json, Path::new("/r")).unwrap();
        assert_eq!(crates[0].folder, "crates/engine");
        assert_eq!(crates[0].dependencies, ["model", "cc"]);
    }

    #[test]
    fn a_crate_outside_is_an_error() {
        let json = br#"{"packages": [{"name": "x", "manifest_path": "/else/Cargo.toml", "dependencies": []}]}"#;
        assert!(parse(json, Path::new("/r")).is_err());
    }
}
