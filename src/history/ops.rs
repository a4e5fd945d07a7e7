//! Which operations a reckoning leaves out.

use crate::core::Op;
pub use crate::meta::OpSet;

/// Operations that are as if they had not been.
#[derive(Debug, Clone, Copy)]
pub(super) enum Without<'a> {
    These(&'a OpSet),
    /// All that came after one.
    After(Op),
}

impl Without<'_> {
    pub(super) fn has(self, op: Op) -> bool {
        match self {
            Self::These(ops) => ops.has(op),
            Self::After(last) => op > last,
        }
    }

    /// The first of them.
    pub(super) fn first(self) -> Op {
        match self {
            Self::These(ops) => ops.first().unwrap_or_default(),
            Self::After(last) => Op(last.0 + 1),
        }
    }
}
