//! What a server tells or asks its client by itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rmcp::model::{
    ClientConfig, CreateMessageRequestParams, CreateMessageResult, ElicitRequestParams,
    ElicitResult, ElicitationAction, ElicitationCapability, Implementation,
    LoggingMessageNotificationParam, ProgressNotificationParam, ProgressToken, ProtocolVersion,
    ResourceUpdatedNotificationParam, SamplingCapability, SamplingMessage,
};
use rmcp::service::{NotificationContext, RequestContext};
use rmcp::{ClientHandler, ErrorData, RoleClient};
use serde_json::Value;

use crate::gate;

pub const SAMPLED: &str = "Words of the client's model";

/// Its notes are written by the handlers, which the SDK runs, and read by the proofs.
#[derive(Clone, Default)]
pub struct Heard(Arc<Mutex<Notes>>);

#[derive(Default)]
pub struct Notes {
    /// What an elicitation is answered with.
    pub answer: Value,
    /// The gate within the feature.
    pub during: Value,
    pub sampled: usize,
    pub elicited: usize,
    pub logs: usize,
    pub updates: Vec<String>,
    pub progress: Vec<(ProgressToken, f64)>,
}

impl Heard {
    pub fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientHandler for Heard {
    fn get_info(&self) -> ClientConfig {
        let mut this = ClientConfig::default();
        this.protocol_version = ProtocolVersion::V_2025_11_25;
        this.client_info = Implementation::new("matrix-rmcp", "1.0.0");
        this.capabilities.sampling = Some(SamplingCapability::default());
        this.capabilities.elicitation = Some(ElicitationCapability::default());
        this
    }

    async fn create_message(
        &self,
        _: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        self.notes().sampled += 1;
        let message = SamplingMessage::assistant_text(SAMPLED);
        Ok(CreateMessageResult::new(message, "none".to_owned()))
    }

    async fn create_elicitation(
        &self,
        _: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let during = self.notes().during.clone();
        gate::pass(&during).await;
        let mut notes = self.notes();
        notes.elicited += 1;
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(notes.answer.clone()))
    }

    async fn on_progress(
        &self,
        told: ProgressNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        let mut notes = self.notes();
        gate::reach(&notes.during);
        notes.progress.push((told.progress_token, told.progress));
    }

    async fn on_logging_message(
        &self,
        _: LoggingMessageNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.notes().logs += 1;
    }

    async fn on_resource_updated(
        &self,
        told: ResourceUpdatedNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.notes().updates.push(told.uri);
    }
}
