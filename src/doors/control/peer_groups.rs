//! The supplementary groups of a socket's peer (unix(7), `SO_PEERGROUPS`), which none of our libraries asks for.
//!
//! They are those that the process had when it connected. Its number would not do: a process that has ended may have passed the
//! socket on, and another have its number by now.

use std::io;
use std::os::fd::RawFd;

/// The most groups that a process has (credentials(7), `NGROUPS_MAX`).
const GROUPS_MAX: usize = 65_536;

/// Asks the kernel for them.
pub(super) fn peer_groups(socket: RawFd) -> io::Result<Vec<u32>> {
    let mut room = 64;
    while room <= GROUPS_MAX {
        let mut groups = vec![0; room];
        match ask(socket, &mut groups) {
            Ok(found) => {
                groups.truncate(found);
                return Ok(groups);
            }
            Err(e) if e.raw_os_error() == Some(libc::ERANGE) => room *= 4,
            Err(e) => return Err(e),
        }
    }
    Err(io::Error::other("a process with too many groups"))
}

#[allow(
    unsafe_code,
    reason = "the kernel writes to `groups` no more than `len` says that there is room for"
)]
fn ask(socket: RawFd, groups: &mut [libc::gid_t]) -> io::Result<usize> {
    let mut len = libc::socklen_t::try_from(size_of_val(groups)).map_err(io::Error::other)?;
    let done = unsafe {
        let to = groups.as_mut_ptr().cast();
        libc::getsockopt(
            socket,
            libc::SOL_SOCKET,
            libc::SO_PEERGROUPS,
            to,
            &raw mut len,
        )
    };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(len as usize / size_of::<libc::gid_t>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd as _;
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_groups_of_this_process_are_those_of_its_own_peer() {
        let (socket, _peer) = UnixStream::pair().unwrap();
        let own = nix::unistd::getgroups().unwrap();
        let mut own: Vec<_> = own.into_iter().map(nix::unistd::Gid::as_raw).collect();
        let mut found = peer_groups(socket.as_raw_fd()).unwrap();
        own.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, own);
    }
}
