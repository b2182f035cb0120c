//! The parser: RE2's grammar in, Rust's `Hir` out.
//!
//! It keeps its own stack of open groups, so that no pattern can exhaust the thread's.

use regex_syntax::hir::{Capture, Class, ClassUnicode, Hir, HirKind, Look, Repetition};

use super::HEIGHT_MAX;
use super::class;
use super::error::{PatternError, PatternErrorKind};

/// The largest count in `{n}`, and the largest product of nested ones.
const REPEAT_MAX: u32 = 1000;

/// How many groups may be open at once, as in Go.
const GROUPS_OPEN_MAX: usize = 1000;

/// Parses `pattern`. Dot matches newline, as in every Prometheus matcher.
pub(crate) fn parse(pattern: &str) -> Result<Hir, PatternError> {
    let mut parser = Parser::new(pattern);
    parser.run().map_err(|kind| PatternError {
        pattern: pattern.to_owned(),
        offset_bytes: parser.token_start,
        kind,
    })
}

#[derive(Debug, Clone, Copy)]
struct Flags {
    fold_case: bool,
    multi_line: bool,
    dot_newline: bool,
}

/// One repeatable element of a concatenation.
struct Atom {
    hir: Hir,
    /// The largest product of counts on a path into it.
    repeats: u32,
    height: u32,
}

/// An open group, or the whole pattern.
struct Group {
    alternatives: Vec<Atom>,
    concat: Vec<Atom>,
    /// The flags to return to when it closes.
    flags_outside: Flags,
}

pub(super) struct Parser<'p> {
    pattern: &'p str,
    position: usize,
    /// Where the element being read starts; errors point there.
    token_start: usize,
    flags: Flags,
    groups: Vec<Group>,
    /// Whether the element before this one was a repetition.
    after_repeat: bool,
}

impl<'p> Parser<'p> {
    fn new(pattern: &'p str) -> Self {
        let flags = Flags { fold_case: false, multi_line: false, dot_newline: true };
        let mut parser = Self {
            pattern,
            position: 0,
            token_start: 0,
            flags,
            groups: Vec::new(),
            after_repeat: false,
        };
        parser.open_group(flags);
        parser
    }

    fn run(&mut self) -> Result<Hir, PatternErrorKind> {
        while let Some(c) = self.peek() {
            self.token_start = self.position;
            let is_repeat = self.element(c)?;
            self.after_repeat = is_repeat;
        }
        self.token_start = self.pattern.len();
        if self.groups.len() > 1 {
            return Err(PatternErrorKind::MissingParenthesis);
        }
        let atom = self.close_group()?;
        Ok(atom.hir)
    }

    /// Reads one element; says whether it was a repetition.
    fn element(&mut self, c: char) -> Result<bool, PatternErrorKind> {
        match c {
            '(' => self.group_start()?,
            ')' => self.group_end()?,
            '|' => {
                self.bump();
                self.end_alternative()?;
            }
            '[' => {
                let class = self.bracket_class()?;
                self.push_class(class);
            }
            '^' => self.look(if self.flags.multi_line { Look::StartLF } else { Look::Start }),
            '$' => self.look(if self.flags.multi_line { Look::EndLF } else { Look::End }),
            '.' => {
                self.bump();
                self.push(class::dot(self.flags.dot_newline));
            }
            '*' | '+' | '?' => {
                self.bump();
                let (min, max) = match c {
                    '*' => (0, None),
                    '+' => (1, None),
                    _ => (0, Some(1)),
                };
                self.repeat(min, max)?;
                return Ok(true);
            }
            '{' => {
                if let Some((min, max)) = self.counts()? {
                    self.repeat(min, max)?;
                    return Ok(true);
                }
                self.literal();
            }
            '\\' => self.backslash()?,
            _ => self.literal(),
        }
        Ok(false)
    }

    // ---- input ----

    pub(super) fn rest(&self) -> &'p str {
        self.pattern.get(self.position..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.position += c.len_utf8();
        Some(c)
    }

    pub(super) fn skip(&mut self, bytes: usize) {
        self.position += bytes;
    }

    pub(super) fn eat(&mut self, want: char) -> bool {
        let found = self.peek() == Some(want);
        if found {
            self.position += want.len_utf8();
        }
        found
    }

