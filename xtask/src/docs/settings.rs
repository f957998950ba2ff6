//! `docs/reference/settings.md`: the settings of each process, from the comments of its `Settings` and from the
//! defaults that it prints.
//!
//! The scanner reads lines, as rustfmt lays them out, and says so where it cannot: one field a line, each with its
//! comment above it.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use toml::{Table, Value};

use super::cell;

/// Where the page lies.
pub(super) const PATH: &str = "docs/reference/settings.md";

/// Title, section, and the file with its `Settings`.
const PROCESSES: &[(&str, &str, &str)] = &[
    (
        "Control plane",
        "control_plane",
        "control-plane/src/settings.rs",
    ),
    ("Edge", "edge", "edge/src/app.rs"),
    ("Sidecar", "sidecar", "sidecar/src/app.rs"),
];

/// Settings that several processes have.
const SHARED: &str = "crates/dataplane/src/frame.rs";

const HEAD: &str = "# Settings

Settings are of one process: addresses, files, bounds. (Catalog, rules and filters are configuration; they go
through `gatehouse apply`.) Each process reads, the later over the earlier: the defaults below, `--config FILE`
(TOML; one file may have a section for each process), the environment, and its flags. `edge.tls.cert` is `cert` under
`[edge.tls]`, and `GATEHOUSE_EDGE__TLS__CERT`. Unknown keys are refused. `--print-config` shows the result,
without secrets.
";

/// The page, without its head. `defaults` is TOML with a table for each process.
///
/// # Errors
/// A source that cannot be read or understood.
pub(super) fn page(root: &Path, defaults: &str) -> Result<String> {
    let values: Table = defaults.parse().context("the defaults are not TOML")?;
    let shared = read(root, SHARED)?;
    let mut out = HEAD.to_owned();
    for (title, section, file) in PROCESSES {
        let own = read(root, file)?;
        let settings = scan(&own, "Settings").with_context(|| format!("{file}: Settings"))?;
        // Writing to a String cannot fail.
        let _ = writeln!(out, "\n## {title}: `[{section}]`\n");
        let _ = writeln!(out, "| setting | default | meaning |\n|---|---|---|");
        let table = values.get(*section).and_then(Value::as_table);
        Rows {
            sources: &[&own, &shared],
            out: &mut out,
        }
        .write(&settings, section, table)
        .with_context(|| (*file).to_owned())?;
    }
    let _ = write!(
        out,
        "\n## All defaults\n\n{FENCE}{}\n```\n",
        defaults.trim()
    );
    Ok(out)
}

/// Begins the block that holds the defaults.
const FENCE: &str = "```toml\n";

/// The defaults as the page shows them. Empty where there is no page yet.
pub(super) fn shown_defaults(root: &Path) -> String {
    let page = fs::read_to_string(root.join(PATH)).unwrap_or_default();
    let block = page
        .split_once(FENCE)
        .and_then(|(_, rest)| rest.split_once("\n```"));
    block
        .map(|(block, _)| format!("{block}\n"))
        .unwrap_or_default()
}

/// The defaults as the processes have them, which are built for it.
///
/// # Errors
/// Where they do not build.
pub(super) fn run_defaults(root: &Path) -> Result<String> {
    let output = Command::new("cargo")
        .args(["run", "--quiet", "-p", "xtask", "--example", "defaults"])
        .current_dir(root)
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("cargo does not start")?;
    ensure!(
        output.status.success(),
        "the defaults cannot be had: the processes do not build"
    );
    String::from_utf8(output.stdout).context("the defaults are not text")
}

fn read(root: &Path, file: &str) -> Result<String> {
    fs::read_to_string(root.join(file)).with_context(|| format!("{file} cannot be read"))
}

/// One struct of settings.
#[derive(Debug)]
struct Settings {
    doc: String,
    fields: Vec<Field>,
}

#[derive(Debug)]
struct Field {
    name: String,
    /// Without `Option<…>` around it.
    kind: String,
    doc: String,
}

struct Rows<'r> {
    sources: &'r [&'r str],
    out: &'r mut String,
}

