//! `apply --dry-run --replay`: which calls of the past the change would decide otherwise.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proto::v1::{ReplayEvent, ReplayRequest, ReplayRuling, ReplayedCall};
use serde::Serialize;
use serde_json::{Value, json};

use crate::absent;
use crate::app::App;
use crate::codes;
use crate::fault::{Failure, Fault};
use crate::link::Link;
use crate::show::{Progress, Show, Table};
use crate::source::{Sources, plural};
use crate::when;

/// Most changed calls that are kept for programs; further ones are counted.
const CALLS_MAX: usize = 100_000;
/// Most lines that people are shown, and that are told apart; further ones are counted.
const GROUPS_MAX: usize = 10_000;
const ROWS_MAX: usize = 50;

/// What a replay has found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The sums.
    last: ReplayEvent,
    calls: Vec<ReplayedCall>,
    groups: BTreeMap<Group, (u64, String)>,
    /// Changed calls that belong to no group, as there were too many.
    ungrouped: u64,
    took: Duration,
}

/// Calls that are changed in the same way.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    change: String,
    by: String,
    user: String,
    call: String,
}

/// Replays the calls of the last `since` against what the files hold.
///
/// # Errors
/// What the control plane finds wrong, or a connection that breaks.
pub(super) async fn run(
    link: &Link,
    sources: &Sources,
    since: Duration,
    app: &App,
    keep: bool,
) -> Result<Found, Failure> {
    let ago_ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    let since_unix_ns = when::now_unix_ms()
        .saturating_sub(ago_ms)
        .max(1)
        .saturating_mul(1_000_000);
    let request = ReplayRequest {
        resources: sources.resources(),
        since_unix_ns,
    };
    let start = Instant::now();
    let answer = link.admin().replay(request).await;
    let mut events = answer
        .map_err(|status| super::refused(link, sources, &status))?
        .into_inner();
    let mut found = Found::default();
    let mut progress = app.show.progress();
    while let Some(event) = events.message().await.map_err(|s| link.fault(&s))? {
        found.add(event, keep, &mut progress);
    }
    drop(progress);
    if !found.last.done {
        let text = "the control plane ended the replay before all calls were looked at";
        return Err(Fault::new(codes::NO_ANSWER, text).retryable().into());
    }
    found.took = start.elapsed();
    Ok(found)
}

impl Found {
    fn add(&mut self, mut event: ReplayEvent, keep: bool, progress: &mut Progress) {
        for call in std::mem::take(&mut event.calls) {
            let group = Group::of(&call);
            if self.groups.len() < GROUPS_MAX || self.groups.contains_key(&group) {
                let entry = self.groups.entry(group);
                entry.or_insert_with(|| (0, call.call_id.clone())).0 += 1;
            } else {
                self.ungrouped += 1;
            }
            if keep && self.calls.len() < CALLS_MAX {
                self.calls.push(call);
            }
        }
        let sums = format!("looked at {}", plural(event.looked as usize, "call"));
        progress.set(&sums, &format!("; {} would change", event.changed));
        self.last = event;
    }

    /// For people.
    pub(super) fn tell(&self, show: &Show, since: Duration) {
        let last = &self.last;
        absent::note(show, &last.absent, "calls that it has stored");
        show.line(&format!(
            "replayed {} of the last {} on revision {}: {} would change ({:.1} s)",
            plural(last.looked as usize, "call"),
            when::span(since),
            last.revision,
            last.changed,
            self.took.as_secs_f64(),
        ));
        if !self.groups.is_empty() {
            show.line(&show.drawn(&self.table()));
        }
        let hidden = self.hidden();
        if hidden > 0 {
            show.line(&format!("{hidden} more changed calls: -o json names each"));
        }
        for line in self.lines() {
            show.line(&line);
        }
    }

    fn rows(&self) -> Vec<(&Group, &(u64, String))> {
        let mut rows: Vec<_> = self.groups.iter().collect();
        rows.sort_by_key(|(group, (count, _))| (std::cmp::Reverse(*count), *group));
        rows.truncate(ROWS_MAX);
        rows
    }

    fn hidden(&self) -> u64 {
        let shown: u64 = self.rows().iter().map(|(_, (count, _))| count).sum();
        self.last.changed.saturating_sub(shown)
    }

    fn table(&self) -> Table {
        let header = ["CALLS", "CHANGE", "BY", "USER", "CALL", "EXAMPLE"];
        let mut table = Table::new(&header);
        for (group, (count, example)) in self.rows() {
            table.row([
                count.to_string(),
                group.change.clone(),
                group.by.clone(),
                group.user.clone(),
                group.call.clone(),
                example.clone(),
            ]);
        }
        table
    }

    /// What else there is to know, a line each.
    fn lines(&self) -> Vec<String> {
        let last = &self.last;
        let mut lines = Vec::new();
        let unknown = self.unknown();
        if unknown > 0 {
            let whys = last.unknown.iter();
            let whys: Vec<String> = whys.map(|u| format!("{} {}", u.count, u.why)).collect();
            lines.push(format!("{unknown} are unknown: {}", whys.join(", ")));
        }
        if last.otherwise > 0 {
            lines.push(format!(
                "{} would be decided the same by another rule or filter",
                last.otherwise
            ));
        }
        if last.differed > 0 {
            lines.push(format!(
                "{} were decided otherwise when they were made than revision {} decides",
                last.differed, last.revision
            ));
        }
        lines
    }

