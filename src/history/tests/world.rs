//! An engine with a tree on it, for tests of what is undone.

use crate::core::{Caller, Ino, Op, Result, TenantId, Time};
use crate::fs::tests::{self, permissions};
use crate::fs::{Engine, To};
use crate::history::{Answer, Choice, OpSet, Undone, undo};
use crate::meta::FileKind;
use crate::meta::tuple::Tuple;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(in crate::history::tests) use crate::fs::tests::principals::boss as root;
pub(in crate::history::tests) use crate::fs::tests::{alice, path, person};

pub(in crate::history::tests) const TENANT: TenantId = TenantId(1);

/// The world that tests of the engine have, and its engine at hand.
pub(in crate::history::tests) struct World {
    pub engine: Arc<Engine>,
    own: tests::World,
}

/// Everything that undo gives back: by path, what `stat`, `cat`, `getfattr` and `nexus rebac list` say, and which node it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::history::tests) struct Seen {
    pub ino: Ino,
    pub kind: FileKind,
    pub owner: (u32, u32, u32),
    pub links: u32,
    pub mtime: i64,
    pub bytes: Vec<u8>,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub grants: Vec<String>,
}

pub(in crate::history::tests) type Tree = BTreeMap<String, Seen>;

impl World {
    pub(in crate::history::tests) fn new() -> Self {
        Self::of(tests::World::new())
    }

    /// One with a clock that stands at a time until it is set.
    pub(in crate::history::tests) fn at(time: Time) -> Self {
        Self::of(permissions::time::world_at(time))
    }

    fn of(own: tests::World) -> Self {
        let engine = own.engine().clone();
        Self { engine, own }
    }

    pub(in crate::history::tests) fn head(&self) -> Op {
        self.engine.settle_files().unwrap();
        self.engine.head(TENANT).unwrap()
    }

    pub(in crate::history::tests) fn ino(&self, at: &str) -> Ino {
        permissions::ino(&self.own, at)
    }

    pub(in crate::history::tests) fn mkdir(&self, who: &Caller, at: &str) {
        permissions::mkdir(&self.own, who, at);
    }

    pub(in crate::history::tests) fn write(&self, who: &Caller, at: &str, bytes: &[u8]) {
        self.own.write(who, at, bytes).unwrap();
    }

    pub(in crate::history::tests) fn try_write(
        &self,
        who: &Caller,
        at: &str,
        bytes: &[u8],
    ) -> Result<Ino> {
        self.own.write(who, at, bytes)
    }

    pub(in crate::history::tests) fn unlink(&self, who: &Caller, at: &str) {
        permissions::unlink(&self.own, who, at).unwrap();
    }

    pub(in crate::history::tests) fn rename(&self, who: &Caller, from: &str, to: &str) {
        permissions::rename(&self.own, who, from, to).unwrap();
    }

    /// As `sed -i` and most editors save: a new file, renamed over the old one.
    pub(in crate::history::tests) fn save(&self, who: &Caller, at: &str, bytes: &[u8]) {
        let new = format!("{at}.new");
        self.write(who, &new, bytes);
        self.rename(who, &new, at);
    }

    /// As `sed -i.bak` saves, and emacs the first time.
    pub(in crate::history::tests) fn save_with_backup(&self, who: &Caller, at: &str, bytes: &[u8]) {
        let new = format!("{at}.new");
        self.write(who, &new, bytes);
        self.rename(who, at, &format!("{at}.bak"));
        self.rename(who, &new, at);
    }

    /// As vim saves where it keeps no backup.
    pub(in crate::history::tests) fn save_as_vim(&self, who: &Caller, at: &str, bytes: &[u8]) {
        let old = format!("{at}~");
        self.rename(who, at, &old);
        self.write(who, at, b"");
        self.write(who, at, bytes);
        self.unlink(who, &old);
    }

    /// As a shell's `>` saves: emptied and closed, then written.
    pub(in crate::history::tests) fn overwrite(&self, who: &Caller, at: &str, bytes: &[u8]) {
        self.write(who, at, b"");
        self.write(who, at, bytes);
    }

    /// As `rm -r` does it.
    pub(in crate::history::tests) fn remove_all(&self, who: &Caller, at: &str) {
        let found = self.engine.resolve_link(&root(), &path(at)).unwrap();
        if !found.is_dir() {
            return self.unlink(who, at);
        }
        for entry in self.engine.list(&root(), found.ino).unwrap() {
            self.remove_all(who, &format!("{at}/{}", entry.name));
        }
        let at = path(at);
        let (dir, name) = self.engine.resolve_parent(who, &at).unwrap();
        self.engine.rmdir(who, dir, name).unwrap();
    }

