//! Every check of `gatehouse check`: its id, its group, and the long text that `gatehouse explain ID` prints and
//! `docs/checks.md` holds.
//!
//! An id is kept for ever: never renamed, never given a second meaning. Uses nothing of the crate, as the generator
//! of the page reads this file by itself.

/// What a check is about. In the order in which findings are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// The machine that the command runs on.
    Machine,
    /// The control plane and the way to it.
    ControlPlane,
    /// Edges and sidecars.
    Nodes,
    /// The servers of the catalog.
    Servers,
    /// A call, from here to a server and into the record.
    EndToEnd,
}

impl Group {
    /// All, in order.
    pub const ALL: [Self; 5] = [
        Self::Machine,
        Self::ControlPlane,
        Self::Nodes,
        Self::Servers,
        Self::EndToEnd,
    ];

    /// As programs and flags call it.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Machine => "machine",
            Self::ControlPlane => "control-plane",
            Self::Nodes => "nodes",
            Self::Servers => "servers",
            Self::EndToEnd => "end-to-end",
        }
    }

    /// As people read it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Machine => "this machine",
            Self::ControlPlane => "control plane",
            Self::Nodes => "nodes",
            Self::Servers => "servers",
            Self::EndToEnd => "end to end",
        }
    }
}

/// One check.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// Kept for ever.
    pub id: &'static str,
    /// What it is about.
    pub group: Group,
    /// What is asked, in a few words.
    pub title: &'static str,
    /// What is looked at, what each verdict means, and what to do.
    pub text: &'static str,
}

const fn known(id: &'static str, group: Group, title: &'static str, text: &'static str) -> Known {
    Known {
        id,
        group,
        title,
        text,
    }
}

/// Addresses are free, or ours.
pub const PORTS: &str = "ports";
/// The data folder can be used.
pub const DATA_FOLDER: &str = "data-folder";
/// npx answers.
pub const NPX: &str = "npx";
/// uvx answers.
pub const UVX: &str = "uvx";
/// Files may be open.
pub const OPEN_FILES: &str = "open-files";
/// Both clocks agree.
pub const CLOCK: &str = "clock";
/// The context is there.
pub const CP_CONTEXT: &str = "cp-context";
/// The control plane answers.
pub const CP_REACHABLE: &str = "cp-reachable";
/// The admin token is good.
pub const CP_TOKEN: &str = "cp-token";
/// The store and its head.
pub const CP_STORE: &str = "cp-store";
/// The audit store answers.
pub const CP_AUDIT: &str = "cp-audit";
/// Nodes are heard of.
pub const NODES_LIVE: &str = "nodes-live";
/// Nodes run the head.
pub const NODES_CURRENT: &str = "nodes-current";
/// Certificates are renewed.
pub const NODES_CERTS: &str = "nodes-certs";
/// Servers run.
pub const SERVER_STARTED: &str = "server-started";
/// Servers list their tools.
pub const SERVER_TOOLS: &str = "server-tools";
/// The edge answers.
pub const EDGE_REACHABLE: &str = "edge-reachable";
/// A call goes through.
pub const CALL: &str = "call";
/// The call is on record.
pub const CALL_RECORDED: &str = "call-recorded";

