#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use http::HeaderMap;
use mcp::revision::Revision;
use model::key::{KeyRing, SealingKey};
use model::record::{CallId, Trace};
use model::snapshot::Snapshot;
use serde_json::{Value, json};

use super::*;

fn config(has_keys: bool) -> Arc<Config> {
    let ring = KeyRing {
        session_keys: vec![SealingKey {
            id: 1,
            key: [5; 32],
        }],
        api_key_pepper: [0; 32],
    };
    let snapshot = Snapshot {
        key_ring: has_keys.then(|| Arc::new(ring)),
        ..Snapshot::default()
    };
    Arc::new(Config::compile(Arc::new(snapshot)).unwrap())
}

/// What an edge makes of a message of `user`; what a sidecar does, where it is told `stated`.
struct At<'a> {
    config: Arc<Config>,
    user: &'a str,
    stated: Option<Option<Stated>>,
}

impl At<'_> {
    fn with<T>(&self, message: &Value, f: impl FnOnce(&Call<'_>) -> T) -> T {
        let body = Bytes::from(message.to_string());
        let read = envelope::scan(&body, &Limits::REQUEST).unwrap();
        let principal = Arc::new(Principal::new(self.user, &[], None, "k"));
        let server = ServerName::new("it").unwrap();
        let tasks = match &self.stated {
            None => Tasks::of_request(&self.config, (&principal, &server), (&body, &read)),
            Some(stated) => Tasks::as_told(stated.as_ref(), (&body, &read)),
        };
        f(&Call {
            id: CallId([1; 16]),
            server: &server,
            principal: &principal,
            client_address: None,
            config: &self.config,
            body: &body,
            message: &read,
            revision: Revision::V2026_07_28,
            session: None,
            trace: Trace {
                trace_id: [1; 16],
                span_id: [2; 8],
                parent: None,
                sampled: true,
            },
            sse: true,
            headers: &HeaderMap::new(),
            client: "",
            came: None,
            tasks: &tasks,
            approval: None,
        })
    }
}

