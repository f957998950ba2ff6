//! Settings of one process: defaults, then file, then environment, then flags; and the only place that
//! reads the environment.
//!
//! A settings type is a plain struct with `#[serde(deny_unknown_fields, default)]` throughout; what a
//! setting means is its owner's business. A value that cannot be used is refused with where it came from.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use toml::{Table, Value};
use zeroize::Zeroizing;

/// Sections that a settings file may have: one file can serve all processes of a host.
pub const SECTIONS: [&str; 3] = ["control_plane", "edge", "sidecar"];
/// Largest settings file, bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Stands where a secret would.
const HIDDEN: &str = "…";

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("settings file {path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is larger than any settings file.
    #[error("settings file {path}: larger than {FILE_BYTES_MAX} bytes")]
    TooLarge {
        /// Which.
        path: PathBuf,
    },
    /// The file is not TOML.
    #[error("settings file {path} is not TOML: {why}")]
    Syntax {
        /// Which.
        path: PathBuf,
        /// What the parser says, with line and column.
        why: String,
    },
    /// The file has a table that belongs to no process.
    #[error("settings file {path}: {name:?} is no section: use {}", SECTIONS.join(", "))]
    Section {
        /// Which.
        path: PathBuf,
        /// The table or key.
        name: String,
    },
    /// A setting that does not exist, or a value that it cannot take.
    #[error("{origin}: {why}")]
    Setting {
        /// File, variable or flags.
        origin: String,
        /// What is wrong, with the setting's path.
        why: String,
    },
}

/// Reads the settings of one process: the defaults of `T`, then the table `section` of `file`, then
/// variables `GATEHOUSE_<SECTION>__A__B` (for `a.b`), then `flags`.
///
/// # Errors
/// The first value that cannot be used, with its origin: an unknown key is refused, wherever it stands.
pub fn load<T>(section: &str, file: Option<&Path>, flags: Table) -> Result<T, Error>
where
    T: Serialize + DeserializeOwned + Default,
{
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the environment"
    )]
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    load_from(section, file, variables, flags)
}

fn load_from<T>(
    section: &str,
    file: Option<&Path>,
    variables: impl Iterator<Item = (String, String)>,
    flags: Table,
) -> Result<T, Error>
where
    T: Serialize + DeserializeOwned + Default,
{
    // The layers above the defaults; the type itself fills in what they leave out.
    let mut given = Table::new();
    if let Some(path) = file {
        merge(&mut given, read(path, section)?);
        take::<T>(&given, &|| format!("settings file {}", path.display()))?;
    }
    let prefix = format!("GATEHOUSE_{}__", section.to_uppercase());
    let mut variables: Vec<_> = variables
        .filter(|(name, _)| name.starts_with(&prefix))
        .collect();
    // One order, whatever the environment's: errors are the same at every start.
    variables.sort();
    for (name, text) in variables {
        let path: Vec<String> = name[prefix.len()..]
            .split("__")
            .map(str::to_lowercase)
            .collect();
        given = with_variable::<T>(&given, &path, &text).map_err(|why| Error::Setting {
            origin: format!("variable {name}"),
            why,
        })?;
    }
    merge(&mut given, flags);
    take::<T>(&given, &|| "flags".to_owned())
}

/// The settings as TOML, as `--print-config` shows them; secrets are hidden.
pub fn print<T: Serialize>(settings: &T) -> String {
    // Every settings type is a struct of values that TOML knows.
    toml::to_string_pretty(settings).unwrap_or_else(|error| format!("# {error}\n"))
}

/// A variable of the environment that is no setting of ours: `OTEL_…`, `NO_COLOR`, `HOME`, `GATEHOUSE_…`.
/// Empty counts as not set.
pub fn env(name: &str) -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the environment"
    )]
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The table of one process in a settings file.
fn read(path: &Path, section: &str) -> Result<Table, Error> {
    let fault = |source| Error::File {
        path: path.to_owned(),
        source,
    };
    if std::fs::metadata(path).map_err(fault)?.len() > FILE_BYTES_MAX {
        return Err(Error::TooLarge {
            path: path.to_owned(),
        });
    }
    let text = std::fs::read_to_string(path).map_err(fault)?;
    let mut table: Table = text
        .parse()
        .map_err(|error: toml::de::Error| Error::Syntax {
            path: path.to_owned(),
            why: error.to_string(),
        })?;
    if let Some(name) = table.keys().find(|key| !SECTIONS.contains(&key.as_str())) {
        return Err(Error::Section {
            path: path.to_owned(),
            name: name.clone(),
        });
    }
    match table.remove(section) {
        None => Ok(Table::new()),
        Some(Value::Table(own)) => Ok(own),
        Some(_) => Err(Error::Section {
            path: path.to_owned(),
            name: section.to_owned(),
        }),
    }
}

/// `given` with one variable set: read as a TOML value where the setting takes that, else as text, so that
/// neither `8080` nor `[::1]:80` needs quotes.
fn with_variable<T: DeserializeOwned>(
    given: &Table,
    path: &[String],
    text: &str,
) -> Result<Table, String> {
    let try_with = |value: Value| {
        let mut table = given.clone();
        set(&mut table, path, value);
        take::<T>(&table, &String::new).map(|_| table)
    };
    let as_text = || try_with(Value::String(text.to_owned()));
    let result = match scalar(text) {
        Some(value) => try_with(value).or_else(|error| as_text().map_err(|_| error)),
        None => as_text(),
    };
    result.map_err(|error| match error {
        Error::Setting { why, .. } => why,
        other => other.to_string(),
    })
}

/// `text` as a TOML value.
fn scalar(text: &str) -> Option<Value> {
    let mut table: Table = format!("value = {text}").parse().ok()?;
    (table.len() == 1).then(|| table.remove("value")).flatten()
}

