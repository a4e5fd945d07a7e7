//! Percent-encoding of paths (RFC 3986): any bytes, both ways.

use crate::core::{Kind, Result, error::fail};

/// Encodes a path for a URL; `/` stays.
pub fn encode(path: &[u8]) -> String {
    let mut out = String::with_capacity(path.len());
    for &byte in path {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.extend(
                [byte >> 4, byte & 15].map(|d| char::from(b"0123456789ABCDEF"[usize::from(d)])),
            );
        }
    }
    out
}

/// Decodes what `encode` or any other client wrote.
pub fn decode(text: &str) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digit = |b: Option<u8>| {
            b.and_then(|b| char::from(b).to_digit(16))
                .and_then(|d| u8::try_from(d).ok())
        };
        let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else {
            return fail(
                Kind::Invalid,
                format!("path {text:?}: % is followed by two hex digits"),
            );
        };
        out.push(high << 4 | low);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_a_url() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&all)).unwrap(), all);
        assert_eq!(encode(b"/a b/%"), "/a%20b/%25");
    }

    #[test]
    fn half_an_escape_is_refused() {
        assert!(decode("/a%2").is_err());
        assert!(decode("/a%zz").is_err());
    }
}
