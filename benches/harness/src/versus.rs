//! Figures of two programs, theirs and ours, and the line of a report that sets them side by side.

use crate::stats::{Spread, show};
use crate::table::Table;

/// A figure of a case.
#[derive(Debug, Clone, Copy)]
pub struct Figure {
    /// As the programs print it.
    pub name: &'static str,
    /// What it is shown in.
    pub unit: &'static str,
    /// By what it is divided before it is shown.
    pub scale: f64,
    /// Which of two is the better one.
    pub better: Better,
    /// How many times better ours should be.
    pub target: Option<f64>,
    /// What ours may be at most.
    pub most: Option<f64>,
}

/// Which of two values is the better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// The higher one.
    Higher,
    /// The lower one.
    Lower,
}

impl Figure {
    /// One that should be high.
    #[must_use]
    pub const fn higher(
        name: &'static str,
        unit: &'static str,
        scale: f64,
        target: Option<f64>,
    ) -> Self {
        Self { name, unit, scale, better: Better::Higher, target, most: None }
    }

    /// One that should be low.
    #[must_use]
    pub const fn lower(
        name: &'static str,
        unit: &'static str,
        scale: f64,
        target: Option<f64>,
    ) -> Self {
        Self { name, unit, scale, better: Better::Lower, target, most: None }
    }

    /// A line of the table: of a case with this title, the values of the runs, in the order of the
    /// rounds.
    #[must_use]
    pub fn line(&self, title: String, theirs: &[f64], ours: &[f64]) -> Vec<String> {
        let scaled = |values: &[f64]| values.iter().map(|value| value / self.scale).collect();
        let (theirs, ours): (Vec<f64>, Vec<f64>) = (scaled(theirs), scaled(ours));
        let better = match self.better {
            Better::Higher => Spread::ratio(&ours, &theirs),
            Better::Lower => Spread::ratio(&theirs, &ours),
        };
        let shown = |values: &[f64]| {
            let spread = Spread::of(values.iter().copied());
            spread.map_or("-".to_owned(), |spread| show(spread, digits(spread.median)))
        };
        let own = Spread::of(ours.iter().copied()).map(|spread| spread.median);
        let verdict = match (self.target, better) {
            (None, _) if self.most.is_some() => at_most(self.most, own),
            (Some(target), Some(ratio)) if ratio.median >= target => format!("{target}x, met"),
            (Some(target), Some(_)) => format!("{target}x, missed"),
            (Some(target), None) => format!("{target}x"),
            (None, _) => String::new(),
        };
        vec![
            title,
            format!("{} ({})", self.name, self.unit),
            shown(&theirs),
            shown(&ours),
            better.map_or("-".to_owned(), |ratio| show(ratio, 2)),
            verdict,
        ]
    }
}

/// A table for such lines; how theirs and ours are called.
#[must_use]
pub fn table(theirs: &str, ours: &str) -> Table {
    let head = ["case", "figure", theirs, ours, "better by", "target"];
    Table::new(head.map(str::to_owned).to_vec())
}

fn at_most(most: Option<f64>, own: Option<f64>) -> String {
    let Some(most) = most else { return String::new() };
    match own {
        Some(own) if own <= most => format!("{most} at most, met"),
        Some(_) => format!("{most} at most, missed"),
        None => format!("{most} at most"),
    }
}

fn digits(value: f64) -> usize {
    match value.abs() {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        value if value >= 1.0 => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_met_by_what_is_better() {
        let verdict = |figure: Figure, theirs: &[f64], ours: &[f64]| {
            let line = figure.line("case".into(), theirs, ours);
            (line[4].clone(), line[5].clone())
        };
        let rate = Figure::higher("rate", "k", 1e3, Some(4.0));
        let seen = verdict(rate, &[1000.0, 1000.0], &[4000.0, 5000.0]);
        assert_eq!(seen, ("4.50 (4.00-5.00)".into(), "4x, met".into()));
        assert_eq!(verdict(rate, &[4000.0], &[1000.0]).1, "4x, missed");
        let time = Figure::lower("seconds", "s", 1.0, Some(2.0));
        assert_eq!(verdict(time, &[3.0], &[1.0]), ("3.00 (3.00-3.00)".into(), "2x, met".into()));
        assert_eq!(verdict(time, &[1.0], &[3.0]).1, "2x, missed");
        assert_eq!(verdict(time, &[], &[3.0]), ("-".into(), "2x".into()));
        let most = Figure { most: Some(2.0), ..Figure::lower("ratio", "", 1.0, None) };
        assert_eq!(verdict(most, &[], &[3.0]).1, "2 at most, missed");
    }
}
