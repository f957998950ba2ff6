//! Checks operators: what stands on both sides has to fit.

use cel::common::ast::{IdedExpr, operators};

use super::Mistake;
use super::check::{Checker, Typed};
use super::syntax::{Const, Node, Op, Type};

impl Checker {
    pub(super) fn is_operator(&self, name: &str) -> bool {
        // Operators are named with a placeholder for each side.
        name.starts_with('_') || name.ends_with('_') || name == operators::IN
    }

    pub(super) fn operator(&mut self, name: &str, args: &[IdedExpr]) -> Result<Typed, Mistake> {
        match (name, args) {
            (operators::LOGICAL_AND, [a, b]) => {
                let (first, second) = self.both(a, b, "&&")?;
                Ok((Node::And(first, second), Type::Bool))
            }
            (operators::LOGICAL_OR, [a, b]) => {
                let (first, second) = self.both(a, b, "||")?;
                Ok((Node::Or(first, second), Type::Bool))
            }
            (operators::LOGICAL_NOT, [a]) => {
                Ok((Node::Not(Box::new(self.truth(a, "!")?)), Type::Bool))
            }
            (operators::NEGATE, [a]) => self.negate(a),
            (operators::CONDITIONAL, [a, b, c]) => {
                let asked = Box::new(self.truth(a, "?")?);
                let ((yes, one), (no, other)) = (self.part(b)?, self.part(c)?);
                let kind = if one == other { one } else { Type::Dyn };
                Ok((Node::If(asked, Box::new(yes), Box::new(no)), kind))
            }
            (operators::INDEX, [a, b]) => self.index(a, b),
            (_, [a, b]) => {
                let op = op_of(name).ok_or_else(|| unknown(name))?;
                self.two(op, a, b)
            }
            _ => Err(unknown(name)),
        }
    }

    /// Both sides of `&&` or `||`, which may stand either way round in CEL. What does not ask for the call's arguments comes
    /// first: where it decides they are not read, and no argument can use up its steps.
    fn both(
        &mut self,
        a: &IdedExpr,
        b: &IdedExpr,
        of: &str,
    ) -> Result<(Box<Node>, Box<Node>), Mistake> {
        let before = std::mem::take(&mut self.needs);
        let first = Box::new(self.truth(a, of)?);
        let one = std::mem::take(&mut self.needs);
        let second = Box::new(self.truth(b, of)?);
        let other = self.needs;
        self.needs = before.and(one).and(other);
        Ok(if one.args && !other.args {
            (second, first)
        } else {
            (first, second)
        })
    }

    fn negate(&mut self, of: &IdedExpr) -> Result<Typed, Mistake> {
        let (node, kind) = self.part(of)?;
        let kind = match kind {
            Type::Int | Type::Double | Type::Dyn => kind,
            other => {
                return Err(Mistake::never(format!(
                    "- wants a number, not {}",
                    other.words()
                )));
            }
        };
        Ok(match node {
            Node::Const(Const::Int(n)) => match n.checked_neg() {
                Some(n) => (Node::Const(Const::Int(n)), kind),
                None => return Err(Mistake::bad(format!("-{n} is too great"))),
            },
            Node::Const(Const::Double(n)) => (Node::Const(Const::Double(-n)), kind),
            other => (Node::Negate(Box::new(other)), kind),
        })
    }

    fn index(&mut self, of: &IdedExpr, at: &IdedExpr) -> Result<Typed, Mistake> {
        let (of, kind) = self.part(of)?;
        let (at, place) = self.part(at)?;
        let (wanted, given) = match kind {
            Type::Dyn => (Type::Dyn, Type::Dyn),
            Type::List(element) => (Type::Int, *element),
            Type::Labels => (Type::Text, Type::Text),
            other => return Err(Mistake::never(format!("{} has no places", other.words()))),
        };
        let fits = place.may_be(&wanted) || (wanted == Type::Int && place == Type::UInt);
        if !fits {
            let message = format!(
                "the place is {}, and has to be {}",
                place.words(),
                wanted.words()
            );
            return Err(Mistake::never(message));
        }
        Ok((Node::Index(Box::new(of), Box::new(at)), given))
    }

    fn two(&mut self, op: Op, a: &IdedExpr, b: &IdedExpr) -> Result<Typed, Mistake> {
        let (left, one) = self.part(a)?;
        let (right, other) = self.part(b)?;
        let kind = kind_of(op, &one, &other)?;
        Ok((Node::Op(op, Box::new(left), Box::new(right)), kind))
    }
}

