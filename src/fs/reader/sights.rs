//! What a caller sees of the tree today, remembered directory by directory.

use crate::access::decide::weigh;
use crate::access::{Right, namespace};
use crate::core::{Caller, Ino, Op, Result};
use crate::fs::engine::Engine;
use crate::fs::ground::is_refusal;
use crate::fs::visible::{Look, Sight};
use crate::meta::{Node, entry, timeline};
use std::collections::HashMap;

/// The most names a node has (EMLINK).
const NAMES_MAX: u32 = 65_000;

/// What a caller has seen so far.
pub(super) struct Sights<'a> {
    engine: &'a Engine,
    caller: &'a Caller,
    root: Ino,
    reached: HashMap<Ino, bool>,
    lists: HashMap<Ino, Option<List<'a>>>,
    /// Directories that are gone, and whether they listed.
    gone: HashMap<Ino, bool>,
}

/// A directory that the caller may list.
struct List<'a> {
    look: Look<'a>,
    /// Whether all of it, and not only ways to what he was granted.
    is_whole: bool,
}

impl<'a> Sights<'a> {
    pub(super) fn new(engine: &'a Engine, caller: &'a Caller, root: Ino) -> Self {
        Self {
            engine,
            caller,
            root,
            reached: HashMap::new(),
            lists: HashMap::new(),
            gone: HashMap::new(),
        }
    }

    /// Whether the caller can walk to a directory that is there.
    pub(super) fn reaches(&mut self, dir: Ino) -> Result<bool> {
        let (mut way, mut at) = (Vec::new(), dir);
        let mut reached = loop {
            if let Some(known) = self.reached.get(&at) {
                break *known;
            }
            if at == self.root {
                break true;
            }
            way.push(at);
            match self.engine.parent(&*self.engine.node(at)?)? {
                Some(up) => at = up,
                None => break false,
            }
        };
        for dir in way.into_iter().rev() {
            reached = reached && self.finds(dir)?;
            self.reached.insert(dir, reached);
        }
        Ok(reached)
    }

    /// Whether a lookup in the directory above finds a directory.
    fn finds(&self, dir: Ino) -> Result<bool> {
        let node = self.engine.node(dir)?;
        if node.parent == self.root && !self.is_namespace(dir)? {
            return Ok(false);
        }
        let up = self.engine.node(node.parent)?;
        let look = self.engine.look(self.caller, &up, Right::Execute);
        unless_refused(look.and_then(|mut look| look.sees(&node)))
    }

    /// Whether a listing of its directory, of any of them, shows the caller a node that is there.
    pub(super) fn is_listed(&mut self, ino: Ino) -> Result<bool> {
        let node = self.engine.node(ino)?;
        if ino == self.root {
            return Ok(true);
        }
        for dir in self.parents(&node)? {
            if dir == self.root {
                return self.is_namespace(ino);
            }
            if let Some(list) = self.list(dir)?
                && unless_refused(list.look.sees(&node))?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the caller may list a directory that is there, if only the ways to what he was granted.
    pub(super) fn lists_some(&mut self, dir: Ino) -> Result<bool> {
        Ok(dir == self.root || self.list(dir)?.is_some())
    }

    /// Whether the caller may list all of a directory that is there: what is gone from it was not hidden from him.
    pub(super) fn lists_all(&mut self, dir: Ino) -> Result<bool> {
        Ok(self.list(dir)?.is_some_and(|list| list.is_whole))
    }

    /// Whether the caller might list a directory that is gone, by the owner and mode that it had when it went and what is
    /// granted on one above it that is still there.
    pub(super) fn listed_when_it_went(&mut self, dir: Ino, above: Ino) -> Result<bool> {
        if let Some(known) = self.gone.get(&dir) {
            return Ok(*known);
        }
        let mut tx = self.engine.store().read()?;
        let states = timeline::nodes(&mut *tx, &[dir], Op(0))?;
        drop(tx);
        let listed = match states.into_iter().max_by_key(|spell| spell.ended) {
            Some(last) => {
                let ground = self
                    .engine
                    .ground_in(self.caller, &*self.engine.node(above)?)?;
                let standing = weigh(self.caller, &last.state, &ground)?;
                standing.allowed().has(Right::Read)
            }
            None => false,
        };
        self.gone.insert(dir, listed);
        Ok(listed)
    }

    fn list(&mut self, dir: Ino) -> Result<Option<&mut List<'a>>> {
        if !self.lists.contains_key(&dir) {
            let list = if dir != self.root && self.reaches(dir)? {
                self.open(dir)?
            } else {
                None
            };
            self.lists.insert(dir, list);
        }
        Ok(self.lists.get_mut(&dir).and_then(Option::as_mut))
    }

    fn open(&self, dir: Ino) -> Result<Option<List<'a>>> {
        let (engine, caller) = (self.engine, self.caller);
        let node = engine.node(dir)?;
        let sight = match engine.sight(caller, &node, Right::Read) {
            Ok(sight) => sight,
            Err(e) if is_refusal(&e) => return Ok(None),
            Err(e) => return Err(e),
        };
        Ok(Some(List {
            look: engine.look(caller, &node, Right::Read)?,
            is_whole: matches!(sight, Sight::Whole { .. }),
        }))
    }

    /// The directories that a node has a name in.
    fn parents(&self, node: &Node) -> Result<Vec<Ino>> {
        if node.is_dir() || node.nlink < 2 {
            return Ok(self.engine.parent(node)?.into_iter().collect());
        }
        let mut tx = self.engine.store().read()?;
        let names = entry::names_of(&mut *tx, node.ino, NAMES_MAX)?;
        Ok(names.into_iter().map(|entry| entry.parent).collect())
    }

    fn is_namespace(&self, dir: Ino) -> Result<bool> {
        let place = self.engine.place(dir)?;
        let policy = place.and_then(|place| namespace::named(place.name.as_bytes()));
        Ok(policy.is_some_and(|policy| policy.visible_to(self.caller)))
    }
}

fn unless_refused(seen: Result<bool>) -> Result<bool> {
    match seen {
        Err(e) if is_refusal(&e) => Ok(false),
        seen => seen,
    }
}
