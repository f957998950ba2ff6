//! A process that speaks MCP on its standard streams, from its start to its end.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::link::Link;
use crate::process::child::{Child, Exit, Process};

/// How long a process may go on once its standard output has ended.
const EXIT_AFTER_SILENCE: Duration = Duration::from_secs(3);
/// How long to read on once the process is gone.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// Lines of standard error that are shown.
const LAST_WORDS_MAX: usize = 10;

/// A running process and the link to it. Dropped, it is ended in the background.
#[derive(Debug)]
pub struct Running {
    link: Link,
    process: Process,
    /// Owns the reading and the writing task; they end with the process's streams, or with this.
    _tasks: JoinSet<()>,
}

impl Running {
    /// Takes over a started process, whose lines may have `line_bytes_max`; see [`Link::new`] for `one_caller`.
    pub fn new(child: Child, line_bytes_max: usize, one_caller: bool) -> Self {
        let (link, writing, reading) =
            Link::new(child.stdin, child.stdout, line_bytes_max, one_caller);
        let mut tasks = JoinSet::new();
        tasks.spawn(writing);
        tasks.spawn(reading);
        Self {
            link,
            process: child.process,
            _tasks: tasks,
        }
    }

    /// The link to it.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it said last on standard error, oldest first.
    pub fn last_words(&self) -> Vec<String> {
        self.process.stderr().last(LAST_WORDS_MAX)
    }

    /// Waits until it has ended by itself; whoever waits for an answer is told. Loses nothing if it is
    /// dropped while it waits.
    pub async fn ended(&mut self) -> Exit {
        let by_itself = tokio::select! {
            exit = self.process.ended() => Some(exit),
            () = self.link.silent() => timeout(EXIT_AFTER_SILENCE, self.process.ended()).await.ok(),
        };
        let exit = match by_itself {
            Some(exit) => exit,
            None => self.process.kill().await,
        };
        self.over(exit).await;
        exit
    }

    /// Lets calls finish for at most `within`, then ends it in order.
    pub async fn retire(mut self, within: Duration) -> Exit {
        tokio::select! {
            _ = timeout(within, self.link.idle()) => {}
            exit = self.process.ended() => {
                self.over(exit).await;
                return exit;
            }
        }
        self.link.close("the server was stopped");
        self.process.close().await
    }

    /// Ends it at once.
    pub async fn kill(mut self) -> Exit {
        self.link.close("the server was stopped");
        self.process.kill().await
    }

    /// The process is gone: what it said last is still read, then whoever waits is told.
    async fn over(&self, exit: Exit) {
        let _cut_off = timeout(LAST_ANSWERS, self.link.silent()).await;
        self.link.close(&format!("the server {exit}"));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.link.close("the server was stopped");
    }
}
