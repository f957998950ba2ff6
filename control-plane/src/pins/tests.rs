#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use model::annotations::{Hint, Hints};
use model::name::ServerName;

use super::*;
use crate::catalog::fixture;
use crate::store::fixture::Faltering;

fn server(pin: &str) -> pb::Resource {
    let runtime = pb::RemoteRuntime {
        url: "https://docs.example.com/mcp".to_owned(),
        ..Default::default()
    };
    let spec = pb::ServerSpec {
        runtime: Some(pb::Runtime {
            kind: Some(pb::runtime::Kind::Remote(runtime)),
        }),
        tools: Some(pb::ToolPolicy {
            pin: pin.to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    pb::Resource {
        metadata: Some(pb::Metadata {
            name: "docs".to_owned(),
            ..Default::default()
        }),
        spec: Some(Spec::Server(spec)),
    }
}

async fn catalog(pin: &str) -> (Arc<Catalog>, tempfile::TempDir) {
    let (catalog, dir) = fixture::catalog().await;
    apply(&catalog, pin).await;
    (catalog, dir)
}

async fn apply(catalog: &Catalog, pin: &str) {
    let applied = catalog.apply("admin", vec![server(pin)], Options::default());
    applied.await.unwrap();
}

fn seen(why: &str, tool: &str, text: &str) -> pb::ToolSighting {
    pb::ToolSighting {
        tool: tool.to_owned(),
        era: "legacy".to_owned(),
        sha256: model::snapshot::Sha256::of(text.as_bytes()).0.to_vec(),
        definition: text.as_bytes().to_vec(),
        why: why.to_owned(),
        user: "ana@example.com".to_owned(),
        ..Default::default()
    }
}

async fn tell(catalog: &Catalog, tools: &[pb::ToolSighting]) {
    let message = pb::ToolSightings {
        server: "docs".to_owned(),
        tools: tools.to_vec(),
    };
    see(catalog, &Drain::new(), "edge-1", &message).await;
}

fn docs(catalog: &Catalog) -> (Vec<String>, Vec<String>) {
    let all = list(&catalog.state(), "docs").remove(0);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        all.approved.iter().map(|p| text(&p.definition)).collect(),
        all.pending
            .iter()
            .map(|p| format!("{} {}", p.why, text(&p.definition)))
            .collect(),
    )
}

fn choice(tool: &str, text: &str) -> pb::ToolChoice {
    pb::ToolChoice {
        tool: tool.to_owned(),
        era: "legacy".to_owned(),
        sha256: model::snapshot::Sha256::of(text.as_bytes()).0.to_vec(),
    }
}

#[tokio::test]
async fn the_first_are_taken_and_what_comes_later_waits_for_a_person() {
    let (catalog, _dir) = catalog("review").await;
    tell(&catalog, &[seen("", "a", "a1"), seen("", "b", "b1")]).await;
    assert_eq!(docs(&catalog).0, ["a1", "b1"]);
    let changed = [seen("changed", "a", "a2"), seen("new", "c", "c1")];
    tell(&catalog, &changed).await;
    let revision = catalog.state().revision();
    tell(&catalog, &changed).await;
    assert_eq!(
        catalog.state().revision(),
        revision,
        "nothing is said twice"
    );
    let waiting = vec!["changed a2".to_owned(), "new c1".to_owned()];
    assert_eq!(docs(&catalog), (vec!["a1".into(), "b1".into()], waiting));

    let accept = |tools: Vec<pb::ToolChoice>, reject| pb::AcceptToolsRequest {
        server: "docs".to_owned(),
        tools,
        reject,
    };
    let stale = decide(&catalog, "eva", &accept(vec![choice("a", "a3")], false)).await;
    assert!(matches!(stale, Err(Error::Refused(f)) if f[0].path == "tools[0]"));
    let (a, c) = (
        accept(vec![choice("a", "a2")], false),
        accept(vec![choice("c", "c1")], true),
    );
    decide(&catalog, "eva", &a).await.unwrap();
    decide(&catalog, "eva", &c).await.unwrap();
    assert_eq!(docs(&catalog), (vec!["a2".into(), "b1".into()], Vec::new()));
    let pin = list(&catalog.state(), "")[0].approved[0].clone();
    assert_eq!(pin.accepted_by, "eva");
}

#[tokio::test]
async fn what_differs_from_a_first_sight_that_never_came_is_not_taken_for_the_first() {
    let (catalog, _dir) = catalog("review").await;
    tell(&catalog, &[seen("changed", "a", "a2")]).await;
    assert_eq!(docs(&catalog), (Vec::new(), Vec::new()));
    // A server without tools: whatever comes later is new.
    tell(&catalog, &[]).await;
    tell(&catalog, &[seen("", "a", "a1")]).await;
    assert_eq!(docs(&catalog), (Vec::new(), vec!["new a1".to_owned()]));
}

#[tokio::test]
async fn auto_takes_all_but_what_is_poisoned_or_taken_for_another() {
    let (catalog, _dir) = catalog("auto").await;
    tell(
        &catalog,
        &[seen("", "a", "a1"), seen("poisoned", "b", "b1")],
    )
    .await;
    tell(
        &catalog,
        &[
            seen("changed", "a", "a2"),
            seen("new", "c", "c1"),
            seen("look_alike", "A", "A1"),
        ],
    )
    .await;
    let approved = vec!["a2".to_owned(), "c1".to_owned()];
    let pending = vec!["poisoned b1".to_owned(), "look_alike A1".to_owned()];
    assert_eq!(docs(&catalog), (approved, pending));
}

#[tokio::test]
async fn a_server_that_shows_another_one_each_time_fills_nothing() {
    let (catalog, _dir) = catalog("review").await;
    tell(&catalog, &[seen("", "a", "a0")]).await;
    for n in 1..20 {
        tell(&catalog, &[seen("changed", "a", &format!("a{n}"))]).await;
    }
    let pending = docs(&catalog).1;
    assert_eq!(
        pending,
        ["changed a1", "changed a2", "changed a3", "changed a4"]
    );
    // Texts have a bound, hashes are kept.
    let long = "x".repeat(300 * 1024);
    for name in ["b", "c"] {
        tell(&catalog, &[seen("new", name, &long)]).await;
    }
    let all = list(&catalog.state(), "docs").remove(0);
    let lengths: Vec<_> = all
        .pending
        .iter()
        .skip(4)
        .map(|p| p.definition.len())
        .collect();
    assert_eq!(lengths, [long.len(), 0]);
}

#[test]
fn what_finds_no_place_is_refused_and_goes_on_waiting() {
    let pin = |n: usize| pb::ToolPin {
        tool: format!("t{n:05}"),
        era: "legacy".to_owned(),
        ..Default::default()
    };
    let mut spec = pb::ToolPinsSpec {
        tools: (0..TOOL_PINS_MAX).map(pin).collect(),
        pending: vec![seen("new", "a", "a1"), seen("changed", "t00007", "t2")],
    };
    let eva = Some(("eva", 1));
    let full = taken::decide(&mut spec, &choice("a", "a1"), eva);
    assert_eq!(full, Err(Undecided::Full));
    assert_eq!((spec.tools.len(), spec.pending.len()), (TOOL_PINS_MAX, 2));
    // One that takes another's place needs none, and to let go needs none either.
    assert_eq!(
        taken::decide(&mut spec, &choice("t00007", "t2"), eva),
        Ok(())
    );
    assert_eq!(spec.tools.len(), TOOL_PINS_MAX);
    assert_eq!(spec.tools[7].definition, b"t2");
    assert_eq!(taken::decide(&mut spec, &choice("a", "a1"), None), Ok(()));
    assert!(spec.pending.is_empty());
    let again = taken::decide(&mut spec, &choice("a", "a1"), eva);
    assert_eq!(again, Err(Undecided::NotWaiting));
}

#[tokio::test]
async fn nodes_get_hashes_alone_and_only_of_servers_that_they_call() {
    let (catalog, _dir) = catalog("review").await;
    tell(&catalog, &[seen("", "a", "a1")]).await;
    tell(&catalog, &[seen("changed", "a", "a2")]).await;
    let state = catalog.state();
    let key = ResourceKey::new(TOOL_PINS, "docs");
    let stored = state.get(&key).unwrap();
    let holds = |bytes: &[u8], text: &str| bytes.windows(2).any(|w| w == text.as_bytes());
    assert!(holds(&stored.sealed, "a1") && holds(&stored.sealed, "a2"));
    assert!(!holds(&stored.encoded, "a1") && !holds(&stored.encoded, "a2"));
    let told = <pb::Resource as prost::Message>::decode(stored.encoded.clone()).unwrap();
    let Ok(model::wire::Item::ToolPins(pins)) = model::wire::convert(&told) else {
        panic!("what nodes get cannot be read");
    };
    assert_eq!(pins.version, state.revision());
    assert_eq!(pins.tools, state.snapshot().tool_pins["docs"].tools);

    let publisher = crate::publish::Publisher::new(&catalog);
    let sees = |scope| {
        publisher
            .view(&scope, "n-1")
            .unwrap()
            .resources
            .contains_key(&key)
    };
    use crate::publish::Scope;
    assert!(sees(Scope::Edge));
    assert!(sees(Scope::Sidecar(ServerName::new("docs").unwrap())));
    assert!(!sees(Scope::Sidecar(ServerName::new("other").unwrap())));
}

/// What is taken for true of a tool by nodes.
fn hints(catalog: &Catalog, tool: &str) -> Hints {
    let state = catalog.state();
    let pins = &state.snapshot().tool_pins["docs"];
    pins.hints.get(tool).copied().unwrap_or_default()
}

fn reading(why: &str, era: &str, text: &str, reads: Option<bool>) -> pb::ToolSighting {
    pb::ToolSighting {
        era: era.to_owned(),
        annotations: Some(pb::ToolAnnotations {
            read_only_hint: reads,
            ..Default::default()
        }),
        ..seen(why, "a", text)
    }
}

#[tokio::test]
async fn what_an_approved_definition_says_is_kept_and_pushed_and_nothing_that_waits() {
    let (catalog, _dir) = catalog("review").await;
    tell(&catalog, &[reading("", "legacy", "a1", None)]).await;
    tell(&catalog, &[reading("changed", "legacy", "a2", Some(true))]).await;
    assert_eq!(hints(&catalog, "a"), Hints::default());
    let accept = pb::AcceptToolsRequest {
        server: "docs".to_owned(),
        tools: vec![choice("a", "a2")],
        reject: false,
    };
    decide(&catalog, "eva", &accept).await.unwrap();
    assert!(hints(&catalog, "a").get(Hint::ReadOnly));

    let state = catalog.state();
    let stored = state.get(&ResourceKey::new(TOOL_PINS, "docs")).unwrap();
    let told = <pb::Resource as prost::Message>::decode(stored.encoded.clone()).unwrap();
    let Ok(model::wire::Item::ToolPins(pins)) = model::wire::convert(&told) else {
        panic!("what nodes get cannot be read");
    };
    assert_eq!(pins.hints, state.snapshot().tool_pins["docs"].hints);
    assert!(pins.unread.is_empty());

    // The other era is shown something else: a tool is no better than both say.
    tell(&catalog, &[reading("changed", "modern", "m1", None)]).await;
    assert!(hints(&catalog, "a").get(Hint::ReadOnly), "it only waits");
    let accept = pb::AcceptToolsRequest {
        tools: vec![pb::ToolChoice {
            era: "modern".to_owned(),
            ..choice("a", "m1")
        }],
        ..accept
    };
    decide(&catalog, "eva", &accept).await.unwrap();
    assert_eq!(hints(&catalog, "a"), Hints::default());
}

#[tokio::test]
async fn what_an_older_version_approved_is_read_once_it_is_seen_again() {
    let (catalog, _dir) = catalog("review").await;
    tell(&catalog, &[seen("", "a", "a1")]).await;
    let state = catalog.state();
    assert_eq!(state.snapshot().tool_pins["docs"].unread.len(), 1);
    // Not of another definition, and not twice.
    tell(&catalog, &[reading("changed", "legacy", "a2", Some(true))]).await;
    assert_eq!(hints(&catalog, "a"), Hints::default());
    tell(&catalog, &[reading("", "legacy", "a1", Some(true))]).await;
    assert!(hints(&catalog, "a").get(Hint::ReadOnly));
    tell(&catalog, &[reading("", "legacy", "a1", None)]).await;
    assert!(hints(&catalog, "a").get(Hint::ReadOnly));
    let pin = list(&catalog.state(), "docs")[0].approved[0].clone();
    assert_eq!(pin.accepted_by, "first seen by edge-1");
}

#[tokio::test]
async fn edges_see_what_rules_may_ask_of_servers_that_sidecars_call() {
    let (catalog, _dir) = fixture::catalog().await;
    let key = ResourceKey::new(TOOL_PINS, "time");
    let time = |trust_annotations: bool| {
        let mut server = fixture::server("time", "T");
        if let Some(Spec::Server(spec)) = &mut server.spec {
            spec.tools = Some(pb::ToolPolicy {
                pin: "review".to_owned(),
                trust_annotations,
                ..Default::default()
            });
        }
        vec![server]
    };
    let publisher = crate::publish::Publisher::new(&catalog);
    let apply = async |trusts: bool| {
        let applied = catalog.apply("admin", time(trusts), Options::default());
        applied.await.unwrap();
    };
    let sees = || {
        let view = publisher.view(&crate::publish::Scope::Edge, "n-1").unwrap();
        view.resources.contains_key(&key)
    };
    apply(false).await;
    let message = pb::ToolSightings {
        server: "time".to_owned(),
        tools: vec![seen("", "a", "a1")],
    };
    see(&catalog, &Drain::new(), "time-1", &message).await;
    assert!(catalog.state().get(&key).is_some() && !sees());
    apply(true).await;
    assert!(sees());
    apply(false).await;
    assert!(!sees());
}

#[tokio::test]
async fn what_was_approved_outlives_a_restart_and_goes_with_its_server() {
    let (store, _dir) = crate::store::fixture::embedded();
    let catalog = fixture::over(store.clone()).await;
    apply(&catalog, "review").await;
    tell(&catalog, &[seen("", "a", "a1")]).await;
    let before = catalog.state();
    drop(catalog);
    let catalog = fixture::over(store).await;
    assert_eq!(catalog.state().sha256(), before.sha256());
    assert_eq!(docs(&catalog).0, ["a1"]);
    let key = ResourceKey::new(model::wire::SERVER, "docs");
    let deleted = catalog.delete("admin", vec![key], Options::default()).await;
    assert_eq!(deleted.unwrap().changes.len(), 1);
    assert!(catalog.state().resources().is_empty());
}

#[tokio::test]
async fn a_node_speaks_of_servers_that_it_calls_alone() {
    let (catalog, _dir) = catalog("review").await;
    let drain = Drain::new();
    let inbox = Inbox::start(catalog.clone(), &drain);
    let message = pb::ToolSightings {
        server: "docs".to_owned(),
        tools: vec![seen("", "a", "a1")],
    };
    let other = Peer::sidecar(ServerName::new("other").unwrap(), "other-1").unwrap();
    inbox
        .heard(&catalog.state(), &other, message.clone())
        .unwrap();
    let mut states = catalog.watch();
    states.mark_unchanged();
    let edge = Peer::edge("edge-1").unwrap();
    inbox.heard(&catalog.state(), &edge, message).unwrap();
    states.changed().await.unwrap();
    let pin = list(&catalog.state(), "docs")[0].approved[0].clone();
    assert_eq!(pin.accepted_by, "first seen by edge-1");
    drain.start();
    drain.finish(std::time::Duration::from_secs(5)).await;
}

#[tokio::test]
async fn what_finds_no_room_is_refused_so_that_it_is_told_again() {
    let (catalog, _dir) = catalog("review").await;
    let inbox = Inbox::start(catalog.clone(), &Drain::new());
    let edge = Peer::edge("edge-1").unwrap();
    let message = pb::ToolSightings {
        server: "docs".to_owned(),
        tools: Vec::new(),
    };
    let hear = || inbox.heard(&catalog.state(), &edge, message.clone());
    // Nothing is awaited in between: its task takes none out.
    for _ in 0..INBOX_MAX {
        hear().unwrap();
    }
    let full = hear().unwrap_err();
    assert_eq!(
        full.to_string(),
        "too much is said of tools at the same time"
    );
}

#[tokio::test]
async fn what_is_seen_while_the_store_is_away_is_kept_once_it_is_back() {
    let (store, _dir) = crate::store::fixture::embedded();
    let store = Arc::new(Faltering::over(store));
    let catalog = fixture::over(store.clone()).await;
    apply(&catalog, "review").await;
    store.fail(2);
    tell(&catalog, &[seen("", "a", "a1")]).await;
    assert_eq!(docs(&catalog).0, ["a1"]);
    assert_eq!(store.left(), 0);
}
