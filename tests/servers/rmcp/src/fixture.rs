//! The server: where each method is answered.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rmcp::ServerHandler;
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams,
    CompleteResult, CompletionInfo, DiscoverRequestMethod, DiscoverResult, ErrorData,
    GetPromptRequestParams, GetPromptResponse, GetTaskParams, GetTaskResult, Implementation,
    InitializeRequestParams, InitializeResult, ListPromptsResult, ListResourceTemplatesResult,
    ListResourcesResult, ListToolsResult, LoggingLevel, PaginatedRequestParams, ProtocolVersion,
    ReadResourceRequestParams, ReadResourceResponse, RequestStateCodec, ServerCapabilities,
    ServerConfig, SetLevelRequestParams, SubscribeRequestParams, SubscriptionFilter, Tool,
    UnsubscribeRequestParams, UpdateTaskParams,
};
use rmcp::service::{RequestContext, RoleServer, SubscriptionContext};
use rmcp::task_manager::TaskManager;

use crate::call::{Call, is_modern};
use crate::changes::Changes;
use crate::eras::Era;
use crate::{prompts, resources, tools};

/// Any value but the default, so that a hop that makes up its own is seen.
const LISTS_TTL_MS: u64 = 2_000;
const READS_TTL_MS: u64 = 1_000;

/// What completion offers for any argument of a prompt or template.
const WORDS: [&str; 5] = ["paris", "park", "party", "test1", "test2"];

/// Protects nothing: it only has to be the same for all requests.
const STATE_KEY: &[u8; 32] = b"a key of a fixture, known to all";

/// What outlives a request and a session.
pub struct Shared {
    pub era: Era,
    pub changes: Changes,
    pub tasks: TaskManager,
    /// Calls that their client cancelled.
    pub cancelled: AtomicU64,
    /// Seals what goes out as `requestState`, and refuses what comes back changed.
    pub state: RequestStateCodec,
    next_session: AtomicU64,
}

impl Shared {
    pub fn new(era: Era) -> Arc<Self> {
        Arc::new(Self {
            era,
            changes: Changes::default(),
            tasks: TaskManager::new(),
            cancelled: AtomicU64::new(0),
            state: RequestStateCodec::new(STATE_KEY),
            next_session: AtomicU64::new(0),
        })
    }
}

/// One legacy session, or one modern request.
pub struct Fixture {
    pub shared: Arc<Shared>,
    session: u64,
    /// The lowest level that the session wants. Held for a read or a write only.
    pub level: Mutex<LoggingLevel>,
}

impl Fixture {
    pub fn new(shared: Arc<Shared>) -> Self {
        let session = shared.next_session.fetch_add(1, Ordering::Relaxed);
        Self {
            shared,
            session,
            level: Mutex::new(LoggingLevel::Debug),
        }
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.shared.changes.forget(self.session);
    }
}

type Context = RequestContext<RoleServer>;
type Page = Option<PaginatedRequestParams>;

