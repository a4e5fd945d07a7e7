//! A directory that calls are made in: the mount, or a plain one.

use super::call::{Call, SLOTS};
use crate::dice::Dice;
use rustix::fs::{
    AtFlags, CWD, FallocateFlags, OFlags, RenameFlags, Timespec, Timestamps, XattrFlags,
};
use rustix::io::{Errno, pread, pwrite};
use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What a call gave, or its errno.
pub(super) type Outcome = Result<String, i32>;

/// A directory that calls are made in, with the files they keep open.
pub(super) struct Place {
    pub(super) root: PathBuf,
    pub(super) open: [Option<OwnedFd>; SLOTS],
}

fn bytes(size: usize, seed: u8) -> Vec<u8> {
    let mut dice = Dice::from_seed(u64::from(seed));
    dice.bytes(size)
}

fn errno(e: &std::io::Error) -> i32 {
    e.raw_os_error().unwrap()
}

fn digest(bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    format!("{} bytes {:x}", bytes.len(), hasher.finish())
}

impl Place {
    pub(super) fn new(root: PathBuf) -> Self {
        fs::create_dir(&root).unwrap();
        Self {
            root,
            open: Default::default(),
        }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    fn slot(&self, slot: usize) -> Result<&OwnedFd, i32> {
        self.open[slot].as_ref().ok_or(libc::EBADF)
    }

    /// Makes one call; what it gives is comparable between places.
    pub(super) fn make(&mut self, call: &Call) -> Outcome {
        let done = match call {
            Call::Open { .. }
            | Call::WriteAt { .. }
            | Call::ReadAt { .. }
            | Call::SetLen { .. }
            | Call::Punch { .. }
            | Call::Allocate { .. }
            | Call::Copy { .. }
            | Call::Sync(_)
            | Call::Close(_) => return self.by_handle(call).map_err(Errno::raw_os_error),
            Call::SetAttribute { .. }
            | Call::RemoveAttribute { .. }
            | Call::Times { .. }
            | Call::Rename { .. } => return self.by_path(call).map_err(Errno::raw_os_error),
            Call::Crash => Ok(()),
            Call::Write { path, size, seed } => fs::write(self.path(path), bytes(*size, *seed)),
            Call::Append { path, size, seed } => append(&self.path(path), &bytes(*size, *seed)),
            Call::Read(path) => {
                return fs::read(self.path(path))
                    .map(|b| digest(&b))
                    .map_err(|e| errno(&e));
            }
            Call::List(path) => return list(&self.path(path)).map_err(|e| errno(&e)),
            Call::Truncate { path, size } => {
                let size = i64::try_from(*size).unwrap();
                nix::unistd::truncate(&self.path(path), size).map_err(Into::into)
            }
            Call::Mkdir { path, mode } => {
                rustix::fs::mkdir(self.path(path), (*mode & 0o1777).into()).map_err(Into::into)
            }
            Call::Rmdir(path) => fs::remove_dir(self.path(path)),
            Call::Unlink(path) => fs::remove_file(self.path(path)),
            Call::Link { from, to } => fs::hard_link(self.path(from), self.path(to)),
            Call::Symlink { target, path } => std::os::unix::fs::symlink(target, self.path(path)),
            Call::Chmod { path, mode } => {
                rustix::fs::chmod(self.path(path), (*mode).into()).map_err(Into::into)
            }
        };
        done.map(|()| String::new()).map_err(|e| errno(&e))
    }

    fn by_path(&self, call: &Call) -> Result<String, Errno> {
        match call {
            Call::Rename { from, to, flags } => {
                let flags = RenameFlags::from_bits_retain(*flags);
                rustix::fs::renameat_with(CWD, self.path(from), CWD, self.path(to), flags)?;
            }
            Call::Times { path, secs, nanos } => {
                let stamp = Timespec {
                    tv_sec: *secs,
                    tv_nsec: *nanos,
                };
                let both = Timestamps {
                    last_access: stamp,
                    last_modification: stamp,
                };
                rustix::fs::utimensat(CWD, self.path(path), &both, AtFlags::empty())?;
                let meta = rustix::fs::stat(self.path(path))?;
                // What a host keeps of times before 1901 or after 2446 is its own affair.
                if (-2_000_000_000..9_000_000_000).contains(secs) {
                    return Ok(format!("{} {}", meta.st_mtime, meta.st_mtime_nsec));
                }
            }
            Call::SetAttribute { path, name, size } => {
                let (name, value) = (format!("user.{name}"), bytes(*size, *name));
                rustix::fs::setxattr(self.path(path), name, &value, XattrFlags::empty())?;
            }
            Call::RemoveAttribute { path, name } => {
                rustix::fs::removexattr(self.path(path), format!("user.{name}"))?;
            }
            other => unreachable!("{other:?} is not made by path"),
        }
        Ok(String::new())
    }

    fn by_handle(&mut self, call: &Call) -> Result<String, Errno> {
        let file = |slot: &usize| self.slot(*slot).map_err(Errno::from_raw_os_error);
        let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match call {
            Call::Open { slot, path, flags } => {
                let flags = OFlags::from_bits_retain(*flags) | OFlags::CLOEXEC;
                let opened = rustix::fs::open(self.path(path), flags, 0o640.into())?;
                // The old file is closed only now: both places close at the same moment.
                self.open[*slot] = Some(opened);
            }
            Call::WriteAt {
                slot,
                at,
                size,
                seed,
            } => {
                let n = pwrite(file(slot)?, &bytes(*size, *seed), *at)?;
                return Ok(format!("{n}"));
            }
            Call::ReadAt { slot, at, size } => {
                let mut buffer = vec![0; *size];
                let n = pread(file(slot)?, &mut buffer, *at)?;
                return Ok(digest(&buffer[..n]));
            }
            Call::SetLen { slot, size } => rustix::fs::ftruncate(file(slot)?, *size)?,
            Call::Punch { slot, at, size } => {
                rustix::fs::fallocate(file(slot)?, punch, *at, *size)?;
            }
            Call::Allocate { slot, at, size } => {
                rustix::fs::fallocate(file(slot)?, FallocateFlags::empty(), *at, *size)?;
            }
            Call::Copy {
                from,
                at,
                to,
                out,
                size,
            } => {
                let (mut at, mut out, mut copied) = (*at, *out, 0);
                while copied < *size {
                    let (from, to) = (file(from)?, file(to)?);
                    let left = *size - copied;
                    let n =
                        rustix::fs::copy_file_range(from, Some(&mut at), to, Some(&mut out), left)?;
                    if n == 0 {
                        break;
                    }
                    copied += n;
                }
                return Ok(format!("{copied}"));
            }
            Call::Sync(slot) => rustix::fs::fsync(file(slot)?)?,
            Call::Close(slot) => self.open[*slot] = None,
            other => unreachable!("{other:?} is not made by handle"),
        }
        Ok(String::new())
    }

    /// What the tree is: one line a node.
    pub(super) fn portrait(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        draw(&self.root, "", &mut found);
        found
    }
}

fn append(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)?;
    std::io::Write::write_all(&mut file, bytes)
}

