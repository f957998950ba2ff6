//! The page of one kind: its examples, and a table for each mapping in it.

use std::fmt::Write;

use anyhow::{Context, Result, bail};
use model::yaml::{self, FieldDoc};
use serde_json::{Value, json};

use super::cell;
use super::contract::{Contract, Message, Word};
use super::probe::{Need, Probe, Step, path};

/// Examples of each kind: shown, and the ground for what is said about fields.
const EXAMPLES: &[(&str, &str)] = &[
    (model::wire::SERVER, include_str!("examples/Server.yaml")),
    (
        model::wire::VIRTUAL_SERVER,
        include_str!("examples/VirtualServer.yaml"),
    ),
    (
        model::wire::ACCESS_RULE,
        include_str!("examples/AccessRule.yaml"),
    ),
    (model::wire::FILTER, include_str!("examples/Filter.yaml")),
    (model::wire::LIMIT, include_str!("examples/Limit.yaml")),
    (model::wire::SECRET, include_str!("examples/Secret.yaml")),
    (model::wire::GROUP, include_str!("examples/Group.yaml")),
];

/// Words of fields that are plain text in the contract.
const WORDS: &[(&str, &[&str])] = &[
    ("spec.config[].from", &["admin", "user", "secret"]),
    ("spec.config[].as", &["env", "file", "header", "url"]),
];

/// Stands before what is part of the format and refused by this version.
const LATER: &str = "*Not in this version (GH2002).*";

/// Everything about a kind.
#[derive(Debug)]
pub(super) struct Reference {
    /// `AccessRule`.
    pub(super) kind: &'static str,
    /// What it is, in a sentence or two.
    pub(super) intro: String,
    examples: &'static str,
    tables: Vec<Table>,
}

/// The fields of one mapping.
#[derive(Debug)]
struct Table {
    path: String,
    intro: String,
    rows: Vec<Row>,
}

/// One field.
#[derive(Debug)]
pub(super) struct Row {
    /// From the kind on, as users name it: `Server.spec.config.key`.
    pub(super) path: String,
    pub(super) name: &'static str,
    /// Its type in words.
    pub(super) shape: &'static str,
    /// The words that it takes, each with whether this version accepts it. Empty: it takes others.
    pub(super) words: Vec<(Word, bool)>,
    pub(super) absent: Absent,
    pub(super) doc: &'static str,
    pub(super) supported: bool,
    /// Its value in an example.
    pub(super) example: Option<Value>,
}

/// What it means to leave a field out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Absent {
    /// It is refused.
    Required,
    /// `one of subjects, everyone`.
    OneOf(String),
    /// The same as this.
    Default(String),
    /// Nothing that can be said in a word.
    Nothing,
}

impl Reference {
    /// Finds out everything about a kind.
    ///
    /// # Errors
    /// Where something about it cannot be known: no example, or a field that examples do not show and that is not
    /// refused as unsupported.
    pub(super) fn read(kind: &'static str, contract: &Contract) -> Result<Self> {
        let examples = EXAMPLES.iter().find(|(name, _)| *name == kind);
        let (_, examples) = examples.with_context(|| format!("{kind} has no examples"))?;
        let message = contract.message(&format!("{kind}Spec"));
        let message = message.with_context(|| format!("{kind} is not in the contract"))?;
        let mut reader = Reader {
            kind,
            contract,
            probe: Probe::new(kind, examples)?,
            tables: Vec::new(),
        };
        for (part, message) in [
            ("metadata", contract.message("Metadata")),
            ("spec", Some(message)),
        ] {
            let steps = vec![Step {
                field: part,
                list: false,
            }];
            reader.table(&format!("{kind}.{part}"), steps, message)?;
        }
        Ok(Self {
            kind,
            intro: message.comment.clone(),
            examples,
            tables: reader.tables,
        })
    }

    /// Every field, each before those in it.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.tables.iter().flat_map(|table| &table.rows)
    }

    /// The page, without its head.
    pub(super) fn page(&self) -> String {
        let mut out = format!(
            "# {}\n\n{}\n\n```yaml\n{}```\n",
            self.kind, self.intro, self.examples
        );
        // What is refused as a whole is said once, where its name stands.
        for table in &self.tables {
            if table.rows.iter().any(|row| row.supported) {
                table.write(&mut out);
            }
        }
        out
    }
}

impl Table {
    fn write(&self, out: &mut String) {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "\n## `{}`\n", self.path);
        if !self.intro.is_empty() {
            let _ = writeln!(out, "{}\n", self.intro);
        }
        let _ = writeln!(
            out,
            "| field | type | default | meaning |\n|---|---|---|---|"
        );
        for row in &self.rows {
            let later = if row.supported {
                String::new()
            } else {
                format!("{LATER} ")
            };
            let _ = writeln!(
                out,
                "| `{}` | {} | {} | {later}{} |",
                row.name,
                cell(&shape(row)),
                cell(&default(&row.absent)),
                cell(&meaning(row))
            );
        }
    }
}