impl ServerHandler for Fixture {
    fn get_info(&self) -> ServerConfig {
        let mut capabilities = ServerCapabilities::builder()
            .enable_completions()
            .enable_logging()
            .enable_prompts()
            .enable_prompts_list_changed()
            .enable_resources()
            .enable_resources_list_changed()
            .enable_resources_subscribe()
            .enable_tools()
            .enable_tool_list_changed()
            .build();
        if self.shared.era != Era::Legacy {
            let tasks = ServerCapabilities::builder().enable_tasks().build();
            capabilities.extensions = tasks.extensions;
        }
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("gatehouse-fixture-rmcp", "1.0.0"))
            .with_instructions("A server for tests of MCP itself.")
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        self.shared.era.versions()
    }

    async fn initialize(
        &self,
        request: InitializeRequestParams,
        cx: Context,
    ) -> Result<InitializeResult, ErrorData> {
        let mut result = self.negotiate_initialize(&request)?;
        // Tasks as an extension are of the other era.
        result.capabilities.extensions = None;
        cx.peer.set_peer_info(request);
        Ok(result)
    }

    async fn discover(&self, _: Context) -> Result<DiscoverResult, ErrorData> {
        if self.shared.era == Era::Legacy {
            return Err(ErrorData::method_not_found::<DiscoverRequestMethod>());
        }
        let versions = self.supported_protocol_versions().into_owned();
        Ok(DiscoverResult::from_server_info(versions, self.get_info()))
    }

    async fn list_tools(&self, _: Page, cx: Context) -> Result<ListToolsResult, ErrorData> {
        Ok(
            ListToolsResult::with_all_items(tools::listed(is_modern(&cx)))
                .with_ttl_ms(LISTS_TTL_MS)
                .with_cache_scope(CacheScope::Public),
        )
    }

    /// The SDK asks for it to compare arguments with headers.
    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools::named(name)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        cx: Context,
    ) -> Result<CallToolResponse, ErrorData> {
        let call = Call {
            fixture: self,
            cx: &cx,
            target: &request.name,
            arguments: request.arguments.unwrap_or_default(),
            responses: request.input_responses.unwrap_or_default(),
            state: request.request_state,
        };
        tools::call(&call).await
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        _: Context,
    ) -> Result<GetTaskResult, ErrorData> {
        Ok(GetTaskResult::new(
            self.shared.tasks.get_task(&request.task_id)?,
        ))
    }

    async fn update_task(&self, request: UpdateTaskParams, _: Context) -> Result<(), ErrorData> {
        self.shared
            .tasks
            .update_task(&request.task_id, request.input_responses)
    }

    async fn cancel_task(&self, request: CancelTaskParams, _: Context) -> Result<(), ErrorData> {
        self.shared.tasks.cancel_task(&request.task_id)
    }

    async fn list_resources(&self, _: Page, _: Context) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(resources::listed())
            .with_ttl_ms(LISTS_TTL_MS)
            .with_cache_scope(CacheScope::Public))
    }

    async fn list_resource_templates(
        &self,
        _: Page,
        _: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(
            ListResourceTemplatesResult::with_all_items(resources::templates())
                .with_ttl_ms(LISTS_TTL_MS)
                .with_cache_scope(CacheScope::Public),
        )
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: Context,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let result = resources::read(&request.uri)?
            .with_ttl_ms(READS_TTL_MS)
            .with_cache_scope(CacheScope::Private);
        Ok(result.into())
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        cx: Context,
    ) -> Result<(), ErrorData> {
        self.shared
            .changes
            .subscribe(self.session, request.uri, cx.peer);
        Ok(())
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _: Context,
    ) -> Result<(), ErrorData> {
        self.shared.changes.unsubscribe(self.session, &request.uri);
        Ok(())
    }

    fn accepted_subscription_filter(
        &self,
        asked: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(asked.supported_by(&self.get_info().capabilities))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        self.shared.changes.listen(context).await;
        Ok(())
    }

    async fn list_prompts(&self, _: Page, _: Context) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::with_all_items(prompts::listed())
            .with_ttl_ms(LISTS_TTL_MS)
            .with_cache_scope(CacheScope::Public))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        cx: Context,
    ) -> Result<GetPromptResponse, ErrorData> {
        prompts::get(&Call {
            fixture: self,
            cx: &cx,
            target: &request.name,
            arguments: request.arguments.unwrap_or_default(),
            responses: request.input_responses.unwrap_or_default(),
            state: request.request_state,
        })
        .await
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _: Context,
    ) -> Result<CompleteResult, ErrorData> {
        let begun = &request.argument.value;
        let values = WORDS.iter().filter(|word| word.starts_with(begun.as_str()));
        let values = values.map(|&word| word.to_owned()).collect();
        let found = CompletionInfo::with_all_values(values);
        Ok(CompleteResult::new(
            found.map_err(|fault| ErrorData::internal_error(fault, None))?,
        ))
    }

    async fn set_level(&self, request: SetLevelRequestParams, _: Context) -> Result<(), ErrorData> {
        *self.level.lock().expect("no writer panics") = request.level;
        Ok(())
    }
}
