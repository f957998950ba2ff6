//! Whether npx and uvx are there, and really answer.
//!
//! Runs each with `--version` and nothing else: nothing is fetched, no registry is asked.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::{Access, access};
use tokio::process::Command;

use super::report::Finding;
use super::table::{NPX, UVX};

/// How long an answer may take: a first start of Node.js on a cold disk takes seconds.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Servers that are named as those that need it.
const NAMES_MAX: usize = 3;

/// A program that runs servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    /// Of Node.js.
    Npx,
    /// Of uv.
    Uvx,
}

/// What came of asking for its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is nowhere.
    Missing,
    /// It is there and does not work.
    Broken {
        /// Where it lies.
        path: PathBuf,
        /// What it did.
        why: String,
    },
    /// It works.
    Version {
        /// Where it lies.
        path: PathBuf,
        /// What it says.
        version: String,
    },
}

impl Tool {
    /// Its name, and the id of its check.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Npx => NPX,
            Self::Uvx => UVX,
        }
    }

    const fn remedy(self) -> &'static str {
        match self {
            Self::Npx => "install Node.js 20 or later, which brings npx",
            Self::Uvx => "install uv, which brings uvx",
        }
    }

    /// Looks for it in these folders, in order, and asks it.
    pub(super) async fn ask(self, folders: &[PathBuf]) -> Answer {
        let runs = |path: &PathBuf| path.is_file() && access(path, Access::EXEC_OK).is_ok();
        let mut paths = folders.iter().map(|folder| folder.join(self.name()));
        let Some(path) = paths.find(runs) else {
            return Answer::Missing;
        };
        match version(&path).await {
            Ok(version) => Answer::Version { path, version },
            Err(why) => Answer::Broken { path, why },
        }
    }

    /// The finding, where `needed_by` are the servers that it runs. `None`: nobody knows who needs it.
    pub(super) fn finding(self, answer: &Answer, needed_by: &[String]) -> Finding {
        let id = self.name();
        match answer {
            Answer::Version { path, version } => {
                Finding::ok(id, format!("{version}, {}", path.display()))
            }
            Answer::Broken { path, why } => Finding::fail(
                id,
                format!("{} is there, and does not answer", path.display()),
            )
            .why(why.clone()),
            Answer::Missing if needed_by.is_empty() => Finding::warn(
                id,
                format!("is not installed: servers with `runtime: {id}` would not start"),
            )
            .fix(self.remedy()),
            Answer::Missing => {
                let mut names: Vec<&str> = needed_by
                    .iter()
                    .take(NAMES_MAX)
                    .map(String::as_str)
                    .collect();
                if needed_by.len() > NAMES_MAX {
                    names.push("...");
                }
                let names = names.join(", ");
                Finding::fail(id, format!("is not installed, and needed by {names}"))
                    .fix(self.remedy())
            }
        }
    }
}

impl Answer {
    /// Whether servers can be run with it.
    pub(super) const fn works(&self) -> bool {
        matches!(self, Self::Version { .. })
    }
}

async fn version(path: &Path) -> Result<String, String> {
    let asked = Command::new(path)
        .arg("--version")
        // npm would ask its registry now and then whether there is a newer one.
        .env("npm_config_update_notifier", "false")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(TIMEOUT, asked)
        .await
        .map_err(|_| {
            format!(
                "no answer to --version within {}",
                crate::when::span(TIMEOUT)
            )
        })?
        .map_err(|e| e.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout);
    let number = said
        .split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    match (output.status.success(), number) {
        (true, Some(number)) => Ok(number.to_owned()),
        (true, None) => Err("--version says no number".to_owned()),
        (false, _) => {
            let words = String::from_utf8_lossy(&output.stderr);
            let last = words.trim().lines().next_back().unwrap_or_default();
            Err(format!("{} {last}", output.status).trim().to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::os::unix::fs::PermissionsExt;

    use super::super::report::Verdict;
    use super::*;

    fn folder(script: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("npx");
        std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        dir
    }

    async fn ask(dir: &tempfile::TempDir) -> Answer {
        Tool::Npx.ask(&[dir.path().to_owned()]).await
    }

    #[tokio::test]
    async fn one_that_answers_shows_its_version() {
        let dir = folder("[ \"$1\" = --version ] && echo npx 10.9.2");
        let answer = ask(&dir).await;
        assert!(answer.works());
        let finding = Tool::Npx.finding(&answer, &[]);
        assert_eq!(finding.verdict, Verdict::Ok);
        assert!(finding.message.starts_with("10.9.2, "), "{finding:?}");
    }

    #[tokio::test]
    async fn one_that_is_there_and_broken_is_a_failure_with_its_words() {
        let dir = folder("echo 'node: not found' >&2; exit 127");
        let finding = Tool::Npx.finding(&ask(&dir).await, &[]);
        assert_eq!(finding.verdict, Verdict::Fail);
        assert!(finding.why.unwrap().contains("node: not found"));
        let silent = folder("exit 0");
        assert!(!ask(&silent).await.works());
    }

    #[tokio::test]
    async fn one_that_is_missing_fails_only_where_it_is_needed() {
        let dir = tempfile::tempdir().unwrap();
        let answer = ask(&dir).await;
        assert_eq!(answer, Answer::Missing);
        assert_eq!(Tool::Npx.finding(&answer, &[]).verdict, Verdict::Warn);
        let needed: Vec<String> = ["a", "b", "c", "d"].map(str::to_owned).into();
        let finding = Tool::Npx.finding(&answer, &needed);
        assert_eq!(finding.verdict, Verdict::Fail);
        assert!(finding.message.ends_with("a, b, c, ..."), "{finding:?}");
    }
}
