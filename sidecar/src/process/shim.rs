//! The process between sidecar and server that leaves nothing behind: the same binary, started as
//! `… --shim watch …`, which starts the server by way of `… --shim exec …`.
//!
//! It becomes a subreaper, so that daemons which the server forks stay below it, and holds the far end
//! of a pipe whose near end only the sidecar has. When that pipe ends (the sidecar closed it, or is
//! gone, however it died), when it is told to stop by a signal, or when the server has ended, it ends
//! all that is below it, then itself, with the server's exit status (128 + signal, as shells have it).
//! The server's own streams go straight through. The second stage makes the server a session of its
//! own and lets the kernel kill it if even the shim is killed; then it becomes the server.
//!
//! Must not know MCP, settings or configuration: all comes by arguments.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use rustix::process::{
    Pid, Signal, WaitStatus, getpid, getppid, set_child_subreaper, set_parent_process_death_signal,
    setsid,
};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::signal::unix::{SignalKind, signal};

use super::tree::Reaper;

/// The first argument by which a binary knows that it is to be the shim.
pub const FLAG: &str = "--shim";
/// The program cannot be found, as shells have it.
pub const EXIT_NOT_FOUND: u8 = 127;
/// The program cannot be started, as shells have it.
pub const EXIT_CANNOT_START: u8 = 126;
/// Added to the number of the signal that ended the server, as shells have it.
pub const EXIT_BY_SIGNAL: u8 = 128;
/// The shim itself failed.
const EXIT_SHIM_FAILED: u8 = 125;

const WATCH: &str = "watch";
const EXEC: &str = "exec";
/// This binary, also after it was replaced on disk.
const SELF: &str = "/proc/self/exe";
/// How the shim is shown in lists of processes.
const SHOWN_AS: &str = "gatehouse-shim";

/// Acts as the shim if the arguments (without the program's name) ask for it. Every binary that runs a
/// sidecar calls this first, before it starts any thread.
pub fn intercept(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.into_iter();
    if arguments.next()? != FLAG {
        return None;
    }
    let done = parse(arguments).and_then(|job| match job {
        Job::Watch {
            lifeline,
            grace,
            argv,
        } => watch(&lifeline, grace, &argv),
        Job::Exec { parent, argv } => Ok(exec(parent, &argv)),
    });
    let code = done.unwrap_or_else(|error| {
        complain(&format_args!("shim: {error}"));
        EXIT_SHIM_FAILED
    });
    Some(ExitCode::from(code))
}

/// The command that runs `argv` under a shim. `lifeline` is a path under which the shim can open the
/// read end of a pipe; `program` is a binary that calls [`intercept`].
pub fn command(program: &Path, lifeline: &Path, grace: Duration, argv: &[String]) -> Command {
    let mut command = Command::new(program);
    // A group of its own: Ctrl-C at a terminal is for the sidecar, which then stops the server in order.
    command.arg0(SHOWN_AS).process_group(0);
    command.args([OsStr::new(FLAG), OsStr::new(WATCH), lifeline.as_os_str()]);
    command.arg(grace.as_millis().to_string()).args(argv);
    command
}

enum Job {
    Watch {
        lifeline: PathBuf,
        grace: Duration,
        argv: Vec<OsString>,
    },
    Exec {
        parent: i32,
        argv: Vec<OsString>,
    },
}

fn parse(mut arguments: impl Iterator<Item = OsString>) -> io::Result<Job> {
    let mut next = |what| {
        arguments
            .next()
            .ok_or_else(|| io::Error::other(format!("{what} is missing")))
    };
    let number = |text: OsString| {
        text.to_str()
            .and_then(|text| text.parse::<u32>().ok())
            .ok_or_else(|| io::Error::other(format!("{} is not a number", text.to_string_lossy())))
    };
    let mode = next("a mode")?;
    let job = if mode == WATCH {
        let lifeline = next("the lifeline")?.into();
        let grace = Duration::from_millis(number(next("the grace")?)?.into());
        Job::Watch {
            lifeline,
            grace,
            argv: arguments.collect(),
        }
    } else if mode == EXEC {
        let parent = number(next("the parent")?)?.cast_signed();
        Job::Exec {
            parent,
            argv: arguments.collect(),
        }
    } else {
        return Err(io::Error::other(format!(
            "mode {} is unknown",
            mode.to_string_lossy()
        )));
    };
    let (Job::Watch { argv, .. } | Job::Exec { argv, .. }) = &job;
    if argv.is_empty() {
        return Err(io::Error::other("the program is missing"));
    }
    Ok(job)
}

