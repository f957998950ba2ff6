//! The embedded store: one redb file, for one control plane.
//!
//! Each write is one transaction that is on disk when it returns. redb blocks, so every access runs on
//! tokio's blocking threads. The file is locked against a second process as long as it is open.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use redb::{Database, Durability, ReadableDatabase, ReadableTable, Table, TableDefinition};
use tokio::sync::watch;
use tokio::time::Instant;

use super::bells::Bells;
use super::{Entry, Error, Flip, Future, Head, Store, batches, key};

/// Behind all keys of [`key::REPLICAS`].
const REPLICAS_END: &str = "/gatehouse/v1/side/replica0";

const TABLE: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("gatehouse");

/// Bytes that redb may keep in memory. Everything that is read often is in the catalog anyway.
const CACHE_BYTES: usize = 16 * 1024 * 1024;

/// Name of the file in the data folder.
const FILE: &str = "store.redb";

/// A store in one file. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Embedded {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    database: Database,
    bells: Bells,
    path: PathBuf,
    /// Keys that end, and when: in memory only, as they are of this process, which is the only one. Locked for a
    /// look-up.
    ending: Mutex<BTreeMap<String, Instant>>,
}

impl Embedded {
    /// Opens the store in `data_dir`, which must be there; makes it where there is none.
    ///
    /// # Errors
    /// [`Error::InUse`] where another process has it open; [`Error::Failed`] where the file cannot be read.
    pub(crate) fn open(data_dir: &Path) -> Result<Self, Error> {
        let path = data_dir.join(FILE);
        let opened = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(&path);
        let database = opened.map_err(|e| match e {
            redb::DatabaseError::DatabaseAlreadyOpen => Error::InUse {
                path: path.display().to_string(),
            },
            other => Error::Failed(format!("{}: {other}", path.display())),
        })?;
        let shared = Shared {
            database,
            bells: Bells::default(),
            path,
            ending: Mutex::default(),
        };
        // So that reads of a new store find a table; and what an earlier process wrote for a time is over.
        shared.write(|table| {
            table.retain_in(key::REPLICAS..REPLICAS_END, |_, _| false)?;
            Ok(true)
        })?;
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Runs `work` where blocking is allowed.
    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, Error> + Send + 'static,
    ) -> Future<'_, T> {
        let shared = self.shared.clone();
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || work(&shared)).await;
            done.unwrap_or_else(|e| Err(Error::Failed(e.to_string())))
        })
    }
}

impl Shared {
    /// One durable transaction, kept where `change` says `true`. Whether it was.
    fn write(
        &self,
        change: impl FnOnce(&mut Table<'_, &'static str, &'static [u8]>) -> Result<bool, redb::Error>,
    ) -> Result<bool, Error> {
        let work = || -> Result<bool, redb::Error> {
            let mut transaction = self.database.begin_write()?;
            transaction.set_durability(Durability::Immediate)?;
            let keep = change(&mut transaction.open_table(TABLE)?)?;
            if keep {
                transaction.commit()?
            } else {
                transaction.abort()?
            }
            Ok(keep)
        };
        work().map_err(|e| self.failed(&e))
    }

    /// Reads at one moment.
    fn read<T>(
        &self,
        look: impl FnOnce(&redb::ReadOnlyTable<&'static str, &'static [u8]>) -> Result<T, redb::Error>,
    ) -> Result<T, Error> {
        let work = || -> Result<T, redb::Error> {
            let table = self.database.begin_read()?.open_table(TABLE)?;
            look(&table)
        };
        work().map_err(|e| self.failed(&e))
    }

    /// Removes what has ended.
    fn end(&self) -> Result<(), Error> {
        let now = Instant::now();
        let mut ending = self.ending.lock();
        let ended = ending.extract_if(.., |_, at| *at <= now);
        let ended: Vec<String> = ended.map(|(key, _)| key).collect();
        drop(ending);
        if ended.is_empty() {
            return Ok(());
        }
        self.delete(&ended)
    }

    fn delete(&self, keys: &[String]) -> Result<(), Error> {
        self.write(|table| {
            for key in keys {
                table.remove(key.as_str())?;
            }
            Ok(true)
        })?;
        self.bells.ring(keys.iter().map(String::as_str));
        Ok(())
    }

    fn failed(&self, error: &redb::Error) -> Error {
        Error::Failed(format!("{}: {error}", self.path.display()))
    }

    fn get(&self, key: &str) -> Result<Option<Bytes>, Error> {
        self.read(|table| {
            Ok(table
                .get(key)?
                .map(|value| Bytes::copy_from_slice(value.value())))
        })
    }

    fn stage(&self, batch: &[Entry]) -> Result<(), Error> {
        let mut taken = None;
        self.write(|table| {
            for entry in batch {
                let there = table
                    .get(entry.key.as_str())?
                    .map(|v| v.value() == entry.value);
                match there {
                    None => {
                        table.insert(entry.key.as_str(), entry.value.as_ref())?;
                    }
                    Some(true) => {}
                    Some(false) => {
                        taken = Some(entry.key.clone());
                        return Ok(false);
                    }
                }
            }
            Ok(true)
        })?;
        match taken {
            Some(key) => Err(Error::Taken(key)),
            None => {
                self.bells.ring(batch.iter().map(|e| e.key.as_str()));
                Ok(())
            }
        }
    }

    fn compare_and_write(
        &self,
        compared: &str,
        expected: Option<&[u8]>,
        puts: &[Entry],
        delete: Option<&str>,
    ) -> Result<bool, Error> {
        let done = self.write(|table| {
            if table.get(compared)?.map(|v| v.value().to_vec()).as_deref() != expected {
                return Ok(false);
            }
            for entry in puts {
                table.insert(entry.key.as_str(), entry.value.as_ref())?;
            }
            if let Some(key) = delete {
                table.remove(key)?;
            }
            Ok(true)
        })?;
        if done {
            self.bells
                .ring(puts.iter().map(|e| e.key.as_str()).chain(delete));
        }
        Ok(done)
    }
}

/// Everything that begins with `prefix`, as far as `take` makes of it.
fn scan<T>(
    table: &redb::ReadOnlyTable<&'static str, &'static [u8]>,
    prefix: &str,
    take: impl Fn(&str, &[u8]) -> T,
) -> Result<Vec<T>, redb::Error> {
    let mut found = Vec::new();
    for row in table.range(prefix..)? {
        let (key, value) = row?;
        if !key.value().starts_with(prefix) {
            break;
        }
        found.push(take(key.value(), value.value()));
    }
    Ok(found)
}

impl Store for Embedded {
    fn kind(&self) -> &'static str {
        "embedded"
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn head(&self) -> Future<'_, Option<Head>> {
        self.run(|s| {
            s.get(key::HEAD)?
                .map(|value| Head::decode(&value))
                .transpose()
        })
    }

