//! Tasks: what a call has begun is asked for through any edge, by whoever began it and may still use its tool, and by nobody
//! else; behind sidecars over HTTP and over standard streams, and through virtual servers.

mod servers;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tests::by_hand::ByHand;
use tests::catalog;
use tests::fixture_server::{FixtureServer, Made, Speaks, argv};
use tests::http::Response;
use tests::listener::Listener;
use tests::mesh::{Mesh, Running};
use tests::rpc::{Modern, Session};
use tests::wait;

/// How long a task of these tests may take.
const TASK: Duration = Duration::from_secs(20);
const EXTENSION: &str = "io.modelcontextprotocol/tasks";

/// What must run as long as the mesh does.
struct Scene {
    mesh: Running,
    _servers: Vec<FixtureServer>,
    _old: Listener,
    _sidecars: Vec<ByHand>,
}

/// `aside`: two sidecars, each before a server of its own; `own` and `shared`: processes of one user, and of all; `old`: a
/// legacy server; `old-own`: the same over standard streams; `whole`: three of them as one.
fn scene(more: &[Value]) -> Scene {
    let stdio = argv(Made::Rust, Speaks::Modern, &["stdio"]);
    let mut resources = vec![
        catalog::external("aside"),
        catalog::external("old"),
        catalog::own_command("own", &stdio),
        catalog::command("shared", &stdio),
        catalog::own_fixture("old-own", "tasks"),
        catalog::virtual_server(
            "whole",
            &[("aside", "a_"), ("own", "o_"), ("old-own", "l_")],
        ),
        catalog::virtual_server("plain", &[("shared", "s_")]),
        catalog::allow("all", "engineering", &["*"]),
    ];
    resources.extend_from_slice(more);
    let mesh = Mesh::new().with(&resources).edges(2).start();
    let servers: Vec<_> = (0..2)
        .map(|_| FixtureServer::start(Made::Rust, Speaks::Both))
        .collect();
    let old = Listener::start(servers::old);
    let mut sidecars = vec![ByHand::sidecar(&mesh, "old", &old.url("/mcp"))];
    for (at, server) in servers.iter().enumerate() {
        let name = format!("aside-{at}");
        sidecars.push(ByHand::named_sidecar(&mesh, &name, "aside", server.url()));
    }
    for server in ["aside", "old", "own", "shared", "old-own"] {
        mesh.server_in(server, "ready");
    }
    wait::until("both sidecars to be there", TASK, || {
        let nodes = mesh.gatehouse(&["nodes"]).good().stdout;
        let count = nodes.lines().filter(|line| line.starts_with("aside-"));
        if count.count() == 2 {
            Ok(())
        } else {
            Err(nodes)
        }
    });
    Scene {
        mesh,
        _servers: servers,
        _old: old,
        _sidecars: sidecars,
    }
}

fn key(mesh: &Running, user: &str) -> String {
    mesh.key(user, &["engineering"]).text
}

/// A modern client that knows tasks.
fn knowing(mesh: &Running, edge: usize, server: &str, key: &str) -> Modern {
    let able = json!({"extensions": {EXTENSION: {}}, "elicitation": {}});
    Modern::new(&mesh.url(edge, server), key).able(&able)
}

#[track_caller]
fn begin(client: &Modern, tool: &str, arguments: Value) -> String {
    let begun = client.call(tool, arguments);
    let result = begun.result();
    assert_eq!(result["resultType"], "task", "{begun}");
    result["taskId"].as_str().expect("it is text").to_owned()
}

fn get(client: &Modern, task: &str) -> Response {
    client.request("tasks/get", json!({"taskId": task})).send()
}

/// The task once it is in this state.
fn once(client: &Modern, task: &str, status: &str) -> Value {
    wait::until("the task", TASK, || {
        let result = get(client, task).result();
        assert_eq!(
            result["taskId"], task,
            "it is called as its client knows it"
        );
        if result["status"] == status {
            Ok(result)
        } else {
            Err(result.to_string())
        }
    })
}

