//! The laws of access, and the index against its naive twin, in a small world where rules and calls meet often: a million
//! calls, each decided both ways.
//!
//! Worlds are made from a seed, which a failure names; equal seeds make equal worlds.

use std::time::{Duration, SystemTime};

use model::annotations::{Annotations, Hint, Hints};
use model::pins::ToolPins;
use model::server::{Pin, Server};

use super::*;
use crate::Verdict;
use crate::reference::Naive;

/// Sets of rules …
const WORLDS: u64 = 2_000;
/// … and calls that each decides.
const CALLS: usize = 500;
const THREADS: u64 = 2;

const SERVERS: &[&str] = &["time", "docs", "docs-eu", "dime"];
const CONDITIONS: &[&str] = &[
    "args.n > 1",
    "!has(args.n) || args.n < 3",
    r#"principal.groups.exists(g, g == "eng")"#,
    r#"principal.user == "ana" && args.n == 1"#,
    r#"tool == "a" || args.n == 2"#,
    r#"server.labels.team == "platform""#,
    r#"time.getHours() < 12"#,
    r#"cidr("10.0.0.0/8").containsIP(client_address) || principal.client == "cli""#,
    r#"method != "tools/call""#,
    "args.n / args.d == 1",
];

/// xorshift64*
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let rolled = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32;
        rolled as usize % below
    }

    fn pick<'t, T: ?Sized>(&mut self, of: &[&'t T]) -> &'t T {
        of[self.roll(of.len())]
    }

    fn maybe<'t>(&mut self, of: &[&'t str]) -> Option<&'t str> {
        (self.roll(2) == 0).then(|| self.pick(of))
    }

    fn globs(&mut self, of: &[&str]) -> Vec<Glob> {
        let count = self.roll(3);
        (0..count)
            .map(|_| Glob::new(self.pick(of)).unwrap())
            .collect()
    }

    fn subject(&mut self) -> Subject {
        Subject {
            user: self.maybe(&["ana", "bob"]).map(str::to_owned),
            group: self.maybe(&["eng", "ops", "hr"]).map(str::to_owned),
            client: self.maybe(&["cursor", "cli"]).map(str::to_owned),
        }
    }

    fn subjects(&mut self) -> Subjects {
        match self.roll(4) {
            0 => Subjects::Everyone,
            n => Subjects::Any((0..n.min(2)).map(|_| self.subject()).collect()),
        }
    }

    fn server(&mut self) -> ServerSelector {
        if self.roll(5) == 0 {
            let label = (
                self.pick(&["team", "stage"]),
                self.pick(&["platform", "live"]),
            );
            return ServerSelector::Labels([(label.0.to_owned(), label.1.to_owned())].into());
        }
        let name = self.pick(&["time", "docs", "docs-*", "*", "?ime", "d*"]);
        ServerSelector::Glob(Glob::new(name).unwrap())
    }

    fn targets(&mut self) -> Targets {
        const METHODS: &[&str] = &[
            "tools/call",
            "tools/*",
            "ping",
            "completion/complete",
            "*",
            "resources/?ead",
        ];
        const NAMES: &[&str] = &["a", "b", "a*", "?", "*"];
        if self.roll(4) == 0 {
            return Targets::All;
        }
        Targets::Some {
            tools: self.globs(NAMES),
            prompts: self.globs(NAMES),
            resources: self.globs(NAMES),
            methods: self.globs(METHODS),
        }
    }

    /// As a rule has them: where there are any, it is about tools alone.
    fn annotated(&mut self) -> (Targets, Annotations) {
        let targets = self.targets();
        if self.roll(2) != 0 {
            return (targets, Annotations::default());
        }
        let annotations = self.annotations();
        match targets {
            Targets::Some { tools: named, .. } if !annotations.is_empty() && !named.is_empty() => {
                let names: Vec<&str> = named.iter().map(Glob::as_str).collect();
                (tools(&names), annotations)
            }
            _ if !annotations.is_empty() => (tools(&["*"]), annotations),
            targets => (targets, annotations),
        }
    }

    fn annotations(&mut self) -> Annotations {
        let mut given = Annotations::default();
        for hint in Hint::ALL {
            let value = [None, None, None, Some(true), Some(false)][self.roll(5)];
            given = given.with(hint, value);
        }
        given
    }

    /// Servers that are there, whether they are trusted, and what is approved of their tools.
    fn servers(&mut self) -> Vec<(Server, ToolPins)> {
        let mut server = |name: &str, (label, value): (&str, &str)| {
            let mut server = Server {
                labels: [(label.to_owned(), value.to_owned())].into(),
                ..crate::samples::server(name)
            };
            server.tools.pin = [Pin::Off, Pin::Auto, Pin::Review, Pin::Review][self.roll(4)];
            server.tools.trust_annotations = self.roll(4) != 0;
            let mut said = || Hints::of(&self.annotations());
            let hints = ["a", "b", "ab"].map(|tool| (tool.to_owned(), said()));
            let pins = ToolPins {
                hints: hints.into(),
                ..annotations::nothing(&server.name)
            };
            (server, pins)
        };
        let time = server("time", ("team", "platform"));
        vec![time, server("docs", ("stage", "live"))]
    }

    fn rule(&mut self, name: &str) -> AccessRule {
        let (targets, annotations) = self.annotated();
        AccessRule {
            name: RuleName::new(name).unwrap(),
            effect: [
                Effect::Allow,
                Effect::Allow,
                Effect::Allow,
                Effect::Deny,
                Effect::Approve,
            ][self.roll(5)],
            subjects: self.subjects(),
            servers: (0..=self.roll(2)).map(|_| self.server()).collect(),
            targets,
            annotations,
            when: (self.roll(3) == 0).then(|| self.pick(CONDITIONS).into()),
            mode: if self.roll(8) == 0 {
                Mode::Observe
            } else {
                Mode::Enforce
            },
            record: Recorded::default(),
            approvers: Vec::new(),
        }
    }

    fn rules(&mut self) -> Vec<AccessRule> {
        (0..self.roll(10))
            .map(|n| self.rule(&format!("r{n}")))
            .collect()
    }

    fn call(&mut self) -> Call {
        const METHODS: &[&str] = &[
            "tools/call",
            "tools/call",
            "tools/call",
            "tools/call",
            "prompts/get",
            "resources/read",
            "resources/subscribe",
            "tools/list",
            "ping",
            "initialize",
            "completion/complete",
            "tasks/get",
            "notifications/cancelled",
            "acme/x",
        ];
        let mut groups = vec!["eng", "ops", "hr"];
        groups.retain(|_| self.roll(2) == 0);
        let user = self.pick(&["ana", "bob", "eve"]);
        let client = self.maybe(&["cursor", "cli"]);
        Call {
            principal: Principal::new(user, &groups, client, "k"),
            server: server(self.pick(SERVERS)),
            method: self.pick(METHODS),
            target: self.maybe(&["a", "b", "ab", "c"]),
            args: self.pick(&[
                "",
                "{}",
                r#"{"n":1}"#,
                r#"{"n":2,"d":0}"#,
                r#"{"n":3,"d":3}"#,
                r#"{"n":"x"}"#,
            ]),
            address: self.pick(&["10.1.1.1", "192.0.2.1", "fd00::1"]),
            hour: self.roll(24) as u64,
        }
    }
}

