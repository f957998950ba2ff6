//! Who calls: the API key in `Authorization: Bearer`, and nothing else.
//!
//! No credential and a bad one get the same answer, before anything is looked up that could tell a stranger
//! which servers there are (CONTRACT section 4).

use std::sync::Arc;

use dataplane::config::live::Config;
use dataplane::door;
use dataplane::refusal::Refused;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use model::name::ServerName;
use model::principal::Principal;
use runtime::clock::now_unix_ms;

/// The principal of a request to `server`. `public_url` is where clients reach this edge.
///
/// # Errors
/// 401 with a challenge that names the server's metadata (RFC 9728, section 5.1).
pub fn principal(
    config: &Config,
    headers: &HeaderMap,
    server: &ServerName,
    public_url: &str,
) -> Result<Arc<Principal>, Refused> {
    let key = bearer(headers).and_then(|text| config.keys.find(text));
    match key {
        Some(key) if key.is_good(server, now_unix_ms()) => Ok(key.principal.clone()),
        _ => Err(Refused::unauthorized(challenge(server, public_url))),
    }
}

/// The one bearer credential of the request; two are as bad as none, as two readers may pick different ones.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let (scheme, credential) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(credential.trim_start_matches(' '))
}

fn challenge(server: &ServerName, public_url: &str) -> String {
    let path = door::path(server);
    format!("Bearer resource_metadata=\"{public_url}/.well-known/oauth-protected-resource{path}\"")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn exactly_one_bearer_credential_counts() {
        let of = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, value.parse().unwrap());
            }
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(of(&["Bearer gh_x"]).unwrap(), "gh_x");
        assert_eq!(of(&["bearer  gh_x"]).unwrap(), "gh_x");
        for none in [
            &[][..],
            &["gh_x"],
            &["Basic gh_x"],
            &["Bearer gh_x", "Bearer gh_y"],
        ] {
            assert!(of(none).is_none(), "{none:?}");
        }
    }
}
