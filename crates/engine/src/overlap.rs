//! Rules that take each other's effect: the same rule twice, an allow rule under a deny, a condition that changes nothing.
//! They work as they stand, and are most often not what was meant: so they are warnings.
//!
//! Not everything is found: what is looked for is told from the text of two rules, and what is looked at is bounded. What
//! is told is true.

use std::collections::HashMap;

use model::access::{AccessRule, Effect, ServerSelector, Subject, Subjects, Targets};
use model::annotations::Annotations;
use model::fault::OVERLAPS;
use model::name::{Glob, RuleName};
use model::snapshot::{ResourceKey, Snapshot};
use model::wire::ACCESS_RULE;

use crate::compile::Fault;

/// Most warnings of this kind that are made.
pub(crate) const WARNINGS_MAX: usize = 100;
/// Most pairs of rules that are compared.
const PAIRS_MAX: usize = 2_000_000;

/// All that are found, by name of the rule that has no effect.
pub(crate) fn warnings(snapshot: &Snapshot) -> Vec<Fault> {
    let rules: Vec<&AccessRule> = snapshot.rules.values().map(|rule| &**rule).collect();
    let mut seen = Seen::default();
    let mut denies = Index::of(&rules, |rule| rule.effect == Effect::Deny);
    let mut allows = Index::of(&rules, |rule| rule.effect == Effect::Allow);
    let mut faults = Vec::new();
    for rule in &rules {
        if faults.len() == WARNINGS_MAX {
            break;
        }
        faults.extend(
            seen.twin(rule)
                .map(|twin| fault(rule, format!("does the same as rule {twin}")))
                .or_else(|| under_a_deny(rule, &mut denies))
                .or_else(|| for_nothing(rule, &mut allows)),
        );
    }
    faults
}

fn under_a_deny<'r>(rule: &'r AccessRule, denies: &mut Index<'r>) -> Option<Fault> {
    if rule.effect == Effect::Deny || !rule.is_enforced() {
        return None;
    }
    let deny = denies.over(rule)?;
    let message = format!("allows nothing: rule {deny} denies all that it is about");
    Some(fault(rule, message))
}

fn for_nothing<'r>(rule: &'r AccessRule, allows: &mut Index<'r>) -> Option<Fault> {
    if rule.effect != Effect::Allow || !rule.is_enforced() {
        return None;
    }
    let (allow, without, path) = if rule.when.is_some() {
        (allows.over(rule)?, "a condition", "spec.when")
    } else if !rule.annotations.is_empty() {
        let wants_less = |other: &AccessRule| other.annotations.is_empty();
        let allow = allows.over_among(rule, &wants_less)?;
        (allow, "wanting annotations", "spec.annotations")
    } else {
        return None;
    };
    let message = format!("changes nothing: rule {allow} allows the same without {without}");
    let mut fault = fault(rule, message);
    fault.path = path.to_owned();
    Some(fault)
}

fn fault(rule: &AccessRule, message: String) -> Fault {
    Fault {
        resource: ResourceKey::new(ACCESS_RULE, rule.name.as_str()),
        path: String::new(),
        code: OVERLAPS,
        message,
        fix: None,
    }
}

/// What a rule says, without its name.
type Content<'r> = (
    Effect,
    bool,
    Option<Vec<&'r Subject>>,
    Vec<&'r ServerSelector>,
    Option<[Vec<&'r Glob>; 4]>,
    Annotations,
    Option<&'r str>,
);

/// Rules by what they say.
#[derive(Default)]
struct Seen<'r>(HashMap<Content<'r>, &'r RuleName>);

