//! Calls that wait for a person: granted, refused, over; for one use, for these arguments, by whom the rule names.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::{Value, json};
use tests::catalog;
use tests::http::{Open, Request, Response};
use tests::listener::{Answer, Listener};
use tests::mesh::{Mesh, Running};
use tests::process::{Output, Process};
use tests::rpc::{Modern, Session, id_of};
use tests::shared::{Guest, Shared};
use tests::wait;

const REFUSED: i64 = -31010;
/// How long what a test waits for may take.
const SOON: Duration = Duration::from_secs(30);

/// A rule that wants somebody to agree to a group's calls of `sleep` on these servers.
fn four_eyes(name: &str, group: &str, servers: &[&str], approvers: &Value) -> Value {
    let mut rule = catalog::deny_tool(name, group, servers[0], "sleep");
    rule["spec"]["effect"] = json!("approve");
    rule["spec"]["servers"] = json!(servers);
    if *approvers != json!([]) {
        rule["spec"]["approvers"] = approvers.clone();
    }
    rule
}

fn resources() -> Vec<Value> {
    vec![
        catalog::named_fixture("pay", "slow", &[]),
        catalog::named_fixture("bank", "slow", &[]),
        catalog::virtual_server("desk", &[("pay", "pay_")]),
        catalog::allow("all", "engineering", &["*"]),
        catalog::resource(
            "Group",
            "finance",
            &json!({"members": [{"user": "gil@example.com"}]}),
        ),
        catalog::allow("traders", "trading", &["bank"]),
        four_eyes("four-eyes", "engineering", &["pay"], &json!([])),
        four_eyes(
            "finance",
            "trading",
            &["bank"],
            &json!([{"group": "finance"}]),
        ),
    ]
}

/// Two edges; `engineering` may call `sleep` on `pay` when an administrator agrees, `trading` on `bank` when somebody in
/// `finance` does.
fn office() -> Guest {
    static MESH: Shared = Shared::new();
    MESH.get(|| Mesh::new().with(&resources()).edges(2).start_shared())
}

fn engineer(mesh: &Running, user: &str) -> String {
    mesh.key(user, &["engineering"]).text
}

fn sleep(seconds: f64) -> Value {
    json!({ "seconds": seconds })
}

fn all_of(mesh: &Running, user: &str, words: &[&str]) -> Vec<Value> {
    let words: Vec<_> = ["approve", "-o", "json"]
        .iter()
        .chain(words)
        .copied()
        .collect();
    let items = mesh.gatehouse(&words).good().items();
    items
        .into_iter()
        .filter(|item| item["user"] == user)
        .collect()
}

/// Waits until a call of `user` waits, and answers with what approvers see of it.
#[track_caller]
fn pending(mesh: &Running, user: &str) -> Value {
    wait::until(&format!("a call of {user} to wait"), SOON, || {
        let mut items = all_of(mesh, user, &[]);
        items.pop().ok_or_else(|| "none does".to_owned())
    })
}

fn id(approval: &Value) -> &str {
    approval["id"].as_str().expect("an approval has an id")
}

fn approve(mesh: &Running, approval: &Value, words: &[&str]) -> Output {
    let words: Vec<_> = ["approve", id(approval)]
        .iter()
        .chain(words)
        .copied()
        .collect();
    mesh.gatehouse(&words)
}

/// A legacy call that asks for progress.
fn with_progress(session: &Session, arguments: Value) -> Request {
    let params =
        json!({"name": "sleep", "arguments": arguments, "_meta": {"progressToken": "tok"}});
    session.request("tools/call", params)
}

