//! Waits that their clients may end by a notification: a legacy client that cancels a call keeps its stream, and the
//! call must not be made once somebody agrees.
//!
//! It knows the waits of this edge. A notification that comes to another one ends nothing there; the client that leaves
//! the stream ends its wait wherever it is.

use std::sync::Arc;

use dashmap::DashMap;
use mcp::envelope::IdKey;
use tokio::sync::Notify;

/// Who waits, by the session's id and the request's.
type Key = (Box<str>, IdKey);

/// The waits of this edge. Clones are the same; there are at most as many as [`super::desk::WAITING_MAX`].
#[derive(Debug, Clone, Default)]
pub struct Waits(Arc<DashMap<Key, Arc<Notify>>>);

/// A wait that may be ended; known until it is dropped.
#[derive(Debug)]
pub struct Wait {
    waits: Waits,
    key: Option<Key>,
    ended: Arc<Notify>,
}

impl Waits {
    /// A wait of the request `id` in a session; one without either cannot be ended so.
    pub fn enter(&self, session: Option<&str>, id: Option<IdKey>) -> Wait {
        let key = session.map(Box::from).zip(id);
        let ended = Arc::new(Notify::new());
        if let Some(key) = &key {
            self.0.insert(key.clone(), ended.clone());
        }
        Wait {
            waits: self.clone(),
            key,
            ended,
        }
    }

    /// Ends the wait of this request, where it is here.
    pub fn cancel(&self, session: &str, id: IdKey) {
        if let Some(ended) = self.0.get(&(session.into(), id)) {
            // Also one that is about to wait hears it.
            ended.notify_one();
        }
    }
}

impl Wait {
    /// Ends when the client has cancelled.
    pub async fn cancelled(&self) {
        self.ended.notified().await;
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            // Another request may have taken the id meanwhile.
            self.waits
                .0
                .remove_if(&key, |_, ended| Arc::ptr_eq(ended, &self.ended));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_request_that_is_meant_ends_and_nothing_is_left() {
        let waits = Waits::default();
        let one = waits.enter(Some("s"), Some(IdKey::Int(1)));
        let two = waits.enter(Some("s"), Some(IdKey::Int(2)));
        let silent = waits.enter(None, Some(IdKey::Int(1)));
        waits.cancel("other", IdKey::Int(1));
        waits.cancel("s", IdKey::Int(1));
        one.cancelled().await;
        tokio::select! {
            biased;
            () = two.cancelled() => panic!("another request was meant"),
            () = silent.cancelled() => panic!("another request was meant"),
            () = std::future::ready(()) => {}
        }
        drop((one, two, silent));
        assert!(waits.0.is_empty());
    }
}
