//! A store opened in this process, and its tree as something to compare.

use nexus::core::{Caller, Clock, Config, FsPath, Hash, Ino, Name, Op, Result, TenantId, Time};
use nexus::fs::{Access, Keep, OpenFlags, SetMode};
use nexus::history::{Answer, Choice, Restoring, resolve_when, restore, snapshot, undo};
use nexus::meta::log_query::{Cursor, Query, page};
use nexus::meta::{FileKind, log};
use nexus::nexus::Nexus;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Every run writes at the same times, so that the same operations have the same hashes.
const START: Time = Time(1_700_000_000_000_000_000);
const PIECE: usize = 128 << 10;

/// What lies at each path of the workspace.
pub(super) type Tree = BTreeMap<String, String>;

/// An open store, and who works on it.
pub(super) struct Volume {
    nexus: Nexus,
    who: Caller,
}

impl Volume {
    pub(super) fn open(data: &Path) -> Result<Self> {
        let nexus = Nexus::open_with(Config::new(data), Clock::manual(START))?;
        let who = Caller::engine(TenantId(1));
        Ok(Self { nexus, who })
    }

    /// Lets a second pass.
    pub(super) fn tick(&self) {
        self.nexus.engine.clock().advance(Duration::from_secs(1));
    }

    /// The same store, worked on in a tenant of this name.
    pub(super) fn tenant(&mut self, name: &str) -> Result<()> {
        let made = self.nexus.engine.create_tenant(&self.who, name)?;
        self.who = Caller::engine(made.id);
        Ok(())
    }

    /// Deletes a tenant.
    pub(super) fn delete_tenant(&self, name: &str) -> Result<()> {
        let who = Caller::engine(TenantId(1));
        self.nexus.engine.delete_tenant(&who, name).map(drop)
    }

    /// Makes a user, whose name is free.
    pub(super) fn user(&self, name: &str) -> Result<()> {
        let made = self
            .nexus
            .engine
            .create_user(&self.who, name, None, (None, None));
        made.map(drop)
    }

    fn place(&self, path: &str) -> Result<(Ino, Name)> {
        let path = FsPath::parse(format!("/workspace/{path}").as_bytes())?;
        let (dir, name) = self.nexus.engine.resolve_parent(&self.who, &path)?;
        Ok((dir, name.clone()))
    }

    fn ino(&self, path: &str) -> Result<Ino> {
        let path = FsPath::parse(format!("/workspace/{path}").as_bytes())?;
        Ok(self.nexus.engine.resolve_link(&self.who, &path)?.ino)
    }

    /// Writes a whole file and closes it.
    pub(super) fn put(&self, path: &str, bytes: &[u8], sync: bool) -> Result<()> {
        self.write(path, bytes, sync, true)
    }

    pub(super) fn append(&self, path: &str, bytes: &[u8], sync: bool) -> Result<()> {
        self.write(path, bytes, sync, false)
    }

    fn write(&self, path: &str, bytes: &[u8], sync: bool, truncate: bool) -> Result<()> {
        let (engine, who) = (&self.nexus.engine, &self.who);
        let (dir, name) = self.place(path)?;
        let flags = OpenFlags {
            truncate,
            append: !truncate,
            ..OpenFlags::new(Access::ReadWrite)
        };
        let (_, handle) = engine.create(who, dir, &name, 0o644, flags)?;
        let wrote = bytes.chunks(PIECE).try_for_each(|piece| {
            let at = if truncate {
                piece.as_ptr().addr() - bytes.as_ptr().addr()
            } else {
                0
            };
            engine.write(who, handle, at as u64, piece).map(drop)
        });
        let done = wrote.and_then(|()| {
            if sync {
                engine.fsync(who, handle)?;
            }
            engine.flush(who, handle)
        });
        done.and(engine.release(who, handle))
    }

    pub(super) fn mkdir(&self, path: &str) -> Result<()> {
        let (dir, name) = self.place(path)?;
        self.nexus
            .engine
            .mkdir(&self.who, dir, &name, 0o755)
            .map(drop)
    }