fn edge(config: &Arc<Config>, user: &'static str) -> At<'static> {
    At {
        config: config.clone(),
        user,
        stated: None,
    }
}

fn request(method: &str, mut params: Value) -> Value {
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] =
        json!({"extensions": {EXTENSION: {}}});
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

fn sealed(call: &Call<'_>, message: &Value) -> Option<Value> {
    let mut sealer = Sealer::of(call).unwrap().of_node(Some("side-1".into()));
    let sealed = sealer.seal(&Bytes::from(message.to_string()))?;
    Some(serde_json::from_slice(&sealed).unwrap())
}

/// The id by which ana knows the task `raw` of the tool `make`.
fn id_of(config: &Arc<Config>, raw: &str) -> String {
    let begun = json!({"jsonrpc": "2.0", "id": 1, "result": {"resultType": "task", "taskId": raw}});
    let call = request(method::TOOLS_CALL, json!({"name": "make", "arguments": {}}));
    let sealed = edge(config, "ana").with(&call, |call| {
        assert!(may_be_named(call));
        sealed(call, &begun).unwrap()
    });
    sealed["result"]["taskId"].as_str().unwrap().to_owned()
}

fn sent(call: &Call<'_>) -> Result<Value, i64> {
    let sent = going_on(call).map_err(|fault| fault.rpc.unwrap().code)?;
    Ok(serde_json::from_slice(&sent).unwrap())
}

#[test]
fn an_id_leads_its_owner_to_the_tool_and_the_sidecar_and_nobody_else_anywhere() {
    let config = config(true);
    let id = id_of(&config, "raw");
    let get = request(method::TASKS_GET, json!({"taskId": id}));
    edge(&config, "ana").with(&get, |call| {
        let task = call.tasks.one.as_ref().unwrap();
        assert_eq!((task.tool(), &*task.id), (Some("make"), "raw"));
        assert_eq!(call.tasks.node(), Some("side-1"));
        assert_eq!(sent(call).unwrap()["params"]["taskId"], "raw");
        let stated = Stated(BTreeSet::from(["make".to_owned()]));
        assert_eq!(call.tasks.stated(), Some(stated));
        // The client goes on knowing it by the same id.
        let got = json!({"jsonrpc": "2.0", "id": 1, "result": {"taskId": "raw"}});
        assert_eq!(sealed(call, &got).unwrap()["result"]["taskId"], json!(id));
        // What the server asks about is a task of the client's.
        let asked =
            json!({"jsonrpc": "2.0", "id": 7, "method": "tasks/get", "params": {"taskId": "c"}});
        assert_eq!(sealed(call, &asked), Some(asked));
    });
    edge(&config, "sam").with(&get, |call| {
        assert_eq!(sent(call), Err(-32602));
        assert_eq!(call.tasks.stated(), None);
    });
    let raw = request(method::TASKS_GET, json!({"taskId": "raw"}));
    edge(&config, "ana").with(&raw, |call| assert_eq!(sent(call), Err(-32602)));
}

#[test]
fn a_sidecar_goes_by_what_an_edge_tells_it() {
    let config = config(false);
    let get = request(method::TASKS_GET, json!({"taskId": "raw"}));
    let listen = json!({"notifications": {"taskIds": ["a", "b"]}});
    let listen = request(method::SUBSCRIPTIONS_LISTEN, listen);
    let tools = |tools: &[&str]| Stated(tools.iter().map(|&tool| tool.to_owned()).collect());
    let told = |stated| At {
        config: config.clone(),
        user: "ana",
        stated: Some(stated),
    };
    told(Some(tools(&["make"]))).with(&get, |call| {
        let tool = call.tasks.one.as_ref().and_then(Task::tool);
        assert_eq!(tool, Some("make"));
        assert_eq!(sent(call), Ok(get.clone()));
    });
    told(Some(tools(&["make", "other"]))).with(&listen, |call| {
        let of: Vec<_> = call.tasks.heard_of.iter().filter_map(Task::tool).collect();
        assert_eq!(of, ["make", "other"]);
        assert_eq!(sent(call), Ok(listen.clone()));
    });
    // Edges of a former version tell nothing, and send what only they could read.
    told(None).with(&get, |call| assert_eq!(sent(call), Err(-32601)));
    told(None).with(&listen, |call| assert_eq!(sent(call), Err(-32602)));
}

#[test]
fn who_listens_hears_of_tasks_by_the_ids_that_were_asked_for_and_of_no_others() {
    let config = config(true);
    let id = id_of(&config, "raw");
    let listen = |ids: Value| {
        request(
            method::SUBSCRIPTIONS_LISTEN,
            json!({"notifications": {"taskIds": ids}}),
        )
    };
    let said = |id: &str| {
        json!({"jsonrpc": "2.0", "method": method::TASKS_CHANGED,
            "params": {"taskId": id, "status": "working"}})
    };
    edge(&config, "ana").with(&listen(json!([id])), |call| {
        assert!(may_be_named(call));
        let sent = sent(call).unwrap();
        assert_eq!(sent["params"]["notifications"]["taskIds"], json!(["raw"]));
        let heard = sealed(call, &said("raw")).unwrap();
        assert_eq!(heard["params"]["taskId"], json!(id));
        assert_eq!(sealed(call, &said("somebody's")), None);
    });
    let with_another = listen(json!([id, "somebody's"]));
    edge(&config, "ana").with(&with_another, |call| assert_eq!(sent(call), Err(-32602)));
    edge(&config, "ana").with(&listen(json!([])), |call| assert!(!may_be_named(call)));
}

#[test]
fn what_a_list_names_is_of_no_known_tool_and_what_is_too_long_is_not_shown() {
    let config = config(true);
    let list = request(method::TASKS_LIST, json!({}));
    let id = edge(&config, "ana").with(&list, |call| {
        let listed = json!({"jsonrpc": "2.0", "id": 1, "result": {"tasks": [{"taskId": "raw"}]}});
        let listed = sealed(call, &listed).unwrap();
        let long = json!({"jsonrpc": "2.0", "id": 1, "result": {"taskId": "x".repeat(2048)}});
        assert_eq!(sealed(call, &long), None);
        listed["result"]["tasks"][0]["taskId"].clone()
    });
    let get = request(method::TASKS_GET, json!({"taskId": id}));
    edge(&config, "ana").with(&get, |call| {
        let task = call.tasks.one.as_ref().unwrap();
        assert_eq!((task.tool(), &*task.id), (None, "raw"));
    });
}

#[test]
fn no_list_of_tasks_is_offered() {
    let begin = request(method::INITIALIZE, json!({}));
    for has_keys in [true, false] {
        edge(&config(has_keys), "ana").with(&begin, |call| {
            let said = |tasks: Value| {
                json!({"jsonrpc": "2.0", "id": 1, "result": {"capabilities": {"tasks": tasks}}})
            };
            let offered = |tasks| {
                let mut sealer = Sealer::of(call).unwrap();
                let left = sealer.seal(&Bytes::from(said(tasks).to_string())).unwrap();
                serde_json::from_slice::<Value>(&left).unwrap()
            };
            let rest = json!({"cancel": {}, "requests": {"tools": {"call": {}}}});
            let mut whole = rest.clone();
            whole["list"] = json!({});
            assert_eq!(offered(whole), said(rest.clone()));
            assert_eq!(offered(rest.clone()), said(rest));
        });
    }
}
