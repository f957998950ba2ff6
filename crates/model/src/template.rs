//! URL templates: `https://${REGION}.example.com/mcp`.
//!
//! What is filled in stays within its place: in the host it may only be what a host name is made of, in the path
//! nothing that leads elsewhere, and what is not plain is encoded.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The keys of a template's places, in order.
///
/// # Errors
/// What is wrong with the template.
pub fn keys(template: &str) -> Result<Vec<&str>, String> {
    let mut keys = Vec::new();
    parts(template, &mut |part| {
        if let Part::Place(key) = part {
            keys.push(key);
        }
        Ok(())
    })?;
    Ok(keys)
}

/// The template with its places filled.
///
/// # Errors
/// What is wrong with the template, or a place that has no value or one that does not fit; never the value itself.
pub fn fill<'v>(
    template: &str,
    value: impl Fn(&str) -> Option<Cow<'v, str>>,
) -> Result<String, String> {
    let mut url = String::with_capacity(template.len() + 64);
    parts(template, &mut |part| {
        match part {
            Part::Text(text) => url.push_str(text),
            Part::Place(key) => {
                let value = value(key).ok_or_else(|| format!("${{{key}}} has no value"))?;
                let in_host = is_in_host(&url);
                push(&mut url, key, &value, in_host)?;
            }
        }
        Ok(())
    })?;
    Ok(url)
}

enum Part<'t> {
    Text(&'t str),
    Place(&'t str),
}

fn parts<'t>(
    template: &'t str,
    take: &mut impl FnMut(Part<'t>) -> Result<(), String>,
) -> Result<(), String> {
    let mut rest = template;
    while let Some(at) = rest.find("${") {
        take(Part::Text(&rest[..at]))?;
        let (key, after) = rest[at + 2..]
            .split_once('}')
            .ok_or_else(|| "a ${ is not closed by }".to_owned())?;
        take(Part::Place(key))?;
        rest = after;
    }
    take(Part::Text(rest))
}

/// Whether what comes next stands before the path.
fn is_in_host(url: &str) -> bool {
    match url.split_once("://") {
        Some((_, rest)) => !rest.contains(['/', '?']),
        None => true,
    }
}

fn push(url: &mut String, key: &str, value: &str, in_host: bool) -> Result<(), String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~');
    if value.is_empty() {
        return Err(format!("the value of ${{{key}}} is empty"));
    }
    if in_host {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
        if !value.bytes().all(fits) {
            return Err(format!("the value of ${{{key}}} is no part of a host name"));
        }
        url.push_str(value);
        return Ok(());
    }
    let leads_elsewhere = value.contains(['/', '\\']) || value.contains("..");
    if !url.contains('?') && leads_elsewhere {
        return Err(format!(
            "the value of ${{{key}}} leads out of its place in the path"
        ));
    }
    for byte in value.bytes() {
        if plain(byte) {
            url.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(url, "%{byte:02X}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn filled(template: &str, value: &str) -> Result<String, String> {
        fill(template, |key| {
            (key == "K").then(|| value.to_owned().into())
        })
    }

    #[test]
    fn values_stay_in_their_places() {
        assert_eq!(keys("https://${A}.x/${B}?c=${A}").unwrap(), ["A", "B", "A"]);
        let of = |template, value| filled(template, value).unwrap();
        assert_eq!(
            of("https://${K}.example.com/", "eu-1"),
            "https://eu-1.example.com/"
        );
        assert_eq!(of("https://x/${K}/b", "a b?c"), "https://x/a%20b%3Fc/b");
        for bad in ["..", "../admin", "a/b", "a\\b"] {
            assert!(filled("https://x/${K}/b", bad).is_err(), "{bad:?}");
        }
        assert_eq!(
            of("https://x/?a=${K}", "1&b=2\r\n"),
            "https://x/?a=1%26b%3D2%0D%0A"
        );
        for bad in ["evil.test/", "a@b", "a:1", "", "a b", "[::1]"] {
            assert!(filled("https://${K}.example.com/", bad).is_err(), "{bad:?}");
        }
        assert!(filled("https://${OTHER}/", "x").is_err());
        assert!(filled("https://${K/", "x").is_err());
    }
}
