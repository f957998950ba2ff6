//! What an apply or a delete did, as programs read it.

use proto::v1::ApplyResponse;
use serde::Serialize;

use crate::rollout::Outcome;

/// The answer as programs read it.
#[derive(Debug, Serialize)]
pub(super) struct View<'a> {
    revision: u64,
    changes: Vec<ChangeView<'a>>,
    warnings: Vec<WarningView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rollout: Option<Outcome>,
}

#[derive(Debug, Serialize)]
struct ChangeView<'a> {
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

impl<'a> View<'a> {
    pub(super) fn of(answer: &'a ApplyResponse, rollout: Option<Outcome>) -> Self {
        let key = |key: &'a Option<proto::v1::ResourceKey>| {
            key.as_ref()
                .map_or(("", ""), |key| (key.kind.as_str(), key.name.as_str()))
        };
        let changes = answer.changes.iter().map(|change| {
            let (kind, name) = key(&change.key);
            let fields = change
                .fields
                .iter()
                .map(|f| FieldView {
                    path: &f.path,
                    before: &f.before,
                    after: &f.after,
                })
                .collect();
            ChangeView {
                kind,
                name,
                action: &change.action,
                fields,
            }
        });
        let warnings = answer.warnings.iter().map(|warning| {
            let (kind, name) = key(&warning.key);
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::v1::{Change, ResourceKey};

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
