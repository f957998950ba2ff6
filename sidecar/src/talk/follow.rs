//! What comes of a call, message by message, until its answer.

use std::time::Duration;

use dataplane::answer;
use dataplane::deliver::Message;
use dataplane::deliver::deadline::INPUT_WAIT;
use dataplane::refusal::Fault;
use mcp::bridge::{capabilities, inputs};
use mcp::envelope::Kind;
use mcp::error::{RpcError, code};
use mcp::method;
use mcp::revision::Era;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::Talk;
use super::parked::Pending;
use crate::bridge::Way;
use crate::serve::{failed, fault};
use crate::upstream::Error;
use crate::upstream::level::Level;
use crate::upstream::response::{Heard, Response};
use crate::upstream::ticket::Event;

/// How long further questions of a legacy server are waited for, so that they go to the client together.
const TOGETHER: Duration = Duration::from_millis(30);

/// What is to be done next.
enum Next {
    /// Something came, or will.
    On,
    /// The server waits for its client.
    Park(Vec<Pending>),
    /// It is over.
    Over(Result<Message, Fault>),
}

impl Talk {
    /// Hands on what comes of the call to `out`; the answer is the last. A modern client that goes takes the call with
    /// it; a legacy one does not.
    pub(super) async fn follow(mut self, first: Option<Event>, out: mpsc::Sender<Message>) {
        let mut first = first;
        let taken_back = self.taken_back.clone();
        let last = loop {
            let event = match first.take() {
                Some(event) => Ok(event),
                None => tokio::select! {
                    biased;
                    () = out.closed(), if self.is_modern() => return,
                    () = taken_back.cancelled() => break Err(self.is_taken_back()),
                    event = self.underway.next() => event,
                },
            };
            match self.step(event, &out).await {
                Next::On => {}
                Next::Over(last) => break last,
                Next::Park(pending) => return self.park(pending, &out).await,
            }
        };
        let last = last.unwrap_or_else(|fault| failed(&fault, self.translator.id()));
        // Where the client is gone, the call has come to its end all the same.
        let _ = out.send(last).await;
    }

    async fn step(&mut self, event: Result<Event, Error>, out: &mpsc::Sender<Message>) -> Next {
        match event {
            Ok(Event::Progress(progress)) => {
                self.say(self.translator.progress(&progress), out).await;
                Next::On
            }
            Ok(Event::Heard(heard)) if heard.kind == Kind::Request => {
                self.is_asked(heard, out).await
            }
            Ok(Event::Heard(heard)) => {
                let goes = self.may_be_heard(&heard);
                let said = goes.then(|| Message::said(Kind::Notification, heard.bytes));
                self.say(said, out).await;
                Next::On
            }
            Ok(Event::Response(response)) if !self.is_last(&response) => {
                self.goes_on(&response, out).await
            }
            Ok(Event::Response(response)) => {
                self.learn(&response);
                Next::Over(self.translator.response(&response))
            }
            Err(error) => Next::Over(Err(fault(error))),
        }
    }

    /// Whether a response is the answer to the client: it asks for nothing that is to be brought about here.
    pub(super) fn is_last(&self, response: &Response) -> bool {
        match self.translator.way() {
            Way::Same(_) => true,
            Way::LegacyOnModern => !response.asks() && !self.lacks_headers(response),
            Way::ModernOnLegacy => {
                let wants = response.error_code() == Some(code::URL_ELICITATION_REQUIRED);
                let url: &[u8] = br#"{"mode":"url"}"#;
                let may_be_asked = method::may_ask_for_input(self.translator.method())
                    && capabilities::may_be_asked(&self.declared, method::ELICITATION_CREATE, url);
                !(wants && may_be_asked)
            }
        }
    }

    async fn goes_on(&mut self, response: &Response, out: &mpsc::Sender<Message>) -> Next {
        if self.translator.way() == Way::ModernOnLegacy {
            return Next::Over(self.url_required(response));
        }
        let again = if response.asks() {
            self.ask_client(response, out).await
        } else {
            self.learn_headers().await
        };
        match again {
            Ok(()) => Next::On,
            Err(fault) => Next::Over(Err(fault)),
        }
    }

