//! `gatehouse connect`: a server's URL, and the ready configuration of a client.
//!
//! Keys are referred to by an environment variable where the client can do that, so that none lands in a file by
//! accident; `--key` puts one in.

use proto::v1::NodeKind;
use serde_json::{Value, json};

use crate::app::App;
use crate::codes;
use crate::context::{Context, secret};
use crate::fault::{Failure, Fault};
use crate::get;
use crate::link::Link;
use crate::nodes;
use crate::show::shell_word;

/// The environment variable that configurations refer to.
const KEY_VARIABLE: &str = "GATEHOUSE_KEY";

/// A client whose form of configuration is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Client {
    /// Cursor: .cursor/mcp.json
    Cursor,
    /// Visual Studio Code: .vscode/mcp.json
    Vscode,
    /// Claude Code: .mcp.json
    ClaudeCode,
    /// Claude Desktop, by way of mcp-remote: `claude_desktop_config.json`
    ClaudeDesktop,
    /// Codex: ~/.codex/config.toml
    Codex,
}

impl Client {
    /// All of them.
    #[cfg(test)]
    const ALL: [Self; 5] = [
        Self::Cursor,
        Self::Vscode,
        Self::ClaudeCode,
        Self::ClaudeDesktop,
        Self::Codex,
    ];

    /// Where the configuration goes.
    const fn file(self) -> &'static str {
        match self {
            Self::Cursor => ".cursor/mcp.json",
            Self::Vscode => ".vscode/mcp.json",
            Self::ClaudeCode => ".mcp.json",
            Self::ClaudeDesktop => "claude_desktop_config.json",
            Self::Codex => "~/.codex/config.toml",
        }
    }
}

/// Show a server's URL, and what to put into the configuration of a client.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse connect everything
  gatehouse connect everything --client cursor
  gatehouse connect everything --client claude-desktop --key @key.txt
  gatehouse connect time --client codex -o json

See also: gatehouse key create, gatehouse tools")]
pub struct Args {
    /// The server
    pub server: String,
    /// The client to configure
    #[arg(long, value_enum)]
    pub client: Option<Client>,
    /// Put this API key (or the one in @FILE) into the configuration, instead of referring to $`GATEHOUSE_KEY`
    #[arg(long, value_name = "KEY|@FILE")]
    pub key: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// No such server, or no edge is known.
pub async fn run(args: Args, app: &App) -> Result<(), Failure> {
    let context = app.context()?;
    let edge = edge(&context, &args.server).await?;
    let url = format!("{}/mcp/{}", edge.trim_end_matches('/'), args.server);
    let key = args.key.as_deref().map(secret).transpose()?;
    let Some(client) = args.client else {
        return plain(app, &args.server, &url);
    };
    let config = config(client, &args.server, &url, key.as_deref());
    if app.show.is_json() {
        app.show.json(&json!({"server": args.server, "url": url, "file": client.file(), "config": config.value()}));
        return Ok(());
    }
    app.show.note(&format!("for {}:", client.file()));
    app.show.line(&config.text());
    if key.is_none() {
        app.show.hint(&format!(
            "export {KEY_VARIABLE}=$(gatehouse key create --user YOU --server {})",
            shell_word(&args.server)
        ));
    }
    Ok(())
}

fn plain(app: &App, server: &str, url: &str) -> Result<(), Failure> {
    if app.show.is_json() {
        app.show.json(&json!({"server": server, "url": url}));
    } else {
        app.show.line(url);
        app.show.hint(&format!(
            "gatehouse connect {} --client cursor",
            shell_word(server)
        ));
    }
    Ok(())
}

/// The edge that clients reach: the context's, else the first that is live. The server is looked up where the
/// control plane answers; while it is away, the URL is still right.
async fn edge(context: &Context, server: &str) -> Result<String, Failure> {
    let link = match (Link::connect(context).await, &context.edge) {
        (Ok(link), _) => link,
        (Err(_), Some(edge)) => return Ok(edge.clone()),
        (Err(fault), None) => return Err(fault.into()),
    };
    get::one_to_connect_to(&link, server).await?;
    if let Some(edge) = &context.edge {
        return Ok(edge.clone());
    }
    let mut edges = nodes::all(&link)
        .await?
        .nodes
        .into_iter()
        .filter(|node| node.kind() == NodeKind::Edge && node.live);
    edges
        .find_map(|node| node.addresses.into_iter().next())
        .ok_or_else(|| {
            Fault::new(codes::NO_EDGE, "no edge is live, so there is no URL")
                .fix("gatehouse nodes")
                .into()
        })
}

/// A configuration, in the form of its file.
#[derive(Debug, Clone, PartialEq)]
enum Config {
    Json(Value),
    Toml(toml::Table),
}

impl Config {
    fn text(&self) -> String {
        match self {
            Self::Json(value) => {
                serde_json::to_string_pretty(value).expect("a value with text keys")
            }
            Self::Toml(table) => toml::to_string(table)
                .expect("a table of text and tables")
                .trim_end()
                .to_owned(),
        }
    }