#[test]
fn a_task_behind_a_sidecar_is_asked_for_through_any_edge_by_whoever_began_it() {
    let scene = scene(&[]);
    let mesh = &scene.mesh;
    let (ana, sam) = (key(mesh, "ana@example.com"), key(mesh, "sam@example.com"));
    for server in ["aside", "own"] {
        let (here, there) = (
            knowing(mesh, 0, server, &ana),
            knowing(mesh, 1, server, &ana),
        );
        // Of several sidecars some answer each.
        let tasks: Vec<_> = (0..4)
            .map(|_| begin(&here, "slow_compute", json!({"seconds": 0.2})))
            .collect();
        assert_eq!(tasks.iter().collect::<BTreeSet<_>>().len(), 4);
        for task in &tasks {
            let done = once(&there, task, "completed");
            let text = done["result"]["content"][0]["text"].as_str();
            assert!(
                text.is_some_and(|text| text.starts_with("Computed for")),
                "{done}"
            );
            for edge in [0, 1] {
                let strange = get(&knowing(mesh, edge, server, &sam), task);
                assert_eq!(strange.error_code(), -32602, "{server}: {strange}");
            }
        }
        let asked = begin(&here, "confirm_delete", json!({"filename": "a.txt"}));
        let asks = once(&there, &asked, "input_required");
        let question = asks["inputRequests"].as_object().expect("it asks");
        let name = question.keys().next().expect("it asks one thing");
        let answer = json!({"taskId": asked, "inputResponses": {
            name: {"action": "accept", "content": {"confirm": true}}}});
        there.request("tasks/update", answer).send().result();
        let done = once(&here, &asked, "completed");
        assert_eq!(
            done["result"]["content"][0]["text"], "a.txt deleted: true",
            "{done}"
        );
        let long = begin(&here, "slow_compute", json!({"seconds": 600}));
        let cancelled = there
            .request("tasks/cancel", json!({"taskId": long}))
            .send();
        cancelled.result();
        once(&here, &long, "cancelled");
        // Who does not know tasks is told so, and gets none.
        let plain = Modern::new(&mesh.url(1, server), &ana);
        assert_eq!(get(&plain, &tasks[0]).error_code(), -32021);
        let answer = plain.call("slow_compute", json!({"seconds": 0}));
        assert_eq!(answer.result()["resultType"], "complete", "{answer}");
        let listed = here.request("tasks/list", json!({})).send();
        assert_eq!(listed.error_code(), -32601, "{listed}");
    }
}

#[test]
fn what_is_offered_of_tasks_is_what_is_served() {
    let scene = scene(&[]);
    let mesh = &scene.mesh;
    let ana = key(mesh, "ana@example.com");
    for (server, offers) in [
        ("aside", true),
        ("own", true),
        ("whole", true),
        ("shared", false),
        ("plain", false),
        ("old", false),
        ("old-own", false),
    ] {
        let client = knowing(mesh, 0, server, &ana);
        let said = client.request("server/discover", json!({})).send().result();
        let extension = &said["capabilities"]["extensions"][EXTENSION];
        assert_eq!(extension.is_object(), offers, "{server}: {said}");
        let strange = get(&client, "not-a-task");
        assert_eq!(strange.error_code(), -32602, "{server}: {strange}");
    }
    // Of a process that all share nobody gets one.
    let client = knowing(mesh, 0, "shared", &ana);
    let answer = client.call("slow_compute", json!({"seconds": 0}));
    assert_eq!(answer.result()["resultType"], "complete", "{answer}");
    for (server, offers) in [
        ("old", true),
        ("old-own", true),
        ("whole", true),
        ("own", false),
        ("plain", false),
    ] {
        let begun = Session::beginning(&mesh.url(0, server), &ana)
            .send()
            .result();
        let tasks = &begun["capabilities"]["tasks"]["requests"]["tools"]["call"];
        assert_eq!(tasks.is_object(), offers, "{server}: {begun}");
        let list = &begun["capabilities"]["tasks"]["list"];
        assert_eq!(list.is_object(), server == "old-own", "{server}: {begun}");
    }
}

