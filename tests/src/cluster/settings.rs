//! Where everything of a cluster lies and listens, and the settings that follow from it.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Cluster, Part, addresses, private, secret, text};
use crate::place;

/// Addresses and files of a cluster.
#[derive(Debug)]
pub(super) struct Places {
    folder: PathBuf,
    /// Of control planes: the admin and node API, the receiver of records, the admin page.
    control: Vec<String>,
    records: Vec<String>,
    pub(super) admin: Vec<String>,
    /// Where edges listen.
    pub(super) edges: Vec<String>,
    master_key: PathBuf,
    admin_token: PathBuf,
    /// What admins show.
    pub(super) token: String,
    otlp: Vec<String>,
    together: bool,
    drain_delay_s: Option<u64>,
}

impl Places {
    /// Chosen anew.
    pub(super) fn new(folder: &Path, cluster: &Cluster) -> Self {
        let token = secret();
        Self {
            control: addresses(cluster.control_planes),
            records: addresses(cluster.control_planes),
            admin: addresses(cluster.control_planes),
            edges: addresses(cluster.edges),
            master_key: private(folder.join("master.key"), &secret()),
            admin_token: private(folder.join("admin.token"), &token),
            token,
            otlp: cluster.otlp.clone(),
            together: cluster.together,
            drain_delay_s: cluster.drain_delay_s,
            folder: folder.to_owned(),
        }
    }

    /// A part that does not run yet, with its settings on disk.
    pub(super) fn part(&self, name: &str, kind: &str, settings: &Value, admin: &str) -> Part {
        let settings = toml::to_string(settings).expect("it can be written as TOML");
        let folder = self.folder.join(name);
        std::fs::create_dir(&folder).expect("a folder can be made");
        private(folder.join("settings.toml"), &settings);
        Part::new(name, kind, &self.folder, admin)
    }

    /// Settings of a control plane.
    pub(super) fn control_plane(&self, index: usize, store: &str) -> Value {
        let data = self
            .folder
            .join(format!("control-plane-{}/data", index + 1));
        json!({"control_plane": {
            "listen": self.control[index],
            "otlp_listen": self.records[index],
            "admin_listen": self.admin[index],
            "data_dir": data,
            "store": store,
            "master_key_file": self.master_key,
            "admin_token_file": self.admin_token,
        }})
    }

    /// An edge that does not run yet.
    pub(super) fn edge(&self, index: usize, public_url: &str, token: &str) -> Part {
        let name = format!("edge-{}", index + 1);
        let (mut own, admin) = self.node(&name, index, token);
        own["listen"] = json!(self.edges[index]);
        own["public_urls"] = json!([public_url]);
        self.part(&name, "edge", &json!({ "edge": own }), &admin)
    }

    /// A sidecar that does not run yet.
    pub(super) fn sidecar(&self, index: usize, server: &str, token: &str) -> Part {
        let name = format!("sidecar-{}", index + 1);
        let (mut own, admin) = self.node(&name, index, token);
        own["listen"] = json!(crate::ports::address());
        own["server"] = json!(server);
        // Servers of these tests are programs of the repository.
        own["allow_command"] = json!(true);
        own["tools_path"] = json!([text(&place::repository().join(".tools/bin"))]);
        self.part(&name, "sidecar", &json!({ "sidecar": own }), &admin)
    }

    /// What edges and sidecars have alike, and where their admin page is.
    fn node(&self, name: &str, index: usize, token: &str) -> (Value, String) {
        let token = private(self.folder.join(format!("{name}.token")), token);
        let admin = crate::ports::address();
        let mut own = json!({
            "admin_listen": admin,
            "control": self.in_turn(&self.control, index),
            "control_ca": self.folder.join("control-plane-1/data/ca.pem"),
            "data_dir": self.folder.join(name).join("data"),
            "join": format!("@{}", text(&token)),
            "audit": {"store": self.in_turn(&self.records, index), "otlp": self.otlp},
        });
        if let Some(seconds) = self.drain_delay_s {
            own["drain_delay_s"] = json!(seconds);
        }
        (own, admin)
    }

    /// All of them, beginning at another one for each node.
    fn in_turn(&self, all: &[String], index: usize) -> Vec<String> {
        let mut all = all.to_vec();
        if !self.together {
            let first = index % all.len();
            all.rotate_left(first);
        }
        all
    }

    /// Writes how the command line reaches a control plane, and answers with the file.
    pub(super) fn context(&self, index: usize) -> PathBuf {
        let ca = self
            .folder
            .join(format!("control-plane-{}/data/ca.pem", index + 1));
        let ca = std::fs::read_to_string(ca).expect("a control plane that is ready has written it");
        let address = format!("https://{}", self.control[index]);
        let context = json!({"address": address, "ca": ca, "token": self.token});
        let context = toml::to_string(&context).expect("it can be written as TOML");
        let file = self.folder.join(format!("client-{}.toml", index + 1));
        private(file, &context)
    }
}
