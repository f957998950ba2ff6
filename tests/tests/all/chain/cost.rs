//! What a receiver costs beside its own time.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::catalog;
use tests::http::{Pool, Request, runtime};
use tests::listener::Listener;
use tests::mesh::Mesh;
use tests::remote;
use tests::rpc::Modern;

use super::{allow, ground};

const ROUNDS: usize = 400;
/// On top of the receiver's own time and the way there and back. Ours is a debug build; the release has to stay below
/// 100 us.
const COST: Duration = Duration::from_micros(if cfg!(debug_assertions) { 3000 } else { 100 });

fn median(mut once: impl FnMut()) -> Duration {
    let time = |once: &mut dyn FnMut()| {
        let began = Instant::now();
        once();
        began.elapsed()
    };
    // Connections are made.
    for _ in 0..20 {
        once();
    }
    let mut times: Vec<_> = (0..ROUNDS).map(|_| time(&mut once)).collect();
    times.sort_unstable();
    times[ROUNDS / 2]
}

#[test]
#[ignore = "e2e: measures, and wants a machine at rest"]
#[expect(clippy::print_stderr, reason = "what was measured is what it is for")]
fn a_receiver_costs_its_own_time_and_little_more() {
    let far = remote::modern();
    let receiver = Listener::start(|_| allow());
    let one_way = |name: &str, servers: &[&str]| {
        let mut hook = catalog::webhook(name, servers, &receiver.url("/"), "key");
        hook["spec"]["match"]["direction"] = json!("request");
        hook
    };
    let mut resources: Vec<Value> = ["plain", "one", "three"]
        .iter()
        .map(|name| catalog::remote(name, &far.url("/mcp")))
        .collect();
    resources.extend([
        one_way("a", &["one", "three"]),
        one_way("b", &["three"]),
        one_way("c", &["three"]),
    ]);
    resources.extend(ground());
    let mesh = Mesh::new().with(&resources).start();
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    let pool = Pool::default();
    let send = |request: &Request| {
        let sent = runtime().block_on(pool.send(request));
        let (answer, _) = sent.unwrap_or_else(|lost| panic!("{lost:?}"));
        assert_eq!(answer.status, 200, "{answer}");
    };
    let calls = |server: &str| {
        let client = Modern::new(&mesh.url(0, server), &key);
        median(|| send(&client.calling("echo", json!({"message": "a"}))))
    };
    let (plain, one, three) = (calls("plain"), calls("one"), calls("three"));
    // The same question as anybody could put it, on a connection that is kept, too.
    let question = receiver.take().pop().expect("it was asked").body;
    let elsewhere = Pool::default();
    let ask = Request::post(&receiver.url("/")).with("content-type", "application/json");
    let ask = ask.body(question);
    let own = median(|| drop(runtime().block_on(elsewhere.send(&ask)).expect("an answer")));
    let cost = one.saturating_sub(plain).saturating_sub(own);
    eprintln!(
        "a call {plain:?}; with a receiver {one:?}, with three {three:?}; the receiver alone {own:?}; cost {cost:?}"
    );
    assert!(cost < COST, "{cost:?}");
}
