//! Backslash escapes that stand for one character, inside and outside of brackets.

use super::error::PatternErrorKind;
use super::parser::Parser;

impl Parser<'_> {
    /// Reads `\n`, `\x41`, `\x{1F600}`, `\101`, `\.` and the like, the backslash included:
    /// a code point, which may be a surrogate.
    pub(super) fn escape(&mut self) -> Result<u32, PatternErrorKind> {
        self.bump();
        let Some(c) = self.bump() else {
            return Err(PatternErrorKind::TrailingBackslash);
        };
        match c {
            // A lone digit would be a back reference; octal needs a second one, or a zero.
            '1'..='7' if !matches!(self.peek(), Some('0'..='7')) => Err(PatternErrorKind::Escape),
            '0'..='7' => Ok(self.octal(c)),
            'x' => self.hex(),
            'a' => Ok(0x07),
            'f' => Ok(0x0c),
            'n' => Ok(0x0a),
            'r' => Ok(0x0d),
            't' => Ok(0x09),
            'v' => Ok(0x0b),
            // Punctuation stands for itself, `_` too; letters and digits are kept for the language.
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Ok(c.into()),
            _ => Err(PatternErrorKind::Escape),
        }
    }

    fn octal(&mut self, first: char) -> u32 {
        let mut value = first.to_digit(8).unwrap_or(0);
        for _ in 0..2 {
            let Some(digit) = self.peek().and_then(|c| c.to_digit(8)) else {
                break;
            };
            self.bump();
            value = value * 8 + digit;
        }
        value
    }

    fn hex(&mut self) -> Result<u32, PatternErrorKind> {
        if self.eat('{') {
            return self.hex_in_braces();
        }
        let mut value = 0;
        for _ in 0..2 {
            let digit = self.bump().and_then(|c| c.to_digit(16));
            value = value * 16 + digit.ok_or(PatternErrorKind::Escape)?;
        }
        Ok(value)
    }

    fn hex_in_braces(&mut self) -> Result<u32, PatternErrorKind> {
        let mut value = 0;
        let mut digits = 0;
        loop {
            let c = self.bump().ok_or(PatternErrorKind::Escape)?;
            if c == '}' && digits > 0 {
                return Ok(value);
            }
            value = value * 16 + c.to_digit(16).ok_or(PatternErrorKind::Escape)?;
            digits += 1;
            if value > u32::from(char::MAX) {
                return Err(PatternErrorKind::Escape);
            }
        }
    }
}
