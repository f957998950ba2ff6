//! Which fields differ between two versions of a resource, as their writer knows them.

use model::yaml;
use proto::v1 as pb;
use serde_json::Value;

/// Most fields that are named.
const FIELDS_MAX: usize = 20;
/// Most characters of a value that are shown.
const VALUE_CHARS_MAX: usize = 200;
/// Metadata that the control plane sets: it differs always and says nothing.
const SET_BY_US: [&str; 4] = ["revision", "created", "changed", "features"];

/// The fields that differ, at most [`FIELDS_MAX`].
pub(super) fn fields(before: &pb::Resource, after: &pb::Resource) -> Vec<pb::FieldChange> {
    let mut found = Vec::new();
    compare("", &as_written(before), &as_written(after), &mut found);
    found
}

/// As users write it, without what they don't.
fn as_written(resource: &pb::Resource) -> Value {
    let mut value = yaml::to_json(resource);
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|field, _| !SET_BY_US.contains(&field.as_str()));
    }
    value
}

fn compare(path: &str, before: &Value, after: &Value, found: &mut Vec<pb::FieldChange>) {
    if found.len() == FIELDS_MAX || before == after {
        return;
    }
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            let added = after.keys().filter(|name| !before.contains_key(*name));
            for name in before.keys().chain(added) {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                let (before, after) = (before.get(name), after.get(name));
                let null = &Value::Null;
                compare(&path, before.unwrap_or(null), after.unwrap_or(null), found);
            }
        }
        (Value::Array(before), Value::Array(after)) => {
            for n in 0..before.len().max(after.len()) {
                let null = &Value::Null;
                let (before, after) = (before.get(n), after.get(n));
                let path = format!("{path}[{n}]");
                compare(&path, before.unwrap_or(null), after.unwrap_or(null), found);
            }
        }
        _ => found.push(pb::FieldChange {
            path: path.to_owned(),
            before: text(before),
            after: text(after),
        }),
    }
}

fn text(value: &Value) -> String {
    let whole = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match whole.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &whole[..end]),
        None => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn diff(before: Value, after: Value) -> Vec<(String, String, String)> {
        let mut found = Vec::new();
        compare("", &before, &after, &mut found);
        found
            .into_iter()
            .map(|c| (c.path, c.before, c.after))
            .collect()
    }

    #[test]
    fn fields_are_named_as_users_write_them() {
        let before =
            json!({"spec": {"limits": {"call": "60s"}, "servers": ["a", "b"], "title": "x"}});
        let after = json!({"spec": {"limits": {"call": "30s"}, "servers": ["a"], "order": 5}});
        let expected = [
            ("spec.limits.call", "60s", "30s"),
            ("spec.servers[1]", "b", ""),
            ("spec.title", "x", ""),
            ("spec.order", "", "5"),
        ];
        let expected = expected.map(|(p, b, a)| (p.to_owned(), b.to_owned(), a.to_owned()));
        assert_eq!(diff(before, after), expected);
    }

    #[test]
    fn what_is_long_is_cut_and_what_is_much_is_too() {
        let many: Vec<u32> = (0..100).collect();
        let other: Vec<u32> = (1..101).collect();
        assert_eq!(diff(json!(many), json!(other)).len(), FIELDS_MAX);
        let found = diff(json!({"a": "ä".repeat(500)}), json!({"a": ""}));
        assert_eq!(found[0].1.chars().count(), VALUE_CHARS_MAX + 1);
    }
}
