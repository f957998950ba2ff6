//! Free ports, and who has one that is not free.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::codes;
use crate::fault::Fault;

use super::home::Memory;

/// Where ports are chosen: below those that systems give to outgoing connections by themselves. One of those could be
/// taken between the look at it here and the part's own bind, and be held for as long as that connection stands.
const CHOSEN: std::ops::Range<u16> = 30_000..32_768;

/// A loopback address.
pub(super) fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// The port for a purpose on `ip`: the one of the last start if it is free, else `preferred`, else any free one; and
/// remembers it.
///
/// # Errors
/// There is no free port at all.
pub(super) fn pick(
    memory: &mut Memory,
    purpose: &str,
    ip: IpAddr,
    preferred: Option<u16>,
) -> Result<SocketAddr, Fault> {
    let remembered = memory.ports.get(purpose).copied();
    let taken = |port: u16| {
        memory
            .ports
            .iter()
            .any(|(other, used)| other != purpose && *used == port)
    };
    let wanted = remembered
        .into_iter()
        .chain(preferred.filter(|port| !taken(*port)));
    let port = match wanted.into_iter().find(|port| is_free((ip, *port).into())) {
        Some(port) => port,
        // One that is remembered for another purpose may not be listened on yet.
        None => any_free(ip, taken)?,
    };
    memory.ports.insert(purpose.to_owned(), port);
    Ok((ip, port).into())
}

/// Forgets all ports of a part that is gone for good.
pub(super) fn forget(memory: &mut Memory, part: &str) {
    let of_part = |purpose: &str| {
        purpose == part
            || purpose
                .strip_prefix(part)
                .is_some_and(|rest| rest.starts_with('.'))
    };
    memory.ports.retain(|purpose, _| !of_part(purpose));
}

/// How far this process has gone through [`CHOSEN`]: none is offered twice before all were.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A free port that is not `taken`.
fn any_free(ip: IpAddr, taken: impl Fn(u16) -> bool) -> Result<u16, Fault> {
    let count = CHOSEN.end - CHOSEN.start;
    // Two processes at once begin at different places.
    let start = std::process::id().wrapping_mul(97);
    for _ in 0..count {
        let step = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = CHOSEN.start + u16::try_from(step % u32::from(count)).unwrap_or(0);
        if !taken(port) && is_free((ip, port).into()) {
            return Ok(port);
        }
    }
    TcpListener::bind((ip, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|e| {
            Fault::new(
                codes::ADDRESS_IN_USE,
                format!("there is no free port on {ip}"),
            )
            .why(e.to_string())
        })
}

fn is_free(address: SocketAddr) -> bool {
    TcpListener::bind(address).is_ok()
}

/// Whether a part can listen on an address that the user named.
///
/// # Errors
/// In use, with the process that has it where the system tells; or not an address of this machine.
pub(crate) fn check(address: SocketAddr, flag: &str) -> Result<(), Fault> {
    let Err(error) = TcpListener::bind(address) else {
        return Ok(());
    };
    let fault = match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            let fault = Fault::new(codes::ADDRESS_IN_USE, format!("{address} is in use"));
            match holder(address) {
                Some(holder) => fault.why(format!("{holder} listens there")),
                None => fault,
            }
        }
        _ => Fault::new(
            codes::ADDRESS_IN_USE,
            format!("nothing can listen on {address}"),
        )
        .why(error.to_string()),
    };
    Err(fault.fix(format!(
        "choose another address with {flag}, such as {flag} {}",
        elsewhere(address)
    )))
}

/// An address that is free at this moment.
fn elsewhere(address: SocketAddr) -> SocketAddr {
    (address.ip(), any_free(address.ip(), |_| false).unwrap_or(0)).into()
}

