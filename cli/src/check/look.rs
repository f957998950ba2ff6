//! One round of checks: in which order, which needs which, and how long each may take.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use runtime::settings::env;

use super::control;
use super::known::{Known, Underway};
use super::report::{Finding, Report};
use super::table::{
    CALL, CALL_RECORDED, CLOCK, CP_AUDIT, CP_CONTEXT, CP_REACHABLE, CP_STORE, CP_TOKEN,
    EDGE_REACHABLE, Group, NODES_CERTS, NODES_CURRENT, NODES_LIVE, PORTS, SERVER_STARTED,
    SERVER_TOOLS,
};
use super::tools::{Answer, Tool};
use super::{Args, edge, machine, nodes, servers};
use crate::app::App;
use crate::caller::Caller;
use crate::context::{self, Context};
use crate::get;
use crate::link::Link;
use crate::server;
use crate::up::settings;

/// How long one check may take that has no closer limit of its own.
const LIMIT: Duration = Duration::from_secs(10);
/// How long all servers together may take to list their tools.
const TOOLS_LIMIT: Duration = Duration::from_secs(60);

/// All that rounds have in common.
#[derive(Debug)]
pub(super) struct Look<'a> {
    args: &'a Args,
    app: &'a App,
    /// What npx and uvx said. A good answer is not asked for again by `--wait`.
    tools: BTreeMap<&'static str, Answer>,
}

impl<'a> Look<'a> {
    pub(super) fn new(args: &'a Args, app: &'a App) -> Self {
        let tools = BTreeMap::new();
        Self { args, app, tools }
    }

    /// Looks at everything that is asked for.
    pub(super) async fn round(&mut self, underway: &Underway) -> Report {
        let began = Instant::now();
        let mut known = Known::default();
        if self.args.pre {
            self.before(&mut known).await;
        } else {
            self.now(&mut known, underway).await;
        }
        known.findings.report(self.args.only, began.elapsed())
    }

    fn wants(&self, groups: &[Group]) -> bool {
        self.args.only.is_none_or(|only| groups.contains(&only))
    }

    /// Before a first start: this machine alone.
    async fn before(&mut self, known: &mut Known) {
        let mut addresses = vec![(self.args.control_listen, "--control-listen")];
        let edges = self.args.edge_listen.iter();
        addresses.extend(edges.map(|address| (*address, "--edge-listen")));
        known.note(machine::ports_before(&addresses));
        let data = self.args.data.clone();
        let data = data.unwrap_or_else(|| PathBuf::from(settings::DATA_DEFAULT));
        known.note([machine::data_folder(&data, false)]);
        known.note([machine::open_files()]);
        self.ask_tools(known).await;
        self.note_tools(known);
    }

    /// While it should run.
    async fn now(&mut self, known: &mut Known, underway: &Underway) {
        let found = context::find(&self.app.asked, &self.app.folder);
        known.note([control::context(found.as_ref())]);
        let context = found.unwrap_or_default();
        let control = control::local(&context.address);
        if control.is_some() {
            self.machine(&context, known, underway).await;
        }
        let link = self.control_plane(&context, control, known, underway).await;
        if control.is_some() {
            self.note_tools(known);
        }
        if self.wants(&[Group::Nodes, Group::Servers, Group::EndToEnd]) {
            self.nodes(known);
        }
        if self.wants(&[Group::Servers, Group::EndToEnd]) {
            self.servers(link.as_ref(), known, underway).await;
            self.end_to_end(link.as_ref(), &context, known, underway)
                .await;
        }
    }

    async fn machine(&mut self, context: &Context, known: &mut Known, underway: &Underway) {
        let urls = [Some(&context.address), context.edge.as_ref()];
        let addresses: Vec<SocketAddr> = urls
            .into_iter()
            .flatten()
            .filter_map(|url| control::local(url))
            .collect();
        let work = async { (machine::ports_now(&addresses).await, None::<()>) };
        known.check(underway, (PORTS, LIMIT), work).await;
        if self.wants(&[Group::Machine]) {
            known.note([machine::data_folder(&self.data(), true)]);
            known.note([machine::open_files()]);
        }
        if self.wants(&[Group::Machine, Group::Servers]) {
            underway.set(Tool::Npx.name());
            self.ask_tools(known).await;
        }
    }