    fn stage(&self, entries: Vec<Entry>) -> Future<'_, ()> {
        self.run(move |s| {
            batches(entries)?
                .iter()
                .try_for_each(|batch| s.stage(batch))
        })
    }

    fn flip<'a>(
        &'a self,
        expected: Option<&'a Head>,
        new: &'a Head,
        mut also: Vec<Entry>,
    ) -> Future<'a, Flip> {
        let expected = expected.map(Head::encode);
        also.push(Entry::new(key::HEAD, new.encode()));
        self.run(move |s| {
            let done = s.compare_and_write(key::HEAD, expected.as_deref(), &also, None)?;
            Ok(if done { Flip::Flipped } else { Flip::Lost })
        })
    }

    fn get<'a>(&'a self, key: &'a str) -> Future<'a, Option<Bytes>> {
        let key = key.to_owned();
        self.run(move |s| {
            s.end()?;
            s.get(&key)
        })
    }

    fn list<'a>(&'a self, prefix: &'a str) -> Future<'a, Vec<Entry>> {
        let prefix = prefix.to_owned();
        self.run(move |s| {
            s.end()?;
            s.read(|table| {
                scan(table, &prefix, |k, v| {
                    Entry::new(k, Bytes::copy_from_slice(v))
                })
            })
        })
    }

    fn keys<'a>(&'a self, prefix: &'a str) -> Future<'a, Vec<String>> {
        let prefix = prefix.to_owned();
        self.run(move |s| {
            s.end()?;
            s.read(|table| scan(table, &prefix, |k, _| k.to_owned()))
        })
    }

    fn put(&self, entry: Entry) -> Future<'_, ()> {
        self.run(move |s| {
            let batch = batches(vec![entry])?.concat();
            s.write(|table| {
                for entry in &batch {
                    table.insert(entry.key.as_str(), entry.value.as_ref())?;
                }
                Ok(true)
            })?;
            s.bells.ring(batch.iter().map(|e| e.key.as_str()));
            Ok(())
        })
    }

    fn delete(&self, keys: Vec<String>) -> Future<'_, ()> {
        self.run(move |s| s.delete(&keys))
    }

    fn put_for(&self, entry: Entry, lasts: Duration) -> Future<'_, ()> {
        let at = Instant::now() + lasts;
        let key = entry.key.clone();
        let put = self.put(entry);
        Box::pin(async move {
            put.await?;
            self.shared.ending.lock().insert(key, at);
            Ok(())
        })
    }

    fn compare_and_set<'a>(
        &'a self,
        key: &'a str,
        expected: Option<&'a [u8]>,
        new: Option<Bytes>,
    ) -> Future<'a, bool> {
        let key = key.to_owned();
        let expected = expected.map(<[u8]>::to_vec);
        self.run(move |s| match new {
            Some(value) => {
                let put = Entry::new(key.clone(), value);
                s.compare_and_write(&key, expected.as_deref(), &[put], None)
            }
            None => s.compare_and_write(&key, expected.as_deref(), &[], Some(&key)),
        })
    }

    fn changes(&self, prefix: &str) -> watch::Receiver<u64> {
        self.shared.bells.listen(prefix)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_second_opener_is_told_who_is_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        let first = Embedded::open(dir.path()).unwrap();
        let error = Embedded::open(dir.path()).unwrap_err();
        assert!(matches!(error, Error::InUse { .. }), "{error}");
        assert_eq!(error.code(), "GH6102");
        drop(first);
        Embedded::open(dir.path()).unwrap();
    }

    #[tokio::test]
    async fn what_was_written_is_there_after_a_new_start() {
        let dir = tempfile::tempdir().unwrap();
        let store = Embedded::open(dir.path()).unwrap();
        store.put(Entry::new("k", "v")).await.unwrap();
        drop(store);
        let store = Embedded::open(dir.path()).unwrap();
        assert_eq!(store.get("k").await.unwrap().unwrap(), "v");
    }
}
