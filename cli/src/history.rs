//! `gatehouse history`: what each revision did, and who made it.

use proto::v1::{Change, HistoryEntry, HistoryRequest, ResourceKey};
use serde::Serialize;
use serde_json::{Value, json};
use tonic::Status;

use crate::app::App;
use crate::apply;
use crate::fault::Failure;
use crate::kind;
use crate::link::Link;
use crate::show::Table;
use crate::when;

/// More resources than this are counted, not named.
const NAMED_MAX: usize = 3;
/// Most revisions that one question to the control plane may be about.
const PAGE_MAX: u32 = 1000;

/// Show what each revision did, when and by whom, newest first; of one resource also which fields.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse history
  gatehouse history AccessRule engineers
  gatehouse history --limit 100 -o json
  gatehouse history --before 12

See also: gatehouse rollback, gatehouse diff, gatehouse get")]
pub struct Args {
    /// Only revisions that changed a resource of this kind …
    #[arg(requires = "name")]
    pub kind: Option<String>,
    /// … and of this name
    pub name: Option<String>,
    /// At most so many revisions
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    /// Only revisions below this one
    #[arg(
        long,
        value_name = "REVISION",
        default_value_t = 0,
        hide_default_value = true
    )]
    pub before: u64,
}

/// Runs the command.
///
/// # Errors
/// An unknown kind, or no connection.
pub async fn run(args: Args, app: &App) -> Result<(), Failure> {
    let key = match (&args.kind, &args.name) {
        (Some(kind), Some(name)) => Some(ResourceKey {
            kind: kind::parse(kind)?.to_owned(),
            name: name.clone(),
        }),
        _ => None,
    };
    let link = app.link().await?;
    let mut entries = Vec::new();
    let mut before = args.before;
    loop {
        let had = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        let request = HistoryRequest {
            key: key.clone(),
            limit: args.limit.saturating_sub(had).min(PAGE_MAX),
            before,
        };
        let page = link.admin().history(request).await;
        let page = page.map_err(|status| link.fault(&status))?.into_inner();
        entries.extend(page.entries);
        before = page.next;
        if before == 0 || entries.len() >= args.limit as usize {
            break;
        }
    }
    let next = Some(before).filter(|next| *next != 0);
    if app.show.is_json() {
        let items = entries.iter().map(View::of).collect();
        app.show.json(&Page { items, next });
        return Ok(());
    }
    let empty = match &key {
        Some(key) => format!("no revision that is kept changed {}/{}", key.kind, key.name),
        None => "there is no revision yet: gatehouse apply -f FILE".to_owned(),
    };
    app.show.table(&table(&entries), &empty);
    if let Some(next) = next {
        app.show.hint(&format!("older ones: add --before {next}"));
    }
    Ok(())
}

/// The last revisions that changed a resource.
pub(crate) async fn last(
    link: &Link,
    kind: &str,
    name: &str,
    limit: u32,
) -> Result<Vec<HistoryEntry>, Status> {
    let key = ResourceKey {
        kind: kind.to_owned(),
        name: name.to_owned(),
    };
    let request = HistoryRequest {
        key: Some(key),
        limit,
        before: 0,
    };
    let page = link.admin().history(request).await?;
    Ok(page.into_inner().entries)
}

/// Revisions as programs read them.
pub(crate) fn json(entries: &[HistoryEntry]) -> Value {
    let views: Vec<View<'_>> = entries.iter().map(View::of).collect();
    json!(views)
}

/// Revisions as a table.
pub(crate) fn table(entries: &[HistoryEntry]) -> Table {
    let mut table = Table::new(&["REVISION", "AGE", "WHO", "CHANGED"]);
    for entry in entries {
        table.row([
            entry.revision.to_string(),
            when::age_of_text(&entry.time),
            entry.author.clone(),
            changed(entry),
        ]);
    }
    table
}

/// What a revision did, in one line.
fn changed(entry: &HistoryEntry) -> String {
    let mut parts = Vec::new();
    if entry.rolled_back_to != 0 {
        parts.push(format!("rollback to {}", entry.rolled_back_to));
    }
    if entry.restored {
        parts.push("a restored store was accepted".to_owned());
    }
    parts.extend(entry.changes.iter().take(NAMED_MAX).map(one));
    let named = entry.changes.len().min(NAMED_MAX);
    let more = (entry.changed as usize).saturating_sub(named);
    if more > 0 {
        parts.push(format!("{more} more"));
    }
    parts.join(", ")
}

fn one(change: &Change) -> String {
    let key = change.key.clone().unwrap_or_default();
    let fields: Vec<String> = change.fields.iter().map(apply::field_words).collect();
    let fields = match fields.as_slice() {
        [] => String::new(),
        fields => format!(": {}", fields.join("; ")),
    };
    format!("{}/{} {}{fields}", key.kind, key.name, change.action)
}

#[derive(Debug, Serialize)]
struct Page<'a> {
    items: Vec<View<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

/// A revision as programs read it.
#[derive(Debug, Serialize)]
struct View<'a> {
    revision: u64,
    time: &'a str,
    user: &'a str,
    rolled_back_to: Option<u64>,
    restored: bool,
    changed: u32,
    changes: Vec<apply::ChangeView<'a>>,
}

impl<'a> View<'a> {
    fn of(entry: &'a HistoryEntry) -> Self {
        Self {
            revision: entry.revision,
            time: &entry.time,
            user: &entry.author,
            rolled_back_to: Some(entry.rolled_back_to).filter(|to| *to != 0),
            restored: entry.restored,
            changed: entry.changed,
            changes: entry.changes.iter().map(apply::ChangeView::of).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(names: &[&str], changed: u32) -> HistoryEntry {
        let change = |name: &&str| Change {
            key: Some(ResourceKey {
                kind: "Filter".to_owned(),
                name: (*name).to_owned(),
            }),
            action: "created".to_owned(),
            fields: Vec::new(),
        };
        HistoryEntry {
            revision: 3,
            changes: names.iter().map(change).collect(),
            changed,
            ..HistoryEntry::default()
        }
    }

    #[test]
    fn what_is_many_is_counted() {
        assert_eq!(changed(&entry(&["a"], 1)), "Filter/a created");
        let many = entry(&["a", "b", "c", "d"], 60);
        assert_eq!(
            changed(&many),
            "Filter/a created, Filter/b created, Filter/c created, 57 more"
        );
        let back = HistoryEntry {
            rolled_back_to: 2,
            ..entry(&[], 0)
        };
        assert_eq!(changed(&back), "rollback to 2");
        assert!(table(&[many, back]).is_even());
    }
}
