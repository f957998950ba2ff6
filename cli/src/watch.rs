//! `gatehouse get -w`: what changes, as it changes.
//!
//! On a terminal the list is redrawn in place; elsewhere each change is a line, or an object. A lost connection is
//! made anew, and what changed meanwhile is told then.

use std::collections::{BTreeMap, BTreeSet};

use proto::v1::{Resource, WatchEvent, WatchRequest};
use serde::Serialize;
use serde_json::Value;

use crate::again::Again;
use crate::app::App;
use crate::fault::{Failure, Fault};
use crate::get;
use crate::link::Link;
use crate::show::{Format, Screen};
use crate::when;

/// Watches a kind, or one of it; ends with Ctrl-C, or when nobody reads any more.
///
/// # Errors
/// No connection at first, or a token that is not good any more.
pub(crate) async fn watch(kind: &str, name: Option<&str>, app: &App) -> Result<(), Failure> {
    let context = app.context()?;
    let mut link = Link::connect(&context).await?;
    let mut again = Again::new(&app.show, &context);
    let mut teller = Teller {
        app,
        kind,
        name,
        view: View::default(),
        screen: match app.show.format() {
            Format::Table | Format::Wide => app.show.screen(),
            _ => None,
        },
    };
    loop {
        let lost = session(&link, &mut again, &mut teller).await;
        if app.show.is_closed() {
            return Ok(());
        }
        if let Some(screen) = &mut teller.screen {
            screen.leave();
        }
        link = again.after(lost).await?;
    }
}

/// One connection's life; why it ended.
async fn session(link: &Link, again: &mut Again<'_>, teller: &mut Teller<'_>) -> Option<Fault> {
    let request = WatchRequest {
        kind: teller.kind.to_owned(),
        initial: true,
    };
    let mut events = match link.admin().watch(request).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => return Some(link.fault(&status)),
    };
    teller.view.begin();
    loop {
        match events.message().await {
            Ok(Some(event)) => {
                again.good();
                teller.take(event);
                if teller.app.show.is_closed() {
                    return None;
                }
            }
            Ok(None) => return None,
            Err(status) => return Some(link.fault(&status)),
        }
    }
}

/// Tells what changes.
struct Teller<'a> {
    app: &'a App,
    kind: &'a str,
    name: Option<&'a str>,
    view: View,
    screen: Option<Screen>,
}

impl Teller<'_> {
    fn take(&mut self, event: WatchEvent) {
        let named = event.key.as_ref().map(|key| key.name.as_str());
        if self.name.is_some() && named.is_some() && named != self.name {
            return;
        }
        let first = !self.view.is_whole;
        let changes = self.view.take(event);
        let whole = self.view.is_whole;
        if first && whole && self.view.known.is_empty() {
            let what = self.name.unwrap_or_default();
            self.app
                .show
                .note(format!("there is no {} {what}", self.kind).trim_end());
        }
        match &mut self.screen {
            Some(_) if !whole => {}
            Some(screen) => {
                let there: Vec<Resource> = self.view.known.values().cloned().collect();
                let wide = self.app.show.format() == Format::Wide;
                let table = get::table(&there, self.kind, wide);
                screen.draw(&self.app.show.drawn(&table));
            }
            None => changes.iter().for_each(|change| self.tell(change)),
        }
    }

    fn tell(&self, change: &Change) {
        let now_ms = when::now_unix_ms();
        if self.app.show.is_json() {
            self.app.show.json_line(&Line {
                time: when::rfc3339_ms(now_ms),
                action: change.action,
                kind: self.kind,
                name: &change.name,
                revision: change.revision,
                resource: change.resource.as_ref().map(model::yaml::to_json),
            });
        } else {
            let time = when::clock(now_ms.saturating_mul(1_000_000));
            let (action, name) = (change.action, &change.name);
            let kind = self.kind;
            self.app.show.line(&format!(
                "{time} {action:7} {kind}/{name} revision {}",
                change.revision
            ));
        }
    }
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    time: Option<String>,
    action: &'static str,
    kind: &'a str,
    name: &'a str,
    revision: u64,
    resource: Option<Value>,
}

/// One thing that changed.
#[derive(Debug, Clone, PartialEq)]
struct Change {
    action: &'static str,
    name: String,
    /// The revision that did it, as far as that is known.
    revision: u64,
    resource: Option<Resource>,
}

/// What is there, over all connections.
#[derive(Debug, Default)]
struct View {
    known: BTreeMap<String, Resource>,
    /// What this connection has told of, until it has told of everything.
    seen: Option<BTreeSet<String>>,
    /// Whether everything was told once.
    is_whole: bool,
}

