//! One call as tools and prompts see it: who asks, in which era, and how to ask or tell the client something.

use rmcp::model::{
    CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock, ErrorData, InputRequest,
    InputRequests, InputRequiredResult, InputResponses, JsonObject, LoggingLevel,
    LoggingMessageNotificationParam, ProgressNotificationParam, SealOptions, ServerRequest,
};
use rmcp::service::{PeerRequestOptions, RequestContext, RoleServer, ServiceError};
use serde_json::{Value, json};

use crate::fixture::Fixture;
use crate::questions::answers;

/// As the protocol orders them.
const LEVELS: [&str; 8] = [
    "debug",
    "info",
    "notice",
    "warning",
    "error",
    "critical",
    "alert",
    "emergency",
];

pub struct Call<'a> {
    pub fixture: &'a Fixture,
    pub cx: &'a RequestContext<RoleServer>,
    /// The tool or prompt.
    pub target: &'a str,
    pub arguments: JsonObject,
    /// The answers to what an earlier round asked for, and what it wanted back (modern era).
    pub responses: InputResponses,
    pub state: Option<String>,
}

/// Why a tool or prompt ends without its answer.
pub enum Stop {
    /// The client is asked by the result, and calls again with what it is asked for (modern era).
    Asking(InputRequiredResult),
    /// A fault of its own, and not of the protocol.
    Failed(String),
    Fault(ErrorData),
}

impl From<ErrorData> for Stop {
    fn from(fault: ErrorData) -> Self {
        Self::Fault(fault)
    }
}

impl From<ServiceError> for Stop {
    fn from(fault: ServiceError) -> Self {
        Self::Failed(fault.to_string())
    }
}

