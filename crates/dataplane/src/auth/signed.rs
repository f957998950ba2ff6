//! What edges say to sidecars, signed: `base64url(JSON) "." base64url(signature)`, with the edge's own node key.
//!
//! The signature is checked against the certificate of the very connection that it came on, so it is worth nothing to
//! anybody else. What is said, and for how long it is good, is for [`super::statement`], [`super::task`] and
//! [`crate::approval::statement`] to say.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::name::ServerName;
use model::record::CallId;
use runtime::tls::NodeKey;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::statement::Error;
use crate::deliver::PeerIdentity;

/// How long what is said of one call is good, in seconds: a call may wait for a sidecar that is being started.
pub(crate) const CALL_LIFETIME_S: i64 = 90;
/// How far the two clocks may be apart, in seconds.
pub(crate) const SKEW_S: i64 = 30;

/// Signs claims.
pub(crate) fn sign(key: &NodeKey, claims: &impl Serialize) -> Result<String, Error> {
    let json = serde_json::to_vec(claims).map_err(|_| Error::Malformed)?;
    let body = URL_SAFE_NO_PAD.encode(json);
    let signature = key.sign(body.as_bytes()).map_err(|_| Error::Signature)?;
    Ok(format!("{body}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// What `peer` has signed; no more than `bytes_max` are looked at.
pub(crate) fn open<C: DeserializeOwned>(
    peer: &PeerIdentity,
    text: &str,
    bytes_max: usize,
) -> Result<C, Error> {
    if text.len() > bytes_max {
        return Err(Error::Malformed);
    }
    let (body, signature) = text.split_once('.').ok_or(Error::Malformed)?;
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| Error::Malformed);
    if !runtime::tls::verify(&peer.public_key, body.as_bytes(), &decode(signature)?) {
        return Err(Error::Signature);
    }
    serde_json::from_slice(&decode(body)?).map_err(|_| Error::Malformed)
}

/// Which call claims are about, who makes them, and when: part of what is said of one call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OfCall<'a> {
    pub(crate) call: &'a str,
    pub(crate) server: &'a str,
    pub(crate) edge: &'a str,
    /// Unix seconds.
    pub(crate) iat: i64,
}

impl OfCall<'_> {
    /// Whether they are about the call `id` of `server`, by the edge `node`, and of now.
    pub(crate) fn check(
        &self,
        node: &str,
        (server, id): (&ServerName, CallId),
        now_unix_s: i64,
    ) -> Result<(), Error> {
        if self.edge != node || CallId::parse(self.call) != Some(id) {
            return Err(Error::Signature);
        }
        if self.server != server.as_str() {
            return Err(Error::Server);
        }
        if !(self.iat - SKEW_S..self.iat + CALL_LIFETIME_S).contains(&now_unix_s) {
            return Err(Error::Expired);
        }
        Ok(())
    }
}
