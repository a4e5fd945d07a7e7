//! What changes the tree: made, linked, moved, removed, with the model's word on whether it may be.

use super::game::{GROUPS, Game, Play, TOP, USERS, same};
use super::paths::above;
use crate::access::Rights;
use crate::core::Error;
use crate::fs::tests::*;
use crate::fs::{RenameMode, SetAttr};

impl Game {
    fn may_add(&self, who: &Caller, dir: &str) -> bool {
        self.m.paths.contains_key(dir) && self.m.may(who, dir, Rights::WRITE.and(Rights::EXECUTE))
    }

    pub(super) fn make(&mut self, who: &Caller, at: &str, is_dir: bool) -> Play {
        let (e, (dir, last, up)) = (self.w.engine(), self.place(at));
        let expected = (at == TOP || self.may_add(who, up)) && !self.m.paths.contains_key(at);
        let mode = [0o700, 0o750, 0o755, 0o711, 0o000, 0o644, 0o777][self.n.index(7)];
        let result = if is_dir {
            e.mkdir(who, dir, &last, mode)
        } else {
            let flags = OpenFlags {
                exclusive: true,
                ..writing()
            };
            e.create(who, dir, &last, mode, flags)
                .map(|(node, handle)| {
                    close(&self.w, who, handle);
                    node
                })
        };
        same(&result.is_ok(), &expected, || {
            format!("{who:?} makes {at}: {result:?}")
        })?;
        if at != TOP && self.may_add(who, up) && self.m.paths.contains_key(at) {
            let kind = if self.sees(who, at) {
                Kind::Exists
            } else {
                Kind::Denied
            };
            let kinds = (result.as_ref().map_err(Error::kind).err(), Some(kind));
            same(&kinds.0, &kinds.1, || format!("{who:?} makes {at}"))?;
        }
        if let Ok(node) = result {
            self.add(at, &node);
        }
        Ok(())
    }

    pub(super) fn link(&mut self, who: &Caller, from: &str, at: &str) -> Play {
        let (e, (dir, last, up)) = (self.w.engine(), self.place(at));
        let domains = self.m.domains(up);
        let mut dirs = self.m.names(from).into_iter().map(above);
        let expected = !self.m.thing(from).is_dir
            && self.may_add(who, up)
            && !self.m.paths.contains_key(at)
            && dirs.all(|dir| self.m.domains(dir) == domains && self.m.carries(who, from, dir, up));
        let linked = e.link(who, self.ino(from), dir, &last);
        same(&linked.is_ok(), &expected, || {
            format!("{who:?} links {from} to {at}: {linked:?}")
        })?;
        if expected {
            self.m.paths.insert(at.to_owned(), self.ino(from));
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, who: &Caller, at: &str) -> Play {
        if at == TOP {
            return Ok(());
        }
        let (e, (dir, last, _)) = (self.w.engine(), self.place(at));
        let expected = self.may_remove(who, at) && self.m.is_empty(at);
        let gone = if self.m.thing(at).is_dir {
            e.rmdir(who, dir, &last)
        } else {
            e.unlink(who, dir, &last)
        };
        same(&gone.is_ok(), &expected, || {
            format!("{who:?} removes {at}: {gone:?}")
        })?;
        if expected {
            self.drop_name(at);
        }
        Ok(())
    }

    fn drop_name(&mut self, at: &str) {
        let ino = self.m.paths.remove(at);
        if let Some(ino) = ino.filter(|ino| !self.m.paths.values().any(|other| other == ino)) {
            self.m.things.remove(&ino);
        }
    }

    /// Whether somebody who may search its directory sees what stands at a path.
    fn sees(&self, who: &Caller, at: &str) -> bool {
        who.admin || self.m.sees(who, at, Rights::EXECUTE)
    }

    /// Whether what stands at a path, if anything does, may be replaced by another.
    fn gives_way(&self, who: &Caller, at: &str, by: &str) -> bool {
        let m = &self.m;
        if !m.paths.contains_key(at) {
            return true;
        }
        let fits = m.thing(at).is_dir == m.thing(by).is_dir && m.is_empty(at);
        self.sees(who, at) && (fits || m.paths[at] == m.paths[by])
    }

    fn may_remove(&self, who: &Caller, at: &str) -> bool {
        let m = &self.m;
        let found = m.looks(who, above(at), Rights::EXECUTE) && m.sees(who, at, Rights::EXECUTE);
        let granted = m.granted(who, at).without(m.denied(who, at));
        let takes = granted.covers(Rights::WRITE) || m.may(who, above(at), Rights::WRITE);
        found && takes || who.admin
    }

    pub(super) fn rename(&mut self, who: &Caller, from: &str, to: &str) -> Play {
        if from == TOP {
            return Ok(());
        }
        let ((dir, last, up), (to_dir, to_name, to_up)) = (self.place(from), self.place(to));
        let is_dir = self.m.thing(from).is_dir;
        let turns = up == to_up
            || self.m.may(who, up, Rights::WRITE)
                && (!is_dir || self.m.may(who, from, Rights::WRITE));
        let several = self.m.names(from).len() > 1;
        let stays = !several || self.m.domains(up) == self.m.domains(to_up);
        let expected = self.may_remove(who, from)
            && self.may_add(who, to_up)
            && turns
            && stays
            && self.m.carries(who, from, up, to_up)
            && self.gives_way(who, to, from)
            && !to.starts_with(&format!("{from}/"));
        let moved =
            self.w
                .engine()
                .rename(who, (dir, &last), (to_dir, &to_name), RenameMode::Replace);
        same(&moved.is_ok(), &expected, || {
            format!("{who:?} moves {from} to {to}: {moved:?}")
        })?;
        if expected && self.m.paths.get(to) != self.m.paths.get(from) {
            self.drop_name(to);
            let all = std::mem::take(&mut self.m.paths).into_iter();
            self.m.paths = all.map(|(p, ino)| (carried(p, from, to), ino)).collect();
        }
        Ok(())
    }

    pub(super) fn set(&mut self, who: &Caller, at: &str) -> Play {
        let mut set = SetAttr::default();
        match self.n.index(4) {
            0 if who.admin => {
                let user = self.one(&USERS);
                set.uid = Some(self.m.numbers[user]);
            }
            1 if who.admin => {
                let group = self.one(&GROUPS);
                set.gid = Some(self.m.numbers[group]);
            }
            _ => set.mode = Some(self.n.below(0o1000)),
        }
        let done = self.w.engine().setattr(who, self.ino(at), &set, None);
        same(&done.is_ok(), &self.m.may(who, at, Rights::OWN), || {
            format!("{who:?} sets {at}: {done:?}")
        })?;
        if let Ok(node) = done {
            let thing = self.m.thing_mut(at);
            (thing.uid, thing.gid, thing.mode) = (node.uid, node.gid, node.mode);
        }
        Ok(())
    }
}

/// Where a path is after a move.
fn carried(path: String, from: &str, to: &str) -> String {
    match path.strip_prefix(from) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{to}{rest}"),
        _ => path,
    }
}
