//! What a caller may see: what is hidden does not exist for him, in lookups and listings alike (semantics.md §3).
//!
//! Where nothing was said beyond modes, names are visible as POSIX has it: to whoever may search the directory. Where
//! something was said, a name is visible to whom it gives any right, and so is the way to it.

use super::engine::Engine;
use super::ground::{allowed, allowed_to, has_names, is_refusal};
use super::namespace::{ABOVE_MAX, circle};
use super::ways::Ways;
use crate::access::decide::{refuse, weigh};
use crate::access::{Ground, Right, namespace};
use crate::core::{Caller, FsPath, Ino, Result};
use crate::meta::{FileKind, Node};
use std::sync::Arc;

/// How a caller looks at a directory.
#[derive(Clone)]
pub(super) enum Sight {
    /// He has the right that was asked for; what lies in it may still be hidden where something was said, unless it is his
    /// own: he could grant himself all of it, and may take anything out.
    Whole { said: bool, own: bool },
    /// He has not, and sees the ways to what he was granted.
    Ways(Arc<Ways>),
}

/// A directory as a caller looks at it, one name after the other.
pub(super) struct Look<'a> {
    engine: &'a Engine,
    caller: &'a Caller,
    sight: Sight,
    /// Of what lies in the directory, where nothing was said about itself.
    ground: Ground,
    /// The last node about which nothing was said: most in a directory are alike.
    last: Option<(Like, Seen)>,
}

/// Whether a name is there for a caller.
#[derive(Clone, Copy)]
enum Seen {
    Yes,
    No,
    /// If it leads to something that he was granted.
    AsWay,
}

/// What a decision about a node depends on, where nothing was said about itself and it has one name.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Like(FileKind, u32, u32, u32);

impl Like {
    #[inline]
    fn of(node: &Node) -> Self {
        Self(node.kind, node.mode, node.uid, node.gid)
    }
}

impl Look<'_> {
    /// How the caller looks at it.
    pub(super) fn sight(&self) -> &Sight {
        &self.sight
    }

    /// Whether the caller sees a node that lies in the directory. Short for one that is like the last, so that a processor
    /// fetches the next ones meanwhile.
    #[inline]
    pub(super) fn sees(&mut self, node: &Node) -> Result<bool> {
        if let Some((like, known)) = &self.last
            && *like == Like::of(node)
            && !has_names(node)
            && !self.engine.policy.may_be_said_of(node.ino)
        {
            return self.shows(node, *known);
        }
        self.sees_of(node, None)
    }

    #[inline]
    fn shows(&self, node: &Node, seen: Seen) -> Result<bool> {
        match seen {
            Seen::Yes => Ok(true),
            Seen::No => Ok(false),
            Seen::AsWay => self.leads(node),
        }
    }

    /// The same of one that has names in all of these directories, where that is known.
    pub(super) fn sees_of(&mut self, node: &Node, dirs: Option<&[Ino]>) -> Result<bool> {
        let all = matches!(
            self.sight,
            Sight::Whole { said: false, .. } | Sight::Whole { own: true, .. }
        );
        if all || self.caller.admin {
            return Ok(true);
        }
        let own = self.engine.policy.domain(node.ino);
        let beside = match dirs.filter(|_| has_names(node)) {
            Some(dirs) => self.engine.chains_of(dirs)?,
            None => self.engine.beside(node)?,
        };
        if own.is_some() || !beside.is_empty() {
            let ground = Ground {
                own,
                beside,
                ..self.ground.clone()
            };
            return self.shows(node, self.weighed(node, &ground)?);
        }
        let seen = self.weighed(node, &self.ground)?;
        self.last = Some((Like::of(node), seen));
        self.shows(node, seen)
    }

    /// Whether a directory is on the way to something that the caller was granted.
    fn leads(&self, dir: &Node) -> Result<bool> {
        Ok(match &self.sight {
            Sight::Ways(ways) => ways.lead_by(dir.ino),
            Sight::Whole { .. } => self.engine.ways(self.caller)?.lead_by(dir.ino),
        })
    }

    fn weighed(&self, node: &Node, ground: &Ground) -> Result<Seen> {
        let standing = weigh(self.caller, node, ground)?;
        let spoken_of = ground.lines().any(|mut line| line.next().is_some());
        let seen = match self.sight {
            Sight::Whole { own, .. } => own || !spoken_of || !standing.allowed().is_empty(),
            Sight::Ways(_) => !standing.graph.without(standing.denied).is_empty(),
        };
        Ok(if seen {
            Seen::Yes
        } else if node.is_dir() && !standing.denied.has(Right::Execute) {
            Seen::AsWay
        } else {
            Seen::No
        })
    }
}

