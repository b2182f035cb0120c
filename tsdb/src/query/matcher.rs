//! Label matchers.

use std::fmt;

use tsdb_format::labels::{is_plain_name, write_quoted};

use super::pattern::Pattern;
use super::re2::PatternError;

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

impl MatchOp {
    /// The operator as PromQL writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

/// A condition on one label: `name op "value"`.
///
/// A series that lacks the label has the empty value, as everywhere in Prometheus: `env=""` and
/// `env!="prod"` both match it. Regular expressions are RE2's, anchored at both ends, and their
/// dot matches newline.
///
/// ```
/// use tsdb::query::{MatchOp, Matcher};
///
/// let matcher = Matcher::new("env", MatchOp::Regex, "prod|stag.*")?;
/// assert!(matcher.matches("staging"));
/// assert!(!matcher.matches("preprod"));
/// # Ok::<(), tsdb::query::PatternError>(())
/// ```
#[derive(Clone)]
pub struct Matcher {
    name: String,
    op: MatchOp,
    value: String,
    /// For `=` and `!=` the value as the only literal.
    pattern: Pattern,
}

impl Matcher {
    /// A matcher on label `name`.
    ///
    /// # Errors
    ///
    /// When `op` takes a regular expression and `value` is none.
    pub fn new(
        name: impl Into<String>,
        op: MatchOp,
        value: impl Into<String>,
    ) -> Result<Self, PatternError> {
        let value = value.into();
        let pattern = match op {
            MatchOp::Equal | MatchOp::NotEqual => Pattern::Literals(vec![value.clone()]),
            MatchOp::Regex | MatchOp::NotRegex => Pattern::new(&value)?,
        };
        Ok(Self { name: name.into(), op, value, pattern })
    }

    /// `name="value"`, which can't fail.
    #[must_use]
    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Self {
        let value = value.into();
        let pattern = Pattern::Literals(vec![value.clone()]);
        Self { name: name.into(), op: MatchOp::Equal, value, pattern }
    }

    /// The label's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it compares.
    #[must_use]
    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// The value or pattern as it was given.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether a label with this value, empty for none, satisfies the matcher.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        self.pattern.matches(value) != self.is_negative()
    }

    /// Whether this is `!=` or `!~`.
    pub(crate) fn is_negative(&self) -> bool {
        matches!(self.op, MatchOp::NotEqual | MatchOp::NotRegex)
    }

    /// What `=` and `=~` accept, and `!=` and `!~` refuse.
    pub(crate) fn pattern(&self) -> &Pattern {
        &self.pattern
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Matcher({self})")
    }
}

/// As PromQL writes it; the name is quoted unless it is a plain identifier.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_plain_name(&self.name) {
            f.write_str(&self.name)?;
        } else {
            write_quoted(f, &self.name)?;
        }
        f.write_str(self.op.as_str())?;
        write_quoted(f, &self.value)
    }
}
