#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
//! What tests of several modules are about.

use model::name::ServerName;
use model::server::{Limits, Runtime, Server, Tenancy};

/// A server of this name that is a program; for the rest see where it is used.
pub(crate) fn server(name: &str) -> Server {
    Server {
        name: ServerName::new(name).unwrap(),
        labels: Default::default(),
        title: String::new(),
        description: String::new(),
        tenancy: Tenancy::Shared,
        runtime: Runtime::Command {
            argv: vec!["/bin/true".to_owned()],
        },
        env: Default::default(),
        headers: Default::default(),
        url_values: Default::default(),
        limits: Limits::default(),
        tools: Default::default(),
    }
}
