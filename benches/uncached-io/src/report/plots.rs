//! The plots: SVG, one file for each.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use plotters::prelude::*;
use tsdb_bench_harness::latency::{FIGURES, Latency};

use super::Report;
use crate::bench::{hedgedb, iggy, jitter, neighbour, sequential};
use crate::run::{Figure, Record, Run, of_bench};

/// A line or a group of bars: its name and a value for each category.
type Series = (String, Vec<Option<f64>>);

/// What one plot shows.
struct Plot {
    title: String,
    unit: &'static str,
    categories: Vec<String>,
    series: Vec<Series>,
    logarithmic: bool,
}

const SIZE: (u32, u32) = (960, 480);

/// Width of the plot, in those of its bars.
const LEGEND_ROOM: f64 = 1.4;

/// Draws what was measured; returns the files.
pub(super) fn draw(report: &Report, json: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for (name, plot) in [
        ("sequential", throughput(report)),
        ("producer", producer(report)),
        ("jitter", latencies(report)),
        ("reader", reader(report)),
        ("synchronous-writes", writes(report, hedgedb::SYNCHRONOUS)),
        ("random-writes", writes(report, hedgedb::RANDOM_WRITES)),
        ("random-reads", reads(report)),
        ("iggy", batches(report)),
        ("neighbour", kept(report)),
    ] {
        if plot.series.is_empty() {
            continue;
        }
        let stem = json.file_stem().unwrap_or_default().to_string_lossy();
        let file = json.with_file_name(format!("{stem}-{name}.svg"));
        plot.draw(&file).map_err(|error| anyhow!("drawing {}: {error}", file.display()))?;
        files.push(file);
    }
    Ok(files)
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for name in names {
        if !out.iter().any(|seen| seen == name) {
            out.push(name.to_owned());
        }
    }
    out
}

/// A series for each arm, a category for each case.
fn by_case(records: &[&Record], value: Figure) -> (Vec<String>, Vec<Series>) {
    let cases = distinct(records.iter().map(|record| record.case.as_str()));
    let arms = distinct(records.iter().map(|record| record.arm.as_str()));
    let series = arms.into_iter().map(|arm| {
        let find = |case: &String| {
            records.iter().find(|record| record.arm == arm && record.case == *case)?.median(value)
        };
        let values = cases.iter().map(find).collect();
        (arm, values)
    });
    let series = series.collect();
    (cases, series)
}

fn throughput(report: &Report) -> Plot {
    let records: Vec<&Record> = of_bench(&report.records, sequential::NAME)
        .filter(|record| record.case != sequential::DEVICE)
        .collect();
    let (categories, series) = by_case(&records, |run| Some(run.mib_per_second()));
    let title = "Sequential writes, final fsync counted".to_owned();
    Plot { title, unit: "MiB/s", categories, series, logarithmic: false }
}

fn producer(report: &Report) -> Plot {
    let values: [(&str, Figure); 3] = [
        ("seconds", |run| Some(run.seconds)),
        ("caller blocked", |run| run.blocked_seconds),
        ("CPU", |run| run.cpu_seconds),
    ];
    let series = of_bench(&report.records, sequential::PRODUCING).map(|record| {
        (record.arm.clone(), values.iter().map(|(_, value)| record.median(value)).collect())
    });
    Plot {
        title: "With a producer that costs as much as writing".to_owned(),
        unit: "seconds",
        categories: values.map(|(name, _)| name.to_owned()).to_vec(),
        series: series.collect(),
        logarithmic: false,
    }
}

/// The upper half of distributions, for the records that have one.
fn percentiles(title: String, records: &[&Record], of: fn(&Run) -> Option<&Latency>) -> Plot {
    // Behind mean and standard deviation.
    const FROM: usize = 2;
    let series = records.iter().filter_map(|record| {
        let figure =
            |at: usize| record.median(|run| of(run).and_then(|it| it.figures().get(at).copied()));
        let values: Vec<_> = (FROM..FIGURES.len()).map(figure).collect();
        values.iter().any(Option::is_some).then(|| (record.arm.clone(), values))
    });
    Plot {
        title,
        unit: "microseconds",
        categories: FIGURES.iter().skip(FROM).map(|&name| name.to_owned()).collect(),
        series: series.collect(),
        logarithmic: true,
    }
}

/// The last jitter case, and its records.
fn last_jitter(report: &Report) -> (String, Vec<&Record>) {
    let mut records: Vec<&Record> = of_bench(&report.records, jitter::NAME).collect();
    let case = records.last().map(|record| record.case.clone()).unwrap_or_default();
    records.retain(|record| record.case == case);
    (case, records)
}

fn latencies(report: &Report) -> Plot {
    let (case, records) = last_jitter(report);
    let title = format!("A call as its caller sees it: {case}");
    percentiles(title, &records, |run| run.calls.as_ref())
}

fn reader(report: &Report) -> Plot {
    let (case, records) = last_jitter(report);
    let title = format!("Somebody else's direct reads of 4 KiB meanwhile: {case}");
    percentiles(title, &records, |run| run.reader.as_ref())
}

