//! Who wants to know about which keys. Both backends ring through here.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use tokio::sync::watch;

/// One bell for each prefix that somebody listens to. Prefixes are constants of [`super::key`], so there are
/// a handful of them; listeners of the same prefix share a bell.
#[derive(Debug, Default)]
pub(super) struct Bells {
    /// Locked for a map look-up only. Senders live as long as the store; receivers come and go.
    by_prefix: Mutex<BTreeMap<String, watch::Sender<u64>>>,
}

impl Bells {
    /// A receiver that is bumped for keys that begin with `prefix`.
    pub(super) fn listen(&self, prefix: &str) -> watch::Receiver<u64> {
        self.by_prefix
            .lock()
            .entry(prefix.to_owned())
            .or_insert_with(|| watch::Sender::new(0))
            .subscribe()
    }

    /// Rings for keys that changed: each bell once, however many of its keys did.
    pub(super) fn ring<'a>(&self, keys: impl Iterator<Item = &'a str> + Clone) {
        for (prefix, bell) in self.by_prefix.lock().iter() {
            if keys.clone().any(|key| key.starts_with(prefix.as_str())) {
                bell.send_modify(|n| *n += 1);
            }
        }
    }

    /// Rings everywhere: something may have been missed.
    pub(super) fn ring_all(&self) {
        for bell in self.by_prefix.lock().values() {
            bell.send_modify(|n| *n += 1);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_bell_rings_for_its_prefix_only_and_once() {
        let bells = Bells::default();
        let (mut a, mut b) = (bells.listen("/a/"), bells.listen("/b/"));
        a.mark_unchanged();
        b.mark_unchanged();
        bells.ring(["/a/1", "/a/2"].into_iter());
        assert!(a.has_changed().unwrap());
        assert_eq!(*a.borrow(), 1);
        assert!(!b.has_changed().unwrap());
        bells.ring_all();
        assert!(b.has_changed().unwrap());
    }
}
