//! One call over HTTP: sent, followed until its answer, its deadline or its end. In the legacy era it goes in a session.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ::http::{HeaderMap, Request, Response as HttpResponse, StatusCode};
use bytes::Bytes;
use dataplane::deliver::deadline::Deadline;
use dataplane::deliver::direct;
use dataplane::deliver::messages::{Messages, is_json};
use http_body_util::Full;
use hyper::body::Incoming;
use mcp::envelope::{self, Kind, Limits};
use mcp::method;
use tokio::time::{Instant, timeout, timeout_at};

use super::asked::Asked;
use super::coming::{Came, Coming, Sending};
use super::sessions::{Session, Slot};
use super::{Chore, HttpServer, MESSAGE_BYTES_MAX};
use crate::upstream::Error;
use crate::upstream::greeting::Who;
use crate::upstream::response::{Heard, Progress, Response, own_answer};
use crate::upstream::ticket::{Abandoned, Ask, Event};

/// A request that was sent. Dropped before its answer, it is abandoned.
#[derive(Debug)]
pub struct Exchange {
    server: HttpServer,
    id: u64,
    ask: Ask,
    deadline: Deadline,
    /// Its session; `None` until the server can know of it, once it is over, and in the modern era.
    under_way: Option<Arc<Session>>,
    /// The place of its session, which is in use as long as this lives.
    slot: Option<Arc<Slot>>,
    coming: Coming,
    /// What is asked on the session's own stream, where its client can be asked.
    asked: Option<Asked>,
    /// A question that came before the answer began.
    early: Option<Heard>,
}

/// What is there next.
enum Next {
    Asked(Heard),
    Came(Came),
    Late,
}

impl HttpServer {
    /// Sends a legacy request that carries `id`, in the session of `who`.
    ///
    /// # Errors
    /// It could not be sent, or was refused.
    pub async fn send(
        &self,
        who: &Who,
        id: u64,
        message: Vec<u8>,
        ask: Ask,
    ) -> Result<Exchange, Error> {
        let mut exchange = self.exchange(id, ask);
        let limit = exchange.ask.limit;
        let begun = timeout(limit, exchange.begin(who, message.into())).await;
        begun.unwrap_or(Err(Error::Timeout(limit)))?;
        Ok(exchange)
    }

    /// Sends a modern request that carries `id`, with the headers that mirror it.
    ///
    /// # Errors
    /// It could not be sent, or was refused.
    pub async fn send_modern(
        &self,
        id: u64,
        message: Vec<u8>,
        mirror: HeaderMap,
        ask: Ask,
    ) -> Result<Exchange, Error> {
        let mut exchange = self.exchange(id, ask);
        let unusable =
            |fault: dataplane::refusal::Fault| Error::Gone(fault.message.as_str().into());
        let mut request = direct::post(&self.0.upstream, message.into()).map_err(unusable)?;
        request.headers_mut().extend(mirror);
        let limit = exchange.ask.limit;
        let sent = timeout(limit, exchange.sent(request)).await;
        let response = sent.unwrap_or(Err(Error::Timeout(limit)))?;
        exchange.take(response)?;
        Ok(exchange)
    }

    fn exchange(&self, id: u64, ask: Ask) -> Exchange {
        self.0.waiting.fetch_add(1, Ordering::Relaxed);
        Exchange {
            server: self.clone(),
            id,
            deadline: Deadline::new(ask.limit),
            ask,
            under_way: None,
            slot: None,
            coming: Coming::default(),
            asked: None,
            early: None,
        }
    }
}

impl Exchange {
    /// Sends a request. One that is to be finished goes on when its caller is gone, as the server takes a connection that
    /// is closed for the end of the call.
    async fn sent(&self, request: Request<Full<Bytes>>) -> Result<HttpResponse<Incoming>, Error> {
        if self.ask.abandoned == Abandoned::Cancel {
            return self.server.request(request).await;
        }
        let (server, taken_back) = (self.server.clone(), self.ask.taken_back.clone());
        let sending = tokio::spawn(async move {
            tokio::select! {
                sent = server.request(request) => sent,
                () = taken_back.wait() => Err(Error::Cancelled),
            }
        });
        let gone = |_| Error::Gone("the request came to no end".into());
        sending.await.map_err(gone)?
    }

