//! Errors on the wire: `{"error":{"kind":"not_found","message":"…"}}`.

use crate::core::{Error, Kind};
use serde::{Deserialize, Serialize};

/// The body of every answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub error: Wrong,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wrong {
    pub kind: Kind,
    pub message: String,
}

impl From<&Error> for Failure {
    fn from(e: &Error) -> Self {
        Self {
            error: Wrong {
                kind: e.kind(),
                message: e.message().to_owned(),
            },
        }
    }
}

impl From<Failure> for Error {
    fn from(f: Failure) -> Self {
        Self::new(f.error.kind, f.error.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_the_wire_with_its_kind() {
        let sent =
            serde_json::to_string(&Failure::from(&Error::new(Kind::NotFound, "no /a"))).unwrap();
        assert_eq!(sent, r#"{"error":{"kind":"not_found","message":"no /a"}}"#);
        let back: Error = serde_json::from_str::<Failure>(&sent).unwrap().into();
        assert_eq!((back.kind(), back.message()), (Kind::NotFound, "no /a"));
    }
}