fn writes(report: &Report, case: &str) -> Plot {
    let records: Vec<&Record> =
        of_bench(&report.records, hedgedb::NAME).filter(|record| record.case == case).collect();
    percentiles(case.to_owned(), &records, |run| run.calls.as_ref())
}

fn batches(report: &Report) -> Plot {
    let records: Vec<&Record> = of_bench(&report.records, iggy::NAME).collect();
    let title = "A batch of 50,000 bytes as its caller sees it".to_owned();
    percentiles(title, &records, |run| run.calls.as_ref())
}

fn reads(report: &Report) -> Plot {
    let records: Vec<&Record> = of_bench(&report.records, hedgedb::NAME)
        .filter(|record| record.case.starts_with(hedgedb::RANDOM_READS))
        .collect();
    let iops = |run: &Run| Some(run.calls.as_ref()?.count as f64 / run.seconds);
    let (cases, series) = by_case(&records, iops);
    let categories = hedgedb::LIMITS_PERMILLE.map(|limit| format!("{} %", limit as f64 / 10.0));
    Plot {
        title: "Random reads of 4 KiB, by memory limit as a share of the file".to_owned(),
        unit: "reads a second",
        categories: categories.into_iter().take(cases.len()).collect(),
        series,
        logarithmic: false,
    }
}

fn kept(report: &Report) -> Plot {
    let records: Vec<&Record> = of_bench(&report.records, neighbour::NAME).collect();
    let (categories, series) = by_case(&records, |run| Some(run.kept_share? * 100.0));
    let title = "A neighbour's hot pages kept in memory, at the lowest".to_owned();
    Plot { title, unit: "%", categories, series, logarithmic: false }
}

impl Plot {
    /// Bars, grouped by category.
    fn draw(&self, file: &Path) -> Result<(), Box<dyn std::error::Error>> {
        let values = || self.series.iter().flat_map(|(_, values)| values).flatten().copied();
        let highest = values().fold(1.0, f64::max) * 1.1;
        let lowest = values().filter(|value| *value > 0.0).fold(highest, f64::min) / 2.0;
        let root = SVGBackend::new(file, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let mut builder = ChartBuilder::on(&root);
        builder.caption(&self.title, ("sans-serif", 20)).margin(12);
        builder.x_label_area_size(40).y_label_area_size(70);
        // Groups stand around 1, 2, ...; behind them there is room for the legend.
        let groups = self.categories.len() as f64;
        let across = 0.45..0.55 + groups * LEGEND_ROOM;
        if self.logarithmic {
            let mut chart = builder.build_cartesian_2d(across, (lowest..highest).log_scale())?;
            self.fill(&mut chart, lowest)?;
        } else {
            let mut chart = builder.build_cartesian_2d(across, 0.0..highest)?;
            self.fill(&mut chart, 0.0)?;
        }
        root.present()?;
        Ok(())
    }

    /// How many bars a group has of the first `series` series.
    fn bars(&self, group: usize, series: usize) -> usize {
        let values = self.series.iter().take(series).map(|(_, values)| values.get(group));
        values.filter(|value| matches!(value, Some(Some(_)))).count()
    }

    fn fill<'a, Y>(
        &self,
        chart: &mut ChartContext<
            'a,
            SVGBackend<'a>,
            Cartesian2d<plotters::coord::types::RangedCoordf64, Y>,
        >,
        floor: f64,
    ) -> Result<(), Box<dyn std::error::Error>>
    where
        Y: Ranged<ValueType = f64> + plotters::coord::ranged1d::ValueFormatter<f64>,
    {
        let name = |at: &f64| {
            let whole = (at - at.round()).abs() < 1e-6 && *at >= 1.0;
            let category = whole.then(|| self.categories.get(at.round() as usize - 1)).flatten();
            category.cloned().unwrap_or_default()
        };
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_labels(2 * self.categories.len() + 4)
            .x_label_formatter(&name)
            .y_desc(self.unit)
            .draw()?;
        let most = (0..self.categories.len()).map(|group| self.bars(group, usize::MAX)).max();
        let width = 0.9 / most.unwrap_or(1).max(1) as f64;
        for (number, (arm, values)) in self.series.iter().enumerate() {
            let color = Palette99::pick(number).to_rgba();
            let bars = values.iter().enumerate().filter_map(|(group, value)| {
                let left = group as f64 + 0.55 + width * self.bars(group, number) as f64;
                let corners = [(left, floor), (left + width * 0.9, (*value)?)];
                Some(Rectangle::new(corners, color.filled()))
            });
            chart.draw_series(bars)?.label(arm.as_str()).legend(move |(x, y)| {
                Rectangle::new([(x, y - 4), (x + 10, y + 4)], color.filled())
            });
        }
        chart
            .configure_series_labels()
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3))
            .position(SeriesLabelPosition::UpperRight)
            .draw()?;
        Ok(())
    }
}
