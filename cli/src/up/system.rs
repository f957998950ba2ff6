//! Brings the parts up in order, watches over them, and takes them down in the opposite order.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use proto::v1::{CreateKeyRequest, VersionRequest};
use runtime::drain::Drain;
use tokio::sync::{mpsc, watch};

use crate::app::App;
use crate::apply;
use crate::codes;
use crate::context::Context;
use crate::fault::{Failure, Fault};
use crate::key;
use crate::link::Link;
use crate::server;
use crate::show::{Meaning, Progress, Show};
use crate::source::Sources;
use crate::when;

use super::board::Board;
use super::home::Home;
use super::parts::{Event, Part, Parts, Role};
use super::plan::Plan;
use super::servers::{self, Hosted};
use super::settings::{Settings, tools};
use super::signals::Signals;
use super::{Args, hint, ports, probe};

/// The user and the group that the key of `client.toml` stands for.
const ADMIN: &str = "admin";
/// How long all may take to be ready: a first start fetches packages.
const READY_TIMEOUT: Duration = Duration::from_secs(600);
/// How long the control plane may take to answer at first.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(120);
/// How often the control plane is tried while it starts.
const CONTROL_LOOK: Duration = Duration::from_millis(50);
/// How often parts are looked at until all are ready, and afterwards.
const LOOK: Duration = Duration::from_millis(250);
const LOOK_SLOWLY: Duration = Duration::from_secs(2);
/// Deaths in a row after which a part that `ready` needs is given up.
const DEATHS_MAX: u32 = 4;

/// The whole of `up`.
#[derive(Debug)]
pub(super) struct System<'a> {
    show: &'a Show,
    home: Home,
    plan: Plan,
    settings: Settings,
    tools: Vec<PathBuf>,
    parts: Parts,
    events: mpsc::Receiver<Event>,
    board: Board,
    /// Owns the task that follows the catalog.
    tasks: Drain,
}

impl<'a> System<'a> {
    /// Nothing is started yet.
    ///
    /// # Errors
    /// This program cannot find itself.
    pub(super) fn new(app: &'a App, args: &Args, home: Home, plan: Plan) -> Result<Self, Fault> {
        let exe = std::env::current_exe().map_err(|e| {
            Fault::new(codes::FILE, "this program cannot find itself").why(e.to_string())
        })?;
        let settings = Settings::new(home.dir(), args, &plan);
        let tools = tools(&app.folder, &exe);
        let (parts, events) = Parts::new(exe, home.dir());
        let board = Board::new(plan.edge_urls());
        let tasks = Drain::new();
        Ok(Self {
            show: &app.show,
            home,
            plan,
            settings,
            tools,
            parts,
            events,
            board,
            tasks,
        })
    }

    /// Brings everything up and watches over it, for ever.
    ///
    /// # Errors
    /// The control plane or an edge does not start, the files are refused, or all is not ready in time.
    pub(super) async fn work(&mut self, sources: Option<Sources>) -> Result<(), Failure> {
        let began = Instant::now();
        self.start_part(
            "control-plane",
            Role::ControlPlane,
            "",
            self.settings.control_plane(),
        );
        let (link, mut context) = self.control_plane_up(began).await?;
        self.show.line(&Board::line(
            "control plane",
            &self.plan.control.to_string(),
        ));
        self.complete(&mut context, &link).await?;
        self.parts.set_context(&context);
        for edge in self.plan.edges.clone() {
            self.start_part(&edge.name, Role::Edge, "", self.settings.edge(&edge));
        }
        if let Some(sources) = sources {
            let answer = apply::store(&link, &sources, &apply::How::default()).await?;
            // What changed is no news here; what may not be meant is.
            apply::tell_warnings(self.show, &answer);
        }
        let head = link
            .admin()
            .version(VersionRequest {})
            .await
            .map_err(|s| link.fault(&s))?
            .into_inner()
            .revision;
        let hosted = servers::follow(context.clone(), &self.tasks);
        self.watch_over(&link, &context, hosted, head, began).await
    }

    fn start_part(&self, name: &str, role: Role, server: &str, settings: toml::Table) {
        self.parts.start(Part {
            name: name.to_owned(),
            role,
            server: server.to_owned(),
            settings,
        });
    }

