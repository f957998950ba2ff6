//! crates.io `rmcp` 3.x, of both eras: the command line, the limits of time, the one document. How each feature is
//! proven is in `features`. See ../../README.md for the plan and the document.

#![expect(
    deprecated,
    reason = "half of what a client of two eras does is deprecated in the newer one"
)]

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use rmcp::model::ProtocolVersion;
use rmcp::service::{ClientInitializeError, RunningService};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess};
use rmcp::{ClientLifecycleMode, ClientServiceExt, RoleClient};
use serde_json::{Map, Value, json};
use tokio::process::Command;
use tokio::time::timeout;

use crate::heard::Heard;

mod features;
mod gate;
mod heard;

const USAGE: &str =
    "usage: --url URL | --stdio JSON [--key KEY] [--era legacy|modern|auto] --plan FILE";
/// Connecting; the SDK itself waits 10 s for the answer to its probe.
const CONNECT: Duration = Duration::from_secs(20);
/// One feature.
const FEATURE: Duration = Duration::from_secs(10);
/// The goodbye; what hangs longer is left behind.
const CLOSE: Duration = Duration::from_secs(5);

type Client = RunningService<RoleClient, Heard>;
type Fault = Box<dyn Error + Send + Sync>;

#[derive(Default)]
struct Target {
    url: Option<String>,
    stdio: Option<Vec<String>>,
    key: Option<String>,
    era: Option<String>,
    plan: Value,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let target = match Target::from(std::env::args().skip(1)) {
        Ok(target) => target,
        Err(fault) => {
            eprintln!("{fault}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    println!("{}", run(target).await);
    ExitCode::SUCCESS
}

async fn run(target: Target) -> Value {
    let planned = features::NAMES
        .iter()
        .filter(|&&name| target.plan.get(name).is_some());
    let client = match timeout(CONNECT, target.connect()).await {
        Ok(Ok(client)) => client,
        fault => {
            let why = match fault {
                Ok(Err(fault)) => fault.to_string(),
                _ => "no connection came about".to_owned(),
            };
            let unreached = json!({"ok": false, "why": format!("not reached: {why}")});
            let features: Map<_, _> = planned
                .map(|&name| (name.to_owned(), unreached.clone()))
                .collect();
            return json!({"revision": null, "features": features});
        }
    };
    let revision = features::revision(&client);
    let mut document = json!({"revision": revision, "features": {}});
    for &name in planned {
        let plan = &target.plan[name];
        gate::pass(&plan["before"]).await;
        let limit = plan["seconds"].as_u64().map_or(FEATURE, Duration::from_secs);
        let proof = timeout(limit, features::prove(name, &client, &target.plan));
        document["features"][name] = match proof.await {
            Ok(Ok(())) => json!({"ok": true}),
            Ok(Err(fault)) => json!({"ok": false, "why": fault.to_string()}),
            Err(_) => json!({"ok": false, "why": format!("nothing came within {limit:?}")}),
        };
    }
    // A bad goodbye takes nothing back.
    let _ = timeout(CLOSE, client.cancel()).await;
    document
}

impl Target {
    fn from(mut given: impl Iterator<Item = String>) -> Result<Self, Fault> {
        let mut target = Self::default();
        while let Some(flag) = given.next() {
            let value = given.next().ok_or("a value is missing")?;
            match flag.as_str() {
                "--url" => target.url = Some(value),
                "--stdio" => target.stdio = Some(serde_json::from_str(&value)?),
                "--key" => target.key = Some(value),
                "--era" => target.era = Some(value),
                "--plan" => target.plan = serde_json::from_slice(&std::fs::read(value)?)?,
                other => return Err(format!("unknown flag {other}").into()),
            }
        }
        Ok(target)
    }

    async fn connect(&self) -> Result<Client, Fault> {
        let heard = Heard::default();
        let lifecycle = self.lifecycle();
        let client = if let Some([program, arguments @ ..]) = self.stdio.as_deref() {
            let mut command = Command::new(program);
            command.args(arguments);
            let transport = TokioChildProcess::new(command)?;
            heard.serve_with_lifecycle(transport, lifecycle).await
        } else {
            let url = self.url.clone().ok_or("no --url and no --stdio")?;
            let mut config = StreamableHttpClientTransportConfig::with_uri(url);
            config.auth_header = self.key.clone();
            let transport = StreamableHttpClientTransport::from_config(config);
            heard.serve_with_lifecycle(transport, lifecycle).await
        };
        Ok(client.map_err(|fault: ClientInitializeError| fault.to_string())?)
    }

    fn lifecycle(&self) -> ClientLifecycleMode {
        let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
        match self.era.as_deref() {
            Some("legacy") => ClientLifecycleMode::Initialize,
            Some("modern") => ClientLifecycleMode::Discover { preferred_versions },
            _ => ClientLifecycleMode::Auto {
                preferred_versions,
                legacy_version: Some(ProtocolVersion::V_2025_11_25),
            },
        }
    }
}
