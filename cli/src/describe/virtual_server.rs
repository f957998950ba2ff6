//! The sheet of a virtual server: whom it is made from, and its last calls that were not a member's.

use proto::v1::{CallFilter, Resource};
use serde_json::json;

use super::Ground;
use super::server::warnings;
use super::sheet::Sheet;
use crate::show::Table;

/// All of it.
pub(super) async fn describe(ground: &Ground, resource: &Resource) -> Sheet {
    let mut sheet = ground.sheet(resource, model::wire::VIRTUAL_SERVER);
    let name = resource.metadata.clone().unwrap_or_default().name;
    sheet.problems(warnings(ground, model::wire::VIRTUAL_SERVER, &name));
    let server = ground.stored.snapshot.virtual_servers.get(name.as_str());
    let members = server
        .map(|server| server.members.as_slice())
        .unwrap_or_default();
    let mut table = Table::new(&["MEMBER", "PREFIX", "TOOLS", "CHANGES"]);
    for member in members {
        let tools = match member.tools.as_slice() {
            [] => "all".to_owned(),
            tools => tools.join(","),
        };
        let changes = member.overrides.iter().map(|change| match &change.rename {
            Some(new) => format!("{}→{new}", change.name),
            None => format!("-{}", change.name),
        });
        let changes: Vec<String> = changes.collect();
        table.row([
            member.server.to_string(),
            member.prefix.clone(),
            tools,
            changes.join(","),
        ]);
    }
    sheet.table("members", table, "none");
    let names: Vec<&str> = members
        .iter()
        .map(|member| member.server.as_str())
        .collect();
    sheet.set("members", json!(names));
    let filter = CallFilter {
        server: name,
        ..CallFilter::default()
    };
    let calls = ground.calls(filter, |_| true).await;
    sheet.calls("last calls of its own", calls.as_deref(), "none on record");
    sheet
}
