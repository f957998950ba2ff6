//! The matrix as it stands in `docs/compatibility.md`, between two markers.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{Cell, Matrix, Row};
use crate::place;

const PAGE: &str = "docs/compatibility.md";
const BEGIN: &str = "<!-- matrix:begin -->\n";
const END: &str = "<!-- matrix:end -->";

/// What the page says now.
///
/// # Panics
/// Where a marker is missing.
pub fn written() -> String {
    split(&page()).1.to_owned()
}

/// Puts a table where the page had another.
pub fn write(table: &str) {
    let page = page();
    let (before, _, after) = split(&page);
    let new = format!("{before}{table}{after}");
    std::fs::write(place::file(PAGE), new).expect("the page can be written");
}

fn page() -> String {
    std::fs::read_to_string(place::file(PAGE)).expect("the page can be read")
}

/// What stands before the table, it, and what stands after it.
fn split(page: &str) -> (&str, &str, &str) {
    let at = |marker| {
        page.find(marker)
            .unwrap_or_else(|| panic!("{PAGE} has no {marker}"))
    };
    let (begin, end) = (at(BEGIN) + BEGIN.len(), at(END));
    (&page[..begin], &page[begin..end], &page[end..])
}

impl Matrix {
    /// A table for each server, and why cells are excluded.
    pub fn table(&self) -> String {
        let servers = self.rows.chunk_by(|one, next| one.server == next.server);
        servers.map(server).chain(self.reasons()).collect()
    }

    /// A line each, behind the last table.
    fn reasons(&self) -> BTreeSet<String> {
        let of_row = |row: &Row| {
            let line = |(feature, cell): &(&str, Cell)| match cell {
                Cell::Excluded(_, why) => {
                    let (mark, server) = (mark(cell), row.server);
                    Some(format!("* {mark} {server}, {feature}: {why}.\n"))
                }
                _ => None,
            };
            row.cells.iter().filter_map(line).collect::<Vec<_>>()
        };
        self.rows.iter().flat_map(of_row).collect()
    }
}

fn server(rows: &[Row]) -> String {
    let features = rows[0].cells.iter().map(|(feature, _)| *feature);
    let mut text = format!("\n### {}\n\n", rows[0].server);
    let head = ["client", "directly", "here"].into_iter().chain(features);
    let head: Vec<_> = head.collect();
    let _ = writeln!(text, "| {} |", head.join(" | "));
    let _ = writeln!(text, "|{}", "---|".repeat(head.len()));
    for row in rows {
        let revision = |of: &Option<String>| of.clone().unwrap_or_else(|| "–".to_owned());
        let mut words = vec![
            row.client.to_owned(),
            revision(&row.directly),
            revision(&row.through),
        ];
        words.extend(row.cells.iter().map(|(_, cell)| mark(cell)));
        let _ = writeln!(text, "| {} |", words.join(" | "));
    }
    text + "\n"
}

fn mark(cell: &Cell) -> String {
    match cell {
        Cell::Works => "✓".to_owned(),
        Cell::Bridged => "+".to_owned(),
        Cell::Cannot => "·".to_owned(),
        Cell::Excluded(clause, _) => format!("[{clause}]"),
        Cell::Fails => "✗".to_owned(),
    }
}
