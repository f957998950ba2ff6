//! `docs/errors.md`: every error code, with the text that `gatehouse explain CODE` prints.

use std::fmt::Write;

/// The codes of the command line; its own crate would bring all of Gatehouse with it.
#[path = "../../../cli/src/codes.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "of that file, the table is needed here and nothing else"
)]
mod cli;

const HEAD: &str = "# Error codes

Errors of `gatehouse` carry a code that stays what it is. `gatehouse explain CODE` prints what stands here.
";

/// What the first digit of a code says.
const FAMILIES: &[(&str, &str)] = &[
    ("GH1", "Files"),
    ("GH2", "References and policy"),
    ("GH3", "Connection and identity"),
    ("GH4", "Servers and calls"),
    ("GH5", "Rollout"),
    ("GH6", "This machine"),
];

/// The page, without its head.
pub(super) fn page() -> String {
    let mut out = HEAD.to_owned();
    for (family, title) in FAMILIES {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "\n## {family}: {title}");
        for (code, title, text) in all().filter(|row| row.0.starts_with(family)) {
            let _ = writeln!(
                out,
                "\n<a id=\"{}\"></a>\n### {code} {title}\n\n{text}",
                anchor(code)
            );
        }
    }
    out
}

/// Where a code stands on the page.
pub(super) fn anchor(code: &str) -> String {
    code.to_ascii_lowercase()
}

fn all() -> impl Iterator<Item = &'static (&'static str, &'static str, &'static str)> {
    model::fault::CODES.iter().chain(cli::CODES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_is_left_out() {
        let page = page();
        for (code, title, text) in all() {
            assert!(
                page.contains(&format!("### {code} {title}\n\n{text}\n")),
                "{code}"
            );
        }
    }
}
