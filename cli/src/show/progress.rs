//! One line that says what is awaited: redrawn in place on a terminal, a plain line a change elsewhere, so that
//! the log of a CI job is neither empty nor endless.

use std::io::Write;

/// A progress line. What it shows is gone, on a terminal, once it is dropped or cleared.
#[derive(Debug)]
pub struct Progress {
    form: Form,
    /// What was shown last, without what changes all the time.
    last: String,
    drawn: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Redrawn.
    InPlace,
    /// One line a change.
    Lines,
    /// Not shown.
    Hidden,
}

impl Progress {
    pub(super) const fn new(terminal: bool) -> Self {
        let form = if terminal { Form::InPlace } else { Form::Lines };
        Self {
            form,
            last: String::new(),
            drawn: false,
        }
    }

    /// One that shows nothing, for waits that are short.
    pub const fn none() -> Self {
        Self {
            form: Form::Hidden,
            last: String::new(),
            drawn: false,
        }
    }

    /// Shows where things are. `what` is compared with what was shown before; `detail` (a time that runs, a size
    /// that grows) follows it, and alone is no reason for a new line.
    pub fn set(&mut self, what: &str, detail: &str) {
        let changed = self.last != what;
        let mut err = std::io::stderr().lock();
        // Nobody is left to tell where standard error is gone.
        if self.form == Form::InPlace {
            let _ = write!(err, "\r\u{1b}[2K{what}{detail}");
            let _ = err.flush();
            self.drawn = true;
        } else if changed && self.form == Form::Lines {
            let _ = writeln!(err, "{what}{detail}");
        }
        if changed {
            what.clone_into(&mut self.last);
        }
    }

    /// Takes the line away, so that other lines can be written.
    pub fn clear(&mut self) {
        if self.drawn {
            let mut err = std::io::stderr().lock();
            let _ = write!(err, "\r\u{1b}[2K");
            let _ = err.flush();
            self.drawn = false;
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
