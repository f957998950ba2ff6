//! What a sidecar is to keep up: a server of the catalog, with its secrets filled in.
//!
//! The one place where a server's runtime and the sidecar's own settings become something to start or to reach.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::Engine;
use engine::upstream::{Upstream, resolve};
use model::name::ServerName;
use model::secret::SecretText;
use model::server::{Runtime, Server};
use model::url::HttpUrl;

/// A server that is wanted. Two that are equal are served by the same upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The server, as the configuration in force has it.
    pub server: Arc<Server>,
    /// How it is brought up.
    pub target: Target,
}

/// How a server is brought up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// As a process.
    Process(Process),
    /// It runs already, and is reached over HTTP.
    Http(Http),
    /// Not at all, and why.
    Nothing(String),
}

/// A server to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// The program.
    pub runtime: Runtime,
    /// Values that it is given as environment variables.
    pub env: BTreeMap<String, SecretText>,
    /// Whether the sidecar's operator named the program, not the catalog.
    pub by_operator: bool,
}

/// A server to reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Where, and with which headers.
    pub upstream: Arc<Upstream>,
    /// Whether the sidecar's operator named the address, not the catalog: then it may be a private one.
    pub by_operator: bool,
}

/// Where a server of the runtime `external` is, by the sidecar's settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum External {
    /// The settings do not say.
    #[default]
    Unset,
    /// At this endpoint.
    Url(HttpUrl),
    /// It is this program.
    Argv(Vec<String>),
}

impl Wanted {
    /// The server `name`, as `engine` has it. `None`: it has none.
    pub fn of(engine: &Engine, name: &ServerName, external: &External) -> Option<Self> {
        let server = engine.server(name.as_str())?.clone();
        let target = target(engine, &server, external);
        Some(Self { server, target })
    }
}

fn target(engine: &Engine, server: &Server, external: &External) -> Target {
    match &server.runtime {
        Runtime::Remote { .. } => match engine.upstream(&server.name) {
            Some(upstream) => Target::Http(Http {
                upstream: upstream.clone(),
                by_operator: false,
            }),
            // The engine has compiled every remote server of its snapshot.
            None => Target::Nothing("its address is not known".to_owned()),
        },
        Runtime::External => operators_own(engine, server, external),
        hosted => process(engine, server, hosted.clone(), false),
    }
}

fn operators_own(engine: &Engine, server: &Server, external: &External) -> Target {
    match external {
        External::Url(url) => Target::Http(Http {
            upstream: Arc::new(Upstream {
                url: url.clone(),
                headers: Vec::new(),
            }),
            by_operator: true,
        }),
        External::Argv(argv) => {
            let argv = argv.clone();
            process(engine, server, Runtime::Command { argv }, true)
        }
        External::Unset => Target::Nothing(
            "its runtime is external, and this sidecar's settings name neither upstream_url nor upstream_argv"
                .to_owned(),
        ),
    }
}

fn process(engine: &Engine, server: &Server, runtime: Runtime, by_operator: bool) -> Target {
    let mut env = BTreeMap::new();
    for (key, value) in &server.env {
        match resolve(value, engine.snapshot()) {
            Ok(text) => drop(env.insert(key.clone(), SecretText::new(text))),
            Err(why) => return Target::Nothing(format!("its value {key} is missing: {why}")),
        }
    }
    Target::Process(Process {
        runtime,
        env,
        by_operator,
    })
}
