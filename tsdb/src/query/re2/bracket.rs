//! `[...]` and `\p{..}`.

use regex_syntax::hir::ClassUnicode;

use super::class;
use super::error::PatternErrorKind;
use super::parser::Parser;

impl Parser<'_> {
    /// Reads `[...]`, both brackets included.
    ///
    /// There is no nesting and there are no set operators: `[`, `&&`, `--` and `~~` are characters.
    pub(super) fn bracket_class(&mut self) -> Result<ClassUnicode, PatternErrorKind> {
        self.bump();
        let negated = self.eat('^');
        let mut class = ClassUnicode::empty();
        let mut first = true;
        loop {
            match self.peek() {
                None => return Err(PatternErrorKind::MissingBracket),
                Some(']') if !first => break,
                _ => {}
            }
            first = false;
            match self.named_class()? {
                Some(named) => class.union(&named),
                None => self.class_range(&mut class)?,
            }
        }
        self.bump();
        if negated {
            class.negate();
        }
        Ok(class)
    }

    /// `[:alpha:]`, `\pL` or `\d` where one stands here.
    fn named_class(&mut self) -> Result<Option<ClassUnicode>, PatternErrorKind> {
        let rest = self.rest();
        if let Some((name, _)) = rest.strip_prefix("[:").and_then(|rest| rest.split_once(":]")) {
            let class = class::posix(name, self.fold_case()).ok_or(PatternErrorKind::ClassRange)?;
            self.skip(name.len() + 4);
            return Ok(Some(class));
        }
        let Some(letter) = rest.strip_prefix('\\').and_then(|rest| rest.chars().next()) else {
            return Ok(None);
        };
        if matches!(letter, 'p' | 'P') {
            return self.unicode_class().map(Some);
        }
        let class = class::perl(letter, self.fold_case());
        if class.is_some() {
            self.skip(2);
        }
        Ok(class)
    }

    /// A character, or two with a hyphen between.
    fn class_range(&mut self, class: &mut ClassUnicode) -> Result<(), PatternErrorKind> {
        let low = self.class_char()?;
        let mut high = low;
        let mut ahead = self.rest().chars();
        if ahead.next() == Some('-') && ahead.next().is_some_and(|c| c != ']') {
            self.skip(1);
            high = self.class_char()?;
        }
        if high < low {
            return Err(PatternErrorKind::ClassRange);
        }
        let mut range = class::from_ranges(&[(low, high)]);
        if self.fold_case() {
            class::fold(&mut range);
        }
        class.union(&range);
        Ok(())
    }

    fn class_char(&mut self) -> Result<u32, PatternErrorKind> {
        match self.peek() {
            Some('\\') => self.escape(),
            _ => self.bump().map(u32::from).ok_or(PatternErrorKind::MissingBracket),
        }
    }

    /// `\pL`, `\p{Greek}`, `\P{^Lu}`.
    pub(super) fn unicode_class(&mut self) -> Result<ClassUnicode, PatternErrorKind> {
        let negated = self.rest().starts_with("\\P");
        self.skip(2);
        let rest = self.rest();
        let name = match rest.strip_prefix('{') {
            Some(inside) => {
                let (name, _) = inside.split_once('}').ok_or(PatternErrorKind::ClassRange)?;
                self.skip(name.len() + 2);
                name
            }
            None => {
                let length = self.peek().map_or(0, char::len_utf8);
                self.skip(length);
                rest.get(..length).unwrap_or_default()
            }
        };
        class::unicode(name, negated, self.fold_case()).ok_or(PatternErrorKind::ClassRange)
    }
}
