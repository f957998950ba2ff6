//! `gatehouse explain GH1001` and `gatehouse explain cp-reachable`: the long form of an error code or of a check, the
//! same text as in `docs/errors.md` and `docs/checks.md`.

use serde_json::json;

use crate::app::App;
use crate::check::table;
use crate::codes;
use crate::fault::Failure;
use crate::show::{Meaning, nearest};

/// `GH` and a digit: no resource is called that.
pub(super) fn is_code(topic: &str) -> bool {
    topic
        .get(..2)
        .is_some_and(|start| start.eq_ignore_ascii_case("gh"))
        && topic[2..].starts_with(|c: char| c.is_ascii_digit())
}

/// Shows an error code.
///
/// # Errors
/// There is none; the nearest is offered.
pub(super) fn explain(code: &str, app: &App) -> Result<(), Failure> {
    let Some((code, title, text)) = codes::look_up(code) else {
        let all = codes::CODES
            .iter()
            .chain(model::fault::CODES)
            .map(|row| row.0);
        let offer = nearest(&code.to_ascii_uppercase(), all)
            .map_or_else(String::new, |near| format!(": did you mean {near}?"));
        return Err(Failure::usage(format!(
            "there is no error code {code:?}{offer}"
        )));
    };
    if app.show.is_json() {
        app.show
            .json(&json!({"code": code, "title": title, "text": text}));
    } else {
        tell(app, code, title, text);
    }
    Ok(())
}

/// Shows a check, where `topic` is the id of one; whether it is.
pub(super) fn explain_check(topic: &str, app: &App) -> bool {
    let Some(check) = table::look_up(&topic.to_ascii_lowercase()) else {
        return false;
    };
    if app.show.is_json() {
        let group = check.group.id();
        app.show.json(
            &json!({"check": check.id, "group": group, "title": check.title, "text": check.text}),
        );
    } else {
        tell(app, check.id, check.title, check.text);
    }
    true
}

fn tell(app: &App, name: &str, title: &str, text: &str) {
    let name = app.show.paint(Meaning::Name, name);
    app.show.line(&format!("{name}  {title}\n\n{text}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_from_kinds() {
        assert!(is_code("GH1001") && is_code("gh9"));
        assert!(!is_code("GHServer") && !is_code("Server") && !is_code("g"));
    }
}