    /// What a server says in mid-call that a client of this era may hear on the call's own stream.
    fn may_be_heard(&self, heard: &Heard) -> bool {
        match self.translator.way() {
            Way::Same(Era::Legacy) => true,
            Way::Same(Era::Modern) | Way::LegacyOnModern => heard.method == method::MESSAGE,
            Way::ModernOnLegacy => {
                let level = heard.param("level");
                let level = level.as_deref().and_then(Level::of);
                heard.method == method::MESSAGE
                    && self.level.is_some_and(|least| level >= Some(least))
            }
        }
    }

    /// Says something to the client: on the call's stream, or where there is none, on that of its session.
    pub(super) async fn say(&self, said: Option<Message>, out: &mpsc::Sender<Message>) {
        let Some(said) = said else { return };
        if self.streams && !out.is_closed() {
            let _ = out.send(said).await;
            return;
        }
        // Progress of a call is for its own stream; a question has to reach the client wherever it can.
        if let Some(client) = self.client.as_ref().filter(|_| said.kind == Kind::Request) {
            client.outbox.push(said);
        }
    }

    /// The server asks its client for something.
    async fn is_asked(&mut self, heard: Heard, out: &mpsc::Sender<Message>) -> Next {
        match self.translator.way() {
            Way::Same(Era::Legacy) => {
                let asked = match (&self.client, self.underway.link()) {
                    (Some(client), Some(link)) => client.questions.ask_for(link, &heard),
                    _ => None,
                };
                match asked {
                    Some(asked) => {
                        self.underway.waits_for_somebody(INPUT_WAIT);
                        self.say(Some(Message::said(Kind::Request, asked)), out)
                            .await
                    }
                    None => self.refuse(&heard),
                }
                Next::On
            }
            Way::ModernOnLegacy => self.collect(heard, out).await,
            _ => {
                self.refuse(&heard);
                Next::On
            }
        }
    }

    /// What a legacy server asks for, with what it asks for at the same time.
    async fn collect(&mut self, first: Heard, out: &mpsc::Sender<Message>) -> Next {
        let mut pending = Vec::new();
        self.note(first, &mut pending);
        let until = Instant::now() + TOGETHER;
        while !pending.is_empty() {
            let Ok(event) = timeout_at(until, self.underway.next()).await else {
                return Next::Park(pending);
            };
            match event {
                Ok(Event::Heard(heard)) if heard.kind == Kind::Request => {
                    self.note(heard, &mut pending);
                }
                // It does not wait for the answer after all, or says something on the way.
                other => match Box::pin(self.step(other, out)).await {
                    Next::On => {}
                    over => return over,
                },
            }
        }
        Next::On
    }

    /// Takes a question on, or refuses it.
    fn note(&self, heard: Heard, pending: &mut Vec<Pending>) {
        let may_ask = method::may_ask_for_input(self.translator.method())
            && capabilities::may_be_asked(&self.declared, &heard.method, heard.raw_params());
        if !may_ask || pending.len() >= super::parked::PENDING_MAX {
            return self.refuse(&heard);
        }
        let key = format!("{}-{}", heard.method.replace('/', "-"), pending.len() + 1);
        let asked = inputs::of_server(&heard.method, heard.raw_params(), key);
        pending.push(Pending {
            id: heard.raw_id().to_vec(),
            asked,
        });
    }

    fn refuse(&self, heard: &Heard) {
        let error = RpcError::method_not_found(&heard.method, Era::Legacy);
        self.underway.answer(error.body(Some(heard.raw_id())));
    }
}

/// A fault as the JSON-RPC error that a client gets in the place of an answer.
pub(super) fn body_of(fault: &Fault, id: &[u8]) -> Vec<u8> {
    answer::rpc_of(fault).body(Some(id))
}