    /// The data folder of the `up` that runs.
    fn data(&self) -> PathBuf {
        // `up` writes the context into its folder, beside its lock.
        let context = context::file(&self.app.asked, &self.app.folder);
        let beside = context.as_deref().and_then(Path::parent);
        let beside = beside.filter(|folder| folder.join("lock").exists());
        let given = self.args.data.as_deref().or(beside);
        given.map_or_else(|| PathBuf::from(settings::DATA_DEFAULT), Path::to_owned)
    }

    async fn ask_tools(&mut self, known: &mut Known) {
        let began = Instant::now();
        let exe = std::env::current_exe().unwrap_or_default();
        let mut folders = settings::tools(&self.app.folder, &exe);
        let path = env("PATH").unwrap_or_default();
        folders.extend(std::env::split_paths(&path));
        let ask = async |tool: Tool| match self.tools.get(tool.name()) {
            Some(answer) if answer.works() => answer.clone(),
            _ => tool.ask(&folders).await,
        };
        let (npx, uvx) = tokio::join!(ask(Tool::Npx), ask(Tool::Uvx));
        self.tools = [(Tool::Npx.name(), npx), (Tool::Uvx.name(), uvx)].into();
        known.tools_took = began.elapsed();
    }

    /// What npx and uvx said, where they were asked: a failure where a server needs what is not there.
    fn note_tools(&self, known: &mut Known) {
        let runners = servers::runners(&known.servers);
        for tool in [Tool::Npx, Tool::Uvx] {
            let Some(answer) = self.tools.get(tool.name()) else {
                continue;
            };
            let needs = |(server, runner): (&String, &Option<&'static str>)| {
                (*runner == Some(tool.name())).then(|| server.clone())
            };
            let needed_by: Vec<String> = runners.iter().filter_map(needs).collect();
            let finding = tool.finding(answer, &needed_by);
            known.findings.add([finding], known.tools_took);
        }
    }

    /// The way to the control plane, and what it says at once.
    async fn control_plane(
        &self,
        context: &Context,
        control: Option<SocketAddr>,
        known: &mut Known,
        underway: &Underway,
    ) -> Option<Link> {
        let foreign =
            control.is_some_and(|address| known.findings.failed_for(PORTS, &address.to_string()));
        let mut reached = None;
        if foreign {
            known.note([Finding::skip(CP_REACHABLE, PORTS)]);
        } else if !known.skips(CP_REACHABLE, &[CP_CONTEXT]) {
            let work = async {
                let (finding, reached) = control::reach(context).await;
                (vec![finding], reached)
            };
            reached = known.check(underway, (CP_REACHABLE, LIMIT), work).await;
        }
        if !known.skips(CLOCK, &[CP_REACHABLE]) {
            known.note(reached.as_ref().and_then(|r| control::clock(r.ahead_s)));
        }
        if !known.skips(CP_STORE, &[CP_REACHABLE]) {
            known.note(reached.as_ref().map(|r| control::store(&r.version)));
        }
        let link = reached.map(|reached| reached.link);
        if !known.skips(CP_TOKEN, &[CP_REACHABLE])
            && let Some(link) = &link
        {
            let work = async {
                let (finding, nodes) = control::token(link).await;
                let servers = get::all(link, model::wire::SERVER).await;
                (vec![finding], nodes.zip(servers.ok()))
            };
            let answers = known.check(underway, (CP_TOKEN, LIMIT), work).await;
            (known.nodes, known.servers) = answers.unwrap_or_default();
        }
        if !known.skips(CP_AUDIT, &[CP_TOKEN])
            && let Some(link) = &link
        {
            let work = async { (vec![control::audit(link).await], None::<()>) };
            known.check(underway, (CP_AUDIT, LIMIT), work).await;
        }
        link
    }

    fn nodes(&self, known: &mut Known) {
        if !known.skips(NODES_LIVE, &[CP_TOKEN]) {
            let servers: BTreeSet<String> = servers::runners(&known.servers).into_keys().collect();
            known.note(nodes::live(&known.nodes, &servers));
        }
        if !known.skips(NODES_CURRENT, &[CP_TOKEN]) {
            known.note(nodes::current(&known.nodes));
        }
        if !known.skips(NODES_CERTS, &[CP_TOKEN]) {
            known.note(nodes::certificates(&known.nodes));
        }
    }

