//! The codes of faults that only the command line finds, and of those that the control plane answers with (their
//! second digit is 1): GH3 connection and identity, GH4 servers, GH5
//! rollout, GH6 this machine. Those of files and policy stand in [`model::fault`].
//!
//! A code is kept for ever: never renumbered, never given a second meaning.

/// Nothing listens at the control plane's address.
pub const NOTHING_LISTENS: &str = "GH3001";
/// Both sides speak, but not the same language.
pub const TLS_MISMATCH: &str = "GH3002";
/// A token or key that is not (or no longer) good.
pub const NOT_SIGNED_IN: &str = "GH3003";
/// A good token that may not do this.
pub const NOT_PERMITTED: &str = "GH3004";
/// No context file, and no address given.
pub const NO_CONTEXT: &str = "GH3005";
/// A context file that cannot be used.
pub const BAD_CONTEXT: &str = "GH3006";
/// The control plane did not answer, or not as it should.
pub const NO_ANSWER: &str = "GH3007";
/// The edge cannot be reached.
pub const NO_EDGE: &str = "GH3008";
/// No server, rule, filter, key or node of that name.
pub const NO_SUCH: &str = "GH4001";
/// The server is not there, too slow or overloaded.
pub const SERVER_AWAY: &str = "GH4002";
/// A rule, a filter, a limit or the want of an approval refused the call, or its tool has changed.
pub const REFUSED: &str = "GH4003";
/// The tool says itself that it failed.
pub const TOOL_FAILED: &str = "GH4004";
/// An answer that is no MCP.
pub const NOT_MCP: &str = "GH4005";
/// The server answered with an error.
pub const SERVER_ERROR: &str = "GH4006";
/// A node refused the revision.
pub const REJECTED: &str = "GH5001";
/// Not all nodes run the revision yet.
pub const NOT_LIVE_YET: &str = "GH5002";
/// Somebody else changed the configuration meanwhile.
pub const CHANGED_MEANWHILE: &str = "GH5003";
/// What `wait` was to wait for did not come in time.
pub const WAIT_OVER: &str = "GH5004";
/// A change that was rolled out in stages was taken back.
pub const TAKEN_BACK: &str = "GH5006";
/// Another process has the address.
pub const ADDRESS_IN_USE: &str = "GH6001";
/// Another `gatehouse up` has the folder.
pub const FOLDER_IN_USE: &str = "GH6002";
/// A file or folder of this machine that cannot be read or written.
pub const FILE: &str = "GH6003";
/// A part of `gatehouse up` that does not start.
pub const PART_FAILED: &str = "GH6004";
/// `gatehouse up` did not come to `ready` in time.
pub const NOT_READY: &str = "GH6005";