/// Why a call was not approved.
#[track_caller]
fn not_approved(response: &Response) -> String {
    let error = response.error();
    assert_eq!(error["code"], REFUSED, "{response}");
    assert_eq!(error["data"]["reason"], "approval", "{response}");
    error["message"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_legacy_call_waits_with_progress_until_somebody_agrees() {
    let mesh = office();
    let key = engineer(&mesh, "leg@example.com");
    let session = Session::begin(&mesh.url(0, "pay"), &key);
    assert_eq!(
        session.tools(),
        ["sleep", "cancelled"],
        "it is there to be seen"
    );
    let call = with_progress(&session, json!({"seconds": 0, "password": "hunter2"}));
    let mut open = call.open();
    let told = open.first_message();
    assert_eq!(told["method"], "notifications/progress", "{told}");
    assert_eq!(told["params"]["progressToken"], "tok");
    let waits = pending(&mesh, "leg@example.com");
    let message = told["params"]["message"].as_str().unwrap_or_default();
    assert!(
        message.contains(id(&waits)) && message.contains("an administrator"),
        "{told}"
    );
    assert_eq!(
        (&waits["server"], &waits["name"], &waits["rule"]),
        (&json!("pay"), &json!("sleep"), &json!("four-eyes"))
    );
    assert_eq!(
        waits["arguments"],
        json!({"seconds": 0, "password": "[left out]"})
    );
    approve(&mesh, &waits, &["--comment", "go on"]).good();
    let answer = open.whole();
    assert_eq!(answer.content(), "slept 0 s");
    let row = mesh.recorded(&["--user", "leg@example.com"], |row| {
        row["request_id"] == id_of(&call).as_str() && row["approver"].is_string()
    });
    assert_eq!(
        (&row["decision"], &row["reason"]),
        (&json!("approve"), &Value::Null),
        "{row}"
    );
    assert_eq!(
        (&row["approval"], &row["approver"], &row["rule"]),
        (&waits["id"], &json!("admin"), &json!("four-eyes"))
    );
}

#[test]
fn an_approval_is_for_one_use() {
    let mesh = office();
    let user = "once@example.com";
    let session = Session::begin(&mesh.url(0, "pay"), &engineer(&mesh, user));
    let first = session.calling("sleep", sleep(0.01)).open();
    let waits = pending(&mesh, user);
    approve(&mesh, &waits, &[]).good();
    assert_eq!(first.whole().content(), "slept 0.01 s");
    let second = session.calling("sleep", sleep(0.01)).open();
    let next = pending(&mesh, user);
    assert_ne!(next["id"], waits["id"]);
    approve(&mesh, &next, &["--refuse", "--comment", "once is enough"]).good();
    let why = not_approved(&second.whole());
    assert!(why.contains("refused by admin: once is enough"), "{why}");
    let row = mesh.recorded(&["--user", user], |row| row["decision"] == "deny");
    assert_eq!(
        (&row["reason"], &row["approval"]),
        (&json!("approval"), &next["id"]),
        "{row}"
    );
    let again = approve(&mesh, &next, &[]).ended_with(1);
    assert!(again.to_string().contains("GH3202"), "{again}");
}

#[test]
fn who_asks_twice_waits_for_one_approval_and_one_of_them_goes() {
    let mesh = office();
    let user = "twice@example.com";
    let key = engineer(&mesh, user);
    let sessions = [0, 1].map(|edge| Session::begin(&mesh.url(edge, "pay"), &key));
    let mut open = sessions.map(|session| with_progress(&session, sleep(0.02)).open());
    for each in &mut open {
        each.first_message();
    }
    let waits = all_of(&mesh, user, &[]);
    assert_eq!(waits.len(), 1, "{waits:#?}");
    approve(&mesh, &waits[0], &[]).good();
    let answers = open.map(Open::whole);
    let went = answers
        .iter()
        .filter(|answer| answer.reply()["result"].is_object());
    assert_eq!(went.count(), 1, "{answers:?}");
    let refused = answers
        .iter()
        .find(|answer| answer.reply()["error"].is_object());
    not_approved(refused.expect("the other one"));
}

#[test]
fn a_client_that_left_finds_what_was_granted_meanwhile() {
    let mesh = office();
    let user = "left@example.com";
    let session = Session::begin(&mesh.url(0, "pay"), &engineer(&mesh, user));
    let mut open = with_progress(&session, sleep(0.03)).open();
    open.first_message();
    drop(open);
    let waits = pending(&mesh, user);
    approve(&mesh, &waits, &[]).good();
    // Another edge, and nobody is asked again; other arguments are another call.
    let elsewhere = session.at(&mesh.url(1, "pay"));
    assert_eq!(
        elsewhere.call("sleep", sleep(0.03)).content(),
        "slept 0.03 s"
    );
    let row = mesh.recorded(&["--user", user], |row| row["approval"].is_string());
    assert_eq!(row["approval"], waits["id"]);
}

#[test]
fn a_client_that_takes_no_stream_waits_plainly() {
    let mesh = office();
    let user = "plain@example.com";
    let session = Session::begin(&mesh.url(0, "pay"), &engineer(&mesh, user));
    let call = session
        .calling("sleep", sleep(0.04))
        .without("accept")
        .with("accept", "application/json");
    let answer = std::thread::scope(|threads| {
        let answer = threads.spawn(|| call.send());
        approve(&mesh, &pending(&mesh, user), &[]).good();
        answer.join().expect("it is answered")
    });
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.content(), "slept 0.04 s");
}

#[test]
fn a_modern_client_is_sent_away_and_goes_on_through_another_edge() {
    let mesh = office();
    let user = "mod@example.com";
    let key = engineer(&mesh, user);
    let client = Modern::new(&mesh.url(0, "pay"), &key).able(&json!({"elicitation": {"form": {}}}));
    let result = client.call("sleep", sleep(0.05)).result();
    assert_eq!(result["resultType"], "input_required", "{result}");
    let asked = &result["inputRequests"]["gatehouse_approval"];
    assert_eq!(asked["method"], "elicitation/create", "{result}");
    let waits = pending(&mesh, user);
    let message = asked["params"]["message"].as_str().unwrap_or_default();
    assert!(message.contains(id(&waits)), "{result}");
    let row = mesh.recorded(&["--user", user], |row| row["approval"].is_string());
    assert_eq!(
        (&row["reason"], &row["approval"]),
        (&json!("approval"), &waits["id"])
    );
    approve(&mesh, &waits, &[]).good();

    let state = &result["requestState"];
    let coming_back = |edge: usize, key: &str, arguments: Value, action: &str| {
        Modern::new(&mesh.url(edge, "pay"), key).request(
            "tools/call",
            json!({
                "name": "sleep",
                "arguments": arguments,
                "requestState": state,
                "inputResponses": {"gatehouse_approval": {"action": action, "content": {}}},
            }),
        )
    };
    let changed = coming_back(1, &key, sleep(0.051), "accept").send();
    assert!(not_approved(&changed).contains("arguments"), "{changed}");
    let stranger = engineer(&mesh, "stranger@example.com");
    let stolen = coming_back(1, &stranger, sleep(0.05), "accept").send();
    assert!(
        not_approved(&stolen).contains("not good for this caller"),
        "{stolen}"
    );
    let declined = coming_back(1, &key, sleep(0.05), "decline").send();
    assert!(
        not_approved(&declined).contains("does not wait"),
        "{declined}"
    );
    let went = coming_back(1, &key, sleep(0.05), "accept").send();
    assert_eq!(went.content(), "slept 0.05 s");
    let again = coming_back(0, &key, sleep(0.05), "accept").send();
    assert!(not_approved(&again).contains("one use"), "{again}");
}

#[test]
fn a_call_that_needs_no_approval_any_more_goes_on_with_what_it_was_sent_away_with() {
    let mesh = Mesh::new().with(&resources()).start();
    let key = engineer(&mesh, "eased@example.com");
    let client = Modern::new(&mesh.url(0, "pay"), &key).able(&json!({"elicitation": {"form": {}}}));
    let result = client.call("sleep", sleep(0.05)).result();
    assert_eq!(result["resultType"], "input_required", "{result}");
    mesh.gatehouse(&["delete", "AccessRule", "four-eyes", "--wait"])
        .good();
    let back = |action: &str| {
        let params = json!({
            "name": "sleep",
            "arguments": sleep(0.05),
            "requestState": result["requestState"],
            "inputResponses": {"gatehouse_approval": {"action": action, "content": {}}},
        });
        client.request("tools/call", params).send()
    };
    let declined = back("decline");
    assert_eq!(declined.error_code(), -32600, "{declined}");
    assert_eq!(back("accept").content(), "slept 0.05 s");
}

#[test]
fn a_modern_client_that_can_ask_nobody_gets_a_state_alone() {
    let mesh = office();
    let user = "state@example.com";
    let client = Modern::new(&mesh.url(0, "pay"), &engineer(&mesh, user));
    let result = client.call("sleep", sleep(0.06)).result();
    assert_eq!(result["resultType"], "input_required", "{result}");
    assert!(result.get("inputRequests").is_none(), "{result}");
    let params =
        json!({"name": "sleep", "arguments": sleep(0.06), "requestState": result["requestState"]});
    let answer = std::thread::scope(|threads| {
        // It waits a while of its own accord, and hears of it at once.
        let answer = threads.spawn(|| client.request("tools/call", params).send());
        approve(&mesh, &pending(&mesh, user), &[]).good();
        answer.join().expect("it is answered")
    });
    assert_eq!(answer.content(), "slept 0.06 s");
}

#[test]
fn a_call_through_a_virtual_server_waits_likewise() {
    let mesh = office();
    let user = "fed@example.com";
    let key = engineer(&mesh, user);
    let urls = [mesh.url(0, "desk"), format!("{}/mcp", mesh.edge(1))];
    for (url, seconds) in urls.iter().zip([0.07, 0.071]) {
        let session = Session::begin(url, &key);
        let params = json!({"name": "pay_sleep", "arguments": sleep(seconds), "_meta": {"progressToken": 7}});
        let mut open = session.request("tools/call", params).open();
        assert_eq!(open.first_message()["params"]["progressToken"], 7);
        let waits = pending(&mesh, user);
        assert_eq!(
            (&waits["server"], &waits["name"]),
            (&json!("pay"), &json!("sleep"))
        );
        approve(&mesh, &waits, &[]).good();
        assert_eq!(open.whole().content(), format!("slept {seconds} s"));
    }
}

#[test]
fn only_approvers_that_the_rule_names_decide_and_nobody_about_their_own() {
    let mesh = office();
    let user = "tess@example.com";
    let tess = mesh.key(user, &["trading", "finance"]).text;
    let fin = mesh.key("fin@example.com", &["finance"]).text;
    let sam = mesh.key("sam@example.com", &["sales"]).text;
    let session = Session::begin(&mesh.url(0, "bank"), &tess);
    let open = session.calling("sleep", sleep(0.08)).open();
    let waits = pending(&mesh, user);
    assert_eq!(waits["approvers"], "group finance");
    for (token, why) in [
        (None, "for group finance"),
        (Some(&tess), "of their own"),
        (Some(&sam), "for group finance"),
    ] {
        let token = token.map(|token| ["--token", token.as_str()]);
        let words: Vec<_> = token.iter().flatten().copied().collect();
        let refused = approve(&mesh, &waits, &words).ended_with(1).to_string();
        assert!(
            refused.contains("GH3201") && refused.contains(why),
            "{refused}"
        );
    }
    assert_eq!(all_of(&mesh, user, &["--token", &sam]), Vec::<Value>::new());
    let gil = mesh.key("gil@example.com", &["sales"]).text;
    for member in [&fin, &gil] {
        assert_eq!(all_of(&mesh, user, &["--token", member]).len(), 1);
    }
    let bad = approve(&mesh, &waits, &["--token", "gh_no-such-key"]).ended_with(1);
    assert!(bad.to_string().contains("API key"), "{bad}");
    approve(&mesh, &waits, &["--token", &fin]).good();
    assert_eq!(open.whole().content(), "slept 0.08 s");
    let row = mesh.recorded(&["--user", user], |row| row["approver"].is_string());
    assert_eq!(row["approver"], "fin@example.com");
}

#[test]
fn who_watches_by_a_key_sees_nothing_once_it_is_revoked() {
    let mesh = office();
    let key = mesh.key("lea@example.com", &["finance"]);
    let mut watching = mesh.command();
    watching.args(["approve", "--watch", "--token", &key.text]);
    let mut watching = Process::start(&mut watching, None);
    let user = "wim@example.com";
    let session = Session::begin(&mesh.url(0, "bank"), &mesh.key(user, &["trading"]).text);
    let open = session.calling("sleep", sleep(0.081)).open();
    wait::wait_for("the call to be told of", SOON, || {
        watching.stdout().contains(user)
    });
    mesh.gatehouse(&["key", "revoke", &key.id]).good();
    assert_eq!(watching.wait(SOON).code(), Some(1));
    assert!(
        watching.stderr().contains("GH3003"),
        "{}",
        watching.stderr()
    );
    drop(open);
}

#[test]
fn a_wait_that_is_cancelled_is_over_and_nothing_is_called() {
    let mesh = office();
    let user = "cancel@example.com";
    let session = Session::begin(&mesh.url(0, "pay"), &engineer(&mesh, user));
    let call = with_progress(&session, sleep(0.09));
    let mut open = call.open();
    open.first_message();
    let cancel = json!({
        "jsonrpc": "2.0",
        "method": "notifications/cancelled",
        "params": {"requestId": id_of(&call)},
    });
    session.post(&cancel).send().expect_status(202);
    let error = open.whole().error();
    assert_eq!(error["data"]["reason"], "cancelled", "{error}");
    let row = mesh.recorded(&["--user", user], |row| row["reason"] == "cancelled");
    assert_eq!(row["upstream_ms"], 0.0, "{row}");
}

#[test]
fn explain_says_that_somebody_has_to_agree() {
    let mesh = office();
    let words = [
        "--user",
        "a",
        "--group",
        "engineering",
        "--server",
        "pay",
        "--tool",
        "sleep",
    ];
    let words: Vec<_> = ["explain", "-o", "json"]
        .iter()
        .chain(&words)
        .copied()
        .collect();
    let answer = mesh.gatehouse(&words).good().json();
    assert_eq!(
        (&answer["decision"], &answer["reason"], &answer["rule"]),
        (&json!("approve"), &json!("approval"), &json!("four-eyes")),
        "{answer}"
    );
}

#[test]
fn what_nobody_decides_about_is_over_in_time() {
    let mesh = Mesh::new()
        .with(&resources())
        .setting("GATEHOUSE_CONTROL_PLANE__APPROVALS__EXPIRES_S", "2")
        .start();
    let key = engineer(&mesh, "late@example.com");
    let session = Session::begin(&mesh.url(0, "pay"), &key);
    let why = not_approved(&session.calling("sleep", sleep(0.0)).open().whole());
    assert!(why.contains("nobody agreed in time"), "{why}");
    let over = all_of(&mesh, "late@example.com", &["--all"]);
    assert_eq!(over[0]["state"], "expired", "{over:#?}");
    let late = approve(&mesh, &over[0], &[]).ended_with(1);
    assert!(late.to_string().contains("expired"), "{late}");

    // Granted, and not used in time: it is as if nobody had agreed.
    let mut open = with_progress(&session, sleep(0.1)).open();
    open.first_message();
    drop(open);
    let waits = pending(&mesh, "late@example.com");
    approve(&mesh, &waits, &[]).good();
    wait::wait_for("the approval to be over", SOON, || {
        let all = all_of(&mesh, "late@example.com", &["--all"]);
        all.iter()
            .any(|each| each["id"] == waits["id"] && each["state"] == "expired")
    });
    not_approved(&session.calling("sleep", sleep(0.1)).open().whole());
}

#[test]
fn what_waits_outlives_the_control_plane_and_its_rule_is_the_one_in_force() {
    let mesh = Mesh::new().with(&resources()).start();
    let user = "rest@example.com";
    let session = Session::begin(&mesh.url(0, "pay"), &engineer(&mesh, user));
    let mut open = with_progress(&session, sleep(0.11)).open();
    open.first_message();
    let waits = pending(&mesh, user);
    mesh.kill9_part("control-plane", "");
    wait::wait_for("the control plane to be back", SOON, || {
        mesh.gatehouse(&["nodes"]).status == Some(0)
    });
    approve(&mesh, &waits, &[]).good();
    assert_eq!(open.whole().content(), "slept 0.11 s");
    // Nodes that are not back yet are not waited for.
    wait::wait_for("the nodes to be back", SOON, || {
        let nodes = mesh.gatehouse(&["nodes", "-o", "json"]).good().items();
        // One that has not come yet is not named: an edge, and two sidecars.
        nodes.len() == 3
            && nodes
                .iter()
                .all(|node| node["state"] == "current" && node["live"] == true)
    });

    // The rules that are in force when somebody agrees decide.
    let mut open = with_progress(&session, sleep(0.12)).open();
    open.first_message();
    let waits = pending(&mesh, user);
    mesh.apply(&[catalog::deny_tool(
        "no-sleep",
        "engineering",
        "pay",
        "sleep",
    )]);
    approve(&mesh, &waits, &[]).good();
    let refused = open.whole();
    assert_eq!(refused.error_code(), -32602, "{refused}");
    mesh.gatehouse(&["delete", "AccessRule", "no-sleep", "--wait"])
        .good();

    // What else is configured meanwhile voids nothing.
    let open = session.calling("sleep", sleep(0.13)).open();
    let waits = pending(&mesh, user);
    mesh.apply(&[catalog::allow("others", "others", &["bank"])]);
    approve(&mesh, &waits, &[]).good();
    assert_eq!(open.whole().content(), "slept 0.13 s");

    let _away = mesh.without_control_plane();
    let refused = session.calling("sleep", sleep(0.14)).send();
    assert!(
        not_approved(&refused).contains("nobody can be asked"),
        "{refused}"
    );
}

#[test]
fn a_call_that_a_filter_changes_after_approval_is_refused() {
    let receiver = Listener::start(|heard| {
        let mut message = heard.json()["message"].clone();
        if message["params"]["arguments"]["seconds"] != 0.15 {
            return Answer::json(&json!({"verdict": "allow"}));
        }
        message["params"]["arguments"]["seconds"] = json!(0.16);
        Answer::json(&json!({"verdict": "change", "message": message}))
    });
    let mut changing = catalog::webhook("changing", &["pay"], &receiver.url("/hook"), "key");
    changing["spec"]["mayChange"] = json!(true);
    changing["spec"]["match"]["direction"] = json!("request");
    let mut resources = resources();
    resources.push(catalog::secret(
        "key",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    ));
    resources.push(changing);
    let mesh = Mesh::new().with(&resources).start();
    let user = "chg@example.com";
    let session = Session::begin(&mesh.url(0, "pay"), &engineer(&mesh, user));
    for (seconds, passes) in [(0.15, false), (0.17, true)] {
        let open = session.calling("sleep", sleep(seconds)).open();
        approve(&mesh, &pending(&mesh, user), &[]).good();
        let answer = open.whole();
        if passes {
            assert_eq!(answer.content(), "slept 0.17 s");
        } else {
            let why = not_approved(&answer);
            assert!(
                why.contains("changed the arguments after approval"),
                "{why}"
            );
        }
    }
}

#[test]
fn a_receiver_is_told_of_a_call_that_waits_and_its_link_decides_once() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let secret = folder.path().join("hook.secret");
    std::fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        .expect("a file can be written");
    std::fs::set_permissions(&secret, Permissions::from_mode(0o600)).expect("it is ours");
    let receiver = Listener::start(|_| Answer::status(204));
    let pages = tests::ports::address();
    let mesh = Mesh::new()
        .with(&resources())
        .setting(
            "GATEHOUSE_CONTROL_PLANE__APPROVALS__WEBHOOK_URL",
            &receiver.url("/hook"),
        )
        .setting(
            "GATEHOUSE_CONTROL_PLANE__APPROVALS__WEBHOOK_SECRET_FILE",
            secret.to_str().expect("paths of tests are text"),
        )
        .setting("GATEHOUSE_CONTROL_PLANE__WEB__LISTEN", &pages)
        .setting(
            "GATEHOUSE_CONTROL_PLANE__WEB__PUBLIC_URL",
            &format!("http://{pages}"),
        )
        .start();
    let told = || {
        wait::until("the receiver to be told", SOON, || {
            let heard = receiver.take().pop();
            heard.ok_or_else(|| "it was not".to_owned())
        })
    };
    let decide = |page: &str, form: &str| {
        let (url, query) = page.split_once('?').expect("a link has a token");
        let token = query.split('&').next().unwrap_or_default();
        Request::post(url)
            .with("content-type", "application/x-www-form-urlencoded")
            .body(format!("{token}&{form}"))
            .send()
    };

    let user = "hook@example.com";
    let session = Session::begin(&mesh.url(0, "pay"), &engineer(&mesh, user));
    let open = session.calling("sleep", sleep(0.18)).open();
    let heard = told();
    let said = heard.json();
    assert!(
        heard.header("webhook-signature").starts_with("v1,"),
        "{heard:?}"
    );
    assert_eq!(said["principal"]["user"], user, "{said}");
    assert_eq!(said["arguments"], sleep(0.18), "{said}");
    let link = said["links"]["approve"]
        .as_str()
        .expect("a link")
        .to_owned();
    let page = Request::get(&link).send().expect_status(200);
    assert!(page.text().contains("<form method=\"post\""), "{page}");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert_eq!(
        pending(&mesh, user)["state"],
        "pending",
        "to look changes nothing"
    );
    Request::get(&link.replace("token=", "token=x"))
        .send()
        .expect_status(404);
    decide(&link.replace("token=", "token=x"), "decision=grant").expect_status(404);
    decide(&link, "decision=perhaps").expect_status(400);
    decide(&link, "decision=grant&comment=by+mail").expect_status(200);
    assert_eq!(open.whole().content(), "slept 0.18 s");
    decide(&link, "decision=grant").expect_status(403);
    // The sidecar's half may be there before the edge's, which says who.
    let by_link = |row: &Value| row["decision"] == "approve" && row["approver"] == "link";
    mesh.recorded(&["--user", user], by_link);

    let tess = mesh.key("tess@example.com", &["trading", "finance"]).text;
    let fin = mesh.key("fin@example.com", &["finance"]).text;
    let session = Session::begin(&mesh.url(0, "bank"), &tess);
    let open = session.calling("sleep", sleep(0.19)).open();
    let said = told().json();
    let link = said["links"]["refuse"].as_str().expect("a link").to_owned();
    let page = Request::get(&link).send().expect_status(200);
    assert!(page.text().contains("Your API key"), "{page}");
    decide(&link, "decision=refuse").expect_status(403);
    decide(&link, &format!("decision=grant&key={tess}")).expect_status(403);
    decide(&link, &format!("decision=refuse&key={fin}&comment=no")).expect_status(200);
    assert!(not_approved(&open.whole()).contains("refused by fin@example.com: no"));
}
