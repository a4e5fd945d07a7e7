//! Undo on an engine: exact, atomic, and nothing of others lost.

mod grants;
mod reverse;
mod two;

use super::{Answer, Choice, OpSet, Undone, undo};
use crate::core::{Caller, Clock, Config, FsPath, Ino, Name, Op, Result, TenantId};
use crate::db::{Db as _, Sqlite};
use crate::fs::{Access, Engine, OpenFlags, RenameMode};
use crate::meta::FileKind;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) const TENANT: TenantId = TenantId(1);

pub(super) struct World {
    _dir: tempfile::TempDir,
    pub engine: Arc<Engine>,
}

/// Everything that undo gives back: by path, what `stat`, `cat` and `getfattr` say, and which node it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    ino: Ino,
    kind: FileKind,
    owner: (u32, u32, u32),
    links: u32,
    mtime: i64,
    bytes: Vec<u8>,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

pub(super) type Tree = BTreeMap<String, Seen>;

impl World {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::new(dir.path());
        let db = Arc::new(Sqlite::open(&config.database()).unwrap());
        db.migrate().unwrap();
        let engine = Arc::new(Engine::new(config, db, Clock::System).unwrap());
        Self { _dir: dir, engine }
    }

    pub(super) fn head(&self) -> Op {
        self.engine.settle_files().unwrap();
        self.engine.head(TENANT).unwrap()
    }

    pub(super) fn ino(&self, at: &str) -> Ino {
        self.engine.resolve_link(&root(), &path(at)).unwrap().ino
    }

    fn parent<'p>(&self, at: &'p FsPath) -> (Ino, &'p Name) {
        self.engine.resolve_parent(&root(), at).unwrap()
    }

    pub(super) fn mkdir(&self, who: &Caller, at: &str) {
        let at = path(at);
        let (dir, name) = self.parent(&at);
        self.engine.mkdir(who, dir, name, 0o755).unwrap();
    }

    pub(super) fn write(&self, who: &Caller, at: &str, bytes: &[u8]) {
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

    pub(super) fn unlink(&self, who: &Caller, at: &str) {
        let at = path(at);
        let (dir, name) = self.parent(&at);
        self.engine.unlink(who, dir, name).unwrap();
    }

    pub(super) fn rename(&self, who: &Caller, from: &str, to: &str) {
        let (from, to) = (path(from), path(to));
        let ends = (self.parent(&from), self.parent(&to));
        self.engine
            .rename(who, ends.0, ends.1, RenameMode::Replace)
            .unwrap();
    }

    /// As `rm -r` does it.
    pub(super) fn remove_all(&self, who: &Caller, at: &str) {
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

    pub(super) fn read(&self, at: &str) -> Vec<u8> {
        let e = &self.engine;
        let node = e.resolve(&root(), &path(at)).unwrap();
        let handle = e
            .open(&root(), node.ino, OpenFlags::new(Access::Read))
            .unwrap();
        let bytes = e.read(handle, 0, 1 << 24).unwrap();
        e.release(&root(), handle).unwrap();
        bytes.to_vec()
    }

    pub(super) fn tree(&self) -> Tree {
        self.head();
        let mut all = Tree::new();
        self.gather("/workspace", &mut all);
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
        let value = |name: &Vec<u8>| e.getxattr(&root(), node.ino, name).unwrap().to_vec();
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
    pub(super) fn by(&self, who: &Caller, since: Op) -> OpSet {
        self.head();
        let mut tx = self.engine.store().read().unwrap();
        let all = crate::meta::log::after(&mut *tx, TENANT, since, 1 << 20).unwrap();
        let own = all
            .into_iter()
            .filter(|(r, _)| r.author.user.as_deref() == who.user.as_deref());
        own.map(|(r, _)| r.op).collect()
    }

    pub(super) fn undo(&self, who: &Caller, ops: OpSet) -> Result<Undone> {
        let choice = Choice {
            ops,
            ..Choice::default()
        };
        undo(&self.engine, who, &choice)
    }

    #[track_caller]
    pub(super) fn assert_sound(&self) {
        let report = self.engine.verify(&root(), &mut |_| {}).unwrap();
        assert_eq!(report.problems, Vec::<String>::new());
    }
}

pub(super) fn root() -> Caller {
    Caller::engine(TENANT)
}

pub(super) fn person(name: &str, uid: u32) -> Caller {
    Caller {
        user: Some(name.into()),
        uid,
        gid: uid,
        admin: false,
        comm: Some("test".into()),
        ..root()
    }
}

pub(super) fn alice() -> Caller {
    person("alice", 1001)
}

/// Somebody else, who may do what alice may.
pub(super) fn bob() -> Caller {
    person("bob", 1001)
}

pub(super) fn path(p: &str) -> FsPath {
    FsPath::parse(p.as_bytes()).unwrap()
}
