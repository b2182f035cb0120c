//! A database in a program of yours: append, query, look at its metrics, close.
//!
//!     cargo run --example embedded -- /tmp/embedded

use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::registry::Registry;
use tsdb::db::{Db, DbOptions, Retention};
use tsdb::head::Sample;
use tsdb::query::{Labels, Samples, TimeRange, parse_selector};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args_os().nth(1).unwrap_or_else(|| "/tmp/embedded".into());
    let week_ms = 7 * 24 * 60 * 60 * 1000;
    let options = DbOptions::default().retention(Retention::default().time_ms(week_ms));
    let db = Db::open(dir.as_ref(), options)?;

    let now_ms = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let mut appender = db.appender()?;
    for room in ["attic", "cellar"] {
        let labels: Labels =
            [("__name__", "temperature_celsius"), ("room", room)].into_iter().collect();
        let mut series = None;
        for second in 0..60 {
            let sample =
                Sample::float(now_ms - 60_000 + second * 1000, 20.0 + second as f64 / 10.0);
            series = Some(appender.append(series, &labels, sample)?);
        }
    }
    appender.commit()?;

    let querier = db.querier(TimeRange::new(now_ms - 3_600_000, now_ms))?;
    let mut found = querier.select(&parse_selector("temperature_celsius{room=~\"a.*\"}")?)?;
    let mut samples = Samples::new();
    while let Some(series) = found.next()? {
        series.samples(&mut samples);
        while samples.next()?.is_some() {
            println!("{} {} {}", series.owned_labels(), samples.timestamp(), samples.float());
        }
    }

    let mut registry = Registry::default();
    db.register_metrics(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    print!("{text}");
    Ok(db.close()?)
}
