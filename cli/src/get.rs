//! `gatehouse get`: what is configured, as a table or as `apply` would read it.

mod cells;

use model::yaml;
use proto::v1::resource::Spec;
use proto::v1::{GetRequest, ListRequest, Metadata, Resource, ResourceKey};
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

pub(crate) use cells::{filter_cells, limit_cells, targets};
use cells::{members, rule_cells, runtime};

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
    /// Server, VirtualServer, AccessRule, Filter, Limit, Group or Secret
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
        model::wire::FILTER => &["KIND", "SERVERS", "DIRECTION", "ORDER"],
        model::wire::GROUP => &["MEMBERS"],
        _ => &[],
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
            Some(Spec::Group(group)) => cells.push(members(group)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use proto::v1::{
        AccessRuleSpec, FilterSpec, GroupSpec, LimitSpec, SecretSpec, ServerSpec, VirtualServerSpec,
    };

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
            (
                "VirtualServer",
                resource(Spec::VirtualServer(VirtualServerSpec::default())),
            ),
            ("Group", resource(Spec::Group(GroupSpec::default()))),
            ("Secret", resource(Spec::Secret(SecretSpec::default()))),
        ];
        for (kind, resource) in samples {
            for wide in [false, true] {
                let table = table(std::slice::from_ref(&resource), kind, wide);
                assert!(table.is_even(), "{kind} {wide}");
            }
        }
    }
}
