//! `/api/v1/query_exemplars`: of selectors; there is no query language here.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use serde::Serialize;
use tsdb::db::Db;
use tsdb::head::Exemplar;
use tsdb::query::{Labels, Matcher, TimeRange, parse_selector};

use super::answer::{Answer, Answered, ApiError};
use super::number::{Seconds, float_text};
use super::params::Params;
use crate::app::App;

#[derive(Serialize)]
struct SeriesExemplars {
    #[serde(rename = "seriesLabels", serialize_with = "serialize_labels")]
    series_labels: Labels,
    exemplars: Vec<ExemplarJson>,
}

#[derive(Serialize)]
struct ExemplarJson {
    #[serde(serialize_with = "serialize_labels")]
    labels: Labels,
    value: String,
    timestamp: Seconds,
}

fn serialize_labels<S: serde::Serializer>(labels: &Labels, to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(labels.iter())
}

/// The exemplars of the series that satisfy a selector.
pub(super) async fn query(State(app): State<Arc<App>>, request: Request) -> Answered {
    let params = Params::of(&app, request).await?;
    let opened = app.ready()?;
    let range = params.range()?;
    if range.maxt < range.mint {
        let reason = "end timestamp must not be before start timestamp";
        return Err(ApiError::BadData(reason.to_owned()));
    }
    let text = params.get("query").unwrap_or_default();
    let matchers = parse_selector(text).map_err(|error| {
        ApiError::parameter("query", format!("{error}; only selectors are understood"))
    })?;
    opened.queries.call(move |db: &Db| Answer::new(&select(db, &matchers, range))).await?
}

/// By labels of series, then by time.
fn select(db: &Db, matchers: &[Matcher], range: TimeRange) -> Vec<SeriesExemplars> {
    let mut found: BTreeMap<Labels, Vec<Exemplar>> = BTreeMap::new();
    db.head().exemplars(|series, exemplar| {
        let matches =
            |matcher: &Matcher| matcher.matches(series.get(matcher.name()).unwrap_or_default());
        if range.contains(exemplar.time) && matchers.iter().all(matches) {
            match found.get_mut(series) {
                Some(exemplars) => exemplars.push(exemplar.clone()),
                None => {
                    found.insert(series.clone(), vec![exemplar.clone()]);
                }
            }
        }
    });
    let of_series = |(series_labels, mut exemplars): (Labels, Vec<Exemplar>)| {
        exemplars.sort_by_key(|exemplar| exemplar.time);
        let json = |exemplar: Exemplar| ExemplarJson {
            labels: exemplar.labels,
            value: float_text(exemplar.value),
            timestamp: Seconds(exemplar.time),
        };
        SeriesExemplars { series_labels, exemplars: exemplars.into_iter().map(json).collect() }
    };
    found.into_iter().map(of_series).collect()
}
