//! The long behaviour tests: a cluster of real processes under load, and everything that can go wrong with it.
//!
//! Each is ignored in `make test` and run by `make e2e`. One cluster at a time: it has the machine for itself.

mod kills;
mod rolling;
mod stage;
