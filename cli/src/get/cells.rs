//! The cells of a row: what resources of each kind say in a few words.

use proto::v1::filter_spec::Kind as FilterKind;
use proto::v1::runtime::Kind as RuntimeKind;
use proto::v1::server_selector::Kind as Selector;
use proto::v1::{AccessRuleSpec, FilterSpec, GroupSpec, LimitSpec, ServerSpec};

/// What runs a server.
pub(super) fn runtime(server: &ServerSpec) -> String {
    match server
        .runtime
        .as_ref()
        .and_then(|runtime| runtime.kind.as_ref())
    {
        Some(RuntimeKind::Npx(npx)) => format!("npx {}@{}", npx.package, npx.version),
        Some(RuntimeKind::Uvx(uvx)) => format!("uvx {}=={}", uvx.package, uvx.version),
        Some(RuntimeKind::Command(command)) => command.argv.join(" "),
        Some(RuntimeKind::Container(container)) => container.image.clone(),
        Some(RuntimeKind::Remote(remote)) => remote.url.clone(),
        Some(RuntimeKind::External(_)) => "external".to_owned(),
        None => String::new(),
    }
}

/// Effect, subjects, servers and targets of a rule.
pub(super) fn rule_cells(rule: &AccessRuleSpec) -> [String; 4] {
    let subjects: Vec<String> = rule
        .subjects
        .iter()
        .map(|subject| {
            [
                ("user", &subject.user),
                ("group", &subject.group),
                ("client", &subject.client),
            ]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}:{value}"))
            .collect::<Vec<_>>()
            .join("&")
        })
        .collect();
    let servers: Vec<String> = rule
        .servers
        .iter()
        .map(|selector| match &selector.kind {
            Some(Selector::Glob(glob)) => glob.clone(),
            Some(Selector::Labels(_)) => "labels".to_owned(),
            None => String::new(),
        })
        .collect();
    [
        rule.effect()
            .as_str_name()
            .trim_start_matches("EFFECT_")
            .to_ascii_lowercase(),
        if rule.everyone {
            "everyone".to_owned()
        } else {
            subjects.join(",")
        },
        servers.join(","),
        targets(rule),
    ]
}

/// What a rule is about on its servers: `everything`, `tools:get-* readOnlyHint:true`.
pub(crate) fn targets(rule: &AccessRuleSpec) -> String {
    let given = rule.targets.clone().unwrap_or_default();
    let lists = [
        ("tools", given.tools),
        ("prompts", given.prompts),
        ("resources", given.resources),
        ("methods", given.methods),
    ];
    let lists: Vec<String> = lists
        .into_iter()
        .filter_map(|(name, list)| list.map(|list| format!("{name}:{}", list.globs.join(","))))
        .collect();
    let said = model::wire::annotations(rule.annotations.as_ref());
    let said = said
        .given()
        .map(|(hint, value)| format!("{}:{value}", hint.as_str()));
    let said: Vec<String> = said.collect();
    match (lists.is_empty(), said.is_empty()) {
        (true, true) => "everything".to_owned(),
        (true, false) => format!("tools:* {}", said.join(" ")),
        (false, _) => [lists, said].concat().join(" "),
    }
}

/// Kind, servers, direction and order of a filter.
pub(crate) fn filter_cells(filter: &FilterSpec) -> [String; 4] {
    let matches = filter.r#match.clone().unwrap_or_default();
    let kind = match &filter.kind {
        Some(FilterKind::Keywords(keywords)) => format!("keywords ({})", keywords.words.len()),
        Some(FilterKind::Webhook(_)) => "webhook".to_owned(),
        Some(FilterKind::Regex(regex)) => format!("regex ({})", regex.patterns.len()),
        Some(FilterKind::Pii(_)) => "pii".to_owned(),
        Some(FilterKind::Schema(_)) => "schema".to_owned(),
        Some(FilterKind::Size(_)) => "size".to_owned(),
        Some(FilterKind::Injection(_)) => "injection".to_owned(),
        Some(FilterKind::Hidden(_)) => "hidden".to_owned(),
        None => String::new(),
    };
    let servers = if matches.servers.is_empty() {
        "*".to_owned()
    } else {
        matches.servers.join(",")
    };
    let direction = match matches.direction() {
        proto::v1::Direction::Request => "request",
        proto::v1::Direction::Response => "response",
        proto::v1::Direction::Both | proto::v1::Direction::Unspecified => "both",
    };
    [
        kind,
        servers,
        direction.to_owned(),
        filter.order.to_string(),
    ]
}

