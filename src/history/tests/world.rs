//! An engine with a tree on it, for tests of what is undone.

use crate::core::{Caller, Clock, Config, FsPath, Ino, Name, Op, Result, TenantId};
use crate::db::{Db as _, Sqlite};
use crate::fs::{Access, Engine, OpenFlags, RenameMode};
use crate::history::{Choice, OpSet, Undone, undo};
use crate::meta::FileKind;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(in crate::history::tests) const TENANT: TenantId = TenantId(1);

pub(in crate::history::tests) struct World {
    _dir: tempfile::TempDir,
    pub engine: Arc<Engine>,
}

/// Everything that undo gives back: by path, what `stat`, `cat` and `getfattr` say, and which node it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::history::tests) struct Seen {
    pub ino: Ino,
    pub kind: FileKind,
    pub owner: (u32, u32, u32),
    pub links: u32,
    pub mtime: i64,
    pub bytes: Vec<u8>,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

pub(in crate::history::tests) type Tree = BTreeMap<String, Seen>;

impl World {
    pub(in crate::history::tests) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::new(dir.path());
        let db = Arc::new(Sqlite::open(&config.database()).unwrap());
        db.migrate().unwrap();
        let engine = Arc::new(Engine::new(config, db, Clock::System).unwrap());
        Self { _dir: dir, engine }
    }

    pub(in crate::history::tests) fn head(&self) -> Op {
        self.engine.settle_files().unwrap();
        self.engine.head(TENANT).unwrap()
    }

    pub(in crate::history::tests) fn ino(&self, at: &str) -> Ino {
        self.engine.resolve_link(&root(), &path(at)).unwrap().ino
    }

    fn parent<'p>(&self, at: &'p FsPath) -> (Ino, &'p Name) {
        self.engine.resolve_parent(&root(), at).unwrap()
    }

    pub(in crate::history::tests) fn mkdir(&self, who: &Caller, at: &str) {
        let at = path(at);
        let (dir, name) = self.parent(&at);
        self.engine.mkdir(who, dir, name, 0o755).unwrap();
    }

    pub(in crate::history::tests) fn write(&self, who: &Caller, at: &str, bytes: &[u8]) {
        let (at, e) = (path(at), &self.engine);
        let (dir, name) = self.parent(&at);
        let flags = OpenFlags {
            truncate: true,
            ..OpenFlags::new(Access::ReadWrite)
        };
        let (_, handle) = e.create(who, dir, name, 0o644, flags).unwrap();
        e.write(who, handle, 0, bytes).unwrap();
        e.flush(who, handle).unwrap();
        e.release(who, handle).unwrap();
    }

    pub(in crate::history::tests) fn unlink(&self, who: &Caller, at: &str) {
        let at = path(at);
        let (dir, name) = self.parent(&at);
        self.engine.unlink(who, dir, name).unwrap();
    }

    pub(in crate::history::tests) fn rename(&self, who: &Caller, from: &str, to: &str) {
        let (from, to) = (path(from), path(to));
        let ends = (self.parent(&from), self.parent(&to));
        self.engine
            .rename(who, ends.0, ends.1, RenameMode::Replace)
            .unwrap();
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
        let (dir, name) = self.parent(&at);
        self.engine.rmdir(who, dir, name).unwrap();
    }

    pub(in crate::history::tests) fn read(&self, at: &str) -> Vec<u8> {
        let e = &self.engine;
        let node = e.resolve(&root(), &path(at)).unwrap();
        let handle = e
            .open(&root(), node.ino, OpenFlags::new(Access::Read))
            .unwrap();
        let bytes = e.read(handle, 0, 1 << 24).unwrap();
        e.release(&root(), handle).unwrap();
        bytes.to_vec()
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
            bytes,
        };
        all.insert(at.to_owned(), seen);
        if node.is_dir() {
            for entry in e.list(&root(), node.ino).unwrap() {
                self.gather(&format!("{at}/{}", entry.name), all);
            }
        }
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

    #[track_caller]
    pub(in crate::history::tests) fn assert_sound(&self) {
        let report = self.engine.verify(&root(), &mut |_| {}).unwrap();
        assert_eq!(report.problems, Vec::<String>::new());
    }
}

pub(in crate::history::tests) fn root() -> Caller {
    Caller::engine(TENANT)
}

pub(in crate::history::tests) fn person(name: &str, uid: u32) -> Caller {
    Caller {
        user: Some(name.into()),
        uid,
        gid: uid,
        admin: false,
        comm: Some("test".into()),
        ..root()
    }
}

pub(in crate::history::tests) fn alice() -> Caller {
    person("alice", 1001)
}

/// Somebody else, who may do what alice may.
pub(in crate::history::tests) fn bob() -> Caller {
    person("bob", 1001)
}

pub(in crate::history::tests) fn path(p: &str) -> FsPath {
    FsPath::parse(p.as_bytes()).unwrap()
}
