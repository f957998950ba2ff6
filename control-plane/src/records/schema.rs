//! The tables: what each hop sent, and what the hops of a call say together.
//!
//! Knows SQLite's dialect and settings; not what is asked or stored.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::Error;

/// Of the tables below; kept in the file.
const VERSION: i64 = 1;
/// How long one connection waits for another.
const BUSY_MAX: Duration = Duration::from_secs(10);
/// Statements that a connection keeps prepared.
const STATEMENTS: usize = 64;

/// `record`: one row for each record of a hop, as it came. `call`: one row for each call, joined; its
/// columns are what can be asked for, its body is the message that is answered.
const TABLES: &str = "
    CREATE TABLE record (
        node TEXT NOT NULL,
        seq INTEGER NOT NULL,
        call_id BLOB NOT NULL,
        hash BLOB NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (node, seq)
    ) WITHOUT ROWID;
    CREATE INDEX record_call ON record (call_id);
    CREATE TABLE call (
        call_id BLOB NOT NULL PRIMARY KEY,
        time_ns INTEGER NOT NULL,
        user TEXT NOT NULL,
        groups TEXT NOT NULL,
        server TEXT NOT NULL,
        method TEXT NOT NULL,
        name TEXT NOT NULL,
        decision TEXT NOT NULL,
        body BLOB NOT NULL
    );
    CREATE INDEX call_time ON call (time_ns, call_id);
    CREATE INDEX call_user ON call (user, time_ns, call_id);
    CREATE INDEX call_server ON call (server, time_ns, call_id);
    CREATE INDEX call_name ON call (name, time_ns, call_id);
    CREATE INDEX call_decision ON call (decision, time_ns, call_id);
";

/// Opens the file for writing, and makes the tables where there are none.
pub(super) fn open(file: &Path, dir: &Path) -> Result<Connection, Error> {
    let mut connection = Connection::open(file)?;
    connection.busy_timeout(BUSY_MAX)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A commit is on disk when it returns: exporters forget what we say we have.
    connection.pragma_update(None, "synchronous", "FULL")?;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match found {
        VERSION => {}
        0 => {
            let transaction = connection.transaction()?;
            transaction.execute_batch(TABLES)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
            transaction.commit()?;
        }
        _ => {
            return Err(Error::Newer {
                dir: dir.to_owned(),
                found,
                known: VERSION,
            });
        }
    }
    Ok(connection)
}

/// Opens the file for reading only.
pub(super) fn open_reader(file: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(BUSY_MAX)?;
    Ok(connection)
}
