//! Mounts of Nexus as the kernel lists them: how a store is found by who knows nothing but a path on it.

use crate::core::Text;
use crate::doors::fuse::{Point, points};
use crate::facts::Whoami;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

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

/// As whom one works on a mount.
pub(super) fn whoami(mount: &Path) -> Option<Whoami> {
    let told = fs::read(mount.join(".nexus/whoami")).ok()?;
    serde_json::from_slice(&told).ok()
}

/// A list of mount points for a message, if there are any.
pub(super) fn shown(dirs: &[PathBuf]) -> Option<String> {
    let shown: Vec<_> = dirs
        .iter()
        .map(|dir| Text(dir.as_os_str().as_bytes().to_vec()).to_string())
        .collect();
    (!shown.is_empty()).then(|| shown.join(", "))
}

/// Where file systems of some numbers (st_dev) are mounted, as a whole or in part: the innermost first.
pub(super) fn of_devices(devices: &[u64]) -> Vec<PathBuf> {
    let points = points().into_iter();
    let of = points.filter(|point| devices.contains(&point.device));
    let mut found: Vec<_> = of.map(|point| point.dir).collect();
    found.sort_by_key(|dir| std::cmp::Reverse(dir.components().count()));
    found.dedup();
    found
}

/// Every path that leads to a directory or to something in it: its own, and by bind mounts of what holds it or lies in it.
pub(super) fn ways_to(dir: &Path) -> Vec<PathBuf> {
    ways(&points(), dir)
}

fn ways(points: &[Point], dir: &Path) -> Vec<PathBuf> {
    let held = holder(points, dir).and_then(|point| {
        let rest = dir.strip_prefix(&point.dir).ok()?;
        Some((point, point.root.join(rest)))
    });
    let Some((holding, real)) = held else {
        return vec![dir.to_owned()];
    };
    let others = points.iter().filter(|point| point.device == holding.device);
    let mut found: Vec<_> = others
        .filter_map(|point| match real.strip_prefix(&point.root) {
            Ok(rest) => Some(point.dir.join(rest)),
            Err(_) => point.root.starts_with(&real).then(|| point.dir.clone()),
        })
        .chain([dir.to_owned()])
        .collect();
    found.sort();
    found.dedup();
    found
}

/// The mount that a path is on: of those that hold it the innermost, of several there the one made last.
fn holder<'a>(points: &'a [Point], path: &Path) -> Option<&'a Point> {
    let holding = points.iter().filter(|point| path.starts_with(&point.dir));
    holding.max_by_key(|point| point.dir.as_os_str().len())
}

/// The same if it is one of ours.
fn innermost(points: &[Point], path: &Path) -> Option<PathBuf> {
    let inner = holder(points, path)?;
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
    fn the_innermost_mount_holds_a_path_and_the_last_one_made_there() {
        let made = |dir: &str, ours| Point {
            device: 1,
            root: "/".into(),
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

    #[test]
    fn what_a_bind_mount_shows_too_is_found_by_every_way() {
        let made = |device, root: &str, dir: &str| Point {
            device,
            root: root.into(),
            dir: dir.into(),
            ours: false,
        };
        let points = [
            made(1, "/", "/"),
            made(2, "/", "/home"),
            made(2, "/ann", "/srv/ann"),
            made(2, "/ann/data/blobs", "/blobs"),
            made(2, "/bob", "/srv/bob"),
            made(3, "/ann/data", "/other"),
        ];
        let wanted = ["/blobs", "/home/ann/data", "/srv/ann/data"].map(PathBuf::from);
        assert_eq!(ways(&points, Path::new("/home/ann/data")), wanted);
        assert_eq!(ways(&points, Path::new("/srv/ann/data")), wanted);
        assert_eq!(ways(&[], Path::new("/d")), [PathBuf::from("/d")]);
    }
}
