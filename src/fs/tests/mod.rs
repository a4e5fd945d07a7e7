//! The engine without a kernel: what it promises, call by call, and random sequences against a model.

mod calls;
mod bytes;
mod history;
mod model;
pub(crate) mod threads;
mod session;
mod hands;
mod opened;
mod window;
mod walk;
pub(crate) mod principals;
mod keys;
mod tenants;
mod sharing;
mod rows;
mod audit;
mod looks;
mod privileges;
mod alone;
mod isolated;
pub(crate) mod permissions;
mod relations;
mod log;

use super::{Access, Engine, OpenFlags, SetMode, View};
use crate::core::{Caller, Clock, Config, FsPath, HandleId, Ino, Kind, Name, Result, TenantId};
use crate::db::{Db, Sqlite};
use std::sync::Arc;

/// An engine over a store in a directory of its own, and two people.
pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    engine: Option<Arc<Engine>>,
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let engine = Some(open(dir.path()));
        Self { dir, engine }
    }

    /// An engine over a database that is there already; it does not come back from a crash.
    pub(crate) fn over(db: Arc<dyn Db>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        db.migrate().unwrap();
        let engine = Engine::new(Config::new(dir.path()), db, Clock::System).unwrap();
        let engine = Some(Arc::new(engine));
        Self { dir, engine }
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        self.engine.as_ref().unwrap()
    }

    /// An engine with a view beside its tree.
    pub(crate) fn looking(view: impl Fn(&Arc<Engine>) -> Box<dyn View>) -> Self {
        let world = Self::new();
        world.engine().set_views(vec![view(world.engine())]);
        world
    }

    /// Closes without settling, as a crash would, and opens again.
    pub(crate) fn crash(&mut self) {
        self.crash_after(|| ());
    }

    /// The same, with something done to the data directory in between.
    pub(crate) fn crash_after(&mut self, meanwhile: impl FnOnce()) {
        self.engine = None;
        meanwhile();
        self.engine = Some(open(self.dir.path()));
    }

    pub(crate) fn workspace(&self) -> Ino {
        self.engine()
            .resolve(&alice(), &path("/workspace"))
            .unwrap()
            .ino
    }

    /// Fails the test when rows, log or blobs do not fit together.
    #[track_caller]
    pub(crate) fn assert_sound(&self) {
        let report = self
            .engine()
            .verify(&Caller::engine(TenantId(1)), &mut |_| Ok(()))
            .unwrap();
        assert_eq!(report.problems, Vec::<String>::new());
    }

    /// Creates, writes and closes.
    pub(crate) fn write(&self, who: &Caller, at: &str, bytes: &[u8]) -> Result<Ino> {
        let e = self.engine();
        let target = path(at);
        let (dir, name) = e.resolve_parent(who, &target)?;
        let (node, handle) = e.create(who, dir, name, 0o644, writing())?;
        e.write(who, handle, 0, bytes)?;
        e.flush(who, handle)?;
        e.release(who, handle)?;
        Ok(node.ino)
    }

    pub(crate) fn read(&self, who: &Caller, at: &str) -> Result<Vec<u8>> {
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

pub(crate) fn person(name: &str, uid: u32) -> Caller {
    Caller {
        user: Some(name.into()),
        uid,
        gid: uid,
        admin: false,
        comm: Some("test".into()),
        ..Caller::engine(TenantId(1))
    }
}

pub(crate) fn alice() -> Caller {
    person("alice", 1001)
}

pub(crate) fn bob() -> Caller {
    person("bob", 1002)
}

pub(crate) fn path(p: &str) -> FsPath {
    FsPath::parse(p.as_bytes()).unwrap()
}

pub(crate) fn name(n: &str) -> Name {
    Name::new(n.as_bytes()).unwrap()
}

pub(crate) fn writing() -> OpenFlags {
    OpenFlags {
        truncate: true,
        ..OpenFlags::new(Access::ReadWrite)
    }
}

#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T>, kind: Kind) {
    assert_eq!(result.unwrap_err().kind(), kind);
}

pub(crate) fn close(world: &World, who: &Caller, handle: HandleId) {
    world.engine().flush(who, handle).unwrap();
    world.engine().release(who, handle).unwrap();
}
