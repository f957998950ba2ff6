//! What an apply or a delete did, as programs read it.

use proto::v1::{ApplyResponse, Change, FieldChange, ResourceKey};
use serde::Serialize;
use serde_json::Value;

use crate::rollout::Outcome;

/// The answer as programs read it.
#[derive(Debug, Serialize)]
pub(super) struct View<'a> {
    revision: u64,
    changes: Vec<ChangeView<'a>>,
    warnings: Vec<WarningView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rollout: Option<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replay: Option<Value>,
}

/// What happened to one resource, as programs read it.
#[derive(Debug, Serialize)]
pub(crate) struct ChangeView<'a> {
    kind: &'a str,
    name: &'a str,
    action: &'a str,
    fields: Vec<FieldView<'a>>,
}

#[derive(Debug, Serialize)]
struct FieldView<'a> {
    path: &'a str,
    before: &'a str,
    after: &'a str,
}

#[derive(Debug, Serialize)]
struct WarningView<'a> {
    kind: &'a str,
    name: &'a str,
    path: &'a str,
    code: &'a str,
    message: &'a str,
}

fn key(key: Option<&ResourceKey>) -> (&str, &str) {
    key.map_or(("", ""), |key| (key.kind.as_str(), key.name.as_str()))
}

impl<'a> ChangeView<'a> {
    pub(crate) fn of(change: &'a Change) -> Self {
        let (kind, name) = key(change.key.as_ref());
        let field = |f: &'a FieldChange| FieldView {
            path: &f.path,
            before: &f.before,
            after: &f.after,
        };
        Self {
            kind,
            name,
            action: &change.action,
            fields: change.fields.iter().map(field).collect(),
        }
    }
}

impl<'a> View<'a> {
    pub(super) fn of(answer: &'a ApplyResponse, rollout: Option<Outcome>) -> Self {
        let changes = answer.changes.iter().map(ChangeView::of);
        let warnings = answer.warnings.iter().map(|warning| {
            let (kind, name) = key(warning.key.as_ref());
            WarningView {
                kind,
                name,
                path: &warning.path,
                code: &warning.code,
                message: &warning.message,
            }
        });
        Self {
            revision: answer.revision,
            changes: changes.collect(),
            warnings: warnings.collect(),
            rollout,
            replay: None,
        }
    }

    /// The same, with what a replay found.
    pub(super) fn with(self, replay: Value) -> Self {
        Self {
            replay: Some(replay),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_read_every_change() {
        let key = ResourceKey {
            kind: "Filter".to_owned(),
            name: "x".to_owned(),
        };
        let answer = ApplyResponse {
            revision: 3,
            changes: vec![Change {
                key: Some(key),
                action: "created".to_owned(),
                fields: Vec::new(),
            }],
            warnings: Vec::new(),
        };
        let view = serde_json::to_value(View::of(&answer, None)).unwrap_or_default();
        assert_eq!(
            view,
            serde_json::json!({"revision": 3, "warnings": [],
                "changes": [{"kind": "Filter", "name": "x", "action": "created", "fields": []}]})
        );
    }
}
