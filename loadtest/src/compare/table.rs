//! The comparison as people read it. Pure.

use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};

use super::figures::{Figures, Spread};
use super::{Role, Row};
use crate::latency::shown;

/// Between two columns.
const GAP: u16 = 2;
/// A generator that works for more of its time than this is itself what limits the figures.
const BUSY_MAX: f64 = 0.9;

/// Three tables: speed, processor time, memory; and what is to be known about them. `missing`: candidates that could
/// not be started, each with its error.
#[must_use]
pub fn tables(rows: &[Row], missing: &[(String, String)]) -> String {
    let mut parts = vec![
        titled("Speed", &speed(rows, missing)),
        titled(
            "Processor time a call, us (user and system; between: all that stands between client and server)",
            &cost(rows),
        ),
        titled("Memory, MiB", &memory(rows)),
    ];
    parts.extend(notes(rows, missing));
    parts.join("\n\n")
}

fn titled(title: &str, table: &Table) -> String {
    format!("{title}\n\n{}", table.trim_fmt())
}

fn speed(rows: &[Row], missing: &[(String, String)]) -> Table {
    let mut table = new(
        &[
            "TARGET",
            "LOAD",
            "CALLS/S",
            "LEAST..MOST",
            "P50",
            "P99",
            "FAILED",
        ],
        2,
    );
    for row in rows {
        let figures = &row.figures;
        let mut cells = vec![row.candidate.clone(), row.pace.to_string()];
        if figures.rounds == 0 {
            cells.extend(["not measured"].map(str::to_owned));
        } else {
            let Spread { median, min, max } = figures.calls_per_s;
            cells.extend([
                whole(median),
                format!("{}..{}", whole(min), whole(max)),
                us(figures.p50_us),
                us(figures.p99_us),
                figures.failed.to_string(),
            ]);
        }
        table.add_row(cells);
    }
    for (name, _) in missing {
        table.add_row([name.as_str(), "-", "not started"]);
    }
    table
}

fn cost(rows: &[Row]) -> Table {
    let header = [
        "TARGET",
        "LOAD",
        "BETWEEN",
        "SERVER",
        "LOADTEST",
        "BETWEEN IS",
    ];
    let mut table = new(&header, 2);
    left(&mut table, header.len() - 1);
    for row in rows.iter().filter(|row| row.figures.rounds > 0) {
        let figures = &row.figures;
        table.add_row([
            row.candidate.clone(),
            row.pace.to_string(),
            tenths(figures.between_us),
            tenths(figures.server_us),
            tenths(figures.generator_us),
            parts(figures),
        ]);
    }
    table
}

/// `edge 61.2 + sidecar 70.3`
fn parts(figures: &Figures) -> String {
    let between = figures
        .costs
        .iter()
        .filter(|cost| cost.role == Role::Between);
    let parts: Vec<_> = between
        .map(|cost| format!("{} {:.1}", cost.name, cost.cpu_us))
        .collect();
    if parts.is_empty() {
        "-".to_owned()
    } else {
        parts.join(" + ")
    }
}

/// Of each candidate under its last load: there it holds the most.
fn memory(rows: &[Row]) -> Table {
    let mut table = new(&["TARGET", "LOAD", "PROCESS", "NOW", "PEAK"], 3);
    let last = |row: &&Row| {
        let same = rows.iter().rfind(|other| other.candidate == row.candidate);
        same.is_some_and(|last| last.pace == row.pace)
    };
    for row in rows.iter().filter(last) {
        for cost in &row.figures.costs {
            table.add_row([
                row.candidate.clone(),
                row.pace.to_string(),
                cost.name.clone(),
                mib(cost.memory.rss_bytes),
                mib(cost.memory.rss_peak_bytes),
            ]);
        }
    }
    table
}