impl View {
    /// A connection begins: it tells of everything first.
    fn begin(&mut self) {
        self.seen = Some(BTreeSet::new());
    }

    /// Takes an event; what is new by it.
    fn take(&mut self, event: WatchEvent) -> Vec<Change> {
        let name = event.key.map(|key| key.name).unwrap_or_default();
        match (event.action.as_str(), event.resource) {
            ("synced", _) => self.synced(event.revision),
            ("deleted", _) => self.gone(&name, event.revision).into_iter().collect(),
            (_, Some(resource)) => self.there(name, resource).into_iter().collect(),
            (_, None) => Vec::new(),
        }
    }

    /// All that is there was told of: what was known and was not, is gone.
    fn synced(&mut self, revision: u64) -> Vec<Change> {
        self.is_whole = true;
        let seen = self.seen.take().unwrap_or_default();
        let known = self.known.keys();
        let gone: Vec<String> = known
            .filter(|name| !seen.contains(*name))
            .cloned()
            .collect();
        gone.iter()
            .filter_map(|name| self.gone(name, revision))
            .collect()
    }

    fn gone(&mut self, name: &str, revision: u64) -> Option<Change> {
        self.known.remove(name).map(|_| Change {
            action: "deleted",
            name: name.to_owned(),
            revision,
            resource: None,
        })
    }

    fn there(&mut self, name: String, resource: Resource) -> Option<Change> {
        if let Some(seen) = &mut self.seen {
            seen.insert(name.clone());
        }
        let version = |resource: &Resource| resource.metadata.as_ref().map_or(0, |m| m.revision);
        let revision = version(&resource);
        let before = self.known.insert(name.clone(), resource.clone());
        let action = match before {
            None => "added",
            Some(before) if version(&before) != revision => "changed",
            Some(_) => return None,
        };
        Some(Change {
            action,
            name,
            revision,
            resource: Some(resource),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::v1::{Metadata, ResourceKey};

    fn event(action: &str, name: &str, revision: u64) -> WatchEvent {
        let there = !matches!(action, "deleted" | "synced");
        WatchEvent {
            action: action.to_owned(),
            resource: there.then(|| Resource {
                metadata: Some(Metadata {
                    name: name.to_owned(),
                    revision,
                    ..Metadata::default()
                }),
                ..Resource::default()
            }),
            key: (action != "synced").then(|| ResourceKey {
                kind: "Server".to_owned(),
                name: name.to_owned(),
            }),
            revision,
        }
    }

    fn take(view: &mut View, events: &[(&str, &str, u64)]) -> Vec<(&'static str, String, u64)> {
        events
            .iter()
            .flat_map(|(action, name, revision)| view.take(event(action, name, *revision)))
            .map(|change| (change.action, change.name, change.revision))
            .collect()
    }

    #[test]
    fn changes_are_told_once() {
        let mut view = View::default();
        view.begin();
        let told = take(
            &mut view,
            &[
                ("added", "time", 1),
                ("synced", "", 1),
                ("changed", "time", 2),
                ("deleted", "time", 3),
            ],
        );
        let told: Vec<_> = told.iter().map(|(a, n, r)| (*a, n.as_str(), *r)).collect();
        assert_eq!(
            told,
            [
                ("added", "time", 1),
                ("changed", "time", 2),
                ("deleted", "time", 3)
            ]
        );
    }

    #[test]
    fn a_new_connection_tells_only_what_changed_meanwhile() {
        let mut view = View::default();
        view.begin();
        let at_first = [
            ("added", "a", 1),
            ("added", "b", 1),
            ("added", "c", 1),
            ("synced", "", 1),
        ];
        take(&mut view, &at_first);
        view.begin();
        let again = [
            ("added", "a", 1),
            ("added", "b", 4),
            ("added", "d", 3),
            ("synced", "", 5),
        ];
        let told = take(&mut view, &again);
        let told: Vec<_> = told.iter().map(|(a, n, r)| (*a, n.as_str(), *r)).collect();
        assert_eq!(
            told,
            [("changed", "b", 4), ("added", "d", 3), ("deleted", "c", 5)]
        );
    }

    #[test]
    fn what_was_never_known_is_not_deleted() {
        let mut view = View::default();
        view.begin();
        assert!(take(&mut view, &[("deleted", "x", 2), ("synced", "", 2)]).is_empty());
        assert!(view.is_whole);
    }
}
