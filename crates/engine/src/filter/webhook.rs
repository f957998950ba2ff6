//! Receivers that are asked: where they are and how they are signed to. The asking is the data plane's.

use std::time::Duration;

use model::filter::{Format, Webhook};
use model::secret::SecretText;
use model::snapshot::Snapshot;
use model::url::HttpUrl;

/// A receiver, with all that is needed to ask it.
#[derive(Debug, Clone)]
pub struct Hook {
    /// Where it listens.
    pub url: HttpUrl,
    /// The secret that signs.
    pub key: SecretText,
    /// How long it may take.
    pub timeout: Duration,
    /// What is spoken with it.
    pub format: Format,
    /// Whether only a signed answer counts.
    pub signed_answer: bool,
}

impl Hook {
    /// # Errors
    /// Its secret is not there.
    pub(super) fn compile(webhook: &Webhook, snapshot: &Snapshot) -> Result<Self, String> {
        let secret = snapshot.secrets.get(webhook.secret.as_str());
        let secret =
            secret.ok_or_else(|| format!("no secret is named {:?}", webhook.secret.as_str()))?;
        Ok(Self {
            url: webhook.url.clone(),
            key: secret.value.clone(),
            timeout: webhook.timeout,
            format: webhook.format,
            signed_answer: webhook.signed_answer,
        })
    }
}