    pub(in crate::history::tests) fn read(&self, at: &str) -> Vec<u8> {
        self.own.read(&root(), at).unwrap()
    }

    pub(in crate::history::tests) fn tree(&self) -> Tree {
        self.tree_below("/workspace")
    }

    pub(in crate::history::tests) fn tree_below(&self, top: &str) -> Tree {
        self.head();
        let mut all = Tree::new();
        self.gather(top, &mut all);
        all
    }

    fn gather(&self, at: &str, all: &mut Tree) {
        let e = &self.engine;
        let node = e.resolve_link(&root(), &path(at)).unwrap();
        let bytes = match node.kind {
            FileKind::File => self.read(at),
            FileKind::Symlink => e.readlink(&root(), node.ino).unwrap().to_vec(),
            _ => Vec::new(),
        };
        let names = e.listxattr(&root(), node.ino).unwrap();
        let value = |name: &Vec<u8>| e.getxattr(&root(), node.ino, name).unwrap().clone();
        let own = names.iter().filter(|n| !n.starts_with(b"user.nexus."));
        let seen = Seen {
            ino: node.ino,
            kind: node.kind,
            owner: (node.mode, node.uid, node.gid),
            links: node.nlink,
            mtime: node.mtime.0,
            xattrs: own.map(|n| (n.clone(), value(n))).collect(),
            grants: self.roles(node.ino),
            bytes,
        };
        all.insert(at.to_owned(), seen);
        if node.is_dir() {
            for entry in e.list(&root(), node.ino).unwrap() {
                self.gather(&format!("{at}/{}", entry.name), all);
            }
        }
    }

    /// What was granted on a node.
    pub(in crate::history::tests) fn granted(&self, on: Ino) -> Vec<Arc<Tuple>> {
        let fits = |t: &Tuple| t.ino() == Some(on);
        self.engine.grants(&root(), fits).unwrap()
    }

    fn roles(&self, on: Ino) -> Vec<String> {
        let all = self.granted(on);
        let one = |t: &Arc<Tuple>| format!("{} {}", t.relation, t.subject_id);
        let mut roles: Vec<_> = all.iter().map(one).collect();
        roles.sort();
        roles
    }

    /// Has carol, and something granted to her that nothing else has to do with: from then on every decision looks at what
    /// lies above.
    pub(in crate::history::tests) fn unrelated_grant(&self) -> To {
        self.engine
            .create_user(&root(), "carol", None, (None, None))
            .unwrap();
        let carol = To::One("user:carol".parse().unwrap());
        self.mkdir(&alice(), "/workspace/unrelated");
        let on = self.ino("/workspace/unrelated");
        self.engine
            .grant(&root(), on, "can_read", &carol, None)
            .unwrap();
        carol
    }

    /// The operations after `since` that somebody made.
    pub(in crate::history::tests) fn by(&self, who: &Caller, since: Op) -> OpSet {
        self.head();
        let mut tx = self.engine.store().read().unwrap();
        let all = crate::meta::log::after(&mut *tx, TENANT, since, 1 << 20).unwrap();
        let own = all
            .into_iter()
            .filter(|(r, _)| r.author.user.as_deref() == who.user.as_deref());
        own.map(|(r, _)| r.op).collect()
    }

    pub(in crate::history::tests) fn undo(&self, who: &Caller, ops: OpSet) -> Result<Undone> {
        let choice = Choice {
            ops,
            ..Choice::default()
        };
        undo(&self.engine, who, &choice)
    }

    /// Undoes what can be, and has the same done about the rest.
    pub(in crate::history::tests) fn undo_or(
        &self,
        who: &Caller,
        ops: &OpSet,
        answer: Answer,
    ) -> Undone {
        let choice = Choice {
            ops: ops.clone(),
            answer,
            homes: Vec::new(),
            dry_run: false,
        };
        undo(&self.engine, who, &choice).unwrap()
    }

    #[track_caller]
    pub(in crate::history::tests) fn assert_sound(&self) {
        self.own.assert_sound();
    }
}

/// Somebody else, who may do what alice may.
pub(in crate::history::tests) fn bob() -> Caller {
    person("bob", 1001)
}
