//! The kinds of filters: each is compiled by its own module.

use model::fault::{BAD_VALUE, DANGLING, TOO_MUCH};
use model::filter::{Filter, Kind};
use model::snapshot::{ResourceKey, Snapshot};
use model::wire::FILTER;

use super::finding::Look;
use super::hidden::Hidden;
use super::injection::Injection;
use super::keywords::Keywords;
use super::pii::Pii;
use super::regex::Regex;
use super::schema::ToolSchemas;
use super::size::Size;
use super::webhook::Hook;
use crate::compile::Fault;

/// How a filter looks at a message.
#[derive(Debug)]
pub(super) enum Looks {
    Itself(Box<dyn Look>),
    /// Somebody has to be asked.
    Asked(Hook),
}

/// A filter, ready to look.
pub(super) fn compile(filter: &Filter, snapshot: &Snapshot) -> Result<Looks, Box<Fault>> {
    let fault = |path: &str, code, message: String| {
        Box::new(Fault {
            resource: ResourceKey::new(FILTER, filter.name.as_str()),
            path: path.to_owned(),
            code,
            message,
            fix: None,
        })
    };
    match &filter.kind {
        Kind::Hidden(spec) => itself(Hidden::compile(spec)),
        Kind::Injection(spec) => Injection::compile(spec)
            .map_err(|error| fault("spec.injection", BAD_VALUE, error))
            .and_then(itself),
        Kind::Keywords { words, fold } => Keywords::compile(words, *fold)
            .map_err(|error| fault("spec.keywords.words", TOO_MUCH, error.to_string()))
            .and_then(itself),
        Kind::Pii(spec) => Pii::compile(spec, snapshot)
            .map_err(|error| fault("spec.pii.secretName", DANGLING, error))
            .and_then(itself),
        Kind::Regex(spec) => Regex::compile(spec)
            .map_err(|(path, error)| fault(&path, BAD_VALUE, error))
            .and_then(itself),
        Kind::Schema => itself(ToolSchemas),
        Kind::Size(spec) => itself(Size::compile(spec)),
        Kind::Webhook(webhook) => Hook::compile(webhook, snapshot)
            .map(Looks::Asked)
            .map_err(|missing| fault("spec.webhook.secretName", DANGLING, missing)),
    }
}

fn itself(look: impl Look + 'static) -> Result<Looks, Box<Fault>> {
    Ok(Looks::Itself(Box::new(look)))
}
