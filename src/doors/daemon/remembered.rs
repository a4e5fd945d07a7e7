//! The mounts that stand, in the database: what a daemon that was killed makes again when it comes back.

use super::request::Standing;
use crate::core::{Error, Kind, Result};
use crate::db::Db;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

pub(super) fn remember(db: &dyn Db, standing: &Standing) -> Result<()> {
    let options = serde_json::to_string(standing)
        .map_err(|e| Error::new(Kind::Io, "mount options cannot be written").caused_by(e))?;
    let mut tx = db.begin()?;
    tx.execute(
        "INSERT INTO mounts (dir, options) VALUES ($1, $2) \
         ON CONFLICT (dir) DO UPDATE SET options = excluded.options",
        &[
            standing.request.dir.0.as_slice().into(),
            options.as_str().into(),
        ],
    )?;
    tx.commit()
}

/// Makes sure that the next daemon does not make this mount again.
pub fn forget(db: &dyn Db, dir: &Path) -> Result<()> {
    let dir = dir.as_os_str().as_bytes();
    let mut tx = db.begin()?;
    tx.execute("DELETE FROM mounts WHERE dir = $1", &[dir.into()])?;
    tx.commit()
}

pub(super) fn all(db: &dyn Db) -> Result<Vec<Standing>> {
    let rows = db
        .read()?
        .query("SELECT options FROM mounts ORDER BY dir", &[])?;
    let read = |row: &crate::db::Row| {
        serde_json::from_str(row.text(0)?).map_err(|e| {
            Error::new(Kind::Corrupt, "a remembered mount cannot be read").caused_by(e)
        })
    };
    rows.iter().map(read).collect()
}
