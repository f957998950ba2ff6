//! From one end to the other: the edge, a call of the context's own key, and its record.

use std::time::{Duration, Instant};

use mcp::method;
use proto::v1::{CallFilter, ListCallsRequest};
use tokio::task::JoinSet;

use super::report::Finding;
use super::table::{CALL, CALL_RECORDED, EDGE_REACHABLE, SERVER_TOOLS};
use crate::caller::{self, Answer, Caller, Error};
use crate::link::Link;
use crate::show::shell_word;
use crate::when;

/// How long the edge may take to say that it is ready.
const READY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a server may take to list its tools.
const TOOLS_TIMEOUT: Duration = Duration::from_secs(15);
/// Most servers that are asked, and so many at once.
pub(super) const SERVERS_MAX: usize = 50;
const AT_ONCE: usize = 4;
/// How long a record may take, and how often it is looked for.
const RECORD_TIMEOUT: Duration = Duration::from_secs(5);
const RECORD_LOOK: Duration = Duration::from_millis(100);
/// Newest records among which it is looked for.
const RECORDS_LOOKED_AT: u32 = 50;
/// JSON-RPC code of a server that cannot take the call.
const AWAY: i64 = -31011;

/// Whether the edge is ready.
pub(super) async fn reachable(edge: &str) -> Finding {
    let began = Instant::now();
    match caller::readiness(edge, READY_TIMEOUT).await {
        Ok((200, _)) => {
            let took = began.elapsed().as_millis();
            Finding::ok(EDGE_REACHABLE, format!("{edge}, {took} ms"))
        }
        Ok((status, text)) => {
            let message = format!("{edge} is not ready (HTTP {status})");
            Finding::fail(EDGE_REACHABLE, message).why(text.trim())
        }
        Err(error) => {
            let message = format!("{edge} cannot be reached");
            Finding::fail(EDGE_REACHABLE, message).why(words(&error))
        }
    }
}

/// What a server answered to tools/list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// So many.
    Tools(usize),
    /// No rule lets the key use it.
    NotForKey,
    /// The key is not accepted.
    Key,
    /// No answer that can be used.
    Bad {
        message: String,
        /// Empty: nothing more is known.
        why: String,
    },
}

/// A server that was asked.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) server: String,
    pub(super) outcome: Outcome,
    pub(super) took: Duration,
}

/// The id of the requests of this run, by which their records are found.
pub(super) fn request_id() -> String {
    format!("check-{}-{}", std::process::id(), when::now_unix_ms())
}

/// Asks servers for their tools, some at once; answers in their order.
pub(super) async fn ask(caller: &Caller, servers: &[String]) -> Vec<Asked> {
    let mut next = servers.iter().take(SERVERS_MAX).enumerate();
    // Bounded by AT_ONCE; dropped, and so ended, with this function.
    let mut under_way = JoinSet::new();
    let mut asked = Vec::new();
    loop {
        while under_way.len() < AT_ONCE
            && let Some((index, server)) = next.next()
        {
            let (caller, server) = (caller.clone(), server.clone());
            under_way.spawn(async move { (index, one(&caller, server).await) });
        }
        match under_way.join_next().await {
            Some(Ok(one)) => asked.push(one),
            // A task that panicked has said so; the others go on.
            Some(Err(_)) => {}
            None => break,
        }
    }
    asked.sort_by_key(|(index, _)| *index);
    asked.into_iter().map(|(_, asked)| asked).collect()
}

async fn one(caller: &Caller, server: String) -> Asked {
    let began = Instant::now();
    let answer = caller.tools(&server, TOOLS_TIMEOUT).await;
    let bad = |message: String, why: &str| Outcome::Bad {
        message,
        why: why.to_owned(),
    };
    let outcome = match answer {
        Ok(Ok(tools)) => Outcome::Tools(tools.len()),
        Ok(Err(Answer::NoServer | Answer::Result(_))) => Outcome::NotForKey,
        Ok(Err(Answer::Error(error))) => {
            let said = error["message"].as_str().unwrap_or_default();
            let reason = error["data"]["reason"].as_str();
            match (error["code"].as_i64(), reason) {
                (Some(AWAY), Some(reason)) => {
                    bad(format!("cannot take a call now: {reason}"), said)
                }
                _ => bad("answers tools/list with an error".to_owned(), said),
            }
        }
        Err(Error::Key) => Outcome::Key,
        Err(error) => bad(words(&error), ""),
    };
    Asked {
        server,
        outcome,
        took: began.elapsed(),
    }
}

