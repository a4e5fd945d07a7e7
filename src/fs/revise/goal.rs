//! A directory that comes back, for what is there and comes into it: whom it gives something, and who will own it.

use super::Revision;
use crate::access::Chain;
use crate::access::acl::Acls;
use crate::access::domain::Domain;
use crate::core::{Ino, Result};
use crate::fs::engine::Engine;
use crate::fs::policy::grant;
use crate::meta::{Node, xattr};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Directories that come back one in the other, and the one that is there and holds them.
pub(super) struct Goal<'r> {
    line: Vec<&'r Node>,
    above: Ino,
}

impl<'r> Goal<'r> {
    /// Goes up from a directory; `None` where that is there already.
    pub(super) fn of(
        dir: Ino,
        new: &HashMap<Ino, &'r Node>,
        parents: &HashMap<Ino, Ino>,
    ) -> Option<Self> {
        let (mut line, mut above) = (Vec::new(), dir);
        // None of them is in itself: there are no more than come back.
        while let Some(node) = new.get(&above).filter(|_| line.len() < new.len()) {
            line.push(*node);
            above = parents.get(&above).copied()?;
        }
        (!line.is_empty()).then_some(Self { line, above })
    }

    /// What will be said of them, and what is said above them.
    pub(super) fn chain(&self, engine: &Engine, what: &Revision) -> Result<Chain> {
        let mut domains = Vec::new();
        for node in &self.line {
            let domain = domain(engine, what, node)?;
            domains.extend((!domain.is_empty()).then(|| Arc::new(domain)));
        }
        domains.extend(engine.chain(self.above)?.iter().cloned());
        Ok(domains.into_iter().collect())
    }

    /// Who will own one of them or owns one above them.
    pub(super) fn owners(&self, engine: &Engine) -> Result<HashSet<u32>> {
        let mut all = engine.owners(self.above)?;
        all.extend(self.line.iter().map(|node| node.uid));
        Ok(all)
    }
}

fn domain(engine: &Engine, what: &Revision, of: &Node) -> Result<Domain> {
    let mut domain = Domain::of(of.ino);
    let roster = engine.roster(of.tenant)?;
    let lives = |id| roster.by_id(id).is_some();
    let own = what.grants_back.iter().filter(|t| t.ino() == Some(of.ino));
    let counting = own.filter(|t| t.principal().is_none_or(lives));
    domain.grants.extend(counting.filter_map(|t| grant(t)));
    for (ino, name, value) in &what.xattrs {
        match (&**name, value) {
            (xattr::ACLS, Some(value)) if *ino == of.ino => domain.acls = Acls::decode(value)?,
            (xattr::RESTRICTED, Some(_)) if *ino == of.ino => domain.restricted = true,
            _ => {}
        }
    }
    Ok(domain)
}
