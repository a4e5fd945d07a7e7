//! Random calls of three people, each made on an engine and told to the model.

use super::TOP;
use super::model::{Model, Thing};
use crate::access::acl::{AclEntry, AclWho};
use crate::access::posix_acl;
use crate::core::{Caller, Ino, Name, Op, Time};
use crate::fs::tests::permissions::time::world_at;
use crate::fs::tests::principals::{boss, make, subject};
use crate::fs::tests::threads::Numbers;
use crate::fs::tests::{World, path, writing};
use crate::fs::{Access, AclOf, OpenFlags, RenameMode, SetAttr, SetMode, SetTime, To, View};
use crate::history::At;
use crate::meta::FileKind;
use std::collections::BTreeMap;
use std::time::Duration;

const LEAVES: [&str; 6] = ["a", "b", "c", "x", "y", "z"];
/// With more names than this, more goes than comes.
const NAMES: usize = 24;
const DEEP: usize = 4;

/// What came of a call: nothing, where it was refused or there was nothing to do.
pub(super) type Done = Option<()>;

type Call = fn(&mut Work, &Caller) -> Done;

/// The calls, by name, each as often as it should come.
const CALLS: [(&str, u32, Call); 20] = [
    ("write", 14, Work::write),
    ("append", 5, Work::append),
    ("truncate", 3, Work::truncate),
    ("mkdir", 7, Work::mkdir),
    ("symlink", 4, Work::symlink),
    ("link", 5, Work::link),
    ("remove", 9, Work::remove),
    ("rename", 12, Work::rename),
    ("exchange", 4, Work::exchange),
    ("chmod", 5, Work::chmod),
    ("chown", 3, Work::chown),
    ("times", 4, Work::times),
    ("setxattr", 5, Work::setxattr),
    ("removexattr", 2, Work::removexattr),
    ("setfacl", 4, Work::setfacl),
    ("grant", 3, Work::grant),
    ("undo", 4, Work::undo_last),
    ("undo of one", 2, Work::undo_one),
    ("restore", 1, Work::restore),
    ("version", 2, Work::restore_content),
];

/// An engine, the model beside it, and what the model was after each operation.
pub(super) struct Work {
    pub(super) w: World,
    pub(super) model: Model,
    pub(super) states: BTreeMap<Op, Model>,
    /// How often each call has changed something.
    pub(super) counts: BTreeMap<&'static str, u32>,
    pub(super) dice: Numbers,
    people: [Caller; 3],
    grants: Vec<u64>,
    pub(super) snapshots: u32,
}

impl Work {
    pub(super) fn new(seed: u64) -> Self {
        let w = world_at(Time::from_parts(1_700_000_000, 0));
        let e = w.engine();
        e.set_views(vec![Box::new(At::of(e)) as Box<dyn View>]);
        e.set_namespace(&boss(), "workspace", Some(0o777), None)
            .unwrap();
        let people = ["ann", "bob", "cas"].map(|name| make(&w, name));
        let top = w.workspace();
        e.mkdir(
            &people[0],
            top,
            &Name::new(&TOP.as_bytes()[11..]).unwrap(),
            0o777,
        )
        .unwrap();
        Self {
            model: Model::default(),
            states: BTreeMap::new(),
            counts: BTreeMap::new(),
            dice: Numbers(seed),
            people,
            grants: Vec::new(),
            snapshots: 0,
            w,
        }
    }

    /// Makes one call of somebody.
    pub(super) fn call(&mut self) {
        self.w.engine().clock().advance(Duration::from_secs(1));
        let who = self.people[self.dice.index(3)].clone();
        let all = CALLS.iter().map(|(_, often, _)| often).sum();
        let mut throw = self.dice.below(all);
        let call = CALLS.iter().find(|(_, often, _)| {
            let is_it = throw < *often;
            throw = throw.wrapping_sub(*often);
            is_it
        });
        let (name, _, call) = call.unwrap();
        if call(self, &who).is_some() {
            *self.counts.entry(name).or_default() += 1;
            self.note();
        }
    }

