#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
//! The table against the proto contract: every field of one is in the other, under the right number and type.

use std::collections::BTreeMap;

use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};

use super::*;

/// Fields of the proto that no user writes.
const INTERNAL: &[&str] = &["Metadata.features"];

fn messages() -> BTreeMap<String, DescriptorProto> {
    let set = FileDescriptorSet::decode(proto::DESCRIPTOR).unwrap();
    let mut messages = BTreeMap::new();
    for file in set
        .file
        .into_iter()
        .filter(|file| file.package() == "gatehouse.v1")
    {
        for message in file.message_type {
            for nested in &message.nested_type {
                messages.insert(
                    format!("{}.{}", message.name(), nested.name()),
                    nested.clone(),
                );
            }
            messages.insert(message.name().to_owned(), message);
        }
    }
    messages
}

fn type_of(field: &FieldDescriptorProto) -> &str {
    field
        .type_name()
        .strip_prefix(".gatehouse.v1.")
        .unwrap_or_default()
}

/// `startup_ms` as users write it.
fn user_name(field: &FieldDescriptorProto) -> String {
    let json = field.json_name();
    let unit = [("memoryBytes", "memory"), ("cpuMillis", "cpu")]
        .into_iter()
        .find(|(long, _)| *long == json);
    match unit {
        Some((_, short)) => short.to_owned(),
        None => json.strip_suffix("Ms").unwrap_or(json).to_owned(),
    }
}

fn check(
    object: &Object,
    message: &str,
    messages: &BTreeMap<String, DescriptorProto>,
    seen: &mut Vec<String>,
) {
    if seen.contains(&message.to_owned()) {
        return;
    }
    seen.push(message.to_owned());
    let mut left: BTreeMap<i32, FieldDescriptorProto> = BTreeMap::new();
    for field in &messages[message].field {
        if !INTERNAL.contains(&format!("{message}.{}", field.name()).as_str()) {
            left.insert(field.number(), field.clone());
        }
    }
    for entry in object.fields {
        let [first, inner @ ..] = entry.tags else {
            panic!("{message}.{} has no number", entry.name);
        };
        let outer = &messages[message]
            .field
            .iter()
            .find(|f| f.number() == *first as i32)
            .unwrap()
            .clone();
        left.remove(&(*first as i32));
        let field = match inner {
            [] => outer.clone(),
            [tag] => {
                let nested = &messages[type_of(outer)].field;
                nested
                    .iter()
                    .find(|f| f.number() == *tag as i32)
                    .unwrap()
                    .clone()
            }
            _ => panic!("nobody nests that deep"),
        };
        assert_eq!(user_name(&field), entry.name, "{message}");
        check_shape(entry, &field, messages, seen);
    }
    // A selector's glob has no name of its own.
    if message == "ServerSelector" {
        left.remove(&(SELECTOR_GLOB_TAG as i32));
    }
    assert!(
        left.is_empty(),
        "{message} has fields that the table forgets: {left:?}"
    );
}

fn check_shape(
    entry: &Field,
    field: &FieldDescriptorProto,
    messages: &BTreeMap<String, DescriptorProto>,
    seen: &mut Vec<String>,
) {
    let repeated = field.label() == Label::Repeated;
    let (types, list): (&[Type], bool) = match &entry.shape {
        Text | FreeText => (&[Type::String], false),
        Bool => (&[Type::Bool], false),
        Int { .. } => (&[Type::Int32, Type::Uint32, Type::Uint64], false),
        Duration | Size => (&[Type::Uint64], false),
        Cpu => (&[Type::Uint32], false),
        Choice(_) => (&[Type::Enum], false),
        Texts | SomeTexts => (&[Type::String], true),
        Globs | Map(_) => (&[Type::Message], false),
        Selectors(_) | Objects(_) | Labels => (&[Type::Message], true),
    };
    assert!(
        types.contains(&field.r#type()) && list == repeated,
        "{}: {field:?}",
        entry.name
    );
    match &entry.shape {
        Map(object) | Objects(object) | Selectors(object) => {
            check(object, type_of(field), messages, seen)
        }
        Globs => assert_eq!(type_of(field), "GlobList"),
        _ => {}
    }
}

#[test]
fn the_table_holds_what_the_contract_holds() {
    let messages = messages();
    let mut seen = Vec::new();
    check(&METADATA, "Metadata", &messages, &mut seen);
    for kind in [SERVER, ACCESS_RULE, FILTER, LIMIT] {
        let (object, tag) = spec(kind).unwrap();
        let field = messages["Resource"]
            .field
            .iter()
            .find(|f| f.number() == tag as i32)
            .unwrap();
        check(object, type_of(field), &messages, &mut seen);
    }
    assert!(seen.len() > 15, "{seen:?}");
}

#[test]
fn choices_are_the_enums_words() {
    let set = FileDescriptorSet::decode(proto::DESCRIPTOR).unwrap();
    let enums: Vec<_> = set.file.iter().flat_map(|file| &file.enum_type).collect();
    let mut checked = 0;
    let mut check = |object: &Object, name: &str, of: &str| {
        let Choice(words) = object.field(name).unwrap().shape else {
            panic!("{name} is no choice")
        };
        let of = enums.iter().find(|e| e.name() == of).unwrap();
        let known: Vec<(String, i32)> = of
            .value
            .iter()
            .filter(|value| value.number() != 0)
            .map(|value| {
                let prefix = of.value[0].name().strip_suffix("UNSPECIFIED").unwrap();
                (
                    value
                        .name()
                        .strip_prefix(prefix)
                        .unwrap()
                        .to_lowercase()
                        .replace('_', "-"),
                    value.number(),
                )
            })
            .collect();
        let told: Vec<(String, i32)> = words
            .iter()
            .map(|(word, number)| ((*word).to_owned(), *number))
            .collect();
        assert_eq!(told, known);
        checked += 1;
    };
    check(&SERVER_SPEC, "tenancy", "Tenancy");
    check(&ACCESS_RULE_SPEC, "effect", "Effect");
    check(&FILTER_SPEC, "onError", "OnError");
    check(&FILTER_SPEC, "mode", "FilterMode");
    check(&MATCH, "direction", "Direction");
    check(&LIMIT_SPEC, "scope", "LimitScope");
    check(&LIMIT_SPEC, "onStoreError", "OnError");
    check(&LIMIT_SPEC, "mode", "LimitMode");
    assert_eq!(checked, 8);
}

#[test]
fn fields_are_described_by_path() {
    let names = |path: &str| -> Vec<&str> {
        describe(path)
            .unwrap()
            .iter()
            .map(|field| field.name)
            .collect()
    };
    assert_eq!(names("Server"), ["metadata", "spec"]);
    assert_eq!(
        names("Server.spec.limits"),
        ["memory", "cpu", "processes", "idle", "startup", "call"]
    );
    assert_eq!(
        names("AccessRule.spec.subjects"),
        ["user", "group", "client"]
    );
    for nothing in [
        "",
        "NodePool",
        "Server.status",
        "Server.spec.title",
        "Server.spec.runtime.npx.x",
    ] {
        assert_eq!(describe(nothing), None, "{nothing}");
    }
}
