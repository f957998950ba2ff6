//! Where whoever runs us wants to have a word: files that say that we stand there, and that we may go on.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

pub fn reach(gate: &Value) {
    if let Some(reached) = gate["reached"].as_str() {
        // Whoever waits for it says so.
        let _ = std::fs::write(reached, "");
    }
}

/// Says that we stand before a gate, and waits until it is open.
pub async fn pass(gate: &Value) {
    reach(gate);
    if let Some(open) = gate["open"].as_str() {
        while !Path::new(open).exists() {
            sleep(PAUSE).await;
        }
    }
}