impl Call<'_> {
    pub fn modern(&self) -> bool {
        is_modern(self.cx)
    }

    /// A string argument, empty where it is absent.
    pub fn argument(&self, name: &str) -> &str {
        self.arguments
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    pub fn declared(&self) -> ClientCapabilities {
        self.cx.client_capabilities().unwrap_or_default()
    }

    /// Fails with the protocol's own error where the client has not declared what `wanted` holds.
    pub fn require(&self, wanted: ClientCapabilities) -> Result<(), ErrorData> {
        let declared = json!(self.declared());
        let wanted_names = json!(wanted);
        let lacks = |name: &String| declared.get(name).is_none();
        if wanted_names
            .as_object()
            .is_some_and(|names| names.keys().any(lacks))
        {
            return Err(ErrorData::missing_required_client_capability(wanted));
        }
        Ok(())
    }

    /// The client's answer to each question, under its key.
    ///
    /// Legacy era: by requests of the server, all at once, on the stream of this call. Modern era: what this
    /// call brought; where an answer is missing, the call ends with the result that asks for it, with the state.
    pub async fn ask<'q>(
        &self,
        state: Option<&Value>,
        questions: impl IntoIterator<Item = (&'q str, InputRequest)>,
    ) -> Result<InputResponses, Stop> {
        let questions = questions.into_iter();
        let questions: InputRequests = questions
            .map(|(key, question)| (key.to_owned(), question))
            .collect();
        for question in questions.values() {
            self.require(capability_of(question)).map_err(|lack| {
                if self.modern() {
                    Stop::Fault(lack)
                } else {
                    // The legacy era has no error of the protocol for it.
                    Stop::Failed(lack.message.into_owned())
                }
            })?;
        }
        if self.modern() {
            self.given(state, questions)
        } else {
            self.request(questions).await
        }
    }

    /// The same for a question alone, without a state, whose key does not matter.
    pub async fn ask_one(&self, question: InputRequest) -> Result<Value, Stop> {
        let mut answers = self.ask(None, [("answer", question)]).await?;
        Ok(answers.remove("answer").unwrap_or_default())
    }

    fn given(
        &self,
        state: Option<&Value>,
        questions: InputRequests,
    ) -> Result<InputResponses, Stop> {
        // A state that was changed on its way is refused, whatever the tool; an answer without the state that was
        // sent with its question is none.
        let complete = self.state()?.is_some() || state.is_none();
        let mut given = InputResponses::new();
        let mut missing = InputRequests::new();
        for (key, question) in questions {
            let answer = self.responses.get(&key).filter(|_| complete);
            match answer.filter(|answer| answers(&question, answer)) {
                Some(answer) => {
                    given.insert(key, answer.clone());
                }
                None => {
                    missing.insert(key, question);
                }
            }
        }
        // What is answered is not asked for again.
        if missing.is_empty() {
            return Ok(given);
        }
        let sealed = state.map(|state| self.seal(state)).transpose()?;
        Err(Stop::Asking(InputRequiredResult::new(
            Some(missing),
            sealed,
        )))
    }

    async fn request(&self, questions: InputRequests) -> Result<InputResponses, Stop> {
        let mut sent = Vec::new();
        for (key, question) in questions {
            let request = match question.clone() {
                InputRequest::Elicitation(it) => ServerRequest::ElicitRequest(it),
                InputRequest::CreateMessage(it) => ServerRequest::CreateMessageRequest(it),
                InputRequest::ListRoots(it) => ServerRequest::ListRootsRequest(it),
                _ => unreachable!("no other is made in questions.rs"),
            };
            let options = PeerRequestOptions::no_options();
            let waiting = self.cx.peer.send_cancellable_request(request, options);
            sent.push((key, question, waiting.await?));
        }
        let mut given = InputResponses::new();
        for (key, question, waiting) in sent {
            let answer = json!(waiting.await_response().await?);
            if !answers(&question, &answer) {
                return Err(ServiceError::UnexpectedResponse.into());
            }
            given.insert(key, answer);
        }
        Ok(given)
    }

    fn seal(&self, state: &Value) -> Result<String, ErrorData> {
        let to = SealOptions::new().associated_data(self.target.as_bytes());
        let sealed = self.fixture.shared.state.seal_json_with(state, &to);
        sealed.map_err(|fault| ErrorData::internal_error(fault.to_string(), None))
    }

    /// What an earlier round of this very target wanted back.
    pub fn state(&self) -> Result<Option<Value>, ErrorData> {
        let Some(sealed) = &self.state else {
            return Ok(None);
        };
        let opened = (self.fixture.shared.state).open_json_with(sealed, self.target.as_bytes());
        opened.map_err(|_| ErrorData::invalid_params("Invalid requestState", None))
    }

    /// Tells the client, if it wants to know: by the request (modern) or by the session (legacy).
    pub async fn log(&self, level: LoggingLevel, text: &str) {
        let wanted = if self.modern() {
            self.cx.meta.log_level()
        } else {
            Some(*self.fixture.level.lock().expect("no writer panics"))
        };
        if wanted.is_some_and(|wanted| rank(level) >= rank(wanted)) {
            let message =
                LoggingMessageNotificationParam::new(level, json!(text)).with_logger("fixture");
            // A client that left needs no log.
            let _ = self.cx.peer.notify_logging_message(message).await;
        }
    }

    pub async fn progress(&self, done: f64, total: f64) {
        if let Some(token) = self.cx.meta.get_progress_token() {
            let told = ProgressNotificationParam::new(token, done)
                .with_total(total)
                .with_message(format!("{done} of {total}"));
            let _ = self.cx.peer.notify_progress(told).await;
        }
    }
}

pub fn is_modern(cx: &RequestContext<RoleServer>) -> bool {
    cx.protocol_version()
        .is_some_and(|version| !version.has_initialize())
}

/// A complete result of one text.
pub fn text(said: impl Into<String>) -> CallToolResponse {
    CallToolResult::success(vec![ContentBlock::text(said)]).into()
}

/// A fault of the tool, and not of the protocol.
pub fn failed(said: impl Into<String>) -> CallToolResponse {
    CallToolResult::error(vec![ContentBlock::text(said)]).into()
}

fn rank(level: LoggingLevel) -> usize {
    let name = json!(level);
    LEVELS.iter().position(|it| name == *it).unwrap_or_default()
}

pub fn capability_of(request: &InputRequest) -> ClientCapabilities {
    let builder = ClientCapabilities::builder();
    match request {
        InputRequest::Elicitation(_) => builder.enable_elicitation().build(),
        InputRequest::CreateMessage(_) => builder.enable_sampling().build(),
        _ => builder.enable_roots().build(),
    }
}
