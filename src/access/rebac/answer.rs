//! What the evaluator answers, and how far it goes for an answer.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest way from an object to a subject, in stored tuples.
pub const HOPS_MAX: usize = 10;
/// The most relations of objects that one question may depend on.
pub const VERTICES_MAX: usize = 10_000;
/// The most tuples that one question may follow.
pub const TUPLES_MAX: usize = 100_000;
/// The most candidates that one list judges.
pub const CANDIDATES_MAX: usize = 100_000;
/// The most vertices that one list looks at, over all its candidates.
pub const WORK_MAX: usize = 20_000_000;

/// How far to go for an answer. What lies beyond is *unknown*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub hops: usize,
    pub vertices: usize,
    pub tuples: usize,
    pub candidates: usize,
    pub work: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            hops: HOPS_MAX,
            vertices: VERTICES_MAX,
            tuples: TUPLES_MAX,
            candidates: CANDIDATES_MAX,
            work: WORK_MAX,
        }
    }
}

/// Yes, no, or not to be found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Yes,
    No,
    Unknown,
}

/// Why an answer is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// The way is longer than [`Limits::hops`].
    Hops,
    /// The question is larger than the other limits.
    Work,
    /// The stored tuples make the relation depend on its own negation.
    Paradox,
}

/// The answer to a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    pub verdict: Verdict,
    /// Says why, when the verdict is unknown and only then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<Cut>,
}

impl Answer {
    /// Whether to let it pass: what is unknown is refused, and is for nobody to cache.
    pub fn allows(self) -> bool {
        self.verdict == Verdict::Yes
    }
}

/// What a list found. With a cut, there may be more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listing<T> {
    pub found: Vec<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut: Option<Cut>,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Unknown => "unknown",
        })
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hops => "the way is too long",
            Self::Work => "the question is too large",
            Self::Paradox => "it depends on its own negation",
        })
    }
}
