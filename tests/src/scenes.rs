//! What is done to a cluster, as long as one likes: `make e2e` plays each scene at full length, `make test` some of
//! them in short. And the stage: the cluster that most of them stand on, and who calls there.

use serde_json::Value;

use crate::catalog;
use crate::cluster::load::Target;
use crate::cluster::{Cluster, Running};

pub mod audit;
pub mod kills;
pub mod limits;
pub mod rolling;
pub mod snapshots;
pub mod store;

/// Who makes the load.
pub const USER: &str = "load@example.com";
/// In which group.
pub const GROUP: &str = "load";

/// Two servers: `slow` with two sidecars, `everything` with one.
pub fn cluster() -> Cluster {
    Cluster::new()
        .with(&resources())
        .sidecar("slow")
        .sidecar("slow")
        .sidecar("everything")
}

/// What stands in the catalog at the start.
pub fn resources() -> Vec<Value> {
    vec![
        catalog::fixture("slow", &[]),
        catalog::everything(),
        catalog::allow("all", GROUP, &["*"]),
        catalog::words("no-hacking", &["hacking"]),
    ]
}

/// What the load calls.
pub fn targets() -> [Target; 2] {
    [Target::sleep("slow"), Target::echo("everything")]
}

/// A key of whoever makes the load.
pub fn key(cluster: &Running) -> String {
    cluster.key(USER, GROUP)
}

/// Prints what a test has shown, for whoever runs it by hand.
#[expect(
    clippy::print_stderr,
    reason = "figures are what these tests are for; the test runner shows them on demand"
)]
pub fn tell(text: &str) {
    eprintln!("{text}");
}
