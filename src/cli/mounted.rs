//! Mounts of Nexus as the kernel lists them: how a store is found by who knows nothing but a path on it.

use crate::core::Text;
use crate::facts::Whoami;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

const LIST: &str = "/proc/self/mountinfo";
const KIND: &str = "fuse.nexus";

/// All mount points of Nexus.
pub(super) fn all() -> Vec<PathBuf> {
    let ours = points().into_iter().filter(|point| point.ours);
    ours.map(|point| point.dir).collect()
}

/// The mount that holds what is meant by a path; the links on its way are followed.
pub(super) fn holding(path: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(path).ok()?;
    let points = points();
    // A path on the mount is not followed on it: what it leads to there may not exist.
    innermost(&points, &absolute).or_else(|| innermost(&points, &real(&absolute)?))
}

/// The daemon's socket, as a mount of it tells.
pub(super) fn socket(mount: &Path) -> std::io::Result<PathBuf> {
    fs::read_link(mount.join(".nexus/control.sock"))
}

/// The tenant that a mount shows.
pub(super) fn tenant(mount: &Path) -> Option<String> {
    let told = fs::read(mount.join(".nexus/whoami")).ok()?;
    serde_json::from_slice::<Whoami>(&told).ok()?.tenant
}

/// A list of mount points for a message, if there are any.
pub(super) fn shown(dirs: &[PathBuf]) -> Option<String> {
    let shown: Vec<_> = dirs
        .iter()
        .map(|dir| Text(dir.as_os_str().as_bytes().to_vec()).to_string())
        .collect();
    (!shown.is_empty()).then(|| shown.join(", "))
}

#[derive(Debug, PartialEq, Eq)]
struct Point {
    dir: PathBuf,
    ours: bool,
}

fn points() -> Vec<Point> {
    let list = fs::read(LIST).unwrap_or_default();
    list.split(|b| *b == b'\n').filter_map(point).collect()
}

/// A line of mountinfo (proc_pid_mountinfo(5)).
fn point(line: &[u8]) -> Option<Point> {
    let mut fields = line.split(|b| *b == b' ');
    let dir = unescaped(fields.nth(4)?);
    let kind = fields.skip_while(|f| *f != b"-").nth(1)?;
    Some(Point {
        dir: PathBuf::from(dir),
        ours: kind == KIND.as_bytes(),
    })
}

/// Undoes `\040` and the like.
fn unescaped(field: &[u8]) -> OsString {
    let mut out = Vec::new();
    let mut rest = field;
    while let Some((first, more)) = rest.split_first() {
        let code = more.get(..3).filter(|_| *first == b'\\');
        let byte = code
            .and_then(|digits| str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        out.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &more[3..] } else { more };
    }
    OsString::from_vec(out)
}

/// The mount of ours that a path is on: of those that hold it the innermost, of several there the one made last.
fn innermost(points: &[Point], path: &Path) -> Option<PathBuf> {
    let holding = points.iter().filter(|point| path.starts_with(&point.dir));
    let inner = holding.max_by_key(|point| point.dir.as_os_str().len())?;
    inner.ours.then(|| inner.dir.clone())
}

/// The path with its links followed as far as it exists.
fn real(path: &Path) -> Option<PathBuf> {
    let (dir, rest) = path.ancestors().find_map(|dir| {
        let real = dir.canonicalize().ok()?;
        Some((real, path.strip_prefix(dir).ok()?))
    })?;
    let nothing = rest.as_os_str() == OsStr::new("");
    Some(if nothing { dir } else { dir.join(rest) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_of_ours_is_known_by_its_type() {
        let ours = b"36 35 0:33 / /mnt/a\\040b rw,nosuid shared:7 - fuse.nexus nexus rw,user_id=0";
        let read = point(ours).unwrap();
        assert_eq!((&*read.dir, read.ours), (Path::new("/mnt/a b"), true));
        let other = point(b"36 35 0:33 / /mnt rw - ext4 /dev/sda rw").unwrap();
        assert!(!other.ours);
        assert_eq!(point(b""), None);
    }

    #[test]
    fn escapes_are_undone_once() {
        assert_eq!(unescaped(b"a\\134040\\011b\\"), "a\\040\tb\\");
    }

    #[test]
    fn the_innermost_mount_holds_a_path_and_the_last_one_made_there() {
        let made = |dir: &str, ours| Point {
            dir: dir.into(),
            ours,
        };
        let points = [
            made("/", false),
            made("/mnt", true),
            made("/mnt/disk", false),
            made("/over", true),
            made("/over", false),
        ];
        let held = |path: &str| innermost(&points, Path::new(path));
        assert_eq!(held("/mnt/workspace/f"), Some("/mnt".into()));
        assert_eq!(held("/mnt/disk/f"), None);
        assert_eq!(held("/mntx"), None);
        assert_eq!(held("/over/f"), None);
    }
}
