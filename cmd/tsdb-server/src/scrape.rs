//! The server's own metrics, appended to its own database: it is alive from the first minute.
//!
//! What is written for `/metrics` is read back, line by line, so that what is stored is what another
//! scraper would have stored: with `job` and `instance`, `up`, and stale markers for series that are
//! gone. The job is one that nobody gives by chance: a Prometheus that scrapes this server and sends
//! here has series of its own, whose samples would otherwise be refused as late ones of ours.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tsdb::db::{Db, DbError};
use tsdb::head::{AppendError, HeadError, HeadSeriesRef, Sample};
use tsdb::query::{Labels, METRIC_NAME, STALE_NAN_BITS};

use crate::app::App;
use crate::exposition::{Line, lines};
use crate::listen::stopped;
use crate::telemetry::{self, Format};

const JOB: &str = "tsdb-server-self-scrape";

/// Why a scrape is not stored.
#[derive(Debug, thiserror::Error)]
enum ScrapeError {
    #[error("the metrics can't be written")]
    Write(#[from] std::fmt::Error),
    #[error("a line is no sample: {0:?}")]
    Line(String),
    #[error("a sample is refused: {0}")]
    Append(#[from] AppendError),
    #[error(transparent)]
    Db(#[from] DbError),
    #[error(transparent)]
    Commit(#[from] HeadError),
}

/// Series by their text, as of the scrape before.
#[derive(Default)]
struct Seen(HashMap<String, SeenSeries>);

struct SeenSeries {
    reference: HeadSeriesRef,
    labels: Labels,
    /// The number of the scrape that had it last.
    scrape: u64,
}

/// Scrapes until told to stop.
pub(crate) async fn run(
    app: Arc<App>,
    every: Duration,
    instance: String,
    mut stop: watch::Receiver<bool>,
) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut seen, mut number) = (Seen::default(), 0u64);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stopped(&mut stop) => return,
        }
        let Ok(opened) = app.ready() else { continue };
        number += 1;
        let call = {
            let (app, instance, mut at) = (Arc::clone(&app), instance.clone(), seen);
            move |db: &Db| (scrape(&app, db, &instance, number, &mut at), at)
        };
        match opened.appends.call(call).await {
            Ok((outcome, after)) => {
                seen = after;
                if let Err(error) = outcome {
                    tracing::error!("the server's own metrics are not stored: {error}");
                }
            }
            Err(error) => {
                seen = Seen::default();
                tracing::error!("the server's own metrics are not stored: {error}");
            }
        }
    }
}

/// Appends what the metrics are now; blocks.
fn scrape(
    app: &App,
    db: &Db,
    instance: &str,
    number: u64,
    seen: &mut Seen,
) -> Result<(), ScrapeError> {
    let begun = Instant::now();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let time = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    let mut text = String::new();
    telemetry::write(app, Format::Prometheus, &mut text)?;
    let mut appender = db.appender()?;
    let mut append = |series: &str, pairs: &[(&str, &str)], value: f64| {
        let known = seen.0.get_mut(series);
        let reference = known.as_ref().map(|known| known.reference);
        let sample = Sample::float(time, value);
        if let Some(known) = known {
            known.scrape = number;
            known.reference = appender.append(reference, &known.labels, sample)?;
            return Ok(());
        }
        let own = [("instance", instance), ("job", JOB)];
        let labels: Labels = pairs.iter().copied().chain(own).collect();
        let reference = appender.append(None, &labels, sample)?;
        let series = series.to_owned();
        seen.0.insert(series, SeenSeries { reference, labels, scrape: number });
        Ok::<_, ScrapeError>(())
    };
    let mut samples = 0u64;
    for line in lines(&text) {
        let Line { series, pairs, value } =
            line.map_err(|line| ScrapeError::Line(line.to_owned()))?;
        let pairs: Vec<(&str, &str)> =
            pairs.iter().map(|(name, value)| (*name, value.as_ref())).collect();
        append(series, &pairs, value)?;
        samples += 1;
    }
    let took = begun.elapsed().as_secs_f64();
    for (name, value) in [
        ("up", 1.0),
        ("scrape_duration_seconds", took),
        ("scrape_samples_scraped", samples as f64),
        ("scrape_samples_post_metric_relabeling", samples as f64),
    ] {
        append(name, &[(METRIC_NAME, name)], value)?;
    }
    let stale = Sample::float(time, f64::from_bits(STALE_NAN_BITS));
    for gone in seen.0.values().filter(|series| series.scrape != number) {
        appender.append(Some(gone.reference), &gone.labels, stale)?;
    }
    seen.0.retain(|_, series| series.scrape == number);
    appender.commit()?;
    Ok(())
}
