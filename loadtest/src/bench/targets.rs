//! What the bench compares: the one list of it. A target more is a line here.

use serde_json::{Value, json};

/// The name of the server in Gatehouse's catalog.
pub(crate) const SERVER: &str = "bench";
/// The group whose calls are let through.
pub(crate) const GROUP: &str = "load";

/// One target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Description {
    /// Its name, in tables and in `--only`.
    pub(super) name: &'static str,
    /// What stands between client and server.
    pub(super) way: Way,
}

/// What stands between client and server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Nothing.
    Direct,
    /// [`crate::Floor`].
    Floor,
    /// nginx, as a plain proxy with kept connections.
    Nginx,
    /// Gatehouse; how the server is reached.
    Gatehouse(Server),
}

/// How Gatehouse reaches the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    /// The edge calls it over HTTP itself.
    Remote,
    /// A sidecar calls it over HTTP.
    External,
    /// A sidecar runs it and speaks to it over stdio.
    Stdio,
}

/// All targets, in the order of the tables.
pub(super) const ALL: [Description; 6] = [
    Description {
        name: "direct",
        way: Way::Direct,
    },
    Description {
        name: "floor",
        way: Way::Floor,
    },
    Description {
        name: "nginx",
        way: Way::Nginx,
    },
    Description {
        name: "edge-http",
        way: Way::Gatehouse(Server::Remote),
    },
    Description {
        name: "edge-sidecar-http",
        way: Way::Gatehouse(Server::External),
    },
    Description {
        name: "edge-sidecar-stdio",
        way: Way::Gatehouse(Server::Stdio),
    },
];

impl Server {
    /// The resources that are applied. `upstream`: where the server is called over HTTP; `stdio`: how it is run.
    pub(super) fn resources(self, upstream: &str, stdio: &[String]) -> [Value; 2] {
        let spec = match self {
            Self::Remote => json!({"runtime": {"remote": {"url": upstream}}}),
            Self::External => json!({"runtime": {"external": {}}}),
            Self::Stdio => json!({"tenancy": "shared", "runtime": {"command": {"argv": stdio}}}),
        };
        let allow = json!({
            "effect": "allow",
            "subjects": [{"group": GROUP}],
            "servers": [SERVER],
        });
        [
            resource("Server", SERVER, &spec),
            resource("AccessRule", "bench", &allow),
        ]
    }

    /// Flags of `gatehouse up` that this needs besides the usual ones.
    pub(super) fn flags(self) -> &'static [&'static str] {
        match self {
            // The server lies on loopback, where no edge goes unless it is told to.
            Self::Remote => &["--egress-allow-private"],
            Self::External => &[],
            Self::Stdio => &["--allow-command"],
        }
    }
}

/// A resource, as operators write it.
pub(crate) fn resource(kind: &str, name: &str, spec: &Value) -> Value {
    let metadata = json!({ "name": name });
    json!({"apiVersion": "gatehouse.dev/v1", "kind": kind, "metadata": metadata, "spec": spec})
}

/// Settings of the sidecar that the bench starts itself, for [`Server::External`].
pub(super) struct Sidecar<'a> {
    /// Where edges connect.
    pub(super) listen: String,
    /// Its admin page.
    pub(super) admin_listen: String,
    /// The control plane's APIs.
    pub(super) control: String,
    /// The control plane's receiver of records.
    pub(super) records: String,
    /// Roots to trust while joining.
    pub(super) control_ca: &'a str,
    /// Its folder.
    pub(super) data_dir: &'a str,
    /// The server.
    pub(super) upstream_url: &'a str,
}

impl Sidecar<'_> {
    /// As a settings file.
    pub(super) fn settings(&self) -> toml::Table {
        let mut own = toml::Table::new();
        let texts = [
            ("server", SERVER),
            ("listen", &self.listen),
            ("admin_listen", &self.admin_listen),
            ("control_ca", self.control_ca),
            ("data_dir", self.data_dir),
            ("upstream_url", self.upstream_url),
        ];
        for (key, text) in texts {
            own.insert(key.to_owned(), text.into());
        }
        own.insert("control".to_owned(), vec![self.control.clone()].into());
        let one = |key: &str, value: toml::Value| toml::Table::from_iter([(key.to_owned(), value)]);
        own.insert(
            "audit".to_owned(),
            one("store", vec![self.records.clone()].into()).into(),
        );
        own.insert(
            "egress".to_owned(),
            one("allow_private", true.into()).into(),
        );
        one("sidecar", own.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        let names: std::collections::BTreeSet<_> = ALL.iter().map(|each| each.name).collect();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn the_sidecars_settings_are_those_of_a_sidecar() {
        let sidecar = Sidecar {
            listen: "127.0.0.1:1".to_owned(),
            admin_listen: "127.0.0.1:2".to_owned(),
            control: "127.0.0.1:3".to_owned(),
            records: "127.0.0.1:4".to_owned(),
            control_ca: "ca.pem",
            data_dir: "data",
            upstream_url: "http://127.0.0.1:5/mcp",
        };
        let text = toml::to_string(&sidecar.settings()).unwrap_or_default();
        for line in [
            "[sidecar]",
            "server = \"bench\"",
            "control = [\"127.0.0.1:3\"]",
            "upstream_url = \"http://127.0.0.1:5/mcp\"",
            "[sidecar.audit]",
            "store = [\"127.0.0.1:4\"]",
            "[sidecar.egress]",
            "allow_private = true",
        ] {
            assert!(text.lines().any(|each| each == line), "{line}\nin\n{text}");
        }
    }

    #[test]
    fn resources_are_applied_as_operators_write_them() {
        let [server, rule] = Server::Remote.resources("http://127.0.0.1:1/mcp", &[]);
        assert_eq!(server["metadata"]["name"], SERVER);
        assert_eq!(
            server["spec"]["runtime"]["remote"]["url"],
            "http://127.0.0.1:1/mcp"
        );
        assert_eq!(rule["spec"]["subjects"][0]["group"], GROUP);
        let [server, _] = Server::Stdio.resources("", &["/bin/x".to_owned()]);
        assert_eq!(server["spec"]["runtime"]["command"]["argv"][0], "/bin/x");
    }
}
