//! What a decision costs: with 100,000 rules, 10,000 users and 1,000 servers, with and without conditions; what cutting a
//! long list costs, and what building the index does.
//!
//! Criterion tells means; a decision's slow cases are what callers feel, so they are sampled here, one by one, first.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench, which prints what it measures"
)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use criterion::{Criterion, criterion_group, criterion_main};
use engine::{Action, Engine, Facts};
use model::access::{AccessRule, Effect, Mode, ServerSelector, Subject, Subjects, Targets};
use model::annotations::{Annotations, Hint, Hints};
use model::name::{Glob, RuleName, ServerName};
use model::pins::ToolPins;
use model::principal::Principal;
use model::server::{Limits, Pin, Runtime, Server, Tenancy, ToolPolicy};
use model::snapshot::Snapshot;

const RULES: usize = 100_000;
const USERS: usize = 10_000;
const SERVERS: usize = 1_000;
const GROUPS: usize = 1_000;
/// Decisions whose times are sampled.
const SAMPLES: usize = 200_000;
/// Tools of a long list.
const TOOLS: usize = 500;
const CONDITION: &str = r#"args.amount < 1000 && args.to.all(t, t.endsWith("@example.com")) && principal.groups.exists(g, g == "group-3")"#;
const ARGS: &str = r#"{"amount":900,"currency":"EUR","to":["ana@example.com","bob@example.com"],"reference":"invoice 4711"}"#;

criterion_main!(decisions);
criterion_group! {
    name = decisions;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = decisions_of
}

fn decisions_of(c: &mut Criterion) {
    let before = resident();
    let snapshot = Arc::new(world());
    let between = resident();
    let began = Instant::now();
    let engine = Engine::compile(Arc::clone(&snapshot)).unwrap();
    let took = began.elapsed();
    println!(
        "index of {RULES} rules: built in {took:?}, {} MiB (the rules themselves: {} MiB)",
        (resident() - between) >> 20,
        (between - before) >> 20
    );
    let calls: Vec<_> = (0..4096).map(call).collect();
    let plain = |n: usize| {
        let (principal, server, tool) = &calls[n % calls.len()];
        engine.decide_with(principal, server, &Action::tool(tool), &facts())
    };
    sampled("decision without conditions", |n| _ = black_box(plain(n)));
    let conditional = conditional();
    let (ana, pay) = (
        Principal::new(
            "user-1",
            &["group-1", "group-2", "group-3"],
            Some("cursor"),
            "k",
        ),
        server(0),
    );
    let asked = || conditional.decide_with(&ana, &pay, &Action::tool("transfer"), &facts());
    assert!(asked().is_allowed());
    sampled("decision with a condition", |_| _ = black_box(asked()));
    let annotated = annotated();
    let asked_annotated = || annotated.decide_with(&ana, &pay, &Action::tool("transfer"), &facts());
    assert!(asked_annotated().is_allowed());
    sampled("decision by annotations", |_| {
        _ = black_box(asked_annotated())
    });
    let names: Vec<String> = (0..TOOLS).map(|n| format!("tool-{n}")).collect();
    let cut = |engine: &Engine, n: usize| {
        let (principal, server, _) = &calls[n % calls.len()];
        let listed = engine.list(principal, server);
        names
            .iter()
            .filter(|name| listed.shows(&Action::tool(name)))
            .count()
    };
    sampled("a list of 500 tools", |n| _ = black_box(cut(&engine, n)));

    let mut group = c.benchmark_group("decide");
    let mut n = 0;
    group.bench_function("100,000 rules", |b| {
        b.iter(|| {
            n += 1;
            black_box(plain(n));
        });
    });
    group.bench_function("a condition", |b| b.iter(|| black_box(asked())));
    group.bench_function("cut 500 tools", |b| {
        b.iter(|| {
            n += 1;
            black_box(cut(&engine, n));
        });
    });
    group.finish();
}

/// Prints the median and the 99th of a hundred.
fn sampled(what: &str, mut f: impl FnMut(usize)) {
    let count = if what.contains("list") {
        SAMPLES / 50
    } else {
        SAMPLES
    };
    (0..count / 10).for_each(&mut f);
    let mut times: Vec<u64> = (0..count)
        .map(|n| {
            let began = Instant::now();
            f(n);
            began.elapsed().as_nanos() as u64
        })
        .collect();
    times.sort_unstable();
    let at = |share: usize| times[times.len() * share / 100];
    println!("{what}: p50 {} ns, p99 {} ns", at(50), at(99));
}

fn facts() -> Facts<'static> {
    Facts {
        args: Some(ARGS.as_bytes()),
        client_address: Some("10.1.2.3".parse().unwrap()),
        time: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_800_000)),
    }
}

fn server(n: usize) -> ServerName {
    ServerName::new(&format!("server-{}", n % SERVERS)).unwrap()
}

fn glob(text: &str) -> Glob {
    Glob::new(text).unwrap()
}

