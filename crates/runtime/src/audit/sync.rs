//! The thread that makes records durable: asleep while nothing is written, at work at most once an interval.
//!
//! It tells the exporters, who send only what is durable: else a power cut could take back records that a
//! receiver has, and give their numbers to others. It does not know what records say.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::write::Writer;

/// Owns the thread; the log that holds it ends it, after a last sync.
pub(super) struct Syncer {
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

struct State {
    /// Set by whoever has written, cleared by the thread before it syncs.
    dirty: AtomicBool,
    /// A sync has failed. The kernel may have dropped what it could not write, so that a later success
    /// would prove nothing: this stays until the next start.
    failed: AtomicBool,
    stop: AtomicBool,
    /// Seq of the newest durable record.
    durable: AtomicU64,
    /// Tells the exporters that `durable` has moved.
    moved: Notify,
}

impl Syncer {
    pub(super) fn spawn(writer: Arc<Mutex<Writer>>, interval: Duration) -> io::Result<Self> {
        // Recovery has synced what it found and wrote.
        let durable = AtomicU64::new(writer.lock().seq());
        let state = Arc::new(State {
            dirty: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            durable,
            moved: Notify::new(),
        });
        let shared = state.clone();
        let thread = std::thread::Builder::new()
            .name("audit-sync".to_owned())
            .spawn(move || run(&shared, &writer, interval))?;
        Ok(Self {
            state,
            thread: Some(thread),
        })
    }

    /// Something was written. Costs one exchange while a sync is due already.
    pub(super) fn wake(&self) {
        if !self.state.dirty.swap(true, Ordering::AcqRel) {
            self.unpark();
        }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.state.failed.load(Ordering::Relaxed)
    }

    /// Seq of the newest record that a power cut cannot take back.
    pub(super) fn durable(&self) -> u64 {
        self.state.durable.load(Ordering::Acquire)
    }

    /// Ends when [`Self::durable`] has moved after this was first polled or enabled.
    pub(super) fn moved(&self) -> Notified<'_> {
        self.state.moved.notified()
    }

    fn unpark(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::Release);
        self.unpark();
        if self
            .thread
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            tracing::error!("the thread that syncs the audit log has panicked");
        }
    }
}

fn run(state: &State, writer: &Mutex<Writer>, interval: Duration) {
    loop {
        let stopping = state.stop.load(Ordering::Acquire);
        if state.dirty.load(Ordering::Acquire) {
            if !stopping {
                // Records gather; a stop wakes us early.
                std::thread::park_timeout(interval);
            }
            state.dirty.store(false, Ordering::Release);
            sync(state, writer);
        } else if stopping {
            return;
        } else {
            std::thread::park();
        }
    }
}

fn sync(state: &State, writer: &Mutex<Writer>) {
    let ((files, seq), dir) = {
        let mut writer = writer.lock();
        (writer.take_unsynced(), writer.dir().to_owned())
    };
    let new_segment = files.len() > 1;
    let mut result = files.iter().try_for_each(|file| file.sync_data());
    if new_segment {
        result = result.and_then(|()| std::fs::File::open(&dir)?.sync_all());
    }
    match result {
        Ok(()) if !state.failed.load(Ordering::Relaxed) => {
            state.durable.store(seq, Ordering::Release);
            state.moved.notify_waiters();
        }
        Ok(()) => {}
        Err(error) => {
            if !state.failed.swap(true, Ordering::Relaxed) {
                tracing::error!(
                    dir = %dir.display(), %error,
                    "audit log cannot be made durable: calls are refused until a restart"
                );
            }
        }
    }
}
