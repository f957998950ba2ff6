#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
//! What files cannot say: resources as the admin API and pushes bring them.

use super::*;

fn resource(name: &str, spec: pb::resource::Spec) -> pb::Resource {
    pb::Resource {
        metadata: Some(pb::Metadata {
            name: name.to_owned(),
            ..Default::default()
        }),
        spec: Some(spec),
    }
}

fn api_key() -> pb::ApiKeySpec {
    pb::ApiKeySpec {
        hash: vec![1; 32],
        user: "ana@example.com".to_owned(),
        groups: vec!["ops".to_owned(), "dev".to_owned(), "ops".to_owned()],
        client: String::new(),
        servers: vec!["time".to_owned()],
        expires_unix_ms: 5,
        internal: false,
    }
}

fn paths(resource: &pb::Resource) -> Vec<String> {
    convert(resource)
        .unwrap_err()
        .into_iter()
        .map(|fault| fault.path)
        .collect()
}

#[test]
fn an_api_key_becomes_a_principal() {
    let resource = resource("k1", pb::resource::Spec::ApiKey(api_key()));
    let Item::ApiKey(id, key) = convert(&resource).unwrap() else {
        panic!("not a key")
    };
    assert_eq!(id, "k1");
    let principal =
        crate::principal::Principal::new("ana@example.com", &["dev", "ops"], None, "k1");
    assert_eq!(*key.principal, principal);
    assert!(key.is_good(&key.servers[0], 4) && !key.is_good(&key.servers[0], 5));
    assert_eq!(features_of(&resource), ["api-key/1"]);
}

#[test]
fn a_bad_api_key_tells_all_its_faults() {
    let spec = pb::ApiKeySpec {
        hash: vec![1; 31],
        user: String::new(),
        groups: vec![String::new()],
        servers: vec!["A".to_owned()],
        ..api_key()
    };
    let found = paths(&resource("k 1", pb::resource::Spec::ApiKey(spec)));
    assert_eq!(
        found,
        [
            "metadata.name",
            "spec.hash",
            "spec.user",
            "spec.groups[0]",
            "spec.servers[0]"
        ]
    );
}

#[test]
fn a_key_ring_must_be_open_and_whole() {
    let ring = pb::KeyRingSpec {
        purpose: "edge".to_owned(),
        session_keys: vec![pb::SealingKey {
            id: 2,
            key: vec![7; 32],
            created_unix_ms: 0,
        }],
        api_key_pepper: vec![9; 32],
        sealed: Vec::new(),
    };
    let good = resource("edge", pb::resource::Spec::KeyRing(ring.clone()));
    let Item::KeyRing(converted) = convert(&good).unwrap() else {
        panic!("not a ring")
    };
    assert_eq!(
        (converted.session_keys[0].id, converted.api_key_pepper),
        (2, [9; 32])
    );
    let double = pb::KeyRingSpec {
        session_keys: vec![ring.session_keys[0].clone(); 2],
        ..ring
    };
    assert_eq!(
        paths(&resource("edge", pb::resource::Spec::KeyRing(double))),
        ["spec.sessionKeys[1].id"]
    );
    let sealed = pb::KeyRingSpec {
        purpose: "edge".to_owned(),
        sealed: vec![1],
        ..Default::default()
    };
    assert_eq!(
        paths(&resource("edge", pb::resource::Spec::KeyRing(sealed))),
        ["spec.sealed"]
    );
}

#[test]
fn what_no_program_of_this_version_made_fails_closed() {
    let unknown = pb::Resource {
        metadata: Some(pb::Metadata::default()),
        spec: None,
    };
    assert_eq!(paths(&unknown), ["metadata.name", "spec"]);
    assert_eq!(features_of(&unknown), ["unknown/1"]);
    assert_eq!(key_of(&unknown), None);
    let enums = pb::FilterSpec {
        r#match: Some(pb::FilterMatch {
            direction: 9,
            ..Default::default()
        }),
        on_error: 9,
        mode: 9,
        ..Default::default()
    };
    let found = paths(&resource("f", pb::resource::Spec::Filter(enums)));
    assert_eq!(
        found,
        [
            "spec.match.direction",
            "spec.keywords",
            "spec.onError",
            "spec.mode"
        ]
    );
}

#[test]
fn features_name_what_a_rule_asks_for() {
    let rule = pb::AccessRuleSpec {
        effect: pb::Effect::Approve.into(),
        annotations: Some(pb::ToolAnnotations::default()),
        when: "x".to_owned(),
        targets: Some(pb::Targets {
            methods: Some(pb::GlobList::default()),
            ..Default::default()
        }),
        ..Default::default()
    };
    let features = features_of(&resource("r", pb::resource::Spec::AccessRule(rule)));
    assert_eq!(
        features,
        [
            "access.annotations/1",
            "access.approve/1",
            "access.methods/1",
            "access.when/1",
            "access/1"
        ]
    );
}

