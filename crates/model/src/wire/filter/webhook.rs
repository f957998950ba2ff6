//! Receivers of webhooks.

use std::time::Duration;

use proto::v1 as pb;

use super::{Faults, secret_name};
use crate::fault::{BAD_VALUE, MISSING};
use crate::filter::{Format, Webhook};
use crate::url::HttpUrl;

/// How long a receiver may take, unless it is said.
const TIMEOUT: Duration = Duration::from_millis(500);
/// Longest that it may be given: all filters of a message together have no more.
const TIMEOUT_MAX: Duration = Duration::from_secs(10);

pub(super) fn convert(hook: &pb::WebhookFilter, faults: &mut Faults) -> Option<Webhook> {
    let url = match hook.url.as_str() {
        "" => {
            faults.push("spec.webhook.url", MISSING, "is missing");
            None
        }
        text => HttpUrl::parse(text)
            .map_err(|error| {
                let message = format!("{text:?} is no URL that can be called: {error}");
                faults.push("spec.webhook.url", BAD_VALUE, message);
            })
            .ok(),
    };
    let secret = match hook.secret_name.as_str() {
        "" => {
            let message = "is missing: what a receiver is asked is signed";
            faults.push("spec.webhook.secretName", MISSING, message);
            None
        }
        text => secret_name("spec.webhook.secretName", text, faults),
    };
    let timeout = match Duration::from_millis(hook.timeout_ms) {
        Duration::ZERO => TIMEOUT,
        given => given,
    };
    if timeout > TIMEOUT_MAX {
        let message = format!("more than {} s is not taken", TIMEOUT_MAX.as_secs());
        faults.push("spec.webhook.timeout", BAD_VALUE, message);
    }
    let format = match hook.format.as_str() {
        "" | "standard" => Some(Format::Standard),
        "obot" => Some(Format::Obot),
        other => {
            let message = format!("{other:?} is not one of standard, obot");
            faults.push("spec.webhook.format", BAD_VALUE, message);
            None
        }
    };
    if hook.signed_answer && format == Some(Format::Obot) {
        let message = "Obot's form has no signed answers";
        faults.push("spec.webhook.signedAnswer", BAD_VALUE, message);
    }
    Some(Webhook {
        url: url?,
        secret: secret?,
        timeout,
        format: format?,
        signed_answer: hook.signed_answer,
    })
}
