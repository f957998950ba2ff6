//! `gatehouse approve`: calls that wait for a person, and what that person says.

use model::text::spelt;
use proto::v1::{Approval, DecideApprovalRequest, ListApprovalsRequest};
use serde::Serialize;
use serde_json::{Value, json};
use tonic::Code;

use crate::again::Again;
use crate::app::App;
use crate::codes;
use crate::fault::{Failure, Fault};
use crate::link::Link;
use crate::show::{Show, Table, nearest};
use crate::when;

/// Longest arguments in a table, characters.
const ARGUMENTS_CHARS: usize = 60;

/// Agree to a call that waits for a person, or refuse it; without an ID, list those that wait.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse approve
  gatehouse approve 3f9c2a10-7be1d0c4-9a0b1c2d
  gatehouse approve 3f9c2a10-7be1d0c4-9a0b1c2d --refuse --comment 'ask Bo first'
  gatehouse approve --watch

Where a rule names approvers, they decide by their API key: --token @FILE.

See also: gatehouse explain, gatehouse audit list")]
pub struct Args {
    /// The approval's id, as the list shows it
    pub id: Option<String>,
    /// Refuse the call
    #[arg(long, requires = "id")]
    pub refuse: bool,
    /// What to say about it; the caller hears it where the call is refused
    #[arg(long, value_name = "TEXT", requires = "id", default_value = "")]
    pub comment: String,
    /// Show calls as they come to wait, and what becomes of them
    #[arg(short, long, conflicts_with = "id")]
    pub watch: bool,
    /// Also those that were decided or are over, as long as they are kept
    #[arg(long, conflicts_with = "id")]
    pub all: bool,
}

/// Runs the command.
///
/// # Errors
/// No connection, or what the control plane refuses.
pub async fn run(args: Args, app: &App) -> Result<(), Failure> {
    match &args.id {
        Some(id) => decide(id, &args, app).await,
        None if args.watch => watch(args.all, app).await,
        None => list(args.all, app).await,
    }
}

async fn decide(id: &str, args: &Args, app: &App) -> Result<(), Failure> {
    let link = app.link().await?;
    let request = DecideApprovalRequest {
        id: id.to_owned(),
        grant: !args.refuse,
        comment: args.comment.clone(),
    };
    let decided = match link.approvals().decide(request).await {
        Ok(decided) => decided.into_inner(),
        Err(status) if status.code() == Code::NotFound => {
            return Err(unknown(&link, id).await.into());
        }
        Err(status) => return Err(link.fault(&status).into()),
    };
    if app.show.is_json() {
        app.show.json(&View::of(&decided));
    } else {
        app.show.line(&decision(&decided));
    }
    Ok(())
}

/// What was decided, in a line.
fn decision(decided: &Approval) -> String {
    format!(
        "{} {}: {} on {} for {}",
        decided.state,
        decided.id,
        what(decided),
        decided.server,
        spelt(&decided.user)
    )
}

async fn unknown(link: &Link, id: &str) -> Fault {
    let there = approvals(link, true).await.unwrap_or_default();
    let fault = Fault::new(codes::NO_SUCH, format!("there is no approval {id:?}"));
    let fault = match nearest(id, there.iter().map(|approval| approval.id.as_str())) {
        Some(near) => fault.why(format!("did you mean {near}?")),
        None => fault,
    };
    fault.fix("gatehouse approve")
}

async fn list(all: bool, app: &App) -> Result<(), Failure> {
    let link = app.link().await?;
    let approvals = approvals(&link, all).await?;
    if app.show.is_json() {
        let items: Vec<View<'_>> = approvals.iter().map(View::of).collect();
        app.show.json(&json!({ "items": items }));
        return Ok(());
    }
    let mut table = Table::new(&[
        "ID",
        "STATE",
        "USER",
        "SERVER",
        "WHAT",
        "ARGUMENTS",
        "RULE",
        "AGE",
        "ENDS",
    ]);
    for approval in &approvals {
        table.row([
            approval.id.clone(),
            approval.state.clone(),
            spelt(&approval.user),
            approval.server.clone(),
            what(approval),
            arguments(approval),
            approval.rule.clone(),
            when::age(approval.asked_unix_ms),
            when::until(approval.expires_unix_ms),
        ]);
    }
    app.show.table(&table, "no call waits for approval");
    if approvals.iter().any(|approval| approval.state == "pending") {
        app.show.hint("gatehouse approve ID [--refuse]");
    }
    Ok(())
}

