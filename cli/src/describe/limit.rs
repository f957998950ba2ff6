//! The sheet of a limit: what it bounds, what it counts apart, and the calls that were over it.

use proto::v1::resource::Spec;
use proto::v1::{CallFilter, Resource};
use serde_json::json;

use super::Ground;
use super::server::{rejections, warnings};
use super::sheet::Sheet;
use crate::get;

/// All of it.
pub(super) async fn describe(ground: &Ground, resource: &Resource) -> Sheet {
    let mut sheet = ground.sheet(resource, model::wire::LIMIT);
    let name = resource.metadata.clone().unwrap_or_default().name;
    sheet.problems(warnings(ground, model::wire::LIMIT, &name));
    sheet.problems(rejections(ground, &name));
    if let Some(Spec::Limit(spec)) = &resource.spec {
        let [bounds, per, _, how] = get::limit_cells(spec);
        sheet.lines("bounds", vec![bounds]);
        sheet.lines("counted apart by", vec![per]);
        sheet.lines("counted", vec![how]);
    }
    let limit = ground.stored.snapshot.limits.get(name.as_str());
    let servers = limit.map_or_else(Vec::new, |limit| ground.servers(&limit.matches.servers));
    let shown = if servers.is_empty() {
        "none yet".to_owned()
    } else {
        servers.join(", ")
    };
    sheet.lines("servers whose calls it counts now", vec![shown]);
    sheet.set("servers", json!(servers));
    let over = |call: &proto::v1::Call| call.limit == name;
    let calls = ground.calls(CallFilter::default(), over).await;
    sheet.calls(
        "last calls over it",
        calls.as_deref(),
        "none of the last 1000",
    );
    sheet
}