/// The process that listens on an address, as `redis-server (process 812)`, where /proc tells.
pub(crate) fn holder(address: SocketAddr) -> Option<String> {
    let table = if address.is_ipv4() {
        "/proc/net/tcp"
    } else {
        "/proc/net/tcp6"
    };
    let table = std::fs::read_to_string(table).ok()?;
    let inode = listening_inode(&table, address.port())?;
    let wanted = format!("socket:[{inode}]");
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let Some(id) = process
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let Ok(open) = std::fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        let has = |fd: &Path| {
            std::fs::read_link(fd).is_ok_and(|target| target.as_os_str() == wanted.as_str())
        };
        if open.flatten().any(|fd| has(&fd.path())) {
            let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(format!("{} (process {id})", name.trim()));
        }
    }
    None
}

/// The inode of the socket that listens on a port, from a table in the form of /proc/net/tcp.
fn listening_inode(table: &str, port: u16) -> Option<&str> {
    /// State 0A is LISTEN.
    const LISTEN: &str = "0A";
    let suffix = format!(":{port:04X}");
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let listens = fields.get(1)?.ends_with(&suffix) && *fields.get(3)? == LISTEN;
        if listens {
            fields.get(9).copied()
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_port_is_kept_while_it_is_free() {
        let mut memory = Memory::default();
        let ip = loopback(0).ip();
        let first = pick(&mut memory, "edge-1.admin", ip, None).unwrap();
        assert_eq!(pick(&mut memory, "edge-1.admin", ip, None).unwrap(), first);
        let _holder = TcpListener::bind(first).unwrap();
        assert_ne!(pick(&mut memory, "edge-1.admin", ip, None).unwrap(), first);
    }

    #[test]
    fn ports_are_chosen_where_no_outgoing_connection_takes_them_and_each_once() {
        let mut memory = Memory::default();
        let ip = loopback(0).ip();
        let listen = pick(&mut memory, "sidecar-a", ip, None).unwrap();
        // The first is not listened on yet.
        let admin = pick(&mut memory, "sidecar-a.admin", ip, None).unwrap();
        assert_ne!(listen, admin);
        assert!(CHOSEN.contains(&listen.port()) && CHOSEN.contains(&admin.port()));
    }

    #[test]
    fn a_part_that_is_gone_keeps_no_ports() {
        let mut memory = Memory::default();
        for purpose in ["sidecar-a", "sidecar-a.admin", "sidecar-ab"] {
            memory.ports.insert(purpose.to_owned(), 1);
        }
        forget(&mut memory, "sidecar-a");
        assert_eq!(memory.ports.keys().collect::<Vec<_>>(), ["sidecar-ab"]);
    }

    #[test]
    fn a_preferred_port_is_not_given_twice() {
        let mut memory = Memory::default();
        let ip = loopback(0).ip();
        let free = any_free(ip, |_| false).unwrap();
        let one = pick(&mut memory, "one", ip, Some(free)).unwrap();
        let two = pick(&mut memory, "two", ip, Some(free)).unwrap();
        assert_ne!(one, two);
    }

    #[test]
    fn an_address_in_use_is_named_with_its_flag_and_holder() {
        let listener = TcpListener::bind(loopback(0)).unwrap();
        let address = listener.local_addr().unwrap();
        let fault = check(address, "--edge-listen").unwrap_err();
        assert_eq!(fault.code, codes::ADDRESS_IN_USE);
        assert!(fault.message.contains(&address.to_string()));
        assert!(fault.fix.unwrap().contains("--edge-listen"));
        if cfg!(target_os = "linux") {
            assert!(
                fault
                    .why
                    .unwrap()
                    .contains(&format!("process {}", std::process::id()))
            );
        }
        drop(listener);
        assert!(check(address, "--edge-listen").is_ok());
    }

    #[test]
    fn the_table_of_sockets_is_read_for_listeners_only() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:1E78 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 111 1\n\
             1: 0100007F:1E78 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 1\n";
        assert_eq!(listening_inode(table, 7800), Some("222"));
        assert_eq!(listening_inode(table, 7801), None);
    }
}
