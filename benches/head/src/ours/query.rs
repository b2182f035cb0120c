//! Queries over head and blocks.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context, Result};
use tsdb::db::{Db, DbQuerier};
use tsdb::query::{Matcher, Samples, TimeRange, parse_selector};

use super::Figures;
use super::fill::open;
use crate::args::Spec;

/// What is asked.
enum Question {
    Series(Vec<Matcher>),
    Samples(Vec<Matcher>),
    LabelValues(&'static str),
    LabelNames,
}

/// As the Go peer has them.
fn questions() -> Result<Vec<(&'static str, Question)>> {
    let all = || parse_selector(r#"{__name__=~".+"}"#);
    let pod = parse_selector(r#"{pod=~".*-1[0-9]?-.*"}"#)?;
    let name = parse_selector(r#"{__name__="http_requests_total_00"}"#)?;
    Ok(vec![
        ("all_series", Question::Series(all()?)),
        ("all_samples", Question::Samples(all()?)),
        ("one_metric", Question::Samples(name)),
        ("regexp", Question::Series(pod)),
        ("label_values", Question::LabelValues("pod")),
        ("label_names", Question::LabelNames),
    ])
}

/// Opens a database and asks each question some times; the median counts.
pub(crate) fn query(spec: &Spec) -> Result<Figures> {
    let db = open(spec)?;
    let mut figures = Figures::new();
    figures.insert("blocks".to_owned(), db.blocks().len() as f64);
    figures.insert("head_series".to_owned(), db.head().num_series() as f64);
    for (name, question) in questions()? {
        let mut took = Vec::new();
        for _ in 0..spec.repeats {
            let started = Instant::now();
            let (found, samples) = ask(&db, &question)?;
            took.push(started.elapsed().as_secs_f64());
            figures.insert(format!("{name}_found"), found as f64);
            if samples > 0 {
                figures.insert(format!("{name}_samples"), samples as f64);
            }
        }
        took.sort_by(f64::total_cmp);
        let median = took.get(took.len() / 2).context("not asked once")?;
        figures.insert(format!("{name}_seconds"), *median);
    }
    db.close()?;
    Ok(figures)
}

fn ask(db: &Db, question: &Question) -> Result<(usize, usize)> {
    let querier = db.querier(TimeRange::ALL)?;
    Ok(match question {
        Question::Series(matchers) => walk(&querier, matchers, false)?,
        Question::Samples(matchers) => walk(&querier, matchers, true)?,
        Question::LabelValues(name) => (querier.label_values(name, &[]).all()?.len(), 0),
        Question::LabelNames => (querier.label_names(&[]).all()?.len(), 0),
    })
}

fn walk(querier: &DbQuerier, matchers: &[Matcher], samples: bool) -> Result<(usize, usize)> {
    let mut set = querier.select(matchers)?;
    let (mut iterator, mut found, mut count) = (Samples::new(), 0, 0);
    while let Some(series) = set.next()? {
        found += 1;
        if !samples {
            black_box(&series);
            continue;
        }
        series.samples(&mut iterator);
        while iterator.next()?.is_some() {
            count += 1;
        }
    }
    Ok((found, count))
}
