//! Checks a condition where it is written: what it names is there, its parts fit each other, it may come out true, and
//! it cannot cost much. What cannot be told, because it depends on arguments, is left to the evaluation.

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, SelectExpr};
use cel::parser::{ParseErrors, PrattParser};

use super::loops;
use super::syntax::{Const, Needs, Node, Type, Var};
use super::{DEPTH_MAX, Mistake, NODES_MAX, TEXT_BYTES_MAX};

/// A part and its type.
pub(super) type Typed = (Node, Type);

/// How near a name must be to be offered, from 0 to 1 (Jaro-Winkler).
const SIMILAR_MIN: f64 = 0.75;

/// What a condition may name, and the fields of what has some.
const NAMES: &[&str] = &[
    "principal",
    "server",
    "tool",
    "name",
    "method",
    "args",
    "client_address",
    "time",
];
const PRINCIPAL: &[&str] = &["user", "groups", "client"];
const SERVER: &[&str] = &["name", "labels"];

/// Reads a whole condition.
pub(super) fn condition(text: &str) -> Result<(Node, Needs), Mistake> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Mistake::too_much(format!(
            "{} bytes are over the {TEXT_BYTES_MAX} that a condition may have",
            text.len()
        )));
    }
    // Each branch goes a level down in the parser, where its own limit does not count.
    if text.bytes().filter(|b| *b == b'?').count() > DEPTH_MAX * 2 {
        return Err(Mistake::too_much("it asks with ? too often"));
    }
    let parser = PrattParser::new().max_recursion_depth(DEPTH_MAX as u16 * 2);
    let tree = parser.parse(text).map_err(|errors| unread(&errors))?;
    let mut checker = Checker::default();
    let (node, kind) = checker.part(&tree)?;
    match (&kind, &node) {
        (_, Node::Const(Const::Bool(false))) => {
            Err(Mistake::never("the condition is false, always"))
        }
        (Type::Bool | Type::Dyn, _) => Ok((node, checker.needs)),
        (other, _) => Err(Mistake::never(format!(
            "the condition is {}, and has to be true or false",
            other.words()
        ))),
    }
}

fn unread(errors: &ParseErrors) -> Mistake {
    let Some(first) = errors.errors.first() else {
        return Mistake::bad("is no CEL expression");
    };
    if first.msg.contains("recursion") {
        return Mistake::too_much(format!(
            "its parts lie deeper in each other than {DEPTH_MAX}"
        ));
    }
    let (line, column) = first.pos;
    let place = if line > 1 {
        format!("line {line}, column {column}")
    } else {
        format!("column {column}")
    };
    Mistake::bad(format!("is no CEL expression: {place}: {}", first.msg))
}

#[derive(Debug, Default)]
pub(super) struct Checker {
    /// What loops call their element, from the outermost; and its type.
    pub(super) locals: Vec<(String, Type)>,
    nodes: usize,
    depth: usize,
    pub(super) needs: Needs,
}

