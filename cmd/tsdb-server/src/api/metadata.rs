//! `/api/v1/metadata`: what senders said about metrics.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use serde::Serialize;

use super::answer::{Answer, Answered, ApiError};
use super::params::Params;
use crate::app::App;
use crate::metadata::{MetadataEntry, type_name};

#[derive(Serialize)]
struct Entry<'a> {
    #[serde(rename = "type")]
    metric_type: &'static str,
    help: &'a str,
    unit: &'a str,
}

impl<'a> From<&'a MetadataEntry> for Entry<'a> {
    fn from(entry: &'a MetadataEntry) -> Self {
        let MetadataEntry { metric_type, help, unit } = entry;
        Self { metric_type: type_name(*metric_type), help, unit }
    }
}

/// Type, help and unit by metric family.
pub(super) async fn metadata(State(app): State<Arc<App>>, request: Request) -> Answered {
    let params = Params::of(&app, request).await?;
    app.ready()?;
    let count = |name: &str| match params.get(name) {
        None => Ok(None),
        Some(text) => match text.parse::<i64>() {
            Ok(count) => Ok(usize::try_from(count).ok()),
            Err(_) => Err(ApiError::BadData(format!("{name} must be a number"))),
        },
    };
    let (limit, per_metric) = (count("limit")?, count("limit_per_metric")?);
    // Here 0 is no limit; of `limit` it is one.
    let per_metric = per_metric.filter(|count| *count > 0).unwrap_or(usize::MAX);
    let known = app.metadata.get(params.get("metric"));
    let families: BTreeMap<&str, Vec<Entry<'_>>> = known
        .iter()
        .take(limit.unwrap_or(usize::MAX))
        .map(|(name, entries)| {
            (name.as_str(), entries.iter().take(per_metric).map(Entry::from).collect())
        })
        .collect();
    Answer::new(&families)
}