fn world(rules: impl IntoIterator<Item = AccessRule>, servers: &[(Server, ToolPins)]) -> Snapshot {
    let mut world = snapshot(rules);
    for (server, pins) in servers {
        let name = server.name.clone();
        world.tool_pins.insert(name.clone(), Arc::new(pins.clone()));
        world.servers.insert(name, Arc::new(server.clone()));
    }
    world
}

#[derive(Debug)]
struct Call {
    principal: Principal,
    server: ServerName,
    method: &'static str,
    target: Option<&'static str>,
    args: &'static str,
    address: &'static str,
    hour: u64,
}

impl Call {
    fn action(&self) -> Action<'_> {
        Action::of(self.method, self.target)
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            args: Some(self.args.as_bytes()),
            client_address: Some(self.address.parse().unwrap()),
            time: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(3600 * self.hour)),
        }
    }
}

/// The same rules, with one more, and under names that turn their order round.
struct Versions {
    plain: Arc<Snapshot>,
    engine: Engine,
    more_allow: Engine,
    more_deny: Engine,
    turned: Engine,
}

impl Versions {
    fn of(dice: &mut Dice) -> Self {
        let (rules, servers) = (dice.rules(), dice.servers());
        let world = |rules: Vec<AccessRule>| world(rules, &servers);
        let with = |more| rules.iter().cloned().chain([more]).collect();
        let (mut allow, mut deny) = (dice.rule("0-more"), dice.rule("0-more"));
        (allow.effect, deny.effect) = (Effect::Allow, Effect::Deny);
        let last = rules.len();
        let turned = rules.iter().enumerate().map(|(n, rule)| AccessRule {
            name: RuleName::new(&format!("r{}", last - n)).unwrap(),
            ..rule.clone()
        });
        let turned: Vec<_> = turned.collect();
        let plain = Arc::new(world(rules.clone()));
        let compiled = |world: Snapshot| Engine::compile(Arc::new(world)).unwrap();
        Self {
            engine: Engine::compile(Arc::clone(&plain)).unwrap(),
            plain,
            more_allow: compiled(world(with(allow))),
            more_deny: compiled(world(with(deny))),
            turned: compiled(world(turned)),
        }
    }
}

/// How many calls came out how, so that a world in which nothing happens would show.
#[derive(Debug, Default)]
struct Tally {
    allowed: usize,
    denied: usize,
    approved: usize,
    observed: usize,
    by_facts: usize,
    by_annotations: usize,
}