    async fn servers(&self, link: Option<&Link>, known: &mut Known, underway: &Underway) {
        if known.skips(SERVER_STARTED, &[CP_TOKEN]) {
            return;
        }
        let Some(link) = link else { return };
        let runners = servers::runners(&known.servers);
        let before = known.findings.clone();
        let work = async {
            match server::statuses(link, "").await {
                Ok(statuses) => {
                    let statuses: Vec<_> = server::one_each(statuses).collect();
                    let found = servers::started(&statuses, &runners, &before);
                    (found, Some(statuses))
                }
                Err(failure) => {
                    let fault = failure.faults.into_iter().next().unwrap_or_default();
                    (vec![Finding::fault(SERVER_STARTED, fault)], None)
                }
            }
        };
        let statuses = known.check(underway, (SERVER_STARTED, LIMIT), work).await;
        known.statuses = statuses.unwrap_or_default();
    }

    async fn end_to_end(
        &self,
        link: Option<&Link>,
        context: &Context,
        known: &mut Known,
        underway: &Underway,
    ) {
        let caller = Caller::new(context).ok();
        match (&context.edge, &caller) {
            _ if known.skips(EDGE_REACHABLE, &[CP_CONTEXT]) => {}
            (Some(edge), Some(_)) => {
                let work = async { (vec![edge::reachable(edge).await], None::<()>) };
                known.check(underway, (EDGE_REACHABLE, LIMIT), work).await;
            }
            _ => known.note([Finding::skip(EDGE_REACHABLE, CP_CONTEXT)]),
        }
        let needs = [EDGE_REACHABLE, SERVER_STARTED];
        let (no_tools, no_call) = (known.skips(SERVER_TOOLS, &needs), known.skips(CALL, &needs));
        let mut through = None;
        if let (false, false, Some(caller)) = (no_tools, no_call, caller) {
            through = self.calls((link, &caller), known, underway).await;
        }
        if known.skips(CALL_RECORDED, &[CALL, CP_AUDIT]) {
            return;
        }
        if let (Some((server, id)), Some(link)) = (through, link) {
            let work = async { (vec![edge::recorded(link, &server, &id).await], None::<()>) };
            known.check(underway, (CALL_RECORDED, LIMIT), work).await;
        } else {
            known.note([Finding::skip(CALL_RECORDED, CALL)]);
        }
    }

    /// Asks every server that is ready for its tools; the one whose call went through, and the id of the request.
    async fn calls(
        &self,
        (link, caller): (Option<&Link>, &Caller),
        known: &mut Known,
        underway: &Underway,
    ) -> Option<(String, String)> {
        let (ready, skipped) = servers::ready(&known.statuses, &known.findings);
        let root = skipped.first().and_then(|finding| finding.because);
        known.note(skipped);
        if ready.is_empty() {
            // No server at all, or each is skipped for a reason of its own.
            let root = root.unwrap_or(SERVER_STARTED);
            let tools = known
                .statuses
                .is_empty()
                .then(|| Finding::skip(SERVER_TOOLS, root));
            known.note(tools);
            known.note([Finding::skip(CALL, root)]);
            return None;
        }
        let id = edge::request_id();
        let caller = caller.clone().with_id(&id);
        let work = async {
            let asked = edge::ask(&caller, &ready).await;
            let mut found = match link {
                Some(link) => servers::held(server::tools::states(link, "").await),
                None => Vec::new(),
            };
            found.extend(servers::tools(&asked));
            (found, Some(asked))
        };
        let asked = known
            .check(underway, (SERVER_TOOLS, TOOLS_LIMIT), work)
            .await;
        let Some(asked) = asked else {
            known.note([Finding::skip(CALL, SERVER_TOOLS)]);
            return None;
        };
        let (finding, through) = edge::call(&asked);
        let took = asked.iter().map(|asked| asked.took).max();
        known.findings.add([finding], took.unwrap_or_default());
        through.map(|server| (server.to_owned(), id))
    }
}
