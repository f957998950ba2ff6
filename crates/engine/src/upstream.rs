//! Remote servers: where they are and what is sent with every message, with secrets filled in.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::fault::{BAD_VALUE, DANGLING};
use model::name::ServerName;
use model::secret::SecretText;
use model::server::{Runtime, Server, Value};
use model::snapshot::{ResourceKey, Snapshot};
use model::template;
use model::url::HttpUrl;
use model::wire::SERVER;

use crate::compile::Fault;

/// A remote server, ready to be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Its endpoint.
    pub url: HttpUrl,
    /// Headers that are sent with every request; names in lower case.
    pub headers: Vec<(String, SecretText)>,
}

/// All remote servers of a snapshot, by name.
pub(crate) type Upstreams = BTreeMap<ServerName, Arc<Upstream>>;

/// # Errors
/// Values that do not fit where they have to go, and secrets that are not there; none says anything of a value.
pub(crate) fn compile(snapshot: &Snapshot) -> Result<Upstreams, Vec<Fault>> {
    let (mut upstreams, mut faults) = (BTreeMap::new(), Vec::new());
    for server in snapshot.servers.values() {
        if let Runtime::Remote { url } = &server.runtime {
            match upstream(server, url, snapshot) {
                Ok(upstream) => drop(upstreams.insert(server.name.clone(), Arc::new(upstream))),
                Err(fault) => faults.push(*fault),
            }
        }
    }
    if faults.is_empty() {
        Ok(upstreams)
    } else {
        Err(faults)
    }
}

/// The value that an entry stands for.
///
/// # Errors
/// Its secret is not there.
pub fn resolve<'s>(value: &'s Value, snapshot: &'s Snapshot) -> Result<&'s str, String> {
    match value {
        Value::Plain(text) => Ok(text),
        Value::Secret(name) => match snapshot.secrets.get(name.as_str()) {
            Some(secret) => Ok(secret.value.expose()),
            None => Err(format!("no secret is named {:?}", name.as_str())),
        },
    }
}

fn upstream(server: &Server, url: &str, snapshot: &Snapshot) -> Result<Upstream, Box<Fault>> {
    let fault = |path: &str, code, message| {
        Box::new(Fault {
            resource: ResourceKey::new(SERVER, server.name.as_str()),
            path: path.to_owned(),
            code,
            message,
            fix: None,
        })
    };
    let missing = |why| fault("spec.config", DANGLING, why);
    let bad_url = |why: String| fault("spec.runtime.remote", BAD_VALUE, why);
    let url = fill(server, url, snapshot).map_err(|error| match error {
        Unfilled::Missing(why) => missing(why),
        Unfilled::Bad(why) => bad_url(why),
    })?;
    let mut headers = Vec::new();
    for (name, value) in &server.headers {
        let text = resolve(value, snapshot).map_err(missing)?;
        if !is_header_value(text) {
            let message = format!("the value of header {name:?} is not plain text on one line");
            return Err(fault("spec.config", BAD_VALUE, message));
        }
        headers.push((name.clone(), SecretText::new(text)));
    }
    Ok(Upstream { url, headers })
}

/// Why a URL has not got its values.
enum Unfilled {
    /// A secret is not there.
    Missing(String),
    /// It is no URL then, or not one that may be.
    Bad(String),
}

/// The URL with its values. Where a message is sent must not depend on a secret: addresses are told in errors, in
/// states and in logs.
fn fill(server: &Server, url: &str, snapshot: &Snapshot) -> Result<HttpUrl, Unfilled> {
    let (mut shown, mut real) = (BTreeMap::new(), BTreeMap::new());
    for (key, value) in &server.url_values {
        let text = resolve(value, snapshot).map_err(Unfilled::Missing)?;
        let is_secret = matches!(value, Value::Secret(_));
        shown.insert(key.as_str(), if is_secret { MASK } else { text });
        real.insert(key.as_str(), text);
    }
    let filled = |values: &BTreeMap<&str, &str>| {
        template::fill(url, |key| values.get(key).map(|text| (*text).into())).map_err(Unfilled::Bad)
    };
    // First without secrets, as this error shows what it is about.
    let shown = HttpUrl::parse(&filled(&shown)?).map_err(|why| {
        Unfilled::Bad(format!(
            "with its values it is no URL that can be called: {why}"
        ))
    })?;
    let real = HttpUrl::parse(&filled(&real)?)
        .map_err(|_| Unfilled::Bad("with its secret it is no URL that can be called".to_owned()))?;
    if shown.authority() != real.authority() {
        let why = "a secret may stand in its path and its query, not in its host or port";
        return Err(Unfilled::Bad(why.to_owned()));
    }
    Ok(real)
}

