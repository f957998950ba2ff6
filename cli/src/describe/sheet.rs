//! A sheet about one thing: a head, problems, sections; drawn for people, or as one document.

use model::yaml;
use proto::v1::{Call, ListNodesResponse, Metadata, Resource};
use serde_json::{Map, Value, json};

use crate::audit::row;
use crate::check::report::{Finding, Verdict};
use crate::rollout;
use crate::show::{Meaning, Show, Table};
use crate::when;

/// In place of a check's id: it was seen in what is configured, not by a check.
pub(super) const CONFIGURED: &str = "";

/// What is known of one thing.
#[derive(Debug)]
pub(super) struct Sheet {
    head: String,
    problems: Vec<Finding>,
    sections: Vec<Section>,
    document: Map<String, Value>,
}

#[derive(Debug)]
struct Section {
    title: &'static str,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Lines(Vec<String>),
    /// With what to say where it has no row.
    Table(Table, &'static str),
}

impl Sheet {
    /// An empty sheet.
    pub(super) fn new(kind: &str, name: &str, head: String) -> Self {
        let mut document = Map::new();
        document.insert("kind".to_owned(), json!(kind));
        document.insert("name".to_owned(), json!(name));
        Self {
            head,
            problems: Vec::new(),
            sections: Vec::new(),
            document,
        }
    }

    /// A sheet of a resource: what it is, and on how many nodes it is in force.
    pub(super) fn of_resource(
        resource: &Resource,
        kind: &str,
        meta: &Metadata,
        nodes: &ListNodesResponse,
    ) -> Self {
        let concerned = rollout::concerned(&nodes.nodes, kind, &meta.name);
        let current = concerned
            .iter()
            .filter(|node| node.revision >= meta.revision)
            .count();
        let live = concerned.len();
        let head = format!(
            "{kind} {}   revision {}, changed {} ago, in force on {current} of {live} live nodes",
            meta.name,
            meta.revision,
            when::age_of_text(&meta.changed),
        );
        let mut sheet = Self::new(kind, &meta.name, head);
        let lines = yaml::to_yaml(resource).lines().map(str::to_owned).collect();
        sheet.section("object", Body::Lines(lines));
        sheet.set("resource", yaml::to_json(resource));
        sheet.set(
            "in_force",
            json!({"revision": meta.revision, "current": current, "live": live}),
        );
        sheet
    }

    /// What is wrong. What is good is none of it; a way out that leads here again is none.
    pub(super) fn problems(&mut self, found: impl IntoIterator<Item = Finding>) {
        let wrong = |finding: &Finding| matches!(finding.verdict, Verdict::Warn | Verdict::Fail);
        let found = found.into_iter().filter(wrong).map(|mut finding| {
            let here = |fix: &String| fix.starts_with("gatehouse describe ");
            finding.fix = finding.fix.filter(|fix| !here(fix));
            finding
        });
        self.problems.extend(found);
    }

    /// A section of lines; none where there is no line.
    pub(super) fn lines(&mut self, title: &'static str, lines: Vec<String>) {
        if !lines.is_empty() {
            self.section(title, Body::Lines(lines));
        }
    }

    /// A section with a table.
    pub(super) fn table(&mut self, title: &'static str, table: Table, if_empty: &'static str) {
        self.section(title, Body::Table(table, if_empty));
    }

    /// The last calls, or that they cannot be had.
    pub(super) fn calls(
        &mut self,
        title: &'static str,
        calls: Option<&[Call]>,
        if_empty: &'static str,
    ) {
        match calls {
            Some(calls) => self.table(title, row::table(calls, false), if_empty),
            None => self.lines(title, vec!["the audit store does not answer".to_owned()]),
        }
        let views: Option<Vec<_>> = calls.map(|calls| calls.iter().map(row::View::of).collect());
        self.set("calls", json!(views));
    }

    /// A member of the document.
    pub(super) fn set(&mut self, name: &str, value: Value) {
        self.document.insert(name.to_owned(), value);
    }

