//! rename(2), renameat2(2).

use super::alone::{Alone, Told};
use super::commit::Change;
use super::engine::Engine;
use super::events::Event;
use super::ground::has_names;
use super::namespace::has_room_below;
use crate::access::Right;
use crate::core::{Caller, FsPath, Ino, Kind, Name, Result, error::fail};
use crate::meta::{Entry, Node, OpKind};
use serde_json::{Value, json};
use std::sync::Arc;

/// What happens to what stands at the new name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RenameMode {
    /// It is replaced.
    Replace,
    /// The same by somebody who can hand on neither list nor group: a new file that is meant to be the same takes them over.
    Succeed(Alone),
    /// The call fails (RENAME_NOREPLACE).
    NoReplace,
    /// The two change places (RENAME_EXCHANGE).
    Exchange,
}

/// What has a name.
type Named = (Arc<Entry>, Arc<Node>);

/// One end of a rename.
struct End<'a> {
    dir: Ino,
    name: &'a Name,
}

impl Engine {
    /// Moves a name. Costs the same for a file and for a directory of a million files.
    pub fn rename(
        &self,
        caller: &Caller,
        from: (Ino, &Name),
        to: (Ino, &Name),
        mode: RenameMode,
    ) -> Result<()> {
        let from = End {
            dir: from.0,
            name: from.1,
        };
        let to = End {
            dir: to.0,
            name: to.1,
        };
        self.seal_synced(to.dir, to.name)?;
        self.change(caller, |ch| {
            let (entry, node, from_dir) = self.may_remove(ch, from.dir, from.name)?;
            let (dir, to_dir) = self.may_add(caller, to.dir)?;
            if mode == RenameMode::Exchange {
                has_room_below(&from_dir)?;
            }
            self.may_name(to.name)?;
            let paths = (
                from_dir.join(from.name.clone()),
                to_dir.join(to.name.clone()),
            );
            self.may_move(ch, &node, from.dir, to.dir)?;
            match (mode, ch.seen(&dir, to.name)?) {
                (RenameMode::NoReplace, Some(_)) => {
                    fail(Kind::Exists, format!("{} exists", to.name))
                }
                (RenameMode::Exchange, None) => fail(Kind::NotFound, format!("no {}", to.name)),
                (_, Some((_, t))) if t.ino == node.ino => Ok(()),
                (RenameMode::Exchange, Some(t)) => {
                    ch.exchange((&entry, &node), (&t.0, &t.1), &paths)
                }
                (_, target) => {
                    let heir = match mode {
                        RenameMode::Succeed(alone) => Some(alone),
                        _ => None,
                    };
                    ch.move_over((&entry, &node), &to, (target, heir), &paths)
                }
            }
        })
    }

    /// What gets another parent gets other grants with it, which takes write permission on both, and the right to give what
    /// those give; a directory needs write permission itself, too, and cannot move into itself.
    fn may_move(&self, ch: &Change<'_>, node: &Node, from: Ino, to: Ino) -> Result<()> {
        if from == to {
            return Ok(());
        }
        self.may(ch.caller, &*ch.node(from)?, Right::Write)?;
        if node.is_dir() {
            self.may(ch.caller, node, Right::Write)?;
            if self.is_below(to, node.ino)? {
                return fail(Kind::Invalid, "a directory cannot move below itself");
            }
        }
        self.stays(node, from, to)?;
        self.may_carry(ch.caller, node, from, to)
    }
}

impl Change<'_> {
    fn move_over(
        &mut self,
        from: (&Arc<Entry>, &Node),
        to: &End<'_>,
        (target, heir): (Option<Named>, Option<Alone>),
        paths: &(FsPath, FsPath),
    ) -> Result<()> {
        let (entry, node) = from;
        let mut undo = Told::new();
        self.end_entry(entry);
        if let Some((old, victim)) = target {
            self.may_replace(node, to, &victim)?;
            if let Some(alone) = heir.filter(|_| entry.parent == to.dir) {
                undo = self.succeed((node, &victim), to.dir, alone)?;
            }
            undo.insert("replaced".into(), json!(victim.ino.0));
            self.end_entry(&old);
            if victim.is_dir() {
                self.remove(&victim)?;
                self.touch_dir(to.dir, -1, self.now)?;
            } else {
                self.lose_name(&victim)?;
            }
        }
        let cookie = self.engine.next_id();
        self.add_entry(to.dir, to.name, node.ino, cookie);
        self.moved(node, entry.parent, to.dir)?;
        self.arrives(node, entry.parent, (to.dir, to.name))?;
        self.record(
            OpKind::Rename,
            node.ino,
            &paths.0,
            Some(&paths.1),
            &Value::Object(undo),
        );
        Ok(())
    }

    fn may_replace(&mut self, node: &Node, to: &End<'_>, victim: &Node) -> Result<()> {
        let dir = self.node(to.dir)?;
        self.engine.may_take(self.caller, &dir, victim)?;
        match (node.is_dir(), victim.is_dir()) {
            (true, false) => fail(
                Kind::NotDirectory,
                format!("{} is not a directory", to.name),
            ),
            (false, true) => fail(Kind::IsDirectory, format!("{} is a directory", to.name)),
            (true, true) if !self.is_empty(victim.ino)? => {
                fail(Kind::NotEmpty, format!("{} is not empty", to.name))
            }
            _ => Ok(()),
        }
    }

    fn exchange(
        &mut self,
        a: (&Arc<Entry>, &Node),
        b: (&Arc<Entry>, &Node),
        paths: &(FsPath, FsPath),
    ) -> Result<()> {
        let dir_b = self.node(b.0.parent)?;
        self.engine.may_take(self.caller, &dir_b, b.1)?;
        self.engine.may_move(self, b.1, b.0.parent, a.0.parent)?;
        self.end_entry(a.0);
        self.end_entry(b.0);
        self.add_entry(b.0.parent, &b.0.name, a.1.ino, b.0.cookie);
        self.add_entry(a.0.parent, &a.0.name, b.1.ino, a.0.cookie);
        self.moved(a.1, a.0.parent, b.0.parent)?;
        self.moved(b.1, b.0.parent, a.0.parent)?;
        self.arrives(a.1, a.0.parent, (b.0.parent, &b.0.name))?;
        self.arrives(b.1, b.0.parent, (a.0.parent, &a.0.name))?;
        self.record(
            OpKind::Exchange,
            a.1.ino,
            &paths.0,
            Some(&paths.1),
            &json!({ "with": b.1.ino.0 }),
        );
        Ok(())
    }

    /// A kernel carries along how long it keeps a name.
    fn arrives(&mut self, node: &Node, from: Ino, (parent, name): (Ino, &Name)) -> Result<()> {
        if from != parent && !self.engine.looks_alike(parent, Some(node.ino))? {
            let name = name.clone();
            self.closed.push(Event::Moved { parent, name });
        }
        Ok(())
    }

    /// Times, link counts and the parent of a node that went from one directory to another.
    fn moved(&mut self, node: &Node, from: Ino, to: Ino) -> Result<()> {
        let mut new = (*self.node(node.ino)?).clone();
        new.ctime = self.now;
        let mut links = 0;
        if from != to {
            self.relocated |= node.is_dir() || self.engine.policy.domain(node.ino).is_some();
        }
        if node.is_dir() && from != to {
            links = 1;
        }
        new.parent = if has_names(&new) { Ino(0) } else { to };
        self.touch(new)?;
        self.touch_dir(from, -links, self.now)?;
        if from != to {
            self.touch_dir(to, links, self.now)?;
        }
        Ok(())
    }
}