#[test]
fn of_two_eras_the_worse_hint_counts_and_what_was_never_read_is_known() {
    use crate::annotations::{Hint, Hints};
    use crate::pins::Era;
    let pin = |tool: &str, era: &str, annotations: Option<pb::ToolAnnotations>| pb::ToolPin {
        tool: tool.to_owned(),
        era: era.to_owned(),
        sha256: vec![1; 32],
        annotations,
        ..Default::default()
    };
    let reads = pb::ToolAnnotations {
        read_only_hint: Some(true),
        ..Default::default()
    };
    let closed = pb::ToolAnnotations {
        open_world_hint: Some(false),
        ..reads
    };
    let tools = vec![
        pin("one", "legacy", Some(reads)),
        pin("both", "legacy", Some(reads)),
        pin("both", "modern", Some(closed)),
        pin("other", "legacy", Some(reads)),
        pin("other", "modern", Some(Default::default())),
        pin("old", "legacy", None),
    ];
    let spec = pb::ToolPinsSpec {
        tools,
        ..Default::default()
    };
    let Item::ToolPins(pins) = convert(&resource("s", pb::resource::Spec::ToolPins(spec))).unwrap()
    else {
        panic!("not pins")
    };
    let known = |tool: &str| pins.hints.get(tool).copied();
    let reads = Hints::of(&annotations(Some(&reads)));
    assert_eq!((known("one"), known("both")), (Some(reads), Some(reads)));
    assert!(reads.get(Hint::ReadOnly) && reads.get(Hint::OpenWorld));
    assert_eq!((known("other"), known("old")), (None, None));
    assert_eq!(pins.unread, [("old".to_owned(), Era::Legacy)].into());
}

#[test]
fn lists_have_a_bound() {
    let words = vec!["x".to_owned(); LIST_MAX + 1];
    let keywords = pb::filter_spec::Kind::Keywords(pb::KeywordFilter { words, fold: false });
    let spec = pb::FilterSpec {
        kind: Some(keywords),
        ..Default::default()
    };
    assert_eq!(
        paths(&resource("f", pb::resource::Spec::Filter(spec))),
        ["spec.keywords.words"]
    );
}

#[test]
fn a_snapshot_takes_items_and_gives_them_up() {
    let mut snapshot = Snapshot::default();
    let key = resource("k1", pb::resource::Spec::ApiKey(api_key()));
    insert(&mut snapshot, convert(&key).unwrap());
    assert_eq!(snapshot.api_keys.len(), 1);
    remove(&mut snapshot, &ResourceKey::new(SERVER, "k1"));
    assert_eq!(snapshot.api_keys.len(), 1, "another kind of the same name");
    remove(&mut snapshot, &key_of(&key).unwrap());
    assert!(snapshot.api_keys.is_empty());
}

#[test]
fn a_limit_counts_tool_calls_of_all_unless_it_says_otherwise() {
    use crate::limit::{Mode, Scope};
    let spec = pb::LimitSpec {
        rate: "100/1m".to_owned(),
        per: vec!["tool".to_owned(), "user".to_owned()],
        ..Default::default()
    };
    let resource = resource("l", pb::resource::Spec::Limit(spec));
    assert_eq!(features_of(&resource), ["limit/1"]);
    let Item::Limit(limit) = convert(&resource).unwrap() else {
        panic!("not a limit")
    };
    assert_eq!(limit.matches.methods[0].as_str(), "tools/call");
    assert_eq!(limit.subjects, crate::access::Subjects::Everyone);
    assert_eq!(
        limit.per,
        [crate::limit::Part::User, crate::limit::Part::Tool]
    );
    assert_eq!(limit.calls.map(|calls| calls.burst), Some(100));
    assert_eq!((limit.scope, limit.mode), (Scope::Shared, Mode::Enforce));
}

#[test]
fn a_bad_limit_tells_all_its_faults() {
    let faults = |spec| paths(&resource("l", pb::resource::Spec::Limit(spec)));
    assert_eq!(faults(pb::LimitSpec::default()), ["spec.rate"]);
    let bad = pb::LimitSpec {
        r#match: Some(pb::LimitMatch {
            servers: vec!["A".to_owned()],
            methods: vec!["tools/list".to_owned()],
            tools: vec!["x".to_owned()],
        }),
        subjects: vec![pb::Subject::default()],
        per: ["user", "users", "user"].map(str::to_owned).to_vec(),
        rate: "5".to_owned(),
        request_bytes: "5/1m".to_owned(),
        response_bytes: "5Mi/1y".to_owned(),
        scope: 9,
        on_store_error: 9,
        mode: 9,
        ..Default::default()
    };
    assert_eq!(
        faults(bad),
        [
            "spec.match.servers[0]",
            "spec.match.tools",
            "spec.subjects[0]",
            "spec.per[1]",
            "spec.per[2]",
            "spec.rate",
            "spec.requestBytes",
            "spec.responseBytes",
            "spec.scope",
            "spec.onStoreError",
            "spec.mode",
        ]
    );
    let endless = pb::LimitSpec {
        rate: "1/31d".to_owned(),
        burst: 13,
        ..Default::default()
    };
    assert_eq!(faults(endless), ["spec.burst"]);
    let alone = pb::LimitSpec {
        concurrency: 1,
        burst: 1,
        ..Default::default()
    };
    assert_eq!(faults(alone), ["spec.burst"]);
}
