//! The thread that writes: one transaction for all batches that wait, an answer after the commit.
//!
//! Knows the tables and how records are joined; not where they come from.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use prost::Message;
use proto::v1::{AuditRecord, Call};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use tokio::sync::oneshot;

use super::join::{HopRecord, Joined, join};
use super::tail::{Settling, Tail};
use super::{Counts, Error};

/// Batches that wait for the thread. When full, nodes are told to come again.
const BATCHES_MAX: usize = 64;
/// Batches that share a transaction, at most.
const BATCHES_A_COMMIT: usize = 16;
/// Calls that one transaction deletes, at most: more follow with the next.
const EXPIRED_A_COMMIT: u64 = 2000;
/// Between groups in their column: no group's name holds it.
pub(super) const SEPARATOR: char = '\u{1f}';

/// Why there is no store.
pub(super) enum Fault {
    Store(Error),
    Thread(std::io::Error),
}

/// Owns the thread, and ends it when dropped.
pub(super) struct Store {
    /// From receivers to the thread; `None` only while dropping.
    batches: Option<SyncSender<Batch>>,
    counts: Arc<Counters>,
    thread: Option<JoinHandle<()>>,
}

struct Batch {
    records: Vec<HopRecord>,
    done: oneshot::Sender<Result<(), Error>>,
}

#[derive(Default)]
struct Counters {
    stored: AtomicU64,
    duplicates: AtomicU64,
    expired: AtomicU64,
}

impl Store {
    pub(super) fn spawn(connection: Connection, calls_max: u64, tail: Tail) -> Result<Self, Fault> {
        let calls: i64 = connection
            .query_row("SELECT count(*) FROM call", (), |row| row.get(0))
            .map_err(|error| Fault::Store(error.into()))?;
        let (batches, receiver) = sync_channel(BATCHES_MAX);
        let counts = Arc::new(Counters::default());
        let writer = Writer {
            connection,
            calls: calls.cast_unsigned(),
            calls_max,
            settling: Settling::new(tail),
            counts: counts.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("audit-store".to_owned())
            .spawn(move || writer.run(&receiver))
            .map_err(Fault::Thread)?;
        Ok(Self {
            batches: Some(batches),
            counts,
            thread: Some(thread),
        })
    }

    /// Stores records; they are durable when this returns.
    pub(super) async fn store(&self, records: Vec<HopRecord>) -> Result<(), Error> {
        let (done, stored) = oneshot::channel();
        let batches = self.batches.as_ref().ok_or(Error::Ended)?;
        batches
            .try_send(Batch { records, done })
            .map_err(|error| match error {
                TrySendError::Full(_) => Error::Busy,
                TrySendError::Disconnected(_) => Error::Ended,
            })?;
        stored.await.map_err(|_| Error::Ended)?
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            stored: self.counts.stored.load(Ordering::Relaxed),
            duplicates: self.counts.duplicates.load(Ordering::Relaxed),
            expired: self.counts.expired.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // The thread ends when nothing can come any more.
        self.batches = None;
        if self
            .thread
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            tracing::error!("the thread of the audit store has panicked");
        }
    }
}

struct Writer {
    connection: Connection,
    /// Rows of `call`.
    calls: u64,
    calls_max: u64,
    settling: Settling,
    counts: Arc<Counters>,
}

/// What one transaction has done.
#[derive(Default)]
struct Done {
    touched: Vec<Joined>,
    new_calls: u64,
    stored: u64,
    duplicates: u64,
    expired: u64,
}

