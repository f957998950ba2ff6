//! `gatehouse explain Server.spec.runtime`: type, default, allowed values, meaning and example of a field.
//!
//! Reads a table that is built in (`fields.json`), made of the same comments and the same questions to the model as
//! the pages of `docs/reference/`.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::app::App;
use crate::fault::Failure;
use crate::show::{Meaning, Table, nearest};

/// Made by `cargo run -p xtask -- docs`, and held to what it is made from by `tidy`.
const TABLE: &str = include_str!("fields.json");

/// What to say where a version refuses something that is part of the format.
const LATER: &str = "(not in this version)";

#[derive(Debug, Deserialize)]
struct Fields {
    fields: Vec<Field>,
}

/// One field, or a kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Field {
    /// From the kind on: `Server.spec.runtime.npx`.
    path: String,
    r#type: String,
    meaning: String,
    /// Whether it is refused to leave it out.
    #[serde(default)]
    required: bool,
    /// Those of which one must be given.
    one_of: Option<String>,
    /// What it means to leave it out.
    default: Option<String>,
    /// The words that it takes. Empty: it takes others.
    #[serde(default)]
    values: Vec<Allowed>,
    example: Option<String>,
    /// Whether it is part of the format and refused by this version.
    #[serde(default)]
    later: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Allowed {
    value: String,
    #[serde(default)]
    meaning: String,
    #[serde(default)]
    later: bool,
}

static FIELDS: LazyLock<Vec<Field>> = LazyLock::new(|| {
    let table: Fields = serde_json::from_str(TABLE).expect("a test reads the table");
    table.fields
});

/// Shows a field and those in it; with `recursive` those in them, too.
///
/// # Errors
/// There is no such field; the nearest is offered.
pub(super) fn explain(path: &str, recursive: bool, app: &App) -> Result<(), Failure> {
    let field = find(path)?;
    let inner = inner(field, recursive);
    if app.show.is_json() {
        let items: Vec<_> = inner.iter().map(|each| view(field, each)).collect();
        let mut document = json!(field);
        document["items"] = json!(items);
        app.show.json(&document);
        return Ok(());
    }
    app.show.line(&app.show.paint(Meaning::Name, &field.path));
    app.show.line(&format!("{}\n", field.text()));
    for line in facts(field) {
        app.show.line(&line);
    }
    if !inner.is_empty() {
        app.show.line("");
        let mut table = Table::new(&["FIELD", "TYPE", "DEFAULT", "MEANING"]);
        for each in inner {
            table.row([
                relative(field, each).to_owned(),
                each.words().unwrap_or_else(|| each.r#type.clone()),
                each.absent().unwrap_or_default(),
                each.text(),
            ]);
        }
        app.show.table(&table, "it has no fields");
    }
    Ok(())
}

impl Field {
    fn text(&self) -> String {
        if self.later {
            format!("{LATER} {}", self.meaning)
        } else {
            self.meaning.clone()
        }
    }

    /// What it means to leave it out.
    fn absent(&self) -> Option<String> {
        match (&self.one_of, &self.default) {
            _ if self.required => Some("required".to_owned()),
            (Some(which), _) => Some(which.clone()),
            (None, default) => default.clone(),
        }
    }

    /// The words that it takes.
    fn words(&self) -> Option<String> {
        let words: Vec<&str> = self.values.iter().map(|v| v.value.as_str()).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
}

fn facts(field: &Field) -> Vec<String> {
    let mut lines = vec![format!("type      {}", field.r#type)];
    if let Some(absent) = field.absent() {
        lines.push(format!("default   {absent}"));
    }
    let widest = field.values.iter().map(|v| v.value.len()).max();
    for (n, allowed) in field.values.iter().enumerate() {
        let head = if n == 0 { "values    " } else { "          " };
        let later = if allowed.later { LATER } else { "" };
        let text = [later, &allowed.meaning].join(" ");
        let width = widest.unwrap_or(0);
        let line = format!("{head}{:width$}  {}", allowed.value, text.trim());
        lines.push(line.trim_end().to_owned());
    }
    if let Some(example) = &field.example {
        lines.push(format!("example   {example}"));
    }
    lines
}

/// The name of a field below another.
fn relative<'f>(of: &Field, each: &'f Field) -> &'f str {
    each.path.get(of.path.len() + 1..).unwrap_or(&each.path)
}

fn view(of: &Field, each: &Field) -> serde_json::Value {
    let mut view = json!(each);
    view["field"] = json!(relative(of, each));
    view
}

/// The fields in one, in the order of the reference; each before its own.
fn inner(field: &Field, recursive: bool) -> Vec<&'static Field> {
    let below = format!("{}.", field.path);
    let direct = FIELDS.iter().filter(|each| {
        let rest = each.path.strip_prefix(&below);
        rest.is_some_and(|rest| !rest.contains('.'))
    });
    let mut found = Vec::new();
    for each in direct {
        found.push(each);
        if recursive {
            found.extend(inner(each, true));
        }
    }
    found
}

fn find(path: &str) -> Result<&'static Field, Failure> {
    // As the pages write it, too: `spec.config[].key`.
    let wanted = path.replace("[]", "");
    let named = |wanted: &str| {
        let mut fields = FIELDS.iter();
        fields.find(|field| field.path.eq_ignore_ascii_case(wanted))
    };
    if let Some(field) = named(&wanted) {
        return Ok(field);
    }
    // What stands around it is right, as far as that goes: offer what is in there.
    let mut around = wanted.as_str();
    let mut slip = wanted.as_str();
    while let Some((outer, last)) = around.rsplit_once('.') {
        slip = last;
        if let Some(field) = named(outer) {
            return Err(no_field(field, slip));
        }
        around = outer;
    }
    let kinds = || {
        let tops = FIELDS.iter().filter(|field| !field.path.contains('.'));
        tops.map(|field| field.path.as_str())
    };
    let first = wanted.split('.').next().unwrap_or(slip);
    let offer = match nearest(first, kinds()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("kinds are {}", kinds().collect::<Vec<_>>().join(", ")),
    };
    Err(Failure::usage(format!(
        "{path:?} is no error code, no check and no field: {offer}"
    )))
}

