//! One mesh for many tests that only read: starting one costs seconds, asking it milliseconds.
//!
//! It stays until the test process ends; its watchdog (see [`crate::process`]) ends it then.

use std::ops::Deref;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::mesh::Running;
use crate::report;

/// A mesh that is started by the first who asks.
#[derive(Debug)]
pub struct Shared {
    mesh: OnceLock<Running>,
    tried: AtomicBool,
}

impl Shared {
    /// One that is not started yet.
    #[expect(
        clippy::new_without_default,
        reason = "only statics hold one, and `default` is not const"
    )]
    pub const fn new() -> Self {
        Self {
            mesh: OnceLock::new(),
            tried: AtomicBool::new(false),
        }
    }

    /// The mesh, started by `start` if it is not there yet.
    ///
    /// # Panics
    /// At once where it did not start before: one test tells the reason, the others need not wait for it again.
    pub fn get(&'static self, start: impl FnOnce() -> Running) -> Guest {
        let mesh = self.mesh.get_or_init(|| {
            let again = self.tried.swap(true, Ordering::Relaxed);
            assert!(
                !again,
                "the shared mesh did not start; another test tells why"
            );
            start()
        });
        Guest(mesh)
    }
}

/// A test's view of a shared mesh: prints the report where the test fails.
#[derive(Debug)]
pub struct Guest(&'static Running);

impl Deref for Guest {
    type Target = Running;

    fn deref(&self) -> &Running {
        self.0
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if std::thread::panicking() {
            report::print(self.0);
            return;
        }
        let alarming = report::alarming(self.0);
        assert!(alarming.is_empty(), "{alarming:#?}");
    }
}