    fn note(&mut self) {
        let head = self.w.engine().last_moment(&boss()).unwrap().op;
        self.states.insert(head, self.model.clone());
    }

    fn now(&self) -> Time {
        self.w.engine().clock().now()
    }

    pub(super) fn one_in(&mut self, n: u32) -> bool {
        self.dice.below(n) == 0
    }

    /// A name that may be there or not, in a directory that is.
    fn spot(&mut self) -> String {
        let is_open = |at: &str| at.matches('/').count() + 2 <= DEEP;
        let is_dir = |at: &&String| self.model.get(at).unwrap().seen.kind == FileKind::Directory;
        let dirs = self.model.names.keys().filter(is_dir);
        let dirs: Vec<_> = dirs.filter(|at| is_open(at)).cloned().collect();
        let dir = self.dice.index(u32::try_from(dirs.len()).unwrap() + 1);
        let leaf = LEAVES[self.dice.index(6)];
        match dirs.get(dir) {
            Some(dir) => format!("{dir}/{leaf}"),
            None => leaf.to_owned(),
        }
    }

    /// A name that is there, of one of some kinds.
    pub(super) fn existing(&mut self, kinds: &[FileKind]) -> Option<String> {
        let fits = |at: &&String| kinds.contains(&self.model.get(at).unwrap().seen.kind);
        let all: Vec<_> = self.model.names.keys().filter(fits).cloned().collect();
        let n = u32::try_from(all.len()).unwrap();
        (n > 0).then(|| all[self.dice.index(n)].clone())
    }

    fn vacant(&mut self) -> Option<String> {
        let at = self.spot();
        let is_full = self.model.names.len() > NAMES;
        (!is_full && self.model.get(&at).is_none()).then_some(at)
    }

    fn ino(&self, at: &str) -> Ino {
        let at = path(&format!("{TOP}/{at}"));
        self.w.engine().resolve_link(&boss(), &at).unwrap().ino
    }

    fn parent(&self, at: &str) -> (Ino, Name) {
        let at = path(&format!("{TOP}/{at}"));
        let (dir, name) = self.w.engine().resolve_parent(&boss(), &at).unwrap();
        (dir, name.clone())
    }

    fn bytes(&mut self) -> Vec<u8> {
        let size = if self.one_in(60) {
            70_000 + self.dice.below(300_000)
        } else {
            1 + self.dice.below(60)
        };
        let byte = self.dice.below(256);
        (0..size)
            .map(|n| u8::try_from((n + byte) % 251).unwrap())
            .collect()
    }

    fn made(&self, who: &Caller, at: &str, kind: FileKind, mode: u32) -> Thing {
        assert!(self.model.get(at).is_none());
        Thing::new(kind, mode, (who.uid, who.gid), self.now())
    }
}

/// Names and contents.
impl Work {
    fn write(&mut self, who: &Caller) -> Done {
        let at = if self.one_in(2) {
            self.existing(&[FileKind::File])?
        } else {
            self.vacant()?
        };
        let (bytes, now) = (self.bytes(), self.now());
        let e = self.w.engine();
        let (dir, name) = self.parent(&at);
        let (_, h) = e.create(who, dir, &name, 0o666, writing()).ok()?;
        e.write(who, h, 0, &bytes).unwrap();
        e.flush(who, h).unwrap();
        e.release(who, h).unwrap();
        if self.model.get(&at).is_none() {
            let new = self.made(who, &at, FileKind::File, 0o666);
            self.model.add(&at, new);
        }
        self.model.change(&at, |file| file.write(bytes, now));
        Some(())
    }

    fn append(&mut self, who: &Caller) -> Done {
        let at = self.existing(&[FileKind::File])?;
        let (more, now, e) = (self.bytes(), self.now(), self.w.engine());
        let flags = OpenFlags {
            append: true,
            ..OpenFlags::new(Access::Write)
        };
        let h = e.open(who, self.ino(&at), flags).ok()?;
        e.write(who, h, 0, &more).unwrap();
        e.flush(who, h).unwrap();
        e.release(who, h).unwrap();
        self.model.change(&at, |file| {
            file.write([&file.bytes[..], &more].concat(), now);
        });
        Some(())
    }

