//! Names and paths, checked once at the door.

use super::error::{Kind, Result, fail};
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// The longest name, in bytes (NAME_MAX of Linux).
pub const NAME_MAX: usize = 255;
/// The longest path that a caller may name, in bytes (PATH_MAX of Linux, without its final NUL). Files lie deeper.
pub const PATH_MAX: usize = 4095;

/// One component of a path: 1 to 255 bytes, no `/`, no NUL, neither `.` nor `..`. Copies share the bytes: caches hold four of each.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Name(Arc<[u8]>);

impl Name {
    pub fn new(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > NAME_MAX {
            return fail(
                Kind::NameTooLong,
                format!("name of {} bytes: 255 is the most", bytes.len()),
            );
        }
        if matches!(bytes, b"" | b"." | b"..") || bytes.iter().any(|b| matches!(b, b'/' | 0)) {
            return fail(
                Kind::Invalid,
                format!("invalid name {:?}", bytes.escape_ascii().to_string()),
            );
        }
        Ok(Self(bytes.into()))
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&show(&self.0))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", show(&self.0))
    }
}

/// An absolute path inside a tenant's tree: a list of names, no `.` or `..` left in it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FsPath(Vec<Name>);

impl FsPath {
    /// Parses an absolute path that a caller names. `//` and `.` vanish; `..` goes up and stops at the root.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > PATH_MAX {
            return fail(
                Kind::NameTooLong,
                format!("path of {} bytes: 4095 is the most", bytes.len()),
            );
        }
        Self::recorded(bytes)
    }

    /// Reads a path of the log: of any length, for a process that goes from directory to directory names none but the last.
    pub fn recorded(bytes: &[u8]) -> Result<Self> {
        if bytes.first() != Some(&b'/') {
            let shown = show(bytes);
            return fail(
                Kind::Invalid,
                format!("path {shown:?} must be absolute, as in /workspace/{shown}"),
            );
        }
        let mut names = Vec::new();
        for part in bytes.split(|b| *b == b'/') {
            match part {
                b"" | b"." => {}
                b".." => {
                    names.pop();
                }
                name => names.push(Name::new(name)?),
            }
        }
        Ok(Self(names))
    }

    pub fn from_names(names: Vec<Name>) -> Self {
        Self(names)
    }

    pub fn names(&self) -> &[Name] {
        &self.0
    }

    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Splits into the directory and the last name; `None` for the root.
    pub fn split(&self) -> Option<(FsPath, &Name)> {
        let (last, dir) = self.0.split_last()?;
        Some((Self(dir.to_vec()), last))
    }

    #[must_use]
    pub fn join(&self, name: Name) -> Self {
        let mut names = self.0.clone();
        names.push(name);
        Self(names)
    }

    /// The path's own bytes, as stored in the log.
    pub fn to_bytes(&self) -> Vec<u8> {
        if self.0.is_empty() {
            return b"/".to_vec();
        }
        let mut out = Vec::with_capacity(self.0.iter().map(|n| n.0.len() + 1).sum());
        for name in &self.0 {
            out.push(b'/');
            out.extend_from_slice(&name.0);
        }
        out
    }
}

impl fmt::Display for FsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&show(&self.to_bytes()))
    }
}

impl fmt::Debug for FsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", show(&self.to_bytes()))
    }
}

/// Shows bytes as text: valid UTF-8 as it is, any other byte as `\xNN`, so that two paths never look alike.
pub fn show(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            out.push_str("\\x");
            out.extend(
                [byte >> 4, byte & 15].map(|d| char::from_digit(d.into(), 16).unwrap_or('?')),
            );
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// semantics.md §7: "Names are 1 to 255 bytes of anything but `/` and NUL"
    #[test]
    fn a_name_is_refused_when_it_could_be_a_path() {
        for bad in [&b""[..], b".", b"..", b"a/b", b"a\0", &[b'x'; 256]] {
            assert!(Name::new(bad).is_err(), "{bad:?}");
        }
        assert!(Name::new(&[0xff; 255]).is_ok());
    }

    #[test]
    fn dots_cannot_leave_the_root() {
        let path = FsPath::parse(b"/a/../../..//./b/").unwrap();
        assert_eq!(path.to_bytes(), b"/b");
        assert!(FsPath::parse(b"a").is_err());
    }

    #[test]
    fn shown_paths_differ_when_their_bytes_do() {
        assert_ne!(show(b"a\xff"), show(b"a\xfe"));
        assert_eq!(show("ä".as_bytes()), "ä");
    }
}
