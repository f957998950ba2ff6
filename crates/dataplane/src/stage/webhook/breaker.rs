//! Does not ask who has not answered: after some errors in a row nobody is asked for a moment; then one question at a
//! time goes out, until one is answered.

use std::time::Duration;

use tokio::time::Instant;

/// Errors in a row after which it opens.
const ERRORS_MAX: u32 = 5;
/// How long nobody is asked, and how often one may try after that.
const PAUSE: Duration = Duration::from_secs(1);

/// One receiver's.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    errors: u32,
    /// When the next question may go out, once it is open.
    next: Option<Instant>,
}

impl Breaker {
    /// Whether a question may go out now; where it is open, this is then the one that tries.
    pub(super) fn may_ask(&mut self, now: Instant) -> bool {
        match self.next {
            None => true,
            Some(next) if now < next => false,
            Some(_) => {
                self.next = Some(now + PAUSE);
                true
            }
        }
    }

    /// What became of a question.
    pub(super) fn note(&mut self, answered: bool, now: Instant) {
        if answered {
            *self = Self::default();
            return;
        }
        self.errors = self.errors.saturating_add(1);
        if self.errors >= ERRORS_MAX {
            self.next = Some(now + PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_errors_in_a_row_and_closes_with_the_first_answer() {
        let mut breaker = Breaker::default();
        let start = Instant::now();
        for _ in 0..ERRORS_MAX - 1 {
            assert!(breaker.may_ask(start));
            breaker.note(false, start);
        }
        breaker.note(true, start);
        for _ in 0..ERRORS_MAX {
            assert!(
                breaker.may_ask(start),
                "errors that are not in a row do not count"
            );
            breaker.note(false, start);
        }
        assert!(!breaker.may_ask(start + PAUSE / 2));
        let later = start + PAUSE;
        assert!(breaker.may_ask(later), "one may try");
        assert!(!breaker.may_ask(later), "and only one");
        breaker.note(false, later);
        assert!(!breaker.may_ask(later + PAUSE / 2));
        assert!(breaker.may_ask(later + PAUSE));
        breaker.note(true, later + PAUSE);
        assert!(breaker.may_ask(later + PAUSE) && breaker.may_ask(later + PAUSE));
    }
}
