//! What a failed test leaves behind for whoever reads it: every part's last words, the nodes and the audit trail.

use std::path::Path;

use crate::mesh::Running;

/// Lines shown of each log.
const LINES_MAX: usize = 60;
/// The commands whose output is shown.
const COMMANDS: [&[&str]; 3] = [
    &["nodes"],
    &["server", "status"],
    &["audit", "list", "--limit", "20"],
];

/// Prints it.
#[expect(
    clippy::print_stderr,
    reason = "the test runner shows it with the failure"
)]
pub fn print(mesh: &Running) {
    let mut text = String::from("\n======== the mesh of the failed test\n");
    section(&mut text, "gatehouse up, stdout", &mesh.stdout());
    section(&mut text, "gatehouse up, stderr", &mesh.stderr());
    for (name, log) in logs(mesh.data()) {
        section(&mut text, &name, &log);
    }
    for words in COMMANDS {
        // Not through `gatehouse()`, which panics where the command hangs.
        match mesh.try_gatehouse(words) {
            Some(output) => text += &format!("{output}\n"),
            None => text += &format!("-------- gatehouse {}: no answer\n", words.join(" ")),
        }
    }
    eprintln!("{text}========");
}

/// Lines of the logs that no good run holds: errors, and panics of any process.
///
/// Warnings are no fault: tests take parts away on purpose.
pub fn alarming(mesh: &Running) -> Vec<String> {
    let alarming = |line: &&str| line.contains(" ERROR ") || line.contains("panicked at");
    let of = |(name, log): &(String, String)| -> Vec<String> {
        log.lines()
            .filter(alarming)
            .map(|line| format!("{name}: {line}"))
            .collect()
    };
    logs(mesh.data()).iter().flat_map(of).collect()
}

fn section(text: &mut String, title: &str, content: &str) {
    let lines: Vec<_> = content.lines().collect();
    let shown = &lines[lines.len().saturating_sub(LINES_MAX)..];
    *text += &format!(
        "-------- {title} ({} lines, the last {})\n",
        lines.len(),
        shown.len()
    );
    for line in shown {
        *text += line;
        text.push('\n');
    }
}

fn logs(data: &Path) -> Vec<(String, String)> {
    let Ok(entries) = std::fs::read_dir(data.join("logs")) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let bytes = std::fs::read(path).unwrap_or_default();
        (
            format!(
                "logs/{}",
                path.file_name().unwrap_or_default().to_string_lossy()
            ),
            bytes,
        )
    };
    paths
        .iter()
        .map(read)
        .map(|(name, bytes)| (name, String::from_utf8_lossy(&bytes).into_owned()))
        .collect()
}