/// What a limit bounds, for what, servers, and how it counts.
pub(crate) fn limit_cells(limit: &LimitSpec) -> [String; 4] {
    let given = |name: &str, text: &str| {
        let shown = format!("{name}{text}");
        (!text.is_empty() && text != "0").then_some(shown)
    };
    let bounds = [
        given("", &limit.rate),
        given("burst ", &limit.burst.to_string()),
        given("concurrency ", &limit.concurrency.to_string()),
        given("request ", &limit.request_bytes),
        given("response ", &limit.response_bytes),
    ];
    let bounds: Vec<String> = bounds.into_iter().flatten().collect();
    let or = |texts: &[String], nothing: &str| match texts {
        [] => nothing.to_owned(),
        texts => texts.join(","),
    };
    let scope = match limit.scope() {
        proto::v1::LimitScope::Edge => "edge",
        proto::v1::LimitScope::Shared | proto::v1::LimitScope::Unspecified => "shared",
    };
    let how = match limit.mode() {
        proto::v1::LimitMode::Observe => format!("{scope}, observe"),
        proto::v1::LimitMode::Enforce | proto::v1::LimitMode::Unspecified => scope.to_owned(),
    };
    let servers = limit.r#match.as_ref().map(|matches| &*matches.servers);
    [
        bounds.join(", "),
        or(&limit.per, "all"),
        or(servers.unwrap_or_default(), "*"),
        how,
    ]
}

/// Who is in a group: `user:ana@example.com,group:engineering`.
pub(super) fn members(group: &GroupSpec) -> String {
    let members = group.members.iter().map(|member| {
        let given = [("user", &member.user), ("group", &member.group)].into_iter();
        let given = given.filter(|(_, value)| !value.is_empty());
        let given: Vec<String> = given
            .map(|(name, value)| format!("{name}:{value}"))
            .collect();
        given.join("&")
    });
    members.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::v1::{Effect, GlobList, GroupMember, ServerSelector, Subject, Targets};

    #[test]
    fn a_rule_fits_in_a_row() {
        let rule = AccessRuleSpec {
            effect: Effect::Deny.into(),
            subjects: vec![
                Subject {
                    group: "engineering".to_owned(),
                    client: "cursor".to_owned(),
                    ..Subject::default()
                },
                Subject {
                    user: "ana@example.com".to_owned(),
                    ..Subject::default()
                },
            ],
            servers: vec![ServerSelector {
                kind: Some(Selector::Glob("docs-*".to_owned())),
            }],
            targets: Some(Targets {
                tools: Some(GlobList {
                    globs: vec!["get-env".to_owned()],
                }),
                ..Targets::default()
            }),
            ..AccessRuleSpec::default()
        };
        assert_eq!(
            rule_cells(&rule),
            [
                "deny",
                "group:engineering&client:cursor,user:ana@example.com",
                "docs-*",
                "tools:get-env"
            ]
        );
        let all = AccessRuleSpec {
            everyone: true,
            ..AccessRuleSpec::default()
        };
        assert_eq!(
            (rule_cells(&all)[1].as_str(), rule_cells(&all)[3].as_str()),
            ("everyone", "everything")
        );
    }

    #[test]
    fn annotations_stand_behind_the_tools_that_must_have_them() {
        let by = |targets: Option<Targets>| AccessRuleSpec {
            targets,
            annotations: Some(proto::v1::ToolAnnotations {
                read_only_hint: Some(true),
                open_world_hint: Some(false),
                ..Default::default()
            }),
            ..AccessRuleSpec::default()
        };
        assert_eq!(
            targets(&by(None)),
            "tools:* readOnlyHint:true openWorldHint:false"
        );
        let named = Targets {
            tools: Some(GlobList {
                globs: vec!["get-*".to_owned()],
            }),
            ..Targets::default()
        };
        assert_eq!(
            targets(&by(Some(named))),
            "tools:get-* readOnlyHint:true openWorldHint:false"
        );
    }

    #[test]
    fn members_of_a_group_are_told_apart() {
        let member = |user: &str, group: &str| GroupMember {
            user: user.to_owned(),
            group: group.to_owned(),
        };
        let group = GroupSpec {
            members: vec![member("ana@example.com", ""), member("", "engineering")],
        };
        assert_eq!(members(&group), "user:ana@example.com,group:engineering");
        assert_eq!(members(&GroupSpec::default()), "");
    }
}
