#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use futures_util::future::join_all;
use proto::v1::resource::Spec;
use tempfile::TempDir;

use super::*;
use crate::catalog::{Options, fixture as catalogs};
use crate::store::fixture;

const LONG: Duration = Duration::from_secs(600);

async fn desk(lasts: Duration, approvers: &[(&str, &str)]) -> (Arc<Approvals>, TempDir) {
    let (store, dir) = fixture::embedded();
    let catalog = catalogs::over(store.clone()).await;
    let mut rule = catalogs::rule("four-eyes", &["*"]);
    let Some(Spec::AccessRule(spec)) = &mut rule.spec else {
        panic!("no rule");
    };
    spec.effect = pb::Effect::Approve.into();
    spec.approvers = approvers
        .iter()
        .map(|(user, group)| pb::Approver {
            user: (*user).to_owned(),
            group: (*group).to_owned(),
        })
        .collect();
    let done = catalog.apply("t", vec![rule], Options::default()).await;
    done.unwrap();
    let approvals = Approvals::new(store, catalog, lasts, None, &Metrics::new());
    (approvals, dir)
}

#[tokio::test]
async fn a_link_opens_its_own_call_and_none_that_others_have_to_decide() {
    for (approvers, by_link) in [(&[][..], true), (&[("", "finance")][..], false)] {
        let (store, _dir) = fixture::embedded();
        let (named, _keep) = desk(LONG, approvers).await;
        let (tell, mut told) = mpsc::channel(4);
        let catalog = named.catalog.clone();
        let desk = Approvals::new(store, catalog, LONG, Some(tell), &Metrics::new());
        let id = desk.ask("edge-1", &asked("ana", 1)).await.unwrap().id;
        desk.ask("edge-2", &asked("ana", 1)).await.unwrap();
        let other = desk.ask("edge-1", &asked("ana", 2)).await.unwrap().id;
        let news = told.recv().await.unwrap();
        assert_eq!(news.approval.id, id);
        for (id, token) in [(&other, news.token.as_str()), (&id, ""), (&id, "x")] {
            let looked = desk.look_by_link(id, token).await;
            assert!(matches!(looked, Err(Error::Unknown(_))));
            let decided = desk
                .decide_by_link(&Decider::Link, id, token, true, "")
                .await;
            assert!(matches!(decided, Err(Error::Unknown(_))));
        }
        let (shown, needs_key) = desk.look_by_link(&id, &news.token).await.unwrap();
        assert_eq!((&*shown.state, needs_key), ("pending", !by_link));
        let decided = desk
            .decide_by_link(&Decider::Link, &id, &news.token, true, "")
            .await;
        assert_eq!(decided.is_ok(), by_link, "{decided:?}");
        let fin = user("fin", &["finance"]);
        let again = desk.decide_by_link(&fin, &id, &news.token, true, "").await;
        assert_eq!(again.is_ok(), !by_link, "it is good once: {again:?}");
        assert_eq!(
            told.recv().await.unwrap().approval.id,
            other,
            "told once of each"
        );
    }
}

fn asked(user: &str, binding: u8) -> pb::AskApprovalRequest {
    pb::AskApprovalRequest {
        binding: vec![binding; 32],
        user: user.to_owned(),
        server: "pay".to_owned(),
        method: "tools/call".to_owned(),
        rule: "four-eyes".to_owned(),
        ..Default::default()
    }
}

fn decision(id: &str, grant: bool) -> pb::DecideApprovalRequest {
    pb::DecideApprovalRequest {
        id: id.to_owned(),
        grant,
        comment: "because".to_owned(),
    }
}

fn spending(id: &str, binding: u8, call: u8) -> pb::SpendApprovalRequest {
    pb::SpendApprovalRequest {
        id: id.to_owned(),
        binding: vec![binding; 32],
        call_id: vec![call; 16],
    }
}

fn admin() -> Decider {
    Decider::Admin("admin".into())
}

fn user(user: &str, groups: &[&str]) -> Decider {
    Decider::User {
        user: user.to_owned(),
        groups: groups.iter().map(ToString::to_string).collect(),
        servers: Vec::new(),
    }
}

#[tokio::test]
async fn who_asks_twice_asks_once_and_one_call_of_many_goes() {
    let (desk, _dir) = desk(LONG, &[]).await;
    let request = asked("ana", 1);
    let all = join_all((0..8).map(|_| desk.ask("edge-1", &request))).await;
    let ids: BTreeSet<_> = all.into_iter().map(|asked| asked.unwrap().id).collect();
    assert_eq!(ids.len(), 1);
    let id = ids.first().unwrap().clone();
    let early = desk.spend(&spending(&id, 1, 1)).await;
    assert!(
        matches!(early, Err(Error::Decided("pending", _))),
        "{early:?}"
    );
    let granted = desk.decide(&admin(), &decision(&id, true)).await.unwrap();
    assert_eq!(
        (&*granted.state, &*granted.decided_by),
        ("granted", "admin")
    );
    // Granted and not used: it is found again.
    assert_eq!(desk.ask("edge-2", &request).await.unwrap().state, "granted");
    let other = desk.spend(&spending(&id, 2, 1)).await;
    assert!(matches!(other, Err(Error::Other)));
    let requests: Vec<_> = (0..8).map(|call| spending(&id, 1, call)).collect();
    let spent = join_all(requests.iter().map(|request| desk.spend(request))).await;
    let went: Vec<_> = (0..8).filter(|call| spent[*call].is_ok()).collect();
    assert_eq!(went.len(), 1, "{spent:?}");
    // Whoever did not hear the answer asks again.
    assert!(desk.spend(&requests[went[0]]).await.is_ok());
    let again = desk.ask("edge-1", &request).await.unwrap();
    assert_eq!(again.state, "pending");
    assert_ne!(again.id, id, "the next call needs its own");
}

