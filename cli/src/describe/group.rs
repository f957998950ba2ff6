//! The sheet of a group: who is in it.

use proto::v1::Resource;
use proto::v1::resource::Spec;
use serde_json::json;

use super::Ground;
use super::server::{rejections, warnings};
use super::sheet::Sheet;
use crate::show::Table;

/// All of it.
pub(super) fn describe(ground: &Ground, resource: &Resource) -> Sheet {
    let mut sheet = ground.sheet(resource, model::wire::GROUP);
    let name = resource.metadata.clone().unwrap_or_default().name;
    sheet.problems(warnings(ground, model::wire::GROUP, &name));
    sheet.problems(rejections(ground, &name));
    let Some(Spec::Group(spec)) = &resource.spec else {
        return sheet;
    };
    let mut table = Table::new(&["KIND", "MEMBER"]);
    let mut items = Vec::new();
    for member in &spec.members {
        let (kind, name) = match member.group.as_str() {
            "" => ("user", &member.user),
            _ => ("group", &member.group),
        };
        table.row([kind.to_owned(), name.clone()]);
        items.push(json!({ kind: name }));
    }
    sheet.table("members", table, "none");
    sheet.set("members", json!(items));
    sheet
}
