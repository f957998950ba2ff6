//! Keeps processes running: starts each part, starts it again when it dies, and ends it when told to.
//!
//! A part is a child of this binary with a pipe on its standard input that `up` holds and never writes to: its end
//! is how the part learns that it is to drain. Knows nothing of what parts do. One task a part, owned by
//! [`Parts::tasks`]; each ends when its part is stopped.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use proto::v1::{CreateJoinTokenRequest, NodeKind};
use runtime::drain::Drain;
use runtime::tls::Identity;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use toml::Table;

use crate::context::Context;
use crate::link::Link;
use crate::when;

use super::home::write_private;
use super::logs::Log;
use super::old::pid_file;

/// First wait before a part is started again; doubled each time.
const BACKOFF_MIN: Duration = Duration::from_millis(500);
/// Longest wait.
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// A part that ran for so long begins with the first wait again.
const STEADY: Duration = Duration::from_secs(60);
/// How long a part may drain before it is killed: more than parts give themselves.
const GRACE: Duration = Duration::from_secs(25);
/// How often logs are looked at for their length.
const LOG_LOOK: Duration = Duration::from_secs(5);
/// Most events that wait to be shown. Full: parts wait with their next start until some are shown.
const EVENTS_MAX: usize = 64;

/// What a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// `gatehouse control-plane`.
    ControlPlane,
    /// `gatehouse edge`.
    Edge,
    /// `gatehouse sidecar`.
    Sidecar,
}

impl Role {
    const fn subcommand(self) -> &'static str {
        match self {
            Self::ControlPlane => "control-plane",
            Self::Edge => "edge",
            Self::Sidecar => "sidecar",
        }
    }

    const fn node_kind(self) -> Option<NodeKind> {
        match self {
            Self::ControlPlane => None,
            Self::Edge => Some(NodeKind::Edge),
            Self::Sidecar => Some(NodeKind::Sidecar),
        }
    }
}

/// A part to be kept running.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// Its name: also its folder and its log.
    pub(super) name: String,
    /// What it is.
    pub(super) role: Role,
    /// The server that a sidecar stands before; empty for others.
    pub(super) server: String,
    /// Its settings.
    pub(super) settings: Table,
}

/// What the user should know of a part.
#[derive(Debug, Clone)]
pub(super) struct Event {
    /// Which part.
    pub(super) name: String,
    /// What happened: `exited with status 1`.
    pub(super) what: String,
    /// Its last lines.
    pub(super) lines: Vec<String>,
    /// When it is started again.
    pub(super) again_in: Duration,
    /// How often this has happened since the part last ran steadily.
    pub(super) times: u32,
}

/// All parts.
#[derive(Debug)]
pub(super) struct Parts {
    frame: Arc<Frame>,
    /// Parts that are kept running, by name. Held for single look-ups only.
    running: Mutex<BTreeMap<String, Running>>,
    /// Owns the task of each part.
    tasks: Drain,
}

/// What tasks of parts share.
#[derive(Debug)]
struct Frame {
    exe: PathBuf,
    dir: PathBuf,
    /// To make join tokens with; known once the control plane is up.
    context: Mutex<Option<Context>>,
    /// From each part's task to [`super::system`], which shows them.
    events: mpsc::Sender<Event>,
    /// Ends all parts at once.
    kill: CancellationToken,
}

#[derive(Debug, Clone)]
struct Running {
    role: Role,
    /// Ends the part: it drains first.
    stop: CancellationToken,
    /// Its process is gone.
    gone: CancellationToken,
}

impl Parts {
    /// Nothing runs yet. Parts will be started from `exe`, with folders in `dir`.
    pub(super) fn new(exe: PathBuf, dir: &Path) -> (Self, mpsc::Receiver<Event>) {
        let (events, receiver) = mpsc::channel(EVENTS_MAX);
        let frame = Frame {
            exe,
            dir: dir.to_owned(),
            context: Mutex::default(),
            events,
            kill: CancellationToken::new(),
        };
        (
            Self {
                frame: Arc::new(frame),
                running: Mutex::default(),
                tasks: Drain::new(),
            },
            receiver,
        )
    }

    /// Says how join tokens are made from now on.
    pub(super) fn set_context(&self, context: &Context) {
        *self
            .frame
            .context
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(context.clone());
    }

    /// Begins to keep a part running.
    pub(super) fn start(&self, part: Part) {
        let running = Running {
            role: part.role,
            stop: CancellationToken::new(),
            gone: CancellationToken::new(),
        };
        self.lock().insert(part.name.clone(), running.clone());
        let frame = Arc::clone(&self.frame);
        self.tasks.spawn("part", async move {
            keep(&frame, &part, &running.stop).await;
            running.gone.cancel();
        });
    }

    /// Tells one part to end. A part of the same name that is started later is another one.
    pub(super) fn stop(&self, name: &str) {
        if let Some(running) = self.lock().remove(name) {
            running.stop.cancel();
        }
    }

    /// Waits until no part is left, those that were stopped singly included.
    pub(super) async fn finish(&self) {
        self.tasks.finish(2 * GRACE).await;
    }

    /// Ends all parts of a role and waits until they are gone.
    pub(super) async fn stop_all(&self, role: Role) {
        let all: Vec<Running> = self
            .lock()
            .values()
            .filter(|part| part.role == role)
            .cloned()
            .collect();
        for part in &all {
            part.stop.cancel();
        }
        for part in &all {
            part.gone.cancelled().await;
        }
    }