/// Code, title, and the long text that `gatehouse explain CODE` prints; sorted by code.
pub const CODES: &[(&str, &str, &str)] = &[
    (
        NOTHING_LISTENS,
        "nothing listens at the control plane's address",
        "The address comes from --address, or from the context file. Either no control plane runs there, or it \
         listens elsewhere. On one machine: gatehouse up.",
    ),
    (
        TLS_MISMATCH,
        "no TLS connection",
        "Something listens at the address, but the two sides could not agree: it speaks plain HTTP where https is \
         expected, or its certificate was not signed by the authority that the context names. A control plane that \
         was set up anew has a new authority; take its new client.toml.",
    ),
    (
        NOT_SIGNED_IN,
        "token or key not accepted",
        "The admin token (context file or --token) or the API key is unknown, was revoked, or has expired. \
         `gatehouse up` writes a good one to client.toml at each start.",
    ),
    (
        NOT_PERMITTED,
        "not permitted",
        "The token is good, but whoever it belongs to may not do this.",
    ),
    (
        NO_CONTEXT,
        "no context",
        "A context file says where the control plane is and holds what proves who you are. It is looked for at \
         --context, then GATEHOUSE_CONTEXT, then .gatehouse/client.toml below the current folder, then \
         ~/.config/gatehouse/client.toml. `gatehouse up` writes the third.",
    ),
    (
        BAD_CONTEXT,
        "the context file cannot be used",
        "The file is not readable, not TOML, lacks a value, or holds one that is not known. Its keys: address, ca, \
         token, key, edge, user, groups.",
    ),
    (
        NO_ANSWER,
        "no answer from the control plane",
        "The connection was made, but no answer came in time, or it broke, or the control plane itself failed. Its \
         log says more; under `gatehouse up` it is logs/control-plane.log in the data folder.",
    ),
    (
        NO_EDGE,
        "the edge cannot be reached",
        "`tools` and `call` go through an edge, as every client does. Its URL is `edge` in the context file.",
    ),
    (
        "GH3101",
        "join token not accepted",
        "A join token is good for one node, once, for ten minutes, and for the kind and server that it was \
         made for. Make another: gatehouse node token create.",
    ),
    (
        "GH3102",
        "too many join tokens",
        "So many tokens wait to be used that no further one is made. Use or await the end of those: each ends \
         after ten minutes.",
    ),
    (
        "GH3103",
        "not a request for a certificate",
        "A node that joins sends a signing request and the names it is reached by. What came is not one, or \
         names a host that cannot stand in a certificate.",
    ),
    (
        "GH3104",
        "a certificate cannot be made",
        "The control plane's own authority failed. Its log says why.",
    ),
    (
        "GH3105",
        "a node's certificate is needed",
        "Nodes speak to the control plane with the certificate that joining gives them. There was none, or \
         none of this control plane's authority.",
    ),
    (
        "GH3106",
        "not this node's part",
        "The certificate is good, but for another kind of node or another server than the one that was asked \
         for.",
    ),
    (
        "GH3201",
        "not yours to approve",
        "A call that waits for a person is for those to decide whom its rule names as approvers, by their API key \
         (--token @FILE); where it names nobody, for whoever has an administrator's token. Nobody decides about a call \
         of their own.",
    ),
    (
        "GH3202",
        "the approval is not open",
        "It was decided, used or is over already, or is for another call, or its rule is gone. A call that is made \
         again is asked about again: gatehouse approve shows what waits.",
    ),
    (
        "GH3203",
        "too many calls wait for approval",
        "So many calls of one user, or of all, wait for a person that no further one is asked about. Decide about \
         those that wait: gatehouse approve. Each ends by itself, too (approvals.expires_s).",
    ),
    (
        NO_SUCH,
        "nothing of that name",
        "There is none, or you may not know of it: both look the same on purpose. The nearest name that you may \
         see is offered.",
    ),
    (
        SERVER_AWAY,
        "the server cannot take the call now",
        "It is being installed, starting, down, too slow or overloaded, or cannot do this for a client of this \
         MCP revision. `gatehouse server status NAME` shows its state and last lines.",
    ),
    (
        REFUSED,
        "the call was refused",
        "A rule, a filter or a limit refused it, nobody agreed to it, or the definition of its tool has changed and waits. The \
         line after `why` shows the decision and what came near.",
    ),
    (
        TOOL_FAILED,
        "the tool reports an error",
        "The call arrived and the tool ran; its own answer says that it failed.",
    ),
    (
        NOT_MCP,
        "an answer that is not MCP",
        "What came back is no MCP message. Is the address that of an edge?",
    ),
    (
        SERVER_ERROR,
        "the server answered with an error",
        "The MCP server itself refused the request; its words are shown as they came.",
    ),
    (
        REJECTED,
        "a node rejects the revision",
        "The revision is stored, but a node could not take it and goes on with the one before. A node of an older \
         version rejects what it does not know, rather than guess. Its own words are shown.",
    ),
    (
        NOT_LIVE_YET,
        "not on all nodes yet",
        "The revision is stored and reaches each node as soon as that node is there; only the waiting ended.",
    ),
    (
        CHANGED_MEANWHILE,
        "the configuration changed meanwhile",
        "With --if-revision, nothing is stored unless the head revision is the one that you looked at. Look again, \
         then apply again.",
    ),
    (
        WAIT_OVER,
        "the wait is over",
        "`gatehouse wait` waited as long as it may, and what it waited for did not come. The line after `why` says how \
         things stood then. Nothing was changed; --timeout gives it longer.",
    ),
    (
        "GH5005",
        "a change is being rolled out in stages",
        "A share of the nodes has a change that the others do not have yet. What it changed is changed by nobody until it \
         came to all nodes or was taken back, and no second change is staged beside it: gatehouse rollout status.",
    ),
    (
        TAKEN_BACK,
        "the change was taken back",
        "It was rolled out in stages, and a node rejected it, fell silent with it, or failed or refused more calls than \
         is usual by more than --stage-errors. A new revision holds what was before it. The line after `why` says what \
         was seen.",
    ),
    (
        "GH5101",
        "the revision is too old",
        "The history no longer reaches back to it. The oldest revision that is kept is named.",
    ),
    (
        "GH5102",
        "too many nodes",
        "As many nodes as one control plane serves are live already.",
    ),
    (
        "GH5103",
        "the store went back",
        "The store holds an older revision than nodes have run: it was restored from a backup. Nodes keep the rules that \
         they run, and nothing can be changed until somebody agrees: gatehouse store status, then gatehouse store accept.",
    ),
    (
        "GH5104",
        "nothing to accept",
        "The store has not gone back, or holds another revision than the one that was named: gatehouse store status.",
    ),
    (
        "GH5105",
        "no sidecar is connected",
        "A server's log lies with its sidecars, and none of them has a stream to a control plane. Where one should run: \
         gatehouse describe Server NAME.",
    ),
    (
        "GH5106",
        "history does not hold the revision",
        "The control plane keeps the last revisions, as many as its settings history.revisions_max and \
         history.bytes_max say. This one is older, was never made, or was given up when a restored store was accepted: \
         gatehouse history.",
    ),
    (
        "GH5107",
        "no such rollout",
        "No change is being rolled out in stages, or it is another one than --revision names, or history does not hold any \
         more what was before it: gatehouse rollout status.",
    ),
    (
        ADDRESS_IN_USE,
        "address in use",
        "Another process listens there. Stop it, or choose another address with the flag that is named.",
    ),
    (
        FOLDER_IN_USE,
        "data folder in use",
        "Another `gatehouse up` works in this folder; two would spoil each other's state. Use its control plane, \
         or give this one a folder of its own with --data.",
    ),
    (
        FILE,
        "file or folder",
        "A file or folder that is needed cannot be read or written, or may be read by others although it holds a \
         secret.",
    ),
    (
        PART_FAILED,
        "a part does not start",
        "A process that `gatehouse up` started ended again and again. Its last lines are shown; all of them are in \
         logs/ in the data folder.",
    ),
    (
        NOT_READY,
        "not ready in time",
        "`gatehouse up` waited ten minutes. What it still waits for is named.",
    ),
    (
        "GH6101",
        "the store is away",
        "The control plane cannot reach its store. Calls go on with what edges and sidecars have; changes \
         wait until it is back.",
    ),
    (
        "GH6102",
        "the store is in use",
        "Another process has the embedded store open. One control plane works on it at a time.",
    ),
    (
        "GH6103",
        "the store failed",
        "The store did not do what it was asked to. The message has its own words.",
    ),
    (
        "GH6104",
        "the store holds what cannot be read",
        "A value in the store is not what was written there: another version wrote it, or it is damaged. \
         Nothing is overwritten.",
    ),
    (
        "GH6105",
        "too big for the store",
        "One resource is larger than the store takes in one piece.",
    ),
    (
        "GH6106",
        "a secret cannot be sealed or opened",
        "The master key is not the one that the store's secrets were sealed with. All replicas share one \
         master_key_file.",
    ),
];

/// Title and long text of any code, in any case.
pub fn look_up(code: &str) -> Option<(&'static str, &'static str, &'static str)> {
    CODES
        .iter()
        .find(|row| row.0.eq_ignore_ascii_case(code))
        .copied()
        .or_else(|| model::fault::look_up(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_unique_and_not_those_of_the_model() {
        assert!(CODES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(
            CODES
                .iter()
                .all(|row| model::fault::look_up(row.0).is_none())
        );
    }

    #[test]
    fn a_code_is_found_in_either_table() {
        assert!(look_up("gh6001").is_some_and(|row| row.1 == "address in use"));
        assert!(look_up("GH1001").is_some());
        assert!(look_up("GH0000").is_none());
    }
}
