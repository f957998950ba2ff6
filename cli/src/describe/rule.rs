//! The sheet of an access rule: which servers it is about, and the calls that it decided.

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
