//! Parameters, from the query string and, of a POST, from the form in its body.

use std::borrow::Cow;

use axum::extract::Request;
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use tsdb::query::{Matcher, TimeRange, parse_selector};

use super::answer::ApiError;
use super::time::{MAX_TIME_MS, MIN_TIME_MS, parse_time_ms};
use crate::app::App;

/// The longest form, as in Go.
const FORM_BYTES_MAX: usize = 10 << 20;

/// Parameters in their order; those of a form come first.
#[derive(Debug, Default)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// The parameters of a request.
    pub(super) async fn of(app: &App, request: Request) -> Result<Self, ApiError> {
        let mut params = Vec::new();
        let query = request.uri().query().unwrap_or_default().to_owned();
        let is_form = request.method() != Method::GET
            && request.headers().get(CONTENT_TYPE).is_some_and(|content_type| {
                content_type.as_bytes().starts_with(b"application/x-www-form-urlencoded")
            });
        if is_form {
            let limit = app.config.read_timeout;
            let body = app.bodies.receive(request.into_body(), FORM_BYTES_MAX, limit).await?;
            params.extend(pairs(body.bytes()));
        }
        params.extend(pairs(query.as_bytes()));
        Ok(Self(params))
    }

    /// The first value of a parameter; `None` for none, or an empty one.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut params = self.0.iter();
        let found = params.find(|(own, _)| own == name).map(|(_, value)| value.as_str());
        found.filter(|value| !value.is_empty())
    }

    /// `start` and `end`, both inclusive; all of time where they are not given.
    pub(super) fn range(&self) -> Result<TimeRange, ApiError> {
        let of = |name: &str, default| match self.get(name) {
            None => Ok(default),
            Some(text) => parse_time_ms(text).ok_or_else(|| {
                let reason = format!("invalid time value for '{name}': cannot parse {text:?}");
                ApiError::parameter(name, format!("{reason} to a valid timestamp"))
            }),
        };
        Ok(TimeRange::new(of("start", MIN_TIME_MS)?, of("end", MAX_TIME_MS)?))
    }

    /// `limit`; `None` for no limit.
    pub(super) fn limit(&self) -> Result<Option<usize>, ApiError> {
        let Some(text) = self.get("limit") else { return Ok(None) };
        match text.parse::<i64>() {
            Ok(limit) if limit < 0 => {
                Err(ApiError::parameter("limit", "limit must be non-negative"))
            }
            Ok(limit) => Ok(usize::try_from(limit).ok().filter(|limit| *limit > 0)),
            Err(_) => Err(ApiError::parameter("limit", format!("{text:?} is no number"))),
        }
    }

    /// The selectors of all `match[]`.
    pub(super) fn selectors(&self) -> Result<Vec<Vec<Matcher>>, ApiError> {
        let texts = self.0.iter().filter(|(name, _)| name == "match[]");
        texts.map(|(_, text)| selector(text)).collect()
    }

    /// As [`Self::selectors`], one at least.
    pub(super) fn required_selectors(&self) -> Result<Vec<Vec<Matcher>>, ApiError> {
        let selectors = self.selectors()?;
        if selectors.is_empty() {
            return Err(ApiError::BadData("no match[] parameter provided".to_owned()));
        }
        Ok(selectors)
    }
}

/// A selector that does not select all there is.
fn selector(text: &str) -> Result<Vec<Matcher>, ApiError> {
    let matchers = parse_selector(text).map_err(|error| ApiError::parameter("match[]", error))?;
    if matchers.iter().all(|matcher| matcher.matches("")) {
        let reason = "match[] must contain at least one non-empty matcher";
        return Err(ApiError::parameter("match[]", reason));
    }
    Ok(matchers)
}

fn pairs(form: &[u8]) -> impl Iterator<Item = (String, String)> {
    let owned =
        |(name, value): (Cow<'_, str>, Cow<'_, str>)| (name.into_owned(), value.into_owned());
    form_urlencoded::parse(form).map(owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(query: &str) -> Params {
        Params(pairs(query.as_bytes()).collect())
    }

    #[test]
    fn parameters_are_found_and_checked() {
        let given = params("match[]=up&match%5B%5D=%7Bjob%3D%22a+b%22%7D&start=1.5&limit=3&end=");
        assert_eq!(given.range().unwrap(), TimeRange::new(1500, MAX_TIME_MS));
        assert_eq!(given.limit().unwrap(), Some(3));
        let selectors = given.selectors().unwrap();
        assert_eq!(selectors.len(), 2);
        assert_eq!(selectors[1][0].to_string(), r#"job="a b""#);
    }

    #[test]
    fn what_can_t_be_used_is_named() {
        let text = |error: ApiError| error.to_string();
        let refused = params("start=x").range().map_err(text).unwrap_err();
        assert!(refused.contains("invalid time value for 'start'"), "{refused}");
        assert!(params("limit=-1").limit().is_err());
        assert!(params("limit=x").limit().is_err());
        assert_eq!(params("limit=0").limit().unwrap(), None);
        assert!(params("match[]={").selectors().is_err());
        let all = params("match[]={job=~\".*\"}").selectors().map_err(text).unwrap_err();
        assert!(all.contains("at least one non-empty matcher"), "{all}");
        assert!(params("").required_selectors().is_err());
    }
}
