//! The edge's way to the people who decide: it asks the control plane, and waits for what they say.
//!
//! ```text
//! ask -> pending -> follow (a stream, begun again when it is lost) -> granted -> spend: for one call alone
//! ```
//! Every step may be repeated: asking twice asks once, and spending twice for one call spends once. Who waits holds a
//! seat, of which there are so many; whoever finds none is refused. It knows no MCP.

use std::sync::Arc;
use std::time::Duration;

use dashmap::{DashMap, Entry};
use parking_lot::Mutex;
use proto::v1 as pb;
use proto::v1::approval_desk_client::ApprovalDeskClient;
use runtime::backoff::Backoff;
use runtime::clock::now_unix_ms;
use runtime::metrics::{Gauge, Metrics};
use runtime::net::{self, ClientTls};
use runtime::tls::{self, LiveIdentity};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until, timeout};
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::cancel::Waits;
use crate::config::node::control_plane_name;

/// Calls that wait at one edge. A control plane takes fewer streams than that on one connection, so there are several.
pub const WAITING_MAX: usize = LINES * SEATS;
/// Connections for those who wait.
const LINES: usize = 4;
/// Calls of one user that may wait: as many as people may have before them of one user.
const WAITING_OF_USER_MAX: usize = 50;
/// Who may wait on one of them.
const SEATS: usize = 128;
/// How long one question may take.
const ANSWER: Duration = Duration::from_secs(5);
/// How often the control planes are asked in turn before nobody can be asked.
const ROUNDS: usize = 2;
/// How often it is tried to use an approval up; between two tries a control plane may start again.
const SPEND_ROUNDS: usize = 6;
/// First and longest pause between two tries.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// How long after its end an approval is still asked about: clocks differ.
const GRACE: Duration = Duration::from_secs(5);

/// Why an approval cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No control plane answers.
    #[error("nobody can be asked now: the control plane is away")]
    Away,
    /// The control plane says no.
    #[error("{0}")]
    Refused(String),
}

/// How an approval stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nobody has decided.
    Pending,
    /// Somebody agrees.
    Granted,
    /// Somebody does not.
    Refused,
    /// Its one use is over.
    Used,
    /// Its time is.
    Expired,
}

/// How an approval stands; what it says that we do not know is none that a call could go on by.
pub fn state_of(approval: &pb::Approval) -> State {
    match approval.state.as_str() {
        "pending" => State::Pending,
        "granted" => State::Granted,
        "refused" => State::Refused,
        "used" => State::Used,
        _ => State::Expired,
    }
}

/// The way to the people who decide. Clones are the same.
#[derive(Debug, Clone)]
pub struct Desk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Control planes, `host:port`, tried in turn.
    control: Vec<String>,
    tls: ClientTls,
    questions: Line,
    lines: [Line; LINES],
    waits: Waits,
    waiting: Gauge,
    /// How many calls of each user wait. Users without any are not in it.
    of_user: Arc<DashMap<Arc<str>, usize>>,
}

/// A connection, made when first needed and anew when it fails.
#[derive(Debug)]
struct Line {
    /// Locked for a look: the connection, and whose turn it is.
    open: Mutex<(Option<Channel>, usize)>,
    seats: Arc<Semaphore>,
}

/// The right to wait; given back when dropped.
#[derive(Debug)]
pub struct Seat {
    line: usize,
    waiting: Gauge,
    user: Arc<str>,
    of_user: Arc<DashMap<Arc<str>, usize>>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.waiting.add(-1);
        if let Entry::Occupied(mut entry) = self.of_user.entry(self.user.clone()) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

impl Line {
    fn new() -> Self {
        Self {
            open: Mutex::default(),
            seats: Arc::new(Semaphore::new(SEATS)),
        }
    }
}

impl Desk {
    /// At the control planes `control`, as the node of this identity.
    ///
    /// # Errors
    /// Where the identity cannot be used.
    pub fn new(
        control: &[String],
        identity: &LiveIdentity,
        metrics: &Metrics,
    ) -> Result<Self, tls::Error> {
        let tls = ClientTls {
            config: identity.client_config(&[tls::H2])?,
            server_name: control_plane_name(),
        };
        Ok(Self(Arc::new(Inner {
            control: control.to_vec(),
            tls,
            questions: Line::new(),
            lines: std::array::from_fn(|_| Line::new()),
            waits: Waits::default(),
            of_user: Arc::default(),
            waiting: metrics.gauge(
                "gatehouse_approvals_waiting",
                "Calls at this edge that wait for a person to agree.",
                &[],
            ),
        })))
    }

    /// Who waits here, for those that cancel.
    pub fn waits(&self) -> &Waits {
        &self.0.waits
    }

    /// The right of a call of `user` to wait. `None`: too many do, of that user or in all.
    pub fn seat(&self, user: &Arc<str>) -> Option<Seat> {
        let lines = self.0.lines.iter().enumerate();
        let (line, permit) = lines
            .filter_map(|(at, line)| Some((at, line.seats.clone().try_acquire_owned().ok()?)))
            .next()?;
        {
            let mut count = self.0.of_user.entry(user.clone()).or_default();
            if *count >= WAITING_OF_USER_MAX {
                return None;
            }
            *count += 1;
        }
        self.0.waiting.add(1);
        Some(Seat {
            line,
            waiting: self.0.waiting.clone(),
            user: user.clone(),
            of_user: self.0.of_user.clone(),
            _permit: permit,
        })
    }

