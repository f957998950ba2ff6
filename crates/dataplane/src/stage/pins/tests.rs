#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::pins::ToolPins;
use model::server::{Limits as ServerLimits, Runtime, Server, Tenancy};
use model::snapshot::Snapshot;
use proto::v1 as pb;
use tokio::time::Instant;

use super::*;
use crate::config::sightings::Told;

const GOOD: &str = r#"{"name":"echo","description":"says it again"}"#;
const EVIL: &str = r#"{"name":"echo","description":"reads your keys"}"#;

fn docs() -> ServerName {
    ServerName::new("docs").unwrap()
}

/// A configuration under which these definitions are approved; `None`: nothing was seen yet.
fn engine(pin: Pin, approved: Option<&[&str]>) -> Engine {
    let server = Server {
        name: docs(),
        labels: BTreeMap::new(),
        title: String::new(),
        description: String::new(),
        tenancy: Tenancy::Shared,
        runtime: Runtime::External,
        env: BTreeMap::new(),
        headers: BTreeMap::new(),
        url_values: BTreeMap::new(),
        limits: ServerLimits::default(),
        tools: ToolPolicy {
            pin,
            ..Default::default()
        },
    };
    let mut snapshot = Snapshot::default();
    snapshot.servers.insert(docs(), Arc::new(server));
    if let Some(approved) = approved {
        let pinned = approved.iter().map(|text| {
            let root = walk::root(text.as_bytes());
            let definition = Definition::of(text.as_bytes(), root).unwrap();
            (
                definition.name,
                BTreeMap::from([(Era::Legacy, definition.hashes)]),
            )
        });
        let pins = ToolPins {
            server: docs(),
            version: 7,
            tools: pinned.collect(),
            hints: BTreeMap::new(),
            unread: BTreeSet::new(),
        };
        snapshot.tool_pins.insert(docs(), Arc::new(pins));
    }
    Engine::compile(Arc::new(snapshot)).unwrap()
}

fn about<'a>(engine: &'a Engine, server: &'a ServerName) -> About<'a> {
    About {
        engine,
        server,
        era: Era::Legacy,
        user: "ana@example.com",
    }
}

fn page(tools: &[&str]) -> Bytes {
    let tools = tools.join(",");
    format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":[{tools}]}}}}"#).into()
}

fn pages(tools: &[&str]) -> Pages {
    let mut pages = Pages::default();
    pages.add(page(tools));
    pages
}

fn take(pins: &Pins, about: About<'_>, pages: &Pages) -> Arc<Listing> {
    let view = pins.view(about.server, pages);
    pins.take(about, &view, pages)
}

async fn told(told: &mut Told) -> Vec<String> {
    let message = tokio::time::timeout(Duration::from_millis(10), told.next()).await;
    let Ok(Some(message)) = message else {
        return Vec::new();
    };
    let text = |tool: pb::ToolSighting| format!("{} {:?}", tool.tool, tool.why);
    message.tools.into_iter().map(text).collect()
}

#[tokio::test(start_paused = true)]
async fn the_first_listing_is_told_once_and_counts_until_the_pins_come() {
    let (sightings, mut heard) = Sightings::new();
    let (pins, name) = (Pins::new(sightings), docs());
    let unseen = engine(Pin::Review, None);
    let before = about(&unseen, &name);
    assert!(!pins.is_begun(before));
    let first = take(&pins, before, &pages(&[GOOD]));
    assert!(pins.is_begun(before));
    assert_eq!(
        pins.judge(before, &first, "echo"),
        Standing::Taken(Why::New)
    );
    assert_eq!(told(&mut heard).await, ["echo \"\""]);
    take(&pins, before, &pages(&[GOOD]));
    assert!(told(&mut heard).await.is_empty());
    let other = take(&pins, before, &pages(&[EVIL]));
    assert!(pins.judge(before, &other, "echo").is_held());
    assert_eq!(told(&mut heard).await, ["echo \"changed\""]);

    let seen = engine(Pin::Review, Some(&[GOOD]));
    let after = about(&seen, &name);
    let same = take(&pins, after, &pages(&[GOOD]));
    assert_eq!(pins.judge(after, &same, "echo"), Standing::Approved);
    assert!(pins.judge(after, &same, "other").is_held(), "not listed");
    assert!(told(&mut heard).await.is_empty());
    take(&pins, after, &pages(&[EVIL]));
    assert_eq!(told(&mut heard).await, ["echo \"changed\""]);
    // Another stream may have lost it.
    heard.begin();
    take(&pins, after, &pages(&[EVIL]));
    assert_eq!(told(&mut heard).await, ["echo \"changed\""]);
}

#[tokio::test(start_paused = true)]
async fn a_list_goes_on_without_what_is_held() {
    let (sightings, mut heard) = Sightings::new();
    let (pins, name) = (Pins::new(sightings), docs());
    let engine = engine(Pin::Review, Some(&[GOOD]));
    let about = about(&engine, &name);
    let good = page(&[GOOD]);
    assert_eq!(pins.cut(about, good.clone()).unwrap(), (good, false));
    let other = r#"{"name":"other"}"#;
    let cut = pins.cut(about, page(&[other, GOOD])).unwrap();
    assert_eq!(cut, (page(&[GOOD]), true));
    assert_eq!(told(&mut heard).await, ["other \"new\""]);
    assert_eq!(pins.cut(about, page(&[EVIL])).unwrap(), (page(&[]), true));
    let error = Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""}}"#);
    assert_eq!(pins.cut(about, error.clone()).unwrap(), (error, false));
}

