//! Bytes as they travel in JSON.

use super::path::show;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A name or path: a string where it is UTF-8, otherwise an array of its bytes. Nothing is lost either way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(from = "Form", into = "Form")]
pub struct Text(pub Vec<u8>);

#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a text, or an array of bytes")]
enum Form {
    Utf8(String),
    Bytes(Vec<u8>),
}

impl From<Form> for Text {
    fn from(form: Form) -> Self {
        match form {
            Form::Utf8(s) => Self(s.into_bytes()),
            Form::Bytes(b) => Self(b),
        }
    }
}

impl From<Text> for Form {
    fn from(text: Text) -> Self {
        String::from_utf8(text.0).map_or_else(|e| Self::Bytes(e.into_bytes()), Self::Utf8)
    }
}

impl From<&str> for Text {
    fn from(s: &str) -> Self {
        Self(s.as_bytes().to_vec())
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&show(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_come_back_as_they_went() {
        for bytes in [&b"/a b"[..], b"\xff\x00", "ä".as_bytes(), b""] {
            let sent = serde_json::to_string(&Text(bytes.to_vec())).unwrap();
            assert_eq!(serde_json::from_str::<Text>(&sent).unwrap().0, bytes);
        }
        assert_eq!(serde_json::to_string(&Text::from("/a")).unwrap(), "\"/a\"");
    }
}
