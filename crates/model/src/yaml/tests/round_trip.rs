//! What is written is read again as the same resource, whatever it holds.

use proptest::prelude::*;
use proto::v1 as pb;

use super::super::{Source, parse, to_json, to_yaml};

fn name() -> impl Strategy<Value = String> {
    "[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?"
}

/// Text with all that YAML could stumble over.
fn text() -> impl Strategy<Value = String> {
    let hard = [
        "",
        "no",
        "1.0",
        "~",
        "- a",
        "a: b",
        "#x",
        "'",
        "\"",
        "\\",
        "{",
        "a\nb\n",
        "\t",
        "*",
        "&a",
        "%x",
        "ä\u{202e}",
        "😀",
    ];
    prop_oneof![
        prop::sample::select(hard.to_vec()).prop_map(str::to_owned),
        "[ -~]{0,20}",
        "\\PC{0,10}",
    ]
}

fn full_text() -> impl Strategy<Value = String> {
    text().prop_filter("says something", |text| !text.is_empty())
}

fn glob() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9_/:.*?-]{1,12}"
}

fn metadata() -> impl Strategy<Value = pb::Metadata> {
    let labels = prop::collection::btree_map("[a-z/.]{1,8}", "[ -~]{0,8}", 0..3);
    (
        name(),
        labels,
        0..1000u64,
        prop::option::of("[0-9T:Z-]{1,20}"),
    )
        .prop_map(|(name, labels, revision, at)| {
            let at = at.unwrap_or_default();
            pb::Metadata {
                name,
                labels,
                revision,
                created: at.clone(),
                changed: at,
                features: Vec::new(),
            }
        })
}

fn runtime() -> impl Strategy<Value = pb::runtime::Kind> {
    use pb::runtime::Kind;
    let args = || prop::collection::vec(text(), 0..4);
    prop_oneof![
        (
            "(@[a-z]{1,5}/)?[a-z0-9]{1,9}",
            "[1-9]{1,3}\\.0\\.[1-9]",
            args()
        )
            .prop_map(|(package, version, args)| Kind::Npx(pb::NpxRuntime {
                package,
                version,
                args
            })),
        ("[a-zA-Z0-9]{1,9}", "[1-9]{1,3}(\\.[1-9]){0,2}", args()).prop_map(
            |(package, version, args)| Kind::Uvx(pb::UvxRuntime {
                package,
                version,
                args
            })
        ),
        ("/[a-z ]{1,9}", args()).prop_map(|(program, args)| {
            Kind::Command(pb::CommandRuntime {
                argv: std::iter::once(program).chain(args).collect(),
            })
        }),
    ]
}

fn config() -> impl Strategy<Value = Vec<pb::ConfigEntry>> {
    let values = prop::collection::btree_map("[A-Z_]{1,6}", (text(), text(), any::<bool>()), 0..3);
    values.prop_map(|values| {
        let entry =
            |(key, (title, value, required)): (String, (String, String, bool))| pb::ConfigEntry {
                key,
                title,
                from: "admin".to_owned(),
                r#as: "env".to_owned(),
                required: required && !value.is_empty(),
                value,
                ..Default::default()
            };
        values.into_iter().map(entry).collect()
    })
}

fn server() -> impl Strategy<Value = pb::resource::Spec> {
    let limits = prop::option::of((0..86_400_000u64, 0..100_000u64));
    let tools = prop::option::of((any::<bool>(), any::<bool>()).prop_map(|(pins, trusts)| {
        pb::ToolPolicy {
            pin: if pins { "review" } else { "" }.to_owned(),
            trust_annotations: pins && trusts,
            ..Default::default()
        }
    }));
    (text(), text(), runtime(), config(), limits, 0..2i32, tools).prop_map(
        |(title, description, kind, config, limits, tenancy, tools)| {
            pb::resource::Spec::Server(pb::ServerSpec {
                title,
                description,
                tenancy,
                tools,
                runtime: Some(pb::Runtime { kind: Some(kind) }),
                config,
                limits: limits.map(|(call_ms, startup_ms)| pb::ServerLimits {
                    call_ms,
                    startup_ms,
                    ..Default::default()
                }),
                ..Default::default()
            })
        },
    )
}

