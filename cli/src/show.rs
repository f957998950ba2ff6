//! The one place that writes to standard output and standard error, and that decides about colour.
//!
//! Standard output is the answer; standard error is all else: progress, warnings, hints, faults. Knows nothing
//! of what it shows.

mod progress;
mod screen;
mod table;

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

pub use progress::Progress;
pub use screen::Screen;
pub use table::Table;

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// For people with a wide window.
    Wide,
    /// As `apply` reads it.
    Yaml,
    /// One document, or one a line where it streams.
    Json,
    /// One KIND/NAME a line.
    Name,
    /// What wants a look, and nothing else.
    Short,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set or TERM is `dumb`.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What a piece of text means. Colour is never the only thing that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Nothing in particular.
    Plain,
    /// Works.
    Good,
    /// Worth a look.
    Look,
    /// Somebody must act.
    Act,
    /// The name in question.
    Name,
}

impl Meaning {
    fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Look => AnsiColor::Yellow.on_default(),
            Self::Act => AnsiColor::Red.on_default(),
            Self::Name => Style::new().bold(),
        }
    }
}

/// What the environment says about output; read once, by the caller of [`Show::new`].
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// `NO_COLOR` is set and not empty.
    pub no_color: bool,
    /// `CLICOLOR_FORCE` is set and not 0.
    pub force_color: bool,
    /// TERM is `dumb`.
    pub dumb: bool,
}

/// Writes what the user sees.
#[derive(Debug)]
pub struct Show {
    format: Format,
    color_out: bool,
    color_err: bool,
    /// Whether standard output is a terminal that can be redrawn.
    terminal_out: bool,
    /// Whether standard error is a terminal that can be redrawn.
    terminal: bool,
    quiet: bool,
    verbose: bool,
    /// Set once the reader of standard output is gone (`… | head`): nothing is written any more.
    closed: AtomicBool,
}

impl Show {
    /// A table without colour, and nothing but what was asked for.
    #[cfg(test)]
    pub(crate) fn plain() -> Self {
        let around = Surroundings::default();
        Self::new(Format::Table, ColorChoice::Never, &around, true, false)
    }

    /// Decides about colour and terminals, once.
    pub fn new(
        format: Format,
        color: ColorChoice,
        around: &Surroundings,
        quiet: bool,
        verbose: bool,
    ) -> Self {
        let (out, err) = (
            std::io::stdout().is_terminal(),
            std::io::stderr().is_terminal(),
        );
        Self {
            format,
            color_out: colored(color, around, out),
            color_err: colored(color, around, err),
            terminal_out: out && !around.dumb,
            terminal: err && !around.dumb,
            quiet,
            verbose,
            closed: AtomicBool::new(false),
        }
    }

    /// The form asked for.
    pub const fn format(&self) -> Format {
        self.format
    }

    /// Whether the answer is for a program.
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether more is wanted than usual.
    pub const fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// Whether nobody reads standard output any more.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// One line (or more) of the answer.
    pub fn line(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        let written = writeln!(out, "{text}").and_then(|()| out.flush());
        if written.is_err() {
            self.closed.store(true, Ordering::Relaxed);
        }
    }

    /// Text that is the answer as it is, its last newline included.
    pub fn text(&self, text: &str) {
        self.line(text.strip_suffix('\n').unwrap_or(text));
    }

    /// The answer as one JSON document.
    pub fn json<T: Serialize>(&self, answer: &T) {
        self.line(
            &serde_json::to_string_pretty(answer)
                .expect("answers have text keys and finite numbers"),
        );
    }

    /// One item of a stream, as JSON on one line.
    pub fn json_line<T: Serialize>(&self, item: &T) {
        self.line(&serde_json::to_string(item).expect("answers have text keys and finite numbers"));
    }

    /// The answer as a table. One without rows says so on standard error, in the words of `if_empty`.
    pub fn table(&self, table: &Table, if_empty: &str) {
        if table.is_empty() {
            self.note(if_empty);
        } else {
            self.line(&table.render(self.color_out));
        }
    }