fn words(error: &Error) -> String {
    match error {
        Error::Connection(why) => why.clone(),
        Error::Key => "the key is not accepted".to_owned(),
        Error::Timeout(after) => format!("no answer within {}", when::span(*after)),
        Error::NotMcp(what) => format!("it answers something that is not MCP: {what}"),
    }
}

/// What the answers say about the way from end to end; the server whose call went through.
pub(super) fn call(asked: &[Asked]) -> (Finding, Option<&str>) {
    if asked.iter().any(|asked| asked.outcome == Outcome::Key) {
        let message = "the edge does not accept the context's key";
        let finding = Finding::fail(CALL, message)
            .why("it is unknown, revoked or expired")
            .fix("gatehouse key list");
        return (finding, None);
    }
    let through = asked
        .iter()
        .find(|asked| matches!(asked.outcome, Outcome::Tools(_)));
    if let Some(asked) = through {
        let message = format!("{} tools/list, {} ms", asked.server, asked.took.as_millis());
        return (Finding::ok(CALL, message), Some(&asked.server));
    }
    let refused = asked
        .iter()
        .all(|asked| asked.outcome == Outcome::NotForKey);
    match asked.first() {
        Some(first) if refused => {
            let message = "no rule lets the context's key use any server that is ready";
            let fix = format!("gatehouse describe Server {}", shell_word(&first.server));
            (Finding::warn(CALL, message).fix(fix), None)
        }
        _ => (Finding::skip(CALL, SERVER_TOOLS), None),
    }
}

/// Waits for the record of the call.
pub(super) async fn recorded(link: &Link, server: &str, request_id: &str) -> Finding {
    let began = Instant::now();
    loop {
        let request = ListCallsRequest {
            filter: Some(CallFilter {
                server: server.to_owned(),
                method: method::TOOLS_LIST.to_owned(),
                ..CallFilter::default()
            }),
            limit: RECORDS_LOOKED_AT,
            ..ListCallsRequest::default()
        };
        let calls = match link.audit().list_calls(request).await {
            Ok(answer) => answer.into_inner().calls,
            Err(status) => return Finding::fault(CALL_RECORDED, link.fault(&status)),
        };
        if let Some(call) = calls
            .iter()
            .find(|call| call.request_id.contains(request_id))
        {
            let message = format!(
                "as {} of {}, after {} ms",
                call.call_id,
                call.node,
                began.elapsed().as_millis()
            );
            return Finding::ok(CALL_RECORDED, message);
        }
        if began.elapsed() >= RECORD_TIMEOUT {
            let message = format!(
                "no record of the call came within {}",
                when::span(RECORD_TIMEOUT)
            );
            return Finding::fail(CALL_RECORDED, message)
                .why("nodes keep their records until the control plane takes them");
        }
        tokio::time::sleep(RECORD_LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Verdict;
    use super::*;

    fn asked(server: &str, outcome: Outcome) -> Asked {
        Asked {
            server: server.to_owned(),
            outcome,
            took: Duration::from_millis(7),
        }
    }

    #[test]
    fn one_answer_is_enough_for_the_way_to_be_good() {
        let bad = Outcome::Bad {
            message: "x".to_owned(),
            why: String::new(),
        };
        let all = [
            asked("a", Outcome::NotForKey),
            asked("b", bad.clone()),
            asked("c", Outcome::Tools(2)),
        ];
        let (finding, through) = call(&all);
        assert_eq!((finding.verdict, through), (Verdict::Ok, Some("c")));
        assert_eq!(finding.message, "c tools/list, 7 ms");
        let one = [asked("b", bad)];
        let (finding, through) = call(&one);
        assert_eq!((finding.because, through), (Some(SERVER_TOOLS), None));
    }

    #[test]
    fn a_key_that_may_use_nothing_is_told_where_to_look() {
        let (finding, _) = call(&[asked("time", Outcome::NotForKey)]);
        assert_eq!(finding.verdict, Verdict::Warn);
        assert_eq!(
            finding.fix.as_deref(),
            Some("gatehouse describe Server time")
        );
        let (finding, _) = call(&[asked("time", Outcome::Key)]);
        assert_eq!(finding.verdict, Verdict::Fail);
    }
}
