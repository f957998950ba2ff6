//! Access rules. A rule that could never take effect is refused: its writer meant something by it.

use proto::v1 as pb;

use super::{Faults, LIST_MAX};
use crate::access::{
    AccessRule, Approver, Effect, Mode, Recorded, ServerSelector, Subject, Subjects, Targets,
};
use crate::annotations::{Annotations, Hint};
use crate::fault::{BAD_GLOB, BAD_VALUE, MISSING, NEVER_MATCHES, ONE_OF};
use crate::name::{Glob, NAME_BYTES_MAX, RuleName};

pub(super) fn convert(
    name: &str,
    spec: &pb::AccessRuleSpec,
    faults: &mut Faults,
) -> Option<AccessRule> {
    let effect = effect(spec, faults);
    let subjects = subjects(spec, faults);
    let servers = servers(&spec.servers, faults);
    let annotations = annotations(spec, faults);
    let targets = match annotations.is_empty() {
        true => targets(spec.targets.as_ref(), faults),
        false => tools(spec.targets.as_ref(), faults),
    };
    faults.check_text("spec.when", &spec.when);
    let mode = mode(spec, faults);
    let approvers = approvers(spec, faults);
    Some(AccessRule {
        name: RuleName::new(name).ok()?,
        effect: effect?,
        subjects: subjects?,
        servers,
        targets,
        annotations,
        when: (!spec.when.is_empty()).then(|| spec.when.as_str().into()),
        mode,
        approvers,
        record: spec.record.as_ref().map(recorded).unwrap_or_default(),
    })
}

fn recorded(spec: &pb::RecordSpec) -> Recorded {
    Recorded {
        arguments: spec.arguments,
        results: spec.results,
    }
}

fn mode(spec: &pb::AccessRuleSpec, faults: &mut Faults) -> Mode {
    match pb::RuleMode::try_from(spec.mode) {
        Ok(pb::RuleMode::Unspecified | pb::RuleMode::Enforce) => Mode::Enforce,
        Ok(pb::RuleMode::Observe) => Mode::Observe,
        Err(_) => {
            let message = format!("{} is not a mode", spec.mode);
            faults.push("spec.mode", BAD_VALUE, message);
            Mode::Enforce
        }
    }
}

fn effect(spec: &pb::AccessRuleSpec, faults: &mut Faults) -> Option<Effect> {
    match pb::Effect::try_from(spec.effect) {
        Ok(pb::Effect::Allow) => return Some(Effect::Allow),
        Ok(pb::Effect::Deny) => return Some(Effect::Deny),
        Ok(pb::Effect::Approve) => return Some(Effect::Approve),
        Ok(pb::Effect::Unspecified) => {
            faults.push("spec.effect", MISSING, "is missing: allow, deny or approve")
        }
        Err(_) => faults.push(
            "spec.effect",
            BAD_VALUE,
            format!("{} is not an effect", spec.effect),
        ),
    }
    None
}

fn subjects(spec: &pb::AccessRuleSpec, faults: &mut Faults) -> Option<Subjects> {
    match (spec.everyone, spec.subjects.is_empty()) {
        (true, true) => return Some(Subjects::Everyone),
        (true, false) => {
            faults.push("spec.subjects", ONE_OF, "subjects and everyone: keep one");
            return None;
        }
        (false, true) => {
            faults.push(
                "spec.subjects",
                ONE_OF,
                "one of subjects, everyone is wanted",
            );
            return None;
        }
        (false, false) => {}
    }
    Some(Subjects::Any(subject_list(&spec.subjects, faults)))
}

/// Subjects at `spec.subjects`, none of which is about everyone.
pub(super) fn subject_list(given: &[pb::Subject], faults: &mut Faults) -> Vec<Subject> {
    faults.check_length("spec.subjects", given.len());
    let part = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let mut subjects = Vec::new();
    for (i, subject) in given.iter().take(LIST_MAX).enumerate() {
        for (field, text) in [
            ("user", &subject.user),
            ("group", &subject.group),
            ("client", &subject.client),
        ] {
            faults.check_text(&format!("spec.subjects[{i}].{field}"), text);
        }
        let subject = Subject {
            user: part(&subject.user),
            group: part(&subject.group),
            client: part(&subject.client),
        };
        if subject
            == (Subject {
                user: None,
                group: None,
                client: None,
            })
        {
            faults.push(
                format!("spec.subjects[{i}]"),
                MISSING,
                "names nobody: give user, group or client",
            );
        }
        subjects.push(subject);
    }
    subjects
}

fn approvers(spec: &pb::AccessRuleSpec, faults: &mut Faults) -> Vec<Approver> {
    if !spec.approvers.is_empty() && spec.effect() != pb::Effect::Approve {
        let message = "is for rules of effect approve: nobody is asked about others";
        faults.push("spec.approvers", NEVER_MATCHES, message);
    }
    faults.check_length("spec.approvers", spec.approvers.len());
    let part = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let mut approvers = Vec::new();
    for (i, approver) in spec.approvers.iter().take(LIST_MAX).enumerate() {
        let path = format!("spec.approvers[{i}]");
        faults.check_text(&format!("{path}.user"), &approver.user);
        faults.check_text(&format!("{path}.group"), &approver.group);
        if approver.user.is_empty() && approver.group.is_empty() {
            faults.push(path, MISSING, "names nobody: give user or group");
        }
        approvers.push(Approver {
            user: part(&approver.user),
            group: part(&approver.group),
        });
    }
    approvers
}

