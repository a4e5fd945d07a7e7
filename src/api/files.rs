//! Names and attributes: list, info, mkdir, move.

use super::Command;
use super::context::{Context, path_of};
use crate::core::{Caller, FsPath, Kind, Name, Result, Text, error::fail};
use crate::fs::{Engine, Found, RenameMode};
use crate::meta::{FileKind, Node};
use serde::{Deserialize, Serialize};

/// What a file is, as `ls -l` and `info` show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attr {
    pub ino: u64,
    pub kind: String,
    pub mode: u32,
    pub nlink: u32,
    /// The user's name, or the number of somebody without one.
    pub owner: String,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    pub mtime: String,
    pub ctime: String,
    pub btime: String,
    pub version: u64,
    /// Where a symbolic link points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Text>,
}

impl Attr {
    pub fn is_dir(&self) -> bool {
        self.kind == kind_name(FileKind::Directory)
    }

    pub(super) fn of(cx: &Context<'_>, node: &Node) -> Result<Self> {
        let target = match node.kind {
            FileKind::Symlink => Some(Text(cx.engine().readlink(cx.caller, node.ino)?.to_vec())),
            _ => None,
        };
        let owner = cx.engine().user_of_uid(node.tenant, node.uid);
        Ok(Self {
            ino: node.ino.0,
            kind: kind_name(node.kind).to_owned(),
            mode: node.mode,
            nlink: node.nlink,
            owner: owner.map_or_else(|| node.uid.to_string(), |u| u.name),
            uid: node.uid,
            gid: node.gid,
            size: node.size,
            mtime: node.mtime.to_string(),
            ctime: node.ctime.to_string(),
            btime: node.btime.to_string(),
            version: node.version,
            target,
        })
    }
}

fn kind_name(kind: FileKind) -> &'static str {
    match kind {
        FileKind::File => "file",
        FileKind::Directory => "directory",
        FileKind::Symlink => "symlink",
        FileKind::Fifo => "fifo",
        FileKind::Socket => "socket",
        FileKind::CharDevice => "character device",
        FileKind::BlockDevice => "block device",
    }
}

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub name: Text,
    #[serde(flatten)]
    pub attr: Attr,
}

/// Lists a directory by name; a file lists itself.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    pub path: Text,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Listing {
    pub entries: Vec<Entry>,
}

impl Command for List {
    const NAME: &'static str = "list";
    type Reply = Listing;

    fn run(self, cx: &mut Context<'_>) -> Result<Listing> {
        let path = path_of(&self.path)?;
        let node = cx.engine().resolve(cx.caller, &path)?;
        if !node.is_dir() {
            let entry = Entry {
                name: self.path,
                attr: Attr::of(cx, &node)?,
            };
            return Ok(Listing {
                entries: vec![entry],
            });
        }
        let list = cx
            .engine()
            .list(cx.caller, node.ino)
            .map_err(|e| e.context(&path))?;
        let mut entries = Vec::with_capacity(list.len());
        for entry in list {
            let name = Text(entry.name.as_bytes().to_vec());
            match Attr::of(cx, &entry.node) {
                Ok(attr) => entries.push(Entry { name, attr }),
                // It went since its directory was read.
                Err(e) if e.kind() == Kind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Listing { entries })
    }
}

/// Tells what a path is; a link at its end is told of itself unless `follow`. `hash` reads the SHA-256 of a file's content.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Info {
    pub path: Text,
    #[serde(default)]
    pub hash: bool,
    #[serde(default)]
    pub follow: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Described {
    pub path: Text,
    #[serde(flatten)]
    pub attr: Attr,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_hash: Option<String>,
    /// Whether grants from above end here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restricted: bool,
}

impl Command for Info {
    const NAME: &'static str = "info";
    type Reply = Described;

    fn run(self, cx: &mut Context<'_>) -> Result<Described> {
        let path = path_of(&self.path)?;
        let node = if self.follow {
            cx.engine().resolve(cx.caller, &path)?
        } else {
            cx.engine().resolve_link(cx.caller, &path)?
        };
        let wanted = self.hash && node.is_file();
        let content_hash = wanted.then(|| content_hash(cx, &node)).transpose()?;
        Ok(Described {
            path: Text(path.to_bytes()),
            attr: Attr::of(cx, &node)?,
            content_hash,
            restricted: cx.engine().is_restricted(cx.caller, node.ino)?,
        })
    }
}

fn content_hash(cx: &Context<'_>, node: &Node) -> Result<String> {
    let hash = cx
        .engine()
        .getxattr(cx.caller, node.ino, b"user.nexus.hash")?;
    Ok(Text(hash).to_string())
}

/// Makes a directory; with `parents` also those above it, and none of them need be new.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mkdir {
    pub path: Text,
    #[serde(default)]
    pub parents: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Done {}

impl Command for Mkdir {
    const NAME: &'static str = "mkdir";
    type Reply = Done;

