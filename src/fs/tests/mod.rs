//! The engine without a kernel: what it promises, call by call, and random sequences against a model.

mod calls;
mod bytes;
mod history;
mod model;
mod threads;
mod session;
mod walk;
mod principals;
mod keys;
mod sharing;
mod rows;
mod audit;
mod permissions;
mod relations;

use super::{Access, Engine, OpenFlags, SetMode};
use crate::core::{Caller, Clock, Config, FsPath, HandleId, Ino, Kind, Name, Result, TenantId};
use crate::db::{Db as _, Sqlite};
use std::sync::Arc;

/// An engine over a store in a directory of its own, and two people.
pub(super) struct World {
    pub(super) dir: tempfile::TempDir,
    engine: Option<Arc<Engine>>,
}

impl World {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let engine = Some(open(dir.path()));
        Self { dir, engine }
    }

    pub(super) fn engine(&self) -> &Arc<Engine> {
        self.engine.as_ref().unwrap()
    }

    /// Closes without settling, as a crash would, and opens again.
    pub(super) fn crash(&mut self) {
        self.engine = None;
        self.engine = Some(open(self.dir.path()));
    }

    pub(super) fn workspace(&self) -> Ino {
        self.engine()
            .resolve(&alice(), &path("/workspace"))
            .unwrap()
            .ino
    }

    /// Fails the test when rows, log or blobs do not fit together.
    #[track_caller]
    pub(super) fn assert_sound(&self) {
        let report = self
            .engine()
            .verify(&Caller::engine(TenantId(1)), &mut |_| {})
            .unwrap();
        assert_eq!(report.problems, Vec::<String>::new());
    }

    /// Creates, writes and closes.
    pub(super) fn write(&self, who: &Caller, at: &str, bytes: &[u8]) -> Result<Ino> {
        let e = self.engine();
        let target = path(at);
        let (dir, name) = e.resolve_parent(who, &target)?;
        let (node, handle) = e.create(who, dir, name, 0o644, writing())?;
        e.write(who, handle, 0, bytes)?;
        e.flush(who, handle)?;
        e.release(who, handle)?;
        Ok(node.ino)
    }

    pub(super) fn read(&self, who: &Caller, at: &str) -> Result<Vec<u8>> {
        let e = self.engine();
        let node = e.resolve(who, &path(at))?;
        let handle = e.open(who, node.ino, OpenFlags::new(Access::Read))?;
        let bytes = e.read(handle, 0, 1 << 24)?;
        e.release(who, handle)?;
        Ok(bytes.to_vec())
    }
}

fn open(dir: &std::path::Path) -> Arc<Engine> {
    let config = Config::new(dir);
    let db = Arc::new(Sqlite::open(&config.database()).unwrap());
    db.migrate().unwrap();
    Arc::new(Engine::new(config, db, Clock::System).unwrap())
}

pub(super) fn person(name: &str, uid: u32) -> Caller {
    Caller {
        user: Some(name.into()),
        uid,
        gid: uid,
        admin: false,
        comm: Some("test".into()),
        ..Caller::engine(TenantId(1))
    }
}

pub(super) fn alice() -> Caller {
    person("alice", 1001)
}

pub(super) fn bob() -> Caller {
    person("bob", 1002)
}

pub(super) fn path(p: &str) -> FsPath {
    FsPath::parse(p.as_bytes()).unwrap()
}

pub(super) fn name(n: &str) -> Name {
    Name::new(n.as_bytes()).unwrap()
}

pub(super) fn writing() -> OpenFlags {
    OpenFlags {
        truncate: true,
        ..OpenFlags::new(Access::ReadWrite)
    }
}

#[track_caller]
pub(super) fn refused<T: std::fmt::Debug>(result: Result<T>, kind: Kind) {
    assert_eq!(result.unwrap_err().kind(), kind);
}

pub(super) fn close(world: &World, who: &Caller, handle: HandleId) {
    world.engine().flush(who, handle).unwrap();
    world.engine().release(who, handle).unwrap();
}

/// semantics.md §7: "they are not listed, so that copying tools leave them alone."
#[test]
fn attributes_keep_bytes_and_refuse_what_xattr_7_refuses() {
    let w = World::new();
    let ino = w.write(&alice(), "/workspace/f", b"x").unwrap();
    let e = w.engine();
    e.setxattr(&alice(), ino, b"user.k", b"\0\xff", SetMode::Create)
        .unwrap();
    refused(
        e.setxattr(&alice(), ino, b"user.k", b"", SetMode::Create),
        Kind::Exists,
    );
    refused(
        e.setxattr(&alice(), ino, b"user.n", b"", SetMode::Replace),
        Kind::NoAttribute,
    );
    refused(
        e.setxattr(&alice(), ino, b"trusted.k", b"", SetMode::Any),
        Kind::NotPermitted,
    );
    refused(
        e.setxattr(&alice(), ino, b"user.nexus.hash", b"", SetMode::Any),
        Kind::NotPermitted,
    );
    assert_eq!(e.getxattr(&alice(), ino, b"user.k").unwrap(), b"\0\xff");
    assert_eq!(e.listxattr(&alice(), ino).unwrap(), [b"user.k".to_vec()]);
    let hash = crate::core::Hash::of(b"x").to_string();
    assert_eq!(
        e.getxattr(&alice(), ino, b"user.nexus.hash").unwrap(),
        hash.as_bytes()
    );
    // ENOTSUP, so that `ls -l` asks once a filesystem and not once a file; what root has set is there all the same.
    let label = b"security.selinux";
    refused(e.getxattr(&alice(), ino, label), Kind::Unsupported);
    let root = person("root", 0);
    e.setxattr(&root, ino, label, b"l", SetMode::Any).unwrap();
    assert_eq!(e.getxattr(&alice(), ino, label).unwrap(), b"l");
    e.removexattr(&root, ino, label).unwrap();
    e.removexattr(&alice(), ino, b"user.k").unwrap();
    refused(e.getxattr(&alice(), ino, b"user.k"), Kind::NoAttribute);
    w.assert_sound();
}
