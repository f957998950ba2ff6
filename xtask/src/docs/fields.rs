//! The table of all fields that users may write, built into the command line for `gatehouse explain FIELD`: the same
//! as the pages of the reference say, from the same source.

use serde_json::{Value, json};

use super::kind::{Absent, Reference, Row};

/// Where it lies.
pub(super) const PATH: &str = "cli/src/explain/fields.json";

const MADE_BY: &str =
    "Made by `cargo run -p xtask -- docs`; edits belong into the comments it is made from.";

/// The table: one field a line, each before those in it, so that a change shows as a line.
pub(super) fn table(kinds: &[Reference]) -> String {
    let mut lines = Vec::new();
    for kind in kinds {
        let of = |path: &str, meaning: &str| json!({"path": path, "type": "a mapping", "meaning": meaning, "required": true});
        lines.push(of(kind.kind, &kind.intro));
        let parts = model::yaml::describe(kind.kind).unwrap_or_default();
        for part in parts {
            let path = format!("{}.{}", kind.kind, part.name);
            lines.push(
                json!({"path": path, "type": part.shape, "meaning": part.doc, "required": true}),
            );
            let below = format!("{path}.");
            let rows = kind.rows().filter(|row| row.path.starts_with(&below));
            lines.extend(rows.map(entry));
        }
    }
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    format!(
        "{{\"made\": {}, \"fields\": [\n{}\n]}}\n",
        Value::from(MADE_BY),
        lines.join(",\n")
    )
}

fn entry(row: &Row) -> Value {
    let mut entry = json!({"path": row.path, "type": row.shape, "meaning": row.doc});
    match &row.absent {
        Absent::Required => entry["required"] = json!(true),
        Absent::OneOf(which) => entry["one_of"] = json!(which),
        Absent::Default(value) => entry["default"] = json!(value),
        Absent::Nothing => {}
    }
    if !row.supported {
        entry["later"] = json!(true);
    }
    let any = row.words.iter().any(|(_, accepted)| *accepted);
    let value = |(word, accepted): &(super::contract::Word, bool)| {
        let mut value = json!({"value": word.word});
        if !word.comment.is_empty() {
            value["meaning"] = json!(word.comment);
        }
        if any && !accepted {
            value["later"] = json!(true);
        }
        value
    };
    if !row.words.is_empty() {
        entry["values"] = row.words.iter().map(value).collect();
    }
    if let Some(example) = &row.example {
        // Of a list of mappings the first is shown.
        let list = json!([example]);
        let is_first = example.is_object() && row.shape.starts_with("a list");
        let example = if is_first { &list } else { example };
        entry["example"] = json!(format!("{}: {}", row.name, flow(example)));
    }
    entry
}

/// A value as YAML on one line.
fn flow(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| format!("{name}: {}", flow(value));
            let fields: Vec<String> = fields.iter().map(field).collect();
            format!("{{{}}}", fields.join(", "))
        }
        other => other.to_string(),
    }
}

/// Whether text needs no quotes: a word that YAML reads as text wherever it stands.
fn is_plain(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let letters = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_./@".contains(c));
    let meant = ["true", "false", "null", "yes", "no", "on", "off"];
    begins && letters && !meant.contains(&text.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on should end")]

    use super::super::contract::Contract;
    use super::*;

    #[test]
    fn every_field_has_a_line_after_the_one_around_it() {
        let contract = Contract::load(proto::DESCRIPTOR).unwrap();
        let kinds = [Reference::read(model::wire::SERVER, &contract).unwrap()];
        let table: Value = serde_json::from_str(&table(&kinds)).unwrap();
        let fields = table["fields"].as_array().unwrap();
        let at = |path: &str| fields.iter().position(|field| field["path"] == path);
        assert!(at("Server.spec.runtime") < at("Server.spec.runtime.npx.version"));
        let version = &fields[at("Server.spec.runtime.npx.version").unwrap()];
        assert_eq!(version["required"], true);
        assert_eq!(version["example"], "version: \"2026.8.31\"");
        let tenancy = &fields[at("Server.spec.tenancy").unwrap()];
        assert_eq!(tenancy["values"][0]["value"], "shared");
        assert_eq!(tenancy["default"], "shared");
        assert_eq!(fields[at("Server.spec.egress").unwrap()]["later"], true);
    }

    #[test]
    fn examples_are_yaml_on_one_line() {
        let value = json!({"package": "@a/b", "version": "1.0", "args": ["stdio", "--x"], "n": 1});
        assert_eq!(
            flow(&value),
            "{args: [stdio, \"--x\"], n: 1, package: \"@a/b\", version: \"1.0\"}"
        );
        assert_eq!(flow(&json!("off")), "\"off\"");
    }
}
