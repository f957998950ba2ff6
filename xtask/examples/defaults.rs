//! Prints the default settings of all processes as TOML, a table for each: what `xtask docs` makes its page from.
//!
//! An example, so that `xtask` itself need not build the processes.

use std::io::Write;

use serde::Serialize;

#[derive(Default, Serialize)]
struct Defaults {
    control_plane: control_plane::app::Settings,
    edge: edge::app::Settings,
    sidecar: sidecar::app::Settings,
}

/// As `--print-config` prints them.
pub(crate) fn toml() -> String {
    runtime::settings::print(&Defaults::default())
}

#[allow(dead_code, reason = "a test of xtask takes this file as a module")]
fn main() -> std::io::Result<()> {
    std::io::stdout().write_all(toml().as_bytes())
}
