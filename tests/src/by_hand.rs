//! Parts that are started by hand beside those of `gatehouse up`, as operators do it.

use std::process::Command;

use serde_json::{Value, json};

use crate::mesh::Running;
use crate::place;
use crate::ports;
use crate::process::Process;

/// A part, while it is held.
#[derive(Debug)]
pub struct ByHand {
    /// Its process.
    pub process: Process,
    listen: String,
}

impl ByHand {
    /// An edge that joins by this token.
    pub fn edge(mesh: &Running, name: &str, token: &str) -> Self {
        let listen = ports::address();
        // The canonical URL is the same on all edges.
        let own = json!({"public_urls": [mesh.edge(0), format!("http://{listen}")]});
        Self::start(mesh, "edge", name, token, &listen, own)
    }

    /// A sidecar before a server that runs already, over HTTP.
    pub fn sidecar(mesh: &Running, server: &str, upstream_url: &str) -> Self {
        let name = format!("{server}-sidecar");
        Self::named_sidecar(mesh, &name, server, upstream_url)
    }

    /// One of several.
    pub fn named_sidecar(mesh: &Running, name: &str, server: &str, upstream_url: &str) -> Self {
        let words = [
            "node", "token", "create", "--kind", "sidecar", "--server", server, "-o", "json",
        ];
        let made = mesh.gatehouse(&words).good().json();
        let token = made["token"].as_str().expect("it is text");
        let own = json!({"server": server, "upstream_url": upstream_url,
            "egress": {"allow_private": true}});
        Self::start(mesh, "sidecar", name, token, &ports::address(), own)
    }

    fn start(
        mesh: &Running,
        kind: &str,
        name: &str,
        token: &str,
        listen: &str,
        own: Value,
    ) -> Self {
        let context =
            std::fs::read_to_string(mesh.data().join("client.toml")).expect("up has written it");
        let context: toml::Table = context.parse().expect("it is TOML");
        let control = context["address"]
            .as_str()
            .expect("it is text")
            .trim_start_matches("https://")
            .to_owned();
        let mut settings = json!({
            "listen": listen, "admin_listen": ports::address(), "control": [control],
            "control_ca": mesh.data().join("control-plane/ca.pem"),
            "data_dir": mesh.folder().join(name), "audit": {"store": [otlp(mesh)]},
        });
        let Value::Object(own) = own else {
            unreachable!("settings are an object");
        };
        settings.as_object_mut().expect("it is one").extend(own);
        let settings = toml::to_string(&json!({ kind: settings })).expect("it is TOML, too");
        let (settings, token) = (
            mesh.file(&format!("{name}.toml"), &settings),
            mesh.file(&format!("{name}.token"), token),
        );
        let mut command = Command::new(place::gatehouse());
        let join = format!("@{token}");
        command.args([kind, "--config", &settings, "--join", &join]);
        Self {
            process: Process::start(&mut command, None),
            listen: listen.to_owned(),
        }
    }

    /// Where an edge serves a server.
    pub fn url(&self, server: &str) -> String {
        format!("http://{}/mcp/{server}", self.listen)
    }
}

/// Where the control plane takes records.
fn otlp(mesh: &Running) -> String {
    let memory = std::fs::read(mesh.data().join("up.json")).expect("up has written it");
    let memory: Value = serde_json::from_slice(&memory).expect("it is JSON");
    format!("127.0.0.1:{}", memory["ports"]["control-plane.otlp"])
}
