//! The same conditions by the `cel` crate's own evaluator: it is the reference for what the language means. And: what is
//! decided with less known stays decided with more.

use cel::{Context, Value};

use super::*;

/// A generator of its own: a condition is grown from a seed, and shrinks by hand.
struct Grower(u64);

impl Grower {
    fn next(&mut self, below: u64) -> u64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % below
    }

    fn pick<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.next(of.len() as u64) as usize]
    }

    fn truth(&mut self, depth: u32) -> String {
        if depth == 0 {
            return self
                .pick(&["true", "false", "args.yes", "args.none", "args.n"])
                .to_owned();
        }
        let depth = depth - 1;
        match self.next(14) {
            0 | 1 => format!("({} && {})", self.truth(depth), self.truth(depth)),
            2 | 3 => format!("({} || {})", self.truth(depth), self.truth(depth)),
            4 => format!("!({})", self.truth(depth)),
            5 => {
                let op = self.pick(&["<", "<=", ">", ">=", "==", "!="]);
                format!("({} {op} {})", self.number(depth), self.number(depth))
            }
            6 => {
                let op = self.pick(&["==", "!=", "<", ">"]);
                format!("({} {op} {})", self.text(depth), self.text(depth))
            }
            7 => {
                let function = self.pick(&["contains", "startsWith", "endsWith"]);
                format!("{}.{function}({})", self.text(depth), self.text(depth))
            }
            8 => format!(
                "{}.matches({})",
                self.text(depth),
                self.pick(&["\"^a\"", "\"b+\"", "\"[xyz]$\""])
            ),
            9 => format!("({} in {})", self.text(depth), self.list(depth)),
            10 => {
                let each = self.pick(&["all", "exists", "exists_one"]);
                format!(
                    "{}.{each}(x, x {} {})",
                    self.list(depth),
                    self.pick(&["==", "!="]),
                    self.text(depth)
                )
            }
            11 => format!("has(args.{})", self.pick(&["s", "n", "l", "none", "m"])),
            12 => format!(
                "({} ? {} : {})",
                self.truth(depth),
                self.truth(depth),
                self.truth(depth)
            ),
            _ => format!(
                "{}.filter(y, {}).size() > {}",
                self.list(depth),
                self.truth(depth),
                self.next(3)
            ),
        }
    }

    fn number(&mut self, depth: u32) -> String {
        if depth == 0 {
            return self
                .pick(&[
                    "0",
                    "1",
                    "-7",
                    "3",
                    "args.n",
                    "args.f",
                    "args.m.n",
                    "args.s",
                    "2.5",
                    "args.l[0]",
                ])
                .to_owned();
        }
        let depth = depth - 1;
        match self.next(4) {
            0 => {
                let op = self.pick(&["+", "-", "*", "/", "%"]);
                format!(
                    "({} {op} {})",
                    self.pick(&["1", "args.n", "7", "args.none"]),
                    self.pick(&["2", "args.n", "0", "args.m.n"])
                )
            }
            1 => format!("size({})", self.text(depth)),
            2 => format!("{}.size()", self.list(depth)),
            _ => self.number(0),
        }
    }

    fn text(&mut self, depth: u32) -> String {
        if depth == 0 || self.next(2) == 0 {
            return self
                .pick(&[
                    "\"a\"",
                    "\"\"",
                    "\"bb\"",
                    "args.s",
                    "args.m.s",
                    "args.l[1]",
                    "tool",
                    "args.none",
                    "principal.user",
                ])
                .to_owned();
        }
        match self.next(2) {
            0 => format!("({} + {})", self.text(depth - 1), self.text(depth - 1)),
            _ => format!(
                "({} ? {} : {})",
                self.truth(depth - 1),
                self.text(depth - 1),
                self.text(depth - 1)
            ),
        }
    }

    fn list(&mut self, depth: u32) -> String {
        if depth == 0 || self.next(2) == 0 {
            return self
                .pick(&[
                    "principal.groups",
                    "args.l",
                    "[\"a\", \"b\"]",
                    "args.texts",
                    "args.none",
                ])
                .to_owned();
        }
        format!("{}.map(z, z + {})", self.list(depth - 1), self.text(0))
    }
}

