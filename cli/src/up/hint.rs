//! The line after `next`: a command with this system's real names that works now.

use std::time::Duration;

use crate::caller::Caller;
use crate::context::Context;
use crate::show::shell_word;
use crate::tools::sample;

/// How long the look at a server's tools may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What to type next: a call of a tool that was seen to be there, else the nearest thing that works.
pub(super) async fn next(context: &Context, server: Option<&str>) -> String {
    let Some(server) = server else {
        return "gatehouse apply -f FILE".to_owned();
    };
    let Ok(caller) = Caller::new(context) else {
        return format!("gatehouse connect {}", shell_word(server));
    };
    match caller.tools(server, TIMEOUT).await {
        Ok(Ok(tools)) => tools
            .iter()
            .find_map(|tool| sample(server, tool))
            .unwrap_or_else(|| format!("gatehouse tools {}", shell_word(server))),
        // No rule lets the admin use it, or it went away: the URL is right all the same.
        _ => format!("gatehouse connect {}", shell_word(server)),
    }
}
