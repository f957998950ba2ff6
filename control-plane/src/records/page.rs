//! One page of calls from the pages of several replicas. Pure.
//!
//! A call's edge may have sent its record to one replica and its sidecar to another: then each has half of it, and
//! each may or may not let it through a filter. So halves are completed before they are filtered and put in order.

use std::collections::BTreeMap;

use proto::v1::{Call, ListCallsRequest, ListCallsResponse};

use super::query::{LIMIT, LIMIT_MAX, Place};
use super::{join, matches};

/// The ids of calls of which a replica may have another half.
pub(crate) fn halves(pages: &[ListCallsResponse]) -> Vec<String> {
    let calls = pages.iter().flat_map(|page| &page.calls);
    let ids = calls.filter(|call| !call.complete);
    ids.map(|call| call.call_id.clone()).collect()
}

/// One page of what `pages` and `others` (halves that were asked for) say.
pub(crate) fn merged(
    request: &ListCallsRequest,
    pages: Vec<ListCallsResponse>,
    others: Vec<Call>,
) -> ListCallsResponse {
    let limit = match request.limit {
        0 => LIMIT,
        limit => limit.min(LIMIT_MAX),
    } as usize;
    // Below the last row of a page that is not the last one, its replica may have rows that are not here.
    let known_down_to = pages
        .iter()
        .filter(|page| !page.next.is_empty())
        .filter_map(|page| page.calls.last().map(Place::of))
        .max();
    let mut by_id: BTreeMap<String, Vec<Call>> = BTreeMap::new();
    let all = pages.into_iter().flat_map(|page| page.calls).chain(others);
    for call in all {
        by_id.entry(call.call_id.clone()).or_default().push(call);
    }
    let filter = request.filter.clone().unwrap_or_default();
    let before = Place::decode(&request.after).ok();
    let mut calls: Vec<Call> = by_id
        .into_values()
        .filter_map(join::merge)
        .filter(|call| matches(&filter, call))
        // A half whose other half stood on an earlier page.
        .filter(|call| before.as_ref().is_none_or(|place| Place::of(call) < *place))
        .collect();
    calls.sort_by_key(|call| std::cmp::Reverse(Place::of(call)));
    let shown = calls
        .iter()
        .take(limit)
        .take_while(|call| {
            known_down_to
                .as_ref()
                .is_none_or(|place| Place::of(call) >= *place)
        })
        .count();
    let more = shown < calls.len() || known_down_to.is_some();
    calls.truncate(shown);
    // A page of which the filter leaves nothing goes on all the same.
    let last = calls.last().map(Place::of).or(known_down_to);
    let next = last.filter(|_| more).map(|place| place.encode());
    ListCallsResponse {
        calls,
        next: next.unwrap_or_default(),
        absent: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use model::record::CallId;
    use proto::v1::CallFilter;

    use super::*;

    fn half(n: u8, hop: &str, time: i64, decision: &str) -> Call {
        Call {
            call_id: CallId([n; 16]).to_string(),
            time_unix_ns: time,
            hop: hop.to_owned(),
            decision: decision.to_owned(),
            upstream_ns: 1,
            ..Default::default()
        }
    }

    fn page(calls: Vec<Call>, has_more: bool) -> ListCallsResponse {
        let next = match calls.last() {
            Some(last) if has_more => Place::of(last).encode(),
            _ => String::new(),
        };
        ListCallsResponse {
            calls,
            next,
            absent: Vec::new(),
        }
    }

    fn ids(response: &ListCallsResponse) -> Vec<u8> {
        let id = |call: &Call| CallId::parse(&call.call_id).unwrap().0[0];
        response.calls.iter().map(id).collect()
    }

    #[test]
    fn halves_become_one_row_before_they_are_filtered() {
        let request = ListCallsRequest {
            filter: Some(CallFilter {
                outcome: "deny".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        };
        // The replica with the edge's half takes the call for allowed, and does not show it.
        let pages = vec![
            page(vec![half(1, "sidecar", 11, "deny")], false),
            page(vec![], false),
        ];
        assert_eq!(halves(&pages).len(), 1);
        let merged = merged(&request, pages, vec![half(1, "edge", 10, "allow")]);
        assert_eq!(ids(&merged), [1]);
        let call = &merged.calls[0];
        assert_eq!(
            (call.hop.as_str(), call.decision.as_str(), call.complete),
            ("edge", "deny", true)
        );
        assert_eq!((call.time_unix_ns, merged.next.as_str()), (10, ""));
    }

    #[test]
    fn every_call_stands_on_one_page_whatever_the_replicas_have() {
        // Calls 1..=30; the edge's half at one replica, the sidecar's, a little later, at one or the other.
        let edge: Vec<Call> = (1..=30)
            .map(|n| half(n, "edge", i64::from(n) * 10, "allow"))
            .collect();
        let side: Vec<Call> = (1..=30)
            .map(|n| half(n, "sidecar", i64::from(n) * 10 + 7, "allow"))
            .collect();
        let (a, b): (Vec<_>, Vec<_>) = side.into_iter().partition(|c| c.time_unix_ns % 3 == 0);
        let stored = [[edge, a].concat(), b];
        let ask = |calls: &Vec<Call>, after: &str, limit: usize| {
            let before = Place::decode(after).ok();
            let mut found: Vec<Call> = calls
                .iter()
                .filter(|call| before.as_ref().is_none_or(|p| Place::of(call) < *p))
                .cloned()
                .collect();
            // A replica joins what it has itself.
            let mut joined = BTreeMap::<String, Vec<Call>>::new();
            found
                .drain(..)
                .for_each(|c| joined.entry(c.call_id.clone()).or_default().push(c));
            let mut rows: Vec<Call> = joined.into_values().filter_map(join::merge).collect();
            rows.sort_by_key(|call| std::cmp::Reverse(Place::of(call)));
            let has_more = rows.len() > limit;
            rows.truncate(limit);
            page(rows, has_more)
        };
        let mut request = ListCallsRequest {
            limit: 4,
            ..Default::default()
        };
        let mut seen = Vec::new();
        loop {
            let pages: Vec<_> = stored.iter().map(|c| ask(c, &request.after, 4)).collect();
            let wanted = halves(&pages);
            let others = stored
                .iter()
                .flatten()
                .filter(|c| wanted.contains(&c.call_id));
            let merged = merged(&request, pages.clone(), others.cloned().collect());
            assert!(!merged.calls.is_empty() || merged.next.is_empty());
            seen.extend(ids(&merged));
            if merged.next.is_empty() {
                break;
            }
            request.after = merged.next;
        }
        assert_eq!(seen, (1..=30).rev().collect::<Vec<u8>>());
    }
}