/// First stage: starts the second one, waits for the end of either side, ends the rest.
fn watch(lifeline: &Path, grace: Duration, argv: &[OsString]) -> io::Result<u8> {
    set_child_subreaper(Some(getpid()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // All listeners stand before there is something to hear of.
        let mut lifeline = pipe::OpenOptions::new().open_receiver(lifeline)?;
        let ended = signal(SignalKind::child())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let server = start(argv)?;
        let mut reaper = Reaper::new(server, ended);
        let mut nothing = [0; 1];
        tokio::select! {
            () = reaper.main_ended() => {}
            _ = lifeline.read(&mut nothing) => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
        }
        if !reaper.end_all(grace).await {
            complain(&"some processes of the server cannot be killed");
        }
        Ok(reaper.status.map_or(EXIT_SHIM_FAILED, exit_code))
    })
}

/// Starts the second stage, then lets go of the server's streams: they end when the server's ends do.
fn start(argv: &[OsString]) -> io::Result<Pid> {
    let child = Command::new(SELF)
        .args([FLAG, EXEC, &getpid().as_raw_nonzero().to_string()])
        .args(argv)
        .spawn()?;
    let null = File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    // Not waited for through `child`: the reaper takes all that ends.
    Ok(Pid::from_child(&child))
}

/// Second stage: becomes the server. Returns only if that fails.
fn exec(parent: i32, argv: &[OsString]) -> u8 {
    let Some((program, arguments)) = argv.split_first() else {
        return EXIT_SHIM_FAILED;
    };
    let tied = set_parent_process_death_signal(Some(Signal::KILL)).is_ok()
        // Had the shim died before the line above, nobody would kill us.
        && getppid().is_some_and(|pid| pid.as_raw_nonzero().get() == parent);
    if !tied || setsid().is_err() {
        return EXIT_SHIM_FAILED;
    }
    let error = Command::new(program).args(arguments).exec();
    complain(&format_args!(
        "cannot start {}: {error}",
        program.to_string_lossy()
    ));
    match error.kind() {
        io::ErrorKind::NotFound => EXIT_NOT_FOUND,
        _ => EXIT_CANNOT_START,
    }
}

fn exit_code(status: WaitStatus) -> u8 {
    let by_signal = status
        .terminating_signal()
        .map(|signal| signal + i32::from(EXIT_BY_SIGNAL));
    let code = status.exit_status().or(by_signal).unwrap_or_default();
    u8::try_from(code).unwrap_or(EXIT_SHIM_FAILED)
}

#[expect(
    clippy::print_stderr,
    reason = "standard error is where the sidecar looks for it"
)]
fn complain(what: &dyn std::fmt::Display) {
    eprintln!("gatehouse: {what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_arguments_are_left_alone() {
        assert!(intercept([OsString::from("--listen"), OsString::from(FLAG)]).is_none());
        assert!(intercept([]).is_none());
    }

    #[test]
    fn what_the_command_says_is_what_the_shim_reads() {
        let argv = ["/bin/echo".to_owned(), "--shim".to_owned()];
        let grace = Duration::from_millis(1500);
        let command = command(
            Path::new("sidecar"),
            Path::new("/proc/1/fd/9"),
            grace,
            &argv,
        );
        let job = parse(command.get_args().skip(1).map(OsStr::to_owned));
        let Ok(Job::Watch {
            lifeline,
            grace: read,
            argv: program,
        }) = job
        else {
            panic!("not a watch job")
        };
        assert_eq!(
            (lifeline.as_path(), read),
            (Path::new("/proc/1/fd/9"), grace)
        );
        assert_eq!(program, argv.map(OsString::from));
    }
}
