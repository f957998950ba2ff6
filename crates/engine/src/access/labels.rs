//! Which servers have which labels, for rules that select by them.

use std::collections::{BTreeMap, HashMap};

use model::name::Glob;
use model::snapshot::Snapshot;

type Labels = BTreeMap<String, String>;

/// Servers and virtual servers by label.
#[derive(Debug, Default)]
pub(crate) struct Labelled<'s> {
    by: HashMap<(&'s str, &'s str), Vec<(Glob, &'s Labels)>>,
}

impl<'s> Labelled<'s> {
    pub(crate) fn of(snapshot: &'s Snapshot) -> Self {
        let real = snapshot.servers.values().map(|s| (&s.name, &s.labels));
        let made = snapshot.virtual_servers.values();
        let made = made.map(|s| (&s.name, &s.labels));
        let mut labelled = Self::default();
        for (name, labels) in real.chain(made) {
            // A server's name is a glob that matches it alone.
            let Ok(glob) = Glob::new(name.as_str()) else {
                continue;
            };
            for (label, value) in labels {
                let servers = labelled.by.entry((label, value)).or_default();
                servers.push((glob.clone(), labels));
            }
        }
        labelled
    }

    /// Those that have all of these. It goes through those that have the rarest one.
    pub(crate) fn with<'a>(&'a self, wanted: &'a Labels) -> impl Iterator<Item = &'a Glob> {
        let lists = wanted.iter().map(|(label, value)| {
            let found = self.by.get(&(label.as_str(), value.as_str()));
            found.map_or(&[][..], Vec::as_slice)
        });
        let rarest = lists.min_by_key(|list| list.len()).unwrap_or_default();
        let has_all = |labels: &Labels| wanted.iter().all(|(l, v)| labels.get(l) == Some(v));
        rarest
            .iter()
            .filter(move |(_, labels)| has_all(labels))
            .map(|(glob, _)| glob)
    }
}
