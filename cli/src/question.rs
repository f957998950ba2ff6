//! A question before something that is hard to take back: on a terminal only. Elsewhere scripts go on as ever, and each
//! command that asks has a flag that answers.

use std::io::{IsTerminal, Write};

/// Whether there is somebody to ask.
pub(crate) fn somebody_is_there() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks; what is answered has to be `wanted`, or for a plain `y` also `yes`.
pub(crate) fn agreed(question: &str, wanted: &str) -> bool {
    let mut stderr = std::io::stderr();
    let asked = write!(stderr, "{question} ").and_then(|()| stderr.flush());
    let mut answer = String::new();
    asked.is_ok()
        && std::io::stdin().read_line(&mut answer).is_ok()
        && is_agreement(&answer, wanted)
}

fn is_agreement(answer: &str, wanted: &str) -> bool {
    let answer = answer.trim();
    answer == wanted
        || (wanted == "y"
            && ["y", "yes"]
                .iter()
                .any(|yes| answer.eq_ignore_ascii_case(yes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_for_agrees() {
        assert!(is_agreement("y\n", "y") && is_agreement("YES", "y"));
        assert!(is_agreement(" 14\n", "14"));
        for (answer, wanted) in [("", "y"), ("n", "y"), ("y", "14"), ("1", "14"), ("", "14")] {
            assert!(!is_agreement(answer, wanted), "{answer:?}");
        }
    }
}