fn no_field(around: &Field, slip: &str) -> Failure {
    let inner = inner(around, false);
    let names = inner.iter().map(|each| relative(around, each));
    let offer = match nearest(slip, names) {
        Some(near) => format!("did you mean gatehouse explain {}.{near}?", around.path),
        None if inner.is_empty() => format!("it has no fields: gatehouse explain {}", around.path),
        None => format!("see gatehouse explain {}", around.path),
    };
    Failure::usage(format!("{} has no field {slip:?}: {offer}", around.path))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn message(path: &str) -> String {
        let failure = find(path).unwrap_err();
        assert_eq!(failure.exit, 2);
        failure.faults[0].message.clone()
    }

    #[test]
    fn the_table_has_every_kind_and_every_field() {
        for kind in model::wire::KINDS.iter().filter(|kind| kind.supported) {
            assert!(find(kind.name).is_ok(), "{}", kind.name);
            for part in ["metadata", "spec"] {
                let path = format!("{}.{part}", kind.name);
                let described = model::yaml::describe(&path).unwrap();
                let field = find(&path).unwrap();
                assert_eq!(inner(field, false).len(), described.len(), "{path}");
            }
        }
    }

    #[test]
    fn a_field_says_type_default_values_and_example() {
        let facts = facts(find("server.spec.tenancy").unwrap());
        assert_eq!(facts[0], "type      a word");
        assert_eq!(facts[1], "default   shared");
        assert!(facts[2].starts_with("values    shared       One process"));
        assert!(
            facts[3].contains("per-session  An upstream session"),
            "{facts:#?}"
        );
        assert_eq!(facts.last().unwrap(), "example   tenancy: shared");
    }

    #[test]
    fn needs_are_told() {
        let absent = |path| find(path).unwrap().absent();
        assert_eq!(
            absent("Server.spec.runtime.npx.version").as_deref(),
            Some("required")
        );
        assert_eq!(absent("Server.spec.limits.call").as_deref(), Some("60s"));
        assert_eq!(
            absent("AccessRule.spec.everyone").as_deref(),
            Some("one of subjects, everyone")
        );
        assert_eq!(absent("Server.spec.title"), None);
    }

    #[test]
    fn lists_are_gone_through_as_the_pages_write_them() {
        assert_eq!(
            find("Server.spec.config[].key").unwrap(),
            find("Server.spec.config.key").unwrap()
        );
    }

    #[test]
    fn all_of_it_comes_in_the_order_of_the_reference() {
        let spec = find("Server.spec").unwrap();
        let paths: Vec<_> = inner(spec, true)
            .into_iter()
            .map(|each| relative(spec, each))
            .collect();
        let at = |path: &str| paths.iter().position(|each| *each == path).unwrap();
        assert_eq!(at("runtime.npx"), at("runtime") + 1);
        assert!(at("runtime.npx.args") < at("runtime.uvx"));
    }

    #[test]
    fn a_slip_is_met_with_the_nearest_field_there() {
        assert!(
            message("Server.spec.limits.idel")
                .ends_with("did you mean gatehouse explain Server.spec.limits.idle?")
        );
        assert!(message("Server.spec.limits.call.x").contains("it has no fields"));
        assert!(message("Sever.spec").ends_with("did you mean Server?"));
        assert!(message("nothing").contains("kinds are Server, VirtualServer, AccessRule, Filter"));
    }
}
