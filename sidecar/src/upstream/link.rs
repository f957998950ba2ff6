//! Many callers over one pair of pipes: each request gets an id of ours, each answer finds its caller.
//!
//! Two tasks live as long as the process: one writes what is queued, one reads lines and hands them on.
//! Neither waits for a caller: a caller that is slow loses progress notifications, never another's time.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use mcp::envelope::{self, Envelope, IdKey, Kind, Limits, ScanError, Span};
use mcp::method;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::Error;
use super::feed::Feed;
use super::noise::Noise;
use super::pending::{CALLS_MAX, Entry, Table};
use super::response::{Heard, Progress, Response, Told, own_answer};
use super::ticket::{Ask, Ticket};
use crate::process::lines::{Line, Lines};

/// Messages that may wait to be written. Each call adds one, and a few cancel.
const QUEUE_MAX: usize = 2 * CALLS_MAX;
/// Bytes that may wait to be written: four requests of the greatest size.
const QUEUE_BYTES_MAX: usize = 16 << 20;
/// How long a call waits for room to be written; then the server does not read.
const QUEUE_WAIT_MAX: Duration = Duration::from_secs(5);
/// Messages that are written at once.
const BATCH_MAX: usize = 32;
/// Messages about its call that a caller may be behind.
const TOLD_MAX: usize = 64;

/// The sidecar's end of one process's pipes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Link(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Every caller sends, the writing task receives.
    queue: mpsc::Sender<Outgoing>,
    /// Room in the queue, in bytes.
    room: Arc<Semaphore>,
    /// Callers add, the reading task and callers remove; held for the time of a look-up.
    table: Mutex<Table>,
    /// Told when the table has become empty.
    idle: Notify,
    next_id: AtomicU64,
    noise: Noise,
    /// The writing task ends, and with it the server's standard input.
    closing: CancellationToken,
    /// The server's standard output has ended.
    silent: CancellationToken,
    /// So that nobody can find two callers with one name.
    names: RandomState,
    /// Who hears what the server says about no call of anybody's.
    feed: Feed,
    /// Whether all callers are one and the same: then what is said in mid-call is for any of them.
    one_caller: bool,
}

/// A line for the server, without its end, and the room that it takes until it is written.
#[derive(Debug)]
struct Outgoing {
    line: Vec<u8>,
    _room: Option<OwnedSemaphorePermit>,
}

impl Link {
    /// A link and its two tasks, for the caller to own: they end when the streams do, or by
    /// [`Self::close`]. Lines of the server may have `line_bytes_max`. With `one_caller`, what the server says in
    /// mid-call may be told to any call under way.
    pub fn new<R, W>(
        stdin: W,
        stdout: R,
        line_bytes_max: usize,
        one_caller: bool,
    ) -> (
        Self,
        impl Future<Output = ()> + Send,
        impl Future<Output = ()> + Send,
    )
    where
        R: AsyncRead + Unpin + Send,
        W: AsyncWrite + Unpin + Send,
    {
        let (queue, queued) = mpsc::channel(QUEUE_MAX);
        let link = Self(Arc::new(Inner {
            queue,
            room: Arc::new(Semaphore::new(QUEUE_BYTES_MAX)),
            table: Mutex::default(),
            idle: Notify::new(),
            next_id: AtomicU64::new(1),
            noise: Noise::default(),
            closing: CancellationToken::new(),
            silent: CancellationToken::new(),
            names: RandomState::new(),
            feed: Feed::default(),
            one_caller,
        }));
        let writing = write(queued, stdin, link.0.closing.clone());
        let reading = read(link.clone(), Lines::new(stdout, line_bytes_max));
        (link, writing, reading)
    }

    /// An id for the next request, also good as its progress token: unique in this process.
    pub fn next_id(&self) -> u64 {
        self.0.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Names a request of a session, for [`Self::cancel`].
    pub fn origin(&self, session: &str, id: &IdKey) -> u64 {
        self.0.names.hash_one((session, id))
    }

    /// Sends a request that carries `id`, and returns the ticket for its answer.
    ///
    /// # Errors
    /// The process is gone, too many wait, or the server does not read.
    pub async fn send(&self, id: u64, line: Vec<u8>, ask: Ask) -> Result<Ticket, Error> {
        let (answer, waits) = oneshot::channel();
        let (told, follows) = match ask.progress || ask.hears || ask.listens {
            true => Some(mpsc::channel(TOLD_MAX)).unzip(),
            false => (None, None),
        };
        let expires = Instant::now() + ask.limit;
        let entry = Entry {
            answer,
            told,
            hears: ask.hears,
            origin: ask.origin,
            expires,
        };
        for given_up in self.0.table.lock().insert(id, entry)? {
            self.tell_cancelled(given_up, "the client is gone and the time is over");
        }
        let mut ticket = Ticket::new(self.clone(), id, ask, waits, follows);
        self.enqueue(line).await?;
        ticket.sent();
        Ok(ticket)
    }

    /// Sends a notification.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn notify(&self, line: Vec<u8>) -> Result<(), Error> {
        self.enqueue(line).await
    }

