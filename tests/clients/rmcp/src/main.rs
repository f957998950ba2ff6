//! A real MCP client on the Rust SDK; see ../README.md for its arguments and its one document.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use rmcp::model::{CallToolRequestParams, ClientConfig, Implementation, ProtocolVersion};
use rmcp::service::{ClientInitializeError, RunningService, ServiceError};
use rmcp::transport::streamable_http_client::{
    AuthRequiredError, HttpStatusError, InsufficientScopeError, StreamableHttpClientTransportConfig,
};
use rmcp::transport::{DynamicTransportError, StreamableHttpClientTransport};
use rmcp::{ClientLifecycleMode, ClientServiceExt, ErrorData, RoleClient};
use serde_json::{Value, json};

const USAGE: &str = "usage: --url URL [--key KEY] --mode modern|legacy list | call TOOL [JSON]";
const TIMEOUT: Duration = Duration::from_secs(60);

type Client = RunningService<RoleClient, ClientConfig>;

struct Arguments {
    url: String,
    key: Option<String>,
    mode: ClientLifecycleMode,
    command: Command,
}

enum Command {
    List,
    Call(CallToolRequestParams),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some(arguments) = arguments(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let document = match tokio::time::timeout(TIMEOUT, run(arguments)).await {
        Ok(document) => document,
        Err(_) => failed(json!({}), other(&format!("no answer in {TIMEOUT:?}")), None),
    };
    println!("{document}");
    ExitCode::from(u8::from(document["ok"] != json!(true)))
}

fn arguments(mut given: impl Iterator<Item = String>) -> Option<Arguments> {
    let (mut url, mut key, mut mode) = (None, None, None);
    loop {
        match given.next()?.as_str() {
            "--url" => url = Some(given.next()?),
            "--key" => key = Some(given.next()?),
            "--mode" => mode = Some(lifecycle(&given.next()?)?),
            "list" => {
                let command = Command::List;
                return Some(Arguments {
                    url: url?,
                    key,
                    mode: mode?,
                    command,
                });
            }
            "call" => {
                let tool = given.next()?;
                let json = given.next().unwrap_or_else(|| "{}".to_owned());
                let parameters = serde_json::from_str(&json).ok()?;
                let command =
                    Command::Call(CallToolRequestParams::new(tool).with_arguments(parameters));
                return Some(Arguments {
                    url: url?,
                    key,
                    mode: mode?,
                    command,
                });
            }
            _ => return None,
        }
    }
}

fn lifecycle(mode: &str) -> Option<ClientLifecycleMode> {
    match mode {
        // Discover, not Auto: there is no fall-back to initialize.
        "modern" => Some(ClientLifecycleMode::Discover {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        }),
        "legacy" => Some(ClientLifecycleMode::Initialize),
        _ => None,
    }
}

async fn run(arguments: Arguments) -> Value {
    let mut config = StreamableHttpClientTransportConfig::with_uri(arguments.url);
    config.auth_header = arguments.key;
    let transport = StreamableHttpClientTransport::from_config(config);
    let mut this = ClientConfig::default();
    this.client_info = Implementation::new("gatehouse-test-rmcp", "1.0.0");
    if arguments.mode == ClientLifecycleMode::Initialize {
        this.protocol_version = ProtocolVersion::V_2025_11_25;
    }
    let client = match this.serve_with_lifecycle(transport, arguments.mode).await {
        Ok(client) => client,
        Err(ClientInitializeError::JsonRpcError(fault)) => {
            return failed(json!({}), rpc(&fault), None);
        }
        Err(ClientInitializeError::TransportError { error, .. }) => {
            return unreached(json!({}), &error);
        }
        Err(fault) => return failed(json!({}), other(&fault.to_string()), None),
    };
    let document = about(&client);
    let document = match perform(&client, arguments.command, document.clone()).await {
        Ok(document) => document,
        Err(ServiceError::McpError(fault)) => failed(document, rpc(&fault), None),
        Err(ServiceError::TransportSend(fault)) => unreached(document, &fault),
        Err(fault) => failed(document, other(&fault.to_string()), None),
    };
    // The goodbye of the legacy era; whether it was heard says nothing about the answer.
    let _ = client.cancel().await;
    document
}

/// What was negotiated.
fn about(client: &Client) -> Value {
    let mut document = json!({"ok": true});
    if let Some(peer) = client.peer_info() {
        document["protocol_version"] = json!(peer.protocol_version);
        if let Some(server) = &peer.server_info {
            document["server"] = json!({"name": server.name, "version": server.version});
        }
    }
    document
}

async fn perform(
    client: &Client,
    command: Command,
    mut document: Value,
) -> Result<Value, ServiceError> {
    match command {
        Command::List => {
            let tools = client.list_all_tools().await?;
            document["tools"] = tools.iter().map(|tool| json!(tool.name)).collect();
        }
        Command::Call(parameters) => {
            let result = client.call_tool(parameters).await?;
            let text: String = (result.content.iter())
                .filter_map(|block| block.as_text().map(|text| text.text.as_str()))
                .collect();
            document["is_error"] = json!(result.is_error == Some(true));
            document["text"] = json!(text);
            document["result"] = json!(result);
        }
    }
    Ok(document)
}

fn failed(mut document: Value, error: Value, status: Option<u16>) -> Value {
    document["ok"] = json!(false);
    document["error"] = error;
    document["status"] = json!(status);
    document
}

/// The answer was no MCP, or there was none.
fn unreached(document: Value, fault: &DynamicTransportError) -> Value {
    failed(document, other(&fault.error.to_string()), status(fault))
}

fn rpc(fault: &ErrorData) -> Value {
    json!({"code": fault.code, "message": fault.message, "data": fault.data})
}

fn other(message: &str) -> Value {
    json!({"code": null, "message": message, "data": null})
}

/// The HTTP status among the causes, where the SDK keeps one.
fn status(fault: &(dyn Error + 'static)) -> Option<u16> {
    let mut cause = Some(fault);
    while let Some(fault) = cause {
        if let Some(http) = fault.downcast_ref::<HttpStatusError>() {
            return Some(http.status);
        }
        if fault.is::<AuthRequiredError>() {
            return Some(401);
        }
        if fault.is::<InsufficientScopeError>() {
            return Some(403);
        }
        cause = fault.source();
    }
    None
}
