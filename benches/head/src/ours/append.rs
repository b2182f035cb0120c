//! Appending, memory, replay.

use anyhow::Result;
use tsdb::head::Sample;
use tsdb::query::Labels;

use super::fill::{Filler, batches, open};
use super::workload::{LabelMaker, sample};
use super::{Figures, Stopwatch, anonymous_bytes, dir_bytes, peak_bytes};
use crate::args::Spec;

/// Appends by reference to series that are there.
pub(crate) fn append(spec: &Spec) -> Result<Figures> {
    let mut filler = Filler::new(spec)?;
    filler.create()?;
    let mut figures = Figures::new();
    let samples = spec.series as f64 * (spec.samples - 1) as f64;
    let watch = Stopwatch::start();
    filler.scrapes(1..spec.samples)?;
    let seconds = watch.add_to(&mut figures, "");
    figures.insert("samples".to_owned(), samples);
    figures.insert("samples_per_second".to_owned(), samples / seconds);
    figures.insert("wal_bytes".to_owned(), dir_bytes(&filler.dir().join("wal")));
    filler.db.close()?;
    Ok(figures)
}

/// Appends one sample to each of many series. Their labels are built before.
pub(crate) fn new_series(spec: &Spec) -> Result<Figures> {
    let filler = Filler::new(spec)?;
    let mut maker = LabelMaker::default();
    let sets: Vec<Labels> = (0..spec.series).map(|i| maker.labels(i).clone()).collect();
    let mut figures = Figures::new();
    let watch = Stopwatch::start();
    batches(&filler.db, 0..spec.series, spec.batch, |appender, i| {
        let (t, value) = sample(i, 0, spec.step);
        appender.append(None, &sets[i], Sample::float(t, value))?;
        Ok(())
    })?;
    let seconds = watch.add_to(&mut figures, "");
    figures.insert("series".to_owned(), spec.series as f64);
    figures.insert("series_per_second".to_owned(), spec.series as f64 / seconds);
    filler.db.close()?;
    Ok(figures)
}

/// What an active series takes.
pub(crate) fn memory(spec: &Spec) -> Result<Figures> {
    let mut filler = Filler::new(spec)?;
    let before = anonymous_bytes()?;
    filler.fill()?;
    let series = spec.series as f64;
    let mut figures = Figures::new();
    let peak = peak_bytes()?;
    figures.insert("bytes_per_series".to_owned(), (anonymous_bytes()? - before) / series);
    figures.insert("peak_bytes_per_series".to_owned(), (peak - before) / series);
    filler.db.close()?;
    Ok(figures)
}

/// Opens a database.
pub(crate) fn replay(spec: &Spec) -> Result<Figures> {
    let mut figures = Figures::new();
    let watch = Stopwatch::start();
    let db = open(spec)?;
    watch.add_to(&mut figures, "");
    figures.insert("series".to_owned(), db.head().num_series() as f64);
    db.close()?;
    Ok(figures)
}