    pub(super) fn fold_case(&self) -> bool {
        self.flags.fold_case
    }

    // ---- output ----

    fn push_atom(&mut self, atom: Atom) {
        if let Some(group) = self.groups.last_mut() {
            group.concat.push(atom);
        }
    }

    fn push(&mut self, hir: Hir) {
        self.push_atom(Atom { hir, repeats: 1, height: 1 });
    }

    fn push_class(&mut self, class: ClassUnicode) {
        self.push(Hir::class(Class::Unicode(class)));
    }

    fn look(&mut self, look: Look) {
        self.bump();
        self.push(Hir::look(look));
    }

    fn literal(&mut self) {
        if let Some(c) = self.bump() {
            self.push(class::literal(c.into(), self.flags.fold_case));
        }
    }

    fn backslash(&mut self) -> Result<(), PatternErrorKind> {
        let fold_case = self.flags.fold_case;
        let next = self.rest().chars().nth(1);
        let look = match next {
            Some('A') => Some(Look::Start),
            Some('z') => Some(Look::End),
            Some('b') => Some(Look::WordAscii),
            Some('B') => Some(Look::WordAsciiNegate),
            _ => None,
        };
        if let Some(look) = look {
            self.skip(1);
            self.look(look);
            return Ok(());
        }
        match next {
            Some('Q') => self.quoted(),
            Some('p' | 'P') => {
                let class = self.unicode_class()?;
                self.push_class(class);
            }
            Some(letter) if let Some(class) = class::perl(letter, fold_case) => {
                self.skip(2);
                self.push_class(class);
            }
            _ => {
                let code_point = self.escape()?;
                self.push(class::literal(code_point, fold_case));
            }
        }
        Ok(())
    }

    /// `\Q..\E`, or up to the end of the pattern: literal characters.
    fn quoted(&mut self) {
        self.skip(2);
        let rest = self.rest();
        let text = rest.split_once("\\E").map_or(rest, |(text, _)| text);
        for c in text.chars() {
            self.push(class::literal(c.into(), self.flags.fold_case));
        }
        self.skip((text.len() + 2).min(rest.len()));
    }

    // ---- repetition ----

    /// `{n}`, `{n,}` or `{n,m}`; `None`, and nothing read, when the brace is a plain character.
    fn counts(&mut self) -> Result<Option<(u32, Option<u32>)>, PatternErrorKind> {
        let Some((inside, _)) = self.rest().get(1..).and_then(|rest| rest.split_once('}')) else {
            return Ok(None);
        };
        let (min, max) = match inside.split_once(',') {
            None => (count(inside), Some(count(inside))),
            Some((min, "")) => (count(min), None),
            Some((min, max)) => (count(min), Some(count(max))),
        };
        let (Some(min), Some(max)) = (min, max.map_or(Some(None), |max| max.map(Some))) else {
            return Ok(None);
        };
        self.skip(inside.len() + 2);
        if min > REPEAT_MAX || max.is_some_and(|max| max > REPEAT_MAX || max < min) {
            return Err(PatternErrorKind::RepeatSize);
        }
        Ok(Some((min, max)))
    }

    fn repeat(&mut self, min: u32, max: Option<u32>) -> Result<(), PatternErrorKind> {
        // Laziness does not change which whole values match.
        self.eat('?');
        if self.after_repeat {
            return Err(PatternErrorKind::NestedRepeat);
        }
        let argument = self.groups.last_mut().and_then(|group| group.concat.pop());
        let argument = argument.ok_or(PatternErrorKind::MissingRepeatArgument)?;
        let factor = max.unwrap_or(min);
        let repeats = match (min, max) {
            (_, Some(0)) => 1,
            _ => factor.max(1) * argument.repeats,
        };
        if repeats > REPEAT_MAX {
            return Err(PatternErrorKind::RepeatSize);
        }
        let height = argument.height + 1;
        if height > HEIGHT_MAX {
            return Err(PatternErrorKind::TooDeep);
        }
        let sub = Box::new(grouped(argument.hir));
        let hir = Hir::repetition(Repetition { min, max, greedy: true, sub });
        self.push_atom(Atom { hir, repeats, height });
        Ok(())
    }

