//! `gatehouse get`: what is configured, as a table or as `apply` would read it.

use model::yaml;
use proto::v1::filter_spec::Kind as FilterKind;
use proto::v1::resource::Spec;
use proto::v1::runtime::Kind as RuntimeKind;
use proto::v1::server_selector::Kind as Selector;
use proto::v1::{
    AccessRuleSpec, FilterSpec, GetRequest, LimitSpec, ListRequest, Metadata, Resource,
    ResourceKey, ServerSpec,
};
use serde_json::{Value, json};
use tonic::Code;

use crate::app::App;
use crate::codes;
use crate::fault::{Failure, Fault};
use crate::kind;
use crate::link::Link;
use crate::show::{Format, Meaning, Table, nearest};
use crate::watch;
use crate::when;

/// Show what is configured.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse get Server
  gatehouse get AccessRule -o wide
  gatehouse get Server everything -o yaml
  gatehouse get servers -w

With -w: redrawn in place on a terminal; elsewhere a line a change with its time and added, changed or deleted, and
with -o json an object a line. What is there at first counts as added.

See also: gatehouse describe, gatehouse apply, gatehouse wait")]
pub struct Args {
    /// Server, AccessRule or Filter
    pub kind: String,
    /// One of them only
    pub name: Option<String>,
    /// Go on showing what changes, until Ctrl-C
    #[arg(short, long)]
    pub watch: bool,
}

/// Runs the command.
///
/// # Errors
/// Unknown kind or name, or no connection.
pub async fn run(args: Args, app: &App) -> Result<(), Failure> {
    let kind = kind::parse(&args.kind)?;
    if args.watch {
        if matches!(app.show.format(), Format::Yaml | Format::Name) {
            return Err(Failure::usage(
                "-w shows a table, -o wide or -o json: what changes is no YAML to apply",
            ));
        }
        return watch::watch(kind, args.name.as_deref(), app).await;
    }
    let link = app.link().await?;
    if let Some(name) = &args.name {
        let resource = one(&link, kind, name).await?;
        show(app, std::slice::from_ref(&resource), kind, true);
        return Ok(());
    }
    let resources = all(&link, kind).await?;
    show(app, &resources, kind, false);
    Ok(())
}

/// One resource.
///
/// # Errors
/// There is none of that name (with the nearest that there is), or no answer.
pub async fn one(link: &Link, kind: &str, name: &str) -> Result<Resource, Failure> {
    match find(link, kind, name).await? {
        Some(found) => Ok(found),
        None => Err(no_such(link, kind, name).await.into()),
    }
}

/// A server that clients connect to: of the catalog, or a virtual one.
///
/// # Errors
/// As [`one`], of servers of the catalog.
pub async fn one_to_connect_to(link: &Link, name: &str) -> Result<Resource, Failure> {
    if let Some(found) = find(link, model::wire::SERVER, name).await? {
        return Ok(found);
    }
    match find(link, model::wire::VIRTUAL_SERVER, name).await? {
        Some(found) => Ok(found),
        None => Err(no_such(link, model::wire::SERVER, name).await.into()),
    }
}

/// One resource, where there is one of that name.
///
/// # Errors
/// Faults of the connection.
pub(crate) async fn find(link: &Link, kind: &str, name: &str) -> Result<Option<Resource>, Fault> {
    let key = ResourceKey {
        kind: kind.to_owned(),
        name: name.to_owned(),
    };
    match link.admin().get(GetRequest { key: Some(key) }).await {
        Ok(answer) => Ok(Some(answer.into_inner())),
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) => Err(link.fault(&status)),
    }
}

/// All resources of a kind.
///
/// # Errors
/// No answer.
pub async fn all(link: &Link, kind: &str) -> Result<Vec<Resource>, Failure> {
    let request = ListRequest {
        kind: kind.to_owned(),
    };
    let answer = link
        .admin()
        .list(request)
        .await
        .map_err(|status| link.fault(&status))?;
    Ok(answer.into_inner().resources)
}

/// Names of servers, virtual ones too, that are not in the catalog, each as a sentence with the nearest that is: for what may name a
/// server that is yet to come.
pub async fn unknown_servers(link: &Link, named: &[String]) -> Vec<String> {
    let mut there = Vec::new();
    for kind in [model::wire::SERVER, model::wire::VIRTUAL_SERVER] {
        match all(link, kind).await {
            Ok(found) => there.extend(found),
            Err(_) => return Vec::new(),
        }
    }
    let there: Vec<&str> = there
        .iter()
        .filter_map(|resource| Some(resource.metadata.as_ref()?.name.as_str()))
        .collect();
    let unknown = named.iter().filter(|name| !there.contains(&name.as_str()));
    let sentence = |name: &String| match nearest(name, there.iter().copied()) {
        Some(near) => format!("there is no server {name:?}: did you mean {near}?"),
        None => format!("there is no server {name:?}: gatehouse get Server"),
    };
    unknown.map(sentence).collect()
}

