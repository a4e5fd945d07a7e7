//! From kinds of errors to errno: the one place that knows these numbers.

use crate::core::{Error, Kind};
use fuser::Errno;

/// The number for a kind (errno(3)).
pub(super) fn of(kind: Kind) -> Errno {
    match kind {
        Kind::NotFound => Errno::ENOENT,
        Kind::Exists => Errno::EEXIST,
        Kind::NotDirectory => Errno::ENOTDIR,
        Kind::IsDirectory => Errno::EISDIR,
        Kind::NotEmpty => Errno::ENOTEMPTY,
        Kind::Denied => Errno::EACCES,
        Kind::NotPermitted => Errno::EPERM,
        Kind::ReadOnly => Errno::EROFS,
        Kind::CrossDevice => Errno::EXDEV,
        Kind::Invalid => Errno::EINVAL,
        Kind::NameTooLong => Errno::ENAMETOOLONG,
        Kind::TooLarge => Errno::EFBIG,
        Kind::NoSpace => Errno::ENOSPC,
        Kind::Io | Kind::Corrupt => Errno::EIO,
        Kind::SymlinkLoop => Errno::ELOOP,
        Kind::TooManyLinks => Errno::EMLINK,
        Kind::NoAttribute => Errno::ENODATA,
        Kind::TooBig => Errno::E2BIG,
        Kind::Range => Errno::ERANGE,
        Kind::Unsupported => Errno::EOPNOTSUPP,
        Kind::BadHandle => Errno::EBADF,
        Kind::Busy | Kind::Conflict => Errno::EBUSY,
        Kind::Unavailable => Errno::EAGAIN,
        Kind::Interrupted => Errno::EINTR,
        Kind::Deadlock => Errno::EDEADLK,
        Kind::NoLocks => Errno::ENOLCK,
        Kind::Version => Errno::EPROTO,
    }
}

/// Logs a failed call and gives its number. What an administrator must know stands out; refusals are everyday.
pub(super) fn report(call: &'static str, e: &Error) -> Errno {
    match e.kind() {
        Kind::Io | Kind::Corrupt | Kind::NoSpace => tracing::error!(call, "{}", e.chain()),
        Kind::NotFound | Kind::NoAttribute => tracing::trace!(call, "{}", e.chain()),
        _ => tracing::debug!(call, "{}", e.chain()),
    }
    of(e.kind())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_and_an_ownership_question_have_different_numbers() {
        assert_eq!(of(Kind::Denied).code(), libc::EACCES);
        assert_eq!(of(Kind::NotPermitted).code(), libc::EPERM);
    }

    #[test]
    fn damage_reads_as_an_input_output_error() {
        let e = Error::new(Kind::Corrupt, "bytes do not match their hash");
        assert_eq!(report("read", &e).code(), libc::EIO);
    }
}
