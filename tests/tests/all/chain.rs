//! How filters run: who sees what, how often, and what becomes of it.

mod change;
mod cost;
mod observe;
mod once;
mod outage;
mod questions;
mod stream;

use serde_json::{Value, json};
use tests::catalog;
use tests::listener::Answer;

/// A key after Standard Webhooks.
const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn allow() -> Answer {
    Answer::json(&json!({"verdict": "allow"}))
}

/// A filter that asks a receiver about all messages of these servers.
fn of_all(name: &str, servers: &[&str], url: &str) -> Value {
    let mut filter = catalog::webhook(name, servers, url, "key");
    filter["spec"]["match"]["methods"] = json!(["*"]);
    filter["spec"]["webhook"]["timeout"] = json!("5s");
    filter
}

/// The rule and the secret that all of these tests need.
fn ground() -> [Value; 2] {
    [
        catalog::allow("all", "engineering", &["*"]),
        catalog::secret("key", KEY),
    ]
}
