//! The frame of every process: settings, drain, readiness, TLS, sockets, telemetry, audit, admin port.
//!
//! What edge, sidecar and control plane share as *processes*. It knows nothing of MCP, of policy or of
//! the store; of the nouns it knows the audit record and names only.
//!
//! Three things happen here and nowhere else: the environment is read ([`settings`]), OpenTelemetry is
//! spoken ([`telemetry`], [`audit`]), and signals are heard ([`drain`]). Start from [`drain::Drain`], which
//! owns every task of a process, or from [`audit::Log`], which holds every record.

pub mod admin;
pub mod audit;
pub mod backoff;
pub mod clock;
pub mod disk;
pub mod drain;
pub mod metrics;
pub mod net;
pub mod readiness;
pub mod settings;
pub mod telemetry;
pub mod tls;
