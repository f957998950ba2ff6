//! One call as tools and prompts see it: who asks, in which era, and how to ask or tell the client something.

use rmcp::model::{
    CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock, ErrorData, InputRequest,
    InputRequests, InputRequiredResult, InputResponses, JsonObject, LoggingLevel,
    LoggingMessageNotificationParam, ProgressNotificationParam, SealOptions,
};
use rmcp::service::{RequestContext, RoleServer};
use serde_json::{Value, json};

use crate::fixture::Fixture;

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

    /// The answer under this key; what is no object is no answer.
    pub fn response(&self, key: &str) -> Option<&Value> {
        self.responses.get(key).filter(|answer| answer.is_object())
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

    /// The result that asks the client for input (modern era).
    pub fn needs<const N: usize>(
        &self,
        state: Option<&Value>,
        asked: [(&str, InputRequest); N],
    ) -> Result<InputRequiredResult, ErrorData> {
        let asked: InputRequests = asked.map(|(key, request)| (key.to_owned(), request)).into();
        self.needs_all(state, asked)
    }

    pub fn needs_all(
        &self,
        state: Option<&Value>,
        asked: InputRequests,
    ) -> Result<InputRequiredResult, ErrorData> {
        for request in asked.values() {
            self.require(capability_of(request))?;
        }
        let sealed = state.map(|state| self.seal(state)).transpose()?;
        Ok(InputRequiredResult::new(Some(asked), sealed))
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

fn capability_of(request: &InputRequest) -> ClientCapabilities {
    let builder = ClientCapabilities::builder();
    match request {
        InputRequest::Elicitation(_) => builder.enable_elicitation().build(),
        InputRequest::CreateMessage(_) => builder.enable_sampling().build(),
        _ => builder.enable_roots().build(),
    }
}
