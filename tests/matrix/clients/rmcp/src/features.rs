//! How each feature is proven: by its effect.

use std::time::Duration;

use rmcp::model::{
    CallToolRequest, CallToolRequestParams, ClientRequest, CompleteRequestParams,
    GetPromptRequestParams, ProtocolVersion, ReadResourceRequestParams, ServerNotification,
    SetLevelRequestParams, SubscribeRequestParams, SubscriptionFilter, UnsubscribeRequestParams,
};
use rmcp::service::PeerRequestOptions;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::heard::{Notes, SAMPLED};
use crate::{Client, Fault};

/// In the order in which they are proven.
pub const NAMES: &[&str] = &[
    "list",
    "call",
    "progress",
    "cancel",
    "sampling",
    "elicitation",
    "resources",
    "subscribe",
    "prompts",
    "completion",
    "logging",
];

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a call runs before it is cancelled.
const UNDER_WAY: Duration = Duration::from_secs(1);
const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";

type Outcome = Result<(), Fault>;

pub fn revision(client: &Client) -> Option<ProtocolVersion> {
    Some(client.peer_info()?.protocol_version.clone())
}

fn modern(client: &Client) -> bool {
    revision(client) == Some(ProtocolVersion::V_2026_07_28)
}

pub async fn prove(name: &str, client: &Client, whole: &Value) -> Outcome {
    let era = if modern(client) { "modern" } else { "legacy" };
    let plan = whole[name].get(era).unwrap_or(&whole[name]);
    heard(client).during = plan["during"].clone();
    match name {
        "list" => {
            let found = client.list_all_tools().await?;
            let found: Vec<_> = found.iter().map(|tool| tool.name.as_ref()).collect();
            let wanted = plan["tools"].as_array().into_iter().flatten();
            wanted
                .filter_map(Value::as_str)
                .try_for_each(|each| among(each, &found))
        }
        "call" => has(&plan["expect"], &call(client, plan).await?),
        "progress" => progress(client, plan).await,
        "cancel" => cancel(client, plan, &whole["call"]).await,
        "sampling" => {
            has(&json!(SAMPLED), &call(client, plan).await?)?;
            check(heard(client).sampled > 0, "the client was never asked")
        }
        "elicitation" => {
            heard(client).answer = plan["answer"].clone();
            has(&plan["expect"], &call(client, plan).await?)?;
            check(heard(client).elicited > 0, "the client was never asked")
        }
        "resources" => {
            let found = client.list_all_resources().await?;
            let found: Vec<_> = found.iter().map(|each| each.uri.as_str()).collect();
            among(text(&plan["uri"]), &found)?;
            let params: ReadResourceRequestParams = typed(json!({"uri": plan["uri"]}))?;
            let read = client.read_resource(params).await?;
            has(&plan["expect"], &said(&read.contents))
        }
        "subscribe" if modern(client) => listen(client, plan).await,
        "subscribe" => subscribe(client, plan).await,
        "prompts" => {
            let found = client.list_all_prompts().await?;
            let found: Vec<_> = found.iter().map(|prompt| prompt.name.as_str()).collect();
            among(text(&plan["prompt"]), &found)?;
            let params = json!({"name": plan["prompt"], "arguments": plan["arguments"]});
            let params: GetPromptRequestParams = typed(params)?;
            let got = client.get_prompt(params).await?;
            let contents: Vec<_> = got.messages.iter().map(|each| &each.content).collect();
            has(&plan["expect"], &said(&contents))
        }
        "completion" => {
            let params = json!({"ref": plan["ref"], "argument": plan["argument"]});
            let params: CompleteRequestParams = typed(params)?;
            let values = client.complete(params).await?.completion.values;
            let values: Vec<_> = values.iter().map(String::as_str).collect();
            among(text(&plan["expect"]), &values)
        }
        "logging" => logging(client, plan).await,
        other => Err(format!("no feature {other}").into()),
    }
}

async fn progress(client: &Client, plan: &Value) -> Outcome {
    let request = CallToolRequest::new(named(plan, None)?);
    let options = PeerRequestOptions::no_options();
    let handle = client
        .send_request_with_option(ClientRequest::CallToolRequest(request), options)
        .await?;
    let token = handle.progress_token.clone();
    let result = json!(handle.await_response().await?);
    has(&plan["expect"], &said(&result["content"]))?;
    let notes = heard(client);
    let ours = notes.progress.iter().filter(|(each, _)| *each == token);
    let values: Vec<_> = ours.map(|(_, value)| *value).collect();
    check(!values.is_empty(), "no progress was told")?;
    let rises = values.windows(2).all(|pair| pair[0] < pair[1]);
    check(rises, &format!("progress does not rise: {values:?}"))
}

