//! Keys and values as text.

use std::fmt::Display;
use std::io::{self, Write as _};

/// A line to standard output.
///
/// # Errors
/// Who reads has hung up, as `head` does; there is nobody to tell any more.
pub fn say(line: impl Display) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

/// Text as it is; other bytes as `\xff`, and what would be taken for that with a `\` before it.
pub fn show(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(|c| c.is_control() || c == '\\') => text.to_owned(),
        _ => bytes.escape_ascii().to_string(),
    }
}

/// The other way round: `\xff`, `\n` and their like stand for bytes, anything else for itself.
///
/// # Errors
/// Which escape is none.
pub fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('\\') {
        bytes.extend_from_slice(plain.as_bytes());
        let wrong = || format!("`\\{escape}` is no escape: write \\xff for a byte, \\\\ for a \\");
        let (byte, length) = match escape.as_bytes().first() {
            Some(b'n') => (b'\n', 1),
            Some(b'r') => (b'\r', 1),
            Some(b't') => (b'\t', 1),
            Some(b'0') => (0, 1),
            Some(quote @ (b'\\' | b'\'' | b'"')) => (*quote, 1),
            Some(b'x') => {
                let digits = escape.get(1..3).ok_or_else(wrong)?;
                (u8::from_str_radix(digits, 16).map_err(|_| wrong())?, 3)
            }
            _ => return Err(wrong()),
        };
        bytes.push(byte);
        rest = &escape[length..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_typed() {
        for key in [&b"plain"[..], "ä".as_bytes(), b"\xff\x00\n", b"back\\slash", b""] {
            assert_eq!(bytes(&show(key)).as_deref(), Ok(key));
        }
        assert!(bytes("\\q").is_err() && bytes("\\xf").is_err() && bytes("\\").is_err());
    }
}
