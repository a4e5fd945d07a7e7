//! fsync(2) of a file that goes on being written: its new bytes are made durable as they are, and are no version yet.
//!
//! Budget: the bytes once into the journal, one sync that all who wait share; nothing is hashed, whatever the file's size.

use super::engine::Engine;
use super::handle::{Handle, Source};
use super::open_file::OpenFile;
use crate::blob::Working;
use crate::core::{Caller, Ino, Kind, Name, Result};
use crate::meta::cache::Place;
use crate::meta::draft::{self, Draft, Found};
use crate::meta::log::Author;
use crate::meta::{Edit, Edits, OpKind};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Bytes of one fsync that go into the journal; a file with more of them becomes a version instead.
const DRAFT_MAX: u64 = 1 << 20;
/// After how many rounds at most a file that could not become a version is tried again.
const ROUNDS_MAX: u64 = 64;
/// Bytes that a file may have as drafts before it becomes a version: what a recovery has to write again.
const DRAFTS_MAX: u64 = 16 << 20;

/// Closed files that wait for a version.
#[derive(Default)]
pub(super) struct Unsealed {
    pub(super) handles: Vec<Arc<Handle>>,
    /// How often they could have been tried since one came.
    pub(super) rounds: u64,
}

impl Unsealed {
    /// Takes them out, if it is time to try them again: after 1, 2, 4, … rounds, then every `ROUNDS_MAX`.
    pub(super) fn due(&mut self) -> Vec<Arc<Handle>> {
        self.rounds += 1;
        if is_due(self.rounds) {
            return std::mem::take(&mut self.handles);
        }
        Vec::new()
    }
}

fn is_due(round: u64) -> bool {
    round.is_power_of_two() || round.is_multiple_of(ROUNDS_MAX)
}

impl Engine {
    /// Gets what was written to a file ready for the next sync of the journal: as a draft where that is little, else as
    /// a version.
    pub(super) fn harden(&self, caller: &Caller, file: &Arc<OpenFile>) -> Result<()> {
        let mut writing = file.state.lock();
        let known =
            self.transient.birth(file.ino).is_none() && !self.transient.is_unlinked(file.ino);
        let room = DRAFT_MAX.min(DRAFTS_MAX.saturating_sub(file.drafted()));
        if !known || !file.is_dirty() {
            drop(writing);
            return self.seal(caller, file, OpKind::Write);
        }
        let Some(writes) = writing.working.fresh(&self.blobs, room)? else {
            drop(writing);
            return self.seal(caller, file, OpKind::Write);
        };
        if writes.is_empty() {
            return Ok(());
        }
        let who = writing.writer.clone().unwrap_or_else(|| caller.clone());
        let draft = Draft {
            id: self.next_id(),
            ino: file.ino,
            tenant: self.node(file.ino)?.tenant,
            author: self.author(&who),
            at: file.mtime(),
            writes,
        };
        file.draft(draft.len());
        let edits = [Edit::Draft(Arc::new(draft)), self.ids_taken()];
        self.store.commit(Edits::from_iter(edits))?;
        writing.working.hardened();
        Ok(())
    }

    /// Keeps a closed file that could not become a version, if bytes of it were synced: those nobody may lose.
    pub(super) fn keep_drafted(&self, handle: Arc<Handle>) {
        if let Source::Stored(held) = &handle.source
            && held.file.drafted() > 0
        {
            let mut unsealed = self.files.unsealed.lock();
            unsealed.handles.push(handle);
            unsealed.rounds = 0;
        }
    }

    /// Tries again to make versions of the files that were kept; the more seldom the longer it is in vain.
    pub(super) fn retry_unsealed(&self) {
        // Not held while one of them is sealed, nor in a loop's head.
        let kept = self.files.unsealed.lock().due();
        for handle in kept {
            let Source::Stored(held) = &handle.source else {
                continue;
            };
            if let Err(e) = self.settle_of_anybody(&held.file) {
                tracing::warn!(ino = %held.file.ino, "synced bytes wait for a version: {}", e.chain());
                self.files.unsealed.lock().handles.push(handle);
            }
        }
    }

    /// Seals what is pending of a file in the name of who wrote it, also where he was deleted meanwhile: then under the uid that he
    /// had, as a restart does.
    fn settle_of_anybody(&self, file: &OpenFile) -> Result<()> {
        if let Some(node) = self.stored_node(file.ino)?
            && let Some(writer) = &mut file.state.lock().writer
        {
            writer.tenant.get_or_insert(node.tenant);
        }
        self.settle_file(file.ino)
    }

