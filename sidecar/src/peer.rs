//! Who may call: an edge, by its certificate, on behalf of whom its statement names.

use dataplane::approval::statement as approval;
use dataplane::auth::statement::{HEADER, Verifier};
use dataplane::auth::task;
use dataplane::call::CALL_HEADER;
use dataplane::deliver::{Admitted, Connection};
use dataplane::refusal::Refused;
use http::{HeaderMap, StatusCode};
use model::name::ServerName;
use model::record::CallId;
use runtime::clock::now_unix_s;

/// The principal and the call's id, as the edge at the other end of `peer` states them.
///
/// # Errors
/// The peer is no edge, its statement is not believed, or it does not name the call.
pub fn admit(
    verifier: &Verifier,
    peer: &Connection,
    headers: &HeaderMap,
    server: &ServerName,
) -> Result<Admitted, Refused> {
    let now = now_unix_s();
    let edge = peer
        .identity
        .as_deref()
        .filter(|identity| identity.edge_node().is_some());
    let edge = edge.ok_or_else(|| refused("only edges may call a sidecar"))?;
    if edge.ends_unix_s <= now {
        return Err(refused("the edge's certificate is over"));
    }
    let statement = single(headers, HEADER)?;
    let caller = verifier
        .verify(edge, statement, server, now)
        .map_err(|error| {
            tracing::warn!(%error, remote = %peer.remote, "a statement is not believed");
            refused("the edge's statement of who calls is not believed")
        })?;
    let call_id = CallId::parse(single(headers, CALL_HEADER)?);
    let call_id = call_id.ok_or_else(|| refused("the edge does not name the call"))?;
    let approval = match headers.contains_key(approval::HEADER) {
        false => None,
        true => {
            let statement = single(headers, approval::HEADER)?;
            let approved = approval::verify(edge, statement, (server, call_id), now);
            Some(approved.map_err(|error| {
                tracing::warn!(%error, remote = %peer.remote, "an approval is not believed");
                refused("the edge's statement of an approval is not believed")
            })?)
        }
    };
    let tasks = match headers.contains_key(task::HEADER) {
        false => None,
        true => {
            let statement = single(headers, task::HEADER)?;
            let stated = task::verify(edge, statement, (server, call_id), now);
            Some(stated.map_err(|error| {
                tracing::warn!(%error, remote = %peer.remote, "a statement about tasks is not believed");
                refused("the edge's statement of whose a task is is not believed")
            })?)
        }
    };
    Ok(Admitted {
        principal: caller.principal,
        call_id: Some(call_id),
        client_address: caller.address,
        approval,
        tasks,
    })
}

/// A header of the hop, which stands exactly once.
fn single<'h>(headers: &'h HeaderMap, name: &'static str) -> Result<&'h str, Refused> {
    let mut values = headers.get_all(name).iter();
    match (
        values.next().and_then(|value| value.to_str().ok()),
        values.next(),
    ) {
        (Some(value), None) => Ok(value),
        _ => Err(refused(&format!(
            "the edge must send exactly one {name} header"
        ))),
    }
}

fn refused(message: &str) -> Refused {
    Refused::new(StatusCode::FORBIDDEN, message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::sync::Arc;

    use dataplane::auth::statement::{Caller, Signer};
    use dataplane::deliver::PeerIdentity;
    use model::principal::Principal;
    use runtime::tls::{self, NodeKey, Peer};

    use super::*;

    fn connection(peer: Option<Peer>, key: &NodeKey) -> Connection {
        let public_key = key.public_key().to_vec();
        let ends_unix_s = now_unix_s() + 60;
        let identity = peer.map(|peer| {
            Arc::new(PeerIdentity {
                peer,
                public_key,
                ends_unix_s,
            })
        });
        Connection {
            remote: "127.0.0.1:1".parse().unwrap(),
            on_loopback: true,
            identity,
        }
    }

    #[test]
    fn only_an_edge_with_its_own_statement_is_let_in() {
        let new_key = || NodeKey::from_pkcs8(&tls::new_key_and_csr().unwrap().0).unwrap();
        let (key, other) = (new_key(), new_key());
        let server = ServerName::new("time").unwrap();
        let ana = Caller {
            principal: Arc::new(Principal::new("ana", &["g"], None, "k1")),
            address: Some("192.0.2.7".parse().unwrap()),
        };
        let edge = connection(Some(Peer::edge("e1").unwrap()), &key);
        let stranger = connection(Some(Peer::edge("e1").unwrap()), &other);
        let sidecar = connection(Some(Peer::sidecar(server.clone(), "s1").unwrap()), &key);
        let nobody = connection(None, &key);
        let statement = Signer::new("e1", key)
            .state(&ana, &server, now_unix_s())
            .unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, statement.clone());
        let verifier = Verifier::default();
        let status = |peer: &Connection, headers: &HeaderMap| {
            admit(&verifier, peer, headers, &server)
                .map_err(|refused| refused.status)
                .err()
        };
        let id = CallId::new();
        headers.insert(CALL_HEADER, id.to_string().parse().unwrap());
        for peer in [&stranger, &sidecar, &nobody] {
            assert_eq!(status(peer, &headers), Some(StatusCode::FORBIDDEN));
        }
        let admitted = admit(&verifier, &edge, &headers, &server).unwrap();
        assert_eq!(admitted.principal, ana.principal);
        let told = (admitted.call_id, admitted.client_address);
        assert_eq!(told, (Some(id), ana.address));
        let mut old = edge.clone();
        old.identity = old.identity.map(|identity| {
            Arc::new(PeerIdentity {
                ends_unix_s: now_unix_s(),
                ..PeerIdentity::clone(&identity)
            })
        });
        assert_eq!(status(&old, &headers), Some(StatusCode::FORBIDDEN));
        headers.remove(CALL_HEADER);
        assert_eq!(
            status(&edge, &headers),
            Some(StatusCode::FORBIDDEN),
            "no call id"
        );
        headers.append(HEADER, statement);
        assert_eq!(
            status(&edge, &headers),
            Some(StatusCode::FORBIDDEN),
            "two statements"
        );
    }
}
