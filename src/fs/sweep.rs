//! gc: blobs that nothing refers to any more. Nobody waits for it.
//!
//! What is referred to are the contents of all rows, present and past, but those behind the horizon; what is open; and what a
//! seal is about to refer to (`Blobs::watch`). Drafts hold bytes, and refer to none. A content that a table has when it is looked at
//! may be forgotten before somebody who opens it has said so: `Engine::borrowing` is held in between, and a sweep begins between two
//! such moments, so what is taken up before it is found open, and what is taken up later is still in the tables it reads.

use super::check::Report;
use super::engine::Engine;
use super::namespace::admin;
use super::verify::each_content;
use crate::blob::{Content, Garbage, Place};
use crate::core::{Caller, Kind, Result, error::fail};
use crate::meta::{Horizons, horizon};
use std::collections::HashSet;

/// How many rows one transaction deletes.
const BATCH: usize = 1000;

/// Blobs that nothing refers to: what was forgotten, and what a crash between bytes and transaction leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unreferenced {
    pub blobs: u64,
    pub bytes: u64,
}

impl Engine {
    /// Finds blobs that nothing refers to; with `remove` takes them away. Administrators only.
    pub fn gc(&self, caller: &Caller, remove: bool) -> Result<Unreferenced> {
        admin(caller)?;
        let _one = self.thinning.lock();
        let horizons = horizon::all(&mut *self.store.read()?)?;
        self.sweep(&horizons, remove)
    }

    /// The same, as if these were the horizons. One sweep at a time.
    pub(super) fn sweep(&self, horizons: &Horizons, remove: bool) -> Result<Unreferenced> {
        let _watch = self.blobs.watch();
        drop(self.borrowing.write());
        let contents = self.contents(horizons)?;
        let live = self.blobs.live(&mut contents.into_iter())?;
        let garbage = self.blobs.unreferenced(&live)?;
        if remove {
            self.remove(&garbage)?;
        }
        Ok(Unreferenced {
            blobs: garbage.len() as u64,
            bytes: garbage.iter().map(|g| g.size).sum(),
        })
    }

    /// Every content that is referred to. The tables come first: what is opened after they were read has its content from them.
    fn contents(&self, horizons: &Horizons) -> Result<HashSet<Content>> {
        let (mut all, mut report) = (HashSet::new(), Report::default());
        each_content(
            &mut *self.store.read()?,
            horizons,
            &mut report,
            &mut |node, _| {
                all.insert(node.content.clone());
            },
        )?;
        if let Some(problem) = report.problems.first() {
            let message = format!("the store is damaged, so nothing is removed: {problem}");
            return fail(Kind::Corrupt, message);
        }
        all.extend(self.files.contents());
        all.extend(self.transient.contents());
        Ok(all)
    }

    fn remove(&self, garbage: &[Garbage]) -> Result<()> {
        for some in garbage.chunks(BATCH) {
            let mut tx = self.store.begin()?;
            self.blobs.remove_rows(&mut *tx, some)?;
            tx.commit()?;
        }
        if garbage.iter().any(|blob| blob.place != Place::Database) {
            // A power cut must bring back neither a row that refers to the files nor a record of the journal that names them.
            self.store.harden()?;
            self.blobs.remove_files(garbage)?;
        }
        Ok(())
    }
}
