//! One call under way: its answer, its progress, its deadline, and what becomes of it without a caller.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use super::Error;
use super::link::Link;
use super::response::{Heard, Progress, Response, Told};
use dataplane::deliver::deadline::Deadline;

/// What a caller asks for besides its request.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Names the request for a later cancellation by message; see [`Link::origin`].
    pub origin: Option<u64>,
    /// Whether progress is wanted: the request's progress token is its id.
    pub progress: bool,
    /// Whether all else is wanted that the server says or asks in mid-call.
    pub hears: bool,
    /// Whether its client can be asked also what the server asks without saying for which call; with `hears`.
    pub can_be_asked: bool,
    /// Whether it is a subscription: what names it is wanted.
    pub listens: bool,
    /// How long the answer may take; begins anew with each progress.
    pub limit: Duration,
    /// What becomes of the call where the caller goes.
    pub abandoned: Abandoned,
    /// Cancelled when the caller takes the call back, where it can.
    pub taken_back: TakenBack,
}

/// That a call may be taken back, as long as anything of it goes on.
#[derive(Debug, Clone, Default)]
pub struct TakenBack {
    token: CancellationToken,
    /// Dropped with the last of them.
    _held: Option<Arc<dyn Held>>,
}

/// Whatever is held as long as a call may be taken back.
pub trait Held: std::fmt::Debug + Send + Sync {}

impl TakenBack {
    /// By this token, while `held` is.
    pub fn by(token: CancellationToken, held: Option<Arc<dyn Held>>) -> Self {
        Self { token, _held: held }
    }

    /// Ready when the call is taken back.
    pub async fn wait(&self) {
        self.token.cancelled().await;
    }

    /// Whether it is.
    pub fn is_taken_back(&self) -> bool {
        self.token.is_cancelled()
    }
}

/// What becomes of a call whose caller has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abandoned {
    /// The server is told to stop (2026-07-28: to go is to cancel).
    Cancel,
    /// The server finishes and its answer is dropped (before: to go is not to cancel).
    Finish,
}

/// What comes of a call.
#[derive(Debug)]
pub enum Event {
    /// Some of it is done.
    Progress(Progress),
    /// The server says or asks something.
    Heard(Heard),
    /// Its answer, which is the last event.
    Response(Response),
}

impl From<Told> for Event {
    fn from(told: Told) -> Self {
        match told {
            Told::Progress(progress) => Self::Progress(progress),
            Told::Heard(heard) => Self::Heard(heard),
        }
    }
}

/// A request that was sent. Dropped before its answer, it is abandoned.
#[derive(Debug)]
pub struct Ticket {
    link: Link,
    id: u64,
    ask: Ask,
    answer: oneshot::Receiver<Result<Response, Error>>,
    told: Option<mpsc::Receiver<Told>>,
    deadline: Deadline,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// The server cannot know of it.
    Queued,
    Sent,
    Over,
}

impl Ticket {
    pub(super) fn new(
        link: Link,
        id: u64,
        ask: Ask,
        answer: oneshot::Receiver<Result<Response, Error>>,
        told: Option<mpsc::Receiver<Told>>,
    ) -> Self {
        Self {
            link,
            id,
            deadline: Deadline::new(ask.limit),
            ask,
            answer,
            told,
            state: State::Queued,
        }
    }

    pub(super) fn sent(&mut self) {
        self.state = State::Sent;
    }

    /// Waits for what comes next. Loses nothing if it is dropped while it waits.
    ///
    /// # Errors
    /// There will be no answer; see [`Error`].
    pub async fn next(&mut self) -> Result<Event, Error> {
        let told = async {
            match &mut self.told {
                Some(told) => told.recv().await,
                None => pending().await,
            }
        };
        tokio::select! {
            // What was said before the answer comes first.
            biased;
            Some(told) = told => {
                if matches!(told, Told::Progress(_)) && !self.deadline.renew() {
                    return Err(self.late());
                }
                Ok(told.into())
            }
            answer = &mut self.answer => {
                self.state = State::Over;
                match answer {
                    Ok(answer) => answer.map(Event::Response),
                    Err(_) => Err(Error::Gone("the server is gone".into())),
                }
            }
            () = sleep_until(self.deadline.at()) => Err(self.late()),
        }
    }

    /// Somebody is being asked: the server waits, not we.
    pub fn waits_for_somebody(&mut self, for_at_most: Duration) {
        self.deadline.extend(for_at_most);
    }

    /// Whoever was asked has answered: the call has its own time again.
    pub fn goes_on(&mut self) {
        self.deadline.goes_on();
    }

    /// Its client takes it back: dropped, the server is told.
    pub fn give_up(&mut self) {
        self.ask.abandoned = Abandoned::Cancel;
    }

    fn late(&mut self) -> Error {
        self.state = State::Over;
        self.link.forget(self.id, Some("it takes too long"));
        Error::Timeout(self.ask.limit)
    }

    /// The link that it is on.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Waits for the answer, whatever comes before it.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub async fn answer(mut self) -> Result<Response, Error> {
        loop {
            if let Event::Response(response) = self.next().await? {
                return Ok(response);
            }
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        match (&self.state, self.ask.abandoned) {
            (State::Over, _) => {}
            (State::Queued, _) => self.link.forget(self.id, None),
            (State::Sent, Abandoned::Cancel) => {
                self.link.forget(self.id, Some("the client is gone"))
            }
            // It stays in the table until its answer comes, or until its time is over and room is wanted.
            (State::Sent, Abandoned::Finish) => {}
        }
    }
}
