//! The UNIX layer: owner, group, mode (path_resolution(7), credentials(7)).

use super::decide::Right;
use crate::core::Caller;
use crate::meta::Node;

/// Whether the mode bits give `right`; the superuser passes all but execute without any x bit.
pub(super) fn allows(caller: &Caller, node: &Node, right: Right) -> bool {
    if caller.is_root() {
        return right != Right::Execute || node.is_dir() || node.mode & 0o111 != 0;
    }
    let shift = if caller.uid == node.uid {
        6
    } else if caller.in_group(node.gid) {
        3
    } else {
        0
    };
    let bit = match right {
        Right::Read => 4,
        Right::Write => 2,
        Right::Execute => 1,
    };
    (node.mode >> shift) & bit != 0
}
