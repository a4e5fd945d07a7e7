//! Settings are data: read here once, then passed down.

use super::error::{Error, Kind, Result};
use etcetera::BaseStrategy as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// As many as are of use.
const OPEN_FILES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);

/// Where a store lives and how large its caches are.
#[derive(Debug, Clone)]
pub struct Config {
    pub data_dir: PathBuf,
    /// Verified blob bytes kept in memory, in bytes.
    pub content_cache: u64,
    /// Nodes and directory entries kept in memory, in entries.
    pub node_cache: usize,
    /// Descriptors that the store keeps at most for work files, and as many again for blobs on their way to the disk: of both
    /// people can cause any number.
    pub open_files: NonZeroUsize,
}

impl Config {
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            content_cache: 256 << 20,
            node_cache: 200_000,
            open_files: OPEN_FILES,
        }
    }

    /// Takes a share of the descriptors that the process may have: most are left to everything else.
    pub fn with_descriptors(self, most: u64) -> Self {
        let share = usize::try_from(most / 8).unwrap_or(usize::MAX);
        let share = NonZeroUsize::new(share).unwrap_or(NonZeroUsize::MIN);
        Self {
            open_files: share.min(OPEN_FILES),
            ..self
        }
    }

    pub fn database(&self) -> PathBuf {
        self.data_dir.join("nexus.db")
    }

    pub fn cas(&self) -> PathBuf {
        self.data_dir.join("cas")
    }

    pub fn work(&self) -> PathBuf {
        self.data_dir.join("work")
    }

    pub fn journal(&self) -> PathBuf {
        self.data_dir.join("journal")
    }

    /// What is given up for gc when the disk is full.
    pub fn reserve(&self) -> PathBuf {
        self.data_dir.join("reserve")
    }

    pub fn lock(&self) -> PathBuf {
        self.data_dir.join("lock")
    }

    /// Who the daemon is and what it has mounted, for the next one.
    pub fn mounts(&self) -> PathBuf {
        self.data_dir.join("mounts")
    }

    pub fn socket(&self) -> PathBuf {
        socket_of(&self.data_dir)
    }

    /// A link to the daemon's runtime directory, while it has one.
    pub fn runtime(&self) -> PathBuf {
        self.data_dir.join("runtime")
    }
}

/// The socket in a data directory or a runtime directory.
pub fn socket_of(data_dir: &Path) -> PathBuf {
    data_dir.join("control.sock")
}

/// Picks the data directory: the argument, `$NEXUS_DATA_DIR`, `$XDG_DATA_HOME/nexus`, `~/.local/share/nexus`.
pub fn data_dir(argument: Option<PathBuf>) -> Result<PathBuf> {
    if let Some(dir) = argument.or_else(|| env("NEXUS_DATA_DIR").map(PathBuf::from)) {
        return Ok(std::path::absolute(dir)?);
    }
    let base = etcetera::base_strategy::choose_native_strategy().map_err(|e| {
        Error::new(
            Kind::Invalid,
            "no home directory: say where with --data-dir",
        )
        .caused_by(e)
    })?;
    Ok(base.data_dir().join("nexus"))
}

/// Reads an environment variable; empty counts as unset.
#[allow(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
pub fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}
