//! Who is in the midst of something: clients with a user and a plan of their own, and where they wait for the test.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{CLIENTS, Moment, USERS};
use crate::matrix::GROUP;
use crate::matrix::clients::{self, Client};
use crate::mesh::Running;

/// When an SDK gives a call up that it never hears of again, where it does so at all: an edge is killed in it, and
/// clients wait a second or two before they come back.
const PATIENCE_S: u64 = 15;
/// What nobody should need: whoever is ended by that hangs.
const FEATURE_S: u64 = 30;
/// How many steps the first client's tool takes; each further one's one more. Long enough to be killed in the midst.
const STEPS: usize = 60;

/// A client of a user's.
pub(super) struct Caller {
    pub(super) client: Client,
    pub(super) key: String,
    /// Told apart by it are what clients say, and what is answered to them.
    pub(super) number: usize,
}

/// Clients of one kind stand side by side.
pub(super) fn callers(mesh: &Running) -> Vec<Caller> {
    let named = |name: &&str| {
        let mut all = clients::ALL.into_iter();
        all.find(|client| client.name == *name)
            .expect("there is such a client")
    };
    let each = CLIENTS
        .iter()
        .flat_map(|name| (0..USERS).map(move |_| named(name)));
    each.enumerate()
        .map(|(number, client)| Caller {
            client,
            key: mesh
                .key(&format!("user-{number}@example.com"), &[GROUP])
                .text,
            number,
        })
        .collect()
}

impl Caller {
    /// What is said by this one, or to it, and nobody else.
    fn word(&self) -> String {
        format!("word-{:02}", self.number)
    }

    /// What its longest call ends with.
    fn steps(&self) -> String {
        format!("{} steps", STEPS + self.number)
    }

    /// What no other may hear.
    pub(super) fn texts(&self) -> [String; 2] {
        [self.word(), self.steps()]
    }

    /// What it does: with a gate before all have begun, and one where an edge is killed.
    pub(super) fn plan(&self, moment: Moment, gates: &Gates) -> Value {
        let mut plan = json!({
            "call": {"tool": "echo", "arguments": {"text": self.word()}, "expect": self.word()},
            "progress": {"tool": "steps", "arguments": {"steps": STEPS + self.number}, "expect": self.steps()},
            "elicitation": {"tool": "ask_user", "arguments": {}, "answer": {"name": self.word()},
                "expect": self.word()},
        });
        let (start, midst) = (gates.gate(self, "start"), gates.gate(self, "midst"));
        let features = moment.features();
        plan[features[0]]["before"] = start;
        match features.get(1) {
            Some(next) => plan[next]["before"] = midst,
            None => plan[features[0]]["during"] = midst,
        }
        let plan_of = plan.as_object_mut().expect("it is an object");
        plan_of.retain(|name, _| features.contains(&name.as_str()));
        for feature in plan_of.values_mut() {
            feature["seconds"] = json!(FEATURE_S);
            feature["patience"] = json!(PATIENCE_S);
        }
        plan
    }
}

/// Files by which clients and the test wait for each other.
pub(super) struct Gates(pub(super) PathBuf);

impl Gates {
    pub(super) fn reached(&self, caller: &Caller, gate: &str) -> PathBuf {
        self.0.join(format!("{gate}-{}", caller.number))
    }

    fn gate(&self, caller: &Caller, gate: &str) -> Value {
        json!({"reached": self.reached(caller, gate), "open": self.0.join(gate)})
    }

    pub(super) fn open(&self, gate: &str) {
        std::fs::write(self.0.join(gate), "").expect("a file can be written");
    }
}
