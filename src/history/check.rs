//! Whether a revision leaves a tree: every name in a directory that is there, every directory with one name, nothing cut off.

use super::basis::Basis;
use super::effects::{Rows, key_of};
use super::fold::touching;
use super::ops::{OpSet, Without};
use super::plan::Conflict;
use crate::core::{Ino, Op, Result};
use crate::db::Tx;
use crate::fs::{Naming, Revision};
use crate::meta::{Node, entry, node};
use std::collections::{BTreeSet, HashMap, HashSet};

/// How deep a tree may be; deeper ones are refused elsewhere.
const DEPTH_MAX: usize = 1 << 20;

/// Why something stays away of which only that is known: where its name was taken, that is told.
pub(super) const NAMELESS: &str = "has no name to come back under";

/// What would not fit together. Of nodes of which something else is `known` to stand in the way it is not told that they lose their
/// name. `basis` learns what was looked at.
pub(super) fn conflicts(
    tx: &mut dyn Tx,
    undone: Without<'_>,
    (rows, revision): (&Rows, &Revision),
    (known, basis): (&HashSet<Ino>, &mut Basis),
) -> Result<Vec<Conflict>> {
    let losing = revision.names.iter().filter_map(|n| n.was.as_ref());
    let mut check = Check {
        tx,
        undone,
        rows,
        back: revision.back.iter().map(|n| n.ino).collect(),
        after: HashMap::new(),
        parents: HashMap::new(),
        losing: losing.map(|entry| entry.ino).collect(),
        named: None,
        found: Vec::new(),
    };
    let gone = revision.gone.iter().map(|ino| (*ino, None));
    let back = revision.back.iter();
    let back = back.map(|node| (node.ino, Some(After::of(node))));
    check.after.extend(gone.chain(back));
    let nameless = check.lose(revision)?;
    for naming in &revision.names {
        check.name(naming)?;
    }
    let freed = Freed::of(&revision.names);
    let nameless = nameless.iter().filter(|ino| !known.contains(ino));
    for ino in revision.gone.iter().chain(nameless) {
        check.cut_off(*ino, &freed)?;
    }
    check.nameless(revision);
    check.circles()?;
    basis.nodes.extend(check.after.keys());
    Ok(check.found)
}

/// What has to be known of a node.
#[derive(Clone, Copy)]
struct After {
    is_dir: bool,
    parent: Ino,
}

impl After {
    fn of(node: &Node) -> Self {
        Self {
            is_dir: node.is_dir(),
            parent: node.parent,
        }
    }
}

/// Names that stand for something else afterwards, and how many in each directory.
struct Freed<'a> {
    names: HashSet<(Ino, &'a [u8])>,
    count: HashMap<Ino, usize>,
}

impl<'a> Freed<'a> {
    fn of(names: &'a [Naming]) -> Self {
        let freed = names.iter().filter(|n| n.was.is_some());
        let names: HashSet<_> = freed
            .map(|n| (n.place.parent, n.place.name.as_bytes()))
            .collect();
        let mut count = HashMap::new();
        for (dir, _) in &names {
            *count.entry(*dir).or_default() += 1;
        }
        Self { names, count }
    }
}

struct Check<'a> {
    tx: &'a mut dyn Tx,
    undone: Without<'a>,
    rows: &'a Rows,
    back: HashSet<Ino>,
    /// Nodes as they will be, each looked up once; `None` for those that are not there.
    after: HashMap<Ino, Option<After>>,
    /// Where directories get a name.
    parents: HashMap<Ino, Ino>,
    /// Nodes that lose a name.
    losing: HashSet<Ino>,
    /// What is undone of each node's names, once somebody asks for it.
    named: Option<HashMap<Ino, OpSet>>,
    found: Vec<Conflict>,
}

