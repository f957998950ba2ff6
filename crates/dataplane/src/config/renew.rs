//! Keeps the node's certificate good: at half of its life a new one is asked for, with a new key.
//!
//! Whoever accepts or connects shows the new one from then on; what is open stays open. It does not know who signs.

use std::path::PathBuf;
use std::time::Duration;

use aws_lc_rs::rand;
use proto::v1 as pb;
use proto::v1::node_client::NodeClient;
use runtime::backoff::Backoff;
use runtime::clock::now_unix_s;
use runtime::drain::Drain;
use runtime::net::{self, ClientTls};
use runtime::tls::{self, Identity, LiveIdentity};

use super::node::{NodeSettings, control_plane_name, taken};

/// First and longest pause between tries.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// How long one try may take.
const TRY_MAX: Duration = Duration::from_secs(10);
/// Longest sleep at a time: a machine that was asleep, or whose clock was set, must not sleep past the end.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// Why there is no new certificate.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Tls(#[from] tls::Error),
    #[error(transparent)]
    Net(#[from] net::Error),
    #[error("{}", .0.message())]
    Refused(#[from] tonic::Status),
    #[error("no answer within {} s", TRY_MAX.as_secs())]
    Late,
    #[error("the answer is for another part")]
    Foreign,
}

/// Renews `identity` until `drain` starts.
pub fn start(identity: LiveIdentity, settings: &NodeSettings, drain: &Drain) {
    let renewal = Renewal {
        identity,
        control: settings.control.clone(),
        data_dir: settings.data_dir.clone(),
        hosts: settings.hosts.clone(),
    };
    let draining = drain.clone();
    drain.spawn("renew certificate", async move {
        tokio::select! {
            () = draining.signaled() => {}
            () = renewal.run() => {}
        }
    });
}

struct Renewal {
    identity: LiveIdentity,
    /// Control planes, `host:port`, tried in turn.
    control: Vec<String>,
    data_dir: PathBuf,
    /// Hosts under which peers reach this node.
    hosts: Vec<String>,
}

impl Renewal {
    async fn run(&self) {
        let mut turn = 0;
        loop {
            self.sleep_to_half().await;
            let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
            while let Err(error) = self.renew(turn).await {
                turn += 1;
                let ends = self.identity.current().not_after().unwrap_or_default();
                let good_for_s = ends - now_unix_s();
                if good_for_s > 0 {
                    tracing::warn!(%error, good_for_s, "the certificate is not renewed yet");
                } else {
                    tracing::error!(%error, "the certificate is over: start this node with a new join token");
                }
                tokio::time::sleep(backoff.pause()).await;
            }
            tracing::info!("the node's certificate is renewed");
        }
    }

    /// Ends when half of the certificate's life is over; up to a tenth earlier, so that nodes that joined together do
    /// not renew together.
    async fn sleep_to_half(&self) {
        let Ok(life) = self.identity.current().validity() else {
            return;
        };
        let length = life.end - life.start;
        let mut random = [0; 1];
        // Without randomness they do.
        let _ = rand::fill(&mut random);
        let at = life.start + length / 2 - length * i64::from(random[0]) / 2560;
        loop {
            let left = Duration::from_secs(u64::try_from(at - now_unix_s()).unwrap_or(0));
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(SLEEP_MAX)).await;
        }
    }

    async fn renew(&self, turn: usize) -> Result<(), Error> {
        let (key, csr) = tls::new_key_and_csr()?;
        let tls = ClientTls {
            config: self.identity.client_config(&[tls::H2])?,
            server_name: control_plane_name(),
        };
        let count = self.control.len().max(1);
        let address = self.control.get(turn % count).map_or("", String::as_str);
        let mut client = NodeClient::new(net::channel(address, Some(tls))?);
        let request = pb::RenewRequest {
            csr,
            hosts: self.hosts.clone(),
        };
        let answer = tokio::time::timeout(TRY_MAX, client.renew(request)).await;
        let answer = answer.map_err(|_| Error::Late)??.into_inner();
        self.take(taken(answer, &key))
    }

    /// On disk first: what is shown to others must be what the next start shows.
    fn take(&self, next: Identity) -> Result<(), Error> {
        if next.peer()? != self.identity.current().peer()? {
            return Err(Error::Foreign);
        }
        // A certificate that does not belong to the key must not be kept.
        tls::client_config(&next, &[tls::H2])?;
        next.save(&self.data_dir)?;
        Ok(self.identity.replace(next)?)
    }
}