    // ---- groups ----

    fn open_group(&mut self, flags_outside: Flags) {
        self.groups.push(Group { alternatives: Vec::new(), concat: Vec::new(), flags_outside });
    }

    fn group_start(&mut self) -> Result<(), PatternErrorKind> {
        if self.groups.len() > GROUPS_OPEN_MAX {
            return Err(PatternErrorKind::TooDeep);
        }
        let flags_outside = self.flags;
        self.bump();
        if !self.eat('?') {
            self.open_group(flags_outside);
            return Ok(());
        }
        if self.rest().starts_with("P<") || self.rest().starts_with('<') {
            self.group_name()?;
            self.open_group(flags_outside);
            return Ok(());
        }
        if self.group_flags()? {
            self.open_group(flags_outside);
        }
        Ok(())
    }

    fn group_name(&mut self) -> Result<(), PatternErrorKind> {
        let rest = self.rest();
        let inside = rest.strip_prefix('P').unwrap_or(rest).strip_prefix('<').unwrap_or_default();
        let (name, after) = inside.split_once('>').ok_or(PatternErrorKind::GroupName)?;
        let valid =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !valid {
            return Err(PatternErrorKind::GroupName);
        }
        self.skip(rest.len() - after.len());
        Ok(())
    }

    /// `i`, `m`, `s`, `U` and `-`, up to `)` or `:`; says whether a group opens.
    fn group_flags(&mut self) -> Result<bool, PatternErrorKind> {
        let mut value = true;
        let mut seen = false;
        loop {
            match self.bump().ok_or(PatternErrorKind::Group)? {
                'i' => self.flags.fold_case = value,
                'm' => self.flags.multi_line = value,
                's' => self.flags.dot_newline = value,
                'U' => {}
                '-' if value => {
                    value = false;
                    seen = false;
                    continue;
                }
                end @ (':' | ')') if value || seen => return Ok(end == ':'),
                _ => return Err(PatternErrorKind::Group),
            }
            seen = true;
        }
    }

    fn group_end(&mut self) -> Result<(), PatternErrorKind> {
        if self.groups.len() <= 1 {
            return Err(PatternErrorKind::UnexpectedParenthesis);
        }
        self.bump();
        let atom = self.close_group()?;
        self.push_atom(atom);
        Ok(())
    }

    fn end_alternative(&mut self) -> Result<(), PatternErrorKind> {
        let Some(group) = self.groups.last_mut() else { return Ok(()) };
        let atom = join(std::mem::take(&mut group.concat), Hir::concat)?;
        group.alternatives.push(atom);
        Ok(())
    }

    fn close_group(&mut self) -> Result<Atom, PatternErrorKind> {
        self.end_alternative()?;
        let group = self.groups.pop().ok_or(PatternErrorKind::UnexpectedParenthesis)?;
        self.flags = group.flags_outside;
        join(group.alternatives, Hir::alternation)
    }
}

/// Makes one of several, where there are several.
fn join(atoms: Vec<Atom>, with: fn(Vec<Hir>) -> Hir) -> Result<Atom, PatternErrorKind> {
    let repeats = atoms.iter().map(|atom| atom.repeats).max().unwrap_or(1);
    let levels = u32::from(atoms.len() > 1);
    let height = atoms.iter().map(|atom| atom.height).max().unwrap_or(1) + levels;
    if height > HEIGHT_MAX {
        return Err(PatternErrorKind::TooDeep);
    }
    let hir = with(atoms.into_iter().map(|atom| atom.hir).collect());
    Ok(Atom { hir, repeats, height })
}

/// Puts a repetition into a group: printed bare, `a{2,}` repeated by `?` would read as lazy.
fn grouped(hir: Hir) -> Hir {
    if !matches!(hir.kind(), HirKind::Repetition(_)) {
        return hir;
    }
    Hir::capture(Capture { index: 1, name: None, sub: Box::new(hir) })
}

/// A count's value, saturated; `None` when these are not digits, or start with a needless zero.
fn count(digits: &str) -> Option<u32> {
    let needless_zero = digits.len() > 1 && digits.starts_with('0');
    if digits.is_empty() || needless_zero || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u32::MAX))
}
