//! A virtual server: several servers of the catalog behind one name. How its names are resolved is the engine's.

use std::collections::BTreeMap;

use crate::name::ServerName;

/// Several servers behind one name, which they share with no other server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualServer {
    /// Its name.
    pub name: ServerName,
    /// Free labels.
    pub labels: BTreeMap<String, String>,
    /// For people. May be empty.
    pub title: String,
    /// For people. May be empty.
    pub description: String,
    /// Whom it is made from, each server once.
    pub members: Vec<Member>,
}

/// One server of a virtual one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name in the catalog.
    pub server: ServerName,
    /// Stands before the names of its tools and prompts. May be empty.
    pub prefix: String,
    /// The tools that are shown, by their own names. Empty: all.
    pub tools: Vec<String>,
    /// Changes to single tools.
    pub overrides: Vec<Override>,
}

impl Member {
    /// All of a server's tools, with `prefix` before their names.
    pub fn whole(server: ServerName, prefix: String) -> Self {
        Self {
            server,
            prefix,
            tools: Vec::new(),
            overrides: Vec::new(),
        }
    }

    /// Whether it takes every name that nobody else takes.
    pub fn is_catch_all(&self) -> bool {
        self.prefix.is_empty() && self.tools.is_empty()
    }

    /// What clients see instead of the tool's own name, where that was said for this very tool: by an override, or in
    /// the list of its tools.
    pub fn said_name(&self, own: &str) -> Option<String> {
        let renamed = self.overrides.iter().find(|change| change.name == own);
        match renamed {
            Some(change) if change.hide => None,
            Some(Override {
                rename: Some(new), ..
            }) => Some(new.clone()),
            _ => self
                .tools
                .iter()
                .any(|tool| tool == own)
                .then(|| format!("{}{own}", self.prefix)),
        }
    }

    /// Tools whose names for clients were said one by one, each with its own name.
    pub fn said_names(&self) -> impl Iterator<Item = (String, &str)> {
        let renamed = self.overrides.iter().map(|change| change.name.as_str());
        let renamed = renamed.filter(|own| !self.tools.iter().any(|tool| tool == own));
        let all = self.tools.iter().map(String::as_str).chain(renamed);
        all.filter_map(|own| Some((self.said_name(own)?, own)))
    }
}

/// A change to one tool of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// The tool's own name.
    pub name: String,
    /// Its whole name for clients: no prefix is put before it.
    pub rename: Option<String>,
    /// Whether it is shown to nobody.
    pub hide: bool,
}
