//! Pages for people: one for each call that waits for a person, opened by a link that whoever is asked was sent.
//!
//! A GET shows and changes nothing; mail programs and chats open links by themselves. The link's token is all that opens a
//! page; where the call's rule names approvers, deciding takes an approver's API key besides. Plain HTTP, on loopback or
//! behind a proxy that does TLS. It does not know where approvals are kept.

mod page;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use runtime::drain::Drain;
use runtime::net;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::approvals::{Approvals, Decider, Error};
use crate::catalog::Catalog;
use crate::clock;
use crate::keys;
use crate::settings::Web;

/// Longest wait for a form.
const FORM: Duration = Duration::from_secs(10);
/// Largest form, bytes.
const FORM_BYTES_MAX: usize = 16 * 1024;
/// What pages are under.
const PATH: &str = "/approvals/";

/// What pages are made from.
#[derive(Debug, Clone)]
pub(crate) struct Pages {
    /// What waits.
    pub approvals: Arc<Approvals>,
    /// Whose API keys these are.
    pub catalog: Arc<Catalog>,
}

/// Serves pages where `settings` want them, until `drain` starts.
///
/// # Errors
/// Where the address cannot be used.
pub(crate) async fn serve(settings: &Web, pages: Pages, drain: &Drain) -> anyhow::Result<()> {
    if settings.listen.is_empty() {
        return Ok(());
    }
    let listener = net::listen(&settings.listen, "web.listen").await?;
    let address: SocketAddr = listener.local_addr()?;
    if !net::is_loopback(&address) && !settings.behind_tls_proxy {
        bail!(
            "web.listen {address} is not a loopback address: set web.behind_tls_proxy where a proxy in front does TLS"
        );
    }
    tracing::info!(%address, "pages for approvers");
    net::serve_pages(listener, "pages", drain, move |request| {
        let pages = pages.clone();
        async move { pages.answer(request).await }
    });
    Ok(())
}

/// What a form says. Not shown: it holds secrets.
#[derive(Default)]
struct Form {
    token: Zeroizing<String>,
    decision: String,
    comment: String,
    key: Zeroizing<String>,
}

impl Form {
    fn read(text: &str) -> Self {
        let mut form = Self::default();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            let value = value.into_owned();
            match &*name {
                "token" => form.token = Zeroizing::new(value),
                "decision" => form.decision = value,
                "comment" => form.comment = value,
                "key" => form.key = Zeroizing::new(value),
                _ => {}
            }
        }
        form
    }
}

/// `application/x-www-form-urlencoded`; what is no UTF-8 is replaced.
impl Pages {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let Some(id) = parts.uri.path().strip_prefix(PATH) else {
            return html(StatusCode::NOT_FOUND, page::nothing());
        };
        match parts.method {
            Method::GET => {
                let asked = Form::read(parts.uri.query().unwrap_or_default());
                self.show(id, &asked).await
            }
            Method::POST => {
                let read = Limited::new(body, FORM_BYTES_MAX).collect();
                let Ok(Ok(form)) = timeout(FORM, read).await else {
                    return html(StatusCode::BAD_REQUEST, page::nothing());
                };
                let form = String::from_utf8_lossy(&form.to_bytes()).into_owned();
                self.decide(id, &Form::read(&form)).await
            }
            _ => html(StatusCode::METHOD_NOT_ALLOWED, page::nothing()),
        }
    }

    async fn show(&self, id: &str, asked: &Form) -> Response<Full<Bytes>> {
        match self.approvals.look_by_link(id, &asked.token).await {
            Ok((approval, needs_key)) => {
                let form = page::form(&approval, &asked.token, &asked.decision, needs_key);
                html(StatusCode::OK, form)
            }
            Err(error) => refused(&error),
        }
    }

    async fn decide(&self, id: &str, form: &Form) -> Response<Full<Bytes>> {
        let decider = if form.key.is_empty() {
            Decider::Link
        } else {
            let state = self.catalog.state();
            match keys::find(&state, form.key.trim(), clock::now_ms()) {
                Some(key) => Decider::of_key(key, state.snapshot()),
                None => {
                    let text = page::message("This API key is not one of this installation's.");
                    return html(StatusCode::FORBIDDEN, text);
                }
            }
        };
        let grant = match form.decision.as_str() {
            "grant" => true,
            "refuse" => false,
            _ => return html(StatusCode::BAD_REQUEST, page::nothing()),
        };
        let decided = self
            .approvals
            .decide_by_link(&decider, id, &form.token, grant, &form.comment)
            .await;
        match decided {
            Ok(approval) => html(StatusCode::OK, page::decided(&approval)),
            Err(error) => refused(&error),
        }
    }
}

/// A bad link and one to nothing are answered alike.
fn refused(error: &Error) -> Response<Full<Bytes>> {
    match error {
        Error::Unknown(_) => html(StatusCode::NOT_FOUND, page::nothing()),
        Error::Store(error) => {
            tracing::warn!(%error, "a page cannot be shown");
            let text = page::message("Not now: try again in a moment.");
            html(StatusCode::SERVICE_UNAVAILABLE, text)
        }
        error => html(StatusCode::FORBIDDEN, page::message(&error.to_string())),
    }
}

fn html(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        // The link is a secret: no other page is to learn it.
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_as_browsers_write_them() {
        let form = Form::read("token=a-b_c&decision=grant&comment=go+on%21+%C3%A9&x=1&key=");
        assert_eq!(
            (
                form.token.as_str(),
                form.decision.as_str(),
                form.comment.as_str()
            ),
            ("a-b_c", "grant", "go on! é")
        );
        for odd in ["%", "%2", "%zz", "a=%ff", "&&=", "token"] {
            Form::read(odd);
        }
    }
}