fn op_of(name: &str) -> Option<Op> {
    Some(match name {
        operators::ADD => Op::Add,
        operators::SUBSTRACT => Op::Sub,
        operators::MULTIPLY => Op::Mul,
        operators::DIVIDE => Op::Div,
        operators::MODULO => Op::Rem,
        operators::EQUALS => Op::Eq,
        operators::NOT_EQUALS => Op::Ne,
        operators::LESS => Op::Lt,
        operators::LESS_EQUALS => Op::Le,
        operators::GREATER => Op::Gt,
        operators::GREATER_EQUALS => Op::Ge,
        operators::IN => Op::In,
        _ => return None,
    })
}

/// What comes of two values.
fn kind_of(op: Op, one: &Type, other: &Type) -> Result<Type, Mistake> {
    use Type::{Bool, Double, Dyn, Int, Labels, List, Null, Span, Text, Time, UInt};
    let unfit = |what: &str| {
        let message = format!("{what} {} and {}", one.words(), other.words());
        Err(Mistake::never(message))
    };
    match op {
        Op::Eq | Op::Ne => {
            let numbers = one.is_number() && other.is_number();
            if numbers || one.may_be(other) || *one == Null || *other == Null {
                return Ok(Bool);
            }
            let refused = unfit("it compares");
            match (one, other) {
                (List(_), Text) | (Text, List(_)) => refused.map_err(|m: Mistake| {
                    m.fix("to look for text in a list: \"eng\" in principal.groups")
                }),
                _ => refused,
            }
        }
        Op::Lt | Op::Le | Op::Gt | Op::Ge => match (one, other) {
            (Dyn, Dyn | Bool | Int | UInt | Double | Text | Time | Span)
            | (Bool | Int | UInt | Double | Text | Time | Span, Dyn) => Ok(Bool),
            (Bool, Bool) | (Text, Text) | (Time, Time) | (Span, Span) => Ok(Bool),
            (a, b) if a.is_number() && b.is_number() => Ok(Bool),
            _ => unfit("it orders"),
        },
        Op::In => match other {
            Dyn => Ok(Bool),
            List(element) if one.may_be(element) || (one.is_number() && element.is_number()) => {
                Ok(Bool)
            }
            Labels if one.may_be(&Text) => Ok(Bool),
            _ => unfit("it looks with `in` for"),
        },
        Op::Add => match (one, other) {
            (Time, Span) | (Span, Time) => Ok(Time),
            (Span, Span) => Ok(Span),
            (Text, Text) => Ok(Text),
            (List(a), List(b)) if a == b => Ok(one.clone()),
            (List(_), List(_) | Dyn) | (Dyn, List(_)) => Ok(List(Box::new(Dyn))),
            (Dyn, Text) | (Text, Dyn) => Ok(Text),
            (Dyn, Time | Span) | (Time | Span, Dyn) => Ok(Dyn),
            _ => arithmetic(one, other).map_or_else(|| unfit("it adds"), Ok),
        },
        Op::Sub => match (one, other) {
            (Time, Time) | (Span, Span) => Ok(Span),
            (Time, Span) => Ok(Time),
            (Time | Span, Dyn) | (Dyn, Time | Span) => Ok(Dyn),
            _ => arithmetic(one, other).map_or_else(|| unfit("it takes apart"), Ok),
        },
        Op::Mul | Op::Div => arithmetic(one, other).map_or_else(|| unfit("it reckons with"), Ok),
        Op::Rem => match arithmetic(one, other) {
            Some(Double) | None => unfit("% wants two whole numbers, not"),
            Some(kind) => Ok(kind),
        },
    }
}

/// Of two numbers of one kind. CEL mixes none.
fn arithmetic(one: &Type, other: &Type) -> Option<Type> {
    match (one, other) {
        (Type::Dyn, Type::Dyn) => Some(Type::Dyn),
        (Type::Dyn, kind) | (kind, Type::Dyn) if kind.is_number() => Some(kind.clone()),
        (a, b) if a == b && a.is_number() => Some(a.clone()),
        _ => None,
    }
}

fn unknown(name: &str) -> Mistake {
    Mistake::bad(format!("conditions have no operator {name}"))
}
