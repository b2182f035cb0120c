//! The words of a selector.

use super::super::matcher::MatchOp;
use super::{SelectorErrorKind, SelectorPart};

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Token {
    OpenBrace,
    CloseBrace,
    Comma,
    Op(MatchOp),
    Identifier(String),
    /// Unquoted.
    String(String),
    End,
}

pub(super) struct Lexer<'s> {
    input: &'s str,
    position: usize,
    token_start: usize,
}

impl<'s> Lexer<'s> {
    pub(super) fn new(input: &'s str) -> Self {
        Self { input, position: 0, token_start: 0 }
    }

    /// Where the last token starts.
    pub(super) fn token_start(&self) -> usize {
        self.token_start
    }

    /// The metric's name in front of the braces, where there is one. Colons are allowed in it.
    pub(super) fn metric_name(&mut self) -> Result<Option<&'s str>, SelectorErrorKind> {
        self.skip_blanks();
        self.token_start = self.position;
        let name = self.take_word(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':');
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(SelectorErrorKind::Expected(SelectorPart::NameOrBrace));
        }
        Ok((!name.is_empty()).then_some(name))
    }

    pub(super) fn next(&mut self) -> Result<Token, SelectorErrorKind> {
        self.skip_blanks();
        self.token_start = self.position;
        let Some(c) = self.bump() else {
            return Ok(Token::End);
        };
        match c {
            '{' => Ok(Token::OpenBrace),
            '}' => Ok(Token::CloseBrace),
            ',' => Ok(Token::Comma),
            '=' if self.eat('~') => Ok(Token::Op(MatchOp::Regex)),
            '=' => Ok(Token::Op(MatchOp::Equal)),
            '!' if self.eat('~') => Ok(Token::Op(MatchOp::NotRegex)),
            '!' if self.eat('=') => Ok(Token::Op(MatchOp::NotEqual)),
            '"' | '\'' => self.quoted(c).map(Token::String),
            '`' => self.raw().map(Token::String),
            c if c.is_ascii_alphabetic() || c == '_' => {
                self.position = self.token_start;
                let word = self.take_word(|b| b.is_ascii_alphanumeric() || b == b'_');
                Ok(Token::Identifier(word.to_owned()))
            }
            _ => Err(SelectorErrorKind::Expected(SelectorPart::Token)),
        }
    }

    fn rest(&self) -> &'s str {
        self.input.get(self.position..).unwrap_or_default()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.rest().chars().next()?;
        self.position += c.len_utf8();
        Some(c)
    }

    fn eat(&mut self, want: char) -> bool {
        let found = self.rest().starts_with(want);
        if found {
            self.position += want.len_utf8();
        }
        found
    }

    fn take_word(&mut self, is_part: impl Fn(u8) -> bool) -> &'s str {
        let rest = self.rest();
        let length = rest.bytes().take_while(|&b| is_part(b)).count();
        self.position += length;
        rest.get(..length).unwrap_or_default()
    }

    fn skip_blanks(&mut self) {
        loop {
            self.take_word(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'));
            if !self.eat('#') {
                return;
            }
            self.take_word(|b| b != b'\n' && b != b'\r');
        }
    }

    fn raw(&mut self) -> Result<String, SelectorErrorKind> {
        let rest = self.rest();
        let (text, _) = rest.split_once('`').ok_or(SelectorErrorKind::UnterminatedString)?;
        if text.contains(char::REPLACEMENT_CHARACTER) {
            return Err(SelectorErrorKind::NotUtf8);
        }
        self.position += text.len() + 1;
        Ok(text.to_owned())
    }

    fn quoted(&mut self, quote: char) -> Result<String, SelectorErrorKind> {
        let mut bytes = Vec::new();
        loop {
            let c = self.bump().ok_or(SelectorErrorKind::UnterminatedString)?;
            match c {
                '\n' => return Err(SelectorErrorKind::UnterminatedString),
                '\\' => self.escape(quote, &mut bytes)?,
                c if c == quote => break,
                char::REPLACEMENT_CHARACTER => return Err(SelectorErrorKind::NotUtf8),
                c => push_char(&mut bytes, c),
            }
        }
        String::from_utf8(bytes).map_err(|_| SelectorErrorKind::NotUtf8)
    }

    /// One escape behind its backslash. `\x` and octal ones give a byte, not a character.
    fn escape(&mut self, quote: char, bytes: &mut Vec<u8>) -> Result<(), SelectorErrorKind> {
        let c = self.bump().ok_or(SelectorErrorKind::Escape)?;
        let byte = match c {
            'a' => 0x07,
            'b' => 0x08,
            'f' => 0x0c,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 0x0b,
            '\\' => b'\\',
            c if c == quote => c as u8,
            '0'..='7' => {
                self.position -= 1;
                self.byte_of_digits(3, 8)?
            }
            'x' => self.byte_of_digits(2, 16)?,
            'u' | 'U' => {
                let value = self.digits(if c == 'u' { 4 } else { 8 }, 16)?;
                push_char(bytes, char::from_u32(value).ok_or(SelectorErrorKind::Escape)?);
                return Ok(());
            }
            _ => return Err(SelectorErrorKind::Escape),
        };
        bytes.push(byte);
        Ok(())
    }

    fn byte_of_digits(&mut self, count: usize, radix: u32) -> Result<u8, SelectorErrorKind> {
        u8::try_from(self.digits(count, radix)?).map_err(|_| SelectorErrorKind::Escape)
    }

    fn digits(&mut self, count: usize, radix: u32) -> Result<u32, SelectorErrorKind> {
        let digits = self.rest().get(..count).ok_or(SelectorErrorKind::Escape)?;
        if !digits.chars().all(|c| c.is_digit(radix)) {
            return Err(SelectorErrorKind::Escape);
        }
        self.position += count;
        u32::from_str_radix(digits, radix).map_err(|_| SelectorErrorKind::Escape)
    }
}

fn push_char(bytes: &mut Vec<u8>, c: char) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}