    fn section(&mut self, title: &'static str, body: Body) {
        self.sections.push(Section { title, body });
    }

    /// Writes it.
    pub(super) fn show(mut self, show: &Show) {
        if show.is_json() {
            let problems: Vec<_> = self.problems.iter().map(problem).collect();
            self.set("problems", json!(problems));
            show.json(&self.document);
            return;
        }
        for line in self.drawn(show) {
            show.line(&line);
        }
    }

    fn drawn(&self, show: &Show) -> Vec<String> {
        let mut lines = vec![show.paint(Meaning::Name, &self.head), String::new()];
        if self.problems.is_empty() {
            lines.push("problems   none".to_owned());
        } else {
            lines.push("problems".to_owned());
            lines.extend(
                self.problems
                    .iter()
                    .flat_map(|finding| problem_lines(show, finding)),
            );
        }
        for Section { title, body } in &self.sections {
            lines.push(String::new());
            match body {
                Body::Lines(text) => {
                    lines.push((*title).to_owned());
                    lines.extend(text.iter().map(|line| format!("  {line}")));
                }
                Body::Table(table, if_empty) if table.is_empty() => {
                    lines.push(format!("{title}   {if_empty}"));
                }
                Body::Table(table, _) => {
                    lines.push((*title).to_owned());
                    lines.extend(show.drawn(table).lines().map(|line| format!("  {line}")));
                }
            }
        }
        lines
    }
}

fn problem(finding: &Finding) -> Value {
    let check = Some(finding.id).filter(|id| *id != CONFIGURED);
    json!({
        "check": check, "verdict": finding.verdict.as_str(), "message": sentence(finding),
        "why": finding.why, "fix": finding.fix,
    })
}

fn sentence(finding: &Finding) -> String {
    match &finding.subject {
        Some(subject) => format!("{subject}: {}", finding.message),
        None => finding.message.clone(),
    }
}

fn problem_lines(show: &Show, finding: &Finding) -> Vec<String> {
    let meaning = if finding.verdict == Verdict::Fail {
        Meaning::Act
    } else {
        Meaning::Look
    };
    let verdict = show.paint(meaning, &format!("{:4}", finding.verdict.as_str()));
    let mut lines = vec![format!("  {verdict}  {}", sentence(finding))];
    for (name, text) in [("why", &finding.why), ("fix", &finding.fix)] {
        for (n, line) in text.iter().flat_map(|text| text.lines()).enumerate() {
            let head = if n == 0 { name } else { "   " };
            let colon = if n == 0 { ":" } else { " " };
            lines.push(format!("        {head}{colon} {line}"));
        }
    }
    let tame = |line: String| line.chars().map(tame).collect();
    lines.into_iter().map(tame).collect()
}

/// What comes from elsewhere moves no cursor; colour of ours may.
fn tame(c: char) -> char {
    if c.is_control() && c != '\u{1b}' {
        ' '
    } else {
        c
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::table::{NODES_CURRENT, SERVER_STARTED};

    #[test]
    fn what_is_wrong_stands_first_and_leads_elsewhere() {
        let mut sheet = Sheet::new("Server", "time", "Server time".to_owned());
        sheet.problems([
            Finding::ok(NODES_CURRENT, "all at revision 3"),
            Finding::fail(SERVER_STARTED, "failed: no such package")
                .about("time")
                .why("one\ntwo")
                .fix("gatehouse describe Server time"),
        ]);
        sheet.table("filters", Table::new(&["NAME"]), "none");
        assert_eq!(
            sheet.drawn(&Show::plain()).join("\n"),
            "Server time\n\nproblems\n  fail  time: failed: no such package\n        why: one\n             two\n\n\
             filters   none"
        );
    }

    #[test]
    fn nothing_wrong_is_said_too() {
        let sheet = Sheet::new("node", "edge-1", "node edge-1".to_owned());
        assert_eq!(sheet.drawn(&Show::plain())[2], "problems   none");
    }
}
