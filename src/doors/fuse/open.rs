//! Flags of open(2), rename(2), mknod(2), setxattr(2) and others, from the kernel's bits to the engine's words.

use crate::access::Right;
use crate::core::{Error, Kind, Result, error::fail};
use crate::fs::{Access, Allocate, OpenFlags, RenameMode, SetMode};
use crate::meta::FileKind;
use fuser::{AccessFlags, FopenFlags, RenameFlags};

/// Set by the kernel when it opens a file to run it (`__FMODE_EXEC` of linux/fs.h).
const FMODE_EXEC: i32 = 0x20;

/// How a file is to be opened.
pub(super) fn flags(bits: i32) -> OpenFlags {
    let access = match bits & libc::O_ACCMODE {
        libc::O_WRONLY => Access::Write,
        libc::O_RDWR => Access::ReadWrite,
        _ if bits & FMODE_EXEC != 0 => Access::Execute,
        _ => Access::Read,
    };
    OpenFlags {
        access,
        append: bits & libc::O_APPEND != 0,
        truncate: bits & libc::O_TRUNC != 0,
        exclusive: bits & libc::O_EXCL != 0,
    }
}

/// What the kernel may do with an open file. Stored bytes stay in its page cache across opens: the engine says when they
/// change. A handle that cannot have written has nothing to flush at close(2).
pub(super) fn reply(flags: OpenFlags, computed: bool) -> FopenFlags {
    if computed {
        return FopenFlags::FOPEN_DIRECT_IO | FopenFlags::FOPEN_NOFLUSH;
    }
    let reads_only = matches!(flags.access, Access::Read | Access::Execute) && !flags.truncate;
    if reads_only {
        FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_NOFLUSH
    } else {
        FopenFlags::FOPEN_KEEP_CACHE
    }
}

/// The mode of a renameat2(2).
pub(super) fn rename(flags: RenameFlags) -> Result<RenameMode> {
    if flags.is_empty() {
        Ok(RenameMode::Replace)
    } else if flags == RenameFlags::RENAME_NOREPLACE {
        Ok(RenameMode::NoReplace)
    } else if flags == RenameFlags::RENAME_EXCHANGE {
        Ok(RenameMode::Exchange)
    } else {
        fail(
            Kind::Invalid,
            format!("rename flags {:#x} are not known", flags.bits()),
        )
    }
}

/// What mknod(2) is to make.
pub(super) fn node_kind(mode: u32) -> Result<FileKind> {
    Ok(match mode & libc::S_IFMT {
        0 | libc::S_IFREG => FileKind::File,
        libc::S_IFIFO => FileKind::Fifo,
        libc::S_IFSOCK => FileKind::Socket,
        libc::S_IFCHR => FileKind::CharDevice,
        libc::S_IFBLK => FileKind::BlockDevice,
        other => {
            return fail(
                Kind::Invalid,
                format!("mknod does not make type {other:#o}"),
            );
        }
    })
}

/// What fallocate(2) is to do.
pub(super) fn allocate(mode: i32) -> Result<Allocate> {
    const KEEP: i32 = libc::FALLOC_FL_KEEP_SIZE;
    const PUNCH: i32 = libc::FALLOC_FL_PUNCH_HOLE | KEEP;
    const ZERO: i32 = libc::FALLOC_FL_ZERO_RANGE;
    const ZERO_KEEP: i32 = libc::FALLOC_FL_ZERO_RANGE | KEEP;
    match mode {
        0 => Ok(Allocate::Reserve),
        KEEP => Ok(Allocate::ReserveKeepSize),
        PUNCH => Ok(Allocate::Punch),
        ZERO => Ok(Allocate::Zero),
        ZERO_KEEP => Ok(Allocate::ZeroKeepSize),
        other => fail(Kind::Unsupported, format!("fallocate mode {other:#x}")),
    }
}

/// How setxattr(2) treats what is there.
pub(super) fn set_mode(flags: i32) -> Result<SetMode> {
    match flags {
        0 => Ok(SetMode::Any),
        libc::XATTR_CREATE => Ok(SetMode::Create),
        libc::XATTR_REPLACE => Ok(SetMode::Replace),
        other => fail(Kind::Invalid, format!("setxattr flags {other:#x}")),
    }
}

/// The rights that access(2) asks for; none for mere existence.
pub(super) fn rights(mask: AccessFlags) -> Vec<Right> {
    let asked = [
        (AccessFlags::R_OK, Right::Read),
        (AccessFlags::W_OK, Right::Write),
        (AccessFlags::X_OK, Right::Execute),
    ];
    let wanted = asked.into_iter().filter(|(bit, _)| mask.contains(*bit));
    wanted.map(|(_, right)| right).collect()
}

/// An offset that lseek(2) gave.
pub(super) fn offset(offset: i64) -> Result<u64> {
    u64::try_from(offset).map_err(|e| Error::new(Kind::Range, "a negative offset").caused_by(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_flags_say_access_append_truncate_and_exclusive() {
        let opened = flags(libc::O_RDWR | libc::O_APPEND | libc::O_TRUNC);
        assert_eq!(opened.access, Access::ReadWrite);
        assert!(opened.append && opened.truncate && !opened.exclusive);
        assert_eq!(flags(libc::O_RDONLY | FMODE_EXEC).access, Access::Execute);
        assert_eq!(flags(libc::O_WRONLY | FMODE_EXEC).access, Access::Write);
        assert!(flags(libc::O_CREAT | libc::O_EXCL).exclusive);
    }

    #[test]
    fn only_a_handle_that_cannot_write_skips_the_flush() {
        let noflush = |bits| reply(flags(bits), false).contains(FopenFlags::FOPEN_NOFLUSH);
        assert!(noflush(libc::O_RDONLY));
        assert!(!noflush(libc::O_WRONLY));
        assert!(!noflush(libc::O_RDONLY | libc::O_TRUNC));
        assert!(reply(flags(libc::O_RDONLY), true).contains(FopenFlags::FOPEN_DIRECT_IO));
    }

    #[test]
    fn unknown_flags_are_refused_and_not_ignored() {
        assert_eq!(
            rename(RenameFlags::RENAME_WHITEOUT).unwrap_err().kind(),
            Kind::Invalid
        );
        assert_eq!(
            rename(RenameFlags::RENAME_EXCHANGE).unwrap(),
            RenameMode::Exchange
        );
        let collapse = libc::FALLOC_FL_COLLAPSE_RANGE;
        assert_eq!(allocate(collapse).unwrap_err().kind(), Kind::Unsupported);
        assert_eq!(node_kind(libc::S_IFDIR).unwrap_err().kind(), Kind::Invalid);
        assert_eq!(node_kind(libc::S_IFIFO | 0o600).unwrap(), FileKind::Fifo);
    }
}
