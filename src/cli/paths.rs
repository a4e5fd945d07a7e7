//! What a path on the command line means: a path in Nexus, or one below a mount of this store.

use super::client::Client;
use super::sentence::Thing;
use crate::access::namespace;
use crate::api::On;
use crate::core::{FsPath, Kind, Result, Text, error::fail};
use crate::doors::daemon::{MountInfo, Mounts};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

/// Whose tree is meant where nobody says.
const DEFAULT: &str = "default";
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
    let path = match found(&mounts, &absolute) {
        Some((mount, path)) => {
            is_of(mount, client.tenant())?;
            FsPath::parse(&path)?
        }
        None => elsewhere(argument, &absolute)?,
    };
    Ok(Text(path.to_bytes()))
}

/// Fails when a mount shows the tree of another tenant than the one that is asked: the same path there is another file.
fn is_of(mount: &MountInfo, asked: Option<&str>) -> Result<()> {
    let tenant = &mount.tenant;
    if tenant == asked.unwrap_or(DEFAULT) {
        return Ok(());
    }
    let message = format!("{} shows tenant {tenant}: say --tenant {tenant}", mount.dir);
    fail(Kind::Invalid, message)
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

/// The mount that a path is below, and the path there. What goes up may leave the mount, and over links it does not go up where
/// it looks so: then the links on the way are followed first.
fn found<'a>(mounts: &'a [MountInfo], path: &Path) -> Option<(&'a MountInfo, Vec<u8>)> {
    let goes_up = path.components().any(|part| part == Component::ParentDir);
    if goes_up {
        let straight = real(path).unwrap_or_else(|| straightened(path));
        return below(mounts, &straight);
    }
    below(mounts, path).or_else(|| below(mounts, &real(path)?))
}

/// The path below the mount that holds it, the innermost if several do.
fn below<'a>(mounts: &'a [MountInfo], path: &Path) -> Option<(&'a MountInfo, Vec<u8>)> {
    let under = |m: &'a MountInfo| {
        let dir = Path::new(OsStr::from_bytes(&m.dir.0));
        let rest = path.strip_prefix(dir).ok()?;
        Some((m, [b"/", rest.as_os_str().as_bytes()].concat()))
    };
    let all = mounts.iter().filter_map(under);
    all.max_by_key(|(m, _)| m.dir.0.len())
}

/// The path without `..`, as if no name on the way were a link.
fn straightened(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        if part == Component::ParentDir {
            out.pop();
        } else {
            out.push(part);
        }
    }
    out
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
            binds: false,
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
        let find = |p: &str| found(&mounts, Path::new(p)).map(|(_, path)| path);
        assert_eq!(find("/home/ann/n/workspace/x").unwrap(), b"/workspace/x");
        assert_eq!(find("/mnt/inner/workspace").unwrap(), b"/workspace");
        assert_eq!(find("/mnt").unwrap(), b"/");
        assert_eq!(find("/mntx/workspace"), None);
    }

    #[test]
    fn a_path_that_goes_up_is_below_the_mount_that_it_ends_in() {
        let mounts = [mount("/mnt/a"), mount("/mnt/a/workspace/in")];
        let find = |p: &str| found(&mounts, Path::new(p)).map(|(_, path)| path);
        assert_eq!(find("/mnt/a/workspace/../shared/x").unwrap(), b"/shared/x");
        assert_eq!(
            find("/mnt/a/workspace/in/../x").unwrap(),
            b"/workspace/x",
            "out of the inner one"
        );
        assert_eq!(find("/mnt/a/../workspace/x"), None);
        assert_eq!(find("/mnt/b/../a/workspace/x").unwrap(), b"/workspace/x");
    }

    #[test]
    fn a_path_of_another_tenant_is_refused() {
        let acme = MountInfo {
            tenant: "acme".into(),
            ..mount("/mnt/acme")
        };
        assert!(is_of(&mount("/mnt"), None).is_ok());
        assert!(is_of(&acme, Some("acme")).is_ok());
        for (mount, asked) in [(&acme, None), (&mount("/mnt"), Some("acme"))] {
            let refused = is_of(mount, asked).unwrap_err();
            assert_eq!(refused.kind(), Kind::Invalid);
            let hint = format!("say --tenant {}", mount.tenant);
            assert!(refused.message().ends_with(&hint), "{refused}");
        }
    }
}
