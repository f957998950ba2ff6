//! Sends the log to a destination, record by record in order, until each is taken.
//!
//! ```text
//! Log::durable moves ─▶ read a batch ─▶ send, again and again ─▶ OK ─▶ cursor moves
//! ```
//! One task for each destination, asleep while nothing is written. A destination that is away loses
//! nothing: its cursor stands still and the log grows, up to its limit. It does not know what happens to
//! spans behind the destination.

mod client;
mod dead;
mod destination;
mod grpc;
mod http;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use self::client::{Client, Outcome};
use self::dead::{DeadLetter, DeadLetters};
pub use self::destination::{Destination, Protocol, destinations_from_env};
use super::cursor::Cursor;
use super::log::Log;
use super::read::Reader;
use super::span::Batch;
use super::view::RecordView;
use crate::drain::Drain;

/// Most records in one request.
const BATCH_RECORDS_MAX: usize = 512;
/// A batch that has reached this size is sent, bytes.
const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// The cursor's file is at most this far behind what was taken.
const CURSOR_EVERY: Duration = Duration::from_secs(1);
/// First pause after a try that failed; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// Longest pause between tries.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// Longest pause that a destination may ask for.
const AFTER_MAX: Duration = Duration::from_secs(300);
/// When the process ends, what is in the log is sent for at most so long; the rest at the next start.
const FLUSH_MAX: Duration = Duration::from_secs(5);

/// Why there is no exporter.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The destination is none.
    #[error("cannot send audit records to {name}: {why}")]
    Destination {
        /// Which.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// The log or the cursor cannot be read.
    #[error("cannot read the audit log for {name}: {source}")]
    Log {
        /// For which destination.
        name: String,
        /// What the system says.
        source: std::io::Error,
    },
}

/// What is known of one destination. The task goes on when this is dropped: its drain owns it.
#[derive(Debug, Clone)]
pub struct Exporter {
    name: Arc<str>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    taken_seq: AtomicU64,
    sent: AtomicU64,
    refused: AtomicU64,
    failed_tries: AtomicU64,
}

impl Exporter {
    /// Begins to send `log` to `destination`, from where it was before. Destinations of one log are spawned
    /// one right after the other at the start of the process: the log deletes what all of them have.
    ///
    /// When `drain` starts, what is in the log then is sent, for at most five seconds. Give exporters a
    /// drain of their own, finished after the last call has ended. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// If the destination's address is none, or the log cannot be read.
    pub fn spawn(drain: &Drain, log: &Log, destination: Destination) -> Result<Self, Error> {
        let name: Arc<str> = destination.name.as_str().into();
        let fault = |source| Error::Log {
            name: name.to_string(),
            source,
        };
        let cursor = Cursor::new(log.dir(), &name);
        let reader = Reader::start(log, cursor.load().map_err(fault)?).map_err(fault)?;
        let client = Client::new(&destination)?;
        let dead = DeadLetters::new(log.dir(), &name);
        let counts = Arc::new(Counts::default());
        counts
            .taken_seq
            .store(reader.position().seq, Ordering::Relaxed);
        log.taken(&name, reader.position().seq);
        let task = Task {
            name: name.clone(),
            log: log.clone(),
            cursor,
            client,
            dead,
            work: Some(Work {
                reader,
                batch: Batch::default(),
            }),
            counts: counts.clone(),
            unsaved_since: None,
        };
        let stop = drain.clone();
        drain.spawn("audit export", task.run(stop));
        Ok(Self { name, counts })
    }

    /// The destination's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Seq of the newest record that the destination has, or that it refused for good.
    pub fn taken_seq(&self) -> u64 {
        self.counts.taken_seq.load(Ordering::Relaxed)
    }

    /// Spans that the destination has taken.
    pub fn sent(&self) -> u64 {
        self.counts.sent.load(Ordering::Relaxed)
    }

    /// Spans that the destination refused for good, and that it will not be sent again.
    pub fn refused(&self) -> u64 {
        self.counts.refused.load(Ordering::Relaxed)
    }

