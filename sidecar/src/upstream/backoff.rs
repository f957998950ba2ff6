//! How long to wait before a server is started again.

use std::time::Duration;

use aws_lc_rs::rand;

/// The first wait.
const FIRST: Duration = Duration::from_millis(500);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(30);
/// A server that ran so long has recovered.
const RECOVERED_AFTER: Duration = Duration::from_secs(60);

/// Waits that double, each cut by up to half at random, so that what fell together does not rise
/// together.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after a failure of what ran for `up`.
    pub fn after(&mut self, up: Duration) -> Duration {
        if up >= RECOVERED_AFTER {
            self.failures = 0;
        }
        let whole = FIRST
            .saturating_mul(1 << self.failures.min(16))
            .min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        whole.mul_f64(0.5 + fraction() / 2.0)
    }

    /// Forgets failures: what is started next is something else.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// A random number in `0.0..1.0`. Without randomness the waits are the longest.
fn fraction() -> f64 {
    let mut bytes = [0xff; 2];
    let _ = rand::fill(&mut bytes);
    f64::from(u16::from_le_bytes(bytes)) / 65536.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_begin_anew_after_recovery() {
        let mut backoff = Backoff::default();
        for whole_ms in [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000] {
            let wait = backoff.after(Duration::from_secs(1));
            let whole = Duration::from_millis(whole_ms);
            assert!(
                (whole / 2..=whole).contains(&wait),
                "{wait:?} is not within {whole:?}"
            );
        }
        assert!(backoff.after(RECOVERED_AFTER) <= FIRST);
        assert!(backoff.after(Duration::ZERO) > FIRST / 2);
    }
}
