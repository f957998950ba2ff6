//! The built-in audit store: records received from nodes, stored, joined to calls, asked for.
//!
//! ```text
//! node ─ OTLP/mTLS ─▶ receive ─▶ store (one thread, SQLite) ─▶ join ─▶ calls ─▶ query
//!                                   OK after fsync                └──▶ tail
//! ```
//! It is fed by the exporters of edges and sidecars and knows nothing of the configuration store. Each hop
//! sends its own record; a *call* is what they say together ([`join`]). Start from [`Records`].

mod join;
mod page;
mod query;
mod receive;
mod schema;
mod span;
mod store;
mod tail;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::Stream;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::TraceServiceServer;
use proto::v1::{Call, CallFilter, ListCallsRequest, ListCallsResponse};

pub(crate) use self::page::{halves, merged};
pub(crate) use self::receive::Receiver;
use self::store::Store;
use self::tail::Tail;
pub(crate) use self::tail::{Halves, matches};

/// Default for [`Settings::calls_max`].
pub(crate) const CALLS_MAX: u64 = 1_000_000;
/// Largest request of an exporter, bytes: theirs end at about 1 MiB.
const REQUEST_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Why the audit store cannot do something.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Error {
    /// The database refuses. It may be asked again.
    #[error("audit store: {0}")]
    Database(Arc<rusqlite::Error>),
    /// A folder or thread cannot be had.
    #[error("audit store in {dir}: {source}")]
    Open {
        /// The store's folder.
        dir: PathBuf,
        /// What the system says.
        source: Arc<std::io::Error>,
    },
    /// The database was written by a later version.
    #[error(
        "audit store in {dir} was written by a later version (schema {found}, known is {known})"
    )]
    Newer {
        /// The store's folder.
        dir: PathBuf,
        /// What it says.
        found: i64,
        /// The newest that this version knows.
        known: i64,
    },
    /// More is to be stored than can be. It may be tried again.
    #[error("audit store is busy")]
    Busy,
    /// The store has ended.
    #[error("audit store has ended")]
    Ended,
    /// A page that was never given out.
    #[error("{0:?} is no cursor of this list")]
    Cursor(String),
    /// A tail that does not keep up.
    #[error("{0} calls were missed: read faster, or list them")]
    Behind(u64),
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(Arc::new(error))
    }
}

/// Where the store lies and how much it keeps.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The folder, of this store alone.
    pub(crate) dir: PathBuf,
    /// Calls that are kept. Beyond, the oldest are deleted.
    pub(crate) calls_max: u64,
}

#[cfg(test)]
impl Settings {
    /// The defaults.
    pub(crate) fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            calls_max: CALLS_MAX,
        }
    }
}

/// What the store has seen since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Records stored.
    pub(crate) stored: u64,
    /// Records that were there already, and were dropped.
    pub(crate) duplicates: u64,
    /// Calls deleted, as there were too many.
    pub(crate) expired: u64,
}

/// The audit store. Clones are the same; the last one to go ends its thread.
#[derive(Clone)]
pub(crate) struct Records(Arc<Inner>);

struct Inner {
    store: Store,
    readers: query::Readers,
    tail: Tail,
}

impl Records {
    /// Opens or makes the store in `dir`, with the default limits.
    #[cfg(test)]
    pub(crate) fn open(dir: &std::path::Path) -> Result<Self, Error> {
        Self::open_with(Settings::new(dir))
    }

    /// Opens or makes the store.
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::Newer`], [`Error::Database`].
    pub(crate) fn open_with(settings: Settings) -> Result<Self, Error> {
        let fault = |source| Error::Open {
            dir: settings.dir.clone(),
            source: Arc::new(source),
        };
        runtime::disk::create_private_dir(&settings.dir).map_err(fault)?;
        let file = settings.dir.join("records.sqlite");
        let writer = schema::open(&file, &settings.dir)?;
        let tail = Tail::default();
        let store =
            Store::spawn(writer, settings.calls_max, tail.clone()).map_err(
                |error| match error {
                    store::Fault::Store(error) => error,
                    store::Fault::Thread(source) => fault(source),
                },
            )?;
        let readers = query::Readers::open(&file)?;
        Ok(Self(Arc::new(Inner {
            store,
            readers,
            tail,
        })))
    }

    /// The OTLP service that nodes send to. It must be served with client certificates required.
    pub(crate) fn receiver(&self) -> TraceServiceServer<Receiver> {
        TraceServiceServer::new(Receiver::new(self.clone()))
            .max_decoding_message_size(REQUEST_BYTES_MAX)
    }

    /// A page of calls, newest first.
    ///
    /// # Errors
    /// [`Error::Cursor`], [`Error::Database`].
    pub(crate) async fn query(
        &self,
        request: ListCallsRequest,
    ) -> Result<ListCallsResponse, Error> {
        self.0.readers.list(request).await
    }

    /// Calls as they come, from now on: each once, when all of its hops have sent their records, or a
    /// little after the first has. Ends with [`Error::Behind`] if its reader is too slow.
    pub(crate) fn tail(
        &self,
        filter: CallFilter,
    ) -> impl Stream<Item = Result<Arc<Call>, Error>> + Send + use<> {
        self.0.tail.follow(filter)
    }

    /// What the store has seen since it was opened.
    pub(crate) fn counts(&self) -> Counts {
        self.0.store.counts()
    }

    /// Stores records; they are durable when this returns. Those that are there already are dropped.
    async fn store(&self, records: Vec<join::HopRecord>) -> Result<(), Error> {
        self.0.store.store(records).await
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Records({:?})", self.counts())
    }
}

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