/// What the reader should know before believing a figure.
fn notes(rows: &[Row], missing: &[(String, String)]) -> Vec<String> {
    let mut notes = Vec::new();
    for (name, error) in missing {
        notes.push(format!("not started: {name}: {error}"));
    }
    for row in rows {
        let (figures, at) = (&row.figures, format!("{}, {}", row.candidate, row.pace));
        if let Some(fault) = &figures.fault {
            notes.push(format!("{at}: a round was not measured: {fault}"));
        }
        if figures.failed > 0 {
            let failures = row.slices.iter().find(|slice| slice.failed > 0);
            let failures = failures.map(|slice| slice.failures.to_string());
            let failures = failures.unwrap_or_default();
            notes.push(format!(
                "{at}: calls failed, in the first such round:\n{failures}"
            ));
        }
        if figures.unsettled > 0 {
            let (unsettled, rounds) = (figures.unsettled, figures.rounds);
            notes.push(format!(
                "{at}: still at work after {unsettled} of {rounds} rounds, so that some of its cost is missing"
            ));
        }
        if figures.generator_busy.median > BUSY_MAX {
            let busy = 100.0 * figures.generator_busy.median;
            notes.push(format!(
                "{at}: the generator worked {busy:.0} % of the time: it, too, limits these figures"
            ));
        }
    }
    notes
}

/// A table whose first columns hold words, and the others numbers.
fn new(header: &[&str], words: usize) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, GAP));
        if index >= words {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn left(table: &mut Table, index: usize) {
    if let Some(column) = table.column_mut(index) {
        column.set_cell_alignment(CellAlignment::Left);
    }
}

fn us(spread: Spread) -> String {
    shown(Duration::from_secs_f64(spread.median / 1e6))
}

fn tenths(spread: Spread) -> String {
    format!("{:.1}", spread.median)
}

fn whole(value: f64) -> String {
    format!("{value:.0}")
}

fn mib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::super::slice::{Cost, Slice};
    use super::*;
    use crate::load::Pace;
    use crate::process::Usage;

    fn row(candidate: &str, pace: Pace, slice: Slice) -> Row {
        let slices = vec![slice];
        Row {
            candidate: candidate.to_owned(),
            pace,
            figures: Figures::of(&slices),
            slices,
        }
    }

    fn measured() -> Slice {
        let cost = |name: &str, role, cpu_us| Cost {
            name: name.to_owned(),
            role,
            cpu_us,
            memory: Usage {
                rss_bytes: 10 << 20,
                rss_peak_bytes: 12 << 20,
                ..Usage::default()
            },
        };
        Slice {
            calls_per_s: 1234.4,
            answered: 10,
            at_rest: true,
            costs: vec![
                cost("edge", Role::Between, 61.23),
                cost("sidecar", Role::Between, 70.0),
                cost("server", Role::Server, 5.0),
            ],
            generator_us: Some(9.0),
            generator_busy: Some(0.5),
            ..Slice::default()
        }
    }

    #[test]
    fn each_figure_stands_in_its_place() {
        let text = tables(
            &[row("edge and sidecar", Pace::Clients(16), measured())],
            &[],
        );
        let lines: Vec<_> = text.lines().collect();
        let found = |words: &str| {
            let same =
                |line: &&&str| line.split_whitespace().collect::<Vec<_>>().join(" ") == words;
            assert!(lines.iter().any(|line| same(&line)), "{words}\nin\n{text}");
        };
        found("edge and sidecar 16 clients 1234 1234..1234 0.00 us 0.00 us 0");
        found("edge and sidecar 16 clients 131.2 5.0 9.0 edge 61.2 + sidecar 70.0");
        found("edge and sidecar 16 clients sidecar 10.0 12.0");
        assert!(lines.iter().all(|line| line.trim_end() == *line), "{text}");
    }

    #[test]
    fn what_makes_a_figure_doubtful_is_said() {
        let doubtful = Slice {
            at_rest: false,
            failed: 3,
            generator_busy: Some(0.97),
            ..measured()
        };
        let gone = Slice {
            fault: Some("edge is gone".to_owned()),
            ..Slice::default()
        };
        let rows = [
            row("a", Pace::Clients(1), doubtful),
            row("b", Pace::Clients(1), gone),
        ];
        let text = tables(&rows, &[("c".to_owned(), "no nginx here".to_owned())]);
        for words in [
            "a, 1 client: still at work after 1 of 1 rounds",
            "a, 1 client: calls failed",
            "a, 1 client: the generator worked 97 %",
            "b, 1 client: a round was not measured: edge is gone",
            "not started: c: no nginx here",
        ] {
            assert!(text.contains(words), "{words}\nin\n{text}");
        }
    }
}
