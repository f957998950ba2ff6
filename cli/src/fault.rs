//! What an operator is told when something does not work: what, where, why, and what mends it.
//!
//! For people it is drawn as UX asks (with the line of the user's own file); with `-o json` the same goes to
//! standard error as one document. Knows no transport; [`crate::link`] turns its errors into these.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::process::ExitCode;

use serde::Serialize;

use crate::show::{Meaning, Show};

/// One fault.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fault {
    /// `GH…`, kept for ever. Empty: a fault of usage, or one that speaks for itself.
    pub code: Cow<'static, str>,
    /// One sentence that is true without context.
    pub message: String,
    /// Whether the sentence is an answer in itself: people see it without `error` and code before it.
    pub spoken: bool,
    /// The place in the user's own file.
    pub place: Option<Box<Place>>,
    /// The cause, where it is not plain.
    pub why: Option<Box<str>>,
    /// One command or edit that mends it.
    pub fix: Option<Box<str>>,
    /// Whether the same command may work later.
    pub retryable: bool,
    /// What happened below, for `-v`.
    pub chain: Vec<String>,
}

/// A place in a file of the user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was given.
    pub file: String,
    /// Line from the top of the file, from 1. 0: the whole file.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Field path. Empty: none.
    pub path: String,
    /// The resource, as `Server everything`.
    pub resource: Option<String>,
    /// The line's text and how many characters of it are meant.
    pub excerpt: Option<(String, usize)>,
    /// What to say at the mark.
    pub label: Option<String>,
}

impl Fault {
    /// A fault with a code and a sentence.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code: Cow::Borrowed(code),
            message: message.into(),
            ..Self::default()
        }
    }

    /// The same, with its cause.
    #[must_use]
    pub fn why(mut self, why: impl Into<Box<str>>) -> Self {
        self.why = Some(why.into());
        self
    }

    /// The same, with what mends it.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<Box<str>>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// The same, as one that may pass by itself.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }

    /// The same, with the errors below it.
    #[must_use]
    pub fn because(mut self, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            self.chain.push(error.to_string());
            next = error.source();
        }
        self
    }

    fn draw(&self, show: &Show) -> String {
        let mut out = String::new();
        if self.code.is_empty() || self.spoken {
            out.push_str(&self.message);
        } else {
            let head = show.paint_err(Meaning::Act, &format!("error {}:", self.code));
            let _ = write!(out, "{head} {}", self.message);
        }
        if let Some(place) = &self.place {
            place.draw(&mut out, show);
        }
        for (name, text) in [("why", &self.why), ("fix", &self.fix)] {
            if let Some(text) = text {
                let _ = write!(out, "\n  {name}: {}", text.replace('\n', "\n       "));
            }
        }
        if show.is_verbose() {
            for cause in &self.chain {
                let _ = write!(out, "\n  below: {cause}");
            }
        }
        out
    }
}

impl Place {
    fn draw(&self, out: &mut String, show: &Show) {
        let number = if self.line == 0 {
            String::new()
        } else {
            self.line.to_string()
        };
        let gutter = " ".repeat(number.len().max(2));
        let _ = write!(
            out,
            "\n{gutter}┌ {}",
            show.paint_err(Meaning::Name, &self.spot())
        );
        if let Some(resource) = &self.resource {
            let _ = write!(out, "   ({resource})");
        }
        if let Some((text, length)) = &self.excerpt {
            let before = self.column.saturating_sub(1);
            let mark =
                "^".repeat((*length).clamp(1, text.chars().count().saturating_sub(before).max(1)));
            let mark = show.paint_err(Meaning::Act, &mark);
            let _ = write!(out, "\n{number:>2}│ {}", text.replace('\t', " "));
            let _ = write!(out, "\n{gutter}│ {}{mark}", " ".repeat(before));
            if let Some(label) = &self.label {
                let _ = write!(out, " {label}");
            }
        }
    }

    fn spot(&self) -> String {
        if self.line == 0 {
            self.file.clone()
        } else {
            format!("{}:{}:{}", self.file, self.line, self.column)
        }
    }
}

/// Why a command did not end well: all faults at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failure {
    /// Every fault that was found. Empty: all was said already.
    pub faults: Vec<Fault>,
    /// A last line: what stays, what was not done.
    pub summary: Option<String>,
    /// 1 refused or failed, 2 usage, 130 interrupted.
    pub exit: u8,
}

impl Failure {
    /// Many faults of one command.
    pub fn of(faults: Vec<Fault>, summary: Option<String>) -> Self {
        Self {
            faults,
            summary,
            exit: 1,
        }
    }

    /// The same, with more in its last line.
    #[must_use]
    pub fn and(mut self, more: &str) -> Self {
        self.summary = Some(match self.summary {
            Some(summary) => format!("{summary}; {more}"),
            None => more.to_owned(),
        });
        self
    }

