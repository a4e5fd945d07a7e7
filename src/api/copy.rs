//! Copying files and trees inside the store: content is shared, so a file of any size costs the same.

use super::Command;
use super::context::{Context, path_of};
use crate::core::{FsPath, HandleId, Ino, Kind, Name, Result, Text, error::fail};
use crate::fs::{Access, Found, OpenFlags};
use crate::meta::{FileKind, Node};
use serde::{Deserialize, Serialize};

/// Copies a file, or with `recursive` a directory and all below it, into what stands at `to` already.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Copy {
    pub from: Text,
    pub to: Text,
    #[serde(default)]
    pub recursive: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Copied {
    pub copied: u64,
}

/// Something to copy, and where.
struct Job {
    node: Found,
    parent: Ino,
    name: Name,
    path: FsPath,
}

impl Command for Copy {
    const NAME: &'static str = "copy";
    type Reply = Copied;

    fn run(self, cx: &mut Context<'_>) -> Result<Copied> {
        let (from, to) = (path_of(&self.from)?, path_of(&self.to)?);
        let node = if self.recursive {
            cx.engine().resolve_link(cx.caller, &from)?
        } else {
            cx.engine().resolve(cx.caller, &from)?
        };
        if node.is_dir() && !self.recursive {
            let message =
                format!("{from} is a directory: say --recursive to copy it with all it holds");
            return fail(Kind::IsDirectory, message);
        }
        let (parent, name) = cx.engine().resolve_parent(cx.caller, &to)?;
        let top = Job {
            node,
            parent,
            name: name.clone(),
            path: to.clone(),
        };
        let copied = tree(cx, top)?;
        cx.durable(Copied { copied })
    }
}

fn tree(cx: &Context<'_>, top: Job) -> Result<u64> {
    let mut copied = 0;
    let mut made = None;
    let mut jobs = vec![top];
    while let Some(job) = jobs.pop() {
        copied += 1;
        if !job.node.is_dir() {
            one(cx, &job).map_err(|e| e.context(&job.path))?;
            continue;
        }
        let children = cx.engine().list(cx.caller, job.node.ino)?;
        let target = directory(cx, &job).map_err(|e| e.context(&job.path))?;
        let first = *made.get_or_insert(target.ino);
        // A directory copied into itself does not copy the copy.
        let children = children.into_iter().filter(|c| c.node.ino != first);
        jobs.extend(children.map(|c| Job {
            path: job.path.join(c.name.clone()),
            node: c.node,
            parent: target.ino,
            name: c.name,
        }));
    }
    Ok(copied)
}

fn directory(cx: &Context<'_>, job: &Job) -> Result<Found> {
    match cx
        .engine()
        .mkdir(cx.caller, job.parent, &job.name, job.node.mode & 0o777)
    {
        Err(e) if e.kind() == Kind::Exists => {
            let there = cx.engine().lookup(cx.caller, job.parent, &job.name)?;
            if there.is_dir() { Ok(there) } else { Err(e) }
        }
        other => other,
    }
}

fn one(cx: &Context<'_>, job: &Job) -> Result<()> {
    let engine = cx.engine();
    match job.node.kind {
        FileKind::File => file(cx, job),
        FileKind::Symlink => {
            let target = engine.readlink(cx.caller, job.node.ino)?;
            engine
                .symlink(cx.caller, job.parent, &job.name, &target)
                .map(drop)
        }
        FileKind::Directory => Ok(()),
        FileKind::Fifo | FileKind::Socket | FileKind::CharDevice | FileKind::BlockDevice => {
            let Node {
                kind, mode, rdev, ..
            } = *job.node;
            engine
                .mknod(cx.caller, job.parent, &job.name, kind, mode & 0o777, rdev)
                .map(drop)
        }
    }
}

fn file(cx: &Context<'_>, job: &Job) -> Result<()> {
    let engine = cx.engine();
    if let Ok(there) = engine.lookup(cx.caller, job.parent, &job.name)
        && there.ino == job.node.ino
    {
        return fail(Kind::Invalid, "this is the file itself");
    }
    let source = engine.open(cx.caller, job.node.ino, OpenFlags::new(Access::Read))?;
    let copied = onto(cx, job, source);
    engine.release(cx.caller, source)?;
    copied
}

fn onto(cx: &Context<'_>, job: &Job, source: HandleId) -> Result<()> {
    let engine = cx.engine();
    let flags = OpenFlags {
        truncate: true,
        ..OpenFlags::new(Access::Write)
    };
    let mode = job.node.mode & 0o777;
    let (_, target) = engine.create(cx.caller, job.parent, &job.name, mode, flags)?;
    let copied = content(
        cx,
        source,
        target,
        job.node.is_file() && engine.is_computed(job.node.ino),
    )
    .and_then(|()| engine.flush(cx.caller, target));
    let released = engine.release(cx.caller, target);
    copied.and(released)
}

fn content(cx: &Context<'_>, source: HandleId, target: HandleId, computed: bool) -> Result<()> {
    let engine = cx.engine();
    let mut done = 0;
    loop {
        let taken = if computed {
            let bytes = engine.read(source, done, super::stream::PIECE)?;
            engine.write(cx.caller, target, done, &bytes)? as u64
        } else {
            engine.copy_range(
                cx.caller,
                (source, done),
                (target, done),
                i64::MAX as u64 - done,
            )?
        };
        if taken == 0 {
            return Ok(());
        }
        done += taken;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{Caller, Config, TenantId};
    use crate::nexus::Nexus;

    #[test]
    fn a_copy_onto_a_file_that_somebody_else_writes_survives_a_crash() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Nexus::open(Config::new(dir.path())).unwrap();
        let caller = Caller::engine(TenantId(1));
        let path = |p: &str| FsPath::parse(p.as_bytes()).unwrap();
        let nexus = open();
        let e = &nexus.engine;
        let create = |p: &str| {
            let path = path(p);
            let (parent, name) = e.resolve_parent(&caller, &path).unwrap();
            let flags = OpenFlags::new(Access::Write);
            e.create(&caller, parent, name, 0o644, flags).unwrap().1
        };
        let from = create("/workspace/from");
        e.write(&caller, from, 0, b"copied").unwrap();
        e.flush(&caller, from).unwrap();
        create("/workspace/to");
        let copy = Copy {
            from: Text(b"/workspace/from".to_vec()),
            to: Text(b"/workspace/to".to_vec()),
            recursive: false,
        };
        let mut cx = Context {
            nexus: &nexus,
            caller: &caller,
            tell: &mut |_| true,
        };
        copy.run(&mut cx).unwrap();
        drop(nexus);
        let e = &open().engine;
        let node = e.resolve(&caller, &path("/workspace/to")).unwrap();
        assert_eq!(node.size, 6);
    }
}
