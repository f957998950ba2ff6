//! `docs/checks.md`: every check of `gatehouse check`, with the text that `gatehouse explain ID` prints.

use std::fmt::Write;

/// The checks of the command line; its own crate would bring all of Gatehouse with it.
#[path = "../../../cli/src/check/table.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "of that file, the table is needed here and nothing else"
)]
mod table;

use table::{CHECKS, Group};

const HEAD: &str = "# Checks

`gatehouse check` looks at everything between the machine that it runs on and a call on record. Each check has an id
that stays what it is, a limit of its own, and comes out as one of:

| verdict | meaning |
|---|---|
| `ok` | good |
| `warn` | works, and wants a look; the exit code stays 0 |
| `fail` | does not work; the exit code is 1 |
| `skip` | could not be tried, because of the check that is named |

One cause is one red line: what only follows from it is skipped. `--pre` looks at the machine alone, before a first
start; `--only GROUP` at one group; `--wait 60s` repeats until nothing fails and nothing is on its way any more.
`-o short` shows what wants a look, `-o json` one document:

| field | meaning |
|---|---|
| `verdict` | the worst of all: `ok`, `warn` or `fail` |
| `failed` `warnings` `ok` `skipped` | how many |
| `duration_ms` | how long all took |
| `items` | one for each line: `id` `group` `verdict` `subject` `message` `why` `fix` `because` `duration_ms` `doc` |

`subject` is the node or server that an item is about, `because` the check for which it was skipped, `doc` its place in
this page; each is null where there is none. `gatehouse explain ID` prints what stands here.
";

/// The page, without its head.
pub(super) fn page() -> String {
    let mut out = HEAD.to_owned();
    for group in Group::ALL {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "\n## `{}`: {}", group.id(), group.title());
        for check in CHECKS.iter().filter(|check| check.group == group) {
            let (id, title, text) = (check.id, check.title, check.text);
            let _ = writeln!(out, "\n<a id=\"{id}\"></a>\n### `{id}` {title}\n\n{text}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_check_is_left_out_and_each_has_an_anchor() {
        let page = page();
        for check in CHECKS {
            assert!(page.contains(&format!("<a id=\"{}\"></a>", check.id)));
            assert!(page.contains(check.text), "{}", check.id);
        }
    }
}