const ARGS: &str = r#"{"yes":true,"n":3,"f":2.5,"s":"abx","l":[1,"a",true],"texts":["a","bb","abx"],"m":{"n":-4,"s":"bb"}}"#;

/// As conditions read arguments: whole numbers are whole.
fn value(json: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(*truth),
        Json::Number(n) => n
            .as_i64()
            .map_or_else(|| Value::Float(n.as_f64().unwrap()), Value::Int),
        Json::String(text) => Value::String(Arc::new(text.clone())),
        Json::Array(list) => Value::List(Arc::new(list.iter().map(value).collect())),
        Json::Object(map) => {
            let map: std::collections::HashMap<String, Value> = map
                .iter()
                .map(|(key, json)| (key.clone(), value(json)))
                .collect();
            map.into()
        }
    }
}

/// By the crate: `None` where it fails.
fn by_the_crate(text: &str) -> Option<bool> {
    let program = cel::parser::PrattParser::new().parse(text).unwrap();
    let mut context = Context::default();
    let args: serde_json::Value = serde_json::from_str(ARGS).unwrap();
    let principal = serde_json::json!({"user": "ana@example.com", "groups": ["eng", "finance"], "client": "cursor"});
    context.add_variable_from_value("args", value(&args));
    context.add_variable_from_value("principal", value(&principal));
    context.add_variable_from_value("tool", "transfer");
    match Value::resolve(&program, &context) {
        Ok(Value::Bool(truth)) => Some(truth),
        _ => None,
    }
}

#[test]
fn conditions_mean_what_cel_means() {
    let mut grower = Grower(0x9E37_79B9_7F4A_7C15);
    let facts = Facts {
        args: Some(ARGS.as_bytes()),
        ..known()
    };
    let (mut compared, mut decided) = (0, 0);
    while compared < 5_000 {
        let depth = 1 + grower.next(3) as u32;
        let text = grower.truth(depth);
        // What is refused where it is written (of the wrong type, too long) is not evaluated.
        let Ok(condition) = Condition::compile(&text) else {
            continue;
        };
        let (snapshot, ana, server) = world();
        let action = Action::tool("transfer");
        let scope = Scope::of_call(&snapshot, (&ana, &server), &action, &facts);
        let ours = match condition.evaluate(&scope) {
            Outcome::Holds => Some(true),
            Outcome::Fails => Some(false),
            Outcome::Error(_) => None,
            Outcome::Unknown => panic!("{text}: all is known"),
        };
        assert_eq!(ours, by_the_crate(&text), "{text}");
        compared += 1;
        decided += u32::from(ours.is_some());
    }
    // Enough of them come out, so that not only failures agree.
    assert!(decided > 1_500, "{decided}");
}

#[test]
fn more_knowledge_changes_no_decision() {
    let mut grower = Grower(0xD1B5_4A32_D192_ED03);
    let mut decided = 0;
    for _ in 0..5_000 {
        let depth = 1 + grower.next(3) as u32;
        let text = grower.truth(depth);
        let Ok(condition) = Condition::compile(&text) else {
            continue;
        };
        let (snapshot, ana, server) = world();
        let action = Action::tool("transfer");
        let with = |facts: &Facts<'_>| {
            condition.evaluate(&Scope::of_call(&snapshot, (&ana, &server), &action, facts))
        };
        let before = with(&Facts::default());
        for args in [ARGS, "{}", r#"{"yes":false,"none":true,"n":"x","s":1}"#] {
            let after = with(&Facts {
                args: Some(args.as_bytes()),
                ..known()
            });
            match (&before, &after) {
                (Outcome::Unknown, _) => {}
                (before, after) => {
                    assert_eq!(
                        std::mem::discriminant(before),
                        std::mem::discriminant(after),
                        "{text} of {args}"
                    );
                    decided += 1;
                }
            }
            assert_ne!(after, Outcome::Unknown, "{text} of {args}");
        }
    }
    assert!(decided > 500, "{decided}");
}