impl Tally {
    fn count(&mut self, decided: &Verdict<'_>, listed: &Verdict<'_>) {
        match decided.effect {
            Effect::Allow => self.allowed += 1,
            Effect::Deny => self.denied += 1,
            Effect::Approve => self.approved += 1,
        }
        self.observed += usize::from(decided.observed.is_some());
        self.by_facts += usize::from(decided.effect != listed.effect);
    }
}

fn hold_to_the_laws(seed: u64, tally: &mut Tally) {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let versions = Versions::of(&mut dice);
    let naive = Naive::of(&versions.plain).unwrap();
    for _ in 0..CALLS {
        let call = dice.call();
        let (action, facts) = (call.action(), call.facts());
        let (principal, server) = (&call.principal, &call.server);
        let of = |engine: &Engine| {
            engine
                .decide_with(principal, server, &action, &facts)
                .effect
        };
        let about = || format!("world {seed}, {call:?}");

        let decided = versions
            .engine
            .decide_with(principal, server, &action, &facts);
        assert_eq!(
            decided,
            naive.decide((principal, server), &action, &facts),
            "{}",
            about()
        );
        let listed = versions.engine.decide(principal, server, &action);
        assert_eq!(
            listed,
            naive.decide((principal, server), &action, &Facts::default()),
            "list: {}",
            about()
        );
        let usable = versions.engine.may_use(principal, server);
        assert_eq!(usable, naive.may_use(principal, server), "{}", about());

        // A list and a call: what some call may do is shown, on a server that there is.
        assert_eq!(
            versions.engine.visible(principal, server, &action),
            listed.is_possible()
        );
        assert!(
            !decided.is_possible() || listed.is_possible(),
            "hidden, and goes: {}",
            about()
        );
        assert!(
            !decided.is_possible() || usable,
            "no server, and goes: {}",
            about()
        );
        // Deny beats allow.
        let denies = naive.is_matched(Effect::Deny, (principal, server), &action, &facts);
        assert_eq!(denies, decided.reason == Some(Reason::Rule), "{}", about());
        // One more allow takes nothing away, one more deny gives nothing, and order is nothing.
        let (effect, more) = (decided.effect, of(&versions.more_allow));
        assert!(
            effect != Effect::Allow || more == Effect::Allow,
            "{}",
            about()
        );
        assert!(
            !decided.is_possible() || more != Effect::Deny,
            "{}",
            about()
        );
        assert!(
            effect != Effect::Deny || of(&versions.more_deny) == Effect::Deny,
            "{}",
            about()
        );
        assert_eq!(effect, of(&versions.turned), "{}", about());

        tally.count(&decided, &listed);
        let by = decided.rule.and_then(|rule| versions.plain.rules.get(rule));
        let wants = by.is_some_and(|rule| !rule.annotations.is_empty()) && !action.is_base();
        tally.by_annotations += usize::from(wants);
    }
}

#[test]
fn a_million_calls_are_decided_as_the_naive_twin_decides_and_by_the_laws() {
    let work = |part: u64| {
        let mut tally = Tally::default();
        for seed in (part..WORLDS).step_by(THREADS as usize) {
            hold_to_the_laws(seed, &mut tally);
        }
        tally
    };
    let tallies: Vec<Tally> = std::thread::scope(|scope| {
        let parts: Vec<_> = (0..THREADS)
            .map(|part| scope.spawn(move || work(part)))
            .collect();
        parts.into_iter().map(|part| part.join().unwrap()).collect()
    });
    let sum = |of: fn(&Tally) -> usize| tallies.iter().map(of).sum::<usize>();
    let calls = sum(|t| t.allowed) + sum(|t| t.denied) + sum(|t| t.approved);
    assert!(calls >= 1_000_000);
    for (what, count) in [
        ("allowed", sum(|t| t.allowed)),
        ("approved", sum(|t| t.approved)),
        ("observed", sum(|t| t.observed)),
        ("decided by facts", sum(|t| t.by_facts)),
        ("decided by annotations", sum(|t| t.by_annotations)),
    ] {
        assert!(count > 10_000, "{what}: {count}");
    }
}

#[test]
fn an_explanation_says_what_was_decided() {
    for seed in 0..200 {
        let mut dice = Dice(seed * 7919 + 1);
        let rules = dice.rules();
        let engine = Engine::compile(Arc::new(world(rules, &dice.servers()))).unwrap();
        for _ in 0..20 {
            let call = dice.call();
            let (action, facts) = (call.action(), call.facts());
            let explained = engine.explain(&call.principal, &call.server, &action, &facts);
            let decided = engine.decide_with(&call.principal, &call.server, &action, &facts);
            assert_eq!(explained.verdict, decided);
            let enforced = explained.rules.iter().filter(|r| r.matched && !r.observes);
            assert_eq!(
                enforced.count() > 0,
                decided.rule.is_some(),
                "world {seed}, {call:?}"
            );
        }
    }
}
