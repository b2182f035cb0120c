//! Character classes: ranges, negation, case folding.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir};

use super::names;

/// Every class of RE2 as a set of scalar values.
///
/// RE2 also knows the surrogates. No string holds one, so they are left out of every range.
pub(super) fn from_ranges(ranges: &[(u32, u32)]) -> ClassUnicode {
    let mut class = ClassUnicode::empty();
    for &(low, high) in ranges {
        push_range(&mut class, low, high);
    }
    class
}

/// Adds `low..=high`, surrogates left out.
pub(super) fn push_range(class: &mut ClassUnicode, low: u32, high: u32) {
    let low = char::from_u32(low).unwrap_or('\u{e000}');
    let high = char::from_u32(high).unwrap_or('\u{d7ff}');
    if low <= high {
        class.push(ClassUnicodeRange::new(low, high));
    }
}

/// Adds every character that simple case folding makes equal to one of the class.
pub(super) fn fold(class: &mut ClassUnicode) {
    // Fails only without regex-syntax's case tables, which the workspace enables.
    let _ = class.try_case_fold_simple();
}

/// One character, in both cases where `fold_case`.
pub(super) fn literal(code_point: u32, fold_case: bool) -> Hir {
    let mut class = from_ranges(&[(code_point, code_point)]);
    if fold_case {
        fold(&mut class);
    }
    Hir::class(Class::Unicode(class))
}

/// `.`: any character, or any but a newline.
pub(super) fn dot(matches_newline: bool) -> Hir {
    let mut class = from_ranges(&[(0, 0x10_ffff)]);
    if !matches_newline {
        class.difference(&from_ranges(&[(0x0a, 0x0a)]));
    }
    Hir::class(Class::Unicode(class))
}

/// `\d`, `\s`, `\w` and their negations. RE2's `\s` has no vertical tab.
pub(super) fn perl(letter: char, fold_case: bool) -> Option<ClassUnicode> {
    let ranges: &[(u8, u8)] = match letter.to_ascii_lowercase() {
        'd' => &[(b'0', b'9')],
        's' => &[(b'\t', b'\n'), (0x0c, b'\r'), (b' ', b' ')],
        'w' => &[(b'0', b'9'), (b'A', b'Z'), (b'_', b'_'), (b'a', b'z')],
        _ => return None,
    };
    Some(ascii(ranges, letter.is_ascii_uppercase(), fold_case))
}

/// `[:alpha:]` and the like, by name; a leading `^` negates.
pub(super) fn posix(name: &str, fold_case: bool) -> Option<ClassUnicode> {
    let (name, negated) = match name.strip_prefix('^') {
        Some(rest) => (rest, true),
        None => (name, false),
    };
    let ranges: &[(u8, u8)] = match name {
        "alnum" => &[(b'0', b'9'), (b'A', b'Z'), (b'a', b'z')],
        "alpha" => &[(b'A', b'Z'), (b'a', b'z')],
        "ascii" => &[(0, 0x7f)],
        "blank" => &[(b'\t', b'\t'), (b' ', b' ')],
        "cntrl" => &[(0, 0x1f), (0x7f, 0x7f)],
        "digit" => &[(b'0', b'9')],
        "graph" => &[(b'!', b'~')],
        "lower" => &[(b'a', b'z')],
        "print" => &[(b' ', b'~')],
        "punct" => &[(b'!', b'/'), (b':', b'@'), (b'[', b'`'), (b'{', b'~')],
        "space" => &[(b'\t', b'\r'), (b' ', b' ')],
        "upper" => &[(b'A', b'Z')],
        "word" => &[(b'0', b'9'), (b'A', b'Z'), (b'_', b'_'), (b'a', b'z')],
        "xdigit" => &[(b'0', b'9'), (b'A', b'F'), (b'a', b'f')],
        _ => return None,
    };
    Some(ascii(ranges, negated, fold_case))
}

/// `\p{Name}`: a general category or a script, by the exact names that RE2 takes; `^` negates.
pub(super) fn unicode(name: &str, negated: bool, fold_case: bool) -> Option<ClassUnicode> {
    let (name, negated) = match name.strip_prefix('^') {
        Some(rest) => (rest, !negated),
        None => (name, negated),
    };
    let mut class = names::lookup(name)?;
    if fold_case {
        fold(&mut class);
    }
    if negated {
        class.negate();
    }
    Some(class)
}

/// A class is folded before it is negated: `(?i)\W` has no long s, which folds to s.
fn ascii(ranges: &[(u8, u8)], negated: bool, fold_case: bool) -> ClassUnicode {
    let mut class = ClassUnicode::empty();
    for &(low, high) in ranges {
        push_range(&mut class, low.into(), high.into());
    }
    if fold_case {
        fold(&mut class);
    }
    if negated {
        class.negate();
    }
    class
}