    /// Ends the calls of `origin`, as its client wishes: the caller gets [`Error::Cancelled`], the server
    /// is told.
    pub fn cancel(&self, origin: u64) {
        let calls = self.0.table.lock().remove_origin(origin);
        for (id, entry) in calls {
            // A caller that is gone needs no answer.
            let _ = entry.answer.send(Err(Error::Cancelled));
            self.tell_cancelled(id, "the client asked for it");
        }
        self.tell_if_idle();
    }

    /// Whether both lead to the same process.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Who hears what the server says about no call of anybody's.
    pub fn feed(&self) -> &Feed {
        &self.0.feed
    }

    /// How many calls wait for an answer.
    pub fn waiting(&self) -> usize {
        self.0.table.lock().len()
    }

    /// What the server said that was of no use.
    pub fn noise(&self) -> &Noise {
        &self.0.noise
    }

    /// Waits until no call waits for an answer.
    pub async fn idle(&self) {
        loop {
            let idle = self.0.idle.notified();
            if self.0.table.lock().is_empty() {
                return;
            }
            idle.await;
        }
    }

    /// Waits until the server's standard output has ended.
    pub async fn silent(&self) {
        self.0.silent.cancelled().await;
    }

    /// Takes no more calls, answers those that wait with [`Error::Gone`], and closes the server's
    /// standard input.
    pub fn close(&self, why: &str) {
        let why = Arc::from(why);
        let left = self.0.table.lock().close(&why);
        for entry in left {
            let _ = entry.answer.send(Err(Error::Gone(why.clone())));
        }
        self.0.closing.cancel();
        self.tell_if_idle();
    }

    /// Forgets a call that nobody waits for any more; tells the server where it may have begun.
    pub(super) fn forget(&self, id: u64, tell: Option<&str>) {
        let waited = self.0.table.lock().remove(id).is_some();
        if let (true, Some(why)) = (waited, tell) {
            self.tell_cancelled(id, why);
        }
        self.tell_if_idle();
    }

