//! Why a pattern is refused.

/// A regular expression that RE2 would refuse too, or that is too large to compile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("regular expression {pattern:?}, at byte {offset_bytes}: {kind}")]
#[non_exhaustive]
pub struct PatternError {
    /// The whole pattern.
    pub pattern: String,
    /// Where in the pattern, in bytes from its start.
    pub offset_bytes: usize,
    /// What is wrong there.
    pub kind: PatternErrorKind,
}

/// What is wrong with a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternErrorKind {
    /// A group is never closed.
    #[error("missing closing )")]
    MissingParenthesis,
    /// A `)` that closes nothing.
    #[error("unexpected )")]
    UnexpectedParenthesis,
    /// A character class is never closed.
    #[error("missing closing ]")]
    MissingBracket,
    /// `*`, `+`, `?` or `{n}` with nothing before it.
    #[error("nothing to repeat")]
    MissingRepeatArgument,
    /// `a**` and the like: group the inner one.
    #[error("a repetition of a repetition needs a group, as in (?:a*)*")]
    NestedRepeat,
    /// A count over 1000, a range that runs backwards, or counts that multiply to over 1000.
    #[error("repeat count over 1000 or out of order")]
    RepeatSize,
    /// An escape that RE2 does not have; back references and look-around are among them.
    #[error("escape that RE2 does not have")]
    Escape,
    /// The pattern ends in a lone backslash.
    #[error("trailing backslash")]
    TrailingBackslash,
    /// A range that runs backwards, or a class name that does not exist.
    #[error("invalid character class range or class name")]
    ClassRange,
    /// `(?` followed by something else than flags or a name; RE2 has no look-around.
    #[error("invalid or unsupported group, as (?=, (?! or (?<= would be")]
    Group,
    /// A group's name is empty, or has other characters than letters, digits and `_`.
    #[error("invalid group name")]
    GroupName,
    /// More levels than are allowed.
    #[error("expression nests too deeply")]
    TooDeep,
    /// The compiled program would be over the size limit.
    #[error("expression compiles to a program over the size limit")]
    TooLarge,
}