/// Stands for a secret in a URL that is shown.
const MASK: &str = "0";

/// Visible ASCII, with blanks inside (RFC 9110, section 5.5).
fn is_header_value(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_graphic() || b == b' ' || b == b'\t';
    text.bytes().all(plain) && text.trim() == text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use model::name::SecretName;
    use model::secret::Secret;

    use super::*;

    fn snapshot(url: &str, header: Value, secret: &str) -> Snapshot {
        let region = ("REGION".to_owned(), Value::Plain("eu".to_owned()));
        let server = Server {
            runtime: Runtime::Remote {
                url: url.to_owned(),
            },
            headers: BTreeMap::from([("authorization".to_owned(), header)]),
            url_values: BTreeMap::from([region]),
            ..crate::samples::server("crm")
        };
        let name = server.name.clone();
        let token = SecretName::new("token").unwrap();
        let secret = Secret {
            name: token.clone(),
            value: SecretText::new(secret),
        };
        Snapshot {
            servers: BTreeMap::from([(name, Arc::new(server))]),
            secrets: BTreeMap::from([(token, Arc::new(secret))]),
            ..Snapshot::default()
        }
    }

    fn secret(name: &str) -> Value {
        Value::Secret(SecretName::new(name).unwrap())
    }

    #[test]
    fn places_and_headers_are_filled() {
        let snapshot = snapshot("https://${REGION}.x/mcp", secret("token"), "Bearer abc");
        let upstreams = compile(&snapshot).unwrap();
        let upstream = upstreams.values().next().unwrap();
        assert_eq!(upstream.url.to_string(), "https://eu.x/mcp");
        assert_eq!(upstream.headers[0].1.expose(), "Bearer abc");
    }

    #[test]
    fn what_does_not_fit_is_refused_without_saying_it() {
        for value in ["a\r\nX-Role: admin", " padded", "\u{e4}"] {
            let fault = compile(&snapshot("https://x/", secret("token"), value)).unwrap_err();
            assert_eq!(
                (fault[0].path.as_str(), fault[0].code),
                ("spec.config", BAD_VALUE)
            );
            assert!(!fault[0].message.contains(value), "{}", fault[0].message);
        }
        let missing = compile(&snapshot("https://x/", secret("other"), "v")).unwrap_err();
        assert_eq!(missing[0].code, DANGLING);
        let leads_away = compile(&snapshot(
            "https://x/${REGION}/%2e./y",
            secret("token"),
            "v",
        ));
        assert_eq!(leads_away.unwrap_err()[0].path, "spec.runtime.remote");
    }

    #[test]
    fn where_a_message_is_sent_does_not_depend_on_a_secret() {
        let with = |url: &str, value: &str| {
            let mut snapshot = snapshot(url, Value::Plain("v".to_owned()), value);
            let server = snapshot.servers.values_mut().next().unwrap();
            let values = &mut Arc::get_mut(server).unwrap().url_values;
            values.insert("KEY".to_owned(), secret("token"));
            compile(&snapshot)
        };
        let upstreams = with("https://x/${KEY}?k=${KEY}", "sk-1").unwrap();
        let upstream = upstreams.values().next().unwrap();
        assert_eq!(upstream.url.to_string(), "https://x/sk-1?k=sk-1");
        for (url, value) in [
            ("https://${KEY}.x/", "sk-1"),
            ("https://${KEY}-.x/", "sk-1"),
            ("https://x:${KEY}/", "sk-1"),
            ("https://x:${KEY}/", "8443"),
        ] {
            let fault = with(url, value).unwrap_err();
            assert_eq!(fault[0].path, "spec.runtime.remote", "{url}");
            assert!(!fault[0].message.contains(value), "{}", fault[0].message);
        }
    }
}
