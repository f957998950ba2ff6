//! A question of a server's that filters keep from its client is answered in the client's place, by the way that the
//! client's own answer would take: nobody waits for an answer that cannot come.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use mcp::envelope::{self, Limits};
use mcp::revision::Revision;
use model::name::ServerName;
use model::record::CallId;
use runtime::drain::Drain;
use tokio::sync::Semaphore;

use super::{Incall, Shared};
use crate::call::{self, Call};
use crate::config::live::Config;
use crate::deliver::{Admitted, Asker, Hop, tasks};

/// Answers that are under way to one server at once, in one call or stream. Further ones are not sent.
const UNDER_WAY_MAX: usize = 16;
/// How long a server may take to take one.
const ANSWER: Duration = Duration::from_secs(30);

/// Answers in the place of one client of a legacy session.
pub(super) struct InPlace<H>(Arc<Client<H>>);

struct Client<H> {
    hop: Arc<H>,
    /// Owns the tasks that answer.
    drain: Drain,
    /// One permit for each answer under way.
    under_way: Semaphore,
    config: Arc<Config>,
    admitted: Admitted,
    server: ServerName,
    headers: HeaderMap,
    session: String,
    revision: Revision,
    name: Arc<str>,
}

/// The client, as its session and headers say.
pub(super) struct Said<'s> {
    pub(super) headers: &'s HeaderMap,
    pub(super) session: &'s str,
    pub(super) revision: Revision,
    pub(super) name: Arc<str>,
}

impl<H: Hop> InPlace<H> {
    pub(super) fn of(
        shared: &Shared<H>,
        (config, admitted, server): (&Arc<Config>, &Admitted, &ServerName),
        said: Said<'_>,
    ) -> Arc<dyn Asker> {
        Arc::new(Self(Arc::new(Client {
            hop: shared.hop.clone(),
            drain: shared.drain.clone(),
            under_way: Semaphore::new(UNDER_WAY_MAX),
            config: config.clone(),
            admitted: admitted.clone(),
            server: server.clone(),
            headers: said.headers.clone(),
            session: said.session.to_owned(),
            revision: said.revision,
            name: said.name,
        })))
    }
}

impl<H: Hop> Asker for InPlace<H> {
    fn refused(&self, answer: Bytes) {
        let client = self.0.clone();
        self.0.drain.spawn("answer in a client's place", async move {
            let Ok(_permit) = client.under_way.try_acquire() else {
                tracing::warn!(server = %client.server, "too many questions of a server are refused at once");
                return;
            };
            let sent = tokio::time::timeout(ANSWER, client.send(&answer)).await;
            if sent != Ok(true) {
                tracing::warn!(server = %client.server, "a server was not told that its question is refused");
            }
        });
    }
}

impl<H: Hop> Client<H> {
    /// Sends an answer. False: it did not get there.
    async fn send(&self, answer: &Bytes) -> bool {
        let Ok(message) = envelope::scan(answer, &Limits::RESPONSE) else {
            return false;
        };
        let id = CallId::new();
        let call = Call {
            id,
            server: &self.server,
            principal: &self.admitted.principal,
            client_address: self.admitted.client_address,
            config: &self.config,
            body: answer,
            message: &message,
            revision: self.revision,
            session: Some(&self.session),
            trace: call::trace(None, id),
            sse: false,
            headers: &self.headers,
            client: &self.name,
            came: None,
            tasks: &tasks::NONE,
            approval: None,
        };
        let Ok(way) = self.hop.way(&call).await else {
            return false;
        };
        self.hop.deliver(&call, &way).await.is_ok()
    }
}

impl<H: Hop> Incall<'_, H> {
    /// Whoever answers what filters keep from the client of this call; `None`: it cannot be asked, or holds no session.
    pub(super) fn in_place(&self, call: &Call<'_>) -> Option<Arc<dyn Asker>> {
        let session = call.session.filter(|_| !call.is_modern())?;
        let said = Said {
            headers: call.headers,
            session,
            revision: call.revision,
            name: call.client.into(),
        };
        let about = (self.config, self.admitted, call.server);
        Some(InPlace::of(self.shared, about, said))
    }
}