impl Engine {
    /// How a caller looks at a directory with `right` (search or read); fails with `Denied` when he has neither that nor a
    /// way through it, which no deny leaves him.
    pub(super) fn sight(&self, caller: &Caller, dir: &Node, right: Right) -> Result<Sight> {
        let said = !self.policy.is_empty();
        let ground = self.ground(caller, dir)?;
        let standing = weigh(caller, dir, &ground)?;
        self.note_standing(caller, (dir, &ground), right, standing)?;
        if standing.allowed().has(right) {
            let own = standing.allowed().has(Right::Own);
            return Ok(Sight::Whole { said, own });
        }
        if said && !standing.denied.has(right) {
            let ways = self.ways(caller)?;
            if ways.lead_by(dir.ino) {
                return Ok(Sight::Ways(ways));
            }
        }
        refuse(right)
    }

    /// Whether a caller may search a directory, and not only go where ways through it lead.
    pub fn may_search(&self, caller: &Caller, dir: Ino) -> Result<bool> {
        if super::view::is_view(dir) {
            return allowed(self.views.allows(caller, dir, Right::Execute));
        }
        let standing = self.standing(caller, &*self.node(dir)?)?;
        Ok(standing.allowed().has(Right::Execute))
    }

    /// Looks at a directory with `right` (search or read), to see which of its names are there for the caller.
    pub(super) fn look<'a>(
        &'a self,
        caller: &'a Caller,
        dir: &Node,
        right: Right,
    ) -> Result<Look<'a>> {
        Ok(Look {
            engine: self,
            caller,
            sight: self.sight(caller, dir, right)?,
            ground: self.ground_in(caller, dir)?,
            last: None,
        })
    }

    /// Fails with `Denied` when a node in a directory is hidden from a caller who comes upon it where he may make names.
    pub(super) fn may_meet(&self, caller: &Caller, dir: &Node, node: &Node) -> Result<()> {
        if self.look(caller, dir, Right::Execute)?.sees(node)? {
            return Ok(());
        }
        refuse(Right::Write)
    }

    /// Whether a listing of its directory shows a caller the name at a path, or one that is gone would have been in it: he
    /// sees all of it.
    pub fn lists(&self, caller: &Caller, path: &FsPath) -> Result<bool> {
        let Some((dir, name)) = path.split() else {
            return Ok(false);
        };
        let listed = self.resolve(caller, &dir).and_then(|dir| {
            if dir.parent == Ino(0) {
                return Ok(namespace::named(name.as_bytes()).is_some_and(|p| p.visible_to(caller)));
            }
            let mut look = self.look(caller, &dir, Right::Read)?;
            match self.child(dir.ino, name)? {
                Some(ino) => look.sees(&*self.node(ino)?),
                None => Ok(matches!(look.sight, Sight::Whole { .. })),
            }
        });
        Ok(allowed_to(listed)?.unwrap_or(false))
    }

    /// Whether all users of a tenant find the same under a directory's names, so that a kernel may keep them for all.
    pub fn looks_alike(&self, dir: Ino, child: Option<Ino>) -> Result<bool> {
        const ALL_SEARCH: u32 = 0o111;
        if self.policy.is_empty() {
            return Ok(self.node(dir)?.mode & ALL_SEARCH == ALL_SEARCH);
        }
        let Some(child) = child else { return Ok(false) };
        let open = self.node(dir)?.mode & ALL_SEARCH == ALL_SEARCH;
        Ok(open && self.chain(dir)?.is_empty() && self.policy.domain(child).is_none())
    }

    /// What a directory's list for a caller stands on beside its names and their modes: while this is the same, so is the list,
    /// unless an event says otherwise. `None` where it may be another one by itself: a grant ends, or it is computed.
    pub fn list_stands_on(&self, dir: Ino) -> Option<(u64, u64)> {
        if super::view::is_view(dir) || self.next_end().is_some() {
            return None;
        }
        let said = if self.policy.is_empty() {
            0
        } else {
            self.policy.revision()
        };
        Some((said, self.principals_revision()))
    }

    /// Fails with `Denied` unless a caller may walk to a node by one of its names. Kernels ask for a name once; what is
    /// reached by number is asked here.
    pub(super) fn may_reach(&self, caller: &Caller, node: &Node) -> Result<()> {
        let mut refused = Ok(());
        for dir in self.parents(node)? {
            match self.may_walk(caller, dir) {
                Err(e) if is_refusal(&e) => refused = Err(e),
                other => return other,
            }
        }
        refused
    }

    /// Fails with `Denied` unless a caller may search a directory and each above it, or they lead to what he was granted.
    pub(super) fn may_walk(&self, caller: &Caller, dir: Ino) -> Result<()> {
        let mut at = dir;
        for _ in 0..ABOVE_MAX {
            let here = self.node(at)?;
            self.sight(caller, &here, Right::Execute)?;
            match self.parent(&here)? {
                Some(up) => at = up,
                None => return Ok(()),
            }
        }
        circle(dir)
    }
}
