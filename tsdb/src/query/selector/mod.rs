//! Series selectors: `http_requests_total{code=~"5..",job!="test"}` into matchers.
//!
//! ```text
//!  selector = name [ braces ] | braces
//!  braces   = "{" [ item { "," item } [ "," ] ] "}"
//!  item     = ( identifier | string ) op string
//!           | string                               the metric's name, quoted
//!  op       = "=" | "!=" | "=~" | "!~"
//!  string   = "..." | '...' with escapes | `...` as it stands
//! ```
//!
//! Blanks and `# comments` may stand anywhere between. What PromQL adds to a selector to make an
//! expression of it (ranges, offsets, functions) is refused.
//!
//! Source: Prometheus's pages "Querying basics" and "UTF-8 in Prometheus".

mod lexer;

use std::fmt;

use tsdb_format::labels::METRIC_NAME;

use super::matcher::{MatchOp, Matcher};
use super::re2::PatternError;
use lexer::{Lexer, Token};

/// Words that PromQL does not take for a metric's name unless they are quoted.
const RESERVED: &[&str] =
    &["atan2", "bool", "group_left", "group_right", "ignoring", "inf", "nan", "on"];

/// Why a selector is refused, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("selector {selector:?}, at byte {offset_bytes}: {kind}")]
#[non_exhaustive]
pub struct SelectorError {
    /// The whole selector.
    pub selector: String,
    /// Where in the selector, in bytes from its start.
    pub offset_bytes: usize,
    /// What is wrong there.
    pub kind: SelectorErrorKind,
}

/// What is wrong with a selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectorErrorKind {
    /// Something else stands where this was expected.
    #[error("expected {0}")]
    Expected(SelectorPart),
    /// A string is not closed.
    #[error("unterminated string")]
    UnterminatedString,
    /// An escape that PromQL's strings do not have.
    #[error("unknown or incomplete escape sequence")]
    Escape,
    /// Escapes spelled bytes that are not UTF-8, or U+FFFD stands in the string, as PromQL has it.
    #[error("string is not UTF-8")]
    NotUtf8,
    /// A word of PromQL's where a metric's name should stand.
    #[error("a word of PromQL; as a metric's name it needs quotes, as in {{\"on\"}}")]
    ReservedWord,
    /// A regular expression that RE2 would refuse.
    #[error(transparent)]
    Pattern(PatternError),
}

/// What can stand in a place of a selector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SelectorPart {
    /// The start of a selector.
    NameOrBrace,
    /// Behind a metric's name.
    BraceOrEnd,
    /// Behind the closing brace.
    NothingMore,
    /// The start of a matcher, or the end of all of them.
    LabelOrBrace,
    /// Behind a matcher.
    CommaOrBrace,
    /// Behind a label's name.
    Operator,
    /// Behind an operator.
    QuotedString,
    /// Anything that a selector is made of.
    Token,
}

impl fmt::Display for SelectorPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NameOrBrace => "a metric's name or \"{\"",
            Self::BraceOrEnd => "\"{\" or the end",
            Self::NothingMore => "nothing after the closing brace",
            Self::LabelOrBrace => "a label's name or \"}\"",
            Self::CommaOrBrace => "\",\" or \"}\"",
            Self::Operator => "one of = != =~ !~",
            Self::QuotedString => "a quoted string",
            Self::Token => "a name, a string or one of { } , = !",
        })
    }
}

/// Parses a series selector. The matcher on a name outside of the braces comes last.
///
/// `{}` gives no matcher at all, which selects every series.
///
/// # Errors
///
/// When PromQL would refuse it as a series selector, or when a string of it is not UTF-8.
///
/// ```
/// use tsdb::query::parse_selector;
///
/// let matchers = parse_selector(r#"up{job=~"api|web"}"#)?;
/// assert_eq!(matchers.len(), 2);
/// let quoted = parse_selector(r#"{"my.metric", "label.name"="x"}"#)?;
/// assert_eq!(quoted[0].to_string(), r#"__name__="my.metric""#);
/// # Ok::<(), tsdb::query::SelectorError>(())
/// ```
pub fn parse_selector(selector: &str) -> Result<Vec<Matcher>, SelectorError> {
    let mut parser = Parser { lexer: Lexer::new(selector), matchers: Vec::new() };
    match parser.selector() {
        Ok(()) => Ok(parser.matchers),
        Err(kind) => Err(SelectorError {
            selector: selector.to_owned(),
            offset_bytes: parser.lexer.token_start(),
            kind,
        }),
    }
}

struct Parser<'s> {
    lexer: Lexer<'s>,
    matchers: Vec<Matcher>,
}

impl Parser<'_> {
    fn selector(&mut self) -> Result<(), SelectorErrorKind> {
        let name = match self.lexer.metric_name()? {
            Some(name) if RESERVED.contains(&name.to_ascii_lowercase().as_str()) => {
                return Err(SelectorErrorKind::ReservedWord);
            }
            name => name,
        };
        match self.lexer.next()? {
            Token::OpenBrace => {
                self.braces()?;
                if self.lexer.next()? != Token::End {
                    return Err(SelectorErrorKind::Expected(SelectorPart::NothingMore));
                }
            }
            Token::End if name.is_some() => {}
            _ if name.is_some() => {
                return Err(SelectorErrorKind::Expected(SelectorPart::BraceOrEnd));
            }
            _ => return Err(SelectorErrorKind::Expected(SelectorPart::NameOrBrace)),
        }
        if let Some(name) = name {
            self.matchers.push(Matcher::equal(METRIC_NAME, name));
        }
        Ok(())
    }

    fn braces(&mut self) -> Result<(), SelectorErrorKind> {
        let mut token = self.lexer.next()?;
        while token != Token::CloseBrace {
            token = self.item(token)?;
            token = match token {
                Token::Comma => self.lexer.next()?,
                Token::CloseBrace => break,
                _ => return Err(SelectorErrorKind::Expected(SelectorPart::CommaOrBrace)),
            };
        }
        Ok(())
    }

    /// Reads the item that starts with `token`; returns the token behind it.
    fn item(&mut self, token: Token) -> Result<Token, SelectorErrorKind> {
        let (name, quoted) = match token {
            Token::Identifier(name) => (name, false),
            Token::String(name) => (name, true),
            _ => return Err(SelectorErrorKind::Expected(SelectorPart::LabelOrBrace)),
        };
        let op = match self.lexer.next()? {
            Token::Op(op) => op,
            behind if quoted => {
                self.matchers.push(Matcher::equal(METRIC_NAME, name));
                return Ok(behind);
            }
            _ => return Err(SelectorErrorKind::Expected(SelectorPart::Operator)),
        };
        let Token::String(value) = self.lexer.next()? else {
            return Err(SelectorErrorKind::Expected(SelectorPart::QuotedString));
        };
        self.push(name, op, value)?;
        self.lexer.next()
    }

    fn push(&mut self, name: String, op: MatchOp, value: String) -> Result<(), SelectorErrorKind> {
        let matcher = Matcher::new(name, op, value).map_err(SelectorErrorKind::Pattern)?;
        self.matchers.push(matcher);
        Ok(())
    }
}