impl<'r> Seen<'r> {
    /// The rule before this one that says the same.
    fn twin(&mut self, rule: &'r AccessRule) -> Option<&'r RuleName> {
        fn sorted<T>(list: &[T], key: impl Fn(&T) -> String) -> Vec<&T> {
            let mut list: Vec<&T> = list.iter().collect();
            list.sort_by_cached_key(|entry| key(entry));
            list
        }
        let globs = |list: &'r [Glob]| sorted(list, Glob::to_string);
        let content: Content<'r> = (
            rule.effect,
            rule.is_enforced(),
            match &rule.subjects {
                Subjects::Everyone => None,
                Subjects::Any(subjects) => Some(sorted(subjects, Subject::to_string)),
            },
            sorted(&rule.servers, ServerSelector::to_string),
            match &rule.targets {
                Targets::All => None,
                Targets::Some {
                    tools,
                    prompts,
                    resources,
                    methods,
                } => Some([
                    globs(tools),
                    globs(prompts),
                    globs(resources),
                    globs(methods),
                ]),
            },
            rule.annotations,
            rule.when.as_deref(),
        );
        match self.0.entry(content) {
            std::collections::hash_map::Entry::Occupied(entry) => Some(entry.get()),
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(&rule.name);
                None
            }
        }
    }
}