    pub(super) fn unlink(&self, path: &str) -> Result<()> {
        let (dir, name) = self.place(path)?;
        self.nexus.engine.unlink(&self.who, dir, &name)
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> Result<()> {
        let ((from, old), (to, new)) = (self.place(from)?, self.place(to)?);
        let mode = nexus::fs::RenameMode::Replace;
        self.nexus
            .engine
            .rename(&self.who, (from, &old), (to, &new), mode)
    }

    pub(super) fn symlink(&self, path: &str, target: &str) -> Result<()> {
        let (dir, name) = self.place(path)?;
        let made = self
            .nexus
            .engine
            .symlink(&self.who, dir, &name, target.as_bytes());
        made.map(drop)
    }

    pub(super) fn label(&self, path: &str, value: &[u8]) -> Result<()> {
        let ino = self.ino(path)?;
        self.nexus
            .engine
            .setxattr(&self.who, ino, b"user.label", value, SetMode::Any)
    }

    /// Undoes the newest operation on a path.
    pub(super) fn undo(&self, path: &str) -> Result<()> {
        let query = Query {
            path: Some(FsPath::parse(format!("/workspace/{path}").as_bytes())?),
            ..Query::default()
        };
        let engine = &self.nexus.engine;
        let mut tx = engine.store().read()?;
        let newest = page(&mut *tx, TenantId(1), &query, Cursor::NEWEST, 1)?;
        drop(tx);
        let choice = Choice {
            ops: newest.into_iter().map(|(record, _)| record.op).collect(),
            ..Choice::default()
        };
        undo(engine, &self.who, &choice).map(drop)
    }

    /// Gives a directory as it is now a name.
    pub(super) fn snapshot(&self, path: &str, name: &str) -> Result<()> {
        let path = FsPath::parse(format!("/workspace/{path}").as_bytes())?;
        snapshot::create(&self.nexus.engine, &self.who, &path, (name, None)).map(drop)
    }

    /// Makes a directory what it was in a snapshot.
    pub(super) fn restore(&self, path: &str, name: &str) -> Result<()> {
        let what = Restoring {
            path: FsPath::parse(format!("/workspace/{path}").as_bytes())?,
            node: self.ino(path)?,
            at: resolve_when(&self.nexus.engine, &self.who, name)?,
            answer: Answer::Stop,
            dry_run: false,
        };
        restore(&self.nexus.engine, &self.who, &what).map(drop)
    }

    /// Forgets what was over some steps ago, for good.
    pub(super) fn forget(&self, steps: u64, snapshots: bool) -> Result<()> {
        let engine = &self.nexus.engine;
        let ago = i64::try_from(steps).unwrap() * 1_000_000_000;
        let keep = Keep {
            since: Time(engine.clock().now().0 - ago),
            snapshots,
        };
        engine.forget(&self.who, keep, false)?;
        engine.sync()
    }

    /// Does what a daemon does every second.
    pub(super) fn housekeep(&self) -> Result<()> {
        self.nexus.engine.housekeep()
    }

    /// Makes everything so far durable: fsync(2) of a directory.
    pub(super) fn sync(&self) -> Result<()> {
        self.nexus.engine.sync()
    }

    pub(super) fn checkpoint(&self) -> Result<()> {
        self.nexus.engine.store().settle()?;
        self.nexus.db.checkpoint()
    }

    /// How many operations the log has.
    pub(super) fn head(&self) -> u64 {
        self.nexus.engine.head(TenantId(1)).unwrap().0
    }

    /// The hash of every operation, from the first.
    pub(super) fn chain(&self) -> Vec<Hash> {
        let mut tx = self.nexus.engine.store().read().unwrap();
        let all = log::after(&mut *tx, TenantId(1), Op(0), 1_000_000).unwrap();
        all.into_iter().map(|(_, hash)| hash).collect()
    }

    /// Reads everything below a directory of the workspace, past the caches.
    pub(super) fn tree(&self, dir: &str) -> Tree {
        self.nexus.engine.drop_caches();
        let mut tree = Tree::new();
        self.gather(self.ino(dir).unwrap(), "", &mut tree);
        tree
    }

    /// The workspace as an operation left it; `None` when that is forgotten.
    pub(super) fn past(&self, op: u64) -> Option<Tree> {
        let engine = &self.nexus.engine;
        if let Err(e) = engine.moment_of(&self.who, Op(op)) {
            assert!(e.message().contains("was forgotten"), "{e}");
            return None;
        }
        let top = FsPath::parse(format!("/.at/op:{op}/workspace").as_bytes()).unwrap();
        let mut tree = Tree::new();
        let top = engine.resolve_link(&self.who, &top).unwrap().ino;
        self.gather(top, "", &mut tree);
        Some(tree)
    }

    fn gather(&self, dir: Ino, at: &str, tree: &mut Tree) {
        let engine = &self.nexus.engine;
        for entry in engine.list(&self.who, dir).unwrap() {
            let path = format!("{at}{}", entry.name);
            let node = &entry.node;
            let mut what = vec![format!("{:?} {:o}", node.kind, node.mode)];
            match node.kind {
                FileKind::Directory => self.gather(node.ino, &format!("{path}/"), tree),
                FileKind::Symlink => {
                    let target = engine.readlink(&self.who, node.ino).unwrap();
                    what.push(String::from_utf8_lossy(&target).into_owned());
                }
                _ => what.push(self.sum(node.ino).to_string()),
            }
            for name in engine.listxattr(&self.who, node.ino).unwrap() {
                let value = engine.getxattr(&self.who, node.ino, &name).unwrap();
                what.push(format!("{value:?}"));
            }
            tree.insert(path, what.join(" "));
        }
    }

    fn sum(&self, ino: Ino) -> Hash {
        let engine = &self.nexus.engine;
        let handle = engine
            .open(&self.who, ino, OpenFlags::new(Access::Read))
            .unwrap();
        let bytes = engine.read(handle, 0, usize::MAX >> 1).unwrap();
        engine.release(&self.who, handle).unwrap();
        Hash::of(&bytes)
    }

    /// Rows, log and blobs fit together, and the database's file is whole.
    #[track_caller]
    pub(super) fn assert_sound(&self) {
        let report = self
            .nexus
            .engine
            .verify(&self.who, &mut |_| Ok(()))
            .unwrap();
        assert_eq!(report.problems, Vec::<String>::new());
        assert_eq!(
            self.nexus.db.integrity_check().unwrap(),
            Vec::<String>::new()
        );
    }
}
