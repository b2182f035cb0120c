//! `/api/v1/labels` and `/api/v1/label/<name>/values`.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Path, Request, State};
use tsdb::db::DbQuerier;
use tsdb::query::{Matcher, QueryError};

use super::answer::{Answer, Answered, ApiError};
use super::params::Params;
use crate::app::App;

/// The names of all labels.
pub(super) async fn names(State(app): State<Arc<App>>, request: Request) -> Answered {
    let params = Params::of(&app, request).await?;
    list(&app, params, |querier, matchers| querier.label_names(matchers).all()).await
}

/// The values of one label.
pub(super) async fn values(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    request: Request,
) -> Answered {
    let name = unescape(&name).unwrap_or(name);
    if name.is_empty() {
        return Err(ApiError::BadData(format!("invalid label name: {name:?}")));
    }
    let params = Params::of(&app, request).await?;
    list(&app, params, move |querier, matchers| querier.label_values(&name, matchers).all()).await
}

/// The union of what is found for each selector, sorted, up to the limit.
async fn list(
    app: &App,
    params: Params,
    find: impl for<'q> Fn(&'q DbQuerier, &[Matcher]) -> Result<Vec<&'q str>, QueryError>
    + Send
    + 'static,
) -> Answered {
    let opened = app.ready()?;
    let limit = params.limit()?;
    let (range, mut selectors) = (params.range()?, params.selectors()?);
    if selectors.is_empty() {
        selectors.push(Vec::new());
    }
    let query = move |querier: &DbQuerier| -> Answered {
        let mut found = match selectors.as_slice() {
            [one] => find(querier, one)?,
            several => {
                let mut all = BTreeSet::new();
                for selector in several {
                    all.extend(find(querier, selector)?);
                }
                all.into_iter().collect()
            }
        };
        let is_truncated = limit.is_some_and(|limit| found.len() > limit);
        found.truncate(limit.unwrap_or(usize::MAX));
        Ok(Answer::new(&found)?.truncated(is_truncated))
    };
    opened.queries.query(range, query).await?
}

/// A name in Prometheus's escaping of values: `U__`, then `__` for `_` and `_20AC_` for a character
/// by its number. `None` for a name that is not escaped so.
fn unescape(name: &str) -> Option<String> {
    let mut rest = name.strip_prefix("U__")?;
    let mut text = String::new();
    while let Some((before, behind)) = rest.split_once('_') {
        text.push_str(before);
        if let Some(behind) = behind.strip_prefix('_') {
            text.push('_');
            rest = behind;
        } else {
            let (number, behind) = behind.split_once('_')?;
            let number = u32::from_str_radix(number, 16).ok()?;
            text.push(char::from_u32(number)?);
            rest = behind;
        }
    }
    text.push_str(rest);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unescaped() {
        for (name, text) in [
            ("U__job", Some("job")),
            ("U__a_2e_b", Some("a.b")),
            ("U__a__b", Some("a_b")),
            ("U___20AC_", Some("€")),
            ("job", None),
            ("U__a_zz_", None),
            ("U__a_2e", None),
        ] {
            assert_eq!(unescape(name).as_deref(), text, "{name}");
        }
    }
}
