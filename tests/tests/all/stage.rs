//! Meshes that many tests share, and the callers on them. Tests on them leave no rule, filter or server behind.

use serde_json::json;
use tests::catalog;
use tests::mesh::Mesh;
use tests::shared::{Guest, Shared};

/// The quick start, as a newcomer has it.
pub(crate) fn quickstart() -> Guest {
    static MESH: Shared = Shared::new();
    MESH.get(|| Mesh::new().apply("deploy/quickstart").start_shared())
}

/// Small servers that start at once, two edges, and two groups that see them differently:
///
/// * `engineering` may use all servers, but not the tool `cancelled`;
/// * `support` may use `hacker` alone.
pub(crate) fn workshop() -> Guest {
    static MESH: Shared = Shared::new();
    MESH.get(|| {
        let resources = [
            catalog::everything(),
            catalog::fixture("slow", &[]),
            catalog::fixture("hacker", &[]),
            catalog::named_fixture("modern-only", "modern_only", &[]),
            catalog::allow("admins", "admin", &["*"]),
            catalog::allow("engineers", "engineering", &["*"]),
            catalog::deny_tool("no-counting", "engineering", "slow", "cancelled"),
            catalog::allow("support", "support", &["hacker"]),
            catalog::words("no-hacking", &["hacking"]),
        ];
        Mesh::new().with(&resources).edges(2).start_shared()
    })
}

/// One good server among bad ones.
pub(crate) fn infirmary() -> Guest {
    static MESH: Shared = Shared::new();
    MESH.get(|| {
        let mut hasty = catalog::named_fixture("hasty", "slow", &[]);
        hasty["spec"]["limits"] = json!({"call": "1s"});
        let resources = [
            catalog::command("missing", &["/no/such/program".to_owned()]),
            catalog::fixture("rubbish", &[]),
            catalog::fixture("dies", &[]),
            catalog::named_fixture("dies-often", "dies", &[]),
            catalog::fixture("slow", &[]),
            hasty,
            catalog::allow("engineers", "engineering", &["*"]),
        ];
        Mesh::new().with(&resources).start_shared()
    })
}

/// A key of somebody in `engineering`.
pub(crate) fn ana(mesh: &Guest) -> String {
    mesh.key("ana@example.com", &["engineering"]).text
}

/// A key of somebody in `support`.
pub(crate) fn sam(mesh: &Guest) -> String {
    mesh.key("sam@example.com", &["support"]).text
}
