//! What an isolated agent may do in its owner's stead: keep the modes and times of what a grant lets it write, as tools do that
//! make files (`git`, `tar`, `sed -i`).

use super::engine::Engine;
use crate::access::decide::weigh;
use crate::access::domain::Domain;
use crate::access::{Right, Rights};
use crate::core::{Caller, Result};
use crate::meta::Node;

const STICKY: u32 = 0o1000;
const OTHERS: u32 = 0o077;

impl Engine {
    /// Decides whether `caller` may give a node this mode, or set its times: who owns it may; and an isolated agent may of what
    /// is its owner's where a grant lets it read and write. Others get nothing by that which it could not copy for them: it
    /// opens neither a directory of which something is said, as the one that it was granted, nor one below which something is shut.
    pub(super) fn may_keep(&self, caller: &Caller, node: &Node, mode: Option<u32>) -> Result<()> {
        let owns = self.may(caller, node, Right::Own);
        if owns.is_ok() || !caller.isolated || caller.uid != node.uid {
            return owns;
        }
        let standing = weigh(caller, node, &self.ground(caller, node)?)?;
        let granted = standing.graph.without(standing.denied);
        let mode = mode.unwrap_or(node.mode);
        let opens = node.is_dir() && mode & OTHERS & !node.mode != 0;
        let frees = (mode ^ node.mode) & STICKY != 0;
        if !granted.covers(Rights::READ.and(Rights::WRITE)) || frees {
            return owns;
        }
        if opens && (self.policy.domain(node.ino).is_some() || self.is_shut_below(node)?) {
            return owns;
        }
        Ok(())
    }

    /// Whether a boundary or a deny is somewhere below a directory.
    fn is_shut_below(&self, dir: &Node) -> Result<bool> {
        let shuts = |domain: &Domain| {
            let lists = [&domain.acls.access, &domain.acls.default];
            let mut lists = lists.into_iter().flatten();
            domain.restricted || lists.any(|list| list.denies().next().is_some())
        };
        for domain in self.policy.domains(dir.tenant) {
            if !shuts(&domain) {
                continue;
            }
            for parent in self.parents(&*self.node(domain.on)?)? {
                if self.is_below(parent, dir.ino)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}
