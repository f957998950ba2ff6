//! What filters refuse of what servers ask is answered to the server, which does not wait for what cannot come: also where
//! the edge calls it itself.

use std::time::Duration;

use serde_json::json;
use tests::catalog;
use tests::fixture_server::{FixtureServer, Made, Speaks, argv};
use tests::mesh::Mesh;
use tests::rpc::Session;

use super::ground;

/// Far below the time that a server's question may take.
const SOON: Duration = Duration::from_secs(15);

#[test]
fn a_question_that_a_filter_refuses_and_an_answer_that_one_refuses_end_the_wait() {
    let remote = FixtureServer::start(Made::Python, Speaks::Legacy);
    let stdio = argv(Made::Python, Speaks::Legacy, &["stdio"]);
    let mut words = catalog::words("words", &["hacking"]);
    words["spec"]["match"]["methods"] = json!(["elicitation/create"]);
    let mut resources = vec![
        catalog::remote("direct", remote.url()),
        catalog::own_command("stdio", &stdio),
        words,
    ];
    resources.extend(ground());
    let mesh = Mesh::new().with(&resources).start();
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    for server in ["direct", "stdio"] {
        mesh.server_in(server, "ready");
        let able = json!({"elicitation": {}});
        let session = Session::begin_with(&mesh.url(0, server), &key, &able);
        let asking = |text: &str| {
            let call = session.calling("test_elicitation", json!({"message": text}));
            call.deadline(SOON)
        };
        // The question never comes to the client, and the server hears so.
        let refused = asking("about hacking").send();
        let messages = refused.messages();
        assert_eq!(messages.len(), 1, "{server}: {refused}");
        assert!(!refused.text().contains("elicitation/create"), "{refused}");
        let row = mesh.recorded(&["--server", server], |row| row["findings"] != json!([]));
        assert_eq!(row["findings"], json!(["words: deny question"]), "{row:#}");
        // The client's answer never comes to the server, and the server hears so.
        let mut open = asking("a harmless question").open();
        let asked = open.messages(1).pop().expect("a question");
        let content = json!({"username": "hacking", "email": "a@b"});
        let result = json!({"action": "accept", "content": content});
        let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "result": result});
        let told = session.post(&answer).send();
        assert_eq!(told.refusal(), (-31010, "filter".to_owned()), "{told}");
        let ended = open.whole();
        assert!(!ended.text().contains("hacking"), "{server}: {ended}");
    }
}
