//! What is asked for.
//!
//! ```text
//!   request   1 query*  2 response type*
//!   query     1 start  2 end  3 matcher*  4 hints
//!   matcher   1 type  2 name  3 value
//!   hints     3 start  4 end
//! ```

use tsdb::query::{MatchOp, Matcher, TimeRange};

use super::error::ReadError;
use crate::protobuf::Fields;

/// More queries than this are refused.
const QUERIES_MAX: usize = 1024;

/// How an answer goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResponseType {
    Samples,
    StreamedChunks,
}

/// What is asked for at once.
#[derive(Debug)]
pub(super) struct ReadRequest {
    pub(super) queries: Vec<ReadQuery>,
    pub(super) response_type: ResponseType,
}

/// One of several queries.
#[derive(Debug)]
pub(super) struct ReadQuery {
    pub(super) range: TimeRange,
    pub(super) matchers: Vec<Matcher>,
}

impl ReadRequest {
    pub(super) fn read(message: &[u8]) -> Result<Self, ReadError> {
        let mut fields = Fields::new(message);
        let (mut queries, mut accepted) = (Vec::new(), Vec::new());
        while let Some(field) = fields.next()? {
            match field.number {
                1 if queries.len() == QUERIES_MAX => {
                    return Err(ReadError::Queries { max: QUERIES_MAX });
                }
                1 => queries.push(ReadQuery::read(field.message()?)?),
                // The first one that is known decides: more need not be kept.
                2 => field.varints(|accepts| {
                    if accepted.len() < QUERIES_MAX {
                        accepted.push(accepts);
                    }
                })?,
                _ => {}
            }
        }
        Ok(Self { queries, response_type: negotiate(&accepted)? })
    }
}

/// The first accepted type that there is here; samples if nothing is said.
fn negotiate(accepted: &[u64]) -> Result<ResponseType, ReadError> {
    if accepted.is_empty() {
        return Ok(ResponseType::Samples);
    }
    let known = accepted.iter().find_map(|accepts| match accepts {
        0 => Some(ResponseType::Samples),
        1 => Some(ResponseType::StreamedChunks),
        _ => None,
    });
    known.ok_or(ReadError::ResponseTypes)
}

impl ReadQuery {
    fn read(mut fields: Fields<'_>) -> Result<Self, ReadError> {
        let (mut start, mut end, mut matchers) = (0, 0, Vec::new());
        let mut hints = None;
        while let Some(field) = fields.next()? {
            match field.number {
                1 => start = field.int64()?,
                2 => end = field.int64()?,
                3 => matchers.push(matcher(field.message()?)?),
                4 => hints = Some(hinted(field.message()?)?),
                _ => {}
            }
        }
        // A reader that needs less than it asks for says so.
        let narrower = hints.filter(|(from, to)| start <= *from && from <= to && *to <= end);
        let (from, to) = narrower.unwrap_or((start, end));
        Ok(Self { range: TimeRange::new(from, to), matchers })
    }
}

fn hinted(mut fields: Fields<'_>) -> Result<(i64, i64), ReadError> {
    let (mut start, mut end) = (0, 0);
    while let Some(field) = fields.next()? {
        match field.number {
            3 => start = field.int64()?,
            4 => end = field.int64()?,
            _ => {}
        }
    }
    Ok((start, end))
}

fn matcher(mut fields: Fields<'_>) -> Result<Matcher, ReadError> {
    let (mut kind, mut name, mut value) = (0, &b""[..], &b""[..]);
    while let Some(field) = fields.next()? {
        match field.number {
            1 => kind = field.uint64()?,
            2 => name = field.bytes()?,
            3 => value = field.bytes()?,
            _ => {}
        }
    }
    let op = match kind {
        0 => MatchOp::Equal,
        1 => MatchOp::NotEqual,
        2 => MatchOp::Regex,
        3 => MatchOp::NotRegex,
        other => return Err(ReadError::MatcherType(other)),
    };
    let text = |bytes| std::str::from_utf8(bytes).map_err(|_| ReadError::NotUtf8);
    let (name, value) = (text(name)?, text(value)?);
    let refused = |source| ReadError::Pattern { name: name.to_owned(), source };
    Matcher::new(name, op, value).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protobuf::Writer;

    fn request(write: impl FnOnce(&mut Writer)) -> Result<ReadRequest, ReadError> {
        let mut writer = Writer::new();
        write(&mut writer);
        ReadRequest::read(writer.bytes())
    }

    #[test]
    fn the_first_known_response_type_is_taken() {
        let of = |types: &[u64]| {
            request(|writer| types.iter().for_each(|accepts| writer.uint64_always(2, *accepts)))
        };
        assert_eq!(of(&[]).unwrap().response_type, ResponseType::Samples);
        assert_eq!(of(&[1, 0]).unwrap().response_type, ResponseType::StreamedChunks);
        assert_eq!(of(&[7, 0, 1]).unwrap().response_type, ResponseType::Samples);
        assert!(matches!(of(&[7]), Err(ReadError::ResponseTypes)));
    }

    #[test]
    fn queries_have_matchers_and_hints() {
        let asked = request(|writer| {
            writer.message(1, |query| {
                query.int64(1, 1000);
                query.int64(2, 9000);
                query.message(3, |matcher| {
                    matcher.uint64(1, 2);
                    matcher.string(2, "job");
                    matcher.string(3, "a|b");
                });
                query.message(4, |hints| {
                    hints.int64(3, 2000);
                    hints.int64(4, 8000);
                });
            });
        });
        let query = asked.unwrap().queries.remove(0);
        assert_eq!(query.range, TimeRange::new(2000, 8000));
        assert!(query.matchers[0].matches("b") && !query.matchers[0].matches("c"));
    }

    #[test]
    fn what_can_t_be_asked_is_refused() {
        let with_matcher = |kind: u64, value: &str| {
            request(|writer| {
                writer.message(1, |query| {
                    query.message(3, |matcher| {
                        matcher.uint64(1, kind);
                        matcher.string(3, value);
                    });
                });
            })
        };
        assert!(matches!(with_matcher(4, ""), Err(ReadError::MatcherType(4))));
        assert!(matches!(with_matcher(2, "("), Err(ReadError::Pattern { .. })));
        let many = request(|writer| (0..2000).for_each(|_| writer.message(1, |_| {})));
        assert!(matches!(many, Err(ReadError::Queries { .. })));
    }
}