/// All checks, in the order in which they are shown.
pub const CHECKS: &[Known] = &[
    known(
        PORTS,
        Group::Machine,
        "addresses are free, or ours",
        "With --pre: the addresses that `gatehouse up` will listen on can be listened on, or a Gatehouse listens there \
         already. Without it: what listens at the context's addresses on this machine is a Gatehouse. Who holds an \
         address is known where the system tells (Linux, processes of the same user).",
    ),
    known(
        DATA_FOLDER,
        Group::Machine,
        "the data folder can be used",
        "The folder exists or can be made, can be written, and its disk has room: less than 1 GiB is a warning, less \
         than 100 MiB a failure, as records of calls are written there before the calls go on. With --pre, a folder \
         in which another `gatehouse up` works is a failure: two would spoil each other's state.",
    ),
    known(
        NPX,
        Group::Machine,
        "npx answers with a version",
        "Servers with `runtime: npx` are run by npx, which comes with Node.js. It is looked for where sidecars started \
         by `gatehouse up` look, and asked for its version; nothing is fetched. Not there: a warning, and a failure \
         where the catalog holds a server that needs it. There, but without an answer: a failure.",
    ),
    known(
        UVX,
        Group::Machine,
        "uvx answers with a version",
        "As for npx: servers with `runtime: uvx` are run by uvx, which comes with uv.",
    ),
    known(
        OPEN_FILES,
        Group::Machine,
        "enough files may be open",
        "Each connection is an open file. Below 1024 is a warning, below 256 a failure. It is the limit of the shell \
         that runs the check, which `gatehouse up` inherits when it is started from there; what runs already keeps \
         the limit that it began with.",
    ),
    known(
        CLOCK,
        Group::Machine,
        "the clock agrees with the control plane's",
        "The time of this machine against the date in the control plane's answer, to the second. Certificates are \
         good from a moment on, and for a day: five minutes apart is a failure, ten seconds a warning. Which of the \
         two clocks is wrong cannot be known from here.",
    ),
    known(
        CP_CONTEXT,
        Group::ControlPlane,
        "a context says where the control plane is",
        "The context file is found and can be read; see GH3005 and GH3006. One without `edge` and `key` is a warning: \
         without them no call can be tried.",
    ),
    known(
        CP_REACHABLE,
        Group::ControlPlane,
        "the control plane answers",
        "A connection stands, the certificate is signed by the authority that the context names, and the control \
         plane answers. Its certificate lasts a day and is renewed by half of that; less than six hours is a warning. \
         While the control plane is away, edges and sidecars go on with what they have.",
    ),
    known(
        CP_TOKEN,
        Group::ControlPlane,
        "the admin token is good",
        "The control plane accepts the admin token of the context or of --token; see GH3003.",
    ),
    known(
        CP_STORE,
        Group::ControlPlane,
        "which store, and its head revision",
        "The kind of store and the revision at its head, as the control plane holds them. It says nothing about the \
         store's own health: a store that is away shows at the next change (GH6101).",
    ),
    known(
        CP_AUDIT,
        Group::ControlPlane,
        "the audit store answers",
        "The store of records can be asked. Calls go on without it: nodes keep their records until it takes them.",
    ),
    known(
        NODES_LIVE,
        Group::Nodes,
        "edges and sidecars are heard of",
        "A node is live while it was heard of within 15 s. No live edge, or a server whose only sidecar is silent, is \
         a failure. Any other silent node is a warning: one that was taken away is forgotten after a day. A silent \
         node goes on serving with what it has; look at its process, and at its way to the control plane.",
    ),
    known(
        NODES_CURRENT,
        Group::Nodes,
        "every live node runs the head revision",
        "A node that rejected a revision keeps the one before and says why: a failure, with its words. One that is \
         behind is a warning; it passes by itself within seconds, unless the node hangs.",
    ),
    known(
        NODES_CERTS,
        Group::Nodes,
        "certificates of nodes are renewed",
        "Certificates last a day and are renewed by half of that. Less than six hours is a warning: the node could not \
         renew it, and its log says why. One that has ended is a failure: the node must join anew with a token.",
    ),
    known(
        SERVER_STARTED,
        Group::Servers,
        "servers run",
        "Each server of the catalog has a sidecar at which it is ready, or stopped until its next call. Installing \
         and starting are warnings that pass; failed, waiting for the next start, and without a sidecar are failures, \
         with the server's last words.",
    ),
    known(
        SERVER_TOOLS,
        Group::Servers,
        "servers list their tools",
        "Each server that is ready is asked for its tools through the context's edge, with the context's key: at most \
         50 servers, and each question is a call on record. No answer, or an error, is a failure; a server without a \
         tool is a warning, and so is one of which definitions of tools wait to be approved. Servers that no rule lets the key \
         use are left out.",
    ),
    known(
        EDGE_REACHABLE,
        Group::EndToEnd,
        "the edge answers",
        "The edge of the context takes connections and says that it is ready to serve.",
    ),
    known(
        CALL,
        Group::EndToEnd,
        "a call goes through",
        "tools/list with the context's key, through the context's edge, to a server and back: what every client does. \
         A key that is not accepted is a failure, one that no rule lets use any server a warning.",
    ),
    known(
        CALL_RECORDED,
        Group::EndToEnd,
        "the call is on record",
        "The record of that very call has come to the audit store. It takes a moment; after five seconds it is a \
         failure: the nodes cannot send their records, keep them, and refuse calls once their disk is full.",
    ),
];

/// A check by its id.
pub fn look_up(id: &str) -> Option<&'static Known> {
    CHECKS.iter().find(|known| known.id == id)
}
