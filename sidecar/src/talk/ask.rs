//! A modern server asks by its result; a legacy client is asked by requests, and the call is sent again with its answers
//! (PROTOCOL 4.3, "L client -> M server").

use std::time::Duration;

use dataplane::deliver::Message;
use dataplane::deliver::deadline::INPUT_WAIT;
use dataplane::refusal::Fault;
use mcp::bridge::inputs::{self, Asked};
use mcp::bridge::{capabilities, to_modern};
use mcp::envelope::Kind;
use mcp::error::{RpcError, code};
use mcp::method;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout_at};

use super::Talk;
use super::parked::ROUNDS_MAX;
use crate::bridge::{Inputs, Way};
use crate::client::questions::Answer;
use crate::upstream::response::Response;

/// Before a call is sent again for which nobody was asked.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// A question that was put.
struct Put {
    key: String,
    method: String,
    id: u64,
    answer: oneshot::Receiver<Answer>,
}

impl Talk {
    /// Asks the client for what the server wants, and sends the call again.
    pub(super) async fn ask_client(
        &mut self,
        response: &Response,
        out: &mpsc::Sender<Message>,
    ) -> Result<(), Fault> {
        self.mark.rounds += 1;
        if self.mark.rounds > ROUNDS_MAX {
            let why = format!("the server asked for more input {ROUNDS_MAX} times");
            return Err(Fault::unavailable(why));
        }
        let result = response.result_span().unwrap_or_default();
        let wanted = inputs::of_result(response.bytes(), result);
        let wanted = wanted.map_err(|error| Fault::unavailable(error.to_string()))?;
        let mut answers = Vec::with_capacity(wanted.requests.len());
        let mut put = Vec::with_capacity(wanted.requests.len());
        for asked in &wanted.requests {
            put.push(self.put(asked, out).await?);
        }
        if put.is_empty() {
            sleep(AGAIN_AFTER * self.mark.rounds).await;
        }
        let until = Instant::now() + INPUT_WAIT;
        for question in put {
            let key = question.key.clone();
            answers.push((key, self.answer_to(question, until).await?));
        }
        let inputs = Inputs {
            responses: (!answers.is_empty()).then(|| inputs::responses(&answers)),
            state: wanted.state,
        };
        self.send_again(&inputs).await
    }

    async fn send_again(&mut self, inputs: &Inputs) -> Result<(), Fault> {
        let with = (inputs, self.target.as_deref());
        let (translator, client) = (&self.translator, self.client.as_ref());
        let sent = self
            .line
            .send_again(translator, client, with, self.ask.clone());
        self.underway = sent.await?;
        Ok(())
    }

    async fn put(&self, asked: &Asked, out: &mpsc::Sender<Message>) -> Result<Put, Fault> {
        let client = self.client.as_ref().ok_or_else(|| {
            Fault::not_bridgeable("the server asks for input, and there is nobody to be asked")
        })?;
        let declared = capabilities::to_modern(&client.declared, client.revision);
        let may_be_asked = declared.as_object().is_some_and(|declared| {
            capabilities::may_be_asked(declared, &asked.method, &asked.params)
        });
        if !may_be_asked {
            return Err(Fault::not_bridgeable(format!(
                "the server asks for {}, which the client cannot be asked for",
                asked.method
            )));
        }
        let question = client.questions.open();
        let (id, answer) = question
            .ok_or_else(|| Fault::overloaded("the client is being asked too much already"))?;
        let name = format!("{}-{id}", client.handle);
        let text = inputs::to_client(asked, id.to_string().as_bytes(), &name, client.revision);
        self.say(Some(Message::said(Kind::Request, text.into())), out)
            .await;
        Ok(Put {
            key: asked.key.clone(),
            method: asked.method.clone(),
            id,
            answer,
        })
    }

    async fn answer_to(&mut self, question: Put, until: Instant) -> Result<Vec<u8>, Fault> {
        let taken_back = self.taken_back.clone();
        let answer = tokio::select! {
            answer = timeout_at(until, question.answer) => answer,
            () = taken_back.cancelled() => return Err(self.is_taken_back()),
        };
        let error = match answer {
            Ok(Ok(Ok(result))) => return Ok(result),
            Ok(Ok(Err(error))) => error,
            Ok(Err(_)) => return Err(Fault::cancelled("the session of the client is over")),
            Err(_) => {
                if let Some(client) = &self.client {
                    client.questions.close(question.id);
                }
                return Err(Fault::timeout(
                    "the client did not answer what it was asked",
                ));
            }
        };
        if question.method == method::ELICITATION_CREATE {
            return Ok(json!({"action": "cancel"}).to_string().into_bytes());
        }
        // What the client refuses to do the server cannot do without: the call fails with the client's own words.
        let error: Value = serde_json::from_slice(&error).unwrap_or_default();
        let why = error["message"].as_str().unwrap_or("it gives no reason");
        let code = error["code"].as_i64().unwrap_or(code::INTERNAL);
        Err(Fault::invalid(RpcError {
            code,
            http_status: 200,
            ..RpcError::invalid_params(format!("the client refuses {}: {why}", question.method))
        }))
    }

    /// Whether the server misses a header that mirrors an argument: then it was not known that it wants one.
    pub(super) fn lacks_headers(&self, response: &Response) -> bool {
        let is_call = self.translator.method() == method::TOOLS_CALL;
        let lacks = response.error_code() == Some(code::HEADER_MISMATCH);
        self.translator.way() == Way::LegacyOnModern && is_call && lacks && !self.mark.learned
    }

    /// Asks the server for its tools, and sends the call again with the headers that it wants.
    pub(super) async fn learn_headers(&mut self) -> Result<(), Fault> {
        self.mark.learned = true;
        self.line.learn().await;
        self.send_again(&Inputs::default()).await
    }

    /// Keeps what a list of tools says of headers.
    pub(super) fn learn(&self, response: &Response) {
        let is_list = self.translator.method() == method::TOOLS_LIST;
        if is_list && self.translator.way() == Way::LegacyOnModern {
            let result = response.result_span().unwrap_or_default();
            self.line
                .keep_mirrors(to_modern::mirrors(response.bytes(), result));
        }
    }
}
