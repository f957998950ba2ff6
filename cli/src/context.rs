//! Where the control plane is and what proves who is asking: the context file, and the flags that override it.
//!
//! Search order: `--context` (or `GATEHOUSE_CONTEXT`), `./.gatehouse/client.toml`, `~/.config/gatehouse/client.toml`.
//! Knows files only; [`crate::link`] makes connections of it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::codes;
use crate::fault::Fault;

/// Largest context or secret file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What a context file holds. `gatehouse up` writes it, mode 0600.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// The control plane's admin API: `https://127.0.0.1:7700`.
    pub address: String,
    /// The authority that signs its certificate, PEM.
    pub ca: Option<String>,
    /// The admin token.
    pub token: Option<String>,
    /// The API key with which `tools` and `call` call.
    pub key: Option<String>,
    /// The edge through which they do: `http://127.0.0.1:7800`.
    pub edge: Option<String>,
    /// The user that `key` stands for, for `explain` lines ready to paste.
    pub user: Option<String>,
    /// That user's groups.
    #[serde(default)]
    pub groups: Vec<String>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("address", &self.address)
            .field("edge", &self.edge)
            .finish_non_exhaustive()
    }
}

/// What the command line says about the context.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// `--context` or `GATEHOUSE_CONTEXT`.
    pub file: Option<PathBuf>,
    /// `--address`.
    pub address: Option<String>,
    /// `--token`, or `@FILE`.
    pub token: Option<String>,
    /// The home folder, from the environment.
    pub home: Option<PathBuf>,
}

/// The context to work with.
///
/// # Errors
/// A [`Fault`] where no file is found and no address given, or where the file cannot be used.
pub fn find(asked: &Asked, folder: &Path) -> Result<Context, Fault> {
    let mut context = match (file(asked, folder), &asked.address) {
        (Some(file), _) => read(&file)?,
        (None, Some(_)) => Context::default(),
        (None, None) => return Err(none_found(asked)),
    };
    if let Some(address) = &asked.address {
        context.address.clone_from(address);
    }
    if let Some(token) = &asked.token {
        context.token = Some(secret(token)?);
    }
    Ok(context)
}

/// The file that the context comes from: the one that was named, else the first that there is.
pub fn file(asked: &Asked, folder: &Path) -> Option<PathBuf> {
    if let Some(file) = &asked.file {
        return Some(file.clone());
    }
    let near = folder.join(".gatehouse/client.toml");
    let own = asked
        .home
        .as_ref()
        .map(|home| home.join(".config/gatehouse/client.toml"));
    std::iter::once(near).chain(own).find(|file| file.exists())
}

fn none_found(asked: &Asked) -> Fault {
    let own = asked.home.as_ref().map_or_else(String::new, |home| {
        format!(
            " nor in {}",
            home.join(".config/gatehouse/client.toml").display()
        )
    });
    Fault::new(
        codes::NO_CONTEXT,
        "no context says where the control plane is",
    )
    .why(format!("there is nothing in ./.gatehouse/client.toml{own}"))
    .fix("start a system here with `gatehouse up`, or name a file with --context FILE")
}

/// Reads a context file.
///
/// # Errors
/// A [`Fault`] that names the file and what is wrong with it.
pub fn read(file: &Path) -> Result<Context, Fault> {
    let name = file.display();
    let bad = |why: String| {
        Fault::new(
            codes::BAD_CONTEXT,
            format!("the context {name} cannot be used"),
        )
        .why(why)
    };
    let text = read_bounded(file).map_err(|e| bad(e.to_string()))?;
    let mut context: Context = toml::from_str(&text).map_err(|e| bad(e.message().to_owned()))?;
    if let Some(token) = &context.token {
        context.token = Some(secret(token)?);
    }
    Ok(context)
}

/// A secret as it was given: the text itself, or the content of the file after `@`.
///
/// # Errors
/// A [`Fault`] where the file cannot be read or holds nothing.
pub fn secret(given: &str) -> Result<String, Fault> {
    let Some(file) = given.strip_prefix('@') else {
        return Ok(given.to_owned());
    };
    let text = read_bounded(Path::new(file)).map_err(|e| {
        Fault::new(codes::FILE, format!("{file} cannot be read")).why(e.to_string())
    })?;
    let text = text.trim();
    if text.is_empty() {
        return Err(Fault::new(
            codes::FILE,
            format!("{file} is empty, but should hold a secret"),
        ));
    }
    Ok(text.to_owned())
}

fn read_bounded(file: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    let read = std::fs::File::open(file)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    if read as u64 > FILE_BYTES_MAX {
        return Err(std::io::Error::other("it is larger than 1 MiB"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn write(file: &Path, address: &str) {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, format!("address = {address:?}\ntoken = \"t\"\n")).unwrap();
    }

    #[test]
    fn files_are_searched_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let (here, home) = (dir.path().join("here"), dir.path().join("home"));
        let mut asked = Asked {
            home: Some(home.clone()),
            ..Asked::default()
        };
        assert_eq!(find(&asked, &here).unwrap_err().code, codes::NO_CONTEXT);

        write(&home.join(".config/gatehouse/client.toml"), "https://home");
        assert_eq!(find(&asked, &here).unwrap().address, "https://home");
        write(&here.join(".gatehouse/client.toml"), "https://here");
        assert_eq!(find(&asked, &here).unwrap().address, "https://here");
        write(&dir.path().join("named.toml"), "https://named");
        asked.file = Some(dir.path().join("named.toml"));
        assert_eq!(find(&asked, &here).unwrap().address, "https://named");
        asked.address = Some("https://flag".to_owned());
        asked.token = Some("flag".to_owned());
        let context = find(&asked, &here).unwrap();
        assert_eq!(
            (context.address.as_str(), context.token.as_deref()),
            ("https://flag", Some("flag"))
        );
    }

    #[test]
    fn a_named_file_that_is_not_there_is_a_fault_and_not_skipped() {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join(".gatehouse/client.toml"), "https://here");
        let asked = Asked {
            file: Some(dir.path().join("missing.toml")),
            ..Asked::default()
        };
        assert_eq!(
            find(&asked, dir.path()).unwrap_err().code,
            codes::BAD_CONTEXT
        );
    }

    #[test]
    fn an_address_alone_is_enough() {
        let dir = tempfile::tempdir().unwrap();
        let asked = Asked {
            address: Some("https://a".to_owned()),
            ..Asked::default()
        };
        assert_eq!(find(&asked, dir.path()).unwrap().address, "https://a");
    }

    #[test]
    fn unknown_keys_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("c.toml");
        std::fs::write(&file, "address = \"x\"\ntokn = \"y\"\n").unwrap();
        assert!(read(&file).unwrap_err().why.unwrap().contains("tokn"));
    }

    #[test]
    fn secrets_come_by_file_too() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        std::fs::write(&file, "abc\n").unwrap();
        assert_eq!(secret(&format!("@{}", file.display())).unwrap(), "abc");
        assert_eq!(secret("plain").unwrap(), "plain");
        std::fs::write(&file, "\n").unwrap();
        assert!(secret(&format!("@{}", file.display())).is_err());
    }

    #[test]
    fn a_context_shows_no_secret() {
        let context = Context {
            token: Some("sesame".to_owned()),
            key: Some("gh_x".to_owned()),
            ..Context::default()
        };
        let shown = format!("{context:?}");
        assert!(!shown.contains("sesame") && !shown.contains("gh_x"));
    }
}