    async fn begin(&mut self, who: &Who, message: Bytes) -> Result<(), Error> {
        let mut again = true;
        loop {
            let (slot, session) = self.server.session(who).await?;
            self.under_way = Some(session.clone());
            self.slot = Some(slot.clone());
            if self.ask.can_be_asked {
                self.asked = Some(self.server.asked((&slot, &session), self.id).await);
            }
            // Where nothing came back, whether it has begun is not known: it is told to stop.
            let Some(response) = self.posted(message.clone(), &session).await? else {
                return Ok(());
            };
            if response.status() == StatusCode::NOT_FOUND && !session.id.is_empty() && again {
                // The session is over, so the request was not looked at: it goes with a new one.
                self.under_way = None;
                self.asked = None;
                self.server.0.sessions.forget(&who.key(), &slot);
                again = false;
                continue;
            }
            return self.take(response);
        }
    }

    /// `None`: its answer has not begun, and the server asks something first.
    async fn posted(
        &mut self,
        message: Bytes,
        session: &Arc<Session>,
    ) -> Result<Option<HttpResponse<Incoming>>, Error> {
        let Some(asked) = &mut self.asked else {
            return self.server.post(message, Some(session)).await.map(Some);
        };
        let (server, session) = (self.server.clone(), session.clone());
        let mut sending = Sending::of(async move { server.post(message, Some(&session)).await });
        tokio::select! {
            sent = sending.done() => sent.map(Some),
            heard = asked.next() => {
                self.early = Some(heard);
                self.coming.is_sent(sending);
                Ok(None)
            }
        }
    }

    fn take(&mut self, response: HttpResponse<Incoming>) -> Result<(), Error> {
        let status = response.status();
        if matches!(status.as_u16(), 404 | 405) {
            self.server.doubt();
        }
        // A modern server says with 404 that it does not know a method.
        let is_said = self.under_way.is_none()
            && status == StatusCode::NOT_FOUND
            && is_json(response.headers());
        if let (Err(error), false) = (check(status), is_said) {
            self.under_way = None;
            return Err(error);
        }
        self.coming.begins(response);
        Ok(())
    }

    /// Waits for what comes next. Loses nothing if it is dropped while it waits.
    ///
    /// # Errors
    /// There will be no answer; see [`Error`].
    pub async fn next(&mut self) -> Result<Event, Error> {
        loop {
            if let Some(heard) = self.early.take() {
                return Ok(Event::Heard(heard));
            }
            let next = tokio::select! {
                biased;
                heard = question(&mut self.asked) => Next::Asked(heard),
                came = timeout_at(self.deadline.at(), self.coming.next()) => {
                    came.map_or(Next::Late, Next::Came)
                }
            };
            let message = match next {
                Next::Asked(heard) => return Ok(Event::Heard(heard)),
                Next::Late => return Err(Error::Timeout(self.ask.limit)),
                Next::Came(Came::Begun(response)) => {
                    self.take(response)?;
                    continue;
                }
                Next::Came(Came::Message(message)) => message,
                Next::Came(Came::Failed(error)) => {
                    // Who does not hold a session with it has nothing to go on with.
                    let session = self.under_way.as_ref().filter(|it| !it.id.is_empty());
                    let goes_on = session.is_some_and(|it| self.coming.go_on(&self.server, it));
                    if !goes_on {
                        return Err(error);
                    }
                    continue;
                }
            };
            if let Some(event) = self.event(message).await? {
                return Ok(event);
            }
        }
    }

