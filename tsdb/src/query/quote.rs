//! Double-quoted strings, as Go and PromQL write them.

use std::fmt;

/// Displays a string in double quotes. Quotes, backslashes, line breaks and whatever leaves no mark
/// on paper are escaped: `\"`, `\\`, `\n`, `\x01`, `\u00a0`, `\U000e0001`.
///
/// Go prints letters, marks, numbers, punctuation, symbols and the ASCII space as they are. So do
/// we, by the newer tables of Rust's standard library.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        let mut plain = self.0;
        while let Some(at) = plain.find(needs_escape) {
            let (before, rest) = plain.split_at(at);
            f.write_str(before)?;
            let mut rest = rest.chars();
            if let Some(c) = rest.next() {
                escape(c, f)?;
            }
            plain = rest.as_str();
        }
        f.write_str(plain)?;
        f.write_str("\"")
    }
}

fn needs_escape(c: char) -> bool {
    match c {
        '"' | '\\' => true,
        ' '..='~' => false,
        c => !prints(c),
    }
}

fn escape(c: char, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match c {
        '"' => f.write_str("\\\""),
        '\\' => f.write_str("\\\\"),
        '\x07' => f.write_str("\\a"),
        '\x08' => f.write_str("\\b"),
        '\x0c' => f.write_str("\\f"),
        '\n' => f.write_str("\\n"),
        '\r' => f.write_str("\\r"),
        '\t' => f.write_str("\\t"),
        '\x0b' => f.write_str("\\v"),
        c if c.is_ascii() => write!(f, "\\x{:02x}", u32::from(c)),
        c if u32::from(c) < 0x1_0000 => write!(f, "\\u{:04x}", u32::from(c)),
        c => write!(f, "\\U{:08x}", u32::from(c)),
    }
}

fn prints(c: char) -> bool {
    // Behind a letter, so that a combining mark does not count as one that stands alone.
    let mut bytes = [b'a'; 5];
    let length = c.encode_utf8(&mut bytes[1..]).len();
    let text = std::str::from_utf8(&bytes[..1 + length]).unwrap_or_default();
    text.escape_debug().count() == 2
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The right-hand sides are what Go 1.26's `strconv.Quote` gives.
    #[test]
    fn strings_are_quoted_as_in_go() {
        for (text, want) in [
            ("plain, with 'single' `ticks`", r#""plain, with 'single' `ticks`""#),
            ("\"\\", r#""\"\\""#),
            ("\u{7}\u{8}\u{c}\n\r\t\u{b}", r#""\a\b\f\n\r\t\v""#),
            ("\0\u{1f}\u{7f}", r#""\x00\x1f\x7f""#),
            ("é日本😀", "\"é日本😀\""),
            ("\u{a0}\u{ad}\u{200b}\u{2028}\u{feff}", r#""\u00a0\u00ad\u200b\u2028\ufeff""#),
            ("e\u{301}\u{301}", "\"e\u{301}\u{301}\""),
            ("\u{301}", "\"\u{301}\""),
            ("\u{e000}\u{e0001}\u{10ffff}", r#""\ue000\U000e0001\U0010ffff""#),
            ("\u{fffd}", "\"\u{fffd}\""),
        ] {
            assert_eq!(Quoted(text).to_string(), want, "{text:?}");
        }
    }
}
