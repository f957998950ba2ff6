//! The index of the reference: what all kinds have in common, and the way to each.

use std::fmt::Write;

use super::kind::Reference;
use super::{cell, codes};

const HEAD: &str = "# Reference

What operators write, YAML or JSON, any number of resources in a file. Every one has four fields:

| field | meaning |
|---|---|
| `apiVersion` | `gatehouse.dev/v1` |
| `kind` | one of those below |
| `metadata` | name and labels |
| `spec` | what is wanted of it |

Unknown fields are refused, with file, line and path; so is what this version does not act on yet. Where names of
servers, tools, prompts, resources or methods are matched, `*` is any run of characters, `?` is exactly one, and
nothing else is special. Durations are written `500ms`, `30s`, `15m`, `24h`; sizes `512Mi`, `1Gi`.

```sh
gatehouse validate -f FILE     # all faults at once; nothing is changed
gatehouse apply -f FILE --wait
gatehouse get KIND NAME -o yaml
```
";

/// The index, without its head.
pub(super) fn page(kinds: &[Reference]) -> String {
    let mut out = format!("{HEAD}\n## Kinds\n\n| kind | meaning |\n|---|---|\n");
    for kind in kinds {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "| [{0}]({0}.md) | {1} |", kind.kind, cell(&kind.intro));
    }
    let later: Vec<&str> = model::wire::KINDS
        .iter()
        .filter(|kind| !kind.supported)
        .map(|kind| kind.name)
        .collect();
    let _ = writeln!(
        out,
        "\nPart of the format, and refused by this version ([{code}](../errors.md#{anchor})): {}.",
        later.join(", "),
        code = model::fault::UNSUPPORTED,
        anchor = codes::anchor(model::fault::UNSUPPORTED),
    );
    out.push_str(
        "\n## More\n\n- [Settings](settings.md) of each process\n- [Error codes](../errors.md)\n- [Checks](../checks.md)\n",
    );
    out
}
