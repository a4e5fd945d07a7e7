//! Descriptors that a command of `nexus run` does not get from its caller.
//!
//! A directory that was opened before the command's mount namespace was made leads to the caller's mounts: by `openat(2)`, by
//! `..` and by `/proc/self/fd`, which an agent that knows no path would find as well. Whatever is open on a mount of the store
//! acts as the caller. Pipes, sockets and files elsewhere are handed on, as to any command.

use crate::core::{Kind, Result, error::fail};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::stat::{SFlag, fstat};
use std::os::fd::{BorrowedFd, RawFd};

/// Closes, when the command starts, what would lead it past its own mount: directories, and what is open on a mount with one of these device
/// numbers. A file of such a mount as standard input, output or error stays: a redirection is the caller's word. Fails with `Invalid` where
/// one of these three is a directory.
pub(super) fn close_ways_out(devices: &[u64]) -> Result<()> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let name = entry?.file_name();
        all.extend(name.to_str().and_then(|n| n.parse::<RawFd>().ok()));
    }
    for number in all {
        // SAFETY: it is used in this turn only, and every call on one that is closed by now fails.
        #[allow(
            unsafe_code,
            reason = "whoever started us opened it, and nothing here owns it"
        )]
        let fd = unsafe { BorrowedFd::borrow_raw(number) };
        let open = match fstat(fd) {
            // The list's own is closed by now.
            Err(Errno::EBADF) => continue,
            open => open.map_err(std::io::Error::from)?,
        };
        let is_dir =
            SFlag::from_bits_truncate(open.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFDIR;
        if number > libc::STDERR_FILENO {
            if is_dir || devices.contains(&open.st_dev) {
                fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).map_err(std::io::Error::from)?;
            }
        } else if is_dir {
            let which = ["input", "output", "error"][usize::try_from(number).unwrap_or_default()];
            let message = format!(
                "standard {which} is a directory, through which the agent would act as you: redirect it (</dev/null)"
            );
            return fail(Kind::Invalid, message);
        }
    }
    Ok(())
}