    /// What a message of the server's means for the call; `None`: nothing.
    async fn event(&mut self, message: Bytes) -> Result<Option<Event>, Error> {
        let limits = Limits {
            bytes: MESSAGE_BYTES_MAX,
            ..Limits::RESPONSE
        };
        let read = envelope::scan(&message, &limits);
        let read = read.map_err(|error| Error::Invalid(error.to_string()))?;
        let ours = |raw: &[u8]| raw == self.id.to_string().as_bytes();
        match read.kind {
            Kind::Response => {
                let id = read.id.filter(|id| ours(id.raw));
                let id =
                    id.ok_or_else(|| Error::Invalid("it answers another request".to_owned()))?;
                self.under_way = None;
                self.coming = Coming::default();
                self.asked = None;
                let response = Response::new(message.clone(), &read, id.span);
                Ok(Some(Event::Response(response)))
            }
            Kind::Notification if read.method() != method::PROGRESS => {
                let heard = || Event::Heard(Heard::new(message.clone(), &read));
                Ok((self.ask.hears || self.ask.listens).then(heard))
            }
            Kind::Notification => {
                let token = read.progress_token.filter(|token| ours(token.of(&message)));
                let Some(token) = token.filter(|_| self.ask.progress) else {
                    return Ok(None);
                };
                if !self.deadline.renew() {
                    return Err(Error::Timeout(self.ask.limit));
                }
                Ok(Some(Event::Progress(Progress {
                    bytes: message.clone(),
                    token,
                })))
            }
            Kind::Request if self.ask.hears && read.method() != method::PING => {
                Ok(Some(Event::Heard(Heard::new(message.clone(), &read))))
            }
            Kind::Request => {
                self.answer(own_answer(&read));
                Ok(None)
            }
        }
    }

    /// Answers something that the server asked.
    pub fn answer(&self, message: Vec<u8>) {
        if let Some(session) = &self.under_way {
            self.server
                .later(Chore::Tell(session.clone(), message.into()));
        }
    }

    /// Somebody is being asked: the server waits, not we.
    pub fn waits_for_somebody(&mut self, for_at_most: Duration) {
        self.deadline.extend(for_at_most);
        if let Some(asked) = &self.asked {
            asked.set_busy(true);
        }
    }

    /// Whoever was asked has answered: the call has its own time again.
    pub fn goes_on(&mut self) {
        self.deadline.goes_on();
        if let Some(asked) = &self.asked {
            asked.set_busy(false);
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(slot) = &self.slot {
            slot.touch();
        }
        if self.server.0.waiting.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.server.0.rests.notify_waiters();
        }
        // Before 2026-07-28, a closed connection is no word: the server has to be told.
        let is_wanted =
            self.ask.abandoned == Abandoned::Finish && !self.ask.taken_back.is_taken_back();
        if let Some(messages) = self.coming.take().filter(|_| is_wanted) {
            let until = self.deadline.at();
            let (taken_back, server) = (self.ask.taken_back.clone(), self.server.clone());
            let told = self.under_way.take().map(|session| {
                let message = cancelled(self.id);
                Chore::Tell(session, message)
            });
            let slot = self.slot.take();
            tokio::spawn(async move {
                tokio::select! {
                    () = finish(messages, until) => {}
                    () = taken_back.wait() => told.into_iter().for_each(|told| server.later(told)),
                }
                drop(slot);
            });
        } else if let Some(session) = self.under_way.take() {
            let message = cancelled(self.id);
            self.server.later(Chore::Tell(session, message));
        }
    }
}

/// The next question; never, where the call cannot be asked.
async fn question(asked: &mut Option<Asked>) -> Heard {
    match asked {
        Some(asked) => asked.next().await,
        None => std::future::pending().await,
    }
}

/// Reads on what nobody waits for, so that the server can finish.
async fn finish(mut messages: Messages, until: Instant) {
    let rest = async { while let Some(Ok(_)) = messages.next().await {} };
    let _late = timeout_at(until, rest).await;
}

fn cancelled(id: u64) -> Bytes {
    let method = method::CANCELLED;
    let params = format!(r#"{{"requestId":{id},"reason":"nobody waits for it"}}"#);
    format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#).into()
}

/// Answers that carry no message.
pub(super) fn check(status: StatusCode) -> Result<(), Error> {
    let gone = |why: String| Err(Error::Gone(why.into()));
    match status.as_u16() {
        200..=299 | 400 => Ok(()),
        401 | 403 => {
            gone("the server refuses the credential that its entry in the catalog gives".to_owned())
        }
        429 | 503 => Err(Error::Overloaded("the server says that it is overloaded")),
        300..=399 => gone("the server redirects, which is not followed".to_owned()),
        _ => gone(format!("the server answers HTTP {status}")),
    }
}