    /// Tries that failed and were made again.
    pub fn failed_tries(&self) -> u64 {
        self.counts.failed_tries.load(Ordering::Relaxed)
    }
}

struct Task {
    name: Arc<str>,
    log: Log,
    cursor: Cursor,
    client: Client,
    /// What it refused for good.
    dead: DeadLetters,
    /// Lent to a blocking thread while it reads and encodes.
    work: Option<Work>,
    counts: Arc<Counts>,
    /// Since when the cursor's file is behind what was taken. `None`: it is up to date.
    unsaved_since: Option<Instant>,
}

struct Work {
    reader: Reader,
    batch: Batch,
}

impl Task {
    async fn run(mut self, drain: Drain) {
        let late = async {
            drain.signaled().await;
            tokio::time::sleep(FLUSH_MAX).await;
        };
        tokio::select! {
            () = self.export(&drain) => {}
            () = late => tracing::warn!(
                destination = %self.name, "ending with audit records unsent: they go at the next start"
            ),
        }
        self.save().await;
    }

    async fn export(&mut self, drain: &Drain) {
        while self.wait(drain).await.is_continue() {
            if self.step(drain).await.is_break() {
                return;
            }
        }
    }

    /// Waits until there is something to send; keeps the cursor while it has nothing else to do. Breaks
    /// when the drain has started and all is sent.
    async fn wait(&mut self, drain: &Drain) -> ControlFlow<()> {
        let log = self.log.clone();
        loop {
            let moved = log.moved();
            tokio::pin!(moved);
            // From here on no move is missed.
            moved.as_mut().enable();
            let draining = drain.is_draining();
            let seq = self.read_seq();
            if seq < log.durable() {
                return ControlFlow::Continue(());
            }
            if draining && seq >= log.head() {
                return ControlFlow::Break(());
            }
            let save_at = self.unsaved_since.map(|since| since + CURSOR_EVERY);
            tokio::select! {
                () = &mut moved => {}
                () = drain.signaled(), if !draining => {}
                () = until(save_at) => self.save().await,
            }
        }
    }

    /// Reads one batch and sends it until it is taken. Breaks if the drain starts while the destination
    /// does not answer, or if the log cannot be read.
    async fn step(&mut self, drain: &Drain) -> ControlFlow<()> {
        let Some(mut work) = self.work.take() else {
            return ControlFlow::Break(());
        };
        let log = self.log.clone();
        let read = tokio::task::spawn_blocking(move || {
            let result = work.fill(&log);
            (work, result)
        });
        // An error says that reading panicked, or that the runtime ends.
        let Ok((mut work, result)) = read.await else {
            return ControlFlow::Break(());
        };
        let spans = work.batch.records as u64;
        let seq = work.reader.position().seq;
        let request = (spans > 0).then(|| work.batch.take());
        self.work = Some(work);
        if let Err(error) = result {
            tracing::error!(destination = %self.name, %error, "audit log cannot be read: nothing is sent");
            return ControlFlow::Break(());
        }
        if let Some(request) = request {
            let refused = self.send(request, spans, seq, drain).await?;
            self.counts
                .sent
                .fetch_add(spans - refused, Ordering::Relaxed);
            self.counts.refused.fetch_add(refused, Ordering::Relaxed);
        }
        self.counts.taken_seq.store(seq, Ordering::Relaxed);
        let since = *self.unsaved_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= CURSOR_EVERY {
            self.save().await;
        }
        ControlFlow::Continue(())
    }