#[tokio::test]
async fn what_is_refused_stays_refused_and_is_asked_anew_by_the_next_call() {
    let (desk, _dir) = desk(LONG, &[]).await;
    let id = desk.ask("edge-1", &asked("ana", 1)).await.unwrap().id;
    desk.decide(&admin(), &decision(&id, false)).await.unwrap();
    let late = desk.decide(&admin(), &decision(&id, true)).await;
    assert!(matches!(late, Err(Error::Decided("refused", _))));
    assert!(desk.spend(&spending(&id, 1, 1)).await.is_err());
    let shown = desk.look(&id).await.unwrap();
    assert_eq!((&*shown.state, &*shown.comment), ("refused", "because"));
    let next = desk.ask("edge-1", &asked("ana", 1)).await.unwrap();
    assert_eq!(next.state, "pending");
    assert!(matches!(desk.look(&id).await, Err(Error::Unknown(_))));
}

#[tokio::test]
async fn nothing_is_granted_or_used_after_its_time() {
    let (desk, _dir) = desk(Duration::ZERO, &[]).await;
    let id = desk.ask("edge-1", &asked("ana", 1)).await.unwrap().id;
    let decided = desk.decide(&admin(), &decision(&id, true)).await;
    assert!(matches!(decided, Err(Error::Decided("expired", _))));
    assert!(desk.spend(&spending(&id, 1, 1)).await.is_err());
    assert_eq!(desk.look(&id).await.unwrap().state, "expired");
    let then = clock::now_ms() + clock::ms(KEPT);
    assert_eq!(desk.forget(key::APPROVALS, then, KEPT).await.unwrap(), 0);
}

#[tokio::test]
async fn approvers_that_are_named_decide_and_nobody_about_their_own() {
    let (desk, _dir) = desk(LONG, &[("", "finance"), ("cy", "ops")]).await;
    let id = desk.ask("edge-1", &asked("ana", 1)).await.unwrap().id;
    let stranger = user("bo", &["sales"]);
    for (decider, own) in [
        (admin(), false),
        (stranger.clone(), false),
        (user("ana", &["finance"]), true),
        (user("cy", &["sales"]), false),
    ] {
        let decided = desk.decide(&decider, &decision(&id, true)).await;
        assert_eq!(matches!(decided, Err(Error::Own)), own, "{decider:?}");
        assert!(matches!(decided, Err(Error::Own | Error::NoApprover(_))));
    }
    assert!(desk.list(&stranger, true).await.unwrap().is_empty());
    let cy = user("cy", &["ops"]);
    assert_eq!(desk.list(&cy, false).await.unwrap().len(), 1);
    let granted = desk.decide(&cy, &decision(&id, true)).await.unwrap();
    assert_eq!(granted.decided_by, "cy");
    assert_eq!(granted.approvers, "group finance or user cy and group ops");
}

#[tokio::test]
async fn one_user_cannot_take_all_the_room() {
    let (desk, _dir) = desk(LONG, &[]).await;
    for binding in 0..OPEN_OF_USER_MAX {
        let binding = u8::try_from(binding).unwrap();
        desk.ask("edge-1", &asked("ana", binding)).await.unwrap();
    }
    let more = desk.ask("edge-1", &asked("ana", 200)).await;
    assert!(matches!(more, Err(Error::TooMany(..))), "{more:?}");
    desk.ask("edge-1", &asked("bo", 200)).await.unwrap();
    // What is over makes room.
    let all = desk.list(&admin(), false).await.unwrap();
    let first = all.iter().find(|approval| approval.user == "ana").unwrap();
    let refused = desk.decide(&admin(), &decision(&first.id, false)).await;
    refused.unwrap();
    desk.ask("edge-1", &asked("ana", 200)).await.unwrap();
}

#[tokio::test]
async fn odd_ids_and_requests_are_turned_away() {
    let (desk, _dir) = desk(LONG, &[]).await;
    for id in [
        "",
        "x",
        "../../etc",
        "0000000-00000000-00000000",
        &"0".repeat(26),
        &"é".repeat(13),
    ] {
        let looked = desk.look(id).await;
        assert!(matches!(looked, Err(Error::Unknown(_))), "{id}");
    }
    let mut short = asked("ana", 1);
    short.binding.pop();
    let refused = desk.ask("e", &short).await;
    assert!(matches!(refused, Err(Error::Request(..))));
    let mut ruleless = asked("ana", 1);
    ruleless.rule = "gone".to_owned();
    let refused = desk.ask("e", &ruleless).await;
    assert!(matches!(refused, Err(Error::NoRule(_))));
}