    /// Waits until the control plane answers; with the context that says how to reach it.
    async fn control_plane_up(&mut self, began: Instant) -> Result<(Link, Context), Failure> {
        let mut progress = self.show.progress();
        let mut context = Context {
            address: format!("https://{}", self.plan.control_reachable()),
            token: Some(self.home.admin_token()?),
            ..Context::default()
        };
        let ca = self.home.path("control-plane/ca.pem");
        loop {
            // The authority's file is written by the control plane as it starts; a new store brings a new one.
            context.ca = std::fs::read_to_string(&ca).ok();
            let tried = if context.ca.is_some() {
                answers(&context).await
            } else {
                None
            };
            if let Some(link) = tried {
                return Ok((link, context));
            }
            if began.elapsed() > CONTROL_TIMEOUT {
                let log = self.home.path("logs/control-plane.log");
                let text = format!(
                    "the control plane does not answer after {}",
                    when::span(CONTROL_TIMEOUT)
                );
                return Err(Fault::new(codes::PART_FAILED, text)
                    .fix(format!("look into {}", log.display()))
                    .into());
            }
            progress.set(
                "control plane: starting",
                &format!(", {}", when::span(began.elapsed())),
            );
            tokio::select! {
                () = tokio::time::sleep(CONTROL_LOOK) => {}
                Some(event) = self.events.recv() => {
                    progress.clear();
                    self.tell(&event)?;
                }
            }
        }
    }

    /// Adds to the context what the command line needs, and writes `client.toml`.
    async fn complete(&mut self, context: &mut Context, link: &Link) -> Result<(), Failure> {
        context.edge = self.plan.edge_urls().into_iter().next();
        context.user = Some(ADMIN.to_owned());
        context.groups = vec![ADMIN.to_owned()];
        context.key = Some(self.admin_key(link).await?);
        self.home.write_context(context)?;
        self.home.remember()?;
        Ok(())
    }

    /// The key of the last start while it is good, else a new one.
    async fn admin_key(&mut self, link: &Link) -> Result<String, Failure> {
        let last = self.home.last_context().and_then(|context| context.key);
        if let (Some(key), Some(id)) = (last, &self.home.memory.key_id)
            && key::keys(link).await?.iter().any(|known| known.id == *id)
        {
            return Ok(key);
        }
        let request = CreateKeyRequest {
            user: ADMIN.to_owned(),
            groups: vec![ADMIN.to_owned()],
            ..Default::default()
        };
        let made = link
            .admin()
            .create_key(request)
            .await
            .map_err(|s| link.fault(&s))?
            .into_inner();
        self.home.memory.key_id = Some(made.id);
        Ok(made.key)
    }

    /// Starts and stops sidecars as the catalog says, and prints each line as it comes.
    async fn watch_over(
        &mut self,
        link: &Link,
        context: &Context,
        mut hosted: watch::Receiver<Hosted>,
        head: u64,
        began: Instant,
    ) -> Result<(), Failure> {
        let mut progress = self.show.progress();
        loop {
            self.look(link, head, &mut progress).await;
            if self.board.becomes_ready() {
                progress.clear();
                let next = hint::next(context, self.board.a_ready_server()).await;
                self.show.line(&Board::line("next", &next));
                self.show.line("ready");
            }
            if !self.board.is_ready() {
                if began.elapsed() > READY_TIMEOUT {
                    return Err(self.not_ready());
                }
                if let Some((what, detail)) = self.board.awaited(began.elapsed()) {
                    progress.set(&what, &detail);
                }
            }
            tokio::select! {
                () = tokio::time::sleep(self.next_look()) => {}
                Some(event) = self.events.recv() => {
                    progress.clear();
                    self.tell(&event)?;
                }
                Ok(()) = hosted.changed() => {
                    let names = hosted.borrow_and_update().clone();
                    self.host(names)?;
                }
            }
        }
    }

    /// How long until the parts are looked at again: until the next event only, where nothing is awaited.
    fn next_look(&self) -> Duration {
        /// Statuses may change without an event here: a server that fails later.
        const LOOK_IDLE: Duration = Duration::from_secs(15);
        match (self.board.is_ready(), self.board.servers_awaited()) {
            (false, _) => LOOK,
            (true, true) => LOOK_SLOWLY,
            (true, false) => LOOK_IDLE,
        }
    }

