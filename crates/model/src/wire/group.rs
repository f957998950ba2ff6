//! Groups.

use proto::v1 as pb;

use super::{Faults, LIST_MAX};
use crate::fault::{MISSING, NEVER_MATCHES, ONE_OF};
use crate::group::{Group, Member};
use crate::name::GroupName;

pub(super) fn convert(name: &str, spec: &pb::GroupSpec, faults: &mut Faults) -> Option<Group> {
    let path = "spec.members";
    if spec.members.is_empty() {
        faults.push(
            path,
            MISSING,
            "is missing: a group without members is nobody's",
        );
    }
    faults.check_length(path, spec.members.len());
    let mut members = Vec::new();
    for (i, member) in spec.members.iter().take(LIST_MAX).enumerate() {
        let at = format!("{path}[{i}]");
        faults.check_text(&format!("{at}.user"), &member.user);
        faults.check_text(&format!("{at}.group"), &member.group);
        match (member.user.as_str(), member.group.as_str()) {
            ("", "") => faults.push(at, MISSING, "names nobody: give user or group"),
            ("", group) if group == name => {
                faults.push(at, NEVER_MATCHES, "is the group itself");
            }
            ("", group) => members.push(Member::Group(group.to_owned())),
            (user, "") => members.push(Member::User(user.to_owned())),
            _ => faults.push(
                at,
                ONE_OF,
                "user and group: keep one, and write two members",
            ),
        }
    }
    Some(Group {
        name: GroupName::new(name).ok()?,
        members,
    })
}
