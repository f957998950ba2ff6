//! What this version accepts, found by asking the model: documents with one thing more, or less, are parsed.
//!
//! So the reference cannot claim what the code does not do. Each kind has examples (`examples/KIND.yaml`) that
//! hold every field which is supported; a field beside them must be refused as unsupported, or the generator
//! stops and wants an example for it.

use anyhow::{Context, Result, bail};
use model::fault::{MISSING, ONE_OF, UNSUPPORTED};
use model::yaml::{self, FileFault, Source};
use serde_json::{Map, Value, json};

/// One step into a document: a field, and whether it holds a list whose first entry is meant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) field: &'static str,
    pub(super) list: bool,
}

/// What it means to leave a field out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing is wrong.
    Optional,
    /// It is missing.
    Required,
    /// One of some must be there: `one of subjects, everyone`.
    OneOf(String),
}

/// Asks the model about one kind.
#[derive(Debug)]
pub(super) struct Probe {
    /// Documents that are accepted.
    examples: Vec<Value>,
    /// Documents that are refused as unsupported, as ground for fields that only they can have.
    later: Vec<Value>,
}

impl Probe {
    /// With the examples of a kind.
    ///
    /// # Errors
    /// Where an example is refused.
    pub(super) fn new(kind: &str, examples: &str) -> Result<Self> {
        let source = Source {
            file: format!("{kind}.yaml"),
            text: examples.into(),
        };
        let located = yaml::parse(&[source])
            .map_err(|faults| anyhow::anyhow!("{}", list(&faults)))
            .context("an example is refused")?;
        let later = match kind {
            model::wire::SERVER => {
                vec![json!({"config": [{"key": "KEY", "from": "user", "as": "env"}]})]
            }
            _ => Vec::new(),
        };
        let frame = |spec: Value| json!({"apiVersion": yaml::API_VERSION, "kind": kind, "metadata": {"name": "x"}, "spec": spec});
        Ok(Self {
            examples: located.iter().map(|l| yaml::to_json(&l.resource)).collect(),
            later: later.into_iter().map(frame).collect(),
        })
    }

    /// Whether an example has the field.
    pub(super) fn has(&self, steps: &[Step]) -> bool {
        self.examples
            .iter()
            .any(|example| find(example, steps).is_some())
    }

    /// The field's value in the first example that has it.
    pub(super) fn example(&self, steps: &[Step]) -> Option<Value> {
        let mut found = self.examples.iter().filter_map(|each| find(each, steps));
        found.next().cloned()
    }

    /// Whether the field may have this value in any document.
    ///
    /// # Errors
    /// Where every document is refused, and none as unsupported: then nothing is known.
    pub(super) fn accepts(&self, steps: &[Step], value: &Value) -> Result<bool> {
        let mut refusals = Vec::new();
        for base in self.examples.iter().chain(&self.later) {
            for alone_from in 0..=steps.len() {
                let mut document = base.clone();
                put(&mut document, steps, value, alone_from);
                match parse(&document) {
                    Ok(()) => return Ok(true),
                    Err(faults) => refusals.extend(faults),
                }
            }
        }
        let own = path(steps);
        let is_about = |fault: &FileFault| {
            let place = without_places(&fault.fault.path);
            place.starts_with(&own) || own.starts_with(&place)
        };
        let mut unsupported = refusals
            .iter()
            .filter(|fault| fault.fault.code == UNSUPPORTED);
        if unsupported.any(is_about) {
            return Ok(false);
        }
        bail!(
            "{}: {value} is refused, but not as unsupported; it wants an example: {}",
            path(steps),
            list(&refusals)
        )
    }

    /// What it means to leave out a field that examples have: where one can do without it, nothing.
    pub(super) fn need(&self, steps: &[Step]) -> Need {
        let mut need = None;
        if let Some((own, around)) = steps.split_last() {
            let does_without = |example: &Value| {
                let around = find(example, around);
                around.is_some_and(|around| around.is_object() && around.get(own.field).is_none())
            };
            if !around.is_empty() && self.examples.iter().any(does_without) {
                // Another may be wanted in its place.
                need = Some(Need::Optional);
            }
        }
        for example in &self.examples {
            let mut document = example.clone();
            if cut(&mut document, steps) {
                match (lack(&document, steps), &need) {
                    (Need::Optional, _) => return Need::Optional,
                    // An example does without it, so that it is not wanted by itself.
                    (Need::Required, Some(Need::Optional)) => {}
                    (found, _) => need = Some(found),
                }
            }
        }
        need.unwrap_or(Need::Optional)
    }
}

/// What a document lacks, from which the field at `steps` was taken.
fn lack(document: &Value, steps: &[Step]) -> Need {
    let faults = parse(document).err().unwrap_or_default();
    let own = steps.last().map_or("", |step| step.field);
    let need = faults.iter().find_map(|FileFault { fault, .. }| {
        let one_of = fault.message.strip_suffix(" is wanted");
        // A fault around the field (`spec.subjects[0] names nobody`) can be mended by another field, too.
        let is_own = fault.path.ends_with(&format!(".{own}"));
        match (fault.code, one_of) {
            (ONE_OF, Some(one_of)) if has_word(one_of, own) => Some(Need::OneOf(one_of.to_owned())),
            (ONE_OF | MISSING, _) if is_own => Some(Need::Required),
            _ => None,
        }
    });
    need.unwrap_or(Need::Optional)
}

/// `spec.config[0].key` → `spec.config[].key`.
fn without_places(path: &str) -> String {
    path.chars().filter(|c| !c.is_ascii_digit()).collect()
}

fn has_word(text: &str, word: &str) -> bool {
    text.split([' ', ',']).any(|each| each == word)
}