#[tokio::test(start_paused = true)]
async fn what_a_definition_says_is_told_with_it_and_once_more_where_nobody_has_read_it() {
    const READS: &str = r#"{"name":"echo","annotations":{"readOnlyHint":true}}"#;
    let (sightings, mut heard) = Sightings::new();
    let (pins, name) = (Pins::new(sightings), docs());
    let unseen = engine(Pin::Review, None);
    take(&pins, about(&unseen, &name), &pages(&[READS]));
    let first = heard.next().await.unwrap().tools.remove(0);
    let says = first.annotations.unwrap();
    assert_eq!(
        (says.read_only_hint, says.destructive_hint),
        (Some(true), None)
    );

    // As one who knew no annotations has approved it.
    let old = |trust_annotations: bool| {
        let mut snapshot = (**engine(Pin::Review, Some(&[READS])).snapshot()).clone();
        let server = Arc::make_mut(snapshot.servers.get_mut(&name).unwrap());
        server.tools.trust_annotations = trust_annotations;
        let of_docs = Arc::make_mut(snapshot.tool_pins.get_mut(&name).unwrap());
        of_docs.unread = [("echo".to_owned(), Era::Legacy)].into();
        Engine::compile(Arc::new(snapshot)).unwrap()
    };
    let (old, untrusted) = (old(true), old(false));
    let list = page(&[READS]);
    pins.cut(about(&untrusted, &name), list.clone()).unwrap();
    assert!(told(&mut heard).await.is_empty(), "nobody asks for it");
    let modern = About {
        era: Era::Modern,
        ..about(&old, &name)
    };
    assert_eq!(
        pins.cut(modern, list.clone()).unwrap(),
        (list.clone(), false)
    );
    let again = heard.next().await.unwrap().tools.remove(0);
    assert_eq!(
        (&again.sha256, again.annotations),
        (&first.sha256, Some(says))
    );
    assert_eq!((again.era.as_str(), again.why.as_str()), ("legacy", ""));
    pins.cut(modern, list).unwrap();
    assert!(told(&mut heard).await.is_empty(), "it is told once");
}

#[tokio::test(start_paused = true)]
async fn what_is_known_of_a_caller_is_as_old_as_the_question_for_it() {
    let (sightings, _) = Sightings::new();
    let seat = Seat::default();
    let asked = Instant::now();
    seat.note(asked, Pins::new(sightings).view(&docs(), &pages(&[GOOD])));
    assert!(seat.fresh(asked, Duration::ZERO).is_some());
    let later = asked + Duration::from_secs(5);
    assert!(seat.fresh(later, Duration::ZERO).is_none());
    assert!(seat.fresh(later, Duration::from_secs(5)).is_some());
    seat.forget();
    assert!(seat.fresh(asked, Duration::from_secs(5)).is_none());
}

#[tokio::test(start_paused = true)]
async fn what_finds_no_room_is_told_again() {
    let (sightings, mut heard) = Sightings::new();
    let (pins, name) = (Pins::new(sightings), docs());
    let engine = engine(Pin::Review, Some(&[GOOD]));
    let about = about(&engine, &name);
    let many: Vec<_> = (0..40)
        .map(|n| format!(r#"{{"name":"tool{n}"}}"#))
        .collect();
    for tool in &many {
        take(&pins, about, &pages(&[tool]));
    }
    let mut seen = 0;
    while !told(&mut heard).await.is_empty() {
        seen += 1;
    }
    assert!(seen < many.len(), "the queue has a bound");
    let last = many.last().unwrap();
    take(&pins, about, &pages(&[last]));
    assert_eq!(told(&mut heard).await, ["tool39 \"new\""]);
}

#[tokio::test(start_paused = true)]
async fn schemas_are_known_as_long_as_a_server_shows_the_same() {
    let (sightings, mut heard) = Sightings::new();
    let (pins, name) = (Pins::new(sightings), docs());
    let tool = r#"{"name":"echo","inputSchema":{"type":"object"}}"#;
    let view = pins.view(&name, &pages(&[tool]));
    assert!(view.listing().is_none(), "nothing is compared with pins");
    assert!(pins.schemas(&view, "echo").is_none(), "nobody asked");
    pins.learn(&view, &pages(&[tool]), "echo").unwrap();
    let again = pins.view(&name, &pages(&[tool]));
    assert!(Arc::ptr_eq(&view, &again));
    assert!(
        pins.schemas(&again, "echo")
            .unwrap()
            .unwrap()
            .input
            .is_some()
    );
    let unknown = pins.schemas(&again, "other").unwrap();
    unknown.unwrap_err();
    let other = pins.view(&name, &pages(&[GOOD]));
    assert!(
        pins.schemas(&other, "echo").is_none(),
        "the server shows another list"
    );
    let plain = pins.learn(&other, &pages(&[GOOD]), "echo").unwrap();
    assert!(plain.input.is_none() && plain.output.is_none());
    assert!(told(&mut heard).await.is_empty(), "nothing of it is told");
}
