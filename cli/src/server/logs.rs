//! `gatehouse server logs`: what a server says on standard error, and what its sidecar has to say of it.

use std::collections::BTreeMap;

use proto::v1::{LogLine, ServerLogsEvent, ServerLogsRequest};
use serde_json::json;

use crate::absent;
use crate::again::Again;
use crate::app::App;
use crate::codes;
use crate::fault::{Failure, Fault};
use crate::get;
use crate::link::Link;
use crate::show::{Meaning, nearest};
use crate::when;

/// Lines that are asked for when a connection was lost: those that were shown are not shown again.
const AGAIN: u32 = 2000;
/// The code of "no sidecar is connected": one that is started again will be.
const NO_SIDECAR: &str = "GH5105";

/// Show what a server says on standard error, with what became of its processes, of all its sidecars.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse server logs everything
  gatehouse server logs everything -f
  gatehouse server logs everything --lines 500 -o json

Lines of the sidecar about the server begin with --. Sidecars keep the last 2000 lines in memory. With -f it goes on
until Ctrl-C, also over restarts of server, sidecar and control plane.

See also: gatehouse server status, gatehouse describe, gatehouse tap")]
pub struct Args {
    /// Which server
    pub name: String,
    /// Go on with what comes, until Ctrl-C
    #[arg(short, long)]
    pub follow: bool,
    /// How many of the last lines of each sidecar
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub lines: u32,
    /// Of this sidecar only
    #[arg(long, value_name = "NODE")]
    pub node: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// No connection, no such server, or nobody to ask.
pub(super) async fn run(args: Args, app: &App) -> Result<(), Failure> {
    let context = app.context()?;
    let mut link = Link::connect(&context).await?;
    get::one(&link, model::wire::SERVER, &args.name).await?;
    let mut reader = Reader::new(&args, app);
    if !args.follow {
        reader.read(&link, args.lines).await?;
        return reader.end();
    }
    let mut again = Again::new(&app.show, &context);
    let mut lines = args.lines;
    loop {
        let lost = match reader.read(&link, lines).await {
            Ok(()) => None,
            // Its sidecar is being started again.
            Err(fault) if fault.code == NO_SIDECAR => Some(fault.retryable()),
            Err(fault) => Some(fault),
        };
        if app.show.is_closed() {
            return Ok(());
        }
        lines = AGAIN;
        link = again.after(lost).await?;
    }
}

/// Shows lines, each once.
struct Reader<'a> {
    args: &'a Args,
    app: &'a App,
    /// The time of the last line of each sidecar, and how many lines of that very time were shown.
    shown: BTreeMap<String, (i64, usize)>,
}

impl<'a> Reader<'a> {
    const fn new(args: &'a Args, app: &'a App) -> Self {
        Self {
            args,
            app,
            shown: BTreeMap::new(),
        }
    }

    /// Shows what comes until the stream ends.
    async fn read(&mut self, link: &Link, lines: u32) -> Result<(), Fault> {
        let request = ServerLogsRequest {
            server: self.args.name.clone(),
            lines,
            follow: self.args.follow,
            only_here: false,
        };
        let answer = link.admin().server_logs(request).await;
        let mut events = answer.map_err(|status| link.fault(&status))?.into_inner();
        let before = self.shown.clone();
        let mut at = BTreeMap::new();
        while let Some(event) = events.message().await.map_err(|s| link.fault(&s))? {
            self.event(event, &before, &mut at);
            if self.app.show.is_closed() {
                break;
            }
        }
        Ok(())
    }

    fn event(
        &mut self,
        event: ServerLogsEvent,
        before: &BTreeMap<String, (i64, usize)>,
        at: &mut BTreeMap<String, (i64, usize)>,
    ) {
        let show = &self.app.show;
        absent::note(show, event.absent.as_slice(), "lines of its sidecars");
        let is_other = |node: &String| *node != event.node;
        if event.node.is_empty() || self.args.node.as_ref().is_some_and(is_other) {
            return;
        }
        if event.lost > 0 {
            show.note(&format!("{}: {} lines are lost", event.node, event.lost));
        }
        // Of lines that come once more, those up to the last that was shown are passed over.
        let last = before.get(&event.node).copied().unwrap_or_default();
        let here = at.entry(event.node.clone()).or_default();
        for line in &event.lines {
            let time = line.time_unix_ms;
            *here = if here.0 == time {
                (time, here.1 + 1)
            } else {
                (time, 1)
            };
            if *here <= last {
                continue;
            }
            self.shown.insert(event.node.clone(), *here);
            if show.is_json() {
                show.json_line(
                    &json!({"time": when::rfc3339_ms(time), "node": event.node, "text": line.text,
                    "by": if line.by_sidecar { "sidecar" } else { "server" }}),
                );
            } else {
                show.line(&self.text(&event.node, line));
            }
        }
    }

    fn text(&self, node: &str, line: &LogLine) -> String {
        let show = &self.app.show;
        let time = show.paint(Meaning::Name, &when::clock(line.time_unix_ms * 1_000_000));
        let text = if line.by_sidecar {
            show.paint(Meaning::Look, &format!("-- {}", line.text))
        } else {
            line.text.clone()
        };
        format!("{time}  {node}  {text}")
    }

    /// Says where there was nothing, and why.
    fn end(&self) -> Result<(), Failure> {
        match &self.args.node {
            Some(node) if !self.shown.contains_key(node) => {
                let fault = Fault::new(
                    codes::NO_SUCH,
                    format!(
                        "{node} said nothing, or is no sidecar of {}",
                        self.args.name
                    ),
                );
                let near = nearest(node, self.shown.keys().map(String::as_str));
                Err(match near {
                    Some(near) => fault.why(format!("did you mean {near}?")),
                    None => fault,
                }
                .into())
            }
            _ => {
                if self.shown.is_empty() {
                    self.app
                        .show
                        .note(&format!("{} has said nothing yet", self.args.name));
                }
                Ok(())
            }
        }
    }
}
