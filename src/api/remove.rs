//! Removing files and trees.

use super::Command;
use super::context::{Context, path_of};
use crate::core::{FsPath, Ino, Kind, Name, Result, Text, error::fail};
use crate::fs::DirEntry;
use serde::{Deserialize, Serialize};

/// How many paths a dry run names; all are counted.
const NAMED_MAX: usize = 10_000;

/// Removes a file, or with `recursive` a directory and all below it. With `dry_run` it only tells what would go.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remove {
    pub path: Text,
    #[serde(default)]
    pub recursive: bool,
    #[serde(default)]
    pub dry_run: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Removed {
    pub removed: u64,
    /// What would go, in a dry run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<Text>,
}

impl Command for Remove {
    const NAME: &'static str = "remove";
    type Reply = Removed;

    fn run(self, cx: &mut Context<'_>) -> Result<Removed> {
        let path = path_of(&self.path)?;
        let node = cx.engine().resolve_link(cx.caller, &path)?;
        let (dir, name) = cx.engine().resolve_parent(cx.caller, &path)?;
        if path.names().len() < 2 {
            return fail(Kind::Denied, format!("{path} is a namespace and stays"));
        }
        if node.is_dir() && !self.recursive {
            let message =
                format!("{path} is a directory: say --recursive to remove it with all it holds");
            return fail(Kind::IsDirectory, message);
        }
        let mut sweep = Sweep {
            cx,
            dry_run: self.dry_run,
            removed: 0,
            paths: Vec::new(),
        };
        if node.is_dir() {
            let entries = sweep.cx.engine().list(sweep.cx.caller, node.ino)?;
            let top = Level {
                parent: dir,
                name: name.clone(),
                ino: node.ino,
                path: path.clone(),
                entries,
            };
            sweep.tree(top)?;
        } else {
            sweep.file(dir, name, &path)?;
        }
        let Sweep { removed, paths, .. } = sweep;
        cx.durable(Removed { removed, paths })
    }
}

/// A directory on its way out, with what is left in it.
struct Level {
    parent: Ino,
    name: Name,
    ino: Ino,
    path: FsPath,
    entries: Vec<DirEntry>,
}

struct Sweep<'a, 'c> {
    cx: &'a Context<'c>,
    dry_run: bool,
    removed: u64,
    paths: Vec<Text>,
}

impl Sweep<'_, '_> {
    /// Removes from the leaves up, with a stack of its own: a tree may be deeper than ours.
    fn tree(&mut self, top: Level) -> Result<()> {
        let mut levels = vec![top];
        while let Some(level) = levels.last_mut() {
            let Some(entry) = level.entries.pop() else {
                if let Some(done) = levels.pop() {
                    self.directory(&done)?;
                }
                continue;
            };
            let path = level.path.join(entry.name.clone());
            if entry.node.is_dir() {
                let entries = self.cx.engine().list(self.cx.caller, entry.node.ino);
                let entries = entries.map_err(|e| e.context(&path))?;
                let parent = level.ino;
                levels.push(Level {
                    parent,
                    name: entry.name,
                    ino: entry.node.ino,
                    path,
                    entries,
                });
            } else {
                let parent = level.ino;
                self.file(parent, &entry.name, &path)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, parent: Ino, name: &Name, path: &FsPath) -> Result<()> {
        if !self.dry_run {
            let gone = self.cx.engine().unlink(self.cx.caller, parent, name);
            gone.map_err(|e| e.context(path))?;
        }
        self.count(path);
        Ok(())
    }

    fn directory(&mut self, level: &Level) -> Result<()> {
        if !self.dry_run {
            let gone = self
                .cx
                .engine()
                .rmdir(self.cx.caller, level.parent, &level.name);
            gone.map_err(|e| e.context(&level.path))?;
        }
        self.count(&level.path);
        Ok(())
    }

    fn count(&mut self, path: &FsPath) {
        self.removed += 1;
        if self.dry_run && self.paths.len() < NAMED_MAX {
            self.paths.push(Text(path.to_bytes()));
        }
    }
}
