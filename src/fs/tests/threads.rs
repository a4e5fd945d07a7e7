//! Many threads at once, on the same few names: no deadlock, and rows, log and blobs that fit together afterwards.

use super::*;
use crate::fs::{RenameMode, SetAttr};
use std::sync::atomic::{AtomicUsize, Ordering};

const THREADS: u64 = 6;
const CALLS: u64 = 1500;

/// A small generator, so that a run is named by its seed (Knuth, MMIX).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, n: u32) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(self.0 >> 33).unwrap() % n
    }

    pub(crate) fn index(&mut self, n: u32) -> usize {
        self.below(n) as usize
    }

    fn path(&mut self) -> FsPath {
        let dir = [
            "/workspace",
            "/workspace/d0",
            "/workspace/d1",
            "/workspace/d0/d1",
        ];
        path(&format!(
            "{}/{}",
            dir[self.index(4)],
            ["d0", "d1", "f0", "f1", "f2"][self.index(5)]
        ))
    }
}

/// Makes one call; what it answers depends on the others.
fn call(w: &World, who: &Caller, n: &mut Numbers) -> Result<()> {
    let e = w.engine();
    let (at, other) = (n.path(), n.path());
    let (dir, name) = e.resolve_parent(who, &at)?;
    match n.below(9) {
        0 => e.mkdir(who, dir, name, 0o755).map(drop),
        1 | 2 => {
            let (_, h) = e.create(who, dir, name, 0o644, writing())?;
            let bytes = vec![n.below(256).to_le_bytes()[0]; n.index(100_000)];
            let wrote = e.write(who, h, n.below(9).into(), &bytes);
            e.flush(who, h).unwrap();
            e.release(who, h)?;
            wrote.map(drop)
        }
        3 => e.unlink(who, dir, name),
        4 => e.rmdir(who, dir, name),
        5 => {
            let mode = [
                RenameMode::Replace,
                RenameMode::NoReplace,
                RenameMode::Exchange,
            ][n.index(3)];
            e.rename(who, (dir, name), e.resolve_parent(who, &other)?, mode)
        }
        6 => e
            .link(who, e.resolve(who, &other)?.ino, dir, name)
            .map(drop),
        7 => {
            let set = SetAttr {
                mode: Some(0o700),
                size: Some(n.below(9).into()),
                ..SetAttr::default()
            };
            e.setattr(who, e.lookup(who, dir, name)?.ino, &set, None)
                .map(drop)
        }
        _ => {
            let node = e.lookup(who, dir, name)?;
            if node.is_dir() {
                return e.list(who, node.ino).map(drop);
            }
            let h = e.open(who, node.ino, OpenFlags::new(Access::Read))?;
            let read = e.read(h, 0, 1 << 17);
            e.release(who, h)?;
            read.map(drop)
        }
    }
}

#[test]
fn threads_on_the_same_names_leave_a_sound_store() {
    let mut w = World::new();
    std::thread::scope(|s| {
        for thread in 0..THREADS {
            let w = &w;
            s.spawn(move || {
                let who = Caller {
                    pid: 100 + u32::try_from(thread).unwrap(),
                    ..alice()
                };
                let mut numbers = Numbers(thread + 1);
                for _ in 0..CALLS {
                    match call(w, &who, &mut numbers) {
                        Err(e)
                            if matches!(
                                e.kind(),
                                Kind::Io | Kind::Corrupt | Kind::BadHandle | Kind::Conflict
                            ) =>
                        {
                            panic!("{e:?}")
                        }
                        _ => {}
                    }
                    if numbers.below(40) == 0 {
                        w.engine().housekeep().unwrap();
                    }
                }
            });
        }
    });
    assert_eq!(w.engine().open_handles(), 0);
    w.engine().settle().unwrap();
    assert_eq!(w.engine().pending_files(), 0);
    w.assert_sound();
    let before = tree(&w);
    w.crash();
    w.assert_sound();
    assert_eq!(tree(&w), before);
}