#[test]
fn a_legacy_clients_task_is_its_own_and_a_list_of_them_is_only_of_its_own_process() {
    let scene = scene(&[]);
    let mesh = &scene.mesh;
    let (ana, sam) = (key(mesh, "ana@example.com"), key(mesh, "sam@example.com"));
    for server in ["old", "old-own", "whole"] {
        let tool = if server == "whole" { "l_make" } else { "make" };
        let session = Session::begin(&mesh.url(0, server), &ana);
        let params = json!({"name": tool, "arguments": {}, "task": {"ttl": 60_000}});
        let begun = session.request("tools/call", params).send();
        let task = begun.result()["task"]["taskId"].clone();
        let id = task.as_str().expect("it is text");
        assert!(
            !id.contains("task-"),
            "{server}: the server's own id is not shown: {id}"
        );
        let there = session.at(&mesh.url(1, server));
        let asked =
            |session: &Session, method: &str| session.request(method, json!({"taskId": id})).send();
        assert_eq!(asked(&there, "tasks/get").result()["taskId"], task);
        let result = asked(&there, "tasks/result");
        assert_eq!(result.content(), "made by a task");
        let related = &result.result()["_meta"]["io.modelcontextprotocol/related-task"];
        assert_eq!(related["taskId"], task, "{result}");
        let strange = Session::begin(&mesh.url(1, server), &sam);
        assert_eq!(asked(&strange, "tasks/get").error_code(), -32602);
        for raw in ["task-of-all", "task-0", "old-own:task-0"] {
            let guessed = session.request("tasks/get", json!({"taskId": raw})).send();
            assert_eq!(guessed.error_code(), -32602, "{server}: {guessed}");
        }
        let listed = session.request("tasks/list", json!({})).send();
        if server != "old-own" {
            assert_eq!(listed.error_code(), -32601, "{server}: {listed}");
            continue;
        }
        let named = listed.result()["tasks"][0]["taskId"].clone();
        let got = there.request("tasks/get", json!({"taskId": named})).send();
        assert_eq!(got.result()["taskId"], named, "{got}");
    }
}

#[test]
fn rules_and_filters_of_a_tool_reach_what_comes_of_its_tasks() {
    let mut words = catalog::words("words", &["always does"]);
    words["spec"]["match"]["tools"] = json!(["failing_job"]);
    let scene = scene(&[words]);
    let mesh = &scene.mesh;
    let ana = key(mesh, "ana@example.com");
    for (server, prefix) in [("aside", ""), ("own", ""), ("whole", "a_")] {
        let client = knowing(mesh, 0, server, &ana);
        let failing = begin(&client, &format!("{prefix}failing_job"), json!({}));
        let refused = wait::until("the filter to see the result", TASK, || {
            let answer = get(&client, &failing);
            if answer
                .try_messages()
                .is_ok_and(|all| all[0].get("error").is_some())
            {
                Ok(answer)
            } else {
                Err(answer.to_string())
            }
        });
        assert_eq!(
            refused.refusal(),
            (-31010, "filter".to_owned()),
            "{refused}"
        );
    }
    let client = knowing(mesh, 0, "aside", &ana);
    let (slow, other) = (
        begin(&client, "slow_compute", json!({"seconds": 0})),
        begin(&client, "confirm_delete", json!({"filename": "a"})),
    );
    once(&client, &slow, "completed");
    let deny = catalog::deny_tool("no-computing", "engineering", "aside", "slow_compute");
    mesh.apply(&[deny]).ended_with(0);
    for edge in [0, 1] {
        let client = knowing(mesh, edge, "aside", &ana);
        let refused = get(&client, &slow);
        assert_eq!(refused.error_code(), -32602, "{refused}");
        let heard = json!({"notifications": {"taskIds": [slow]}});
        let refused = client.request("subscriptions/listen", heard).send();
        assert!(
            refused
                .try_messages()
                .is_ok_and(|all| all[0].get("error").is_some()),
            "{refused}"
        );
        assert_eq!(get(&client, &other).result()["taskId"], json!(other));
    }
}