    fn truncate(&mut self, who: &Caller) -> Done {
        let at = self.existing(&[FileKind::File])?;
        let (size, now) = (self.dice.below(100), self.now());
        let mut bytes = self.model.get(&at)?.bytes.clone();
        if bytes.len() == size as usize {
            return None;
        }
        let set = SetAttr {
            size: Some(size.into()),
            ..SetAttr::default()
        };
        self.set(who, &at, &set)?;
        bytes.resize(size as usize, 0);
        self.model.change(&at, |file| file.write(bytes, now));
        Some(())
    }

    fn mkdir(&mut self, who: &Caller) -> Done {
        let at = self.vacant()?;
        let (dir, name) = self.parent(&at);
        self.w.engine().mkdir(who, dir, &name, 0o777).ok()?;
        let new = self.made(who, &at, FileKind::Directory, 0o777);
        self.model.add(&at, new);
        Some(())
    }

    fn symlink(&mut self, who: &Caller) -> Done {
        let (at, target) = (self.vacant()?, self.spot().into_bytes());
        let (dir, name) = self.parent(&at);
        self.w.engine().symlink(who, dir, &name, &target).ok()?;
        let mut new = self.made(who, &at, FileKind::Symlink, 0o777);
        new.fill(target);
        self.model.add(&at, new);
        Some(())
    }

    fn link(&mut self, who: &Caller) -> Done {
        let from = self.existing(&[FileKind::File, FileKind::Symlink])?;
        let to = self.vacant()?;
        let (dir, name) = self.parent(&to);
        self.w
            .engine()
            .link(who, self.ino(&from), dir, &name)
            .ok()?;
        self.model.link(&from, &to);
        Some(())
    }

    fn remove(&mut self, who: &Caller) -> Done {
        let at = self.existing(&[FileKind::File, FileKind::Symlink, FileKind::Directory])?;
        let (dir, name) = self.parent(&at);
        let e = self.w.engine();
        match self.model.get(&at)?.seen.kind {
            FileKind::Directory => e.rmdir(who, dir, &name),
            _ => e.unlink(who, dir, &name),
        }
        .ok()?;
        self.model.remove(&at);
        Some(())
    }

    fn rename(&mut self, who: &Caller) -> Done {
        let from = self.existing(&[FileKind::File, FileKind::Symlink, FileKind::Directory])?;
        let to = self.spot();
        self.move_to(who, &from, &to, RenameMode::Replace)?;
        self.model.rename(&from, &to);
        Some(())
    }

    fn exchange(&mut self, who: &Caller) -> Done {
        let all = [FileKind::File, FileKind::Symlink, FileKind::Directory];
        let (one, other) = (self.existing(&all)?, self.existing(&all)?);
        self.move_to(who, &one, &other, RenameMode::Exchange)?;
        if one != other {
            self.model.exchange(&one, &other);
        }
        Some(())
    }

    fn move_to(&self, who: &Caller, from: &str, to: &str, mode: RenameMode) -> Done {
        let (from, to) = (self.parent(from), self.parent(to));
        let e = self.w.engine();
        e.rename(who, (from.0, &from.1), (to.0, &to.1), mode).ok()
    }
}

/// What something is, and not where.
impl Work {
    fn set(&self, who: &Caller, at: &str, set: &SetAttr) -> Done {
        let e = self.w.engine();
        e.setattr(who, self.ino(at), set, None).ok().map(drop)
    }

    /// Takes over what a list and the mode beside it are: masks are not the model's to know.
    fn take_list(&mut self, at: &str) {
        let (e, ino) = (self.w.engine(), self.ino(at));
        let mode = e.getattr(&boss(), ino).unwrap().mode;
        let list = e.getxattr(&boss(), ino, posix_acl::ACCESS).ok();
        self.model.change(at, |thing| {
            thing.seen.owner.0 = mode;
            thing.set(posix_acl::ACCESS, list);
        });
    }

