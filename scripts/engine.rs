//! Drives the engine without a kernel, for scripts/bench: fills a data directory with files (`fill`) or its log with operations
//! (`ops`), or repeats one operation so that valgrind can count its instructions. Usage: engine WORK DIR COUNT, WORK
//! being one of those or an operation below.
//!
//! Each operation first makes what it works on, whatever COUNT is; the difference between two counts is the operation's own.

#[path = "engine_log.rs"]
mod engine_log;

use nexus::core::{Caller, Config, Error, FsPath, Ino, Kind, Name, Result, TenantId};
use nexus::fs::{Access, Engine, OpenFlags, RenameMode};
use nexus::nexus::Nexus;

/// Files of a directory that `fill` makes.
const A_DIRECTORY: u64 = 1000;
/// Files that operations work on.
const FILES: u64 = 1000;

struct Bench {
    engine: std::sync::Arc<Engine>,
    who: Caller,
    top: Ino,
    files: Vec<Name>,
}

fn main() -> Result<()> {
    let usage = || Error::new(Kind::Invalid, "usage: engine WORK DIR COUNT");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [work, dir, count] = arguments.as_slice() else {
        return Err(usage());
    };
    let count: u64 = count.parse().map_err(|_| usage())?;
    let nexus = Nexus::open(Config::new(dir))?;
    let who = Caller {
        admin: false,
        ..Caller::engine(TenantId(1))
    };
    let top = nexus
        .engine
        .resolve(&who, &FsPath::parse(b"/workspace")?)?
        .ino;
    let mut bench = Bench {
        engine: nexus.engine.clone(),
        who,
        top,
        files: Vec::new(),
    };
    if work == "fill" || work == "ops" {
        if work == "fill" {
            bench.fill(count)?;
        } else {
            let make = |dir, file: &Name| bench.make(dir, file, b"text");
            engine_log::fill(&bench.engine, &bench.who, bench.top, count, make)?;
        }
        nexus.engine.settle()?;
        nexus.db.checkpoint()
    } else {
        bench.files = (0..FILES).map(|n| named("f", n)).collect::<Result<_>>()?;
        for file in bench.files.clone() {
            bench.make(bench.top, &file, &[7; 4096])?;
        }
        (0..count).try_for_each(|n| bench.once(work, n))
    }
}

fn named(prefix: &str, n: u64) -> Result<Name> {
    Name::new(format!("{prefix}{n}").as_bytes())
}

impl Bench {
    /// Makes `count` files of some bytes: ten thousand in `many0`, the others by the thousand in directories of `all`.
    fn fill(&self, count: u64) -> Result<()> {
        let many = self
            .engine
            .mkdir(&self.who, self.top, &named("many", 0)?, 0o755)?;
        for n in 0..count.min(10 * A_DIRECTORY) {
            self.make(many.ino, &named("f", n)?, &n.to_le_bytes())?;
        }
        let all = self
            .engine
            .mkdir(&self.who, self.top, &Name::new(b"all")?, 0o755)?;
        let mut dir = all.ino;
        for n in 10 * A_DIRECTORY..count {
            if n % A_DIRECTORY == 0 {
                let name = named("d", n / A_DIRECTORY)?;
                dir = self.engine.mkdir(&self.who, all.ino, &name, 0o755)?.ino;
            }
            self.make(dir, &named("f", n % A_DIRECTORY)?, &n.to_le_bytes())?;
        }
        Ok(())
    }

    /// Creates, writes and closes.
    fn make(&self, dir: Ino, name: &Name, bytes: &[u8]) -> Result<()> {
        let (e, who) = (&self.engine, &self.who);
        let flags = OpenFlags::new(Access::Write);
        let (_, handle) = e.create(who, dir, name, 0o644, flags)?;
        e.write(who, handle, 0, bytes)?;
        e.flush(who, handle)?;
        e.release(who, handle)
    }

    fn once(&self, work: &str, n: u64) -> Result<()> {
        let (e, who, top) = (&self.engine, &self.who, self.top);
        let index = usize::try_from(n % FILES).unwrap_or(0);
        let file = &self.files[index];
        match work {
            "create" => {
                let mut bytes = [7; 4096];
                bytes[..8].copy_from_slice(&n.to_le_bytes());
                self.make(top, &named("new", n)?, &bytes)
            }
            "lookup" => e.lookup(who, top, file).map(drop),
            "getattr" => e.getattr(who, Ino(top.0)).map(drop),
            "read" => {
                let ino = e.lookup(who, top, file)?.ino;
                let handle = e.open(who, ino, OpenFlags::new(Access::Read))?;
                e.read(handle, 0, 4096)?;
                e.flush(who, handle)?;
                e.release(who, handle)
            }
            "rename" => {
                let (from, to) = (named("f", n)?, named("f", n + FILES)?);
                e.rename(who, (top, &from), (top, &to), RenameMode::Replace)
            }
            // With the creation of an empty file, so that there is always one.
            "make-unlink" => {
                self.make(top, &named("gone", 0)?, b"")?;
                e.unlink(who, top, &named("gone", 0)?)
            }
            "make" => self.make(top, &named("made", n)?, b""),
            other => Err(Error::new(Kind::Invalid, format!("no operation {other}"))),
        }
    }
}
