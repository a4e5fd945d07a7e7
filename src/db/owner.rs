//! Whose the files of a store are: what the superuser makes in a directory of somebody else's is given to that one, as SQLite
//! does with what it makes beside a database. Else whoever the store belongs to could not work on it any more.
//!
//! Only what was made just now, and is open, is given: never what lies there under a name that somebody may have put there.

use nix::unistd::geteuid;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::Path;

/// Makes a file that only its owner may use, to be read and written; fails with `AlreadyExists` where something is.
pub fn make_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    let made = options.open(path)?;
    give(&made, path)?;
    Ok(made)
}

/// Opens a file, making it where it is not there.
pub fn open_file(path: &Path) -> io::Result<File> {
    match make_file(path) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            OpenOptions::new().read(true).write(true).open(path)
        }
        made => made,
    }
}

/// Makes a directory that only its owner may use, and those above it; one that is there already is fine.
pub fn make_dir(dir: &Path) -> io::Result<()> {
    match make_one(dir) {
        Err(e) if e.kind() == ErrorKind::NotFound => {
            make_dir(parent(dir).filter(|above| *above != dir).ok_or(e)?)?;
            make_one(dir)
        }
        Err(e) if e.kind() == ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        made => made,
    }
}

fn make_one(dir: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(dir)?;
    let mut options = OpenOptions::new();
    options
        .read(true)
        .custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW);
    give(&options.open(dir)?, dir)
}

fn give(made: &File, path: &Path) -> io::Result<()> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let Some(dir) = parent(path) else {
        return Ok(());
    };
    let (dir, own) = (dir.metadata()?, made.metadata()?);
    if own.uid() == 0 && dir.uid() != 0 {
        fchown(made, Some(dir.uid()), Some(dir.gid()))?;
    }
    Ok(())
}

/// The directory of a path.
fn parent(path: &Path) -> Option<&Path> {
    path.parent().map(|dir| {
        if dir.as_os_str().is_empty() {
            Path::new(".")
        } else {
            dir
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_opened_and_what_is_not_is_made_with_all_above_it() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("a/b");
        make_dir(&at).unwrap();
        make_dir(&at).unwrap();
        assert_eq!(at.metadata().unwrap().mode() & 0o777, 0o700);
        let file = at.join("f");
        open_file(&file).unwrap().set_len(3).unwrap();
        assert_eq!(open_file(&file).unwrap().metadata().unwrap().len(), 3);
        let taken = make_file(&file).unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
        let below = make_dir(&file.join("x")).unwrap_err();
        assert_eq!(below.kind(), ErrorKind::NotADirectory);
    }
}
