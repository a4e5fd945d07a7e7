//! From names to nodes.

use super::engine::Engine;
use super::namespace::is_for;
use super::view;
use crate::access::Right;
use crate::core::{Caller, Error, FsPath, Ino, Kind, Name, Result, error::fail};
use crate::meta::Node;
use std::sync::Arc;

/// How many symbolic links one walk follows (path_resolution(7)).
const LINKS_MAX: u32 = 40;

/// A node as a door shows it: with the size and times of a file that is being written.
pub type Found = Arc<Node>;

impl Engine {
    /// Finds a name in a directory. What the caller may not see does not exist.
    pub fn lookup(&self, caller: &Caller, parent: Ino, name: &Name) -> Result<Found> {
        if view::is_view(parent) {
            let (ino, item) = self.views.child(caller, parent, name)?;
            return Ok(self.node_of(caller, ino, &item));
        }
        let dir = self.directory(caller, parent)?;
        let mut look = self.look(caller, &dir, Right::Execute)?;
        if let Some(ino) = self.views.in_dir(&dir, name) {
            return self.view_node(caller, ino);
        }
        let found = if dir.parent == Ino(0) {
            let is_there = is_for(caller, name);
            self.child(parent, name)?.filter(|_| is_there)
        } else {
            self.child(parent, name)?
        };
        let Some(ino) = found else {
            return missing(name);
        };
        let node = self.shown(ino)?;
        if look.sees(&node)? {
            return Ok(node);
        }
        missing(name)
    }

    /// The root that a caller's paths start from.
    pub fn root(&self, caller: &Caller) -> Result<Ino> {
        let Some(tenant) = caller.tenant else {
            return Err(caller.stranger(Kind::NotFound));
        };
        Ok(self.home(tenant)?.tenant.root)
    }

    /// Walks a path, one lookup a component, following symbolic links on the way and at its end.
    pub fn resolve(&self, caller: &Caller, path: &FsPath) -> Result<Found> {
        self.walk(caller, path, true)
    }

    /// The same, but a link at the end is the answer itself.
    pub fn resolve_link(&self, caller: &Caller, path: &FsPath) -> Result<Found> {
        self.walk(caller, path, false)
    }

    fn walk(&self, caller: &Caller, path: &FsPath, follow: bool) -> Result<Found> {
        let root = self.root(caller)?;
        let mut stack = vec![self.getattr(caller, root)?];
        let mut todo: Vec<Step> = path.names().iter().rev().cloned().map(Step::Down).collect();
        let mut links = 0;
        while let Some(step) = todo.pop() {
            let Step::Down(name) = step else {
                if stack.len() > 1 {
                    stack.pop();
                }
                continue;
            };
            let at = stack
                .last()
                .ok_or_else(|| Error::new(Kind::NotFound, "empty walk"))?;
            let found = self
                .lookup(caller, at.ino, &name)
                .map_err(|e| named(e, path))?;
            if found.kind == crate::meta::FileKind::Symlink && (follow || !todo.is_empty()) {
                links += 1;
                if links > LINKS_MAX {
                    return fail(
                        Kind::SymlinkLoop,
                        format!("{path}: more than {LINKS_MAX} symbolic links"),
                    );
                }
                push_target(&self.readlink(caller, found.ino)?, path, &mut todo)?;
            } else {
                stack.push(found);
            }
        }
        stack
            .pop()
            .ok_or_else(|| Error::new(Kind::NotFound, format!("no {path}")))
    }

    /// The directory that holds the last name of a path, and that name.
    pub fn resolve_parent<'p>(&self, caller: &Caller, path: &'p FsPath) -> Result<(Ino, &'p Name)> {
        let Some((dir, name)) = path.split() else {
            return fail(Kind::Invalid, "the root has no name");
        };
        let parent = self.resolve(caller, &dir)?;
        if !parent.is_dir() {
            return fail(Kind::NotDirectory, format!("{dir} is not a directory"));
        }
        Ok((parent.ino, name))
    }

    /// A stored directory of the caller's tenant.
    pub(super) fn directory(&self, caller: &Caller, ino: Ino) -> Result<Arc<Node>> {
        if view::is_view(ino) {
            return view::read_only();
        }
        let node = self.node(ino)?;
        self.tenants.lives(caller.tenant)?;
        if caller.tenant != Some(node.tenant) {
            return Err(super::engine::no_node(ino));
        }
        if node.is_dir() {
            return Ok(node);
        }
        fail(Kind::NotDirectory, "not a directory")
    }
}

enum Step {
    Down(Name),
    Up,
}

/// Puts a link's target on the list of steps. An absolute target leaves the tree: what it means depends on the mount.
fn push_target(target: &[u8], path: &FsPath, todo: &mut Vec<Step>) -> Result<()> {
    if target.first() == Some(&b'/') {
        return fail(
            Kind::NotFound,
            format!("{path}: a link on the way leads out of the tree"),
        );
    }
    for part in target.split(|b| *b == b'/').rev() {
        match part {
            b"" | b"." => {}
            b".." => todo.push(Step::Up),
            name => todo.push(Step::Down(Name::new(name)?)),
        }
    }
    Ok(())
}

fn missing<T>(name: &Name) -> Result<T> {
    fail(Kind::NotFound, format!("no {name}"))
}

/// Says the whole path instead of one of its names.
fn named(e: Error, path: &FsPath) -> Error {
    let message = match e.kind() {
        Kind::NotFound => format!("no {path}"),
        Kind::NotDirectory => format!("{path}: a file stands where a directory should"),
        Kind::Denied => format!("{path}: no permission"),
        _ => return e.context(path),
    };
    Error::new(e.kind(), message).caused_by(e)
}
