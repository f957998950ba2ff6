//! What a server says of itself in the first words, whichever way they were spoken.

use std::sync::Arc;

use bytes::Bytes;
use dataplane::deliver::probe::{CLIENT_NAME, CLIENT_VERSION};
use mcp::bridge::handshake::{SERVER_INFO_KEY, initialize_request_of};
use mcp::revision::{Era, Revision};
use serde_json::{Map, Value, json};

/// How much of a server's own text is shown, characters.
const SHOWN_CHARS_MAX: usize = 200;

/// For whom a session is begun with a server, and what it is told of the client.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Who {
    /// The user; empty for nobody in particular.
    pub user: Arc<str>,
    /// The user's application, where the credential names one.
    pub application: Arc<str>,
    /// The client's session, where what is begun is for this one alone.
    pub holder: Option<Arc<str>>,
    /// What the client can do: a raw object.
    pub declared: Arc<str>,
    /// Its name and version, a raw object; empty: ours.
    pub info: Arc<str>,
    /// The revision that is asked for, where it is a legacy one.
    pub revision: Revision,
}

impl Default for Who {
    fn default() -> Self {
        Self::of("", "", "{}")
    }
}

impl Who {
    /// All clients of `user` by `application` that can do this much.
    pub fn of(user: &str, application: &str, declared: &str) -> Self {
        Self {
            user: user.into(),
            application: application.into(),
            holder: None,
            declared: declared.into(),
            info: "".into(),
            revision: Revision::LATEST_LEGACY,
        }
    }

    /// What must be the same for two to share what was begun.
    pub fn key(&self) -> String {
        let holder = self.holder.as_deref().unwrap_or_default();
        let (user, application) = (&self.user, &self.application);
        format!("{user}\0{application}\0{holder}\0{}", self.declared)
    }

    /// Whether the client can be asked for anything.
    pub fn can_be_asked(&self) -> bool {
        &*self.declared != "{}"
    }

    /// `initialize` in its name, with the raw `id`.
    pub fn initialize(&self, id: &[u8]) -> Vec<u8> {
        let read = |text: &str| serde_json::from_str::<Value>(text).ok();
        let declared = read(&self.declared).unwrap_or_else(|| json!({}));
        let ours = || json!({"name": CLIENT_NAME, "version": CLIENT_VERSION});
        let info = read(&self.info).unwrap_or_else(ours);
        initialize_request_of(id, self.revision, declared, info)
    }
}

/// What a server is, as it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// The revision that is spoken with it.
    pub revision: Revision,
    /// Its answer in the form of an `InitializeResult`: capabilities, instructions, serverInfo.
    pub face: Bytes,
    /// Its raw `serverInfo`, where it gave one.
    pub server_info: Option<Bytes>,
    /// Its name and version, for people.
    pub shown: String,
    /// What `face` declares, read once.
    capabilities: Arc<Map<String, Value>>,
}

impl Greeting {
    /// Reads an `InitializeResult`.
    ///
    /// # Errors
    /// What is wrong with it: goes on from "the server's answer to initialize".
    pub fn of_initialize(result: &[u8]) -> Result<Self, String> {
        let face = object(result)?;
        let version = face.get("protocolVersion").and_then(Value::as_str);
        let version = version.unwrap_or_default();
        let revision = Revision::parse(version).filter(|revision| revision.era() == Era::Legacy);
        let revision = revision.ok_or_else(|| {
            format!(
                "names the protocol version {:?}, which is not spoken here",
                shown(version)
            )
        })?;
        Self::new(revision, face)
    }

    /// Reads a `DiscoverResult`.
    ///
    /// # Errors
    /// What is wrong with it: goes on from "the server's answer to server/discover".
    pub fn of_discover(result: &[u8]) -> Result<Self, String> {
        let mut face = object(result)?;
        let versions = face.get("supportedVersions").and_then(Value::as_array);
        let speaks = |version: &Value| version == Revision::LATEST.as_str();
        if !versions.is_some_and(|versions| versions.iter().any(speaks)) {
            return Err(format!(
                "does not name the protocol version {}",
                Revision::LATEST
            ));
        }
        // A modern server names itself in `_meta`; the face has it where a legacy one would.
        let info = face
            .get("_meta")
            .and_then(|meta| meta.get(SERVER_INFO_KEY))
            .cloned();
        if let Some(info) = info {
            face.insert("serverInfo".to_owned(), info);
        }
        Self::new(Revision::LATEST, face)
    }

    fn new(revision: Revision, face: Map<String, Value>) -> Result<Self, String> {
        let Some(Value::Object(capabilities)) = face.get("capabilities").cloned() else {
            return Err("has no capabilities".to_owned());
        };
        let info = face.get("serverInfo").filter(|info| info.is_object());
        let part = |key| {
            info.and_then(|info| info.get(key))
                .and_then(Value::as_str)
                .map(shown)
        };
        let parts: Vec<_> = [part("name"), part("version")]
            .into_iter()
            .flatten()
            .collect();
        let server_info = info.map(|info| Bytes::from(info.to_string()));
        let shown = parts.join(" ");
        let face = Bytes::from(Value::Object(face).to_string());
        Ok(Self {
            revision,
            face,
            server_info,
            shown,
            capabilities: Arc::new(capabilities),
        })
    }
}

impl Greeting {
    /// Whether it declared this feature.
    pub fn offers(&self, feature: &str) -> bool {
        self.capabilities.contains_key(feature)
    }

    /// Whether it declared this part of a feature.
    pub fn offers_in(&self, feature: &str, part: &str) -> bool {
        self.capabilities
            .get(feature)
            .is_some_and(|feature| feature[part] == true)
    }
}

fn object(result: &[u8]) -> Result<Map<String, Value>, String> {
    serde_json::from_slice(result).map_err(|error| format!("is not of its form: {error}"))
}

/// The message of a server's error, with its code, for people.
pub(super) fn refusal(response: &[u8], code: i64) -> String {
    let message = serde_json::from_slice::<Value>(response).unwrap_or_default();
    let text = message["error"]["message"].as_str().unwrap_or_default();
    format!("{} ({code})", shown(text))
}

/// Text of a server's, cut for people.
fn shown(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(SHOWN_CHARS_MAX)
        .collect()
}