    /// Puts a call before people.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn ask(&self, request: &pb::AskApprovalRequest) -> Result<pb::Approval, Error> {
        self.question(ROUNDS, |mut client| {
            let request = request.clone();
            async move { client.ask(request).await }
        })
        .await
    }

    /// Uses a granted approval up, for one call.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn spend(&self, request: &pb::SpendApprovalRequest) -> Result<pb::Approval, Error> {
        self.question(SPEND_ROUNDS, |mut client| {
            let request = request.clone();
            async move { client.spend(request).await }
        })
        .await
    }

    /// The approval `id`, which ends at `expires_unix_ms`, once it is pending no more: at the latest when it ends.
    pub async fn decided(&self, seat: &Seat, id: &str, expires_unix_ms: i64) -> pb::Approval {
        let left = u64::try_from(expires_unix_ms - now_unix_ms()).unwrap_or(0);
        let over = Instant::now() + Duration::from_millis(left) + GRACE;
        let expired = || pb::Approval {
            id: id.to_owned(),
            state: "expired".to_owned(),
            expires_unix_ms,
            ..pb::Approval::default()
        };
        tokio::select! {
            decided = self.follow(seat, id) => decided.unwrap_or_else(expired),
            () = sleep_until(over) => expired(),
        }
    }

    /// Until it is pending no more. `None`: there is no such approval any more.
    async fn follow(&self, seat: &Seat, id: &str) -> Option<pb::Approval> {
        let line = &self.0.lines[seat.line];
        let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
        loop {
            let used = line.turn();
            match self.follow_once(line, id, &mut backoff).await {
                Ok(Some(decided)) => return Some(decided),
                Ok(None) => {}
                Err(status) if status.code() == Code::NotFound => return None,
                Err(status) => {
                    tracing::debug!(why = status.message(), "an approval is not followed");
                }
            }
            line.lost(used);
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    async fn follow_once(
        &self,
        line: &Line,
        id: &str,
        backoff: &mut Backoff,
    ) -> Result<Option<pb::Approval>, Status> {
        let mut client = self.client(line)?;
        let request = pb::FollowApprovalRequest { id: id.to_owned() };
        let stream = timeout(ANSWER, client.follow(request)).await;
        let mut stream = stream
            .map_err(|_| Status::deadline_exceeded("no answer"))??
            .into_inner();
        while let Some(approval) = stream.message().await? {
            backoff.reset();
            if state_of(&approval) != State::Pending {
                return Ok(Some(approval));
            }
        }
        Ok(None)
    }

    /// Asks the control planes in turn, so often.
    async fn question<F>(
        &self,
        rounds: usize,
        ask: impl Fn(ApprovalDeskClient<Channel>) -> F,
    ) -> Result<pb::Approval, Error>
    where
        F: Future<Output = Result<tonic::Response<pb::Approval>, Status>>,
    {
        let line = &self.0.questions;
        let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
        for n in 0..rounds * self.0.control.len().max(1) {
            if n > 0 {
                tokio::time::sleep(backoff.pause()).await;
            }
            let used = line.turn();
            let Ok(client) = self.client(line) else {
                return Err(Error::Away);
            };
            match timeout(ANSWER, ask(client)).await {
                Ok(Ok(answer)) => return Ok(answer.into_inner()),
                Ok(Err(status)) if is_final(&status) => {
                    return Err(Error::Refused(status.message().to_owned()));
                }
                Ok(Err(status)) => {
                    tracing::warn!(why = status.message(), "the control plane was not asked");
                }
                Err(_) => tracing::warn!("the control plane was not asked: no answer"),
            }
            line.lost(used);
        }
        Err(Error::Away)
    }

    fn client(&self, line: &Line) -> Result<ApprovalDeskClient<Channel>, Status> {
        let mut open = line.open.lock();
        let (channel, turn) = &mut *open;
        if channel.is_none() {
            let count = self.0.control.len().max(1);
            let address = self.0.control.get(*turn % count);
            let address = address.map(String::as_str).unwrap_or_default();
            let made = net::channel(address, Some(self.0.tls.clone()));
            *channel = Some(made.map_err(|error| Status::invalid_argument(error.to_string()))?);
        }
        let channel = channel.clone();
        let channel = channel.ok_or_else(|| Status::unavailable("no connection"))?;
        Ok(ApprovalDeskClient::new(channel))
    }
}

impl Line {
    /// Which connection is in use, or is made next.
    fn turn(&self) -> usize {
        self.open.lock().1
    }

    /// The next try is made elsewhere, by a new connection: that shows the newest certificate, too. Unless one was made
    /// since `used`: that is not given up for another's loss.
    fn lost(&self, used: usize) {
        let mut open = self.open.lock();
        if open.1 == used {
            *open = (None, used.wrapping_add(1));
        }
    }
}

/// Answers that another try will not change.
fn is_final(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::InvalidArgument
            | Code::NotFound
            | Code::FailedPrecondition
            | Code::ResourceExhausted
            | Code::PermissionDenied
    )
}
