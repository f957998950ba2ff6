//! Conditions of rules: CEL, checked when a rule is written, evaluated at each decision that needs them.
//!
//! ```text
//! text --cel's parser--> tree --check--> Node, with types and bounds --run--> holds | does not | unknown | fails
//! ```
//!
//! The language and its parser are the `cel` crate's. What is checked and how it is evaluated is ours, for three things
//! that a gateway needs: a bound on what one evaluation may cost, whatever a caller sends; no allocation for what a
//! condition does not ask; and a third answer besides yes and no. In a list nobody knows the arguments yet: what depends
//! on them is *unknown*, and only what is decided without them decides. So a list and a call never contradict each
//! other. `tests` hold it against the crate's own evaluator.
//!
//! It must not know rules: [`crate::access`] says what each outcome means for one.

mod calls;
mod check;
mod loops;
mod operators;
mod run;
mod scope;
mod syntax;
mod value;

use std::fmt;

use model::fault::{BAD_VALUE, NEVER_MATCHES, TOO_MUCH};

pub use scope::Facts;
pub(crate) use scope::{Scope, labels};

use syntax::{Needs, Node};

/// Longest condition, in bytes.
pub const TEXT_BYTES_MAX: usize = 4 * 1024;
/// Most parts (values, operators, calls) of a condition.
pub const NODES_MAX: usize = 500;
/// How deep its parts may lie in each other.
pub const DEPTH_MAX: usize = 32;
/// How deep `all`, `exists`, `map` and the like may lie in each other.
pub const NESTING_MAX: usize = 2;
/// Longest regular expression, in bytes.
pub const PATTERN_BYTES_MAX: usize = 512;
/// Most steps of one evaluation: a part that is looked at is one, and so are 64 bytes that are.
pub const STEPS_MAX: u32 = 100_000;

/// A condition that was checked.
#[derive(Debug)]
pub struct Condition {
    text: Box<str>,
    node: Node,
    needs: Needs,
}

/// What came of an evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Holds,
    /// It does not hold.
    Fails,
    /// It depends on what is not known here.
    Unknown,
    /// It cannot be evaluated, and why: an argument that is not there, a text where a number is wanted, too many steps.
    Error(String),
}

/// Why a condition is refused where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// A code of [`model::fault::CODES`].
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What mends it, where that is known.
    pub fix: Option<String>,
}

impl Mistake {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            fix: None,
        }
    }

    /// It could never take effect.
    fn never(message: impl fmt::Display) -> Self {
        Self::new(NEVER_MATCHES, format!("can never match: {message}"))
    }

    /// It is not of the language.
    fn bad(message: impl Into<String>) -> Self {
        Self::new(BAD_VALUE, message)
    }

    /// It could cost too much.
    fn too_much(message: impl Into<String>) -> Self {
        Self::new(TOO_MUCH, message)
    }

    #[must_use]
    fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

impl Condition {
    /// Reads and checks a condition.
    ///
    /// # Errors
    /// It is no CEL, asks for what there is not, could never hold, or could cost too much.
    pub fn compile(text: &str) -> Result<Self, Mistake> {
        let (node, needs) = check::condition(text)?;
        Ok(Self {
            text: text.into(),
            node,
            needs,
        })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it asks for the call's arguments.
    pub fn needs_args(&self) -> bool {
        self.needs.args
    }

    /// Whether it asks for the caller's address.
    pub fn needs_address(&self) -> bool {
        self.needs.address
    }

    /// Whether it asks what time it is.
    pub fn needs_time(&self) -> bool {
        self.needs.time
    }

    pub(crate) fn evaluate(&self, scope: &Scope<'_>) -> Outcome {
        run::run(&self.node, scope)
    }
}

#[cfg(test)]
mod tests;