/// Every path with its kind and bytes.
fn tree(w: &World) -> Vec<(String, Option<Vec<u8>>)> {
    let mut all = Vec::new();
    let mut todo = vec![("/workspace".to_owned(), w.workspace())];
    while let Some((at, dir)) = todo.pop() {
        for entry in w.engine().list(&alice(), dir).unwrap() {
            let path = format!("{at}/{}", entry.name);
            if entry.node.is_dir() {
                todo.push((path.clone(), entry.node.ino));
                all.push((path, None));
            } else {
                let bytes = w.read(&alice(), &path).unwrap();
                all.push((path, Some(bytes)));
            }
        }
    }
    all.sort();
    all
}

/// semantics.md §5: "When a system call or API call has returned, everybody sees its effect"
#[test]
fn a_listing_beside_the_thread_that_applies_shows_what_was_closed() {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
    let w = World::new();
    w.write(&alice(), "/workspace/f", b"").unwrap();
    let (closed, ended) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|s| {
        s.spawn(|| {
            for n in 1..8000_usize {
                w.write(&alice(), "/workspace/f", &n.to_le_bytes()).unwrap();
                closed.store(n as u64, SeqCst);
            }
            ended.store(true, SeqCst);
        });
        s.spawn(|| {
            while !ended.load(SeqCst) {
                w.engine().store().settle().unwrap();
            }
        });
        while !ended.load(SeqCst) {
            w.engine().drop_caches();
            let before = closed.load(SeqCst);
            let dir = w.workspace();
            let listed = w.engine().list(&alice(), dir).unwrap();
            // Truncated or written further meanwhile; but never what it was before.
            let version = listed[0].node.version;
            assert!(version > before, "version {version}, {before} were closed");
        }
    });
    w.assert_sound();
}

#[test]
fn users_and_tenants_made_at_once_are_made_once() {
    let w = World::new();
    let admin = Caller::engine(TenantId(1));
    for n in 0..20 {
        let (user, tenant) = (format!("user-{n}"), format!("tenant-{n}"));
        let made: Vec<bool> = std::thread::scope(|s| {
            let make = |_| {
                s.spawn(|| {
                    let user = w.engine().create_user(&admin, &user, None, (None, None));
                    let tenant = w.engine().create_tenant(&admin, &tenant);
                    [user.is_ok(), tenant.is_ok()]
                })
            };
            let threads: Vec<_> = (0..4).map(make).collect();
            threads
                .into_iter()
                .flat_map(|t| t.join().unwrap())
                .collect()
        });
        assert_eq!(made.iter().filter(|made| **made).count(), 2);
    }
    // All of it can be applied.
    w.engine().store().settle().unwrap();
    w.assert_sound();
}

/// A created file is in memory first and in the tables later; in between it is in one of them at least.
#[test]
fn a_listing_never_misses_a_file_that_enters_the_tables_meanwhile() {
    const FILES: usize = 1500;
    let w = World::new();
    let (e, ws) = (w.engine(), w.workspace());
    let made = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 1..=FILES {
                let file = name(&format!("f{n}"));
                let (_, handle) = e.create(&alice(), ws, &file, 0o600, writing()).unwrap();
                made.store(n, Ordering::Release);
                close(&w, &alice(), handle);
            }
        });
        loop {
            let n = made.load(Ordering::Acquire);
            let newest = name(&format!("f{n}"));
            let listed = e.list(&alice(), ws).unwrap();
            assert!(
                n == 0 || listed.iter().any(|e| e.name == newest),
                "file {n} is missing"
            );
            if n == FILES {
                return;
            }
        }
    });
}

/// What a write made visible stays visible while it becomes a version.
#[test]
fn attributes_never_go_back_while_a_file_becomes_a_version() {
    const WRITES: usize = 1500;
    let w = World::new();
    let e = w.engine();
    let ino = w.write(&alice(), "/workspace/f", b"").unwrap();
    let written = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 1..=WRITES {
                let flags = OpenFlags::new(Access::Write);
                let handle = e.open(&alice(), ino, flags).unwrap();
                e.write(&alice(), handle, n as u64 - 1, b"x").unwrap();
                written.store(n, Ordering::Release);
                close(&w, &alice(), handle);
            }
        });
        loop {
            let n = written.load(Ordering::Acquire);
            let size = e.getattr(&alice(), ino).unwrap().size;
            assert!(size >= n as u64, "{size} bytes are shown of {n}");
            if n == WRITES {
                return;
            }
        }
    });
}
