//! How long to wait before trying again: doubling, bounded, and never in step with anyone else.

use std::time::Duration;

use aws_lc_rs::rand;

/// Pauses that double from `first` to `longest`, each cut by up to half at random.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// Begins with `first`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            next: first,
        }
    }

    /// The next pause.
    pub fn pause(&mut self) -> Duration {
        let full = self.next;
        self.next = (full * 2).min(self.longest);
        full.mul_f64(0.5 + random_fraction() / 2.0)
    }

    /// Begins anew: it went well.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

/// Evenly spread over 0 to 1.
fn random_fraction() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness the pauses are only less well spread.
    let _ = rand::fill(&mut bytes);
    f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew() {
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(1));
        let mut backoff = Backoff::new(first, longest);
        for full in [100, 200, 400, 800, 1000, 1000].map(Duration::from_millis) {
            let pause = backoff.pause();
            assert!(pause <= full && pause >= full / 2, "{pause:?} of {full:?}");
        }
        backoff.reset();
        assert!(backoff.pause() <= first);
    }
}