fn servers(selectors: &[pb::ServerSelector], faults: &mut Faults) -> Vec<ServerSelector> {
    use pb::server_selector::Kind;
    if selectors.is_empty() {
        faults.push(
            "spec.servers",
            MISSING,
            "is missing: names or globs of servers are wanted, or \"*\"",
        );
    }
    faults.check_length("spec.servers", selectors.len());
    let mut read = Vec::new();
    for (i, selector) in selectors.iter().take(LIST_MAX).enumerate() {
        let path = format!("spec.servers[{i}]");
        match &selector.kind {
            None => faults.push(path, MISSING, "names no server"),
            Some(Kind::Labels(labels)) => read.extend(labelled(path, labels, faults)),
            Some(Kind::Glob(text)) => {
                read.extend(server_glob(path, text, faults).map(ServerSelector::Glob));
            }
        }
    }
    read
}

/// Servers by labels. No labels at all would be all servers, which `*` says.
fn labelled(
    path: String,
    selector: &pb::LabelSelector,
    faults: &mut Faults,
) -> Option<ServerSelector> {
    if selector.labels.is_empty() {
        faults.push(path, MISSING, "names no label: for all servers write \"*\"");
        return None;
    }
    faults.check_length(&path, selector.labels.len());
    for (label, value) in selector.labels.iter().take(LIST_MAX) {
        faults.check_text(&format!("{path}.labels"), label);
        faults.check_text(&format!("{path}.labels"), value);
    }
    let labels = selector.labels.iter();
    let labels = labels.map(|(label, value)| (label.clone(), value.clone()));
    Some(ServerSelector::Labels(labels.collect()))
}

/// A glob over server names. One that holds what no server name does could never match.
pub(super) fn server_glob(path: String, text: &str, faults: &mut Faults) -> Option<Glob> {
    let glob = glob(path.clone(), text, faults)?;
    let possible = text
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-*?".contains(&b))
        && text.bytes().filter(|b| *b != b'*').count() <= NAME_BYTES_MAX;
    if !possible {
        let message =
            format!("{text:?} can never match: names of servers are 1 to 40 of a-z, 0-9 and -");
        faults.push(path, NEVER_MATCHES, message);
    }
    Some(glob)
}

pub(super) fn glob(path: String, text: &str, faults: &mut Faults) -> Option<Glob> {
    Glob::new(text)
        .map_err(|bad| faults.push(path, BAD_GLOB, format!("{text:?} is refused: {bad}")))
        .ok()
}

fn targets(targets: Option<&pb::Targets>, faults: &mut Faults) -> Targets {
    let Some(targets) = targets else {
        return Targets::All;
    };
    let lists = [
        ("spec.tools", &targets.tools),
        ("spec.prompts", &targets.prompts),
        ("spec.resources", &targets.resources),
        ("spec.methods", &targets.methods),
    ];
    let mut given = lists
        .iter()
        .filter_map(|(path, list)| list.as_ref().map(|list| (path, list)))
        .peekable();
    let Some((first, _)) = given.peek().copied() else {
        return Targets::All;
    };
    if given.all(|(_, list)| list.globs.is_empty()) {
        faults.push(
            *first,
            NEVER_MATCHES,
            "is empty, and nothing else is given: the rule can never match",
        );
    }
    let [tools, prompts, resources, methods] = lists.map(|(path, list)| match list {
        Some(list) => globs(path, &list.globs, faults),
        None => Vec::new(),
    });
    Targets::Some {
        tools,
        prompts,
        resources,
        methods,
    }
}

/// What tools have to say of themselves.
fn annotations(spec: &pb::AccessRuleSpec, faults: &mut Faults) -> Annotations {
    let annotations = super::annotations(spec.annotations.as_ref());
    if spec.annotations.is_some() && annotations.is_empty() {
        let names = Hint::ALL.map(Hint::as_str).join(", ");
        let message = format!("names no annotation: give one of {names}");
        faults.push("spec.annotations", MISSING, message);
    }
    annotations
}

/// The targets of a rule with annotations, which tools alone have: all, unless some are named. A list of anything else
/// would match nothing.
fn tools(given: Option<&pb::Targets>, faults: &mut Faults) -> Targets {
    if let Some(given) = given {
        for (path, list) in [
            ("spec.prompts", &given.prompts),
            ("spec.resources", &given.resources),
            ("spec.methods", &given.methods),
        ] {
            if list.is_some() {
                let message = "is given beside annotations, which tools alone have: it can never match; write a \
                               rule of its own";
                faults.push(path, NEVER_MATCHES, message);
            }
        }
        if given.tools.is_some() {
            return targets(Some(given), faults);
        }
    }
    Targets::Some {
        tools: Glob::new("*").into_iter().collect(),
        prompts: Vec::new(),
        resources: Vec::new(),
        methods: Vec::new(),
    }
}

pub(super) fn globs(path: &str, texts: &[String], faults: &mut Faults) -> Vec<Glob> {
    faults.check_length(path, texts.len());
    let one = |(i, text): (usize, &String)| glob(format!("{path}[{i}]"), text, faults);
    texts
        .iter()
        .take(LIST_MAX)
        .enumerate()
        .filter_map(one)
        .collect()
}
