//! Names and versions of packages, as npm and PyPI write them.
//!
//! A version is exact or refused: what a range or a tag means today is not what it means tomorrow. A name never
//! begins with `-`, so that it is never taken for an option.

/// Longest package name, in bytes (npm's own bound; PyPI's names are shorter).
const NAME_BYTES_MAX: usize = 214;

/// Longest version, in bytes.
const VERSION_BYTES_MAX: usize = 128;

/// Whether `name` is an npm package name: `name` or `@scope/name`, lower case.
pub(super) fn is_npm_name(name: &str) -> bool {
    let part = |text: &str| {
        text.bytes()
            .next()
            .is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._~".contains(&b))
    };
    name.len() <= NAME_BYTES_MAX
        && match name.strip_prefix('@') {
            Some(scoped) => scoped
                .split_once('/')
                .is_some_and(|(scope, name)| part(scope) && part(name)),
            None => part(name),
        }
}

/// Whether `name` is a PyPI project name: letters, digits, `.`, `-` and `_`, a letter or digit first and last.
pub(super) fn is_pypi_name(name: &str) -> bool {
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    name.len() <= NAME_BYTES_MAX
        && edge(name.bytes().next())
        && edge(name.bytes().last())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
}

/// Whether `version` is one version of npm: `1.2.3` or `1.2.3-beta.1`.
pub(super) fn is_npm_version(version: &str) -> bool {
    let (core, pre) = match version.split_once('-') {
        Some((core, pre)) => (core, Some(pre)),
        None => (version, None),
    };
    let identifier = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    version.len() <= VERSION_BYTES_MAX
        && core.split('.').count() == 3
        && core.split('.').all(is_number)
        && pre.is_none_or(|pre| pre.split('.').all(identifier))
}

/// Whether `version` is one version of PyPI in its normal form (PEP 440): `1.2`, `2026.10.19`, `1.0rc1`,
/// `1.0.post2`, `1.0.dev3`, `1!2.0+local.1`.
pub(super) fn is_pypi_version(version: &str) -> bool {
    let (public, local) = match version.split_once('+') {
        Some((public, local)) => (public, Some(local)),
        None => (version, None),
    };
    let local_part =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric());
    version.len() <= VERSION_BYTES_MAX
        && is_pypi_public(public)
        && local.is_none_or(|local| local.split('.').all(local_part))
}

fn is_pypi_public(text: &str) -> bool {
    let text = match text.split_once('!') {
        Some((epoch, rest)) if is_number(epoch) => rest,
        Some(_) => return false,
        None => text,
    };
    let (text, dev) = cut_suffix(text, ".dev");
    let (text, post) = cut_suffix(text, ".post");
    let release_end = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (release, pre) = text.split_at(release_end);
    let pre_is_good = pre.is_empty()
        || ["rc", "a", "b"]
            .iter()
            .any(|tag| pre.strip_prefix(tag).is_some_and(is_number));
    dev.is_none_or(is_number)
        && post.is_none_or(is_number)
        && pre_is_good
        && release.split('.').all(is_number)
}

fn cut_suffix<'t>(text: &'t str, mark: &str) -> (&'t str, Option<&'t str>) {
    match text.split_once(mark) {
        Some((before, number)) => (before, Some(number)),
        None => (text, None),
    }
}

/// Digits without a leading zero, except for zero itself.
fn is_number(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn npm_names() {
        for good in [
            "left-pad",
            "@modelcontextprotocol/server-everything",
            "a",
            "1x",
            "a.b_c~d",
        ] {
            assert!(is_npm_name(good), "{good}");
        }
        for bad in [
            "", "-x", "--yes", "@/x", "@a", "@a/", "a/b", "@-a/b", "@a/-b", "A", "a b", "a@1",
            "../x", "http://x",
        ] {
            assert!(!is_npm_name(bad), "{bad}");
        }
    }

    #[test]
    fn npm_versions_are_exact() {
        for good in ["1.2.3", "2026.8.31", "0.0.0", "1.0.0-beta.1", "1.0.0-x-y"] {
            assert!(is_npm_version(good), "{good}");
        }
        for bad in [
            "",
            "1",
            "1.2",
            "1.2.x",
            "^1.2.3",
            "~1.2.3",
            "latest",
            ">=1.0.0",
            "1.2.3 || 2.0.0",
            "1.2.3-",
            "01.2.3",
            "1.2.3+b",
            "*",
            "v1.2.3",
            "1.2.3.4",
        ] {
            assert!(!is_npm_version(bad), "{bad}");
        }
    }

    #[test]
    fn pypi_names() {
        for good in ["mcp-server-time", "Zope.Interface", "a_b", "a"] {
            assert!(is_pypi_name(good), "{good}");
        }
        for bad in [
            "",
            "-x",
            "x-",
            "mcp[cli]",
            "a b",
            "a==1",
            "git+https://x",
            "a@b",
        ] {
            assert!(!is_pypi_name(bad), "{bad}");
        }
    }

    #[test]
    fn pypi_versions_are_exact() {
        for good in [
            "1",
            "1.2",
            "2026.10.19",
            "1.0rc1",
            "1.0a0",
            "1.0.post2",
            "1.0.dev3",
            "1.0b2.post3.dev4",
            "1!2.0",
            "1.0+local.1",
        ] {
            assert!(is_pypi_version(good), "{good}");
        }
        for bad in [
            "", "1.*", "==1.0", ">=1", "~=1.0", "latest", "1.0-1", "v1", "1.0rc", "1..0", "1.0c1",
            "x!1.0", "1.0+", "1.0,2.0",
        ] {
            assert!(!is_pypi_version(bad), "{bad}");
        }
    }
}
