//! Asking the other replicas: the same API that administrators speak, over mTLS with our own certificate.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;
use proto::v1 as pb;
use proto::v1::admin_client::AdminClient;
use proto::v1::audit_client::AuditClient;
use runtime::net;
use tokio::sync::watch;
use tonic::Status;
use tonic::transport::Channel;

use super::{Other, Others, Replicas};
use crate::serving::Serving;

/// How long another replica may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(3);
/// Channels that are kept. A full map is emptied: there are never that many replicas.
const CHANNELS_MAX: usize = 64;

/// What the others answered, and who did not.
#[derive(Debug)]
pub(crate) struct Answers<T> {
    /// With the name of each.
    pub answers: Vec<(String, T)>,
    /// Who did not answer, and why.
    pub absent: Vec<pb::AbsentReplica>,
}

/// The way to the other replicas.
#[derive(Debug)]
pub(crate) struct Peers {
    replicas: Arc<Replicas>,
    serving: Arc<Serving>,
    /// By address. Locked for a look-up.
    channels: Mutex<HashMap<String, Channel>>,
}

/// One other replica's API.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// Reads configuration and nodes.
    pub admin: AdminClient<Channel>,
    /// Reads records.
    pub audit: AuditClient<Channel>,
}

impl Peers {
    /// To the others that `replicas` knows, with the certificate of `serving`.
    pub(crate) fn new(replicas: Arc<Replicas>, serving: Arc<Serving>) -> Arc<Self> {
        Arc::new(Self {
            replicas,
            serving,
            channels: Mutex::default(),
        })
    }

    /// What replicas know of each other.
    pub(super) fn replicas(&self) -> &Replicas {
        &self.replicas
    }

    /// Whether there is anybody to ask.
    pub(crate) fn is_alone(&self) -> bool {
        self.replicas.others().is_empty()
    }

    /// Whether there may be others now or later.
    pub(crate) fn may_have_company(&self) -> bool {
        self.replicas.is_shared()
    }

    /// The others, now and after every change.
    pub(crate) fn watch(&self) -> watch::Receiver<Others> {
        self.replicas.watch()
    }

    /// The APIs of all others that are there, with their names.
    pub(crate) fn each(&self) -> Vec<(String, Peer)> {
        let others = self.replicas.others();
        let live = others.iter().filter(|other| other.gone_unix_ms.is_none());
        live.filter_map(|other| Some((other.name.clone(), self.peer(other).ok()?)))
            .collect()
    }

    /// Asks all others at once; each may take a few seconds.
    pub(crate) async fn ask<T, F>(&self, question: impl Fn(Peer) -> F) -> Answers<T>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let others = self.replicas.others();
        let asked = others.iter().map(async |other: &Other| {
            let answer = async { question(self.peer(other)?).await };
            let answer = match tokio::time::timeout(ANSWER_MAX, answer).await {
                Ok(answer) => answer.map_err(|status| status.message().to_owned()),
                Err(_) => Err(format!("no answer within {} s", ANSWER_MAX.as_secs())),
            };
            (other.clone(), answer)
        });
        let mut answers = Answers {
            answers: Vec::new(),
            absent: Vec::new(),
        };
        for (other, answer) in join_all(asked).await {
            match answer {
                Ok(answer) => answers.answers.push((other.name.clone(), answer)),
                Err(why) => answers.absent.push(pb::AbsentReplica {
                    replica: other.name.clone(),
                    address: other.summary.address.clone(),
                    why,
                }),
            }
        }
        answers
    }

    fn peer(&self, other: &Other) -> Result<Peer, Status> {
        let channel = self.channel(&other.summary.address)?;
        Ok(Peer {
            admin: AdminClient::new(channel.clone()).max_decoding_message_size(usize::MAX),
            audit: AuditClient::new(channel).max_decoding_message_size(usize::MAX),
        })
    }

    fn channel(&self, address: &str) -> Result<Channel, Status> {
        let mut channels = self.channels.lock();
        if let Some(channel) = channels.get(address) {
            return Ok(channel.clone());
        }
        let unusable = |error: &dyn std::fmt::Display| Status::internal(error.to_string());
        let tls = self.serving.client_tls().map_err(|e| unusable(&e))?;
        let channel = net::channel(address, Some(tls)).map_err(|e| unusable(&e))?;
        if channels.len() >= CHANNELS_MAX {
            channels.clear();
        }
        channels.insert(address.to_owned(), channel.clone());
        Ok(channel)
    }
}