    /// The command line itself is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        let fault = Fault {
            message: format!("error: {}", message.into()),
            ..Fault::default()
        };
        Self {
            faults: vec![fault],
            summary: None,
            exit: 2,
        }
    }

    /// Stopped by Ctrl-C, with what stays.
    pub fn interrupted(summary: Option<String>) -> Self {
        Self {
            faults: Vec::new(),
            summary,
            exit: 130,
        }
    }

    /// Failed, and all is said already.
    pub fn silent() -> Self {
        Self {
            faults: Vec::new(),
            summary: None,
            exit: 1,
        }
    }

    /// Writes all of it to standard error, and gives the exit code.
    pub fn tell(&self, show: &Show) -> ExitCode {
        if show.is_json() {
            if let Some(document) = self.document() {
                show.note(&document);
            }
        } else {
            let mut blocks: Vec<String> =
                self.faults.iter().map(|fault| fault.draw(show)).collect();
            blocks.extend(self.summary.clone());
            if !blocks.is_empty() {
                let apart = if self.faults.len() > 1 { "\n\n" } else { "\n" };
                show.note(&blocks.join(apart));
            }
        }
        ExitCode::from(self.exit)
    }

    /// The JSON document: `error` is the first fault, `errors` all of them where there are several.
    fn document(&self) -> Option<String> {
        #[derive(Serialize)]
        struct Document<'a> {
            error: View<'a>,
            #[serde(skip_serializing_if = "Vec::is_empty")]
            errors: Vec<View<'a>>,
        }
        let views = || self.faults.iter().map(View::of);
        let error = views().next()?;
        let errors = if self.faults.len() > 1 {
            views().collect()
        } else {
            Vec::new()
        };
        serde_json::to_string(&Document { error, errors }).ok()
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::of(vec![fault], None)
    }
}

/// A fault as programs read it.
#[derive(Serialize)]
struct View<'a> {
    code: &'a str,
    message: &'a str,
    r#where: Vec<Spot<'a>>,
    why: Option<&'a str>,
    fix: Option<&'a str>,
    retryable: bool,
}

/// A place as programs read it.
#[derive(Serialize)]
struct Spot<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    path: &'a str,
}

impl<'a> View<'a> {
    fn of(fault: &'a Fault) -> Self {
        Self {
            code: &fault.code,
            message: &fault.message,
            r#where: fault
                .place
                .iter()
                .map(|p| Spot {
                    file: &p.file,
                    line: p.line,
                    column: p.column,
                    path: &p.path,
                })
                .collect(),
            why: fault.why.as_deref(),
            fix: fault.fix.as_deref(),
            retryable: fault.retryable,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn sample() -> Fault {
        let mut fault =
            Fault::new("GH1001", "spec.limits.idel is not a field of Server").fix("write idle");
        fault.place = Some(Box::new(Place {
            file: "servers.yaml".to_owned(),
            line: 13,
            column: 27,
            path: "spec.limits.idel".to_owned(),
            resource: Some("Server everything".to_owned()),
            excerpt: Some(("  limits: {memory: 512Mi, idel: 15m}".to_owned(), 4)),
            label: Some("did you mean `idle`?".to_owned()),
        }));
        fault
    }

    #[test]
    fn a_fault_of_a_file_shows_the_line() {
        assert_eq!(
            sample().draw(&Show::plain()),
            "error GH1001: spec.limits.idel is not a field of Server\n\
             \x20 ┌ servers.yaml:13:27   (Server everything)\n\
             13│   limits: {memory: 512Mi, idel: 15m}\n\
             \x20 │                           ^^^^ did you mean `idle`?\n\
             \x20 fix: write idle"
        );
    }

    #[test]
    fn marks_stay_within_the_line() {
        let mut fault = sample();
        let place = fault.place.as_mut().unwrap();
        (place.excerpt, place.column) = (Some(("ab".to_owned(), 400)), 2);
        assert!(
            fault.draw(&Show::plain()).contains("│  ^ did"),
            "{}",
            fault.draw(&Show::plain())
        );
    }

    #[test]
    fn programs_get_the_same_in_one_document() {
        let failure = Failure::from(sample());
        let document: serde_json::Value =
            serde_json::from_str(&failure.document().unwrap()).unwrap();
        assert_eq!(
            document,
            serde_json::json!({"error": {
                "code": "GH1001",
                "message": "spec.limits.idel is not a field of Server",
                "where": [{"file": "servers.yaml", "line": 13, "column": 27, "path": "spec.limits.idel"}],
                "why": null, "fix": "write idle", "retryable": false,
            }})
        );
    }

    #[test]
    fn several_faults_are_all_in_the_document() {
        let failure = Failure::of(vec![sample(), Fault::new("GH1002", "x").retryable()], None);
        let document: serde_json::Value =
            serde_json::from_str(&failure.document().unwrap()).unwrap();
        assert_eq!(document["error"]["code"], "GH1001");
        assert_eq!(document["errors"][1]["retryable"], true);
    }
}