async fn approvals(link: &Link, all: bool) -> Result<Vec<Approval>, Failure> {
    let answer = link.approvals().list(ListApprovalsRequest { all }).await;
    Ok(answer.map_err(|s| link.fault(&s))?.into_inner().approvals)
}

/// Tells of calls as they come to wait; ends with Ctrl-C, or when nobody reads any more.
async fn watch(all: bool, app: &App) -> Result<(), Failure> {
    let context = app.context()?;
    let mut link = Link::connect(&context).await?;
    let mut again = Again::new(&app.show, &context);
    loop {
        let lost = session(&link, &mut again, all, &app.show).await;
        if app.show.is_closed() {
            return Ok(());
        }
        link = again.after(lost).await?;
    }
}

/// One connection's life; why it ended.
async fn session(link: &Link, again: &mut Again<'_>, all: bool, show: &Show) -> Option<Fault> {
    let mut events = match link.approvals().watch(ListApprovalsRequest { all }).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => return Some(link.fault(&status)),
    };
    loop {
        match events.message().await {
            Ok(Some(approval)) => {
                again.good();
                tell(&approval, show);
                if show.is_closed() {
                    return None;
                }
            }
            Ok(None) => return None,
            Err(status) => return Some(link.fault(&status)),
        }
    }
}

fn tell(approval: &Approval, show: &Show) {
    if show.is_json() {
        show.json_line(&View::of(approval));
        return;
    }
    let by = match approval.decided_by.as_str() {
        "" => String::new(),
        by => format!(" by {}", spelt(by)),
    };
    show.line(&format!(
        "{:8} {} {} wants {} on {} {}{by}",
        approval.state,
        approval.id,
        spelt(&approval.user),
        what(approval),
        approval.server,
        arguments(approval),
    ));
}

/// Tool, prompt or resource; else the method. Callers choose them: what is not seen is spelt out.
fn what(approval: &Approval) -> String {
    spelt(match approval.name.as_str() {
        "" => &approval.method,
        name => name,
    })
}

/// The beginning of the arguments, on one line.
fn arguments(approval: &Approval) -> String {
    let text = spelt(&approval.arguments);
    let cut = text.char_indices().nth(ARGUMENTS_CHARS);
    match cut {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

#[derive(Debug, Serialize)]
struct View<'a> {
    id: &'a str,
    state: &'a str,
    user: &'a str,
    groups: &'a [String],
    client: Option<&'a str>,
    server: &'a str,
    method: &'a str,
    name: Option<&'a str>,
    /// As JSON where it is whole, else the beginning as text.
    arguments: Value,
    shortened: bool,
    rule: &'a str,
    approvers: &'a str,
    asked: Option<String>,
    expires: Option<String>,
    decided_by: Option<&'a str>,
    decided: Option<String>,
    comment: Option<&'a str>,
}

impl<'a> View<'a> {
    fn of(approval: &'a Approval) -> Self {
        let given = |text: &'a String| Some(text.as_str()).filter(|text| !text.is_empty());
        let whole = serde_json::from_str(&approval.arguments);
        Self {
            id: &approval.id,
            state: &approval.state,
            user: &approval.user,
            groups: &approval.groups,
            client: given(&approval.client),
            server: &approval.server,
            method: &approval.method,
            name: given(&approval.name),
            arguments: whole.unwrap_or_else(|_| Value::from(approval.arguments.as_str())),
            shortened: approval.shortened,
            rule: &approval.rule,
            approvers: &approval.approvers,
            asked: when::rfc3339_ms(approval.asked_unix_ms),
            expires: when::rfc3339_ms(approval.expires_unix_ms),
            decided_by: given(&approval.decided_by),
            decided: when::rfc3339_ms(approval.decided_unix_ms),
            comment: given(&approval.comment),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_callers_chose_hides_nothing_from_who_decides() {
        let approval = Approval {
            id: "a-1".to_owned(),
            state: "granted".to_owned(),
            user: "ana\u{200b}".to_owned(),
            server: "docs".to_owned(),
            name: "read\u{202e}\u{1b}[2J".to_owned(),
            arguments: format!("\u{feff}{}", "x".repeat(100)),
            ..Approval::default()
        };
        assert_eq!(
            decision(&approval),
            "granted a-1: read\\u{202e}\\u{1b}[2J on docs for ana\\u{200b}"
        );
        let shown = arguments(&approval);
        assert!(shown.starts_with("\\u{feff}xx"), "{shown}");
        assert_eq!(shown.chars().count(), ARGUMENTS_CHARS + 1);
    }
}