    /// Looks at edges that are awaited and at servers, and prints what is new.
    async fn look(&mut self, link: &Link, head: u64, progress: &mut Progress) {
        for index in self.board.edges_awaited() {
            if probe::runs(self.plan.edges[index].admin, head).await {
                progress.clear();
                if let Some(line) = self.board.edge_runs(index) {
                    self.show.line(&line);
                }
            }
        }
        // A control plane that restarts answers at the next look.
        let statuses = server::statuses(link, "").await.unwrap_or_default();
        for line in self.board.statuses(statuses) {
            progress.clear();
            self.show.line(&line);
        }
    }

    /// Makes the sidecars those of the catalog.
    fn host(&mut self, names: Hosted) -> Result<(), Fault> {
        let Some(names) = names else { return Ok(()) };
        for gone in self.board.no_longer(&names) {
            ports::forget(&mut self.home.memory, &part_name(&gone));
            self.parts.stop(&part_name(&gone));
        }
        for server in self.board.new_ones(&names) {
            let part = part_name(&server);
            let listen = self.sidecar_port(&part)?;
            let admin = self.sidecar_port(&format!("{part}.admin"))?;
            let settings = self
                .settings
                .sidecar(&part, &server, listen, admin, &self.tools);
            self.start_part(&part, Role::Sidecar, &server, settings);
        }
        self.home.remember()?;
        self.board.hosted(&names);
        Ok(())
    }

    fn sidecar_port(&mut self, purpose: &str) -> Result<SocketAddr, Fault> {
        ports::pick(
            &mut self.home.memory,
            purpose,
            ports::loopback(0).ip(),
            None,
        )
    }

    /// Shows how a part died. One that `ready` needs and that dies again and again is an end.
    fn tell(&self, event: &Event) -> Result<(), Failure> {
        let head = self
            .show
            .paint_err(Meaning::Act, &format!("{} {}", event.name, event.what));
        let needed = !self.board.is_ready() && !event.name.starts_with("sidecar-");
        let given_up = needed && event.times >= DEATHS_MAX;
        let again = if given_up {
            "; given up".to_owned()
        } else {
            format!("; next try in {}", shown(event.again_in))
        };
        self.show.note(&format!("{head}{again}"));
        for line in &event.lines {
            self.show.note(&format!("  {line}"));
        }
        if !given_up {
            return Ok(());
        }
        let log = self.home.path(&format!("logs/{}.log", event.name));
        let fault = Fault::new(
            codes::PART_FAILED,
            format!("{} does not start: it {}", event.name, event.what),
        );
        let fault = match event.lines.last() {
            Some(line) => fault.why(line.clone()),
            None => fault,
        };
        Err(fault.fix(format!("look into {}", log.display())).into())
    }

    fn not_ready(&self) -> Failure {
        let text = format!("not ready after {}", when::span(READY_TIMEOUT));
        Fault::new(codes::NOT_READY, text)
            .why(format!("still waiting for {}", self.board.all_awaited()))
            .fix(format!("look into {}", self.home.path("logs").display()))
            .into()
    }

    /// Takes all parts down: no new calls first, the keeper of records last. A signal meanwhile ends all at once.
    pub(super) async fn stop(&mut self, signals: &mut Signals) {
        self.show
            .note("stopping: calls under way are finished; Ctrl-C again ends all at once");
        self.tasks.start();
        let parts = &self.parts;
        let drained = async {
            for role in [Role::Edge, Role::Sidecar, Role::ControlPlane] {
                parts.stop_all(role).await;
            }
            parts.finish().await;
        };
        tokio::pin!(drained);
        tokio::select! {
            () = &mut drained => {}
            () = signals.next() => {
                parts.kill();
                drained.await;
            }
        }
        self.show.note(&format!(
            "stopped; state is kept in {}",
            self.home.dir().display()
        ));
    }
}

/// The part of a server's sidecar; also its folder.
fn part_name(server: &str) -> String {
    format!("sidecar-{server}")
}

/// Waits below a second are shown as such.
fn shown(wait: Duration) -> String {
    if wait < Duration::from_secs(1) {
        format!("{} ms", wait.as_millis())
    } else {
        when::span(wait)
    }
}

/// A connection, where the control plane answers.
async fn answers(context: &Context) -> Option<Link> {
    let link = Link::connect(context).await.ok()?;
    link.admin().version(VersionRequest {}).await.ok()?;
    Some(link)
}
