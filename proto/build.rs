//! Runs protoc, here and nowhere else in the workspace.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = [
        "gatehouse/v1/catalog.proto",
        "gatehouse/v1/pins.proto",
        "gatehouse/v1/rollout.proto",
        "gatehouse/v1/policy.proto",
        "gatehouse/v1/filter.proto",
        "gatehouse/v1/limit.proto",
        "gatehouse/v1/admin.proto",
        "gatehouse/v1/node.proto",
        "gatehouse/v1/audit.proto",
        "gatehouse/v1/approval.proto",
    ];
    for file in files {
        println!("cargo:rerun-if-changed={file}");
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "so cargo tells a build script where to write"
    )]
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    tonic_prost_build::configure()
        // Encoded resources are shared between all pushes: `Bytes` clones by reference count.
        .bytes(".gatehouse.v1.PushedResource.encoded")
        // Maps that are hashed or shown must have one order.
        .btree_map(".")
        .file_descriptor_set_path(out.join("descriptor.bin"))
        .compile_protos(&files, &["."])?;
    Ok(())
}
