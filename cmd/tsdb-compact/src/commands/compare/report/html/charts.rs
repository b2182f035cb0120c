//! Figures over time with their bands, and how long writes took.

use super::super::super::arms::Side;
use super::super::super::format::show_value;
use super::super::super::model::Report;
use super::super::super::rows::Unit;
use super::super::super::writes::Writes;
use super::super::series::{BandPoint, Figure, band};
use super::svg::Plot;
use super::ticks::{binary, decimal};

const HEIGHT: f64 = 220.0;

/// Medians of the runs over time, and the range of all of them; none if an arm has none.
pub(super) fn over_time(report: &Report, title: &str, figure: Figure) -> Option<String> {
    let bands = Side::BOTH.map(|side| (side, band(report, side, figure)));
    if bands.iter().any(|(_, points)| points.is_empty()) {
        return None;
    }
    let points = || bands.iter().flat_map(|(_, points)| points);
    let end = points().map(|point| point.seconds).fold(0.0, f64::max);
    let top = points().map(|point| point.high).fold(0.0, f64::max);
    let levels = binary(top.max(1024.0));
    let times = decimal(end.max(0.1));
    let highest = levels.last().copied().unwrap_or(1.0);
    let mut plot = Plot::new((0.0, end.max(0.1)), (0.0, highest), HEIGHT);
    plot.left_axis(&levels, |bytes| show_value(bytes, Unit::Bytes));
    let shown: Vec<f64> = times.into_iter().filter(|time| *time <= end.max(0.1)).collect();
    plot.lower_axis(&shown, |seconds| format!("{seconds}"), "seconds since the start of the run");
    for (side, points) in &bands {
        plot.arm(*side, |plot| draw_band(plot, points));
    }
    let peaks = bands.each_ref().map(|(side, points)| {
        let peak = points.iter().map(|point| point.high).fold(0.0, f64::max);
        format!("{} up to {}", side.name(), show_value(peak, Unit::Bytes))
    });
    let label = format!("{title}: {}", peaks.join(", "));
    let caption = "Line: median of the runs. Band: from the lowest to the highest run. Watching \
                   goes on behind the end of a run.";
    Some(figure_of(&plot.finish(&label), caption))
}

fn draw_band(plot: &mut Plot, points: &[BandPoint]) {
    let upper = points.iter().map(|point| (point.seconds, point.high));
    let lower = points.iter().rev().map(|point| (point.seconds, point.low));
    plot.band(upper.chain(lower));
    plot.line(points.iter().map(|point| (point.seconds, point.median)));
}

/// The share of writes that took no longer than a time; none unless both arms are ours.
pub(super) fn write_latency(report: &Report) -> Option<String> {
    let [baseline, candidate] = Side::BOTH.map(|side| report.writes(side));
    let arms = [(Side::Baseline, baseline?), (Side::Candidate, candidate?)];
    if arms.iter().any(|(_, writes)| writes.count == 0) {
        return None;
    }
    let (first, last) = bounds(&arms)?;
    let (low, high) = (first.log10(), last.log10());
    let mut plot = Plot::new((low, high), (0.0, 1.0), HEIGHT);
    let shares = [0.0, 0.25, 0.5, 0.75, 1.0];
    plot.left_axis(&shares, |share| format!("{:.0} %", share * 100.0));
    let powers = (low.ceil() as i32..=high.floor() as i32).map(f64::from);
    let powers: Vec<f64> = powers.collect();
    plot.lower_axis(
        &powers,
        |power| show_value(10.0_f64.powf(power), Unit::Seconds),
        "duration of a write",
    );
    for (side, writes) in &arms {
        let count = writes.count as f64;
        let inside = writes.buckets.iter().filter(|(bound, _)| (first..=last).contains(bound));
        let points = inside.map(|(bound, below)| (bound.log10(), *below as f64 / count));
        plot.arm(*side, |plot| plot.line(points));
    }
    let medians = arms.each_ref().map(|(side, writes)| {
        let quantile = |share| {
            let seconds = writes.quantile_seconds(share).unwrap_or_default();
            show_value(seconds, Unit::Seconds)
        };
        format!("{} {} and {}", side.name(), quantile(0.5), quantile(0.99))
    });
    let label = format!("Median and 99th percentile of writes: {}", medians.join(", "));
    let caption = "Share of the write calls of all runs that took no longer.";
    Some(figure_of(&plot.finish(&label), caption))
}

/// From the last bound with nothing below it to the first with everything.
fn bounds(arms: &[(Side, Writes); 2]) -> Option<(f64, f64)> {
    let mut range: Option<(f64, f64)> = None;
    for (_, writes) in arms {
        let empty = writes.buckets.iter().take_while(|(_, below)| *below == 0).last();
        let first = empty.or(writes.buckets.first())?.0;
        let full = writes.buckets.iter().find(|(_, below)| *below == writes.count);
        let last = full.or(writes.buckets.last())?.0;
        let (low, high) = range.unwrap_or((first, last));
        range = Some((low.min(first), high.max(last)));
    }
    range.filter(|(low, high)| low < high)
}

/// A picture and what to know about it.
pub(super) fn figure_of(picture: &str, caption: &str) -> String {
    format!("<figure>\n{picture}\n<figcaption>{caption}</figcaption>\n</figure>")
}
