//! Checks `all`, `exists`, `exists_one`, `map` and `filter`. CEL has them as macros: the parser hands out what they stand
//! for, from which is read back what was written.

use cel::common::ast::{ComprehensionExpr, Expr, IdedExpr, LiteralValue, operators};

use super::check::{Checker, Typed, no_truth};
use super::syntax::{Each, Node, Type};
use super::{Mistake, NESTING_MAX};

/// A loop as it was written: `over.what(local, only, body)`.
pub(super) struct Loop<'e> {
    what: Each,
    over: &'e IdedExpr,
    local: &'e str,
    /// Of `map` with three arguments.
    only: Option<&'e IdedExpr>,
    body: &'e IdedExpr,
}

impl Loop<'_> {
    fn name(&self) -> &'static str {
        match self.what {
            Each::All => "all",
            Each::Exists => "exists",
            Each::ExistsOne => "exists_one",
            Each::Map => "map",
            Each::Filter => "filter",
        }
    }
}

pub(super) fn of(expanded: &ComprehensionExpr) -> Result<Loop<'_>, Mistake> {
    read(expanded).ok_or_else(|| Mistake::bad("conditions have no such loop"))
}

fn read(expanded: &ComprehensionExpr) -> Option<Loop<'_>> {
    let local = expanded.iter_var.as_str();
    let (what, only, body) = match (&expanded.accu_init.expr, &expanded.loop_step.expr) {
        (Expr::Literal(LiteralValue::Boolean(_)), Expr::Call(step)) => {
            let what = match step.func_name.as_str() {
                operators::LOGICAL_AND => Each::All,
                operators::LOGICAL_OR => Each::Exists,
                _ => return None,
            };
            (what, None, step.args.get(1)?)
        }
        (Expr::Literal(LiteralValue::Int(_)), Expr::Call(step)) => {
            (Each::ExistsOne, None, step.args.first()?)
        }
        (Expr::List(_), Expr::Call(step)) if step.func_name == operators::ADD => {
            (Each::Map, None, appended(&expanded.loop_step)?)
        }
        (Expr::List(_), Expr::Call(step)) => {
            let [only, append, _] = step.args.as_slice() else {
                return None;
            };
            let body = appended(append)?;
            // map(x, p, x) is filter(x, p).
            if matches!(&body.expr, Expr::Ident(name) if name == local) {
                (Each::Filter, None, only)
            } else {
                (Each::Map, Some(only), body)
            }
        }
        _ => return None,
    };
    let over = &expanded.iter_range;
    Some(Loop {
        what,
        over,
        local,
        only,
        body,
    })
}

/// What is put at the end of the list: `x` of `@result + [x]`.
fn appended(step: &IdedExpr) -> Option<&IdedExpr> {
    let Expr::Call(call) = &step.expr else {
        return None;
    };
    match &call.args.get(1)?.expr {
        Expr::List(list) => list.elements.first(),
        _ => None,
    }
}

impl Checker {
    pub(super) fn each(&mut self, of: &Loop<'_>) -> Result<Typed, Mistake> {
        let name = of.name();
        let (over, kind) = self.part(of.over)?;
        let element = match kind {
            Type::List(element) => *element,
            Type::Dyn => Type::Dyn,
            // Of a map: its keys.
            Type::Labels => Type::Text,
            other => {
                let message = format!("{name} goes through lists, not {}", other.words());
                return Err(Mistake::never(message));
            }
        };
        if self.locals.len() == NESTING_MAX {
            let message =
                format!("all, exists, map and filter lie deeper in each other than {NESTING_MAX}");
            return Err(Mistake::too_much(message));
        }
        self.locals.push((of.local.to_owned(), element.clone()));
        let only = of.only.map(|only| self.truth(only, name)).transpose()?;
        let (body, given) = self.part(of.body)?;
        self.locals.pop();
        let kind = match of.what {
            Each::Map => Type::List(Box::new(given)),
            _ if !given.may_be(&Type::Bool) => return Err(no_truth(name, &given)),
            Each::Filter => Type::List(Box::new(element)),
            Each::All | Each::Exists | Each::ExistsOne => Type::Bool,
        };
        let node = Node::Each {
            what: of.what,
            over: Box::new(over),
            only: only.map(Box::new),
            body: Box::new(body),
        };
        Ok((node, kind))
    }
}
