//! Who hears what a server says about no call of anybody's: that a list has changed, that a resource was updated.
//!
//! Subscriptions to resources are counted: the server is told of the first and of the last one only.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use mcp::envelope::Kind;
use mcp::method;
use parking_lot::Mutex;

use super::http::Attended;
use super::link::Link;
use super::response::Heard;

/// Whoever listens to a server.
pub trait Listener: Send + Sync {
    /// Takes a message that came over `link`, where there is one; false where it is not for this listener, or cannot be
    /// taken.
    fn hear(&self, heard: &Heard, link: Option<&Link>) -> bool;
}

/// The listeners of one session with a server. Locked for the time of a look.
#[derive(Default)]
pub struct Feed {
    listeners: Mutex<Vec<Weak<dyn Listener>>>,
    /// How many want to hear of a resource, by URI.
    wanted: Mutex<HashMap<String, usize>>,
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed")
            .field("listeners", &self.listeners.lock().len())
            .finish_non_exhaustive()
    }
}

impl Feed {
    /// Adds a listener, for as long as it lives.
    pub fn add(&self, listener: Weak<dyn Listener>) {
        let mut listeners = self.listeners.lock();
        listeners.retain(|known| known.strong_count() > 0 && !known.ptr_eq(&listener));
        listeners.push(listener);
    }

    /// Hands a message on: a notification to all who want it, a request to the first who takes it. False: nobody did.
    pub fn hear(&self, heard: &Heard, link: Option<&Link>) -> bool {
        let listeners: Vec<Arc<dyn Listener>> = {
            let listeners = self.listeners.lock();
            listeners.iter().filter_map(Weak::upgrade).collect()
        };
        let mut taken = listeners.iter().map(|listener| listener.hear(heard, link));
        if heard.kind == Kind::Request {
            taken.any(|taken| taken)
        } else {
            taken.fold(false, |any, taken| any | taken)
        }
    }

    /// One more wants to hear of `uri`; true: it is the first, and the server is to be told. See [`Interest`].
    fn want(&self, uri: &str) -> bool {
        let mut wanted = self.wanted.lock();
        let count = wanted.entry(uri.to_owned()).or_default();
        *count += 1;
        *count == 1
    }

    /// One less wants to hear of `uri`; true: it was the last, and the server is to be told.
    fn no_longer(&self, uri: &str) -> bool {
        let mut wanted = self.wanted.lock();
        let Some(count) = wanted.get_mut(uri) else {
            return false;
        };
        *count -= 1;
        let last = *count == 0;
        if last {
            wanted.remove(uri);
        }
        last
    }
}

/// Where a server is listened to.
#[derive(Debug, Clone)]
pub enum Ear {
    /// On the pipes of a process.
    Link(Link),
    /// On the own stream of a session over HTTP.
    Attended(Arc<Attended>),
}

impl Ear {
    /// Who hears what is said there.
    pub fn feed(&self) -> &Feed {
        match self {
            Self::Link(link) => link.feed(),
            Self::Attended(attended) => attended.feed(),
        }
    }

    /// Whether it is at this process.
    pub fn is_at(&self, link: &Link) -> bool {
        matches!(self, Self::Link(known) if known.is(link))
    }

    /// Ready when nothing will be heard any more.
    pub async fn over(&self) {
        match self {
            Self::Link(link) => link.silent().await,
            Self::Attended(attended) => attended.over().await,
        }
    }

    fn unsubscribe(&self, uri: &str) {
        let params = serde_json::json!({ "uri": uri });
        let order = |id: u64| {
            let method = method::RESOURCES_UNSUBSCRIBE;
            serde_json::json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
                .to_string()
                .into_bytes()
        };
        match self {
            Self::Link(link) => link.answer(order(link.next_id())),
            Self::Attended(attended) => attended.tell(order),
        }
    }
}

/// That somebody wants to hear of a resource: counted as long as this lives, and with the last of them the server is told.
#[derive(Debug)]
pub struct Interest {
    ear: Ear,
    uri: String,
}

impl Interest {
    /// Counts it. True: it is the first, and the server is to be told by whoever asks.
    pub fn of(ear: Ear, uri: &str) -> (Self, bool) {
        let is_first = ear.feed().want(uri);
        let uri = uri.to_owned();
        (Self { ear, uri }, is_first)
    }

    /// Where it is listened to.
    pub fn ear(&self) -> &Ear {
        &self.ear
    }
}

impl Drop for Interest {
    fn drop(&mut self) {
        if self.ear.feed().no_longer(&self.uri) {
            self.ear.unsubscribe(&self.uri);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bytes::Bytes;
    use mcp::envelope::{Limits, scan};

    use super::*;

    struct Hearer(AtomicUsize, bool);

    impl Listener for Hearer {
        fn hear(&self, _: &Heard, _: Option<&Link>) -> bool {
            self.0.fetch_add(1, Ordering::Relaxed);
            self.1
        }
    }

    fn heard(text: &'static str) -> Heard {
        let bytes = Bytes::from_static(text.as_bytes());
        Heard::new(bytes.clone(), &scan(&bytes, &Limits::RESPONSE).unwrap())
    }

    #[test]
    fn all_hear_a_notification_and_one_a_request() {
        let feed = Feed::default();
        let ears: Vec<_> = [false, true, true]
            .map(|takes| Arc::new(Hearer(AtomicUsize::new(0), takes)))
            .into();
        for ear in &ears {
            let ear: Arc<dyn Listener> = ear.clone();
            feed.add(Arc::downgrade(&ear));
            feed.add(Arc::downgrade(&ear));
        }
        let counts =
            || -> Vec<usize> { ears.iter().map(|e| e.0.load(Ordering::Relaxed)).collect() };
        assert!(feed.hear(
            &heard(r#"{"jsonrpc":"2.0","method":"notifications/x"}"#),
            None
        ));
        assert_eq!(counts(), [1, 1, 1]);
        assert!(feed.hear(
            &heard(r#"{"jsonrpc":"2.0","id":1,"method":"roots/list"}"#),
            None
        ));
        assert_eq!(counts(), [2, 2, 1]);
        drop(ears);
        assert!(!feed.hear(
            &heard(r#"{"jsonrpc":"2.0","method":"notifications/x"}"#),
            None
        ));
    }

    #[test]
    fn the_server_is_told_of_the_first_and_the_last() {
        let feed = Feed::default();
        assert!(feed.want("a") && !feed.want("a") && feed.want("b"));
        assert!(!feed.no_longer("a") && feed.no_longer("a") && !feed.no_longer("a"));
    }
}
