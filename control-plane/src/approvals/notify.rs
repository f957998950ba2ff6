//! Tells a receiver that a call waits for a person: a POST, signed after Standard Webhooks, with links by which whoever
//! gets it can decide.
//!
//! Best effort: what a receiver does not take within a few tries still waits, and `gatehouse approve` shows it. It does not
//! know what the links lead to.

use std::time::Duration;

use anyhow::{Context as _, bail};
use aws_lc_rs::hmac;
use base64::prelude::*;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use model::secret::SecretText;
use proto::v1 as pb;
use runtime::backoff::Backoff;
use runtime::drain::Drain;
use runtime::net::{ClientTls, Dialer};
use runtime::tls;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::clock;

/// Calls of which the receiver is yet to be told. When full, it is not told of more.
const QUEUE: usize = 256;
/// How often it is tried to tell it of one.
const TRIES: usize = 4;
/// How long one try may take.
const TRY: Duration = Duration::from_secs(5);
/// First and longest pause between tries.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// A call that waits, and what opens its page. Not shown: that is a secret.
pub(crate) struct News {
    /// The call.
    pub approval: pb::Approval,
    /// The secret of its links.
    pub token: Zeroizing<String>,
}

/// The receiver, and where its links lead.
#[derive(Debug, Clone)]
pub(crate) struct Receiver {
    uri: Uri,
    key: hmac::Key,
    /// Where approvers reach the control plane's pages, without a slash at the end.
    pages: String,
}

impl Receiver {
    /// A receiver at `url`, told with signatures under `secret`, with links to `pages`.
    ///
    /// # Errors
    /// What cannot be used, by its setting's name.
    pub(crate) fn new(url: &str, secret: &SecretText, pages: &str) -> anyhow::Result<Self> {
        let uri: Uri = url
            .parse()
            .with_context(|| format!("approvals.webhook_url {url:?} is no URL"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
            bail!("approvals.webhook_url {url:?} must be http(s)://HOST[:PORT]/PATH");
        }
        if pages.is_empty() {
            bail!(
                "approvals.webhook_url is set: set web.public_url to where approvers reach web.listen"
            );
        }
        Ok(Self {
            uri,
            key: key(secret)?,
            pages: pages.trim_end_matches('/').to_owned(),
        })
    }

    /// Starts telling it, in a task that ends with `drain`.
    ///
    /// # Errors
    /// Where the system has no roots to trust.
    pub(crate) fn start(self, drain: &Drain) -> anyhow::Result<mpsc::Sender<News>> {
        let client = self.client()?;
        // From whoever puts a call before people; this task alone takes.
        let (tell, mut told) = mpsc::channel::<News>(QUEUE);
        let draining = drain.clone();
        drain.spawn("tell of approvals", async move {
            let telling = async {
                while let Some(news) = told.recv().await {
                    self.tell(&client, &news).await;
                }
            };
            tokio::select! {
                () = draining.signaled() => {}
                () = telling => {}
            }
        });
        Ok(tell)
    }

    fn client(&self) -> anyhow::Result<Client<Dialer, Full<Bytes>>> {
        let is_tls = self.uri.scheme_str() == Some("https");
        let host = self.uri.host().unwrap_or_default();
        let port = self.uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let tls = match is_tls {
            false => None,
            true => Some(ClientTls {
                config: tls::web_client_config(None, &[tls::HTTP1])?,
                server_name: host.to_owned().try_into()?,
            }),
        };
        let dialer = Dialer::new(&format!("{host}:{port}"), tls);
        Ok(Client::builder(TokioExecutor::new())
            .set_host(false)
            .build(dialer))
    }

    async fn tell(&self, client: &Client<Dialer, Full<Bytes>>, news: &News) {
        let id = &news.approval.id;
        let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
        for _ in 0..TRIES {
            match self.try_to_tell(client, news).await {
                Ok(()) => return,
                Err(error) => {
                    tracing::warn!(
                        id,
                        error = format!("{error:#}"),
                        "the receiver of approvals was not told"
                    );
                }
            }
            tokio::time::sleep(backoff.pause()).await;
        }
        tracing::error!(
            id,
            "the receiver of approvals is not told of a call: gatehouse approve shows it"
        );
    }

    async fn try_to_tell(
        &self,
        client: &Client<Dialer, Full<Bytes>>,
        news: &News,
    ) -> anyhow::Result<()> {
        let body = self.body(news).to_string();
        let timestamp = clock::now_ms() / 1000;
        let signature = sign(&self.key, &news.approval.id, timestamp, body.as_bytes());
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = Method::POST;
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let authority = self.uri.authority().map_or("", |at| at.as_str());
        // The connector does TLS; a URI that said https would have the client insist on doing it.
        *request.uri_mut() = format!("http://{authority}{path}").parse()?;
        let headers = request.headers_mut();
        headers.insert(HOST, HeaderValue::from_str(authority)?);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert("webhook-id", HeaderValue::from_str(&news.approval.id)?);
        headers.insert("webhook-timestamp", timestamp.into());
        headers.insert("webhook-signature", HeaderValue::from_str(&signature)?);
        let response = timeout(TRY, client.request(request)).await??;
        if response.status().is_success() {
            return Ok(());
        }
        bail!("it answers {}", response.status())
    }

    fn body(&self, news: &News) -> Value {
        let approval = &news.approval;
        let arguments = serde_json::from_str(&approval.arguments);
        let page = format!(
            "{}/approvals/{}?token={}",
            self.pages, approval.id, *news.token
        );
        json!({
            "version": 1,
            "type": "approval.requested",
            "id": approval.id,
            "principal": {"user": approval.user, "groups": approval.groups, "client": approval.client},
            "server": approval.server,
            "method": approval.method,
            "name": approval.name,
            "arguments": arguments.unwrap_or_else(|_| Value::from(approval.arguments.as_str())),
            "shortened": approval.shortened,
            "rule": approval.rule,
            "approvers": approval.approvers,
            "expires_unix_ms": approval.expires_unix_ms,
            "links": {"approve": format!("{page}&decision=grant"), "refuse": format!("{page}&decision=refuse")},
        })
    }
}

/// The key that a secret stands for: base64 behind `whsec_`, else the secret itself.
fn key(secret: &SecretText) -> anyhow::Result<hmac::Key> {
    let bytes = match secret.expose().strip_prefix("whsec_") {
        Some(text) => BASE64_STANDARD
            .decode(text)
            .context("approvals.webhook_secret_file: what is behind whsec_ is no base64")?,
        None => secret.expose().as_bytes().to_vec(),
    };
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

/// The signature of Standard Webhooks, version 1.
fn sign(key: &hmac::Key, id: &str, timestamp: i64, body: &[u8]) -> String {
    let content = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
    format!("v1,{}", BASE64_STANDARD.encode(hmac::sign(key, &content)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn it_is_signed_as_the_standard_has_it() {
        // The example of standardwebhooks.com.
        let secret = SecretText::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signature = sign(
            &key(&secret).unwrap(),
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let secret = SecretText::new("s");
        for (url, pages) in [
            ("x", "https://cp"),
            ("ftp://h/x", "https://cp"),
            ("http://h/x", ""),
        ] {
            assert!(Receiver::new(url, &secret, pages).is_err(), "{url} {pages}");
        }
        assert!(Receiver::new("https://h/x", &SecretText::new("whsec_!"), "https://cp").is_err());
    }
}
