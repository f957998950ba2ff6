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
/// Where others had more of the machine than this, calls a second and latency are not the target's alone.
const OTHERS_MAX: f64 = 0.05;

/// Three tables: speed, processor time, memory; and what is to be known about them. `missing`: candidates that could
/// not be started, each with its error.
#[must_use]
pub fn tables(rows: &[Row], missing: &[(String, String)]) -> String {
    let mut parts = vec![
        titled("Speed", &speed(rows, missing)),
        titled(
            "Processor time a call, us (BETWEEN: all that stands between client and server; NOBODY: charged to no process)",
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
            "OTHERS",
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
                percent(figures.others_busy.median),
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
        "NOBODY",
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
            tenths(figures.interrupts_us),
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
    let shared = rows
        .iter()
        .filter(|row| row.figures.others_busy.median > OTHERS_MAX);
    match shared.count() {
        0 => {}
        shared => notes.push(format!(
            "in {shared} of {} rows others had more than {} of the machine: speed and latency there are not the target's alone",
            rows.len(),
            percent(OTHERS_MAX)
        )),
    }
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
            let busy = percent(figures.generator_busy.median);
            notes.push(format!(
                "{at}: the generator worked {busy} of the time: it, too, limits these figures"
            ));
        }
    }
    notes
}

/// A table whose first columns hold words, and the others numbers.
pub(crate) fn new(header: &[&str], words: usize) -> Table {
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

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

fn whole(value: f64) -> String {
    format!("{value:.0}")
}

/// So many MiB.
pub(crate) fn mib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests;
