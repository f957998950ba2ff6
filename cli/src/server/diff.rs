//! What differs between two definitions of a tool, field by field. What they hold comes from a server that may be hostile:
//! it is shown with all that hides or moves the cursor spelt out.

use std::collections::BTreeMap;

use model::text::spelt;
use serde_json::Value;

use crate::show::Meaning;

/// Lines for people: `-` what was, `+` what is.
pub(super) fn lines(old: Option<&[u8]>, new: &[u8]) -> Vec<(Meaning, String)> {
    let Some(now) = fields(new) else {
        let line = "  the definition is too long to be kept: ask the server itself for it";
        return vec![(Meaning::Look, line.to_owned())];
    };
    let was = match old {
        None => Some(BTreeMap::new()),
        Some(old) => fields(old),
    };
    let mut lines = Vec::new();
    if was.is_none() {
        let line = "  what was approved is too long to be kept: all of what is there now is shown";
        lines.push((Meaning::Look, line.to_owned()));
    }
    let was = was.unwrap_or_default();
    let mut paths: Vec<&String> = was.keys().chain(now.keys()).collect();
    paths.sort();
    paths.dedup();
    for path in paths {
        let (before, after) = (was.get(path), now.get(path));
        if before == after {
            continue;
        }
        let line = |sign: char, text: &String| format!("  {sign} {path}: {text}");
        lines.extend(before.map(|text| (Meaning::Act, line('-', text))));
        lines.extend(after.map(|text| (Meaning::Good, line('+', text))));
    }
    lines
}

/// Every value that is no container, by its path.
fn fields(definition: &[u8]) -> Option<BTreeMap<String, String>> {
    let value: Value = serde_json::from_slice(definition).ok()?;
    let mut fields = BTreeMap::new();
    collect(&value, String::new(), &mut fields);
    Some(fields)
}

fn collect(value: &Value, path: String, fields: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (key, value) in members {
                let key = spelt(key);
                let path = if path.is_empty() {
                    key
                } else {
                    format!("{path}.{key}")
                };
                collect(value, path, fields);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (n, item) in items.iter().enumerate() {
                collect(item, format!("{path}[{n}]"), fields);
            }
        }
        Value::String(text) => drop(fields.insert(path, spelt(text))),
        other => drop(fields.insert(path, other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(old: Option<&str>, new: &str) -> Vec<String> {
        let lines = lines(old.map(str::as_bytes), new.as_bytes());
        lines.into_iter().map(|(_, line)| line).collect()
    }

    #[test]
    fn only_what_differs_is_shown() {
        let old = r#"{"name":"a","description":"adds","inputSchema":{"required":["x"]}}"#;
        let new = r#"{"name":"a","description":"subtracts","inputSchema":{"required":["x","y"]}}"#;
        assert_eq!(
            texts(Some(old), new),
            [
                "  - description: adds",
                "  + description: subtracts",
                "  + inputSchema.required[1]: y"
            ]
        );
        assert!(texts(Some(old), old).is_empty());
        assert_eq!(
            texts(None, r#"{"name":"a","x":{}}"#),
            ["  + name: a", "  + x: {}"]
        );
    }

    #[test]
    fn nothing_can_hide() {
        let new = "{\"description\":\"a\u{e0041}\u{202e}b\\u001b[2J\"}";
        assert_eq!(
            texts(None, new),
            ["  + description: a\\u{e0041}\\u{202e}b\\u{1b}[2J"]
        );
    }

    #[test]
    fn what_is_not_kept_is_said() {
        assert_eq!(texts(None, "").len(), 1);
        assert_eq!(texts(Some(""), r#"{"name":"a"}"#).len(), 2);
    }
}