#[test]
fn a_virtual_servers_task_is_its_members() {
    let scene = scene(&[]);
    let mesh = &scene.mesh;
    let (ana, sam) = (key(mesh, "ana@example.com"), key(mesh, "sam@example.com"));
    let (here, there) = (
        knowing(mesh, 0, "whole", &ana),
        knowing(mesh, 1, "whole", &ana),
    );
    for (tool, member) in [("a_slow_compute", "aside"), ("o_slow_compute", "own")] {
        let task = begin(&here, tool, json!({"seconds": 0.2}));
        assert!(task.starts_with(&format!("{member}:")), "{task}");
        once(&there, &task, "completed");
        let row = mesh.recorded(&["--server", member], |row| row["method"] == "tasks/get");
        assert_eq!(row["decision"], "allow", "{row}");
        let strange = get(&knowing(mesh, 1, "whole", &sam), &task);
        assert_eq!(strange.error_code(), -32602, "{strange}");
        // At the member itself it goes by the name that it has there.
        let own = task.split_once(':').map_or("", |(_, own)| own);
        once(&knowing(mesh, 1, member, &ana), own, "completed");
    }
    let long = begin(&here, "a_slow_compute", json!({"seconds": 600}));
    there
        .request("tasks/cancel", json!({"taskId": long}))
        .send()
        .result();
    once(&here, &long, "cancelled");
    let nowhere = get(&here, "nobody:abc");
    assert_eq!(nowhere.error_code(), -32602, "{nowhere}");
}

#[test]
fn who_listens_hears_of_its_own_tasks_and_its_filters_see_what_came_of_them() {
    let server = Listener::start(servers::telling);
    let mut words = catalog::words("words", &["made"]);
    words["spec"]["match"]["tools"] = json!(["seen"]);
    words["spec"]["match"]["servers"] = json!(["seen-far", "seen-near"]);
    let mesh = Mesh::new()
        .with(&[
            catalog::remote("near", &server.url("/mcp")),
            catalog::external("far"),
            catalog::remote("seen-near", &server.url("/mcp")),
            catalog::external("seen-far"),
            catalog::virtual_server("both", &[("near", "n_"), ("far", "f_")]),
            catalog::allow("all", "engineering", &["*"]),
            words,
        ])
        .edges(2)
        .start();
    let sidecars = ["far", "seen-far"];
    let _sidecars = sidecars.map(|name| ByHand::sidecar(&mesh, name, &server.url("/mcp")));
    for name in sidecars {
        mesh.server_in(name, "ready");
    }
    let (ana, sam) = (key(&mesh, "ana@example.com"), key(&mesh, "sam@example.com"));
    for (name, tool, is_seen) in [
        ("near", "make", false),
        ("far", "make", false),
        ("both", "n_make", false),
        ("both", "f_make", false),
        ("seen-near", "seen", true),
        ("seen-far", "seen", true),
    ] {
        let task = begin(&knowing(&mesh, 0, name, &ana), tool, json!({}));
        let wanted = json!({"notifications": {"taskIds": [task]}});
        let listen = |key: &str| {
            let client = knowing(&mesh, 1, name, key);
            client
                .request("subscriptions/listen", wanted.clone())
                .send()
        };
        let heard = listen(&ana);
        let messages = heard.messages();
        assert_eq!(
            messages[0]["params"]["notifications"]["taskIds"],
            json!([task]),
            "{heard}"
        );
        let told: Vec<_> = messages
            .iter()
            .filter(|message| message["method"] == "notifications/tasks")
            .collect();
        assert_eq!(told.len(), usize::from(!is_seen), "{name}: {heard}");
        for message in told {
            assert_eq!(message["params"]["taskId"], json!(task));
        }
        assert!(!heard.text().contains("raw-"), "{heard}");
        assert_eq!(listen(&sam).error_code(), -32602);
    }
}