    /// What was synced of a file becomes a version before a name of it goes: undo has nothing else to bring back. A file whose
    /// content is damaged can be deleted nevertheless.
    pub(super) fn seal_synced(&self, parent: Ino, name: &Name) -> Result<()> {
        let name = name.clone();
        let Some(entry) = self.stored_entry(Place { parent, name })? else {
            return Ok(());
        };
        if !self.files.is_drafted(entry.ino) {
            return Ok(());
        }
        match self.settle_file(entry.ino) {
            Err(e) if e.kind() == Kind::Corrupt => Ok(()),
            other => other,
        }
    }

    /// Seals what is pending of a node in the name of who wrote it.
    pub(super) fn settle_file(&self, ino: Ino) -> Result<()> {
        let Some(file) = self.files.find(ino).filter(|f| f.is_dirty()) else {
            return Ok(());
        };
        let writer = file.state.lock().writer.clone();
        match writer {
            Some(writer) => self.seal(&writer, &file, OpKind::Write),
            None => Ok(()),
        }
    }

    /// What is being written to some files becomes versions: somebody's later work, which is not lost when they are undone.
    pub(super) fn seal_pending(&self, files: impl Iterator<Item = Ino>) -> Result<()> {
        for ino in files {
            self.settle_file(ino)?;
        }
        Ok(())
    }

    /// The file has no name any more: what was synced of it is nobody's.
    pub(super) fn forget_drafts(&self, file: &OpenFile) -> Result<()> {
        if file.drafted() > 0 {
            self.store.commit(done(file.ino))?;
            file.undraft();
        }
        Ok(())
    }

    pub(super) fn author(&self, who: &Caller) -> Author {
        let own = |s: &Option<Arc<str>>| s.as_deref().map(str::to_owned);
        let (pid, comm) = self.processes.of(who);
        Author {
            user: own(&who.user),
            agent: own(&who.agent),
            session: own(&who.session),
            uid: who.uid,
            pid,
            comm,
        }
    }

    /// Makes versions of what was synced before a crash and not closed.
    pub(super) fn recover_drafts(&self) -> Result<()> {
        let mut files: BTreeMap<Ino, Vec<Draft>> = BTreeMap::new();
        let (mut damaged, mut aside) = (BTreeSet::new(), Vec::new());
        for Found { id, ino, draft } in draft::all(&mut *self.store.read()?)? {
            let drafts = files.entry(ino).or_default();
            match draft {
                // What lies behind damage was written to a file that is not there any more.
                Ok(draft) if !damaged.contains(&ino) => drafts.push(draft),
                Ok(_) => aside.push(id),
                Err(e) => {
                    tracing::error!(%ino, "a file loses what was synced last: {}", e.chain());
                    damaged.insert(ino);
                    aside.push(id);
                }
            }
        }
        if !aside.is_empty() {
            let mut tx = self.store.begin()?;
            aside
                .into_iter()
                .try_for_each(|id| draft::set_aside(&mut *tx, id))?;
            tx.commit()?;
        }
        for (ino, drafts) in files {
            if let Err(e) = self.finish(ino, &drafts) {
                tracing::error!(%ino, "what was synced is not in the file: {}", e.chain());
                return Err(e);
            }
        }
        Ok(())
    }

    fn finish(&self, ino: Ino, drafts: &[Draft]) -> Result<()> {
        let (Some(last), Some(node)) = (drafts.last(), self.store.node(ino)?) else {
            return self.store.commit(done(ino));
        };
        let mut working = Working::new(node.content.clone());
        for (at, bytes) in drafts.iter().flat_map(|d| &d.writes) {
            working.write(&self.blobs, *at, bytes)?;
        }
        let sealed = working.seal(&self.blobs)?;
        let name = |s: &Option<String>| s.as_deref().map(Arc::from);
        let who = Caller {
            user: name(&last.author.user),
            agent: name(&last.author.agent),
            session: name(&last.author.session),
            uid: last.author.uid,
            pid: last.author.pid,
            comm: Some(Arc::from(last.author.comm.as_str())),
            ..Caller::engine(last.tenant)
        };
        self.change(&who, |ch| {
            ch.new_version(ino, &sealed, last.at, OpKind::Write)?;
            ch.edit(Edit::DraftsDone(ino));
            Ok(())
        })
    }
}

fn done(ino: Ino) -> Edits {
    Edits::from_iter([Edit::DraftsDone(ino)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_again_and_again_is_tried_more_and_more_seldom() {
        let mut unsealed = Unsealed::default();
        let tried = (1..=192).filter(|_| {
            unsealed.due();
            is_due(unsealed.rounds)
        });
        assert_eq!(tried.count(), 9);
    }
}