    fn unknown(&self) -> u64 {
        self.last.unknown.iter().map(|unknown| unknown.count).sum()
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let last = &self.last;
        let why = |u: &proto::v1::ReplayUnknown| (u.why.clone(), json!(u.count));
        let changed: Vec<View<'_>> = self.calls.iter().map(View::of).collect();
        json!({
            "looked": last.looked,
            "changed": changed,
            "changed_in_all": last.changed,
            "unknown": self.unknown(),
            "unknown_by": last.unknown.iter().map(why).collect::<serde_json::Map<_, _>>(),
            "otherwise": last.otherwise,
            "differed": last.differed,
            "revision": last.revision,
            "duration_ms": u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
            "absent": absent::json(&last.absent),
        })
    }
}

impl Group {
    fn of(call: &ReplayedCall) -> Self {
        let decision = |ruling: &Option<ReplayRuling>| {
            ruling
                .as_ref()
                .map_or_else(String::new, |r| r.decision.clone())
        };
        let target = if call.name.is_empty() {
            format!("{} {}", call.server, call.method)
        } else {
            format!("{}/{}", call.server, call.name)
        };
        Self {
            change: format!("{} -> {}", decision(&call.before), decision(&call.after)),
            by: call.after.as_ref().map(by).unwrap_or_default(),
            user: call.user.clone(),
            call: target,
        }
    }
}

/// Whose decision it is, as `audit list` says it.
fn by(ruling: &ReplayRuling) -> String {
    match (ruling.filter.as_str(), ruling.rule.as_str()) {
        ("", "") => ruling.reason.clone(),
        ("", rule) => rule.to_owned(),
        (filter, _) => format!("filter:{filter}"),
    }
}

/// A changed call as programs read it.
#[derive(Debug, Serialize)]
struct View<'a> {
    call_id: &'a str,
    time: String,
    user: &'a str,
    server: &'a str,
    method: &'a str,
    name: &'a str,
    before: RulingView<'a>,
    after: RulingView<'a>,
}

#[derive(Debug, Default, Serialize)]
struct RulingView<'a> {
    decision: &'a str,
    reason: Option<&'a str>,
    rule: Option<&'a str>,
    filter: Option<&'a str>,
}

impl<'a> View<'a> {
    fn of(call: &'a ReplayedCall) -> Self {
        let ruling = |r: &'a Option<ReplayRuling>| r.as_ref().map(RulingView::of);
        Self {
            call_id: &call.call_id,
            time: when::rfc3339_ns(call.time_unix_ns),
            user: &call.user,
            server: &call.server,
            method: &call.method,
            name: &call.name,
            before: ruling(&call.before).unwrap_or_default(),
            after: ruling(&call.after).unwrap_or_default(),
        }
    }
}

impl<'a> RulingView<'a> {
    fn of(ruling: &'a ReplayRuling) -> Self {
        let some = |text: &'a str| Some(text).filter(|text| !text.is_empty());
        Self {
            decision: &ruling.decision,
            reason: some(&ruling.reason),
            rule: some(&ruling.rule),
            filter: some(&ruling.filter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::v1::ReplayUnknown;

    fn call(n: u64, user: &str, rule: &str, filter: &str) -> ReplayedCall {
        let ruling = |decision: &str, rule: &str, filter: &str| {
            Some(ReplayRuling {
                decision: decision.to_owned(),
                reason: String::new(),
                rule: rule.to_owned(),
                filter: filter.to_owned(),
            })
        };
        ReplayedCall {
            call_id: n.to_string(),
            user: user.to_owned(),
            server: "slow".to_owned(),
            method: "tools/call".to_owned(),
            name: "sleep".to_owned(),
            before: ruling("allow", "all", ""),
            after: ruling("deny", rule, filter),
            ..ReplayedCall::default()
        }
    }

    #[test]
    fn calls_are_grouped_and_the_sums_are_said() {
        let mut found = Found::default();
        let mut progress = Show::plain().progress();
        let event = ReplayEvent {
            revision: 7,
            looked: 10,
            changed: 3,
            unknown: vec![ReplayUnknown {
                why: "arguments cut".to_owned(),
                count: 2,
            }],
            differed: 1,
            calls: vec![
                call(1, "ana", "no-sleep", ""),
                call(2, "ben", "all", "no-hacking"),
                call(3, "ana", "no-sleep", ""),
            ],
            done: true,
            ..ReplayEvent::default()
        };
        found.add(event, true, &mut progress);
        let rows: Vec<_> = found
            .rows()
            .into_iter()
            .map(|(group, (count, example))| (*count, group.by.as_str(), example.as_str()))
            .collect();
        assert_eq!(rows, [(2, "no-sleep", "1"), (1, "filter:no-hacking", "2")]);
        assert_eq!(
            found.lines(),
            [
                "2 are unknown: 2 arguments cut",
                "1 were decided otherwise when they were made than revision 7 decides"
            ]
        );
        assert!(found.table().is_even() && found.hidden() == 0);
        let json = found.json();
        assert_eq!(
            (&json["changed"][1]["after"]["filter"], &json["unknown"]),
            (&json!("no-hacking"), &json!(2))
        );
    }
}