impl Rows<'_> {
    fn write(&mut self, settings: &Settings, prefix: &str, defaults: Option<&Table>) -> Result<()> {
        for field in &settings.fields {
            let default = defaults.and_then(|table| table.get(&field.name));
            let path = format!("{prefix}.{}", field.name);
            match self.inner(&field.kind)? {
                Some(inner) => {
                    let doc = if field.doc.is_empty() {
                        &inner.doc
                    } else {
                        &field.doc
                    };
                    let _ = writeln!(self.out, "| `{path}.…` | | {} |", cell(doc));
                    self.write(&inner, &path, default.and_then(Value::as_table))?;
                }
                None => {
                    let _ = writeln!(
                        self.out,
                        "| `{path}` | {} | {} |",
                        default.map_or_else(
                            || "not set".to_owned(),
                            |value| format!("`{}`", cell(&value.to_string()))
                        ),
                        cell(&field.doc)
                    );
                }
            }
        }
        Ok(())
    }

    /// The settings within a field, where it is not a plain value.
    fn inner(&self, kind: &str) -> Result<Option<Settings>> {
        let found = self.sources.iter().find(|text| text.contains(&head(kind)));
        found.map(|text| scan(text, kind)).transpose()
    }
}

fn head(name: &str) -> String {
    format!("\npub struct {name} {{\n")
}

/// Finds a struct in a source.
fn scan(text: &str, name: &str) -> Result<Settings> {
    let head = head(name);
    let at = text
        .find(&head)
        .with_context(|| format!("no `pub struct {name}`"))?;
    let mut doc: Vec<&str> = text[..at]
        .lines()
        .rev()
        .take_while(|line| line.starts_with("///") || line.starts_with("#["))
        .filter_map(|line| line.strip_prefix("///"))
        .collect();
    doc.reverse();
    let mut fields = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    for line in text[at + head.len()..].lines() {
        let line = line.trim();
        if line == "}" {
            return Ok(Settings {
                doc: join(&doc),
                fields,
            });
        }
        if let Some(text) = line.strip_prefix("///") {
            comment.push(text);
        } else if let Some(field) = line.strip_prefix("pub ") {
            fields.push(self::field(field, &comment)?);
            comment.clear();
        } else if !line.starts_with("#[") {
            bail!("{name}: {line:?} is not a field, an attribute or a comment");
        }
    }
    bail!("{name} does not end")
}

fn field(line: &str, comment: &[&str]) -> Result<Field> {
    let parts = line
        .strip_suffix(',')
        .and_then(|line| line.split_once(": "));
    let (name, kind) = parts.with_context(|| format!("{line:?} is not a field on one line"))?;
    ensure!(!comment.is_empty(), "{name} has no comment");
    let bare = kind
        .strip_prefix("Option<")
        .and_then(|kind| kind.strip_suffix('>'));
    Ok(Field {
        name: name.to_owned(),
        kind: bare.unwrap_or(kind).to_owned(),
        doc: join(comment),
    })
}

fn join(lines: &[&str]) -> String {
    let lines: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
    lines.join(" ")
}

#[cfg(test)]
#[path = "../../examples/defaults.rs"]
mod defaults;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on should end")]

    use super::*;

    const SOURCE: &str = "
/// Settings of a gate.
#[derive(Debug)]
pub struct Settings {
    /// Where it listens,
    /// `host:port`.
    pub listen: String,
    /// Its files.
    #[serde(default)]
    pub tls: Option<Tls>,
}

/// Files.
pub struct Tls {
    /// The chain | leaf first.
    pub cert: PathBuf,
}
";

    #[test]
    fn defaults_are_those_of_the_processes() {
        let shown = shown_defaults(crate::root().unwrap());
        assert_eq!(
            shown.trim(),
            defaults::toml().trim(),
            "cargo run -p xtask -- docs"
        );
    }

    #[test]
    fn structs_are_read_with_their_comments() {
        let settings = scan(SOURCE, "Settings").unwrap();
        assert_eq!(settings.doc, "Settings of a gate.");
        assert_eq!(settings.fields[0].doc, "Where it listens, `host:port`.");
        let mut out = String::new();
        let defaults: Table = "listen = \"a:1\"".parse().unwrap();
        let mut rows = Rows {
            sources: &[SOURCE],
            out: &mut out,
        };
        rows.write(&settings, "gate", Some(&defaults)).unwrap();
        assert_eq!(
            out,
            "| `gate.listen` | `\"a:1\"` | Where it listens, `host:port`. |\n\
             | `gate.tls.…` | | Its files. |\n\
             | `gate.tls.cert` | not set | The chain \\| leaf first. |\n"
        );
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        assert!(scan(SOURCE, "Other").is_err());
        let bare = SOURCE.replace("    /// Its files.\n", "");
        assert!(scan(&bare, "Settings").is_err());
        let long = SOURCE.replace("pub listen: String,", "pub listen:\n        String,");
        assert!(scan(&long, "Settings").is_err());
    }
}
