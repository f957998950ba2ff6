//! The behaviour tests of the whole: one module for each thing that Gatehouse promises, one test for each promise.
//!
//! One binary, as each would link the same again. The harness is the crate itself; see `tests/src/lib.rs`.

mod access;
mod approve;
mod asking;
mod audit;
mod away;
mod batch;
mod built_in;
mod bypasses;
mod certificates;
mod chain;
mod changes;
mod check;
mod cli;
mod cluster;
mod commands;
mod conditions;
mod conformance;
mod crash;
mod describe;
mod door;
mod drain;
mod etcd;
mod faults;
mod federation;
mod files;
mod input;
mod keys;
mod leaving;
mod limits;
mod mediation;
mod metrics;
mod nodes;
mod old;
mod outcomes;
mod outward;
mod pins;
mod quickstart;
mod readme;
mod replay;
mod servers;
mod stage;
mod standing;
mod subscriptions;
mod tenancy;
