//! A piece of text on a terminal that is drawn over by its next state, as `get -w` shows a list that changes.

use std::io::Write;

/// Rows kept free below: for the prompt, and for what standard error has to say.
const ROWS_BELOW: usize = 2;
/// Rows where the terminal does not say how many it has.
const ROWS_DEFAULT: usize = 24;

/// What is drawn now.
#[derive(Debug, Default)]
pub struct Screen {
    rows: usize,
}

impl Screen {
    /// Draws `text` in place of what was drawn before. Answers whether somebody still reads.
    pub fn draw(&mut self, text: &str) -> bool {
        let (drawn, rows) = frame(self.rows, text, height());
        let mut out = std::io::stdout().lock();
        let written = out.write_all(drawn.as_bytes()).and_then(|()| out.flush());
        self.rows = rows;
        written.is_ok()
    }

    /// Other lines follow: what is drawn stays, and the next state is drawn below them.
    pub fn leave(&mut self) {
        self.rows = 0;
    }
}

/// What to write so that `text` stands where `before` rows stood, and how many rows that are. Lines are cut by the
/// terminal, not wrapped: what is wrapped cannot be counted.
fn frame(before: usize, text: &str, height: usize) -> (String, usize) {
    let lines: Vec<&str> = text.lines().collect();
    let room = height.saturating_sub(ROWS_BELOW).max(1);
    let mut shown: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    if lines.len() > room {
        shown.truncate(room - 1);
        shown.push(format!("... and {} more lines", lines.len() - (room - 1)));
    }
    let up = if before == 0 {
        String::new()
    } else {
        format!("\u{1b}[{before}A\r")
    };
    let rows = shown.len();
    let body: String = shown.iter().map(|line| format!("{line}\n")).collect();
    // Erase below; no wrapping meanwhile.
    (format!("{up}\u{1b}[J\u{1b}[?7l{body}\u{1b}[?7h"), rows)
}

fn height() -> usize {
    rustix::termios::tcgetwinsize(std::io::stdout())
        .ok()
        .map(|size| usize::from(size.ws_row))
        .filter(|rows| *rows > 0)
        .unwrap_or(ROWS_DEFAULT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_drawn_over_the_one_before() {
        let (first, rows) = frame(0, "NAME\na", 24);
        assert_eq!(rows, 2);
        assert_eq!(first, "\u{1b}[J\u{1b}[?7lNAME\na\n\u{1b}[?7h");
        let (second, rows) = frame(rows, "NAME\na\nb", 24);
        assert_eq!(rows, 3);
        assert!(second.starts_with("\u{1b}[2A\r\u{1b}[J"), "{second:?}");
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let text = (0..30).map(|n| format!("{n}\n")).collect::<String>();
        let (drawn, rows) = frame(0, &text, 10);
        assert_eq!(rows, 8);
        assert!(drawn.contains("... and 23 more lines"), "{drawn:?}");
    }
}
