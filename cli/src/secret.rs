//! `gatehouse secret`: values that are written and never shown.

use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::name::SecretName;
use model::secret::{SECRET_BYTES_MAX, SecretText};
use proto::v1::resource::Spec;
use proto::v1::{ApplyRequest, GetRequest, Metadata, Resource, ResourceKey, SecretSpec};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tonic::Code;

use crate::app::App;
use crate::apply;
use crate::codes;
use crate::fault::{Failure, Fault};
use crate::link::{self, Link, Violation};
use crate::when;

/// Values that servers and webhook receivers need, written and never shown.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Store a value under a name, or replace it
    Set(Set),
}

/// Store a value under a name, or replace it. It is read from standard input, or asked for on a terminal; never from
/// the command line, where others could see it. A line end after it is not part of it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse secret set crm-token
  gatehouse secret set crm-token --from token.txt --wait
  gatehouse secret set hook-key -o json

Servers name it in spec.config (from: secret, secretName: crm-token), webhook filters as spec.webhook.secretName.
Only nodes that need it get it.

See also: gatehouse get, gatehouse delete, gatehouse explain")]
pub struct Set {
    /// What servers and filters call it
    pub name: String,
    /// The file that holds the value; - for standard input
    #[arg(long, value_name = "FILE|-")]
    pub from: Option<PathBuf>,
    /// Wait until every live node runs the revision
    #[arg(long)]
    pub wait: bool,
    /// How long to wait at most
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = when::parse)]
    pub timeout: Duration,
}

/// Runs the command.
///
/// # Errors
/// No value, no connection, or what the control plane refuses.
pub async fn run(command: Command, app: &App) -> Result<(), Failure> {
    match command {
        Command::Set(args) => set(args, app).await,
    }
}

async fn set(args: Set, app: &App) -> Result<(), Failure> {
    let name = SecretName::new(&args.name).map_err(|why| Failure::usage(why.to_string()))?;
    let link = app.link().await?;
    // Asked for after the connection: nobody types a token for nothing.
    let value = value(args.from.as_deref(), name.as_str())?;
    let request = ApplyRequest {
        resources: vec![resource(&link, &name, &value).await?],
        ..ApplyRequest::default()
    };
    let answer = match link.admin().apply(request).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => return Err(refused(&link, &status)),
    };
    if !app.show.is_json() {
        apply::tell(&app.show, &answer, false);
    }
    apply::finish(&link, &app.show, &answer, args.wait, args.timeout).await
}

/// The secret with its new value; labels that it has stay.
async fn resource(link: &Link, name: &SecretName, value: &SecretText) -> Result<Resource, Failure> {
    let request = GetRequest {
        key: Some(ResourceKey {
            kind: model::wire::SECRET.to_owned(),
            name: name.to_string(),
        }),
    };
    let mut resource = match link.admin().get(request).await {
        Ok(found) => found.into_inner(),
        Err(status) if status.code() == Code::NotFound => Resource {
            metadata: Some(Metadata {
                name: name.to_string(),
                ..Metadata::default()
            }),
            ..Resource::default()
        },
        Err(status) => return Err(link.fault(&status).into()),
    };
    resource.spec = Some(Spec::Secret(SecretSpec {
        value: value.expose().to_owned(),
        ..SecretSpec::default()
    }));
    Ok(resource)
}

fn refused(link: &Link, status: &tonic::Status) -> Failure {
    let found = link::violations(status);
    if found.is_empty() {
        return link.fault(status).into();
    }
    let fault = |violation: Violation| {
        let message = format!("{} {}", violation.field, violation.message);
        violation.fault(message, codes::REFUSED)
    };
    Failure::of(found.into_iter().map(fault).collect(), None).and(apply::NOTHING)
}

fn value(from: Option<&Path>, name: &str) -> Result<SecretText, Failure> {
    let unreadable = |what: String, error: std::io::Error| {
        Failure::from(Fault::new(codes::FILE, format!("{what} cannot be read")).because(&error))
    };
    let text = match from {
        Some(path) if path != Path::new("-") => std::fs::File::open(path)
            .and_then(read)
            .map_err(|error| unreadable(path.display().to_string(), error))?,
        None if std::io::stdin().is_terminal() => {
            ask(name).map_err(|error| unreadable("what was typed".to_owned(), error))?
        }
        _ => read(std::io::stdin())
            .map_err(|error| unreadable("standard input".to_owned(), error))?,
    };
    let value = text.expose();
    let value = value.strip_suffix('\n').unwrap_or(value);
    let value = value.strip_suffix('\r').unwrap_or(value);
    if value.is_empty() {
        let fault = Fault::new(codes::FILE, "there is no value: what was read is empty");
        return Err(fault
            .fix(format!("gatehouse secret set {name} --from FILE"))
            .into());
    }
    Ok(SecretText::new(value))
}

/// All of it, up to a little more than the largest secret.
fn read(from: impl Read) -> std::io::Result<SecretText> {
    let mut text = String::new();
    let bytes_max = SECRET_BYTES_MAX as u64 + 2;
    from.take(bytes_max + 1).read_to_string(&mut text)?;
    let text = SecretText::new(text);
    if text.expose().len() as u64 > bytes_max {
        let why = format!("it is larger than {SECRET_BYTES_MAX} bytes, as a secret may be");
        return Err(std::io::Error::other(why));
    }
    Ok(text)
}

/// Asks on the terminal, which does not show what is typed.
fn ask(name: &str) -> std::io::Result<SecretText> {
    let mut stderr = std::io::stderr();
    write!(stderr, "value of {name} (not shown): ")?;
    stderr.flush()?;
    let hidden = Hidden::new()?;
    let mut text = String::new();
    let read = std::io::stdin().read_line(&mut text);
    drop(hidden);
    writeln!(stderr)?;
    read?;
    Ok(SecretText::new(text))
}

/// The terminal shows nothing of what is typed, until this is dropped.
struct Hidden(Termios);

impl Hidden {
    fn new() -> std::io::Result<Self> {
        let before = tcgetattr(std::io::stdin())?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // Where the terminal is gone there is nothing to mend.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_line_end_is_no_part_of_a_value_and_nothing_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("v");
        let of = |text: &str| {
            std::fs::write(&file, text).unwrap();
            value(Some(&file), "n").map(|value| value.expose().to_owned())
        };
        for (text, expected) in [
            ("a", "a"),
            ("a\n", "a"),
            ("a\r\n", "a"),
            ("a\n\n", "a\n"),
            (" a", " a"),
        ] {
            assert_eq!(of(text).unwrap(), expected);
        }
        assert!(of("").is_err() && of("\n").is_err());
        assert!(of(&"x".repeat(SECRET_BYTES_MAX)).is_ok());
        assert!(of(&"x".repeat(SECRET_BYTES_MAX + 3)).is_err());
        assert!(value(Some(Path::new("/nowhere")), "n").is_err());
    }
}
