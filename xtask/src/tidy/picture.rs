//! Who may depend on whom. A crate's reason to exist is what it must not see, so the picture is a table
//! here, and an arrow that is not in it is a fault: change the table first, with a reason.

use super::Report;
use super::source::Source;
use super::workspace::Crate;

/// What each crate may use of ours. Arrows run downwards only; [`ANYTHING`] is for what nothing depends on.
const PICTURE: &[(&str, &str)] = &[
    ("proto", ""),
    ("mcp", ""),
    ("model", "proto"),
    ("engine", "model mcp"),
    // proto: audit records and certificates of nodes go over the wire contract.
    ("runtime", "model proto"),
    ("dataplane", "engine mcp model runtime proto"),
    ("edge", "dataplane engine mcp model runtime proto"),
    ("sidecar", "dataplane engine mcp model runtime proto"),
    ("control-plane", "engine model runtime proto"),
    // The services for their `run`; mcp for the built-in client, runtime for the frame of `up`.
    (
        "cli",
        "control-plane edge sidecar engine mcp model runtime proto",
    ),
    ("tests", ANYTHING),
    // mcp, to read messages as cheaply as what is measured does. dataplane, proto and runtime, as a hundred nodes are a
    // hundred times the code of a node. Otherwise the instrument knows Gatehouse by its face, and whoever decides or
    // stores is not its business. Only `tests` may depend on it.
    ("loadtest", "dataplane mcp proto runtime"),
    // Makes the reference from these two, and looks at the rest as files, so that it runs where the rest does
    // not compile.
    ("xtask", "model proto"),
];
const ANYTHING: &str = "*";

/// Crates that decide and translate, and touch nothing: no runtime, no socket, no system call.
const PURE: &[&str] = &["proto", "mcp", "model", "engine"];

/// What a pure crate must not depend on. (Not `tonic`: the generated code of `proto` is made of it.)
const IMPURE: &str = "tokio tokio-util tokio-stream tokio-rustls hyper hyper-util rustls rustix socket2 mio \
                      tracing-subscriber opentelemetry redb rusqlite etcd-client clap";

/// Reports every arrow that the picture does not have.
pub(crate) fn check(crates: &[Crate], report: &mut Report) {
    let ours = |name: &str| crates.iter().any(|each| each.name == name);
    for each in crates {
        let Some((_, allowed)) = PICTURE.iter().find(|(name, _)| *name == each.name) else {
            let fault = format!(
                "{}: not in the picture of xtask/src/tidy/picture.rs",
                each.folder
            );
            report.faults.push(fault);
            continue;
        };
        for dependency in &each.dependencies {
            if ours(dependency) && *allowed != ANYTHING && !has(allowed, dependency) {
                report.faults.push(format!(
                    "{}: must not depend on `{dependency}` (may: {allowed})",
                    each.folder
                ));
            }
            if PURE.contains(&each.name.as_str()) && has(IMPURE, dependency) {
                report.faults.push(format!(
                    "{}: is pure and must not depend on `{dependency}`",
                    each.folder
                ));
            }
        }
    }
}

fn has(words: &str, word: &str) -> bool {
    words.split(' ').any(|each| each == word)
}

/// Notes dependencies whose name stands nowhere in the crate's own code. A note, as a crate may be
/// needed for its features alone; generated code is not seen, so `proto` is left out.
pub(crate) fn note_unused(each: &Crate, sources: &[Source], report: &mut Report) {
    if each.name == "proto" {
        return;
    }
    let used = |name: &str| sources.iter().any(|source| source.names(name));
    let unused: Vec<&str> = (each.dependencies.iter())
        .filter(|dependency| !used(&dependency.replace('-', "_")))
        .map(String::as_str)
        .collect();
    if !unused.is_empty() {
        let note = format!("{}: seems unused: {}", each.folder, unused.join(", "));
        report.notes.push(note);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(list: &[(&str, &[&str])]) -> Vec<String> {
        let crates: Vec<Crate> = list
            .iter()
            .map(|(name, dependencies)| Crate {
                name: (*name).to_owned(),
                folder: (*name).to_owned(),
                dependencies: dependencies.iter().map(|&each| each.to_owned()).collect(),
            })
            .collect();
        let mut report = Report::default();
        check(&crates, &mut report);
        report.faults
    }

    #[test]
    fn arrows_of_the_picture_pass() {
        assert!(
            faults(&[
                ("proto", &[]),
                ("model", &["proto", "serde"]),
                ("tests", &["model", "tokio"])
            ])
            .is_empty()
        );
    }

    #[test]
    fn an_arrow_that_runs_up_is_a_fault() {
        let faults = faults(&[("edge", &["sidecar"]), ("sidecar", &[])]);
        assert_eq!(faults.len(), 1);
        assert!(
            faults[0].starts_with("edge: must not depend on `sidecar`"),
            "{faults:?}"
        );
    }

    #[test]
    fn the_instrument_is_for_tests_alone() {
        let loadtest = ("loadtest", &["mcp"][..]);
        let mcp = ("mcp", &[][..]);
        assert!(faults(&[loadtest, mcp, ("tests", &["loadtest"])]).is_empty());
        assert_eq!(faults(&[loadtest, mcp, ("cli", &["loadtest"])]).len(), 1);
        assert_eq!(faults(&[("loadtest", &["model"]), ("model", &[])]).len(), 1);
    }

    #[test]
    fn a_pure_crate_with_a_runtime_is_a_fault() {
        assert_eq!(
            faults(&[("engine", &["tokio"])]),
            ["engine: is pure and must not depend on `tokio`"]
        );
    }

    #[test]
    fn a_crate_that_nobody_drew_is_a_fault() {
        assert_eq!(faults(&[("utils", &[])]).len(), 1);
    }
}
