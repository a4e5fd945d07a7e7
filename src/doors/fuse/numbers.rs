//! How the engine's numbers look to the kernel, and back: the root's, users' and groups'.

use crate::core::{Ino, Time};
use crate::fs::SetTime;
use crate::meta::{FileKind, Node};
use fuser::{FileAttr, FileType, INodeNo, TimeOrNow};
use std::time::UNIX_EPOCH;

/// The unit of `st_blocks` (stat(3type)).
const BLOCK: u64 = 512;
/// What programs should read and write at a time, and the unit of statfs.
pub(super) const BLOCK_SIZE: u32 = 4096;

/// The exchange of one mount.
#[derive(Debug, Clone)]
pub(super) struct Numbers {
    root: Ino,
    /// Two user numbers that change places: the Nexus user's and the mounting OS user's.
    uids: (u32, u32),
    gids: (u32, u32),
}

impl Numbers {
    /// Keeps users and groups as they are.
    pub(super) fn plain(root: Ino) -> Self {
        Self {
            root,
            uids: (0, 0),
            gids: (0, 0),
        }
    }

    /// Exchanges two users and their groups both ways (semantics.md §2).
    pub(super) fn exchanging(root: Ino, uids: (u32, u32), gids: (u32, u32)) -> Self {
        Self { root, uids, gids }
    }

    pub(super) fn ino(&self, number: INodeNo) -> Ino {
        if number == INodeNo::ROOT {
            self.root
        } else {
            Ino(number.0)
        }
    }

    pub(super) fn number(&self, ino: Ino) -> INodeNo {
        if ino == self.root {
            INodeNo::ROOT
        } else {
            INodeNo(ino.0)
        }
    }

    pub(super) fn root(&self) -> Ino {
        self.root
    }

    /// A node as stat(2) shows it.
    pub(super) fn attr(&self, node: &Node) -> FileAttr {
        FileAttr {
            ino: self.number(node.ino),
            size: node.size,
            blocks: node.held().div_ceil(BLOCK),
            atime: node.atime.to_system(),
            mtime: node.mtime.to_system(),
            ctime: node.ctime.to_system(),
            crtime: node.btime.to_system(),
            kind: kind(node.kind),
            perm: u16::try_from(node.mode & 0o7777).unwrap_or(0),
            nlink: node.nlink,
            uid: swapped(self.uids, node.uid),
            gid: swapped(self.gids, node.gid),
            rdev: node.rdev,
            blksize: BLOCK_SIZE,
            flags: 0,
        }
    }

    /// A user as the engine numbers him.
    pub(super) fn uid(&self, os: u32) -> u32 {
        swapped(self.uids, os)
    }

    pub(super) fn gid(&self, os: u32) -> u32 {
        swapped(self.gids, os)
    }
}

/// The attributes that say "no such name, and you may remember that": a LOOKUP reply with node number 0.
pub(super) fn absent() -> FileAttr {
    FileAttr {
        ino: INodeNo(0),
        size: 0,
        blocks: 0,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: FileType::RegularFile,
        perm: 0,
        nlink: 0,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: BLOCK_SIZE,
        flags: 0,
    }
}

/// The kernel's word for a kind of node.
pub(super) fn kind(kind: FileKind) -> FileType {
    match kind {
        FileKind::File => FileType::RegularFile,
        FileKind::Directory => FileType::Directory,
        FileKind::Symlink => FileType::Symlink,
        FileKind::Fifo => FileType::NamedPipe,
        FileKind::Socket => FileType::Socket,
        FileKind::CharDevice => FileType::CharDevice,
        FileKind::BlockDevice => FileType::BlockDevice,
    }
}

/// A time to set, as the engine takes it.
pub(super) fn set_time(time: TimeOrNow) -> SetTime {
    let TimeOrNow::SpecificTime(time) = time else {
        return SetTime::Now;
    };
    // fuser 0.18 turns (-2 s, +0.5 s) into 2.5 s before 1970 instead of 1.5 s; goes when its time.rs adds the nanoseconds.
    SetTime::At(match UNIX_EPOCH.duration_since(time) {
        Ok(before) => {
            let secs = i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
            Time::from_parts(-secs, before.subsec_nanos())
        }
        Err(_) => Time::from_system(time),
    })
}

fn swapped(pair: (u32, u32), number: u32) -> u32 {
    match number {
        n if n == pair.0 => pair.1,
        n if n == pair.1 => pair.0,
        n => n,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::Content;
    use crate::core::{Op, TenantId};
    use std::time::Duration;

    fn node(ino: u64, uid: u32, gid: u32) -> Node {
        Node {
            ino: Ino(ino),
            tenant: TenantId(1),
            kind: FileKind::File,
            mode: 0o4644,
            uid,
            gid,
            nlink: 2,
            size: 513,
            rdev: 0,
            atime: Time(-1),
            mtime: Time(1),
            ctime: Time(2),
            btime: Time(3),
            content: Content::Empty,
            version: 1,
            parent: Ino(0),
            began: Op(1),
            writing: None,
        }
    }

    #[test]
    fn the_tenants_root_is_number_one_and_everything_else_keeps_its_number() {
        let numbers = Numbers::plain(Ino(16));
        assert_eq!(numbers.number(Ino(16)), INodeNo::ROOT);
        assert_eq!(numbers.ino(INodeNo::ROOT), Ino(16));
        assert_eq!(numbers.ino(INodeNo(17)), Ino(17));
    }

    #[test]
    fn the_two_users_change_places_and_others_stay() {
        let numbers = Numbers::exchanging(Ino(16), (1_000_001, 1000), (1_000_001, 100));
        let shown = |uid, gid| {
            let attr = numbers.attr(&node(20, uid, gid));
            (attr.uid, attr.gid)
        };
        assert_eq!(shown(1_000_001, 1_000_001), (1000, 100));
        assert_eq!(shown(1000, 100), (1_000_001, 1_000_001));
        assert_eq!(shown(7, 8), (7, 8));
        assert_eq!(
            (numbers.uid(1000), numbers.gid(100)),
            (1_000_001, 1_000_001)
        );
        assert_eq!(numbers.uid(7), 7);
    }

    #[test]
    fn attributes_carry_mode_times_and_blocks() {
        let attr = Numbers::plain(Ino(16)).attr(&node(20, 0, 0));
        assert_eq!((attr.perm, attr.nlink, attr.blocks), (0o4644, 2, 2));
        assert_eq!(attr.atime, UNIX_EPOCH - Duration::from_nanos(1));
    }

    #[test]
    fn a_time_before_1970_is_what_the_caller_said() {
        // What fuser makes of tv_sec = -2, tv_nsec = 500,000,000.
        let from_fuser = UNIX_EPOCH - Duration::new(2, 500_000_000);
        let set = set_time(TimeOrNow::SpecificTime(from_fuser));
        assert_eq!(set, SetTime::At(Time(-1_500_000_000)));
    }
}
