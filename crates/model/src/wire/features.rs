//! What a node must know to run a resource rightly (Metadata.features).
//!
//! A feature is named for behaviour, with a version: when a node's engine would read the same bytes in another way
//! than was meant, the number goes up. What this version refuses has a feature that no engine of it knows, so that a
//! resource which came in by another door fails closed, too.

use proto::v1 as pb;

/// The features that a resource needs, sorted.
pub fn features_of(resource: &pb::Resource) -> Vec<String> {
    use pb::resource::Spec;
    let mut features = match &resource.spec {
        None => vec!["unknown/1"],
        Some(Spec::Server(spec)) => server(spec),
        Some(Spec::VirtualServer(_)) => vec!["virtual-server/1"],
        Some(Spec::AccessRule(spec)) => access(spec),
        Some(Spec::Filter(spec)) => filter(spec),
        Some(Spec::Limit(_)) => vec!["limit/1"],
        Some(Spec::Secret(_)) => vec!["secret/1"],
        Some(Spec::Group(_)) => vec!["group/1"],
        Some(Spec::ApiKey(_)) => vec!["api-key/1"],
        Some(Spec::KeyRing(_)) => vec!["key-ring/1"],
        Some(Spec::ToolPins(_)) => vec!["tool-pins/1"],
        // Nodes do not get it: they need not know it.
        Some(Spec::StagedRollout(_)) => Vec::new(),
    };
    features.sort_unstable();
    features.into_iter().map(str::to_owned).collect()
}

fn server(spec: &pb::ServerSpec) -> Vec<&'static str> {
    use pb::runtime::Kind;
    let mut features = vec![match spec.runtime.as_ref().and_then(|r| r.kind.as_ref()) {
        None | Some(Kind::Npx(_) | Kind::Uvx(_) | Kind::Command(_)) => "server.stdio/1",
        Some(Kind::Container(_)) => "server.container/1",
        Some(Kind::Remote(_)) => "server.remote/1",
        Some(Kind::External(_)) => "server.external/1",
    }];
    if !matches!(
        spec.tenancy(),
        pb::Tenancy::Unspecified | pb::Tenancy::Shared
    ) {
        features.push("server.tenancy/1");
    }
    if spec.upstream_auth.is_some() {
        features.push("server.upstream-auth/1");
    }
    if !spec.egress.is_empty() {
        features.push("server.egress/1");
    }
    let tools = spec.tools.as_ref();
    if tools.is_some_and(|tools| !matches!(tools.pin.as_str(), "" | "off")) {
        features.push("server.tools/1");
    }
    if tools.is_some_and(|tools| !tools.overrides.is_empty()) {
        features.push("server.tools.overrides/1");
    }
    let limits = spec.limits.unwrap_or_default();
    if limits.memory_bytes != 0
        || limits.cpu_millis != 0
        || limits.processes != 0
        || limits.idle_ms != 0
    {
        features.push("server.limits/1");
    }
    let from_secret = |entry: &pb::ConfigEntry| entry.from == "secret";
    if spec.config.iter().any(from_secret) {
        features.push("server.secret/1");
    }
    let later = |entry: &pb::ConfigEntry| {
        !matches!(entry.from.as_str(), "admin" | "secret")
            || !matches!(entry.r#as.as_str(), "env" | "header" | "url")
    };
    if spec.config.iter().any(later) {
        features.push("server.config/1");
    }
    features
}

fn access(spec: &pb::AccessRuleSpec) -> Vec<&'static str> {
    let mut features = vec!["access/1"];
    if spec.targets.as_ref().is_some_and(|t| t.methods.is_some()) {
        features.push("access.methods/1");
    }
    if spec.effect() == pb::Effect::Approve {
        features.push("access.approve/1");
    }
    if !spec.when.is_empty() {
        features.push("access.when/1");
    }
    if spec.annotations.is_some() {
        features.push("access.annotations/1");
    }
    if spec.record.is_some() {
        features.push("access.record/1");
    }
    let labels =
        |s: &pb::ServerSelector| matches!(s.kind, Some(pb::server_selector::Kind::Labels(_)));
    if spec.servers.iter().any(labels) {
        features.push("access.labels/1");
    }
    if spec.mode() == pb::RuleMode::Observe {
        features.push("access.observe/1");
    }
    features
}

fn filter(spec: &pb::FilterSpec) -> Vec<&'static str> {
    use pb::filter_spec::Kind;
    let mut features = vec![match &spec.kind {
        None => "unknown/1",
        Some(Kind::Hidden(_)) => "filter.hidden/1",
        Some(Kind::Injection(_)) => "filter.injection/1",
        // Since 2, `fold` folds compatibility forms and leaves out invisible characters.
        Some(Kind::Keywords(keywords)) if keywords.fold => "filter.keywords/2",
        Some(Kind::Keywords(_)) => "filter.keywords/1",
        Some(Kind::Pii(_)) => "filter.pii/1",
        Some(Kind::Regex(_)) => "filter.regex/1",
        Some(Kind::Schema(_)) => "filter.schema/1",
        Some(Kind::Size(_)) => "filter.size/1",
        Some(Kind::Webhook(_)) => "filter.webhook/1",
    }];
    if spec.may_change {
        features.push("filter.change/1");
    }
    if matches!(&spec.kind, Some(Kind::Webhook(hook)) if hook.signed_answer) {
        features.push("filter.signed-answer/1");
    }
    if spec.mode() == pb::FilterMode::Observe {
        features.push("filter.observe/1");
    }
    features
}
