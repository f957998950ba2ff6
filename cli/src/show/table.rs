//! Tables for people: capital headers, two spaces between columns, no borders, `-` for an empty cell.
//!
//! Never wraps: what is read by a pipe must keep one row a line.

use super::{Meaning, paint};

/// Spaces between two columns.
const GAP: usize = 2;

/// A table under construction.
#[derive(Debug, Clone)]
pub struct Table {
    header: Vec<String>,
    rows: Vec<Vec<(String, Meaning)>>,
}

impl Table {
    /// An empty table with these columns, already in capitals.
    pub fn new(header: &[&str]) -> Self {
        Self {
            header: header.iter().map(|h| (*h).to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row of plain cells.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.cells(
            cells
                .into_iter()
                .map(|text| (text, Meaning::Plain))
                .collect(),
        );
    }

    /// Adds a row whose cells each say what they mean.
    pub fn cells(&mut self, cells: Vec<(String, Meaning)>) {
        self.rows.push(
            cells
                .into_iter()
                .map(|(text, meaning)| (tame(&text), meaning))
                .collect(),
        );
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether each row has a cell for each column.
    #[cfg(test)]
    pub(crate) fn is_even(&self) -> bool {
        self.rows.iter().all(|row| row.len() == self.header.len())
    }

    /// The table as lines, without a newline at the end.
    pub(super) fn render(&self, color: bool) -> String {
        let mut table = comfy_table::Table::new();
        table
            .load_style(comfy_table::presets::NOTHING)
            .set_header(&self.header);
        for row in &self.rows {
            table.add_row(row.iter().map(|(text, _)| text));
        }
        let last = self.header.len().saturating_sub(1);
        for (index, column) in table.column_iter_mut().enumerate() {
            let gap = if index == last { 0 } else { GAP };
            column.set_padding((0, u16::try_from(gap).unwrap_or(0)));
        }
        let widths: Vec<usize> = table
            .column_max_content_widths()
            .into_iter()
            .map(usize::from)
            .collect();
        let text = table.trim_fmt();
        if !color {
            return text;
        }
        // Colour goes in after the layout, which would count its bytes as letters.
        text.lines()
            .enumerate()
            .map(
                |(n, line)| match n.checked_sub(1).and_then(|n| self.rows.get(n)) {
                    Some(row) => colored(line, row, &widths),
                    None => line.to_owned(),
                },
            )
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// A laid-out line, with the cells that mean something painted.
fn colored(line: &str, row: &[(String, Meaning)], widths: &[usize]) -> String {
    if row
        .iter()
        .all(|(text, meaning)| *meaning == Meaning::Plain || !text.is_ascii())
        || !line.is_ascii()
    {
        return line.to_owned();
    }
    let mut out = String::new();
    let mut at = 0;
    for ((text, meaning), width) in row.iter().zip(widths) {
        let end = (at + width + GAP).min(line.len());
        let cell = &line[at.min(end)..end];
        out.push_str(&paint(true, *meaning, text));
        out.push_str(cell.get(text.len()..).unwrap_or_default());
        at = end;
    }
    out.trim_end().to_owned()
}

/// A cell that stays on one line and cannot move the cursor: what it shows may come from anywhere.
fn tame(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() {
        return "-".to_owned();
    }
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new(&["TIME", "USER", "CALL", "MS"]);
        table.row(["12:04:31", "admin", "everything/echo", "38"].map(str::to_owned));
        table.cells(vec![
            ("12:04:32".to_owned(), Meaning::Plain),
            (String::new(), Meaning::Plain),
            ("time/get\n\u{1b}[2Jx".to_owned(), Meaning::Act),
            ("1200".to_owned(), Meaning::Plain),
        ]);
        table
    }

    #[test]
    fn a_table_has_capitals_two_spaces_and_no_borders() {
        assert_eq!(
            sample().render(false),
            "TIME      USER   CALL             MS\n\
             12:04:31  admin  everything/echo  38\n\
             12:04:32  -      time/get  [2Jx   1200"
        );
    }

    #[test]
    fn colour_changes_nothing_but_colour() {
        let colored = sample().render(true);
        assert!(
            colored.contains("\u{1b}[31mtime/get  [2Jx\u{1b}[0m   1200"),
            "{colored:?}"
        );
        let plain = colored.replace("\u{1b}[31m", "").replace("\u{1b}[0m", "");
        assert_eq!(plain, sample().render(false));
    }
}