/// Whom a rule may be about, as far as it is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Who<'r> {
    Everyone,
    User(&'r str),
    Group(&'r str),
    Client(&'r str),
}

impl<'r> Who<'r> {
    /// The part of a subject that it is looked up by.
    fn of(subject: &'r Subject) -> Option<Self> {
        let user = subject.user.as_deref().map(Self::User);
        let group = || subject.group.as_deref().map(Self::Group);
        let client = || subject.client.as_deref().map(Self::Client);
        user.or_else(group).or_else(client)
    }

    /// All that could cover it.
    fn over(subject: &'r Subject) -> impl Iterator<Item = Self> {
        let parts = [
            subject.user.as_deref().map(Self::User),
            subject.group.as_deref().map(Self::Group),
            subject.client.as_deref().map(Self::Client),
        ];
        parts.into_iter().flatten()
    }
}

/// Rules without conditions that decide, by whom and by which server they are about. Those about several lie in several
/// places; globs of servers but `*` lie together.
struct Index<'r> {
    by: HashMap<(Who<'r>, Option<&'r str>), Vec<&'r AccessRule>>,
    left: usize,
}

impl<'r> Index<'r> {
    fn of(rules: &[&'r AccessRule], wanted: impl Fn(&AccessRule) -> bool) -> Self {
        let mut by: HashMap<_, Vec<&'r AccessRule>> = HashMap::new();
        for rule in rules {
            if !wanted(rule) || rule.when.is_some() || !rule.is_enforced() {
                continue;
            }
            let whom: Vec<Who<'r>> = match &rule.subjects {
                Subjects::Everyone => vec![Who::Everyone],
                Subjects::Any(subjects) => subjects.iter().filter_map(Who::of).collect(),
            };
            for who in whom {
                for selector in &rule.servers {
                    by.entry((who, place(selector))).or_default().push(rule);
                }
            }
        }
        Self {
            by,
            left: PAIRS_MAX,
        }
    }

    /// A rule that is about all that this one is about.
    fn over(&mut self, rule: &'r AccessRule) -> Option<&'r RuleName> {
        self.over_among(rule, &|_| true)
    }

    /// The same, of some rules alone.
    fn over_among(
        &mut self,
        rule: &'r AccessRule,
        is_meant: &dyn Fn(&AccessRule) -> bool,
    ) -> Option<&'r RuleName> {
        let mut whom = vec![Who::Everyone];
        if let Subjects::Any(subjects) = &rule.subjects {
            whom.extend(subjects.first().into_iter().flat_map(Who::over));
        }
        let server = rule.servers.first()?;
        let places = [place(server), Some("*"), None];
        for who in whom {
            for place in places {
                for other in self.by.get(&(who, place)).into_iter().flatten() {
                    self.left = self.left.checked_sub(1)?;
                    if other.name != rule.name && is_meant(other) && covers(other, rule) {
                        return Some(&other.name);
                    }
                }
            }
        }
        None
    }
}

/// Where a rule about these servers lies: under a name, under `*`, or with all others.
fn place(selector: &ServerSelector) -> Option<&str> {
    match selector {
        ServerSelector::Glob(glob) if glob.is_literal() || glob.is_any() => Some(glob.as_str()),
        _ => None,
    }
}

/// Whether `over` is about all that `rule` is about.
fn covers(over: &AccessRule, rule: &AccessRule) -> bool {
    let servers = |wanted: &ServerSelector| over.servers.iter().any(|s| selects_all(s, wanted));
    whom(&over.subjects, &rule.subjects)
        && rule.servers.iter().all(servers)
        && targets(&over.targets, &rule.targets)
        && over.annotations.cover(&rule.annotations)
}

fn whom(over: &Subjects, rule: &Subjects) -> bool {
    match (over, rule) {
        (Subjects::Everyone, _) => true,
        (_, Subjects::Everyone) => false,
        (Subjects::Any(over), Subjects::Any(rule)) => {
            let part =
                |over: &Option<String>, rule: &Option<String>| over.is_none() || over == rule;
            rule.iter().all(|rule| {
                over.iter().any(|over| {
                    part(&over.user, &rule.user)
                        && part(&over.group, &rule.group)
                        && part(&over.client, &rule.client)
                })
            })
        }
    }
}

fn selects_all(over: &ServerSelector, wanted: &ServerSelector) -> bool {
    match (over, wanted) {
        (ServerSelector::Glob(over), ServerSelector::Glob(wanted)) => matches_all(over, wanted),
        (ServerSelector::Glob(over), ServerSelector::Labels(_)) => over.is_any(),
        // Fewer labels are more servers.
        (ServerSelector::Labels(over), ServerSelector::Labels(wanted)) => over
            .iter()
            .all(|(label, value)| wanted.get(label) == Some(value)),
        (ServerSelector::Labels(_), ServerSelector::Glob(_)) => false,
    }
}

/// Whether `over` matches all that `wanted` does. A `*` of `over` takes in whatever stands there, stars included; a `?`
/// would take one for a single character, so that only the same pattern is told.
fn matches_all(over: &Glob, wanted: &Glob) -> bool {
    over == wanted || (!over.as_str().contains('?') && over.matches(wanted.as_str()))
}

fn targets(over: &Targets, rule: &Targets) -> bool {
    let all = |over: &[Glob], rule: &[Glob]| {
        rule.iter()
            .all(|wanted| over.iter().any(|glob| matches_all(glob, wanted)))
    };
    match (over, rule) {
        (Targets::All, _) => true,
        (_, Targets::All) => false,
        (
            Targets::Some {
                tools: t,
                prompts: p,
                resources: r,
                methods: m,
            },
            Targets::Some {
                tools,
                prompts,
                resources,
                methods,
            },
        ) => all(t, tools) && all(p, prompts) && all(r, resources) && all(m, methods),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::sync::Arc;

    use super::*;
    use crate::compile;

    fn read(text: &str) -> Snapshot {
        let rules = text.lines().filter(|line| !line.trim().is_empty());
        let mut all = String::new();
        for line in rules {
            let (name, spec) = line.trim().split_once(' ').unwrap();
            all.push_str(&format!(
                "---\napiVersion: gatehouse.dev/v1\nkind: AccessRule\nmetadata: {{name: {name}}}\nspec: {spec}\n"
            ));
        }
        let source = model::yaml::Source {
            file: "r.yaml".to_owned(),
            text: all.into(),
        };
        let mut snapshot = Snapshot::default();
        for located in model::yaml::parse(&[source]).unwrap() {
            model::wire::insert(
                &mut snapshot,
                model::wire::convert(&located.resource).unwrap(),
            );
        }
        snapshot
    }

    fn told(text: &str) -> Vec<String> {
        let faults = warnings(&read(text));
        faults
            .iter()
            .map(|f| format!("{} {}", f.resource.name, f.message))
            .collect()
    }

    #[test]
    fn what_takes_effect_is_told() {
        assert_eq!(
            told(
                r#"
                a {effect: allow, subjects: [{group: x}, {user: u}], servers: [one, two], tools: [t]}
                b {effect: allow, subjects: [{user: u}, {group: x}], servers: [two, one], tools: [t]}
                c {effect: allow, subjects: [{group: y, client: k}], servers: ["docs-a*"], tools: [get-x]}
                d {effect: deny, subjects: [{group: y}], servers: ["docs-*"], tools: ["get-*"]}
                e {effect: allow, everyone: true, servers: [pay], when: "args.a < 1"}
                f {effect: allow, everyone: true, servers: ["*"]}
                g {effect: allow, subjects: [{user: v}], servers: [{labels: {team: p, stage: live}}]}
                h {effect: deny, subjects: [{user: v}], servers: [{labels: {team: p}}]}
                i {effect: allow, subjects: [{user: w}], servers: [one], tools: [t], annotations: {readOnlyHint: true, openWorldHint: false}}
                j {effect: deny, subjects: [{user: w}], servers: [one], annotations: {openWorldHint: false}}
                k {effect: allow, subjects: [{user: z}], servers: [one], annotations: {readOnlyHint: true}}
                "#
            ),
            [
                "b does the same as rule a",
                "c allows nothing: rule d denies all that it is about",
                "e changes nothing: rule f allows the same without a condition",
                "g allows nothing: rule h denies all that it is about",
                "i allows nothing: rule j denies all that it is about",
                "k changes nothing: rule f allows the same without wanting annotations",
            ]
        );
    }

    #[test]
    fn what_keeps_an_effect_is_not_told() {
        let none: [&str; 0] = [];
        assert_eq!(
            told(
                r#"
                a {effect: allow, subjects: [{group: x}, {user: u}], servers: [one]}
                b {effect: deny, subjects: [{group: x}], servers: [one]}
                c {effect: allow, everyone: true, servers: [two]}
                d {effect: deny, everyone: true, servers: [two], when: "args.a < 1"}
                e {effect: deny, everyone: true, servers: [two], mode: observe}
                f {effect: allow, everyone: true, servers: ["th*"], tools: [a]}
                g {effect: deny, everyone: true, servers: ["th?"], tools: [a]}
                h {effect: deny, everyone: true, servers: ["th*"], prompts: [a]}
                i {effect: allow, everyone: true, servers: [four], annotations: {readOnlyHint: true}}
                j {effect: allow, everyone: true, servers: ["fou*"], annotations: {readOnlyHint: true}}
                k {effect: deny, everyone: true, servers: [four], annotations: {destructiveHint: true}}
                "#
            ),
            none
        );
    }

    #[test]
    fn a_hundred_thousand_rules_are_looked_through_in_time_and_the_warnings_are_bounded() {
        let mut snapshot =
            read("deny {effect: deny, everyone: true, servers: [\"*\"], tools: [t]}");
        let one = read("a {effect: allow, subjects: [{user: u}], servers: [one], tools: [t]}");
        let one = one.rules.values().next().unwrap();
        for n in 0..100_000 {
            let name = RuleName::new(&format!("r{n}")).unwrap();
            let mut rule = AccessRule {
                name: name.clone(),
                ..(**one).clone()
            };
            rule.subjects = Subjects::Any(vec![Subject {
                user: Some(format!("u{n}")),
                group: None,
                client: None,
            }]);
            if n % 2 == 0 {
                rule.effect = Effect::Deny;
                rule.subjects = Subjects::Everyone;
                rule.servers = vec![ServerSelector::Glob(Glob::new(&format!("s?{n}")).unwrap())];
            }
            snapshot.rules.insert(name, Arc::new(rule));
        }
        let began = std::time::Instant::now();
        let found = compile::warnings(&snapshot);
        let found = found.iter().filter(|w| w.code == OVERLAPS).count();
        assert_eq!(found, WARNINGS_MAX);
        assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
    }
}
