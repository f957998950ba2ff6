//! The sheet of a filter: what it looks at, its place in the order, and the calls that it saw.

use proto::v1::{CallFilter, Resource};
use serde_json::json;

use super::Ground;
use super::server::{rejections, warnings};
use super::sheet::Sheet;

/// All of it.
pub(super) async fn describe(ground: &Ground, resource: &Resource) -> Sheet {
    let mut sheet = ground.sheet(resource, model::wire::FILTER);
    let name = resource.metadata.clone().unwrap_or_default().name;
    sheet.problems(warnings(ground, model::wire::FILTER, &name));
    sheet.problems(rejections(ground, &name));
    let filters = &ground.stored.snapshot.filters;
    let filter = filters.get(name.as_str());
    let servers = filter.map_or_else(Vec::new, |filter| ground.servers(&filter.matches.servers));
    let shown = if servers.is_empty() {
        "none yet".to_owned()
    } else {
        servers.join(", ")
    };
    sheet.lines("servers that it looks at now", vec![shown]);
    sheet.set("servers", json!(servers));
    let mut order: Vec<_> = filters.values().collect();
    order.sort_by(|a, b| (a.order, &a.name).cmp(&(b.order, &b.name)));
    let names: Vec<&str> = order.iter().map(|filter| filter.name.as_str()).collect();
    sheet.lines("order of all filters", vec![names.join(", ")]);
    sheet.set("order", json!(names));
    let saw = |call: &proto::v1::Call| call.filters.contains(&name);
    let calls = ground.calls(CallFilter::default(), saw).await;
    sheet.calls(
        "last calls",
        calls.as_deref(),
        "it saw none of the last 1000",
    );
    sheet
}
