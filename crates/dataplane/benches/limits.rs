//! What counting a call costs on one edge.
//!
//! A check is all that is done for a call: choosing among the limits, making the key, counting, and giving back what it
//! holds. Users differ from call to call, so that the keys are not in the processor's nearest memory.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a bench, whose limits are its own"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use dataplane::config::live::Config;
use dataplane::stage::limit::{Counted, KEYS_MAX, Limiter};
use futures_util::FutureExt;
use model::name::ServerName;
use model::principal::Principal;
use model::snapshot::{Revision, Snapshot};
use model::wire::{Item, convert};
use proto::v1 as pb;
use runtime::metrics::Metrics;

const USERS: usize = 10_000;

criterion_main!(limits);
criterion_group! {
    name = limits;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = check
}

fn check(c: &mut Criterion) {
    let rate = |name: &str, server: &str, rate: &str| {
        limit(
            name,
            server,
            pb::LimitSpec {
                rate: rate.to_owned(),
                ..Default::default()
            },
        )
    };
    let concurrency = pb::LimitSpec {
        concurrency: 8,
        ..Default::default()
    };
    let others = (0..500).map(|n| rate(&format!("other-{n}"), &format!("other-{n}"), "5/1m"));
    let mut among = vec![rate("own", "time", "900000/1s")];
    among.extend(others);
    let cases = [
        ("no limits", Vec::new()),
        (
            "calls a period, passed",
            vec![rate("own", "time", "900000/1s")],
        ),
        (
            "calls a period, refused",
            vec![rate("own", "time", "1/31d")],
        ),
        ("concurrency", vec![limit("own", "time", concurrency)]),
        ("one of 501 limits", among),
    ];
    let users: Vec<Principal> = (0..USERS)
        .map(|n| Principal::new(&format!("user-{n}@example.com"), &["dev"], None, "k"))
        .collect();
    let server = ServerName::new("time").unwrap();
    let mut group = c.benchmark_group("limit::check");
    for (name, limits) in cases {
        let config = config(limits);
        let limiter = Limiter::new(KEYS_MAX, &Metrics::new());
        let mut turn = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                turn = (turn + 7919) % USERS;
                let call = Counted {
                    principal: &users[turn],
                    server: &server,
                    method: "tools/call",
                    tool: Some("get_current_time"),
                    bytes: 200,
                };
                black_box(limiter.check(&config, &call).now_or_never())
            });
        });
    }
    group.finish();
}

fn limit(name: &str, server: &str, spec: pb::LimitSpec) -> pb::Resource {
    let spec = pb::LimitSpec {
        r#match: Some(pb::LimitMatch {
            servers: vec![server.to_owned()],
            ..Default::default()
        }),
        per: vec!["user".to_owned(), "tool".to_owned()],
        scope: pb::LimitScope::Edge.into(),
        ..spec
    };
    pb::Resource {
        metadata: Some(pb::Metadata {
            name: name.to_owned(),
            ..Default::default()
        }),
        spec: Some(pb::resource::Spec::Limit(spec)),
    }
}

fn config(limits: Vec<pb::Resource>) -> Config {
    let mut snapshot = Snapshot {
        revision: Revision(1),
        ..Snapshot::default()
    };
    for resource in limits {
        if let Item::Limit(limit) = convert(&resource).unwrap() {
            snapshot.limits.insert(limit.name.clone(), limit);
        }
    }
    Config::compile(Arc::new(snapshot)).unwrap()
}