    async fn enqueue(&self, mut line: Vec<u8>) -> Result<(), Error> {
        one_line(&mut line);
        let bytes = u32::try_from(line.len().min(QUEUE_BYTES_MAX)).unwrap_or(u32::MAX);
        let queued = async {
            let room = self.0.room.clone().acquire_many_owned(bytes).await.ok();
            self.0.queue.send(Outgoing { line, _room: room }).await
        };
        tokio::select! {
            biased;
            () = self.0.closing.cancelled() => Err(self.gone()),
            queued = timeout(QUEUE_WAIT_MAX, queued) => match queued {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) => Err(self.gone()),
                Err(_) => Err(Error::Overloaded("the server does not read what it is sent")),
            },
        }
    }

    /// Queues a line that nobody waits for; where there is no room, it is lost.
    fn offer(&self, line: Vec<u8>) {
        if self
            .0
            .queue
            .try_send(Outgoing { line, _room: None })
            .is_err()
        {
            tracing::debug!("no room to tell the server something");
        }
    }

    fn tell_cancelled(&self, id: u64, why: &str) {
        let method = method::CANCELLED;
        let line = format!(
            r#"{{"jsonrpc":"2.0","method":"{method}","params":{{"requestId":{id},"reason":"{why}"}}}}"#
        );
        self.offer(line.into_bytes());
    }

    fn tell_if_idle(&self) {
        if self.0.table.lock().is_empty() {
            self.0.idle.notify_waiters();
        }
    }

    fn gone(&self) -> Error {
        Error::Gone("the server is being stopped".into())
    }

    /// One line of the server's.
    fn take(&self, line: Bytes) {
        if line.trim_ascii().is_empty() {
            return;
        }
        let limits = Limits {
            bytes: line.len(),
            ..Limits::RESPONSE
        };
        match envelope::scan(&line, &limits) {
            Ok(message) => match message.kind {
                Kind::Response => self.answered(&line, &message),
                Kind::Notification => self.notified(&line, &message),
                Kind::Request => self.asked(&line, &message),
            },
            Err(error) => self.misunderstood(&line, &error),
        }
    }

    fn answered(&self, line: &Bytes, message: &Envelope<'_>) {
        let id = message.id.and_then(|id| Some((id.span, number(id.raw)?)));
        let waiting = id.and_then(|(span, id)| Some((span, self.0.table.lock().remove(id)?)));
        let Some((span, entry)) = waiting else {
            self.0.noise.unasked();
            return;
        };
        // A caller that is gone needs no answer.
        let _ = entry
            .answer
            .send(Ok(Response::new(line.clone(), message, span)));
        self.tell_if_idle();
    }

    /// Progress goes to its call. All else goes to whoever can be meant: see [`Self::hand_on`].
    fn notified(&self, line: &Bytes, message: &Envelope<'_>) {
        let passed = if message.method() == method::PROGRESS {
            message
                .progress_token
                .is_some_and(|token| self.progress(line, token))
        } else {
            self.hand_on(Heard::new(line.clone(), message))
        };
        if !passed {
            self.0.noise.unasked();
        }
    }

    fn progress(&self, line: &Bytes, token: Span) -> bool {
        let table = self.0.table.lock();
        let call = number(token.of(line)).and_then(|id| table.get(id));
        let bytes = line.clone();
        let progress = Told::Progress(Progress { bytes, token });
        call.and_then(|call| call.told.as_ref())
            .is_some_and(|callers| callers.try_send(progress).is_ok())
    }

    /// To the call that it is about, where that can be told; else to whoever listens to the server as such.
    fn hand_on(&self, heard: Heard) -> bool {
        if heard.kind == Kind::Notification {
            if let Some(call) = heard.subscription().and_then(number) {
                let table = self.0.table.lock();
                let told = table.get(call).and_then(|call| call.told.as_ref());
                return told.is_some_and(|told| told.try_send(Told::Heard(heard)).is_ok());
            }
            if heard.method != method::MESSAGE {
                return self.0.feed.hear(&heard, Some(self));
            }
        }
        let told = {
            let table = self.0.table.lock();
            table.hearer(!self.0.one_caller).cloned()
        };
        match told {
            Some(told) => told.try_send(Told::Heard(heard)).is_ok(),
            None => self.0.feed.hear(&heard, Some(self)),
        }
    }

    /// The server asks. Where nobody can be asked for it, only a ping has an answer.
    fn asked(&self, line: &Bytes, message: &Envelope<'_>) {
        let is_ping = message.method() == method::PING;
        if is_ping || !self.hand_on(Heard::new(line.clone(), message)) {
            self.answer(own_answer(message));
        }
    }

    /// Answers something that the server asked. Where it does not read, the answer is lost.
    pub fn answer(&self, mut line: Vec<u8>) {
        one_line(&mut line);
        self.offer(line);
    }

    /// What is no message is counted; where it answers somebody all the same, that caller is told.
    fn misunderstood(&self, line: &[u8], error: &ScanError) {
        self.0.noise.add(line);
        let id = error.id().and_then(number);
        if let Some(entry) = id.and_then(|id| self.0.table.lock().remove(id)) {
            let _ = entry.answer.send(Err(Error::Invalid(error.to_string())));
            self.tell_if_idle();
        }
    }
}

async fn read<R: AsyncRead + Unpin>(link: Link, mut lines: Lines<R>) {
    loop {
        match lines.next().await {
            Ok(Some(Line::Whole(line))) => link.take(line),
            Ok(Some(Line::TooLong { start })) => link.0.noise.add(&start),
            Ok(None) => break,
            Err(error) => {
                tracing::warn!(%error, "cannot read the server's standard output");
                break;
            }
        }
    }
    link.0.silent.cancel();
}

async fn write<W: AsyncWrite + Unpin>(
    mut queued: mpsc::Receiver<Outgoing>,
    mut stdin: W,
    closing: CancellationToken,
) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    let mut text = Vec::new();
    let written = async {
        while queued.recv_many(&mut batch, BATCH_MAX).await > 0 {
            text.clear();
            for outgoing in &batch {
                text.extend_from_slice(&outgoing.line);
                text.push(b'\n');
            }
            stdin.write_all(&text).await?;
            stdin.flush().await?;
            batch.clear(); // The room that they took is free again.
        }
        Ok::<_, std::io::Error>(())
    };
    tokio::select! {
        () = closing.cancelled() => {}
        written = written => if let Err(error) = written {
            tracing::debug!(%error, "cannot write to the server's standard input");
        }
    }
    // Its end is how the server learns that it is to go; an error says that it has gone.
    let _ = stdin.shutdown().await;
}

/// Line ends in a message can only be blanks between its tokens: a bare one in a string is not JSON.
fn one_line(message: &mut [u8]) {
    if memchr::memchr2(b'\n', b'\r', message).is_some() {
        message
            .iter_mut()
            .filter(|b| matches!(b, b'\n' | b'\r'))
            .for_each(|b| *b = b' ');
    }
}

/// An id or token of ours.
fn number(raw: &[u8]) -> Option<u64> {
    std::str::from_utf8(raw).ok()?.parse().ok()
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