fn annotations() -> impl Strategy<Value = pb::ToolAnnotations> {
    let hint = || any::<Option<bool>>();
    let all = (hint(), hint(), hint(), hint()).prop_map(
        |(read_only_hint, destructive_hint, idempotent_hint, open_world_hint)| {
            pb::ToolAnnotations {
                read_only_hint,
                destructive_hint,
                idempotent_hint,
                open_world_hint,
            }
        },
    );
    all.prop_filter("says something", |given| *given != Default::default())
}

/// Targets, and annotations, which stand beside tools or nothing.
fn about() -> impl Strategy<Value = (Option<pb::Targets>, Option<pb::ToolAnnotations>)> {
    let globs = || {
        prop::option::of(
            prop::collection::vec(glob(), 0..3).prop_map(|globs| pb::GlobList { globs }),
        )
    };
    let targets =
        (globs(), globs(), globs(), globs()).prop_map(|(tools, prompts, resources, methods)| {
            pb::Targets {
                tools,
                prompts,
                resources,
                methods,
            }
        });
    let targets = prop::option::of(targets.prop_filter("says something", |t| {
        [&t.tools, &t.prompts, &t.resources, &t.methods]
            .into_iter()
            .flatten()
            .any(|list| !list.globs.is_empty())
    }));
    prop_oneof![
        3 => targets.prop_map(|targets| (targets, None)),
        1 => (globs(), annotations()).prop_map(|(tools, annotations)| {
            let named = tools.filter(|tools| !tools.globs.is_empty());
            let targets = named.map(|tools| pb::Targets {
                tools: Some(tools),
                ..Default::default()
            });
            (targets, Some(annotations))
        }),
    ]
}

fn rule() -> impl Strategy<Value = pb::resource::Spec> {
    let part = || prop_oneof![Just(String::new()), full_text()];
    let subject = (full_text(), part(), part()).prop_map(|(user, group, client)| pb::Subject {
        user,
        group,
        client,
    });
    let servers = prop::collection::vec("[a-z0-9*?-]{1,9}", 1..3);
    (
        1..3i32,
        prop::collection::vec(subject, 0..3),
        servers,
        about(),
        prop_oneof![Just(String::new()), full_text()],
        0..3i32,
        prop::option::of(any::<(bool, bool)>()),
    )
        .prop_map(|(effect, subjects, servers, about, when, mode, record)| {
            let (targets, annotations) = about;
            let approver = |subject: &pb::Subject| pb::Approver {
                user: subject.user.clone(),
                group: subject.group.clone(),
            };
            let approvers = subjects.iter().map(approver).collect();
            let selector = |glob: String| pb::ServerSelector {
                kind: Some(match glob.strip_prefix('-') {
                    None => pb::server_selector::Kind::Glob(glob),
                    Some(value) => {
                        let labels = [("team".to_owned(), value.to_owned())].into();
                        pb::server_selector::Kind::Labels(pb::LabelSelector { labels })
                    }
                }),
            };
            pb::resource::Spec::AccessRule(pb::AccessRuleSpec {
                effect,
                everyone: subjects.is_empty(),
                subjects,
                servers: servers.into_iter().map(selector).collect(),
                targets,
                annotations,
                when,
                mode,
                approvers,
                record: record.map(|(arguments, results)| pb::RecordSpec { arguments, results }),
            })
        })
}