    /// Ends all parts at once, without a drain.
    pub(super) fn kill(&self) {
        self.frame.kill.cancel();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps one part running until it is told to stop.
async fn keep(frame: &Frame, part: &Part, stop: &CancellationToken) {
    let mut times = 0;
    loop {
        let began = Instant::now();
        let (what, lines) = match run_once(frame, part, stop).await {
            Ok(None) => return,
            Ok(Some(end)) => end,
            Err(why) => (why, Vec::new()),
        };
        times = if began.elapsed() >= STEADY {
            1
        } else {
            times + 1
        };
        let again_in = backoff(times);
        let event = Event {
            name: part.name.clone(),
            what,
            lines,
            again_in,
            times,
        };
        tokio::select! {
            // An error says that nobody shows events any more.
            _ = frame.events.send(event) => {}
            () = stop.cancelled() => return,
        }
        tokio::select! {
            () = tokio::time::sleep(again_in) => {}
            () = stop.cancelled() => return,
        }
    }
}

fn backoff(times: u32) -> Duration {
    BACKOFF_MIN
        .saturating_mul(2_u32.saturating_pow(times.saturating_sub(1)))
        .min(BACKOFF_MAX)
}

/// One life of a part. `None`: it was told to stop, and is gone.
async fn run_once(
    frame: &Frame,
    part: &Part,
    stop: &CancellationToken,
) -> Result<Option<(String, Vec<String>)>, String> {
    let arguments = tokio::select! {
        prepared = prepare(frame, part) => prepared?,
        () = stop.cancelled() => return Ok(None),
    };
    let log = Log::new(&frame.dir, &part.name);
    let from = log.len();
    let mut child =
        spawn(frame, &arguments, &log).map_err(|e| format!("cannot be started: {e}"))?;
    if let Some(id) = child.id() {
        // Without it, a start after a crash does not wait for this process; nothing else is lost.
        let _ = std::fs::write(pid_file(&frame.dir, &part.name), id.to_string());
    }
    let pipe = child.stdin.take();
    let ended = loop {
        tokio::select! {
            ended = child.wait() => break Some(ended),
            () = stop.cancelled() => break None,
            () = frame.kill.cancelled() => break None,
            () = tokio::time::sleep(LOG_LOOK) => {
                // A log that cannot be cut grows on; the part is worth more.
                let _ = log.bound();
            }
        }
    };
    drop(pipe);
    let ended = match ended {
        Some(ended) => ended,
        None => {
            drain(frame, &mut child).await;
            return Ok(None);
        }
    };
    let status = ended.map_err(|e| format!("is lost: {e}"))?;
    Ok(Some((ending(status), log.tail(from))))
}

/// Its pipe has ended: waits until it is gone, and kills it where that takes too long.
async fn drain(frame: &Frame, child: &mut Child) {
    let gone = tokio::select! {
        _ = child.wait() => true,
        () = tokio::time::sleep(GRACE) => false,
        () = frame.kill.cancelled() => false,
    };
    if !gone {
        // It may have ended just now. The shim of a sidecar ends its server with it.
        let _ = child.kill().await;
    }
}

fn ending(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with status {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

/// Writes the part's settings and, where it has no identity yet, a join token; gives its arguments.
async fn prepare(frame: &Frame, part: &Part) -> Result<Vec<OsString>, String> {
    let folder = frame.dir.join(&part.name);
    runtime::disk::create_private_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let settings = folder.join("settings.toml");
    let text = toml::to_string(&part.settings).map_err(|e| e.to_string())?;
    write_private(&settings, text.as_bytes()).map_err(|fault| fault.message)?;
    let mut arguments: Vec<OsString> = vec![
        part.role.subcommand().into(),
        "--config".into(),
        settings.into(),
    ];
    if let Some(kind) = part.role.node_kind()
        && !has_identity(&folder)
    {
        let token = join_token(frame, kind, &part.server).await?;
        let file = folder.join("join.token");
        write_private(&file, token.as_bytes()).map_err(|fault| fault.message)?;
        arguments.extend(["--join".into(), format!("@{}", file.display()).into()]);
    }
    arguments.push("--exit-with-stdin".into());
    Ok(arguments)
}

fn has_identity(folder: &Path) -> bool {
    Identity::exists(folder)
        && Identity::load(folder)
            .is_ok_and(|identity| identity.is_valid_at(when::now_unix_ms() / 1000))
}

async fn join_token(frame: &Frame, kind: NodeKind, server: &str) -> Result<String, String> {
    let context = frame
        .context
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let context = context.ok_or("the control plane is not up yet, and a join token is needed")?;
    let link = Link::connect(&context)
        .await
        .map_err(|fault| fault.message)?;
    let request = CreateJoinTokenRequest {
        kind: kind.into(),
        server: server.to_owned(),
    };
    let made = link.admin().create_join_token(request).await;
    made.map(|answer| answer.into_inner().token)
        .map_err(|status| link.fault(&status).message)
}

fn spawn(frame: &Frame, arguments: &[OsString], log: &Log) -> std::io::Result<Child> {
    let (out, err) = (log.open()?, log.open()?);
    Command::new(&frame.exe)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(out)
        .stderr(err)
        // Ctrl-C on a terminal goes to the whole group: only `up` is to hear it, and to drain in order.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

#[cfg(test)]
mod tests;
