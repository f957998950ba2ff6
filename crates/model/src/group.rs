//! Groups: users and other groups under one name.

use crate::name::GroupName;

/// A group, beside those that credentials name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name, which rules use.
    pub name: GroupName,
    /// Who is in it; ORed, never empty.
    pub members: Vec<Member>,
}

/// Who is in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Member {
    /// A user, by id.
    User(String),
    /// All who are in another group, by credential or as members.
    Group(String),
}