fn list(path: &Path) -> std::io::Result<String> {
    let entries = fs::read_dir(path)?.map(|e| e.map(|e| (e.file_name(), e.file_type())));
    let mut names = entries.collect::<std::io::Result<Vec<_>>>()?;
    names.sort_by(|a, b| a.0.cmp(&b.0));
    let shown = names
        .iter()
        .map(|(name, kind)| format!("{} {:?}", name.display(), kind.as_ref().ok()));
    Ok(shown.collect::<Vec<_>>().join(", "))
}

fn draw(root: &Path, below: &str, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(root.join(below)).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let name = if below.is_empty() {
            name
        } else {
            format!("{below}/{name}")
        };
        let path = root.join(&name);
        let meta = fs::symlink_metadata(&path).unwrap();
        let content = if meta.is_symlink() {
            fs::read_link(&path).unwrap().display().to_string()
        } else if meta.is_file() {
            digest(&fs::read(&path).unwrap())
        } else {
            String::new()
        };
        let (mode, links, attributes) = (meta.mode(), meta.nlink(), attributes(&path));
        let line = format!("mode {mode:o} links {links} {attributes:?} {content}");
        found.insert(name.clone(), line);
        if meta.is_dir() {
            draw(root, &name, found);
        }
    }
}

fn attributes(path: &Path) -> Vec<String> {
    let value = |n: u8| {
        let mut value = [0; 512];
        let n = rustix::fs::lgetxattr(path, format!("user.{n}"), &mut value).ok()?;
        Some(digest(&value[..n]))
    };
    (0..3).map(|n| format!("{:?}", value(n))).collect()
}
