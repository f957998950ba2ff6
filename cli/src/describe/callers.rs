//! Who may use a server, and by which rules: asked of the engine, subject by subject.
//!
//! A caller of two groups gets what both get, unless one is denied: for one caller and one tool there is
//! `gatehouse explain`.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::Engine;
use model::access::{AccessRule, Effect, Subject, Subjects};
use model::name::ServerName;
use model::principal::Principal;
use model::snapshot::Snapshot;
use serde::Serialize;

use crate::show::{Meaning, Table};

/// Most subjects that are shown.
const SUBJECTS_MAX: usize = 50;

/// A subject of some rule, and what the rules say of it together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Who {
    /// `group engineering`, `user ana and client cursor`, `everyone`.
    pub(super) who: String,
    /// Whether the server exists for it.
    pub(super) may_use: bool,
    /// The rules that are about it on this server.
    pub(super) rules: Vec<By>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct By {
    pub(super) name: String,
    pub(super) effect: &'static str,
    /// What it is about: `everything`, `tools:get-*`.
    pub(super) targets: String,
}

/// All subjects that rules about `server` name, each with what the engine says of it. `targets` writes what a rule is
/// about.
pub(super) fn of(
    engine: &Engine,
    server: &ServerName,
    targets: impl Fn(&AccessRule) -> String,
) -> Vec<Who> {
    let snapshot = engine.snapshot();
    let labels = snapshot.servers.get(server).map(|s| s.labels.clone());
    let labels = labels.unwrap_or_default();
    let selects =
        |rule: &&Arc<AccessRule>| rule.is_enforced() && rule.selects(server.as_str(), &labels);
    let rules: Vec<&Arc<AccessRule>> = snapshot.rules.values().filter(selects).collect();
    let mut subjects = BTreeMap::new();
    for rule in &rules {
        match &rule.subjects {
            Subjects::Everyone => {
                subjects.insert("everyone".to_owned(), principal(None));
            }
            Subjects::Any(named) => {
                let named = named.iter();
                subjects
                    .extend(named.map(|subject| (subject.to_string(), principal(Some(subject)))));
            }
        }
    }
    // A user is in groups by membership, too.
    for principal in subjects.values_mut() {
        *principal = engine.with_groups(principal);
    }
    let single: Vec<(&Arc<AccessRule>, Option<Engine>)> = rules
        .iter()
        .map(|rule| (*rule, alone(snapshot, rule)))
        .collect();
    let about = |principal: &Principal| -> Vec<By> {
        let is_about = |engine: &Option<Engine>| {
            engine
                .as_ref()
                .is_some_and(|e| e.may_use(principal, server))
        };
        let rules = single.iter().filter(|(_, engine)| is_about(engine));
        let by = rules.map(|(rule, _)| By {
            name: rule.name.to_string(),
            effect: rule.effect.as_str(),
            targets: targets(rule),
        });
        by.collect()
    };
    subjects
        .into_iter()
        .map(|(who, principal)| Who {
            who,
            may_use: engine.may_use(&principal, server),
            rules: about(&principal),
        })
        .collect()
}

/// An engine of one rule that allows: so that the engine itself says whether the rule is about a caller.
fn alone(all: &Snapshot, rule: &AccessRule) -> Option<Engine> {
    let rule = AccessRule {
        effect: Effect::Allow,
        ..rule.clone()
    };
    let snapshot = Snapshot {
        // Labels are theirs.
        servers: all.servers.clone(),
        rules: [(rule.name.clone(), Arc::new(rule))].into(),
        ..Snapshot::default()
    };
    Engine::compile(Arc::new(snapshot)).ok()
}

/// A caller who is exactly what a subject says.
fn principal(subject: Option<&Subject>) -> Arc<Principal> {
    let user = subject.and_then(|s| s.user.as_deref()).unwrap_or_default();
    let groups: Vec<&str> = subject
        .and_then(|s| s.group.as_deref())
        .into_iter()
        .collect();
    let client = subject.and_then(|s| s.client.as_deref());
    Principal::new(user, &groups, client, "describe").into()
}

/// The same for people.
pub(super) fn table(callers: &[Who]) -> Table {
    let mut table = Table::new(&["WHO", "MAY USE IT", "BY"]);
    for caller in callers.iter().take(SUBJECTS_MAX) {
        let by: Vec<String> = caller.rules.iter().map(By::words).collect();
        let may = if caller.may_use {
            ("yes".to_owned(), Meaning::Good)
        } else {
            ("no".to_owned(), Meaning::Act)
        };
        table.cells(vec![
            (caller.who.clone(), Meaning::Plain),
            may,
            (by.join("; "), Meaning::Plain),
        ]);
    }
    if callers.len() > SUBJECTS_MAX {
        let more = format!("{} more: -o json", callers.len() - SUBJECTS_MAX);
        table.row([more, String::new(), String::new()]);
    }
    table
}

impl By {
    fn words(&self) -> String {
        let Self {
            name,
            effect,
            targets,
        } = self;
        if *effect == "deny" {
            format!("{name} (denies {targets})")
        } else {
            format!("{name} ({targets})")
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::source::Sources;
    use crate::validate;

    const FILES: &str = r#"
apiVersion: gatehouse.dev/v1
kind: Server
metadata: {name: slow}
spec: {runtime: {npx: {package: "x", version: "1.0.0"}}}
---
apiVersion: gatehouse.dev/v1
kind: AccessRule
metadata: {name: engineers}
spec: {effect: allow, subjects: [{group: engineering}, {user: ana, client: cursor}], servers: ["*"]}
---
apiVersion: gatehouse.dev/v1
kind: AccessRule
metadata: {name: no-counting}
spec: {effect: deny, subjects: [{group: engineering}], servers: [slow], tools: [cancelled]}
---
apiVersion: gatehouse.dev/v1
kind: AccessRule
metadata: {name: no-contractors}
spec: {effect: deny, subjects: [{group: contractors}], servers: ["s*"]}
---
apiVersion: gatehouse.dev/v1
kind: AccessRule
metadata: {name: elsewhere}
spec: {effect: allow, everyone: true, servers: ["docs-*"]}
"#;

    #[test]
    fn each_subject_is_told_what_all_rules_say_of_it() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("all.yaml"), FILES).unwrap();
        let sources = Sources::read(&[dir.path().to_owned()]).unwrap();
        let engine = Engine::compile(validate::snapshot(&sources).unwrap().into()).unwrap();
        let server = ServerName::new("slow").unwrap();
        let callers = of(&engine, &server, |_| "t".to_owned());
        let shown: Vec<_> = callers
            .iter()
            .map(|c| {
                let by: Vec<_> = c.rules.iter().map(By::words).collect();
                (c.who.as_str(), c.may_use, by.join("; "))
            })
            .collect();
        let row = |who, may, by: &str| (who, may, by.to_owned());
        assert_eq!(
            shown,
            [
                row("group contractors", false, "no-contractors (denies t)"),
                row(
                    "group engineering",
                    true,
                    "engineers (t); no-counting (denies t)"
                ),
                row("user ana and client cursor", true, "engineers (t)"),
            ]
        );
        assert!(table(&callers).is_even());
    }
}
