//! What a path on the command line means: a path in Nexus, or one below a mount of this store.

use super::client::Client;
use super::sentence::Thing;
use crate::access::namespace;
use crate::api::On;
use crate::core::{FsPath, Kind, Result, Text, error::fail};
use crate::doors::daemon::{MountInfo, Mounts};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Top-level names beside the namespaces.
const HIDDEN: [&str; 6] = [".raw", ".at", ".nexus", "memory", "sessions", "objs"];

/// Finds the path in Nexus that an argument stands for.
pub(super) fn in_nexus(client: &Client, argument: &OsStr) -> Result<Text> {
    if let Some(path) = as_it_is(argument.as_bytes())? {
        return Ok(path);
    }
    let absolute = std::path::absolute(argument)?;
    let Mounts { mounts } = match client.socket() {
        Some(daemon) => daemon.post("/daemon/mounts", &())?,
        None => Mounts::default(),
    };
    let found = below(&mounts, &absolute).or_else(|| below(&mounts, &real(&absolute)?));
    let path = match found {
        Some(path) => FsPath::parse(&path)?,
        None => elsewhere(argument, &absolute)?,
    };
    Ok(Text(path.to_bytes()))
}

/// What a relation is to, as requests say it.
pub(super) fn on(client: &Client, to: Thing) -> Result<On> {
    Ok(match to {
        Thing::File(path) => On::Path {
            path: in_nexus(client, &path)?,
        },
        Thing::Object(object) => On::Object { object },
    })
}

/// A path below no mount: absolute, it is Nexus's to refuse; relative, it means nothing here.
fn elsewhere(argument: &OsStr, absolute: &Path) -> Result<FsPath> {
    if Path::new(argument).is_absolute() {
        return FsPath::parse(argument.as_bytes());
    }
    let message = format!(
        "{} is neither a path in Nexus (as /workspace/…) nor below a mount",
        absolute.display()
    );
    fail(Kind::NotFound, message)
}

/// A path whose first name is one of ours is meant as it is.
fn as_it_is(path: &[u8]) -> Result<Option<Text>> {
    if path.first() != Some(&b'/') {
        return Ok(None);
    }
    let parsed = FsPath::parse(path)?;
    let ours = parsed.names().first().is_none_or(|first| {
        let first = first.as_bytes();
        namespace::named(first).is_some() || HIDDEN.iter().any(|h| h.as_bytes() == first)
    });
    Ok(ours.then(|| Text(parsed.to_bytes())))
}

/// The path below the mount that holds it, the innermost if several do.
fn below(mounts: &[MountInfo], path: &Path) -> Option<Vec<u8>> {
    let under = |m: &MountInfo| {
        let dir = Path::new(OsStr::from_bytes(&m.dir.0));
        path.strip_prefix(dir)
            .ok()
            .map(|rest| (m.dir.0.len(), rest.as_os_str().as_bytes().to_vec()))
    };
    let (_, rest) = mounts
        .iter()
        .filter_map(under)
        .max_by_key(|(len, _)| *len)?;
    Some([b"/", rest.as_slice()].concat())
}

/// The path with the links on its way followed, its last name as it is.
fn real(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?;
    Some(path.parent()?.canonicalize().ok()?.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doors::daemon::IdentityKind;

    fn mount(dir: &str) -> MountInfo {
        MountInfo {
            dir: dir.into(),
            tenant: "default".into(),
            user: None,
            agent: None,
            session: None,
            identity: IdentityKind::Single,
            read_only: false,
            allow_other: false,
            since: String::new(),
        }
    }

    #[test]
    fn a_path_of_ours_is_taken_as_it_is() {
        assert_eq!(
            as_it_is(b"/workspace//a/../b").unwrap(),
            Some("/workspace/b".into())
        );
        assert_eq!(as_it_is(b"/").unwrap(), Some("/".into()));
        assert_eq!(as_it_is(b"/home/ann").unwrap(), None);
        assert_eq!(as_it_is(b"workspace/a").unwrap(), None);
    }

    #[test]
    fn a_path_below_a_mount_loses_the_mount_point() {
        let mounts = [mount("/mnt"), mount("/mnt/inner"), mount("/home/ann/n")];
        let find = |p: &str| below(&mounts, Path::new(p));
        assert_eq!(find("/home/ann/n/workspace/x").unwrap(), b"/workspace/x");
        assert_eq!(find("/mnt/inner/workspace").unwrap(), b"/workspace");
        assert_eq!(find("/mnt").unwrap(), b"/");
        assert_eq!(find("/mntx/workspace"), None);
    }
}