    fn chmod(&mut self, who: &Caller) -> Done {
        let at = self.existing(&[FileKind::File, FileKind::Directory])?;
        let mode = [0o777, 0o775, 0o757, 0o767, 0o776][self.dice.index(5)];
        let set = SetAttr {
            mode: Some(mode),
            ..SetAttr::default()
        };
        self.set(who, &at, &set)?;
        self.model.change(&at, |thing| thing.seen.owner.0 = mode);
        let lists = |(name, _): &(Vec<u8>, Vec<u8>)| name == posix_acl::ACCESS;
        if self.model.get(&at)?.seen.xattrs.iter().any(lists) {
            self.take_list(&at);
        }
        Some(())
    }

    fn chown(&mut self, _: &Caller) -> Done {
        let at = self.existing(&[FileKind::File, FileKind::Symlink, FileKind::Directory])?;
        let [uid, gid] = [self.dice.index(3), self.dice.index(3)].map(|n| self.people[n].uid);
        let set = SetAttr {
            uid: Some(uid),
            gid: Some(gid),
            ..SetAttr::default()
        };
        self.set(&boss(), &at, &set)?;
        self.model.change(&at, |thing| {
            (thing.seen.owner.1, thing.seen.owner.2) = (uid, gid);
        });
        Some(())
    }

    fn times(&mut self, who: &Caller) -> Done {
        let at = self.existing(&[FileKind::File, FileKind::Symlink])?;
        let mtime = Time(i64::from(self.dice.below(1 << 30)) * 1_000_000_001);
        let set = SetAttr {
            mtime: Some(SetTime::At(mtime)),
            ..SetAttr::default()
        };
        self.set(who, &at, &set)?;
        self.model
            .change(&at, |thing| thing.seen.mtime = Some(mtime));
        Some(())
    }

    fn setxattr(&mut self, who: &Caller) -> Done {
        let at = self.existing(&[FileKind::File, FileKind::Directory])?;
        let name = format!("user.{}", self.dice.below(3)).into_bytes();
        let value = self.dice.below(1000).to_string().into_bytes();
        let (e, ino) = (self.w.engine(), self.ino(&at));
        e.setxattr(who, ino, &name, &value, SetMode::Any).ok()?;
        self.model
            .change(&at, |thing| thing.set(&name, Some(value)));
        Some(())
    }

    fn removexattr(&mut self, who: &Caller) -> Done {
        let at = self.existing(&[FileKind::File, FileKind::Directory])?;
        let name = format!("user.{}", self.dice.below(3)).into_bytes();
        self.w
            .engine()
            .removexattr(who, self.ino(&at), &name)
            .ok()?;
        self.model.change(&at, |thing| thing.set(&name, None));
        Some(())
    }

    fn setfacl(&mut self, who: &Caller) -> Done {
        let at = self.existing(&[FileKind::File, FileKind::Directory])?;
        let uid = self.people[self.dice.index(3)].uid;
        let entry = AclEntry {
            who: AclWho::User(uid),
            deny: false,
            rights: 4 + self.dice.below(4),
        };
        let is_removed = self.one_in(3);
        let (e, ino, of) = (self.w.engine(), self.ino(&at), AclOf::Itself);
        if is_removed {
            e.remove_acl_entry(who, ino, of, (entry.who, false)).ok()?;
        } else {
            e.set_acl_entry(who, ino, of, entry).ok()?;
        }
        self.take_list(&at);
        Some(())
    }

    /// Gives a grant, or takes one back: nothing that a tree has.
    fn grant(&mut self, who: &Caller) -> Done {
        if self.one_in(2)
            && let Some(id) = self.grants.pop()
        {
            return self.w.engine().revoke(&boss(), id).ok().map(drop);
        }
        let at = self.existing(&[FileKind::File, FileKind::Directory])?;
        let to = To::One(subject(["ann", "bob", "cas"][self.dice.index(3)]));
        let e = self.w.engine();
        let given = e.grant(who, self.ino(&at), "can_write", &to, None).ok()?;
        self.grants.push(given.id);
        Some(())
    }
}
