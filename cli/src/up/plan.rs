//! Who listens where, decided once before anything starts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::fault::Fault;

use super::Args;
use super::home::{Home, Memory};
use super::ports;

/// Addresses of all parts but the sidecars, which come and go.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// The control plane's APIs.
    pub(super) control: SocketAddr,
    /// Its receiver of audit spans.
    pub(super) otlp: SocketAddr,
    /// Its admin page.
    pub(super) control_admin: SocketAddr,
    /// The edges, in the order of the flags.
    pub(super) edges: Vec<Edge>,
}

/// One edge.
#[derive(Debug, Clone)]
pub(super) struct Edge {
    /// `edge-1`, `edge-2`, …: also its folder.
    pub(super) name: String,
    /// For clients.
    pub(super) listen: SocketAddr,
    /// Its admin page.
    pub(super) admin: SocketAddr,
}

impl Plan {
    /// Chooses, checks what the user named, and remembers.
    ///
    /// # Errors
    /// An address is in use, or named twice.
    pub(super) fn new(args: &Args, home: &mut Home) -> Result<Self, Fault> {
        let memory = &mut home.memory;
        let ours = |memory: &mut Memory, purpose: &str, preferred: u16| {
            ports::pick(memory, purpose, Ipv4Addr::LOCALHOST.into(), Some(preferred))
        };
        let control = named(
            memory,
            "control-plane.listen",
            args.control_listen,
            "--control-listen",
        )?;
        let mut edges = Vec::new();
        for (index, listen) in args.edge_listen.iter().enumerate() {
            let name = format!("edge-{}", index + 1);
            let listen = named(memory, &format!("{name}.listen"), *listen, "--edge-listen")?;
            let admin = ours(memory, &format!("{name}.admin"), 7809)?;
            edges.push(Edge {
                name,
                listen,
                admin,
            });
        }
        let plan = Self {
            control,
            otlp: ours(memory, "control-plane.otlp", 7702)?,
            control_admin: ours(memory, "control-plane.admin", 7709)?,
            edges,
        };
        home.remember()?;
        Ok(plan)
    }

    /// The URLs under which clients reach the edges.
    pub(super) fn edge_urls(&self) -> Vec<String> {
        self.edges
            .iter()
            .map(|edge| format!("http://{}", reachable(edge.listen)))
            .collect()
    }

    /// Where the command line and the nodes reach the control plane.
    pub(super) fn control_reachable(&self) -> SocketAddr {
        reachable(self.control)
    }
}

/// An address that the user named; with port 0 a free one, kept for later starts.
fn named(
    memory: &mut Memory,
    purpose: &str,
    address: SocketAddr,
    flag: &str,
) -> Result<SocketAddr, Fault> {
    if address.port() == 0 {
        return ports::pick(memory, purpose, address.ip(), None);
    }
    // What is named is not remembered, but taken: nothing else may be given it.
    memory.ports.insert(purpose.to_owned(), address.port());
    ports::check(address, flag)?;
    Ok(address)
}

/// The address to connect to where something listens on all addresses.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    (ip, address.port()).into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn args(dir: &std::path::Path) -> Args {
        let any = ports::loopback(0);
        Args {
            data: dir.to_owned(),
            file: Vec::new(),
            edge_listen: vec![any, any],
            control_listen: any,
            web_listen: None,
            store: "embedded".to_owned(),
            otlp: Vec::new(),
            allow_command: false,
            egress_allow_private: false,
        }
    }

    #[test]
    fn every_part_has_an_address_of_its_own_and_keeps_it() {
        let dir = tempfile::tempdir().unwrap();
        let args = args(dir.path());
        let plan = |home: &mut Home| {
            let plan = Plan::new(&args, home).unwrap();
            let mut all = vec![plan.control, plan.otlp, plan.control_admin];
            all.extend(plan.edges.iter().flat_map(|edge| [edge.listen, edge.admin]));
            all
        };
        let mut home = Home::open(dir.path()).unwrap();
        let first = plan(&mut home);
        assert_eq!(
            first
                .iter()
                .collect::<std::collections::BTreeSet<_>>()
                .len(),
            7,
            "{first:?}"
        );
        drop(home);
        assert_eq!(plan(&mut Home::open(dir.path()).unwrap()), first);
    }

    #[test]
    fn an_address_that_is_taken_fails_before_anything_starts() {
        let dir = tempfile::tempdir().unwrap();
        let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let args = Args {
            edge_listen: vec![holder.local_addr().unwrap()],
            ..args(dir.path())
        };
        let fault = Plan::new(&args, &mut Home::open(dir.path()).unwrap()).unwrap_err();
        assert_eq!(fault.code, crate::codes::ADDRESS_IN_USE);
    }

    #[test]
    fn all_addresses_are_reached_by_loopback() {
        assert_eq!(
            reachable("0.0.0.0:1".parse().unwrap()),
            "127.0.0.1:1".parse().unwrap()
        );
        assert_eq!(
            reachable("[::]:1".parse().unwrap()),
            "[::1]:1".parse().unwrap()
        );
        assert_eq!(
            reachable("10.0.0.1:1".parse().unwrap()),
            "10.0.0.1:1".parse().unwrap()
        );
    }
}
