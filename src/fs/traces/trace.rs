//! What an operation did to something of a node.

use crate::core::Ino;

/// What of a node a row is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    State,
    /// One of its names, the last of a path.
    Name(Vec<u8>),
    /// An attribute, its name as the log shows it.
    Attribute(String),
}

/// What an operation did to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Did {
    Began,
    Ended,
    /// One row ended, the next began.
    Replaced,
}

/// What an operation did to something of a node.
pub(super) struct Trace {
    pub(super) ino: Ino,
    pub(super) what: What,
    pub(super) did: Did,
}

impl Trace {
    pub(super) fn state(ino: Ino, did: Did) -> Self {
        let what = What::State;
        Self { ino, what, did }
    }

    pub(super) fn name(ino: Ino, path: &[u8], did: Did) -> Self {
        let last = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
        let what = What::Name(last.to_vec());
        Self { ino, what, did }
    }

    pub(super) fn attribute(ino: Ino, shown: &str, did: Did) -> Self {
        let what = What::Attribute(shown.to_owned());
        Self { ino, what, did }
    }
}
