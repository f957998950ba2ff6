//! What need not work, and why: `tests/matrix/excluded.toml`.

use serde_json::Value;

use super::clients::Client;
use super::servers::Server;
use crate::place;
use crate::rpc::MODERN;

/// Cells that a clause of PROTOCOL 4.4 rules out.
#[derive(Debug)]
pub(super) struct Excluded {
    /// The start of a client's name; nothing: any.
    client: String,
    /// A server; nothing: any.
    server: String,
    feature: String,
    /// The era that the client speaks with Gatehouse; nothing: either.
    speaks: String,
    pub(super) clause: i64,
    pub(super) why: String,
    /// Whether it may work all the same, by chance.
    pub(super) by_chance: bool,
}

pub(super) fn read() -> Vec<Excluded> {
    let path = place::file("tests/matrix/excluded.toml");
    let text = std::fs::read_to_string(path).expect("the exclusions can be read");
    let file: Value = toml::from_str(&text).expect("the exclusions are TOML");
    let all = file["excluded"].as_array().into_iter().flatten();
    all.map(Excluded::from).collect()
}

impl Excluded {
    fn from(entry: &Value) -> Self {
        let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        let excluded = Self {
            client: text("client"),
            server: text("server"),
            feature: text("feature"),
            speaks: text("speaks"),
            clause: entry["clause"].as_i64().unwrap_or_default(),
            why: text("why"),
            by_chance: entry["by_chance"].as_bool().unwrap_or_default(),
        };
        let whole = !excluded.feature.is_empty() && excluded.clause > 0 && !excluded.why.is_empty();
        assert!(
            whole,
            "an exclusion needs a feature, a clause and a reason: {entry}"
        );
        excluded
    }

    pub(super) fn covers(
        &self,
        client: &Client,
        server: &Server,
        feature: &str,
        revision: Option<&str>,
    ) -> bool {
        let era = match revision {
            Some(MODERN) => "modern",
            Some(_) => "legacy",
            // Whoever did not connect is excused from nothing.
            None => return false,
        };
        self.feature == feature
            && client.name.starts_with(&self.client)
            && (self.server.is_empty() || self.server == server.name)
            && (self.speaks.is_empty() || self.speaks == era)
    }
}
