//! Words of a configuration and identifiers of things, checked once where they enter.
//!
//! Promise: whatever has one of these types can be written as `type:id#relation` and read back as the same parts.

use crate::core::path::PATH_MAX;
use crate::core::{Error, Kind, Result, error::fail};
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest name of a type or relation, in bytes.
const WORD_MAX: usize = 64;
/// The longest identifier of an object, in bytes: a path fits.
const ID_MAX: usize = PATH_MAX;

/// Makes a string that is checked when it is made.
macro_rules! checked {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn new(text: &str) -> Result<Self> {
                $check(text)?;
                Ok(Self(text.into()))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.as_str().to_owned()
            }
        }
    };
}

checked! {
    /// The type of an object: `file`, `group`, `user`, …
    TypeName, check_word
}

checked! {
    /// A relation of a type: `owner`, `can_read`, `member`, …
    Relation, check_word
}

checked! {
    /// What tells one object of a type from another. Never joined with anything to make a key.
    ObjectId, check_id
}

fn check_word(text: &str) -> Result<()> {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let goes_on = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if starts && text.len() <= WORD_MAX && text.chars().all(goes_on) {
        return Ok(());
    }
    fail(
        Kind::Invalid,
        format!(
            "{text:?} is no name of a type or relation: a letter, then letters, digits, \"_\" or \"-\", {WORD_MAX} at most"
        ),
    )
}

/// Refuses what could be taken for something else: a wildcard, a joined reference, nothing at all, the stand-in for
/// "no tenant" of other systems.
fn check_id(text: &str) -> Result<()> {
    let why = if text.is_empty() {
        "it is empty"
    } else if text.len() > ID_MAX {
        "it is too long"
    } else if text == "*" || text == "default" {
        "the word is reserved"
    } else if text.contains([':', '#']) {
        "\":\" and \"#\" separate the parts of a reference"
    } else if text.contains(char::is_control) || text.trim() != text {
        "it has blanks at an end or control characters"
    } else {
        return Ok(());
    };
    fail(Kind::Invalid, format!("{text:?} cannot be an id: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_could_be_taken_for_something_else_is_refused() {
        for bad in [
            "", "*", "default", "a:b", "a#member", " a", "a\n", "a\0b", "\t",
        ] {
            assert!(ObjectId::new(bad).is_err(), "{bad:?}");
        }
        for good in [
            "1",
            "Default",
            "alice@example.org",
            "/a b/ä",
            "acme/acme",
            "*.rs",
        ] {
            assert_eq!(ObjectId::new(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn a_type_or_relation_is_a_short_plain_word() {
        for bad in [
            "",
            "1a",
            "a b",
            "a:b",
            "a#b",
            "*",
            "ä",
            &"a".repeat(WORD_MAX + 1),
        ] {
            assert!(Relation::new(bad).is_err(), "{bad:?}");
        }
        for good in ["owner-of", "can_read", "_x", "scopeA", "a27"] {
            assert!(TypeName::new(good).is_ok(), "{good:?}");
        }
    }
}