impl Checker {
    /// One part, with all that is in it.
    pub(super) fn part(&mut self, tree: &IdedExpr) -> Result<Typed, Mistake> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(Mistake::too_much(format!(
                "it has more than {NODES_MAX} parts"
            )));
        }
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Mistake::too_much(format!(
                "its parts lie deeper in each other than {DEPTH_MAX}"
            )));
        }
        let checked = self.inner(&tree.expr);
        self.depth -= 1;
        checked
    }

    fn inner(&mut self, tree: &Expr) -> Result<Typed, Mistake> {
        match tree {
            Expr::Literal(literal) => literal_of(literal),
            Expr::Ident(name) => self.ident(name),
            Expr::Select(select) => self.select(select),
            Expr::Call(call) => self.call(call),
            Expr::List(list) => {
                let parts = list.elements.iter().map(|element| self.part(element));
                let parts = parts.collect::<Result<Vec<_>, _>>()?;
                let mut kinds = parts.iter().map(|(_, kind)| kind);
                let first = kinds.next().cloned().unwrap_or(Type::Dyn);
                let kind = if kinds.all(|kind| *kind == first) {
                    first
                } else {
                    Type::Dyn
                };
                let nodes = parts.into_iter().map(|(node, _)| node).collect();
                Ok((Node::List(nodes), Type::List(Box::new(kind))))
            }
            Expr::Map(_) | Expr::Struct(_) => Err(Mistake::bad(
                "conditions make no maps: compare fields one by one",
            )),
            Expr::Comprehension(expanded) => self.each(&loops::of(expanded)?),
            Expr::Unspecified => Err(Mistake::bad("is no CEL expression")),
        }
    }

    fn ident(&mut self, name: &str) -> Result<Typed, Mistake> {
        if let Some(at) = self.locals.iter().rposition(|(local, _)| local == name) {
            return Ok((Node::Local(at), self.locals[at].1.clone()));
        }
        let (var, kind) = match name.strip_prefix('.').unwrap_or(name) {
            "tool" => (Var::Tool, Type::Text),
            "name" => (Var::Name, Type::Text),
            "method" => (Var::Method, Type::Text),
            "args" => (Var::Args, Type::Dyn),
            "client_address" => (Var::Address, Type::Text),
            "time" => (Var::Time, Type::Time),
            "principal" => return Err(whole("principal", PRINCIPAL)),
            "server" => return Err(whole("server", SERVER)),
            other => {
                let locals = self.locals.iter().map(|(local, _)| local.as_str());
                let names = NAMES.iter().copied().chain(locals);
                let mistake = Mistake::never(format!("there is no variable `{other}`"));
                return Err(near(mistake, other, names, ", "));
            }
        };
        self.need(var);
        Ok((Node::Var(var), kind))
    }

    fn need(&mut self, var: Var) {
        match var {
            Var::Args => self.needs.args = true,
            Var::Address => self.needs.address = true,
            Var::Time => self.needs.time = true,
            _ => {}
        }
    }

    fn select(&mut self, select: &SelectExpr) -> Result<Typed, Mistake> {
        if select.test {
            return self.has(select);
        }
        if let Some(field) = self.field(select)? {
            return Ok(field);
        }
        let (of, kind) = self.part(&select.operand)?;
        let key = select.field.as_str().into();
        match kind {
            Type::Dyn => Ok((Node::Select(Box::new(of), key), Type::Dyn)),
            Type::Labels => Ok((Node::Select(Box::new(of), key), Type::Text)),
            other => Err(Mistake::never(format!(
                "{} has no field `{}`",
                other.words(),
                select.field
            ))),
        }
    }

    /// A field of `principal` or `server`, where it is one.
    fn field(&mut self, select: &SelectExpr) -> Result<Option<Typed>, Mistake> {
        let Expr::Ident(of) = &select.operand.expr else {
            return Ok(None);
        };
        if self.locals.iter().any(|(local, _)| local == of) {
            return Ok(None);
        }
        let (var, kind) = match (of.as_str(), select.field.as_str()) {
            ("principal", "user") => (Var::User, Type::Text),
            ("principal", "client") => (Var::Client, Type::Text),
            ("principal", "groups") => (Var::Groups, Type::List(Box::new(Type::Text))),
            ("server", "name") => (Var::ServerName, Type::Text),
            ("server", "labels") => (Var::Labels, Type::Labels),
            (of @ ("principal" | "server"), field) => {
                let fields = if of == "principal" { PRINCIPAL } else { SERVER };
                let mistake = Mistake::never(format!("{of} has no field `{field}`"));
                return Err(near(mistake, field, fields.iter().copied(), ", "));
            }
            _ => return Ok(None),
        };
        Ok(Some((Node::Var(var), kind)))
    }

    fn call(&mut self, call: &CallExpr) -> Result<Typed, Mistake> {
        let name = call.func_name.as_str();
        let target = match &call.target {
            // What a function belongs to is a name, not a value.
            Some(target) if matches!(&target.expr, Expr::Call(c) if c.func_name == "cidr") => {
                return self.network(target, call);
            }
            Some(target) => Some(self.part(target)?),
            None => None,
        };
        if call.target.is_none() && self.is_operator(name) {
            return self.operator(name, &call.args);
        }
        self.function(name, target, &call.args)
    }

    fn has(&mut self, select: &SelectExpr) -> Result<Typed, Mistake> {
        if self.field(select)?.is_some() {
            return Ok((Node::Const(Const::Bool(true)), Type::Bool));
        }
        let (of, kind) = self.part(&select.operand)?;
        if !matches!(kind, Type::Dyn | Type::Labels) {
            return Err(Mistake::never(format!("{} has no fields", kind.words())));
        }
        let key = select.field.as_str().into();
        Ok((Node::Has(Box::new(of), key), Type::Bool))
    }

    /// A part that has to be true or false.
    pub(super) fn truth(&mut self, tree: &IdedExpr, of: &str) -> Result<Node, Mistake> {
        let (node, kind) = self.part(tree)?;
        if kind.may_be(&Type::Bool) {
            Ok(node)
        } else {
            Err(no_truth(of, &kind))
        }
    }
}

pub(super) fn no_truth(of: &str, kind: &Type) -> Mistake {
    Mistake::never(format!("{of} wants true or false, not {}", kind.words()))
}

fn literal_of(literal: &LiteralValue) -> Result<Typed, Mistake> {
    Ok(match literal {
        LiteralValue::Null => (Node::Const(Const::Null), Type::Null),
        LiteralValue::Boolean(b) => (Node::Const(Const::Bool(*b.inner())), Type::Bool),
        LiteralValue::Int(n) => (Node::Const(Const::Int(*n.inner())), Type::Int),
        LiteralValue::UInt(n) => (Node::Const(Const::UInt(*n.inner())), Type::UInt),
        LiteralValue::Double(n) => (Node::Const(Const::Double(*n.inner())), Type::Double),
        LiteralValue::String(s) => (Node::Const(Const::Text(s.inner().into())), Type::Text),
        LiteralValue::Bytes(_) => {
            return Err(Mistake::bad("conditions know no bytes: write text"));
        }
    })
}

fn whole(of: &str, fields: &[&str]) -> Mistake {
    let fields: Vec<String> = fields.iter().map(|field| format!("{of}.{field}")).collect();
    Mistake::never(format!("{of} itself is no value"))
        .fix(format!("name a field: {}", fields.join(", ")))
}

/// Offers the nearest name; where none is near, all of them.
pub(super) fn near<'n>(
    mistake: Mistake,
    wanted: &str,
    names: impl Iterator<Item = &'n str> + Clone,
    between: &str,
) -> Mistake {
    let scored = names
        .clone()
        .map(|name| (strsim::jaro_winkler(wanted, name), name));
    let best = scored
        .filter(|(score, _)| *score >= SIMILAR_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match best {
        Some((_, name)) => mistake.fix(format!("did you mean `{name}`?")),
        None => mistake.fix(format!(
            "there are {}",
            names.collect::<Vec<_>>().join(between)
        )),
    }
}