fn parse(document: &Value) -> Result<(), Vec<FileFault>> {
    let source = Source {
        file: "probe.json".to_owned(),
        text: document.to_string().into(),
    };
    yaml::parse(&[source]).map(|_| ())
}

fn list(faults: &[FileFault]) -> String {
    let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

/// `spec.config[].key`.
pub(super) fn path(steps: &[Step]) -> String {
    let mut out = String::new();
    for step in steps {
        if !out.is_empty() {
            out.push('.');
        }
        out.push_str(step.field);
        if step.list {
            out.push_str("[]");
        }
    }
    out
}

fn find<'v>(document: &'v Value, steps: &[Step]) -> Option<&'v Value> {
    let Some((step, rest)) = steps.split_first() else {
        return Some(document);
    };
    match document.get(step.field)? {
        Value::Array(items) if step.list => items.iter().find_map(|item| find(item, rest)),
        value => find(value, rest),
    }
}

/// Puts a value into a document. From the step `alone_from` on, nothing is left beside what is put: so that a field
/// is seen without those that exclude it.
fn put(at: &mut Value, steps: &[Step], value: &Value, alone_from: usize) {
    let Some((step, rest)) = steps.split_first() else {
        *at = value.clone();
        return;
    };
    if !at.is_object() {
        *at = Value::Object(Map::new());
    }
    let Value::Object(fields) = at else { return };
    if alone_from == 0 {
        fields.retain(|name, _| name == step.field);
    }
    let inner = fields.entry(step.field).or_insert(Value::Null);
    let alone_from = alone_from.saturating_sub(1);
    if !step.list || rest.is_empty() {
        return put(inner, rest, value, alone_from);
    }
    if !matches!(inner, Value::Array(items) if !items.is_empty()) {
        *inner = json!([{}]);
    }
    put(&mut inner[0], rest, value, alone_from);
}

/// Takes a field out of a document, in every entry of the lists on the way. Whether it was there.
fn cut(at: &mut Value, steps: &[Step]) -> bool {
    let Some((step, rest)) = steps.split_first() else {
        return false;
    };
    if rest.is_empty() {
        return at
            .as_object_mut()
            .is_some_and(|fields| fields.remove(step.field).is_some());
    }
    match at.get_mut(step.field) {
        Some(Value::Array(items)) => {
            let were = items.iter_mut().map(|item| cut(item, rest));
            were.filter(|was| *was).count() > 0
        }
        Some(value) => cut(value, rest),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on should end")]

    use super::*;

    const RULES: &str = "{apiVersion: gatehouse.dev/v1, kind: AccessRule, metadata: {name: a}, \
                         spec: {effect: allow, everyone: true, servers: [\"*\"]}}";

    const SERVER: &str = "{apiVersion: gatehouse.dev/v1, kind: Server, metadata: {name: a}, \
                          spec: {runtime: {external: {}}}}";

    fn steps(path: &[&'static str]) -> Vec<Step> {
        path.iter()
            .map(|field| Step {
                field,
                list: *field == "subjects",
            })
            .collect()
    }

    #[test]
    fn what_is_unsupported_is_told_from_what_is_wrong() {
        let probe = Probe::new("AccessRule", RULES).unwrap();
        let effect = steps(&["spec", "effect"]);
        assert!(probe.accepts(&effect, &json!("deny")).unwrap());
        assert!(probe.accepts(&effect, &json!("approve")).unwrap());
        assert!(probe.accepts(&effect, &json!("perhaps")).is_err());
        let probe = Probe::new("Server", SERVER).unwrap();
        let egress = steps(&["spec", "egress"]);
        assert!(!probe.accepts(&egress, &json!(["a.example"])).unwrap());
    }

    #[test]
    fn needs_are_found_by_leaving_out() {
        let probe = Probe::new("AccessRule", RULES).unwrap();
        assert_eq!(probe.need(&steps(&["spec", "effect"])), Need::Required);
        let one_of = Need::OneOf("one of subjects, everyone".to_owned());
        assert_eq!(probe.need(&steps(&["spec", "everyone"])), one_of);
        assert_eq!(probe.need(&steps(&["metadata", "labels"])), Need::Optional);
        let about = RULES.replace("everyone: true", "subjects: [{group: g}]");
        let probe = Probe::new("AccessRule", &about).unwrap();
        let group = steps(&["spec", "subjects", "group"]);
        assert_eq!(probe.need(&group), Need::Optional);
    }

    #[test]
    fn a_bad_example_stops_the_generator() {
        assert!(Probe::new("AccessRule", &RULES.replace("allow", "perhaps")).is_err());
    }

    #[test]
    fn put_reaches_into_lists_and_leaves_nothing_beside_where_it_should_not() {
        let group = steps(&["spec", "subjects", "group"]);
        let base = json!({"spec": {"subjects": [{"user": "a"}], "effect": "allow"}});
        let put = |alone_from| {
            let mut document = base.clone();
            super::put(&mut document, &group, &json!("g"), alone_from);
            document["spec"].take()
        };
        let beside = json!({"subjects": [{"user": "a", "group": "g"}], "effect": "allow"});
        assert_eq!(put(3), beside);
        assert_eq!(
            put(2),
            json!({"subjects": [{"group": "g"}], "effect": "allow"})
        );
        assert_eq!(put(1), json!({"subjects": [{"group": "g"}]}));
    }

    #[test]
    fn cut_says_whether_it_was_there() {
        let mut document = json!({"spec": {"subjects": [{"user": "a"}, {"group": "g"}]}});
        let user = steps(&["spec", "subjects", "user"]);
        assert!(find(&document, &user).is_some());
        assert!(cut(&mut document, &user));
        assert!(!cut(&mut document, &user));
        assert!(find(&document, &user).is_none());
    }
}
