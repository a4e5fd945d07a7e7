//! Names that go: unlink, rmdir.

use super::commit::Change;
use super::engine::Engine;
use super::view;
use crate::access::Right;
use crate::core::{Caller, Error, FsPath, Ino, Kind, Name, Result, error::fail};
use crate::meta::{Entry, Node, OpKind};
use serde_json::json;
use std::collections::HashSet;
use std::sync::Arc;

impl Engine {
    /// Takes a name away; the node goes with its last name, or when it is closed (unlink(2)).
    pub fn unlink(&self, caller: &Caller, parent: Ino, name: &Name) -> Result<()> {
        self.seal_synced(parent, name)?;
        self.change(caller, |ch| {
            let (entry, node, dir) = self.may_remove(ch, parent, name)?;
            if node.is_dir() {
                return fail(Kind::IsDirectory, format!("{name} is a directory"));
            }
            let path = dir.join(name.clone());
            ch.end_entry(&entry);
            ch.lose_name(&node)?;
            ch.touch_dir(parent, 0, ch.now)?;
            ch.record(
                OpKind::Unlink,
                node.ino,
                &path,
                None,
                &json!({ "links": node.nlink }),
            );
            Ok(())
        })
    }

    /// Removes an empty directory (rmdir(2)).
    pub fn rmdir(&self, caller: &Caller, parent: Ino, name: &Name) -> Result<()> {
        self.change(caller, |ch| {
            let (entry, node, dir) = self.may_remove(ch, parent, name)?;
            if !node.is_dir() {
                return fail(Kind::NotDirectory, format!("{name} is not a directory"));
            }
            if !ch.is_empty(node.ino)? {
                return fail(Kind::NotEmpty, format!("{name} is not empty"));
            }
            let path = dir.join(name.clone());
            ch.end_entry(&entry);
            ch.remove(&node)?;
            ch.touch_dir(parent, -1, ch.now)?;
            ch.record(OpKind::Rmdir, node.ino, &path, None, &json!({}));
            Ok(())
        })
    }

    /// The entry and node of a name that the caller may take away, and the path of its directory.
    pub(super) fn may_remove(
        &self,
        ch: &mut Change<'_>,
        parent: Ino,
        name: &Name,
    ) -> Result<(Arc<Entry>, Arc<Node>, FsPath)> {
        let dir = self.directory(ch.caller, parent)?;
        if self.views.takes(name) {
            return view::read_only();
        }
        let mut look = self.look(ch.caller, &dir, Right::Execute)?;
        let missing = || Error::new(Kind::NotFound, format!("no {name}"));
        let entry = ch.entry(parent, name)?.ok_or_else(missing)?;
        let node = ch.node(entry.ino)?;
        if !look.sees(&node)? {
            return Err(missing());
        }
        let at = self.locate(parent)?;
        at.writable(ch.caller)?;
        self.may_take(ch.caller, &dir, &node)?;
        Ok((entry, node, at.path))
    }

    /// Takes over a committed change: caches first, then files that live on because they are open.
    pub(super) fn publish(
        &self,
        delta: crate::meta::cache::Delta,
        unlinked: Vec<Arc<Node>>,
        births: &[Ino],
    ) {
        let rows: Vec<Ino> = delta.nodes.iter().map(|(ino, _)| *ino).collect();
        let gone: HashSet<Ino> = unlinked.iter().map(|node| node.ino).collect();
        self.files.guarded(|open| {
            for node in unlinked {
                self.bury(node.ino);
                if open(node.ino) {
                    self.transient.insert_unlinked(node);
                }
            }
            let born = delta.born.iter().map(|(ino, _)| *ino);
            let back: Vec<Ino> = born.filter(|ino| !gone.contains(ino)).collect();
            self.cache.publish(delta);
            // What had no name and was open is in the tables again.
            for ino in back {
                self.transient.closed(ino);
            }
        });
        // These rows say themselves when they were read last.
        let mut atimes = self.atimes.lock();
        for ino in rows {
            atimes.remove(&ino);
        }
        drop(atimes);
        for ino in births {
            self.transient.born(*ino);
        }
    }
}

impl Change<'_> {
    /// One name of a node went: one link less, or the node goes too.
    pub(super) fn lose_name(&mut self, node: &Node) -> Result<()> {
        if node.nlink <= 1 {
            return self.remove(node);
        }
        self.relocated |= self.engine.policy.domain(node.ino).is_some();
        if self.engine.is_torn(node)? {
            // The names that stay decide alone now.
            self.forget_below(node)?;
        }
        self.touch(Node {
            nlink: node.nlink - 1,
            ctime: self.now,
            ..node.clone()
        })
    }
}
