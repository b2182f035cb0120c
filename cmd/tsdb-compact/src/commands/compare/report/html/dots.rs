//! Each run as a dot: whether a median stands for its runs.

use std::fmt::Write;

use tsdb_bench_harness::stats::Median;

use super::super::super::arms::Side;
use super::super::super::format::show_value;
use super::super::super::model::Report;
use super::super::super::rows::{Row, values};
use super::charts::figure_of;
use super::escaped;
use super::svg::{Scale, WIDTH, picture};

/// The figures that are drawn, as far as they were measured.
const DRAWN: [&str; 12] = [
    "wall",
    "cpu",
    "cache_peak",
    "output_cached",
    "usage_peak",
    "dirty_peak",
    "written",
    "working_set_peak",
    "query_p50",
    "query_p99",
    "hot_kept",
    "refaults",
];

const STRIP: f64 = 52.0;
const LEFT: f64 = 8.0;
const RIGHT: f64 = WIDTH - 66.0;

/// A strip for each figure, one line of dots for each arm.
pub(super) fn dots(report: &Report) -> Option<String> {
    let rows: Vec<&Row> =
        DRAWN.iter().filter_map(|key| report.rows.iter().find(|row| row.key == *key)).collect();
    if rows.is_empty() {
        return None;
    }
    let mut body = String::new();
    for (number, row) in rows.iter().enumerate() {
        strip(&mut body, report, row, number as f64 * STRIP);
    }
    let label = format!("{} figures, one dot for each run", rows.len());
    let picture = picture(rows.len() as f64 * STRIP + 4.0, &label, &body);
    let caption = "One dot for each run; the stroke is the median. Each strip begins at 0.";
    Some(figure_of(&picture, caption))
}

fn strip(body: &mut String, report: &Report, row: &Row, top: f64) {
    let arms = Side::BOTH.map(|side| (side, values(&report.runs, side, &row.key)));
    let highest = arms.iter().flat_map(|(_, values)| values).copied().fold(0.0, f64::max);
    let x = Scale::new((0.0, if highest > 0.0 { highest } else { 1.0 }), (LEFT, RIGHT));
    let _ = writeln!(
        body,
        "<text class=\"title\" x=\"{LEFT}\" y=\"{:.1}\">{}</text>",
        top + 11.0,
        escaped(&row.title)
    );
    for ((side, values), offset) in arms.iter().zip([22.0, 38.0]) {
        let (name, y) = (side.name(), top + offset);
        let _ = writeln!(
            body,
            "<g class=\"{name}\" data-arm=\"{name}\"><line class=\"grid\" x1=\"{LEFT}\" \
             x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"
        );
        for value in values {
            let _ = writeln!(
                body,
                "<circle class=\"dot\" cx=\"{:.1}\" cy=\"{y:.1}\" r=\"3.5\"/>",
                x.at(*value)
            );
        }
        if let Some(median) = Median::of(values.iter().copied()) {
            let at = x.at(median.value);
            let _ = writeln!(
                body,
                "<line class=\"median\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                y - 6.0,
                y + 6.0,
                RIGHT + 8.0,
                y + 3.5,
                escaped(&show_value(median.value, row.unit))
            );
        }
        body.push_str("</g>\n");
    }
}
