//! A table of texts, for a terminal and for Markdown.

use std::fmt::Write;

/// Rows of cells, the first row its head. A first cell that repeats the one above is not said
/// twice.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With its head.
    #[must_use]
    pub fn new(head: Vec<String>) -> Self {
        Self { rows: vec![head] }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// How many rows stand below the head.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len().saturating_sub(1)
    }

    /// Whether there is nothing below the head.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Aligned with spaces.
    #[must_use]
    pub fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| Some(row.get(column)?.chars().count())).max()
        };
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        let mut out = String::new();
        for number in 0..self.rows.len() {
            let mut line = String::new();
            for (cell, width) in self.cells(number).zip(&widths) {
                let _ = write!(line, "{cell:<width$}  ");
            }
            let _ = writeln!(out, "{}", line.trim_end());
        }
        out
    }

    /// As GitHub renders it.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut out = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            let cells: Vec<&str> = self.cells(number).collect();
            let _ = writeln!(out, "| {} |", cells.join(" | "));
            if number == 0 {
                let _ = writeln!(out, "|{}", "---|".repeat(row.len()));
            }
        }
        out
    }

    fn cells(&self, number: usize) -> impl Iterator<Item = &str> {
        let title = |row: &Vec<String>| row.first().cloned();
        let above = number.checked_sub(1).and_then(|above| self.rows.get(above)).and_then(title);
        let row = self.rows.get(number).map(Vec::as_slice).unwrap_or_default();
        row.iter().enumerate().map(move |(column, cell)| {
            if column == 0 && above.as_ref() == Some(cell) { "" } else { cell.as_str() }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_said_once() {
        let mut table = Table::new(vec!["a".into(), "b".into()]);
        table.row(vec!["x".into(), "1".into()]);
        table.row(vec!["x".into(), "22".into()]);
        assert_eq!(table.text(), "a  b\nx  1\n   22\n");
        assert_eq!(table.markdown(), "| a | b |\n|---|---|\n| x | 1 |\n|  | 22 |\n");
    }
}
