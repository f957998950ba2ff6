//! Batches, which clients of 2025-03-26 may send.

use serde_json::{Value, json};
use tests::catalog;
use tests::mesh::Mesh;
use tests::rpc::Session;

fn request(id: u64, method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

#[test]
fn each_message_of_a_batch_is_decided_on_and_recorded_by_itself() {
    let mesh = Mesh::new()
        .with(&[
            catalog::fixture("slow", &[]),
            catalog::allow("all", "engineering", &["*"]),
            catalog::deny_tool("no-count", "engineering", "slow", "cancelled"),
        ])
        .edges(2)
        .start();
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    let url = mesh.url(0, "slow");
    let old = Session::begin_speaking(&url, &key, "2025-03-26");
    let batch = json!([
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        request(1, "tools/list", &json!({})),
        request(2, "tools/call", &json!({"name": "cancelled", "arguments": {}})),
        request(3, "tools/call", &json!({"name": "sleep", "arguments": {"seconds": 0.01}})),
        request(4, "initialize", &json!({"protocolVersion": "2025-03-26", "capabilities": {}})),
    ]);
    let answers = old
        .at(&mesh.url(1, "slow"))
        .post(&batch)
        .send()
        .expect_status(200);
    let answers: Vec<Value> = serde_json::from_slice(&answers.body).expect("an array");
    let ids: Vec<_> = answers.iter().map(|answer| answer["id"].clone()).collect();
    assert_eq!(ids[..3], [json!(1), json!(2), json!(3)], "{answers:#?}");
    let listed = answers[0]["result"]["tools"].to_string();
    assert!(
        listed.contains("\"sleep\"") && !listed.contains("\"cancelled\""),
        "{answers:#?}"
    );
    assert_eq!(answers[1]["error"]["code"], -32602);
    assert!(answers[2].get("result").is_some(), "{answers:#?}");
    assert_eq!(
        (&answers[3]["id"], &answers[3]["error"]["code"]),
        (&json!(4), &json!(-32600)),
        "initialize is no part of a batch"
    );
    mesh.recorded(&["--tool", "sleep"], |row| row["decision"] == "allow");
    mesh.recorded(&["--tool", "cancelled"], |row| row["decision"] == "deny");
    let told = json!([{"jsonrpc": "2.0", "method": "notifications/initialized"}]);
    old.post(&told).send().expect_status(202);
    old.post(&json!([])).send().expect_status(400);
    // Nobody else sends batches.
    let newer = Session::begin(&url, &key);
    let refused = newer.post(&batch).send().expect_status(400);
    assert!(refused.text().contains("2025-03-26"), "{refused}");
}