fn subject(user: Option<usize>, group: Option<usize>) -> Subjects {
    Subjects::Any(vec![Subject {
        user: user.map(|n| format!("user-{}", n % USERS)),
        group: group.map(|n| format!("group-{}", n % GROUPS)),
        client: None,
    }])
}

fn tools(names: &[&str]) -> Targets {
    Targets::Some {
        tools: names.iter().map(|name| glob(name)).collect(),
        prompts: vec![],
        resources: vec![],
        methods: vec![],
    }
}

/// Half of the rules are of users, half of groups; one in ten denies, some are about globs of servers, a few about all.
fn rule(n: usize) -> AccessRule {
    let subjects = match n % 1000 {
        0 => Subjects::Everyone,
        _ if n.is_multiple_of(2) => subject(Some(n / 2 * 7), None),
        _ => subject(None, Some(n / 2)),
    };
    let servers = match n % 20 {
        0 => vec![glob(&format!("server-{}*", n % 100))],
        1 => vec![glob("*")],
        _ => vec![
            glob(server(n * 13).as_str()),
            glob(server(n * 31 + 7).as_str()),
        ],
    };
    let targets = match n % 4 {
        0 => Targets::All,
        1 => tools(&["get-*", "list-*"]),
        2 => tools(&[&format!("tool-{}", n % TOOLS), "search"]),
        _ => tools(&[&format!("tool-{}*", n % 10)]),
    };
    AccessRule {
        name: RuleName::new(&format!("rule-{n}")).unwrap(),
        effect: if n % 10 == 9 {
            Effect::Deny
        } else {
            Effect::Allow
        },
        subjects,
        servers: servers.into_iter().map(ServerSelector::Glob).collect(),
        targets,
        annotations: Default::default(),
        when: None,
        mode: Mode::Enforce,
        record: Default::default(),
        approvers: Vec::new(),
    }
}

fn world() -> Snapshot {
    let rules: BTreeMap<_, _> = (0..RULES)
        .map(|n| {
            let rule = rule(n);
            (rule.name.clone(), Arc::new(rule))
        })
        .collect();
    Snapshot {
        rules,
        ..Snapshot::default()
    }
}

fn conditional() -> Engine {
    let mut snapshot = world();
    let rule = AccessRule {
        name: RuleName::new("pay").unwrap(),
        effect: Effect::Allow,
        subjects: subject(Some(1), None),
        servers: vec![ServerSelector::Glob(glob("server-0"))],
        targets: tools(&["transfer"]),
        annotations: Default::default(),
        when: Some(CONDITION.into()),
        mode: Mode::Enforce,
        record: Default::default(),
        approvers: Vec::new(),
    };
    snapshot.rules.insert(rule.name.clone(), Arc::new(rule));
    Engine::compile(Arc::new(snapshot)).unwrap()
}

/// The same rules, and one that goes by what a trusted server says of its tools.
fn annotated() -> Engine {
    let reads = Annotations::default().with(Hint::ReadOnly, Some(true));
    let mut snapshot = world();
    let rule = AccessRule {
        name: RuleName::new("pay").unwrap(),
        effect: Effect::Allow,
        subjects: subject(Some(1), None),
        servers: vec![ServerSelector::Glob(glob("server-0"))],
        targets: tools(&["*"]),
        annotations: reads,
        when: None,
        mode: Mode::Enforce,
        record: Default::default(),
        approvers: Vec::new(),
    };
    snapshot.rules.insert(rule.name.clone(), Arc::new(rule));
    let pay = Server {
        name: server(0),
        labels: Default::default(),
        title: String::new(),
        description: String::new(),
        tenancy: Tenancy::Shared,
        runtime: Runtime::External,
        env: Default::default(),
        headers: Default::default(),
        url_values: Default::default(),
        limits: Limits::default(),
        tools: ToolPolicy {
            pin: Pin::Review,
            trust_annotations: true,
            ..Default::default()
        },
    };
    let pins = ToolPins {
        server: server(0),
        version: 1,
        tools: Default::default(),
        hints: [("transfer".to_owned(), Hints::of(&reads))].into(),
        unread: Default::default(),
    };
    snapshot.servers.insert(server(0), Arc::new(pay));
    snapshot.tool_pins.insert(server(0), Arc::new(pins));
    Engine::compile(Arc::new(snapshot)).unwrap()
}

/// A user in a few groups, a server, a tool.
fn call(n: usize) -> (Principal, ServerName, String) {
    let groups: Vec<String> = (0..5)
        .map(|g| format!("group-{}", (n * 17 + g * 211) % GROUPS))
        .collect();
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    let user = format!("user-{}", n * 3 % USERS);
    (
        Principal::new(&user, &groups, Some("cursor"), "k"),
        server(n * 13),
        format!("tool-{}", n % TOOLS),
    )
}

/// Bytes that the process holds.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok());
    kib.unwrap_or_default() << 10
}
