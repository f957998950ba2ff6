//! The end of a cluster: everything is asked to go, and looked for afterwards; a failed test leaves its logs.

use std::path::Path;
use std::time::Duration;

use super::{Running, kept};
use crate::wait;

/// How long all parts may take to end.
const DRAIN: Duration = Duration::from_secs(60);
/// After so long a part is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(300);
/// Lines that no good run holds.
const ALARMS: [&str; 2] = [" ERROR ", "panicked at"];
/// Alarming lines shown.
const SHOWN_MAX: usize = 20;

impl Running {
    /// Lines of the logs that no good run holds, but for those that the test brings about.
    pub fn alarming(&mut self) -> Vec<String> {
        let tolerated = self.tolerated.clone();
        let alarming = |line: &&str| {
            ALARMS.iter().any(|alarm| line.contains(alarm))
                && !tolerated.iter().any(|text| line.contains(text))
        };
        let mut found = Vec::new();
        for part in self.parts() {
            let log = part.log();
            let lines = log.lines().filter(alarming).take(SHOWN_MAX);
            found.extend(lines.map(|line| format!("{}: {line}", part.name())));
        }
        found
    }

    #[expect(
        clippy::print_stderr,
        reason = "the test runner shows it with the failure"
    )]
    fn report(&mut self) {
        let mut text = String::from("\n======== the cluster of the failed test\n");
        for part in self.parts() {
            text += &part.last_words();
        }
        text += &match self.keep_logs() {
            Ok(folder) => format!("======== whole logs: {folder}"),
            Err(error) => format!("======== the logs are not kept: {error}"),
        };
        eprintln!("{text}");
    }

    fn keep_logs(&mut self) -> std::io::Result<String> {
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("test").replace("::", ".");
        let folder = kept().join(test);
        std::fs::create_dir_all(&folder)?;
        for part in self.parts() {
            copy_if_there(&part.log_file(), &folder)?;
        }
        Ok(folder.display().to_string())
    }

    /// Ends all parts; whether all ended by themselves. Asked more than once, none waits for others to turn away.
    fn end(&mut self) -> bool {
        let mut all = true;
        let mut parts: Vec<_> = self.parts().filter_map(|p| p.runs().then_some(p)).collect();
        let ended = wait::within(DRAIN, || {
            for part in &mut parts {
                part.signal_to_go_on();
                part.ask_to_end();
            }
            parts
                .iter_mut()
                .all(|part| part.ended_within(ASK_AGAIN).is_some())
        });
        for part in parts.iter_mut().filter(|_| !ended) {
            all &= !part.runs();
            part.kill9();
        }
        all
    }
}

fn copy_if_there(file: &Path, folder: &Path) -> std::io::Result<()> {
    if let (true, Some(name)) = (file.exists(), file.file_name()) {
        std::fs::copy(file, folder.join(name))?;
    }
    Ok(())
}

impl Drop for Running {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        if failed {
            self.report();
        }
        let family = self.family();
        let in_time = self.end();
        self.etcd.kill9_all();
        if !failed {
            assert!(in_time, "a part did not end within {DRAIN:?}");
            family.wait_until_gone();
            let alarming = self.alarming();
            assert!(alarming.is_empty(), "{alarming:#?}");
        }
    }
}
