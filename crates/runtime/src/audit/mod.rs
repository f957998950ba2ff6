//! The record of every call: written before the call goes on, chained, kept, and sent until taken.
//!
//! ```text
//! append ─▶ segment files ─▶ Reader (a cursor for each destination) ─▶ span ─▶ OTLP/gRPC
//!   seq, hash chain            moves only after an OK                    collector, control plane
//! ```
//! A record is on its way to disk (in the page cache, which survives kill -9) when [`Log::append`] returns,
//! and on disk at most 100 ms later. When it cannot be written, [`Log::append`] says so and the caller
//! refuses the call: there is no silence. What a record says is decided elsewhere
//! (`model::record::Record`); this module knows its encoding, and OpenTelemetry. Start from [`Log`].

mod cursor;
pub mod export;
mod log;
mod protobuf;
mod read;
mod recover;
mod segment;
mod span;
mod sync;
mod verify;
mod view;
mod write;

pub use export::{Destination, Exporter, destinations_from_env};
pub use log::{Error, FSYNC_INTERVAL, Log, LogSettings, SEGMENT_BYTES_MAX, Stamp, TOTAL_BYTES_MAX};
pub use recover::Recovered;
pub use verify::{Report, Verdict, verify};

/// The names of attributes that only Gatehouse knows; the receiver reads what the exporter writes.
pub mod attribute {
    /// UUID of the call, the same at every hop.
    pub const CALL_ID: &str = "gatehouse.call_id";
    /// The server.
    pub const SERVER: &str = "gatehouse.server";
    /// Who called.
    pub const USER: &str = "gatehouse.user";
    /// That user's groups.
    pub const GROUPS: &str = "gatehouse.groups";
    /// The client application.
    pub const CLIENT: &str = "gatehouse.client";
    /// The credential's id.
    pub const CREDENTIAL: &str = "gatehouse.credential";
    /// allow, deny, change, approve or error.
    pub const DECISION: &str = "gatehouse.decision";
    /// Why it was not simply allowed.
    pub const REASON: &str = "gatehouse.reason";
    /// The rule that decided.
    pub const RULE: &str = "gatehouse.rule";
    /// What rules that only observe would have changed.
    pub const OBSERVED: &str = "gatehouse.observed";
    /// The approval by which the call went on, or which it was refused.
    pub const APPROVAL: &str = "gatehouse.approval";
    /// Who decided about it.
    pub const APPROVER: &str = "gatehouse.approver";
    /// Filters that ran.
    pub const FILTERS: &str = "gatehouse.filters";
    /// The limit that refused, or would have.
    pub const LIMIT: &str = "gatehouse.limit";
    /// What filters did or would have done.
    pub const FINDINGS: &str = "gatehouse.findings";
    /// SHA-256 of a request that filters changed, as it came, hex.
    pub const REQUEST_SHA256: &str = "gatehouse.request_sha256";
    /// … as they left it.
    pub const REQUEST_CHANGED_SHA256: &str = "gatehouse.request_changed_sha256";
    /// SHA-256 of a response that filters changed, as it came, hex.
    pub const RESPONSE_SHA256: &str = "gatehouse.response_sha256";
    /// … as they left it.
    pub const RESPONSE_CHANGED_SHA256: &str = "gatehouse.response_changed_sha256";
    /// The configuration revision that decided.
    pub const REVISION: &str = "gatehouse.revision";
    /// The node that wrote the record.
    pub const NODE: &str = "gatehouse.node";
    /// The record's number in that node's log.
    pub const SEQ: &str = "gatehouse.seq";
    /// The record's hash, hex.
    pub const HASH: &str = "gatehouse.hash";
    /// From the call's coming to its close, milliseconds.
    pub const DURATION_MS: &str = "gatehouse.duration_ms";
    /// Of that, waiting for the upstream, milliseconds.
    pub const UPSTREAM_MS: &str = "gatehouse.upstream_ms";
    /// `edge` or `sidecar`.
    pub const HOP: &str = "gatehouse.hop";
    /// Set where an edge delivered to the server itself, so that there is no other hop.
    pub const DIRECT: &str = "gatehouse.direct";
    /// Tool, prompt, resource URI or task, as it came.
    pub const NAME: &str = "gatehouse.name";
    /// JSON-RPC error code of the reply.
    pub const ERROR_CODE: &str = "gatehouse.error_code";
    /// Whether the result says `isError`.
    pub const TOOL_ERROR: &str = "gatehouse.tool_error";
    /// HTTP status of the reply.
    pub const HTTP_STATUS: &str = "gatehouse.http_status";
    /// The arguments of a tool call, JSON, where a rule asks for them (OpenTelemetry's own name).
    pub const TOOL_ARGUMENTS: &str = "gen_ai.tool.call.arguments";
    /// The result of a tool call, JSON, where a rule asks for it (OpenTelemetry's own name).
    pub const TOOL_RESULT: &str = "gen_ai.tool.call.result";
    /// The arguments of another call, for which OpenTelemetry has no name.
    pub const ARGUMENTS: &str = "gatehouse.arguments";
    /// The result of another call, for which OpenTelemetry has no name.
    pub const RESULT: &str = "gatehouse.result";
    /// The arguments were longer than what is recorded.
    pub const ARGUMENTS_CUT: &str = "gatehouse.arguments_cut";
    /// Something in the arguments was redacted.
    pub const ARGUMENTS_REDACTED: &str = "gatehouse.arguments_redacted";
    /// The result was longer than what is recorded.
    pub const RESULT_CUT: &str = "gatehouse.result_cut";
    /// JSON-RPC method, as it came (OpenTelemetry's own name).
    pub const METHOD: &str = "mcp.method.name";
    /// JSON-RPC id, as text (OpenTelemetry's own name).
    pub const REQUEST_ID: &str = "jsonrpc.request.id";
    /// The client's MCP revision (OpenTelemetry's own name).
    pub const MCP_REVISION: &str = "mcp.protocol.version";
    /// The client's address (OpenTelemetry's own name).
    pub const CLIENT_ADDRESS: &str = "client.address";
}

#[cfg(test)]
pub(crate) mod samples;
