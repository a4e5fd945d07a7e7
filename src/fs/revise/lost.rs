//! What nodes that are gone were when they went, with what was granted on them, and the directories that they lay in: what a
//! revision makes of them is judged as if they were still there so.

use crate::access::acl::Acls;
use crate::access::decide::{decide_chown, decide_remove};
use crate::access::domain::Domain;
use crate::access::{Ground, Right, decide};
use crate::core::{Caller, Ino, Op, Result, TenantId};
use crate::fs::carry::{Carried, Spot};
use crate::fs::engine::{Engine, no_node};
use crate::fs::namespace::{ABOVE_MAX, circle};
use crate::fs::policy::grant;
use crate::meta::tuple::{Tuple, told};
use crate::meta::{Last, Node, log, xattr};
use std::collections::HashMap;
use std::sync::Arc;

/// Nodes that are gone, as far as a revision asks for them.
pub(super) struct Lost<'e> {
    engine: &'e Engine,
    known: HashMap<Ino, Arc<Last>>,
    /// Grants that went with nodes, by the operation that took these away.
    granted: HashMap<Op, Arc<[Arc<Tuple>]>>,
    spots: HashMap<Ino, Spot>,
}

impl<'e> Lost<'e> {
    pub(super) fn new(engine: &'e Engine) -> Self {
        Self {
            engine,
            known: HashMap::new(),
            granted: HashMap::new(),
            spots: HashMap::new(),
        }
    }

    /// Looks up many at once.
    pub(super) fn read(&mut self, nodes: &[Ino]) -> Result<()> {
        let found = self.engine.store.last_of_each(nodes)?.into_iter();
        self.known
            .extend(found.map(|(ino, last)| (ino, Arc::new(last))));
        Ok(())
    }

    /// The last that is known of a node; `None` of one that is new.
    pub(super) fn last(&self, ino: Ino) -> Option<Arc<Last>> {
        self.known.get(&ino).cloned()
    }

    /// Whether a grant was on a node when this went.
    pub(super) fn had_grant(&mut self, last: &Last, tuple: &Tuple) -> Result<bool> {
        let same =
            |t: &Arc<Tuple>| t.id == tuple.id && t.says_as(tuple) && t.expires == tuple.expires;
        Ok(self.granted(last.node.tenant, last.ended)?.iter().any(same))
    }

    /// Decides whether a caller would have a right on a node if this were still there as it was.
    pub(super) fn may(&mut self, caller: &Caller, last: &Last, right: Right) -> Result<()> {
        let ground = self.reached(caller, last)?;
        self.engine
            .note_bypass(caller, &last.node, &ground, right)?;
        decide(caller, &last.node, &ground, right)
    }

    /// The same of a change of owner or group.
    pub(super) fn may_chown(&mut self, caller: &Caller, last: &Last, to: &Node) -> Result<()> {
        let ground = self.reached(caller, last)?;
        self.engine
            .note_bypass(caller, &last.node, &ground, Right::Own)?;
        decide_chown(caller, &last.node, &ground, Some(to.uid), Some(to.gid))
    }

    /// Decides whether a caller might carry a node from where it went to another directory: as rename(2) is decided, but that owners
    /// need not take out what is in that directory no more.
    pub(super) fn may_carry(
        &mut self,
        caller: &Caller,
        last: &Last,
        to: impl FnOnce() -> Result<Spot>,
    ) -> Result<()> {
        let ground = self.reached(caller, last)?;
        let node = &last.node;
        let carried = Carried::of(caller, node, &ground)?;
        if carried.is_own() {
            return Ok(());
        }
        let from = last.name.parent;
        let message = "it went from another directory, and others would have more on it here than you had there: \
                       take a copy with `nexus cp --at`";
        let spots = (&self.spot(from)?, &to()?);
        if self.engine.may_give(caller, &carried, spots, message)? {
            return Ok(());
        }
        let (dir, around) = self.directory(caller, from)?;
        decide(caller, &dir, &around, Right::Write)?;
        decide_remove(caller, (&dir, &around), (node, &ground))?;
        if node.is_dir() {
            decide(caller, node, &ground, Right::Write)?;
        }
        Ok(())
    }

    /// Decides whether a caller may give a node back the name that it went from: where the directory is sticky only who might take it
    /// away again. Whoever else may make names there would have what was granted on it come back with it.
    pub(super) fn may_name_again(&mut self, caller: &Caller, last: &Last) -> Result<()> {
        let (dir, around) = self.directory(caller, last.name.parent)?;
        if dir.mode & 0o1000 == 0 {
            return Ok(());
        }
        let ground = self.reached(caller, last)?;
        decide_remove(caller, (&dir, &around), (&last.node, &ground))
    }

