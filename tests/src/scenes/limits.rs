//! One limit over four edges, under more load than it lets through.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use crate::catalog;
use crate::http::{Pool, runtime};
use crate::mesh::{Mesh, Running};
use crate::redis::Redis;
use crate::rpc::Modern;

/// Edges.
const EDGES: usize = 4;
/// Calls a second that the limit lets through.
pub const RATE: u32 = 100;
/// Calls a second that are tried, at all edges together.
const TRIED: u32 = 200;
/// How far off the calls that pass may be.
const OFF: f64 = 0.03;

/// Four edges and one Redis.
pub fn mesh(redis: &Redis) -> Running {
    let limit = json!({
        "match": {"servers": ["slow"]},
        "rate": format!("{RATE}/1s"),
        "scope": "shared",
    });
    Mesh::new()
        .with(&[
            catalog::fixture("slow", &[]),
            catalog::allow("dev", "dev", &["*"]),
            catalog::resource("Limit", "shared", &limit),
        ])
        .edges(EDGES)
        .setting("GATEHOUSE_EDGE__LIMITS__REDIS", &redis.url())
        // Others use this machine, too.
        .setting("GATEHOUSE_EDGE__LIMITS__WAIT_MS", "2000")
        .start()
}

/// Calls for so long, and holds what passes to the limit: between 97 and 103 of a hundred a second. The first `settle`
/// is left out: in it the burst passes.
///
/// # Panics
/// Where more or less pass.
pub fn holds(time: Duration, settle: Duration) {
    let redis = Redis::start();
    let mesh = mesh(&redis);
    let passed = load(&mesh, settle + time);
    let counted = passed.iter().filter(|at| **at >= settle).count();
    let a_second = f64::from(u32::try_from(counted).expect("they are few")) / time.as_secs_f64();
    let (least, most) = (f64::from(RATE) * (1.0 - OFF), f64::from(RATE) * (1.0 + OFF));
    super::tell(&format!(
        "{counted} calls passed in {time:?}: {a_second:.2} a second"
    ));
    assert!(
        (least..=most).contains(&a_second),
        "{a_second:.2} calls a second have passed, between {least} and {most} should"
    );
}

/// Calls at all edges in turn, and when those that passed began.
fn load(mesh: &Running, time: Duration) -> Vec<Duration> {
    let key = mesh.key("ana@example.com", &["dev"]).text;
    let clients: Vec<_> = (0..EDGES)
        .map(|edge| Modern::new(&mesh.url(edge, "slow"), &key))
        .collect();
    let pools: Vec<_> = clients.iter().map(|_| Arc::new(Pool::default())).collect();
    runtime().block_on(async {
        let mut calls = JoinSet::new();
        let began = Instant::now();
        for index in 0.. {
            let due = Duration::from_secs(1) * index / TRIED;
            if due >= time {
                break;
            }
            tokio::time::sleep_until((began + due).into()).await;
            let edge = index as usize % EDGES;
            let pool = pools[edge].clone();
            let request = clients[edge].calling("cancelled", json!({}));
            calls.spawn(async move {
                let (answer, _) = pool.send(&request).await.expect("every call is answered");
                let passed = answer.reply()["result"].is_object();
                if !passed {
                    let reason = answer.error()["data"]["reason"].clone();
                    assert_eq!(reason, "limit", "{answer}");
                }
                passed.then_some(due)
            });
        }
        let all = calls.join_all().await;
        all.into_iter().flatten().collect()
    })
}