    /// A line on standard error.
    pub fn note(&self, text: &str) {
        // Nobody is left to tell where standard error is gone.
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }

    /// A command to type next: on a terminal only, and not with `-q`.
    pub fn hint(&self, command: &str) {
        if self.terminal && !self.quiet {
            self.note(&format!("next: {command}"));
        }
    }

    /// A place on the terminal that is redrawn. `None` where standard output is no terminal.
    pub fn screen(&self) -> Option<Screen> {
        self.terminal_out.then(Screen::default)
    }

    /// A table as [`Self::table`] would write it.
    pub fn drawn(&self, table: &Table) -> String {
        table.render(self.color_out)
    }

    /// A progress line on standard error: redrawn in place on a terminal, a line a change elsewhere.
    pub fn progress(&self) -> Progress {
        Progress::new(self.terminal)
    }

    /// `text` in the colour of its meaning, for standard output.
    pub fn paint(&self, meaning: Meaning, text: &str) -> String {
        paint(self.color_out, meaning, text)
    }

    /// `text` in the colour of its meaning, for standard error.
    pub fn paint_err(&self, meaning: Meaning, text: &str) -> String {
        paint(self.color_err, meaning, text)
    }
}

fn paint(color: bool, meaning: Meaning, text: &str) -> String {
    if color && meaning != Meaning::Plain {
        let style = meaning.style();
        format!("{style}{text}{style:#}")
    } else {
        text.to_owned()
    }
}

fn colored(choice: ColorChoice, around: &Surroundings, terminal: bool) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto if around.no_color => false,
        ColorChoice::Auto if around.force_color => true,
        ColorChoice::Auto => terminal && !around.dumb,
    }
}

/// The nearest of `names` to what was typed, if one is near enough to be meant.
pub fn nearest<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Below this, names have little in common.
    const SIMILARITY_MIN: f64 = 0.75;
    names
        .into_iter()
        .map(|name| (strsim::jaro_winkler(typed, name), name))
        .filter(|(similarity, _)| *similarity >= SIMILARITY_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// `text` as one word of a shell command, ready to paste.
pub fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_decided_in_the_order_of_the_flags() {
        let plain = Surroundings::default();
        let no = Surroundings {
            no_color: true,
            force_color: true,
            ..Surroundings::default()
        };
        let force = Surroundings {
            force_color: true,
            dumb: true,
            ..Surroundings::default()
        };
        let dumb = Surroundings {
            dumb: true,
            ..Surroundings::default()
        };
        assert!(colored(ColorChoice::Auto, &plain, true));
        assert!(!colored(ColorChoice::Auto, &plain, false));
        assert!(colored(ColorChoice::Always, &no, false));
        assert!(!colored(ColorChoice::Never, &force, true));
        assert!(!colored(ColorChoice::Auto, &no, true));
        assert!(colored(ColorChoice::Auto, &force, false));
        assert!(!colored(ColorChoice::Auto, &dumb, true));
    }

    #[test]
    fn only_near_names_are_offered() {
        let names = ["everything", "time"];
        assert_eq!(nearest("everythnig", names), Some("everything"));
        assert_eq!(nearest("tiem", names), Some("time"));
        assert_eq!(nearest("zoo", names), None);
    }

    #[test]
    fn words_survive_the_shell() {
        assert_eq!(shell_word("echo"), "echo");
        assert_eq!(shell_word(""), "''");
        assert_eq!(shell_word("ana@example.com"), "ana@example.com");
        assert_eq!(
            shell_word(r#"{"message":"it's"}"#),
            r#"'{"message":"it'\''s"}'"#
        );
    }

    #[test]
    fn paint_is_only_around_what_means_something() {
        assert_eq!(paint(true, Meaning::Plain, "x"), "x");
        assert_eq!(paint(false, Meaning::Act, "x"), "x");
        assert_eq!(paint(true, Meaning::Act, "x"), "\u{1b}[31mx\u{1b}[0m");
    }
}