/// Goes through a kind's mappings.
#[derive(Debug)]
struct Reader<'c> {
    kind: &'static str,
    contract: &'c Contract,
    probe: Probe,
    tables: Vec<Table>,
}

impl Reader<'_> {
    /// Reads the mapping at `steps`, described at `described`, then those in it. Whether any field is supported.
    fn table(
        &mut self,
        described: &str,
        steps: Vec<Step>,
        message: Option<&Message>,
    ) -> Result<bool> {
        let fields =
            yaml::describe(described).with_context(|| format!("{described} is not described"))?;
        let at = self.tables.len();
        self.tables.push(Table {
            path: path(&steps),
            intro: self.intro(&steps, message),
            rows: Vec::new(),
        });
        let mut any = false;
        for field in fields {
            let row = self.row(described, &steps, message, &field)?;
            any |= row.supported;
            self.tables[at].rows.push(row);
        }
        Ok(any)
    }

    /// The message's comment, where the page's own head does not say the same.
    fn intro(&self, steps: &[Step], message: Option<&Message>) -> String {
        let is_spec = steps.len() == 1 && steps[0].field == "spec";
        let comment = message
            .filter(|_| !is_spec)
            .map(|message| message.comment.clone());
        comment.unwrap_or_default()
    }

    fn row(
        &mut self,
        described: &str,
        steps: &[Step],
        message: Option<&Message>,
        field: &FieldDoc,
    ) -> Result<Row> {
        let below = format!("{described}.{}", field.name);
        let has_fields = yaml::describe(&below).is_some_and(|fields| !fields.is_empty());
        let list = has_fields && field.shape.starts_with("a list");
        let mut steps = steps.to_vec();
        steps.push(Step {
            field: field.name,
            list,
        });
        let words = self.words(&steps, message, field)?;
        let supported = if has_fields {
            let inner = message.and_then(|message| self.contract.within(message, field.name));
            let inner_supported = self.table(&below, steps.clone(), inner)?;
            inner_supported || self.probe.has(&steps)
        } else {
            self.is_supported(&steps, field, &words)?
        };
        let absent = if supported {
            self.absent(&steps, message, field)
        } else {
            Absent::Nothing
        };
        Ok(Row {
            path: below,
            name: field.name,
            shape: field.shape,
            words,
            absent,
            doc: field.doc,
            supported,
            example: self.probe.example(&steps),
        })
    }

    fn is_supported(
        &self,
        steps: &[Step],
        field: &FieldDoc,
        words: &[(Word, bool)],
    ) -> Result<bool> {
        if !words.is_empty() {
            return Ok(words.iter().any(|(_, accepted)| *accepted));
        }
        if self.probe.has(steps) || is_shown_only(steps) {
            return Ok(true);
        }
        let sample = sample(field.shape)?;
        self.probe
            .accepts(steps, &sample)
            .with_context(|| self.kind)
    }

    /// The words that a field takes, each with whether this version accepts it.
    fn words(
        &self,
        steps: &[Step],
        message: Option<&Message>,
        field: &FieldDoc,
    ) -> Result<Vec<(Word, bool)>> {
        let contract = message.and_then(|message| self.contract.words(message, field.name));
        let here = path(steps);
        let plain = WORDS
            .iter()
            .find(|(path, _)| self.kind == model::wire::SERVER && *path == here);
        let words: Vec<Word> = match (contract, plain) {
            (Some(words), _) => words.iter().skip(1).cloned().collect(),
            (None, Some((_, words))) => words.iter().map(|word| Word::bare(word)).collect(),
            (None, None) => return Ok(Vec::new()),
        };
        let ask = |word: Word| {
            let accepted = self
                .probe
                .accepts(steps, &json!(word.word))
                .with_context(|| self.kind)?;
            Ok((word, accepted))
        };
        words.into_iter().map(ask).collect()
    }

    fn absent(&self, steps: &[Step], message: Option<&Message>, field: &FieldDoc) -> Absent {
        match self.probe.need(steps) {
            Need::Required => return Absent::Required,
            Need::OneOf(which) => return Absent::OneOf(which),
            Need::Optional => {}
        }
        let words = message.and_then(|message| self.contract.words(message, field.name));
        let same = words.and_then(|words| words.first()?.comment.strip_prefix("Same as "));
        if let Some(word) = same {
            return Absent::Default(word.trim_end_matches('.').to_owned());
        }
        if message.is_some_and(|message| self.contract.is_optional(message, field.name)) {
            return Absent::Nothing;
        }
        let default = default_in(field.doc).or(match field.shape {
            "true or false" => Some("false"),
            "a whole number" if !is_shown_only(steps) => Some("0"),
            _ => None,
        });
        default.map_or(Absent::Nothing, |default| {
            Absent::Default(default.to_owned())
        })
    }
}