async fn cancel(client: &Client, plan: &Value, after: &Value) -> Outcome {
    let cancelled = async || match &plan["told_by"] {
        Value::Null => Ok(0),
        tool => {
            let told = call(client, &json!({"tool": tool, "arguments": {}})).await?;
            told.parse::<u64>().map_err(Fault::from)
        }
    };
    let before = cancelled().await?;
    // Dropping the call cancels it.
    let ended = timeout(UNDER_WAY, call(client, plan)).await;
    check(
        ended.is_err(),
        "the call ended before it could be cancelled",
    )?;
    has(&after["expect"], &call(client, after).await?)?;
    while plan["told_by"].is_string() && cancelled().await? <= before {
        sleep(PAUSE).await;
    }
    Ok(())
}

async fn subscribe(client: &Client, plan: &Value) -> Outcome {
    let params = json!({"uri": plan["uri"]});
    let subscribed: SubscribeRequestParams = typed(params.clone())?;
    client.subscribe(subscribed).await?;
    call(client, plan).await?;
    let uri = text(&plan["uri"]);
    while !heard(client).updates.iter().any(|each| each == uri) {
        sleep(PAUSE).await;
    }
    let unsubscribed: UnsubscribeRequestParams = typed(params)?;
    Ok(client.unsubscribe(unsubscribed).await?)
}

async fn listen(client: &Client, plan: &Value) -> Outcome {
    let filter: SubscriptionFilter = typed(json!({"resourceSubscriptions": [plan["uri"]]}))?;
    let mut subscription = client.listen(filter).await?;
    call(client, plan).await?;
    while let Some(notification) = subscription.next().await? {
        if let ServerNotification::ResourceUpdatedNotification(updated) = notification {
            check(updated.params.uri == text(&plan["uri"]), "another resource")?;
            return Ok(subscription.cancel().await?);
        }
    }
    Err("the subscription ended".into())
}

async fn logging(client: &Client, plan: &Value) -> Outcome {
    let level = if modern(client) {
        Some(&plan["level"]) // each request says it
    } else {
        let params: SetLevelRequestParams = typed(json!({"level": plan["level"]}))?;
        client.set_level(params).await?;
        None
    };
    heard(client).logs = 0;
    client.call_tool(named(plan, level)?).await?;
    while heard(client).logs == 0 {
        sleep(PAUSE).await;
    }
    Ok(())
}

/// All text of a call's result.
async fn call(client: &Client, plan: &Value) -> Result<String, Fault> {
    let result = client.call_tool(named(plan, None)?).await?;
    let said = said(&result.content);
    let good = result.is_error != Some(true);
    check(good, &format!("the tool failed: {said}"))?;
    Ok(said)
}

fn named(plan: &Value, level: Option<&Value>) -> Result<CallToolRequestParams, Fault> {
    let mut params = json!({"name": plan["tool"], "arguments": plan["arguments"]});
    if let Some(level) = level {
        params["_meta"] = json!({LOG_LEVEL: level});
    }
    typed(params)
}

fn heard(client: &Client) -> std::sync::MutexGuard<'_, Notes> {
    client.service().notes()
}

fn typed<T: DeserializeOwned>(value: Value) -> Result<T, Fault> {
    Ok(serde_json::from_value(value)?)
}

/// All text blocks, joined.
fn said(blocks: &impl Serialize) -> String {
    let blocks = json!(blocks);
    let blocks = blocks.as_array().into_iter().flatten();
    blocks.map(|block| text(&block["text"])).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn check(good: bool, why: &str) -> Outcome {
    if good { Ok(()) } else { Err(why.into()) }
}

fn has(expected: &Value, said: &str) -> Outcome {
    let expected = text(expected);
    let found = said.contains(expected);
    check(found, &format!("{expected:?} is not in {said:?}"))
}

fn among(wanted: &str, found: &[&str]) -> Outcome {
    let good = found.contains(&wanted);
    check(good, &format!("{wanted:?} not among {found:?}"))
}