    fn run(self, cx: &mut Context<'_>) -> Result<Done> {
        let path = path_of(&self.path)?;
        if self.parents {
            make_all(cx.engine(), cx.caller, &path)?;
        } else if cx.engine().resolve_link(cx.caller, &path).is_ok() {
            // Before anything is said about permission (mkdir(2)).
            return fail(Kind::Exists, format!("{path} exists"));
        } else {
            let (dir, name) = cx.engine().resolve_parent(cx.caller, &path)?;
            let made = cx.engine().mkdir(cx.caller, dir, name, 0o777);
            made.map_err(|e| e.context(&path))?;
        }
        cx.durable(Done {})
    }
}

/// Makes a directory and all above it that are missing.
pub(super) fn make_all(engine: &Engine, caller: &Caller, path: &FsPath) -> Result<Found> {
    let mut at = engine.resolve(caller, &FsPath::default())?;
    let mut walked = FsPath::default();
    for name in path.names() {
        walked = walked.join(name.clone());
        at = match engine.resolve(caller, &walked) {
            Err(e) if e.kind() == Kind::NotFound => made(engine, caller, (&at, name), &walked)?,
            found => found?,
        };
        if !at.is_dir() {
            let message = format!("{walked}: a file stands where a directory should");
            return fail(Kind::NotDirectory, message);
        }
    }
    Ok(at)
}

fn made(
    engine: &Engine,
    caller: &Caller,
    (dir, name): (&Node, &Name),
    path: &FsPath,
) -> Result<Found> {
    match engine.mkdir(caller, dir.ino, name, 0o777) {
        // Somebody was faster; that is what was wanted.
        Err(e) if e.kind() == Kind::Exists => engine.resolve(caller, path),
        other => other.map_err(|e| e.context(path)),
    }
}

/// Gives something another name, replacing what stands there (rename(2)).
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Move {
    pub from: Text,
    pub to: Text,
}

impl Command for Move {
    const NAME: &'static str = "move";
    type Reply = Done;

    fn run(self, cx: &mut Context<'_>) -> Result<Done> {
        let (from, to) = (path_of(&self.from)?, path_of(&self.to)?);
        let source = cx.engine().resolve_parent(cx.caller, &from)?;
        let target = cx.engine().resolve_parent(cx.caller, &to)?;
        let moved = cx
            .engine()
            .rename(cx.caller, source, target, RenameMode::Replace);
        moved.map_err(|e| e.context(format!("{from} to {to}")))?;
        cx.durable(Done {})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::run;
    use crate::core::{Caller, Config, TenantId};
    use crate::nexus::Nexus;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// How many lists are read while a link comes and goes: without a look at what went, one of a few fails.
    const LISTS: usize = 500;

    #[test]
    fn a_link_that_goes_while_its_directory_is_listed_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let nexus = Nexus::open(Config::new(dir.path())).unwrap();
        let (engine, caller) = (&nexus.engine, Caller::engine(TenantId(1)));
        let path = FsPath::parse(b"/workspace").unwrap();
        let parent = engine.resolve(&caller, &path).unwrap().ino;
        let name = Name::new(b"link").unwrap();
        let is_over = AtomicBool::new(false);
        std::thread::scope(|threads| {
            threads.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    engine.symlink(&caller, parent, &name, b"to").unwrap();
                    engine.unlink(&caller, parent, &name).unwrap();
                }
            });
            let mut cx = Context {
                nexus: &nexus,
                caller: &caller,
                tell: &mut |_| true,
            };
            let lists = (0..LISTS).map(|_| {
                let path = "/workspace".into();
                run(List { path }, &mut cx).map(|list| list.entries.len())
            });
            let lists = lists.collect::<Result<Vec<_>>>();
            is_over.store(true, Ordering::Relaxed);
            assert!(lists.unwrap().iter().all(|len| *len <= 1));
        });
    }
}
