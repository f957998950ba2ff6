//! The cluster that most of these tests stand on, and who calls there.

use serde_json::Value;
use tests::catalog;
use tests::cluster::load::Target;
use tests::cluster::{Cluster, Running};

/// Who makes the load.
pub(crate) const USER: &str = "load@example.com";
/// In which group.
pub(crate) const GROUP: &str = "load";

/// Two servers: `slow` with two sidecars, `everything` with one.
pub(crate) fn cluster() -> Cluster {
    Cluster::new()
        .with(&resources())
        .sidecar("slow")
        .sidecar("slow")
        .sidecar("everything")
}

/// What stands in the catalog at the start.
pub(crate) fn resources() -> Vec<Value> {
    vec![
        catalog::fixture("slow", &[]),
        catalog::everything(),
        catalog::allow("all", GROUP, &["*"]),
        catalog::words("no-hacking", &["hacking"]),
    ]
}

/// What the load calls.
pub(crate) fn targets() -> [Target; 2] {
    [Target::sleep("slow"), Target::echo("everything")]
}

/// A key of whoever makes the load.
pub(crate) fn key(cluster: &Running) -> String {
    cluster.key(USER, GROUP)
}

/// Prints what a test has shown, for whoever runs it by hand.
#[expect(
    clippy::print_stderr,
    reason = "figures are what these tests are for; the test runner shows them on demand"
)]
pub(crate) fn tell(text: &str) {
    eprintln!("{text}");
}