/// Fields that the control plane sets and shows.
fn is_shown_only(steps: &[Step]) -> bool {
    matches!(steps, [first, second] if first.field == "metadata"
        && ["revision", "created", "changed"].contains(&second.field))
}

/// The default that a meaning names at its end: `… Default 60s.`
fn default_in(doc: &str) -> Option<&str> {
    let (_, default) = doc.rsplit_once("Default ")?;
    // What the default means may follow it.
    let end = default
        .find([';', ','])
        .or_else(|| default.strip_suffix('.').map(str::len))?;
    Some(&default[..end])
}

fn default(absent: &Absent) -> String {
    match absent {
        Absent::Required => "**required**".to_owned(),
        Absent::OneOf(which) => which.clone(),
        Absent::Default(value) => format!("`{value}`"),
        Absent::Nothing => String::new(),
    }
}

fn shape(row: &Row) -> String {
    if row.words.is_empty() {
        return row.shape.to_owned();
    }
    let words = row.words.iter();
    let quoted: Vec<String> = words.map(|(word, _)| format!("`{}`", word.word)).collect();
    quoted.join(", ")
}

fn meaning(row: &Row) -> String {
    let mut out = row.doc.to_owned();
    let any = row.words.iter().any(|(_, accepted)| *accepted);
    for (word, accepted) in &row.words {
        let later = if any && !accepted { LATER } else { "" };
        if later.is_empty() && word.comment.is_empty() {
            continue;
        }
        let text = [later, word.comment.as_str()].join(" ");
        out.push_str(&format!("<br>`{}`: {}", word.word, text.trim()));
    }
    out
}

impl Word {
    fn bare(word: &str) -> Self {
        Self {
            word: word.to_owned(),
            comment: String::new(),
        }
    }
}

/// Some value of a type, by its name in words.
fn sample(shape: &str) -> Result<Value> {
    Ok(match shape {
        "text" => json!("x"),
        "true or false" => json!(true),
        "a whole number" => json!(1),
        "a list of text" => json!(["x"]),
        "a mapping of text to text" => json!({"x": "x"}),
        "a mapping" => json!({}),
        "a list of mappings" => json!([{}]),
        _ if shape.starts_with("a duration") => json!("1s"),
        _ if shape.starts_with("a size") => json!("1Mi"),
        _ if shape.starts_with("a number of processors") => json!("0.5"),
        _ => bail!("no sample of {shape}"),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on should end")]

    use super::*;

    fn page(kind: &'static str) -> String {
        let contract = Contract::load(proto::DESCRIPTOR).unwrap();
        Reference::read(kind, &contract).unwrap().page()
    }

    fn row<'p>(page: &'p str, table: &str, field: &str) -> &'p str {
        let from = page.find(&format!("## `{table}`\n")).unwrap();
        let start = format!("| `{field}` |");
        page[from..]
            .lines()
            .find(|line| line.starts_with(&start))
            .unwrap()
    }

    #[test]
    fn what_a_version_refuses_is_marked() {
        let page = page("Server");
        assert!(row(&page, "spec", "egress").contains(LATER));
        assert!(row(&page, "spec.limits", "memory").contains(LATER));
        assert!(row(&page, "spec.runtime", "container").contains(LATER));
        assert!(!page.contains("## `spec.runtime.container`"));
        assert!(!row(&page, "spec.runtime", "uvx").contains(LATER));
        assert!(!row(&page, "spec.limits", "call").contains(LATER));
        assert!(row(&page, "spec.config[]", "from").contains(&format!("`user`: {LATER}")));
    }

    #[test]
    fn defaults_and_needs_are_told() {
        let page = page("Server");
        assert!(row(&page, "spec", "tenancy").contains("| `shared` |"));
        assert!(row(&page, "spec.limits", "call").contains("| `60s` |"));
        assert!(row(&page, "spec.runtime.npx", "version").contains("**required**"));
        assert!(row(&page, "metadata", "name").contains("**required**"));
        assert!(row(&page, "spec", "title").contains("| text |  |"));
        assert!(row(&page, "spec.config[]", "value").contains("| text |  |"));
        let rule = self::page("AccessRule");
        assert!(row(&rule, "spec.annotations", "readOnlyHint").contains("| true or false |  |"));
    }

    #[test]
    fn every_kind_that_is_supported_has_a_page() {
        for kind in model::wire::KINDS.iter().filter(|kind| kind.supported) {
            assert!(page(kind.name).contains("## `spec`"));
        }
    }
}
