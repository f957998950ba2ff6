//! The sheet of a server: what runs, who may use it, which filters look, what was called.

use std::collections::BTreeSet;

use model::name::ServerName;
use model::server::Pin;
use model::snapshot::ResourceKey;
use proto::v1::resource::Spec;
use proto::v1::{CallFilter, ListNodesResponse, Resource, ServerTools};
use serde_json::json;

use super::sheet::{CONFIGURED, Sheet};
use super::{Ground, callers};
use crate::check;
use crate::check::report::{Finding, Findings};
use crate::get;
use crate::nodes;
use crate::server;
use crate::show::{Meaning, Table};

/// All of it. A question that is not answered is a problem on the sheet: what is known is shown all the same.
pub(super) async fn describe(ground: &Ground, resource: &Resource) -> Sheet {
    let mut sheet = ground.sheet(resource, model::wire::SERVER);
    let name = resource.metadata.clone().unwrap_or_default().name;
    runs(ground, &mut sheet, &name).await;
    tools(ground, &mut sheet, &name).await;
    who(ground, &mut sheet, &name);
    filters(ground, &mut sheet, &name);
    let filter = CallFilter {
        server: name,
        ..CallFilter::default()
    };
    let calls = ground.calls(filter, |_| true).await;
    sheet.calls("last calls", calls.as_deref(), "none on record");
    sheet
}

async fn runs(ground: &Ground, sheet: &mut Sheet, name: &str) {
    let statuses = match server::statuses(&ground.link, name).await {
        Ok(statuses) => Some(statuses),
        Err(failure) => {
            let message = "the control plane does not say whether it runs";
            sheet.problems([Finding::unanswered(CONFIGURED, message, failure)]);
            None
        }
    };
    let best: Vec<_> = server::one_each(statuses.clone().unwrap_or_default()).collect();
    if statuses.is_some() {
        let runners = check::servers::runners(&ground.stored.resources);
        let before = Findings::default();
        sheet.problems(check::servers::started(&best, &runners, &before));
    }
    let mut own = ground.nodes.clone();
    own.nodes.retain(|node| node.server == name);
    sheet.problems(check::nodes::current(&own));
    sheet.problems(check::nodes::certificates(&own));
    if let Some(statuses) = &statuses {
        sheet.table("runs", server::table(statuses, true), "nowhere");
        let details = best.iter().filter(|status| status.state != "ready");
        sheet.lines("last words", details.flat_map(server::details).collect());
        let views: Vec<_> = statuses.iter().map(server::View::of).collect();
        sheet.set("runs", json!(views));
    }
    own_nodes(sheet, &own, ground.nodes.revision);
}

/// The nodes that run it.
fn own_nodes(sheet: &mut Sheet, own: &ListNodesResponse, head: u64) {
    let own: Vec<_> = own.nodes.iter().collect();
    sheet.table(
        "nodes",
        nodes::table(&own, head, false),
        "no sidecar has joined for it",
    );
    let views: Vec<_> = own.iter().map(|node| nodes::View::of(node, head)).collect();
    sheet.set("nodes", json!(views));
}

/// How the definitions of its tools stand, where anybody looks at them.
async fn tools(ground: &Ground, sheet: &mut Sheet, name: &str) {
    let states = server::tools::states(&ground.link, name).await;
    let own = states.as_ref().ok().and_then(|states| states.first());
    let looked_at = |own: &&ServerTools| {
        own.pin != Pin::Off.as_str() || !own.approved.is_empty() || !own.pending.is_empty()
    };
    if let Some(own) = own.filter(looked_at) {
        sheet.table("tools", server::tools::table(own), "none was seen yet");
        sheet.set("tools", json!(server::tools::items(own)));
    }
    sheet.problems(check::servers::held(states));
}

fn who(ground: &Ground, sheet: &mut Sheet, name: &str) {
    let Ok(server) = ServerName::new(name) else {
        return;
    };
    let targets = |rule: &model::access::AccessRule| {
        let stored = ground
            .stored
            .resource(model::wire::ACCESS_RULE, rule.name.as_str());
        match stored.and_then(|resource| resource.spec.as_ref()) {
            Some(Spec::AccessRule(spec)) => get::targets(spec),
            _ => String::new(),
        }
    };
    let callers = callers::of(&ground.engine, &server, targets);
    if !callers.iter().any(|caller| caller.may_use) {
        let message = "no rule lets anybody use it: for every caller it does not exist";
        sheet.problems([Finding::warn(CONFIGURED, message)]);
    }
    sheet.table("who may use it", callers::table(&callers), "nobody");
    sheet.set("callers", json!(callers));
}

/// Filters that look at its messages, in order.
fn filters(ground: &Ground, sheet: &mut Sheet, name: &str) {
    let mut filters: Vec<_> = ground.stored.snapshot.filters.values().collect();
    filters.sort_by(|a, b| (a.order, &a.name).cmp(&(b.order, &b.name)));
    filters.retain(|filter| {
        let servers = &filter.matches.servers;
        servers.is_empty() || servers.iter().any(|glob| glob.matches(name))
    });
    let mut table = Table::new(&["ORDER", "NAME", "KIND", "DIRECTION", "METHODS", "TOOLS"]);
    let mut items = Vec::new();
    for filter in filters {
        let all = |globs: &[model::name::Glob]| {
            let globs: Vec<String> = globs.iter().map(ToString::to_string).collect();
            if globs.is_empty() {
                "*".to_owned()
            } else {
                globs.join(",")
            }
        };
        let stored = ground
            .stored
            .resource(model::wire::FILTER, filter.name.as_str());
        let [kind, _, direction, order] = match stored.and_then(|r| r.spec.as_ref()) {
            Some(Spec::Filter(spec)) => get::filter_cells(spec),
            _ => Default::default(),
        };
        let (methods, tools) = (all(&filter.matches.methods), all(&filter.matches.tools));
        items.push(
            json!({"name": filter.name.as_str(), "order": filter.order, "kind": kind,
            "direction": direction, "methods": methods, "tools": tools}),
        );
        table.cells(
            [
                order,
                filter.name.to_string(),
                kind,
                direction,
                methods,
                tools,
            ]
            .map(|cell| (cell, Meaning::Plain))
            .into(),
        );
    }
    sheet.table("filters in order", table, "none");
    sheet.set("filters", json!(items));
}

/// Warnings of the engine about one resource.
pub(super) fn warnings(ground: &Ground, kind: &str, name: &str) -> Vec<Finding> {
    let key = ResourceKey::new(kind, name);
    let all = engine::compile::warnings(&ground.stored.snapshot);
    let own: BTreeSet<String> = all
        .into_iter()
        .filter(|fault| fault.resource == key)
        .map(|fault| format!("{} {}: {}", fault.code, fault.path, fault.message))
        .collect();
    own.into_iter()
        .map(|message| Finding::warn(CONFIGURED, message))
        .collect()
}

/// Nodes that rejected a revision with words about `name`.
pub(super) fn rejections(ground: &Ground, name: &str) -> Vec<Finding> {
    let mut naming = ground.nodes.clone();
    let is_about = |fault: &String| {
        let words = |c: char| !(c.is_ascii_alphanumeric() || c == '-');
        fault.split(words).any(|word| word == name)
    };
    naming
        .nodes
        .retain(|node| node.state == "rejected" && node.faults.iter().any(is_about));
    check::nodes::current(&naming)
}