fn filter() -> impl Strategy<Value = pb::resource::Spec> {
    let matches = prop::option::of((
        prop::collection::vec("[a-z0-9*?-]{1,9}", 0..3),
        prop::collection::vec(glob(), 0..3),
        0..4i32,
    ));
    let words = prop::collection::vec(full_text(), 1..4);
    (
        matches,
        words,
        any::<bool>(),
        any::<i32>(),
        0..3i32,
        0..2i32,
    )
        .prop_map(|(matches, words, fold, order, on_error, mode)| {
            pb::resource::Spec::Filter(pb::FilterSpec {
                r#match: matches.map(|(servers, methods, direction)| pb::FilterMatch {
                    servers,
                    methods,
                    tools: Vec::new(),
                    direction,
                }),
                kind: Some(pb::filter_spec::Kind::Keywords(pb::KeywordFilter {
                    words,
                    fold,
                })),
                on_error,
                may_change: false,
                order,
                mode,
            })
        })
}

fn limit() -> impl Strategy<Value = pb::resource::Spec> {
    let per = prop::sample::subsequence(vec!["user", "group", "client", "server", "tool"], 0..=5);
    let rate = (1..1000u32, 1..60u32, "[smhd]").prop_map(|(n, period, unit)| match unit.as_str() {
        "d" => format!("{n}/{}d", period.min(31)),
        unit => format!("{n}/{period}{unit}"),
    });
    let bytes = prop_oneof![Just(String::new()), Just("10Mi/1m".to_owned())];
    let counts = (rate, 0..20u32, 0..20u32, bytes);
    (per, counts, 0..3i32, 0..3i32, 0..3i32).prop_map(
        |(per, (rate, burst, concurrency, response_bytes), scope, on_store_error, mode)| {
            pb::resource::Spec::Limit(pb::LimitSpec {
                per: per.into_iter().map(str::to_owned).collect(),
                rate,
                burst,
                concurrency,
                response_bytes,
                scope,
                on_store_error,
                mode,
                ..Default::default()
            })
        },
    )
}

fn resource() -> impl Strategy<Value = pb::Resource> {
    (metadata(), prop_oneof![server(), rule(), filter(), limit()])
        .prop_map(|(metadata, spec)| pb::Resource {
            metadata: Some(metadata),
            spec: Some(spec),
        })
        .prop_filter("converts", |resource| {
            crate::wire::convert(resource).is_ok()
        })
}

fn read(text: &str) -> Result<pb::Resource, String> {
    let source = Source {
        file: "f".to_owned(),
        text: text.into(),
    };
    let mut located = parse(&[source]).map_err(|faults| format!("{faults:#?}\n{text}"))?;
    if located.len() == 1 {
        Ok(located.remove(0).resource)
    } else {
        Err(format!("{} resources", located.len()))
    }
}

proptest! {
    #[test]
    fn what_is_written_as_yaml_is_read_again(resource in resource()) {
        prop_assert_eq!(read(&to_yaml(&resource)), Ok(resource));
    }

    #[test]
    fn what_is_written_as_json_is_read_again(resource in resource()) {
        prop_assert_eq!(read(&to_json(&resource).to_string()), Ok(resource));
    }

    /// Whoever knows the features of this version is never withheld a revision that was accepted.
    #[test]
    fn what_converts_needs_no_feature_of_later_versions(resource in resource()) {
        const FEATURES: [&str; 12] =
            ["access.annotations/1", "access.labels/1", "access.methods/1", "access.observe/1", "access.record/1", "access.when/1", "access/1", "filter.keywords/1", "filter.keywords/2", "limit/1", "server.stdio/1", "server.tools/1"];
        let features = crate::wire::features_of(&resource);
        prop_assert!(!features.is_empty() && features.iter().all(|f| FEATURES.contains(&f.as_str())), "{:?}", features);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[ -~\n]{0,60}", tail in "\\PC{0,20}") {
        let text = format!("kind: Server\nspec: {{{text}\n{tail}");
        let faults = parse(&[Source { file: "f".to_owned(), text: text.as_str().into() }]).unwrap_err();
        prop_assert!(faults.iter().all(|f| text.get(f.offset..f.offset + f.length).is_some()));
    }
}