/// There is nothing of that name; the nearest that there is.
pub async fn no_such(link: &Link, kind: &str, name: &str) -> Fault {
    let there = all(link, kind).await.unwrap_or_default();
    let names = there
        .iter()
        .filter_map(|r| r.metadata.as_ref())
        .map(|m| m.name.as_str());
    let fault = Fault::new(codes::NO_SUCH, format!("there is no {kind} {name:?}"));
    match nearest(name, names) {
        Some(near) => fault.why(format!("did you mean {near}?")),
        None => fault,
    }
    .fix(format!("gatehouse get {kind}"))
}

fn show(app: &App, resources: &[Resource], kind: &str, single: bool) {
    match app.show.format() {
        Format::Yaml => {
            let texts: Vec<String> = resources.iter().map(yaml::to_yaml).collect();
            app.show.line(texts.join("---\n").trim_end());
        }
        Format::Json if single => app.show.json(&resources.first().map(yaml::to_json)),
        Format::Json => {
            let items: Vec<Value> = resources.iter().map(yaml::to_json).collect();
            app.show.json(&json!({ "items": items }));
        }
        Format::Name => {
            for resource in resources {
                app.show
                    .line(&format!("{kind}/{}", metadata(resource).name));
            }
        }
        Format::Table | Format::Wide | Format::Short => {
            let table = table(resources, kind, app.show.format() == Format::Wide);
            app.show.table(&table, &format!("there is no {kind} yet"));
        }
    }
}

fn metadata(resource: &Resource) -> Metadata {
    resource.metadata.clone().unwrap_or_default()
}

/// Resources of a kind as a table.
pub(crate) fn table(resources: &[Resource], kind: &str, wide: bool) -> Table {
    let own: &[&str] = match kind {
        model::wire::SERVER => &["RUNTIME", "TITLE"],
        model::wire::VIRTUAL_SERVER => &["MEMBERS", "TITLE"],
        model::wire::ACCESS_RULE => &["EFFECT", "SUBJECTS", "SERVERS", "TARGETS"],
        model::wire::LIMIT => &["BOUNDS", "PER", "SERVERS", "COUNTED"],
        _ => &["KIND", "SERVERS", "DIRECTION", "ORDER"],
    };
    let more: &[&str] = if wide {
        &["REVISION", "LABELS", "DESCRIPTION"]
    } else {
        &[]
    };
    let header: Vec<&str> = ["NAME"]
        .iter()
        .chain(own)
        .chain(&["CHANGED"])
        .chain(more)
        .copied()
        .collect();
    let mut table = Table::new(&header);
    for resource in resources {
        let meta = metadata(resource);
        let mut cells = vec![meta.name.clone()];
        let mut description = String::new();
        match &resource.spec {
            Some(Spec::Server(server)) => {
                cells.extend([runtime(server), server.title.clone()]);
                description.clone_from(&server.description);
            }
            Some(Spec::VirtualServer(server)) => {
                let names = server.members.iter().map(|member| member.server.as_str());
                cells.extend([names.collect::<Vec<_>>().join(","), server.title.clone()]);
                description.clone_from(&server.description);
            }
            Some(Spec::AccessRule(rule)) => cells.extend(rule_cells(rule)),
            Some(Spec::Filter(filter)) => cells.extend(filter_cells(filter)),
            Some(Spec::Limit(limit)) => cells.extend(limit_cells(limit)),
            _ => cells.extend(own.iter().map(|_| String::new())),
        }
        cells.push(when::age_of_text(&meta.changed));
        if wide {
            let labels: Vec<String> = meta
                .labels
                .iter()
                .map(|(k, v)| format!("{k}={v}"))
                .collect();
            cells.extend([meta.revision.to_string(), labels.join(","), description]);
        }
        table.cells(
            cells
                .into_iter()
                .map(|cell| (cell, Meaning::Plain))
                .collect(),
        );
    }
    table
}

fn runtime(server: &ServerSpec) -> String {
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

fn rule_cells(rule: &AccessRuleSpec) -> [String; 4] {
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

/// What a rule is about on its servers: `everything`, `tools:get-*`.
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
    if lists.is_empty() {
        "everything".to_owned()
    } else {
        lists.join(" ")
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

#[cfg(test)]
mod tests {
    use super::*;
    use proto::v1::{Effect, GlobList, ServerSelector, Subject, Targets};

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
    fn every_kind_has_as_many_cells_as_columns() {
        let resource = |spec| Resource {
            metadata: Some(Metadata::default()),
            spec: Some(spec),
        };
        let samples = [
            ("Server", resource(Spec::Server(ServerSpec::default()))),
            (
                "AccessRule",
                resource(Spec::AccessRule(AccessRuleSpec::default())),
            ),
            ("Filter", resource(Spec::Filter(FilterSpec::default()))),
            ("Limit", resource(Spec::Limit(LimitSpec::default()))),
        ];
        for (kind, resource) in samples {
            for wide in [false, true] {
                let table = table(std::slice::from_ref(&resource), kind, wide);
                assert!(table.is_even(), "{kind} {wide}");
            }
        }
    }
}
