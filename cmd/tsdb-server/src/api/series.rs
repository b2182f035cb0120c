//! `/api/v1/series`.

use std::sync::Arc;

use axum::extract::{Request, State};
use serde::Serializer;
use serde::ser::SerializeSeq;
use tsdb::db::DbQuerier;
use tsdb::query::Matcher;

use super::answer::{Answer, Answered, ApiError, LabelsJson};
use super::params::Params;
use crate::app::App;

/// The series that satisfy one of the selectors at least.
pub(super) async fn series(State(app): State<Arc<App>>, request: Request) -> Answered {
    let params = Params::of(&app, request).await?;
    let opened = app.ready()?;
    let limit = params.limit()?;
    let (range, selectors) = (params.range()?, params.required_selectors()?);
    let query = move |querier: &DbQuerier| list(querier, &selectors, limit);
    opened.queries.query(range, query).await?
}

/// Labels go to JSON as they are met: they are not all held beside it.
fn list(querier: &DbQuerier, selectors: &[Vec<Matcher>], limit: Option<usize>) -> Answered {
    let mut found = querier.querier().select_any(selectors, querier.range())?;
    let mut json = serde_json::Serializer::new(Vec::new());
    let mut list = json.serialize_seq(None)?;
    let (mut count, mut is_truncated) = (0, false);
    while let Some(series) = found.next()? {
        if limit == Some(count) {
            is_truncated = true;
            break;
        }
        list.serialize_element(&LabelsJson(series.labels()))?;
        count += 1;
    }
    SerializeSeq::end(list)?;
    Ok::<_, ApiError>(Answer::of_json(json.into_inner()).truncated(is_truncated))
}
