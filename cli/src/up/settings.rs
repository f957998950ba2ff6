//! What each part is told: its settings file, never its command line, so that nothing secret stands in a list of
//! processes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::Args;
use super::plan::{Edge, Plan};

/// Where state is kept unless `--data` says otherwise.
pub(crate) const DATA_DEFAULT: &str = "./.gatehouse";

/// Makes the settings of all parts.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    dir: PathBuf,
    args: Args,
    plan: Plan,
}

impl Settings {
    pub(super) fn new(dir: &Path, args: &Args, plan: &Plan) -> Self {
        Self {
            dir: dir.to_owned(),
            args: args.clone(),
            plan: plan.clone(),
        }
    }

    /// Of the control plane.
    pub(super) fn control_plane(&self) -> Table {
        let mut own = Table::new();
        text(&mut own, "listen", self.plan.control);
        text(&mut own, "otlp_listen", self.plan.otlp);
        text(&mut own, "admin_listen", self.plan.control_admin);
        text(&mut own, "data_dir", self.path("control-plane"));
        text(&mut own, "store", &self.args.store);
        text(&mut own, "master_key_file", self.path("master.key"));
        text(&mut own, "admin_token_file", self.path("admin.token"));
        section("control_plane", own)
    }

    /// Of one edge.
    pub(super) fn edge(&self, edge: &Edge) -> Table {
        let mut own = self.node(&edge.name, edge.listen, edge.admin);
        let urls = self.plan.edge_urls().into_iter().map(Value::from).collect();
        own.insert("public_urls".to_owned(), Value::Array(urls));
        section("edge", own)
    }

    /// Of the sidecar of one server.
    pub(super) fn sidecar(
        &self,
        part: &str,
        server: &str,
        listen: SocketAddr,
        admin: SocketAddr,
        tools: &[PathBuf],
    ) -> Table {
        let mut own = self.node(part, listen, admin);
        text(&mut own, "server", server);
        own.insert(
            "allow_command".to_owned(),
            Value::from(self.args.allow_command),
        );
        let tools = tools
            .iter()
            .map(|path| Value::from(path.display().to_string()))
            .collect();
        own.insert("tools_path".to_owned(), Value::Array(tools));
        section("sidecar", own)
    }

    /// What edges and sidecars have alike.
    fn node(&self, part: &str, listen: SocketAddr, admin: SocketAddr) -> Table {
        let mut own = Table::new();
        text(&mut own, "listen", listen);
        text(&mut own, "admin_listen", admin);
        own.insert(
            "control".to_owned(),
            Value::Array(vec![self.plan.control_reachable().to_string().into()]),
        );
        text(&mut own, "control_ca", self.path("control-plane/ca.pem"));
        text(&mut own, "data_dir", self.path(part));
        // No load balancer stands before this machine: who stops all of it does not wait for one.
        own.insert("drain_delay_s".to_owned(), Value::from(0));
        let mut audit = Table::new();
        audit.insert(
            "store".to_owned(),
            Value::Array(vec![self.plan.otlp.to_string().into()]),
        );
        audit.insert(
            "otlp".to_owned(),
            Value::Array(
                self.args
                    .otlp
                    .iter()
                    .map(|url| url.as_str().into())
                    .collect(),
            ),
        );
        own.insert("audit".to_owned(), Value::Table(audit));
        if self.args.egress_allow_private {
            let allow = ("allow_private".to_owned(), Value::Boolean(true));
            own.insert("egress".to_owned(), Value::Table(Table::from_iter([allow])));
        }
        own
    }

    fn path(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }
}

fn text(table: &mut Table, key: &str, value: impl ToString) {
    table.insert(key.to_owned(), Value::from(value.to_string()));
}

fn section(name: &str, own: Table) -> Table {
    let mut table = Table::new();
    table.insert(name.to_owned(), Value::Table(own));
    table
}

/// Folders in which sidecars look for npx and uvx first: `.tools/bin` here, or in the checkout that this binary was
/// built in.
pub(crate) fn tools(folder: &Path, exe: &Path) -> Vec<PathBuf> {
    // CHECKOUT/target/release/gatehouse
    let checkout = exe.ancestors().nth(3);
    let candidates = std::iter::once(folder)
        .chain(checkout)
        .map(|root| root.join(".tools/bin"));
    let mut found: Vec<PathBuf> = candidates.filter(|path| path.is_dir()).collect();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::up::home::Home;
    use crate::up::ports::loopback;

    fn all(dir: &Path) -> [(&'static str, Table); 3] {
        let args = Args {
            data: dir.to_owned(),
            file: Vec::new(),
            edge_listen: vec![loopback(0)],
            control_listen: loopback(0),
            web_listen: None,
            store: "etcd://127.0.0.1:2379".to_owned(),
            otlp: vec!["http://127.0.0.1:4317".to_owned()],
            allow_command: true,
            egress_allow_private: true,
        };
        let mut home = Home::open(dir).unwrap();
        let plan = Plan::new(&args, &mut home).unwrap();
        let settings = Settings::new(home.dir(), &args, &plan);
        let tools = [PathBuf::from("/tools")];
        [
            ("control_plane", settings.control_plane()),
            ("edge", settings.edge(&plan.edges[0])),
            (
                "sidecar",
                settings.sidecar("sidecar-time", "time", loopback(1), loopback(2), &tools),
            ),
        ]
    }

    /// The parts refuse what they do not know: so each must take exactly this.
    #[test]
    fn parts_take_their_settings() {
        let dir = tempfile::tempdir().unwrap();
        for (name, table) in all(dir.path()) {
            let file = dir.path().join(format!("{name}.toml"));
            std::fs::write(&file, toml::to_string(&table).unwrap()).unwrap();
            match name {
                "control_plane" => {
                    let command = control_plane::command::Command {
                        config: Some(file),
                        ..Default::default()
                    };
                    assert_eq!(command.settings().unwrap().store, "etcd://127.0.0.1:2379");
                }
                "edge" => {
                    let taken: edge::app::Settings =
                        runtime::settings::load(name, Some(&file), Table::new()).unwrap();
                    assert_eq!(taken.audit.otlp, ["http://127.0.0.1:4317"]);
                    assert_eq!(taken.public_urls.len(), 1);
                    assert!(taken.egress.allow_private);
                }
                _ => {
                    let taken: sidecar::app::Settings =
                        runtime::settings::load(name, Some(&file), Table::new()).unwrap();
                    assert!(taken.allow_command && taken.egress.allow_private);
                    assert_eq!(taken.tools_path, [PathBuf::from("/tools")]);
                }
            }
        }
    }

    #[test]
    fn tools_are_found_here_and_in_the_checkout() {
        let dir = tempfile::tempdir().unwrap();
        let checkout = dir.path().join("checkout");
        std::fs::create_dir_all(checkout.join(".tools/bin")).unwrap();
        let exe = checkout.join("target/release/gatehouse");
        assert_eq!(tools(&checkout, &exe), [checkout.join(".tools/bin")]);
        assert_eq!(tools(dir.path(), &exe), [checkout.join(".tools/bin")]);
        assert!(tools(dir.path(), Path::new("/usr/bin/gatehouse")).is_empty());
    }
}
