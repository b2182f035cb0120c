//! The report on a terminal: verdict, table, and a plot of the page cache.

use std::path::Path;

use super::super::arms::Side;
use super::super::model::Report;
use super::markdown::table;
use super::say_where;
use super::series::{BandPoint, band, page_cache};
use crate::output::say;
use crate::units::display_bytes;

const PLOT_COLUMNS: usize = 64;
const PLOT_ROWS: usize = 10;
const MARKS: [char; 2] = ['*', 'o'];
/// Where both arms are.
const BOTH: char = '@';

pub(in super::super) fn print(report: &Report, dir: &Path) -> anyhow::Result<()> {
    say!("{}", report.verdict.headline);
    for sentence in &report.verdict.sentences {
        say!("  {sentence}");
    }
    if !report.rows.is_empty() {
        say!("");
        say!("{}", table(report).text().trim_end());
    }
    let lines = Side::BOTH.map(|side| band(report, side, page_cache));
    if let Some(plot) = plot(&lines) {
        say!("");
        let [baseline, candidate] = MARKS;
        say!("page cache over time ({baseline} baseline, {candidate} candidate, {BOTH} both)");
        say!("{}", plot.trim_end());
    }
    say!("");
    say_where(dir);
    Ok(())
}

/// Medians over time; none if there is nothing to draw.
fn plot(lines: &[Vec<BandPoint>; 2]) -> Option<String> {
    let points = || lines.iter().flatten();
    let end = points().map(|point| point.seconds).fold(0.0, f64::max);
    let top = points().map(|point| point.median).fold(0.0, f64::max);
    if end <= 0.0 || top <= 0.0 {
        return None;
    }
    let mut cells = vec![[' '; PLOT_COLUMNS]; PLOT_ROWS];
    for (line, mark) in lines.iter().zip(MARKS) {
        for point in line {
            let column = (point.seconds / end * (PLOT_COLUMNS - 1) as f64).round() as usize;
            let height = (point.median / top * (PLOT_ROWS - 1) as f64).round() as usize;
            let row = cells.get_mut(PLOT_ROWS - 1 - height.min(PLOT_ROWS - 1));
            if let Some(cell) = row.and_then(|row| row.get_mut(column)) {
                *cell = if [' ', mark].contains(cell) { mark } else { BOTH };
            }
        }
    }
    let mut out = String::new();
    for (number, row) in cells.iter().enumerate() {
        let label = match number {
            0 => display_bytes(top as u64),
            _ if number == PLOT_ROWS - 1 => "0".to_owned(),
            _ => String::new(),
        };
        let line: String = row.iter().collect();
        out.push_str(&format!("{label:>11} |{}\n", line.trim_end()));
    }
    out.push_str(&format!("{:>11} +{}\n", "", "-".repeat(PLOT_COLUMNS)));
    out.push_str(&format!("{:>11}  0 s{:>width$.1} s\n", "", end, width = PLOT_COLUMNS - 5));
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(value: f64) -> Vec<BandPoint> {
        let point =
            |at: u32| BandPoint { seconds: f64::from(at), low: value, median: value, high: value };
        (0..=10).map(point).collect()
    }

    #[test]
    fn the_greater_arm_stands_above_the_other() {
        let plot = plot(&[flat(1_048_576.0), flat(0.0)]).unwrap();
        let lines: Vec<&str> = plot.lines().collect();
        assert_eq!(lines.len(), PLOT_ROWS + 2);
        assert!(lines[0].trim_start().starts_with("1.0 MiB |*") && !lines[0].contains('o'));
        assert!(lines[PLOT_ROWS - 1].contains('o') && !lines[PLOT_ROWS - 1].contains('*'));
        assert!(lines.iter().all(|line| line.len() <= 80), "{plot}");
        let same = super::plot(&[flat(1.0), flat(1.0)]).unwrap();
        assert!(same.contains('@') && !same.contains('*'));
        assert_eq!(super::plot(&[Vec::new(), Vec::new()]), None);
    }
}
