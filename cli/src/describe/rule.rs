//! The sheet of an access rule: which servers it is about, and the calls that it decided.

use std::sync::Arc;

use model::access::{AccessRule, Targets};
use model::pins::ToolPins;
use model::snapshot::Snapshot;
use proto::v1::{CallFilter, Resource};
use serde_json::json;

use super::Ground;
use super::server::{rejections, warnings};
use super::sheet::Sheet;

/// All of it.
pub(super) async fn describe(ground: &Ground, resource: &Resource) -> Sheet {
    let mut sheet = ground.sheet(resource, model::wire::ACCESS_RULE);
    let name = resource.metadata.clone().unwrap_or_default().name;
    sheet.problems(warnings(ground, model::wire::ACCESS_RULE, &name));
    sheet.problems(rejections(ground, &name));
    let rule = ground.stored.snapshot.rules.get(name.as_str());
    let servers = rule.map_or_else(Vec::new, |rule| ground.selected(rule));
    let shown = if servers.is_empty() {
        "none yet".to_owned()
    } else {
        servers.join(", ")
    };
    sheet.lines("servers that it is about now", vec![shown]);
    sheet.set("servers", json!(servers));
    if let Some(rule) = rule.filter(|rule| !rule.annotations.is_empty()) {
        let tools = annotated(&ground.stored.snapshot, rule);
        let shown = match tools.is_empty() {
            true => "none of a server that is trusted".to_owned(),
            false => tools.join(", "),
        };
        sheet.lines("tools that say so now", vec![shown]);
        sheet.set("tools", json!(tools));
    }
    let calls = ground
        .calls(CallFilter::default(), |call| call.rule == name)
        .await;
    sheet.calls(
        "last calls",
        calls.as_deref(),
        "it decided none of the last 1000",
    );
    sheet
}

/// Tools of trusted servers that say of themselves what a rule wants: `docs/search`.
fn annotated(snapshot: &Snapshot, rule: &AccessRule) -> Vec<String> {
    let Targets::Some { tools: named, .. } = &rule.targets else {
        return Vec::new();
    };
    let servers = snapshot.servers.values().filter(|server| {
        server.tools.is_trusted() && rule.selects(server.name.as_str(), &server.labels)
    });
    let pins = servers.filter_map(|server| snapshot.tool_pins.get(&server.name));
    let says_so = |pins: &ToolPins, tool: &str| {
        named.iter().any(|glob| glob.matches(tool)) && rule.annotations.hold(&pins.hints_of(tool))
    };
    let of_server = |pins: &Arc<ToolPins>| -> Vec<String> {
        let tools = pins.tools.keys().filter(|tool| says_so(pins, tool));
        tools
            .map(|tool| format!("{}/{tool}", pins.server))
            .collect()
    };
    pins.flat_map(of_server).collect()
}
