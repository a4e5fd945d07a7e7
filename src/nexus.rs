//! Assembly: the only place that knows every part and puts them together.

use crate::core::{Clock, Config, Error, Kind, Result};
use crate::db::{Db, owner, sqlite::Sqlite};
use crate::facts::Facts;
use crate::fs::Engine;
use crate::history::At;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::sync::Arc;

/// An open data directory: the lock on it, and the engine over it. Dropping it lets the next one in.
pub struct Nexus {
    pub engine: Arc<Engine>,
    pub db: Arc<Sqlite>,
    _lock: Flock<File>,
}

impl Nexus {
    /// Opens or makes a data directory. Fails with `Busy` while another process has it open.
    pub fn open(config: Config) -> Result<Self> {
        Self::open_with(config, Clock::System)
    }

    pub fn open_with(config: Config, clock: Clock) -> Result<Self> {
        let dir = &config.data_dir;
        let at =
            |e: std::io::Error| Error::from(e).context(format!("data directory {}", dir.display()));
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(at)?;
        let lock = lock(&config)?;
        let db = Arc::new(Sqlite::open(&config.database())?);
        let opened = db
            .migrate()
            .and_then(|()| Engine::new(config, db.clone(), clock));
        let engine = Arc::new(opened.map_err(|e| db.locate(e))?);
        engine.set_views(vec![
            Box::new(Facts::of(&engine)),
            Box::new(At::of(&engine)),
        ]);
        Ok(Self {
            engine,
            db,
            _lock: lock,
        })
    }
}

/// Takes the data directory for this process: one daemon a directory.
fn lock(config: &Config) -> Result<Flock<File>> {
    let path = config.lock();
    let at = |e: std::io::Error| Error::from(e).context(format!("lock file {}", path.display()));
    let file = owner::open_file(&path).map_err(at)?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        nix::errno::Errno::EWOULDBLOCK => Error::new(
            Kind::Busy,
            format!(
                "data directory {} is in use by another nexus process",
                config.data_dir.display()
            ),
        ),
        other => at(other.into()),
    })
}
