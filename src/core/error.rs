//! The one error of Nexus: a kind, a message, a source.
//!
//! The kind answers "what can the caller do about it?"; each door maps the kinds exhaustively to its own
//! numbers (errno, HTTP status, exit code) in exactly one place.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

pub type Result<T> = std::result::Result<T, Error>;
type Source = Box<dyn std::error::Error + Send + Sync + 'static>;

/// What went wrong, in terms of what the caller can do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// No such name, or one the caller may not see: the two are never told apart.
    NotFound,
    Exists,
    NotDirectory,
    IsDirectory,
    NotEmpty,
    /// A permission refuses it (EACCES).
    Denied,
    /// Only the owner or an administrator may do it (EPERM).
    NotPermitted,
    ReadOnly,
    CrossDevice,
    Invalid,
    NameTooLong,
    /// Offset or size beyond what a file can hold (EFBIG).
    TooLarge,
    NoSpace,
    /// The store below failed (EIO).
    Io,
    /// Stored bytes do not match their hash or the log (EIO).
    Corrupt,
    SymlinkLoop,
    TooManyLinks,
    NoAttribute,
    /// An argument list or attribute value is too big (E2BIG).
    TooBig,
    /// A buffer is too small or an offset is outside the file (ERANGE, ENXIO).
    Range,
    Unsupported,
    BadHandle,
    Busy,
    /// Somebody else changed it first.
    Conflict,
    /// The daemon, the database or a lock cannot be reached now; trying again may help.
    Unavailable,
    /// A signal came for whoever waits (EINTR).
    Interrupted,
    /// Waiting for a lock would never end: whoever has it waits for the one who asks.
    Deadlock,
    /// A user has as many locks as one may have (ENOLCK).
    NoLocks,
    /// The data directory or the peer is of a version we do not know.
    Version,
}

/// An error with its kind, a message for people, and the error that caused it.
pub struct Error {
    kind: Kind,
    message: Cow<'static, str>,
    source: Option<Source>,
}

impl Error {
    pub fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// Keeps `source` as the cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Puts what was being done in front of the message.
    #[must_use]
    pub fn context(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message).into();
        self
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn message(&self) -> &str {
        &self.message
    }

    /// The message followed by every cause, for logs.
    pub fn chain(&self) -> String {
        let mut out = self.message.to_string();
        let mut next = std::error::Error::source(self);
        while let Some(cause) = next {
            out.push_str(": ");
            out.push_str(&cause.to_string());
            next = cause.source();
        }
        out
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.chain())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|s| s as _)
    }
}

impl From<std::io::Error> for Error {
    fn from(e: std::io::Error) -> Self {
        use std::io::ErrorKind as K;
        let kind = match e.kind() {
            K::NotFound => Kind::NotFound,
            K::PermissionDenied => Kind::Denied,
            K::AlreadyExists => Kind::Exists,
            K::StorageFull | K::QuotaExceeded => Kind::NoSpace,
            K::ReadOnlyFilesystem => Kind::ReadOnly,
            K::FileTooLarge => Kind::TooLarge,
            K::InvalidInput => Kind::Invalid,
            _ => Kind::Io,
        };
        Self::new(kind, e.to_string()).caused_by(e)
    }
}

/// Shortens `Err(Error::new(..))`.
pub fn fail<T>(kind: Kind, message: impl Into<Cow<'static, str>>) -> Result<T> {
    Err(Error::new(kind, message))
}
