//! Signatures: Standard Webhooks (standardwebhooks.com, version 1) and Obot's.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::secret::SecretText;

/// Names the message; the same in question and answer.
pub(super) const ID: &str = "webhook-id";
/// When it was signed, Unix seconds.
pub(super) const TIMESTAMP: &str = "webhook-timestamp";
/// One or more signatures, each with its version, parted by blanks.
pub(super) const SIGNATURE: &str = "webhook-signature";
/// Obot's one signature.
pub(super) const OBOT: &str = "x-obot-signature-256";

/// How far the two clocks may be apart, seconds.
const TOLERANCE_S: i64 = 300;
/// What the symmetric signature of version 1 begins with.
const VERSION: &str = "v1,";
/// What secrets of the format begin with; then comes the key in base64.
const SECRET_PREFIX: &str = "whsec_";

/// The key that a secret stands for. One without the format's prefix is the key itself.
///
/// # Errors
/// It has the prefix, and no base64 behind it.
pub(super) fn standard_key(secret: &SecretText) -> Result<hmac::Key, String> {
    let bytes = match secret.expose().strip_prefix(SECRET_PREFIX) {
        Some(text) => STANDARD.decode(text).map_err(|_| {
            format!("its secret begins with {SECRET_PREFIX} and is no base64 behind it")
        })?,
        None => secret.expose().as_bytes().to_vec(),
    };
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

/// The value of [`SIGNATURE`].
pub(super) fn standard(key: &hmac::Key, id: &str, timestamp: i64, body: &[u8]) -> String {
    let tag = hmac::sign(key, &signed(id, timestamp, body));
    format!("{VERSION}{}", STANDARD.encode(tag.as_ref()))
}

/// Whether one of the signatures is good for this id, at this time, over this body. Compared in constant time.
pub(super) fn is_standard(
    key: &hmac::Key,
    id: &str,
    timestamp: i64,
    body: &[u8],
    signatures: &str,
    now_unix_s: i64,
) -> bool {
    if (now_unix_s - timestamp).abs() > TOLERANCE_S {
        return false;
    }
    let content = signed(id, timestamp, body);
    signatures
        .split(' ')
        .filter_map(|signature| STANDARD.decode(signature.strip_prefix(VERSION)?).ok())
        .any(|tag| hmac::verify(key, &content, &tag).is_ok())
}

/// The value of [`OBOT`].
pub(super) fn obot(secret: &[u8], body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    format!("sha256={}", hex::encode(hmac::sign(&key, body)))
}

fn signed(id: &str, timestamp: i64, body: &[u8]) -> Vec<u8> {
    [
        id.as_bytes(),
        b".",
        timestamp.to_string().as_bytes(),
        b".",
        body,
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    /// The example of the Standard Webhooks specification's own libraries.
    #[test]
    fn the_published_example_is_signed_as_published() {
        let secret = SecretText::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let key = standard_key(&secret).unwrap();
        let signature = standard(
            &key,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_signature_is_good_for_its_id_time_and_body_alone() {
        let key = standard_key(&SecretText::new("plain")).unwrap();
        let (now, body) = (1_790_000_000, b"{}");
        let good = standard(&key, "id", now, body);
        let rotated = format!("v1,AAAA {good} v1a,xyz");
        let is_good =
            |id, at, body: &[u8], text: &str, now| is_standard(&key, id, at, body, text, now);
        assert!(is_good("id", now, body, &good, now));
        assert!(is_good("id", now, body, &rotated, now + 300));
        assert!(!is_good("id", now, body, &good, now + 301));
        assert!(!is_good("id", now, body, &good, now - 301));
        assert!(!is_good("other", now, body, &good, now));
        assert!(!is_good("id", now + 1, body, &good, now));
        assert!(!is_good("id", now, b"{} ", &good, now));
        for bad in ["", "v1,", "v1", &good[3..], &good.replace("v1,", "v2,")] {
            assert!(!is_good("id", now, body, bad, now), "{bad:?}");
        }
        assert!(standard_key(&SecretText::new("whsec_!")).is_err());
    }

    #[test]
    fn obots_signature_is_hex_over_the_body() {
        assert_eq!(
            obot(b"key", b"The quick brown fox jumps over the lazy dog"),
            "sha256=f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"
        );
    }
}
