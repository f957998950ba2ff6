//! The wire contract `gatehouse.v1`, generated from `proto/gatehouse/v1/*.proto`.
//!
//! Nothing but generated code lives here. Only `model::wire` turns these messages into domain types;
//! services and clients pass them on.

/// Version 1 of the contract.
#[allow(
    missing_docs,
    unreachable_pub,
    missing_debug_implementations,
    clippy::all,
    rustdoc::all,
    reason = "generated code; its documentation is that of the .proto files"
)]
pub mod v1 {
    tonic::include_proto!("gatehouse.v1");
}

/// The encoded `FileDescriptorSet` of all files, with source comments: the reference is made from it.
pub const DESCRIPTOR: &[u8] = tonic::include_file_descriptor_set!("descriptor");
