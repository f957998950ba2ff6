//! Who owns the tasks of a process, and how they come to an end.
//!
//! A [`Drain`] is a stop signal and the set of tasks that heed it. `leave` says "be served by others from now on";
//! `start` says "take nothing new, finish what you have"; `finish` waits for that, and drops what is left when the
//! deadline passes. Every task of every process is spawned here, so nothing runs that nobody waits for. It does not
//! know what tasks do.

use std::future::Future;
use std::io::Read;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A stop signal and the tasks that heed it. Clones are the same drain.
#[derive(Debug, Clone, Default)]
pub struct Drain {
    /// Others are to be asked from now on.
    leave: CancellationToken,
    /// Take nothing new.
    stop: CancellationToken,
    /// The deadline has passed: tasks are dropped where they stand.
    kill: CancellationToken,
    tasks: TaskTracker,
}

impl Drain {
    /// A drain that nobody has started.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs a task that this drain owns. `None` from the handle: the deadline dropped it.
    ///
    /// The task is asked to end by [`Self::signaled`]; `name` is for the log.
    pub fn spawn<F>(&self, name: &'static str, task: F) -> JoinHandle<Option<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let kill = self.kill.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                biased;
                output = task => Some(output),
                () = kill.cancelled() => {
                    tracing::debug!(task = name, "dropped: it did not end in time");
                    None
                }
            }
        })
    }

    /// Says that others should be asked from now on, while what still comes is still taken.
    pub fn leave(&self) {
        self.leave.cancel();
    }

    /// Ends when [`Self::leave`] or [`Self::start`] has been called.
    pub async fn leaving(&self) {
        self.leave.cancelled().await;
    }

    /// Whether [`Self::leave`] or [`Self::start`] has been called.
    pub fn is_leaving(&self) -> bool {
        self.leave.is_cancelled()
    }

    /// Ends when [`Self::start`] has been called.
    pub async fn signaled(&self) {
        self.stop.cancelled().await;
    }

    /// Tells all tasks to take nothing new. Any number of calls.
    pub fn start(&self) {
        self.leave.cancel();
        self.stop.cancel();
    }

    /// Whether [`Self::start`] has been called.
    pub fn is_draining(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Starts the drain and waits for all tasks. Those that still run at the deadline are dropped at their
    /// next await; `false` says that there were some.
    pub async fn finish(&self, deadline: Duration) -> bool {
        self.start();
        self.tasks.close();
        let in_time = tokio::time::timeout(deadline, self.tasks.wait())
            .await
            .is_ok();
        if !in_time {
            self.kill.cancel();
            self.tasks.wait().await;
        }
        in_time
    }
}

/// Waits until this process is asked to end: SIGTERM, SIGINT, or, with `parent_pipe`, the end of
/// standard input, which is how a part that `up` started learns that `up` is gone, however it died.
///
/// # Errors
/// If signals cannot be heard or the thread that reads the pipe cannot be started.
pub async fn wait_for_stop(parent_pipe: bool) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let parent = if parent_pipe {
        Some(parent_gone()?)
    } else {
        None
    };
    let parent = async {
        match parent {
            Some(gone) => drop(gone.await),
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = terminate.recv() => tracing::info!("asked to end by SIGTERM"),
        _ = interrupt.recv() => tracing::info!("asked to end by SIGINT"),
        () = parent => tracing::info!("ending: the process that started this one is gone"),
    }
    Ok(())
}

/// Fires at the end of standard input. A thread of its own reads it, as a blocked read on the runtime's
/// pool would hold the process back at its end; the thread ends with the pipe or with the process.
fn parent_gone() -> std::io::Result<oneshot::Receiver<()>> {
    let (gone, receiver) = oneshot::channel();
    std::thread::Builder::new()
        .name("parent-pipe".to_owned())
        .spawn(move || {
            let mut input = std::io::stdin().lock();
            let mut ignored = [0; 64];
            loop {
                match input.read(&mut ignored) {
                    Ok(1..) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Ok(0) | Err(_) => break,
                }
            }
            // An error says that nobody waits any more.
            let _ = gone.send(());
        })?;
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn tasks_that_heed_the_signal_end_in_time() {
        let drain = Drain::new();
        let heard = drain.clone();
        let task = drain.spawn("heeds", async move { heard.signaled().await });
        assert!(!drain.is_draining());
        drain.leave();
        assert!(drain.is_leaving() && !drain.is_draining());
        assert!(drain.finish(Duration::from_secs(1)).await);
        assert!(drain.is_draining());
        assert_eq!(task.await.unwrap(), Some(()));
    }

    #[tokio::test(start_paused = true)]
    async fn tasks_that_do_not_are_dropped() {
        let drain = Drain::new();
        let task = drain.spawn("stubborn", std::future::pending::<()>());
        assert!(!drain.finish(Duration::from_secs(1)).await);
        assert_eq!(task.await.unwrap(), None);
    }
}
