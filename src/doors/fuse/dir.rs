//! Directory streams: `.` and `..` first, then the engine's entries, with their cookies as offsets.

use super::door::Door;
use crate::core::{Caller, HandleId, Ino, Result};
use crate::meta::Node;
use std::sync::Arc;

/// Offsets of the two names that every directory has; the engine's cookies lie above.
const DOT: u64 = 1;
const DOT_DOT: u64 = 2;

impl Door {
    /// Gives what stands behind `offset` to `add`, as name, offset and node, until it says that the buffer is full.
    pub(super) fn fill(
        &self,
        caller: &Caller,
        dir: Ino,
        (handle, offset): (HandleId, u64),
        mut add: impl FnMut(&[u8], u64, &Node) -> bool,
    ) -> Result<()> {
        if offset < DOT_DOT {
            let node = self.engine.getattr(caller, dir)?;
            if offset < DOT && add(b".", DOT, &node) {
                return Ok(());
            }
            if add(b"..", DOT_DOT, &*self.above(caller, &node)?) {
                return Ok(());
            }
        }
        let after = if offset <= DOT_DOT { 0 } else { offset };
        self.engine.readdir(caller, handle, after, |e| {
            !add(e.name.as_bytes(), e.cookie, &e.node)
        })
    }

    /// The directory above; the root is its own. What a computed directory hangs below is the root too.
    fn above(&self, caller: &Caller, node: &Node) -> Result<Arc<Node>> {
        let up = if node.parent == Ino(0) {
            self.numbers.root()
        } else {
            node.parent
        };
        self.engine.getattr(caller, up)
    }
}