    fn value(&self) -> Value {
        match self {
            Self::Json(value) => value.clone(),
            Self::Toml(_) => Value::from(self.text()),
        }
    }
}

fn config(client: Client, server: &str, url: &str, key: Option<&str>) -> Config {
    let bearer = |reference: &str| format!("Bearer {}", key.unwrap_or(reference));
    match client {
        Client::Cursor => {
            let authorization = bearer(&format!("${{env:{KEY_VARIABLE}}}"));
            Config::Json(
                json!({"mcpServers": {server: {"url": url, "headers": {"Authorization": authorization}}}}),
            )
        }
        Client::Vscode => Config::Json(vscode(server, url, key)),
        Client::ClaudeCode => {
            let authorization = bearer(&format!("${{{KEY_VARIABLE}}}"));
            let entry =
                json!({"type": "http", "url": url, "headers": {"Authorization": authorization}});
            Config::Json(json!({"mcpServers": {server: entry}}))
        }
        Client::ClaudeDesktop => {
            // It reads no variables of the shell, and splits arguments at spaces on some systems: the header's value
            // goes by way of the child's environment.
            let args = [
                "-y",
                "mcp-remote",
                url,
                "--header",
                "Authorization:${AUTHORIZATION}",
            ];
            let authorization = bearer("YOUR_KEY");
            let entry =
                json!({"command": "npx", "args": args, "env": {"AUTHORIZATION": authorization}});
            Config::Json(json!({"mcpServers": {server: entry}}))
        }
        Client::Codex => Config::Toml(codex(server, url, key)),
    }
}

fn vscode(server: &str, url: &str, key: Option<&str>) -> Value {
    let id = format!("gatehouse-{server}");
    let authorization = key.map_or_else(
        || format!("Bearer ${{input:{id}}}"),
        |key| format!("Bearer {key}"),
    );
    let mut config = json!({
        "servers": {server: {"type": "http", "url": url, "headers": {"Authorization": authorization}}}
    });
    if key.is_none() {
        let description = format!("Gatehouse API key for {server}");
        config["inputs"] = json!([{"type": "promptString", "id": id, "description": description, "password": true}]);
    }
    config
}

fn codex(server: &str, url: &str, key: Option<&str>) -> toml::Table {
    let mut entry = toml::Table::new();
    entry.insert("url".to_owned(), url.into());
    match key {
        None => entry.insert("bearer_token_env_var".to_owned(), KEY_VARIABLE.into()),
        Some(key) => {
            let mut headers = toml::Table::new();
            headers.insert("Authorization".to_owned(), format!("Bearer {key}").into());
            entry.insert("http_headers".to_owned(), headers.into())
        }
    };
    let mut servers = toml::Table::new();
    servers.insert(server.to_owned(), entry.into());
    let mut table = toml::Table::new();
    table.insert("mcp_servers".to_owned(), servers.into());
    table
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    const URL: &str = "http://127.0.0.1:7800/mcp/everything";

    #[test]
    fn every_configuration_can_be_read_and_holds_the_url() {
        for client in Client::ALL {
            for key in [None, Some("gh_k")] {
                let text = config(client, "everything", URL, key).text();
                if client == Client::Codex {
                    let table: toml::Table = text.parse().unwrap();
                    assert_eq!(
                        table["mcp_servers"]["everything"]["url"].as_str(),
                        Some(URL)
                    );
                } else {
                    let value: Value = serde_json::from_str(&text).unwrap();
                    assert!(value.to_string().contains(URL), "{client:?}");
                }
                assert_eq!(text.contains("gh_k"), key.is_some(), "{client:?} {key:?}");
            }
        }
    }

    #[test]
    fn a_client_gets_its_own_form() {
        let value = config(Client::Cursor, "everything", URL, None).value();
        assert_eq!(
            value["mcpServers"]["everything"]["headers"]["Authorization"],
            "Bearer ${env:GATEHOUSE_KEY}"
        );
        let value = config(Client::Vscode, "everything", URL, None).value();
        assert_eq!(value["inputs"][0]["id"], "gatehouse-everything");
        assert_eq!(
            config(Client::Codex, "everything", URL, None).text(),
            "[mcp_servers.everything]\nbearer_token_env_var = \"GATEHOUSE_KEY\"\n\
             url = \"http://127.0.0.1:7800/mcp/everything\""
        );
    }
}