impl Check<'_> {
    /// A node as it will be.
    fn after(&mut self, ino: Ino) -> Result<Option<After>> {
        if let Some(known) = self.after.get(&ino) {
            return Ok(*known);
        }
        let after = match self.rows.nodes.get(&ino) {
            Some(line) => line.now().map(After::of),
            None => node::get(self.tx, ino)?.as_ref().map(After::of),
        };
        self.after.insert(ino, after);
        Ok(after)
    }

    /// Directories that lose their name and get none: they go, though nothing said so.
    fn lose(&mut self, revision: &Revision) -> Result<Vec<Ino>> {
        let named: HashSet<_> = revision.names.iter().filter_map(|n| n.to).collect();
        let unnamed = self.losing.iter().filter(|ino| !named.contains(ino));
        let mut lost = Vec::new();
        for ino in unnamed.copied().collect::<BTreeSet<_>>() {
            if self.after(ino)?.is_some_and(|node| node.is_dir) {
                self.after.insert(ino, None);
                lost.push(ino);
            }
        }
        Ok(lost)
    }

    fn name(&mut self, naming: &Naming) -> Result<()> {
        let Some(ino) = naming.to else {
            return Ok(());
        };
        let (parent, target) = (self.after(naming.place.parent)?, self.after(ino)?);
        if !parent.is_some_and(|p| p.is_dir) {
            let by = self.end_of(naming.place.parent);
            self.of_name(naming, by, "its directory is gone");
            return Ok(());
        }
        let Some(target) = target else {
            let by = self.end_of(ino);
            self.of_name(naming, by, "was deleted since");
            return Ok(());
        };
        if target.is_dir && self.parents.insert(ino, naming.place.parent).is_some() {
            self.of_name(naming, None, "would have two places");
        } else if target.is_dir && !self.back.contains(&ino) && !self.losing.contains(&ino) {
            let by = self.rows.last_naming(ino);
            self.of_name(naming, by, "was moved since");
        }
        Ok(())
    }

    fn end_of(&self, ino: Ino) -> Option<Op> {
        let last = self.rows.nodes.get(&ino)?.changes.last()?;
        last.1.is_none().then_some(last.0)
    }

    /// What goes must have nothing left in it, and no other name.
    fn cut_off(&mut self, ino: Ino, freed: &Freed<'_>) -> Result<()> {
        let line = self.rows.nodes.get(&ino);
        let is_dir = match line {
            Some(line) => line.now().is_some_and(Node::is_dir),
            None => node::get(self.tx, ino)?.is_some_and(|node| node.is_dir()),
        };
        let names: Vec<_> = if is_dir {
            let going = freed.count.get(&ino).copied().unwrap_or(0);
            let most = u32::try_from(going + 1).unwrap_or(u32::MAX);
            let inside = entry::some(self.tx, ino, most)?;
            inside.into_iter().map(|name| (ino, name)).collect()
        } else {
            let all = entry::names_of(self.tx, ino, u32::MAX >> 1)?;
            all.into_iter().map(|e| (e.parent, e.name)).collect()
        };
        for (parent, name) in names {
            if freed.names.contains(&(parent, name.as_bytes())) {
                continue;
            }
            let by = entry::get(self.tx, parent, &name)?.map(|e| e.began);
            let mut undone = self.rows.touching(ino, self.undone);
            if undone.is_empty() {
                undone = self.namings(ino);
            }
            self.found.push(Conflict {
                undone,
                by,
                why: "holds or is named what came since",
                node: Some(ino),
                aside: None,
            });
            return Ok(());
        }
        Ok(())
    }

    /// What comes back needs a name to come back under.
    fn nameless(&mut self, revision: &Revision) {
        let named: HashSet<_> = revision.names.iter().filter_map(|n| n.to).collect();
        for node in revision.back.iter().filter(|n| !named.contains(&n.ino)) {
            let undone = self.rows.nodes.get(&node.ino);
            self.found.push(Conflict {
                undone: undone.map(|l| touching(l, self.undone)).unwrap_or_default(),
                by: None,
                why: NAMELESS,
                node: Some(node.ino),
                aside: None,
            });
        }
    }

    /// What comes back lies as it lay: a circle has something in it that is there and moves.
    fn circles(&mut self) -> Result<()> {
        let moved = self.parents.keys().filter(|ino| !self.back.contains(ino));
        for ino in moved.copied().collect::<Vec<_>>() {
            let mut at = ino;
            for depth in 0.. {
                at = match self.parents.get(&at) {
                    Some(parent) => *parent,
                    None => self.after(at)?.map_or(Ino(0), |n| n.parent),
                };
                if at == Ino(0) {
                    break;
                }
                if at == ino || depth > DEPTH_MAX {
                    self.circle(ino);
                    break;
                }
            }
        }
        Ok(())
    }

    /// What is undone of the names that a node had and has.
    fn namings(&mut self, ino: Ino) -> OpSet {
        let (rows, undone) = (self.rows, self.undone);
        let named = self.named.get_or_insert_with(|| {
            let mut named: HashMap<Ino, OpSet> = HashMap::new();
            for line in rows.names.values().map(|m| &m.line) {
                let touching = touching(line, undone);
                let both: HashSet<_> = line.before.iter().chain(line.now()).collect();
                for ino in both {
                    named.entry(*ino).or_default().join(&touching);
                }
            }
            named
        });
        named.get(&ino).cloned().unwrap_or_default()
    }

    fn circle(&mut self, ino: Ino) {
        let undone = self.namings(ino);
        self.found.push(Conflict {
            undone,
            by: self.rows.last_naming(ino),
            why: "would lie below itself",
            node: Some(ino),
            aside: None,
        });
    }

    fn of_name(&mut self, naming: &Naming, by: Option<Op>, why: &'static str) {
        let key = key_of(&naming.place);
        let line = self.rows.names.get(&key).map(|m| &m.line);
        self.found.push(Conflict {
            undone: line.map(|l| touching(l, self.undone)).unwrap_or_default(),
            by,
            why,
            node: naming.to,
            aside: None,
        });
    }
}