fn take<T: DeserializeOwned>(given: &Table, origin: &dyn Fn() -> String) -> Result<T, Error> {
    given
        .clone()
        .try_into()
        .map_err(|error: toml::de::Error| Error::Setting {
            origin: origin(),
            // "unknown field …" on one line, "in `a.b`" on the next.
            why: error.to_string().trim().replace('\n', ", "),
        })
}

/// Puts `over` above `under`, table by table.
fn merge(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

fn set(table: &mut Table, path: &[String], value: Value) {
    let Some((key, rest)) = path.split_first() else {
        return;
    };
    if rest.is_empty() {
        table.insert(key.clone(), value);
        return;
    }
    let inner = table
        .entry(key.clone())
        .or_insert_with(|| Value::Table(Table::new()));
    if !inner.is_table() {
        *inner = Value::Table(Table::new());
    }
    if let Value::Table(inner) = inner {
        set(inner, rest, value);
    }
}

/// A setting that is never shown. Memory is wiped when it goes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a secret.
    pub fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// The secret, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.is_empty() { "" } else { HIDDEN })
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[derive(Debug, Serialize, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Edge {
        listen: String,
        public_urls: Vec<String>,
        workers: u32,
        limits: Limits,
        token: Secret,
    }

    #[derive(Debug, Serialize, Deserialize, PartialEq, Default)]
    #[serde(deny_unknown_fields, default)]
    struct Limits {
        body_bytes: u64,
        strict: bool,
        name: String,
    }

    impl Default for Edge {
        fn default() -> Self {
            Self {
                listen: "127.0.0.1:7800".to_owned(),
                public_urls: Vec::new(),
                workers: 2,
                limits: Limits {
                    body_bytes: 1,
                    ..Limits::default()
                },
                token: Secret::default(),
            }
        }
    }

    fn load(file: &str, variables: &[(&str, &str)], flags: &str) -> Result<Edge, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gatehouse.toml");
        std::fs::write(&path, file).unwrap();
        let variables = variables
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        load_from("edge", Some(&path), variables, flags.parse().unwrap())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn flags_beat_variables_beat_file_beats_defaults() {
        let file =
            "[edge]\nlisten = \"file\"\nworkers = 3\nlimits.body_bytes = 3\n[sidecar]\nother = 1";
        let variables = [
            ("GATEHOUSE_EDGE__WORKERS", "4"),
            ("GATEHOUSE_EDGE__LIMITS__BODY_BYTES", "4"),
            ("GATEHOUSE_SIDECAR__WORKERS", "9"),
            ("GATEHOUSE_CONTEXT", "elsewhere"),
        ];
        let edge = load(file, &variables, "limits.body_bytes = 5").unwrap();
        assert_eq!(
            (edge.listen.as_str(), edge.workers, edge.limits.body_bytes),
            ("file", 4, 5)
        );
        assert!(edge.public_urls.is_empty());
        assert_eq!(load("", &[], "").unwrap(), Edge::default());
    }

    #[test]
    fn variables_need_no_quotes() {
        let edge = load(
            "",
            &[
                ("GATEHOUSE_EDGE__LISTEN", "[::1]:80"),
                (
                    "GATEHOUSE_EDGE__PUBLIC_URLS",
                    "[\"http://a\", \"http://b\"]",
                ),
                ("GATEHOUSE_EDGE__LIMITS__STRICT", "true"),
                ("GATEHOUSE_EDGE__LIMITS__NAME", "12"),
            ],
            "",
        )
        .unwrap();
        assert_eq!(edge.listen, "[::1]:80");
        assert_eq!(edge.public_urls, ["http://a", "http://b"]);
        assert!(edge.limits.strict);
        assert_eq!(edge.limits.name, "12");
    }

    #[test]
    fn what_is_unknown_or_wrong_is_refused_with_its_origin() {
        /// File, variables, flags, and what the error says.
        type Case = (
            &'static str,
            &'static [(&'static str, &'static str)],
            &'static str,
            &'static [&'static str],
        );
        let cases: [Case; 7] = [
            (
                "[edge]\nlisen = \"x\"",
                &[],
                "",
                &["gatehouse.toml", "lisen"],
            ),
            (
                "[edge.limits]\nbody = 1",
                &[],
                "",
                &["gatehouse.toml", "body", "limits"],
            ),
            (
                "[egde]\nlisten = \"x\"",
                &[],
                "",
                &["gatehouse.toml", "egde"],
            ),
            (
                "[edge\nlisten = \"x\"",
                &[],
                "",
                &["gatehouse.toml", "line 1"],
            ),
            (
                "",
                &[("GATEHOUSE_EDGE__LISEN", "x")],
                "",
                &["GATEHOUSE_EDGE__LISEN", "lisen"],
            ),
            (
                "",
                &[("GATEHOUSE_EDGE__WORKERS", "many")],
                "",
                &["GATEHOUSE_EDGE__WORKERS", "workers"],
            ),
            ("", &[], "limits.strict = 3", &["flags", "limits.strict"]),
        ];
        for (file, variables, flags, parts) in cases {
            let error = load(file, variables, flags).unwrap_err();
            for part in parts {
                assert!(error.contains(part), "{error:?} does not say {part:?}");
            }
        }
    }

    #[test]
    fn secrets_are_neither_printed_nor_shown() {
        let edge = load("[edge]\ntoken = \"hunter2\"", &[], "").unwrap();
        assert_eq!(edge.token.expose(), "hunter2");
        assert!(!print(&edge).contains("hunter2") && print(&edge).contains("token = \"…\""));
        assert!(!format!("{edge:?}").contains("hunter2"));
    }
}
