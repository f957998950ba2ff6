//! Who wants to know that something changed: listeners of the modern era, subscribers of the legacy one.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rmcp::model::ResourceUpdatedNotificationParam;
use rmcp::service::{Peer, RoleServer, SubscriptionContext, SubscriptionSink};

/// Both tables are locked for a look-up or a change only, never over an await.
#[derive(Default)]
pub struct Changes {
    listeners: Mutex<HashMap<u64, SubscriptionSink>>,
    next_listener: AtomicU64,
    /// By session and URI.
    subscribers: Mutex<HashMap<(u64, String), Peer<RoleServer>>>,
}

impl Changes {
    /// Serves one listener until it leaves.
    pub async fn listen(&self, context: SubscriptionContext) {
        let listener = self.next_listener.fetch_add(1, Ordering::Relaxed);
        let sink = context.sink().clone();
        self.listeners
            .lock()
            .expect("no holder panics")
            .insert(listener, sink);
        context.cancelled().await;
        self.listeners
            .lock()
            .expect("no holder panics")
            .remove(&listener);
    }

    pub fn subscribe(&self, session: u64, uri: String, peer: Peer<RoleServer>) {
        let mut subscribers = self.subscribers.lock().expect("no holder panics");
        subscribers.insert((session, uri), peer);
    }

    pub fn unsubscribe(&self, session: u64, uri: &str) {
        let mut subscribers = self.subscribers.lock().expect("no holder panics");
        subscribers.remove(&(session, uri.to_owned()));
    }

    /// The session ended.
    pub fn forget(&self, session: u64) {
        let mut subscribers = self.subscribers.lock().expect("no holder panics");
        subscribers.retain(|(of, _), _| *of != session);
    }

    // What a listener did not ask for, and one that left, is refused by its sink; so no error counts.

    pub async fn tools_changed(&self) {
        for listener in self.listeners() {
            let _ = listener.notify_tool_list_changed().await;
        }
    }

    pub async fn prompts_changed(&self) {
        for listener in self.listeners() {
            let _ = listener.notify_prompt_list_changed().await;
        }
    }

    pub async fn resource_changed(&self, uri: &str) {
        for listener in self.listeners() {
            let _ = listener.notify_resource_updated(uri).await;
        }
        let subscribers: Vec<_> = {
            let subscribers = self.subscribers.lock().expect("no holder panics");
            let of = subscribers.iter().filter(|((_, wanted), _)| wanted == uri);
            of.map(|(_, peer)| peer.clone()).collect()
        };
        for peer in subscribers {
            let _ = peer
                .notify_resource_updated(ResourceUpdatedNotificationParam::new(uri))
                .await;
        }
    }

    fn listeners(&self) -> Vec<SubscriptionSink> {
        let listeners = self.listeners.lock().expect("no holder panics");
        listeners.values().cloned().collect()
    }
}