    /// A directory, which may be gone, for what lies in it.
    pub(super) fn spot(&mut self, dir: Ino) -> Result<Spot> {
        let (mut fallen, mut at) = (Vec::new(), dir);
        let mut spot = loop {
            if let Some(known) = self.spots.get(&at) {
                break known.clone();
            }
            let Some(gone) = self.gone(at)? else {
                break self.engine.spot(at)?;
            };
            at = gone.name.parent;
            fallen.push(gone);
            if fallen.len() > ABOVE_MAX {
                return circle(dir);
            }
        };
        for gone in fallen.into_iter().rev() {
            spot = spot.below(self.domain(&gone)?, gone.node.uid);
            self.spots.insert(gone.node.ino, spot.clone());
        }
        Ok(spot)
    }

    /// What a caller who may walk to where a node lay is judged by.
    fn reached(&mut self, caller: &Caller, last: &Last) -> Result<Ground> {
        let (mut at, mut depth) = (last.name.parent, 0);
        while let Some(gone) = self.gone(at)? {
            let ground = self.ground(caller, &gone)?;
            decide(caller, &gone.node, &ground, Right::Execute)?;
            at = gone.name.parent;
            depth += 1;
            if depth > ABOVE_MAX {
                return circle(at);
            }
        }
        self.engine.may_walk(caller, at)?;
        self.ground(caller, last)
    }

    fn directory(&mut self, caller: &Caller, dir: Ino) -> Result<(Node, Ground)> {
        if let Some(gone) = self.gone(dir)? {
            let ground = self.ground(caller, &gone)?;
            return Ok((gone.node.clone(), ground));
        }
        let dir = self.engine.node(dir)?;
        let ground = self.engine.ground(caller, &dir)?;
        Ok(((*dir).clone(), ground))
    }

    fn ground(&mut self, caller: &Caller, last: &Last) -> Result<Ground> {
        Ok(Ground {
            own: self.domain(last)?,
            above: self.spot(last.name.parent)?.chain,
            beside: Vec::new(),
            who: self.engine.reached_by(caller)?,
            now: self.engine.latest(),
        })
    }

    /// `None` of a node that is there.
    fn gone(&mut self, ino: Ino) -> Result<Option<Arc<Last>>> {
        if let Some(last) = self.last(ino) {
            return Ok(Some(last));
        }
        if self.engine.stored_node(ino)?.is_some() {
            return Ok(None);
        }
        self.read(&[ino])?;
        let last = self.last(ino);
        last.map(Some).ok_or_else(|| no_node(ino))
    }

    /// All that was said of a node when it went.
    fn domain(&mut self, last: &Last) -> Result<Option<Arc<Domain>>> {
        let ino = last.node.ino;
        let all = last.xattrs.iter().map(|x| (&*x.name, &*x.value));
        let granted = self.granted(last.node.tenant, last.ended)?;
        said(ino, all, granted.iter())
    }

    /// Grants that went with whatever an operation took away.
    fn granted(&mut self, tenant: TenantId, ended: Op) -> Result<Arc<[Arc<Tuple>]>> {
        if let Some(known) = self.granted.get(&ended) {
            return Ok(known.clone());
        }
        let mut tx = self.engine.store.read()?;
        let record = log::at(&mut *tx, tenant, ended)?;
        let told = record.map(|(record, _)| told(&record.details()["grants"]));
        let tuples: Arc<[_]> = told.unwrap_or_default().into();
        self.granted.insert(ended, tuples.clone());
        Ok(tuples)
    }
}

/// What lists, a boundary and those among some grants say that are on a node.
pub(super) fn said<'a>(
    ino: Ino,
    xattrs: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    grants: impl Iterator<Item = &'a Arc<Tuple>>,
) -> Result<Option<Arc<Domain>>> {
    let mut domain = Domain::of(ino);
    for (name, value) in xattrs {
        match name {
            xattr::ACLS => domain.acls = Acls::decode(value)?,
            xattr::RESTRICTED => domain.restricted = true,
            _ => {}
        }
    }
    let own = grants.filter(|tuple| tuple.ino() == Some(ino));
    domain.grants.extend(own.filter_map(|tuple| grant(tuple)));
    Ok(Some(domain).filter(|d| !d.is_empty()).map(Arc::new))
}
