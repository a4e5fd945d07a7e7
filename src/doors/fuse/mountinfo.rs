//! What is mounted where, as the kernel lists it (proc_pid_mountinfo(5)); nothing mounted is asked.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

const LIST: &str = "/proc/self/mountinfo";
const KIND: &str = "fuse.nexus";

/// Something mounted somewhere.
#[derive(Debug, PartialEq, Eq)]
pub struct Point {
    /// The number of its file system (st_dev).
    pub device: u64,
    /// What of the file system is mounted.
    pub root: PathBuf,
    pub dir: PathBuf,
    /// Whether it is of Nexus, by its type.
    pub ours: bool,
}

/// All there are in our mount namespace, in the kernel's order; none where that cannot be read.
pub fn points() -> Vec<Point> {
    let list = fs::read(LIST).unwrap_or_default();
    list.split(|b| *b == b'\n').filter_map(point).collect()
}

/// A line of it.
fn point(line: &[u8]) -> Option<Point> {
    let mut fields = line.split(|b| *b == b' ');
    let (major, minor) = str::from_utf8(fields.nth(2)?).ok()?.split_once(':')?;
    let device = nix::sys::stat::makedev(major.parse().ok()?, minor.parse().ok()?);
    let root = unescaped(fields.next()?);
    let dir = unescaped(fields.next()?);
    let kind = fields.skip_while(|f| *f != b"-").nth(1)?;
    Some(Point {
        device,
        root: PathBuf::from(root),
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

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
}
