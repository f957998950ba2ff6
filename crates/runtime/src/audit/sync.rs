//! The thread that makes records durable: asleep while nothing is written, at work at most once an interval.
//! After a quiet time the end of a call is synced at once, so that who looks sees it; under load records gather.
//!
//! It tells the exporters, who send only what is durable: else a power cut could take back records that a
//! receiver has, and give their numbers to others. It does not know what records say.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

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
    /// Likewise, by whoever has closed a call: nothing more of it will come, so there is nothing to wait for.
    closed: AtomicBool,
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
            closed: AtomicBool::new(false),
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

    /// Something was written, and `closed` a call. Costs an exchange or two while a sync is due already.
    pub(super) fn wake(&self, closed: bool) {
        let first = !self.state.dirty.swap(true, Ordering::AcqRel);
        let hurry = closed && !self.state.closed.swap(true, Ordering::AcqRel);
        if first || hurry {
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
    let mut last = Instant::now();
    loop {
        let stopping = state.stop.load(Ordering::Acquire);
        if state.dirty.load(Ordering::Acquire) {
            if !stopping {
                gather(state, last, interval);
            }
            state.dirty.store(false, Ordering::Release);
            state.closed.store(false, Ordering::Release);
            sync(state, writer);
            last = Instant::now();
        } else if stopping {
            return;
        } else {
            std::thread::park();
        }
    }
}

/// Waits while records gather: an interval from the first of them, or only until an interval has passed since
/// the `last` sync where a call has closed. A stop ends the wait.
fn gather(state: &State, last: Instant, interval: Duration) {
    let first = Instant::now();
    loop {
        let from = if state.closed.load(Ordering::Acquire) {
            last
        } else {
            first
        };
        let left = (from + interval).saturating_duration_since(Instant::now());
        if left.is_zero() || state.stop.load(Ordering::Acquire) {
            return;
        }
        std::thread::park_timeout(left);
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