impl Writer {
    fn run(mut self, batches: &Receiver<Batch>) {
        loop {
            let first = match self.settling.next_wake() {
                None => batches.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(wait) => batches.recv_timeout(wait),
            };
            match first {
                Ok(first) => {
                    let more = batches.try_iter().take(BATCHES_A_COMMIT - 1);
                    let group = std::iter::once(first).chain(more).collect();
                    self.store(group);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.settling.publish_due();
        }
    }

    fn store(&mut self, group: Vec<Batch>) {
        let result = self.commit(group.iter().flat_map(|batch| &batch.records));
        let answer = result.map(|done| {
            self.calls = self.calls + done.new_calls - done.expired;
            self.counts.stored.fetch_add(done.stored, Ordering::Relaxed);
            self.counts
                .duplicates
                .fetch_add(done.duplicates, Ordering::Relaxed);
            self.counts
                .expired
                .fetch_add(done.expired, Ordering::Relaxed);
            for joined in done.touched {
                self.settling.note(joined);
            }
        });
        for batch in group {
            // An error says that the node has gone: it comes again, and its records are duplicates.
            let _ = batch.done.send(answer.clone());
        }
    }

    fn commit<'a>(&mut self, records: impl Iterator<Item = &'a HopRecord>) -> Result<Done, Error> {
        let transaction = self.connection.transaction()?;
        let mut done = Done::default();
        let mut touched = BTreeSet::new();
        for hop in records {
            if insert(&transaction, hop)? {
                done.stored += 1;
                touched.insert(&hop.record.call_id);
            } else {
                done.duplicates += 1;
            }
        }
        for call_id in touched {
            let Some(joined) = join(hops(&transaction, call_id)?) else {
                continue;
            };
            done.new_calls += u64::from(upsert(&transaction, call_id, &joined.call)?);
            done.touched.push(joined);
        }
        let surplus = (self.calls + done.new_calls).saturating_sub(self.calls_max);
        if surplus > 0 {
            done.expired = expire(&transaction, surplus.min(EXPIRED_A_COMMIT))?;
        }
        transaction.commit()?;
        Ok(done)
    }
}

/// Stores a hop's record. `false`: it is there already.
fn insert(transaction: &Transaction<'_>, hop: &HopRecord) -> Result<bool, Error> {
    let record = &hop.record;
    let rows = transaction
        .prepare_cached(
            "INSERT INTO record (node, seq, call_id, hash, body) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            record.node,
            record.seq.cast_signed(),
            record.call_id,
            hop.hash,
            record.encode_to_vec()
        ])?;
    Ok(rows > 0)
}

/// All records of a call.
fn hops(transaction: &Transaction<'_>, call_id: &[u8]) -> Result<Vec<HopRecord>, Error> {
    let mut statement =
        transaction.prepare_cached("SELECT hash, body FROM record WHERE call_id = ?1")?;
    let rows = statement.query_map([call_id], |row| {
        Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?))
    })?;
    let mut hops = Vec::new();
    for row in rows {
        let (hash, body) = row?;
        // What we wrote ourselves can be read; a damaged row is left out of the join.
        match AuditRecord::decode(body.as_slice()) {
            Ok(record) => hops.push(HopRecord { record, hash }),
            Err(error) => tracing::error!(%error, "a stored audit record cannot be read"),
        }
    }
    Ok(hops)
}

/// Writes a call's row. `true`: there was none.
fn upsert(transaction: &Transaction<'_>, call_id: &[u8], call: &Call) -> Result<bool, Error> {
    let known = transaction
        .prepare_cached("SELECT 1 FROM call WHERE call_id = ?1")?
        .query_row([call_id], |_| Ok(()))
        .optional()?
        .is_some();
    transaction
        .prepare_cached(
            "INSERT INTO call (call_id, time_ns, user, groups, server, method, name, decision, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (call_id) DO UPDATE SET time_ns = ?2, user = ?3, groups = ?4, server = ?5,
                 method = ?6, name = ?7, decision = ?8, body = ?9",
        )?
        .execute(params![
            call_id,
            call.time_unix_ns,
            call.user,
            groups_column(&call.groups),
            call.server,
            call.method,
            call.name,
            call.decision,
            call.encode_to_vec()
        ])?;
    Ok(!known)
}

/// Deletes the `count` oldest calls, with their records.
fn expire(transaction: &Transaction<'_>, count: u64) -> Result<u64, Error> {
    let oldest = "SELECT call_id FROM call ORDER BY time_ns, call_id LIMIT ?1";
    let count = count.cast_signed();
    transaction.execute(
        &format!("DELETE FROM record WHERE call_id IN ({oldest})"),
        [count],
    )?;
    let rows = transaction.execute(
        &format!("DELETE FROM call WHERE call_id IN ({oldest})"),
        [count],
    )?;
    Ok(rows as u64)
}

/// Groups as one text that begins and ends with the separator, so that one can be looked for.
fn groups_column(groups: &[String]) -> String {
    let mut column = String::from(SEPARATOR);
    for group in groups {
        column.push_str(group);
        column.push(SEPARATOR);
    }
    column
}
