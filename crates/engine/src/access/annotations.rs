//! What is taken for true of a tool: what its approved definition says, where its server is trusted; else the worst.

use model::annotations::Hints;
use model::name::ServerName;
use model::snapshot::Snapshot;

/// What is known of a tool, and why not more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// What its server says of its tools is not trusted.
    Untrusted,
    /// No definition of it is approved.
    NotApproved,
    /// Its approved definition says this, or nothing that is better than the worst.
    Says(Hints),
}

impl Known {
    /// What is taken for true.
    pub(crate) fn hints(self) -> Hints {
        match self {
            Self::Untrusted | Self::NotApproved => Hints::default(),
            Self::Says(hints) => hints,
        }
    }
}

/// What is known of a server's tool, by its own name.
pub(crate) fn of(snapshot: &Snapshot, server: &ServerName, tool: &str) -> Known {
    let trusted = snapshot.servers.get(server);
    if !trusted.is_some_and(|server| server.tools.is_trusted()) {
        return Known::Untrusted;
    }
    let Some(pins) = snapshot.tool_pins.get(server) else {
        return Known::NotApproved;
    };
    let hints = pins.hints_of(tool);
    match hints == Hints::default() && !pins.tools.contains_key(tool) {
        true => Known::NotApproved,
        false => Known::Says(hints),
    }
}