    /// Sends until the destination has answered for good; returns how many spans it refused. These are kept as dead
    /// letters first: where that cannot be done, the refusal does not count.
    async fn send(
        &mut self,
        request: bytes::Bytes,
        spans: u64,
        last_seq: u64,
        drain: &Drain,
    ) -> ControlFlow<(), u64> {
        let mut pause = PAUSE_MIN;
        let mut said = false;
        let mut tries = 0;
        loop {
            let (why, after) = match self.client.export(request.clone()).await {
                Outcome::Taken => {
                    if said {
                        tracing::info!(destination = %self.name, "audit records are taken again");
                    }
                    return ControlFlow::Continue(0);
                }
                Outcome::Refused { spans: some, why } => {
                    let refused = some.unwrap_or(spans).min(spans);
                    match self.bury(&request, spans, refused, last_seq, &why).await {
                        Ok(()) => return ControlFlow::Continue(refused),
                        Err(error) => (format!("refused ({why}), and not kept: {error}"), None),
                    }
                }
                Outcome::Again { why, after } => (why, after),
            };
            tries += 1;
            self.counts.failed_tries.fetch_add(1, Ordering::Relaxed);
            if !std::mem::replace(&mut said, true) {
                tracing::warn!(
                    destination = %self.name, why, "audit records are not taken: trying until they are"
                );
            }
            if drain.is_draining() {
                return ControlFlow::Break(());
            }
            if tries % self.client.receivers() != 0 && after.is_none() {
                // The next receiver is asked at once.
                continue;
            }
            let wanted = after.map_or(pause, |after| after.min(AFTER_MAX).max(pause));
            tokio::select! {
                () = tokio::time::sleep(jittered(wanted)) => {}
                // Ending: one try more, then what is left waits for the next start.
                () = drain.signaled() => {}
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Keeps a request of which spans were refused for good.
    async fn bury(
        &self,
        request: &bytes::Bytes,
        spans: u64,
        refused: u64,
        last_seq: u64,
        why: &str,
    ) -> std::io::Result<()> {
        tracing::error!(
            destination = %self.name, refused, why, kept = %self.dead.path().display(),
            "audit records refused for good: they are kept as dead letters"
        );
        let (dead, name, request, why) = (
            self.dead.clone(),
            self.name.clone(),
            request.clone(),
            why.to_owned(),
        );
        let kept = tokio::task::spawn_blocking(move || {
            let letter = DeadLetter {
                destination: &name,
                why: &why,
                spans,
                refused,
                last_seq,
            };
            dead.add(&letter, &request)
        });
        kept.await.unwrap_or_else(|e| Err(std::io::Error::other(e)))
    }

    /// Seq of the newest record that was read.
    fn read_seq(&self) -> u64 {
        self.work
            .as_ref()
            .map_or(0, |work| work.reader.position().seq)
    }

    /// Brings the cursor's file up to date and lets the log delete what was taken.
    async fn save(&mut self) {
        let Some(work) = self.work.as_ref().filter(|_| self.unsaved_since.is_some()) else {
            return;
        };
        let position = work.reader.position();
        if position.seq != self.counts.taken_seq.load(Ordering::Relaxed) {
            // The batch that was read last was not taken.
            return;
        }
        self.unsaved_since = None;
        let (cursor, log, name) = (self.cursor.clone(), self.log.clone(), self.name.clone());
        let saving = tokio::task::spawn_blocking(move || {
            cursor
                .save(position)
                .map(|()| log.taken(&name, position.seq))
        });
        if let Ok(Err(error)) = saving.await {
            tracing::warn!(destination = %self.name, %error, "cursor cannot be kept: records may be sent twice");
        }
    }
}

impl Work {
    /// Encodes close records and notes until the batch is full or there are no more.
    fn fill(&mut self, log: &Log) -> std::io::Result<()> {
        let batch = &mut self.batch;
        self.reader.read(log, |_, frame| {
            if RecordView::is_sent_payload(frame.payload) == Some(true)
                && let Some(record) = RecordView::parse(frame.payload)
            {
                batch.push(&record, frame.hash);
            }
            batch.records < BATCH_RECORDS_MAX && batch.bytes() < BATCH_BYTES_MAX
        })
    }
}

/// Ends at `at`; never without one.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Between `pause` and half as much more: never sooner than a destination wants, and nodes that lost the same destination don't come back together.
fn jittered(pause: Duration) -> Duration {
    let mut random = [0; 4];
    // Without randomness the pause is half as long, which is right as well.
    let _ = aws_lc_rs::rand::fill(&mut random);
    let share = f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX);
    pause.mul_f64(1.0 + share / 2.0)
}

#[cfg(test)]
mod tests;
