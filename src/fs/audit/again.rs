//! Records that say how often something was done again.

use super::tally::{Repeats, Tally, Told};
use crate::core::{Caller, FsPath, Kind, Result, TenantId, error::fail};
use crate::fs::engine::Engine;
use crate::meta::{Record, log};
use std::hash::Hash;
use std::sync::Arc;

impl Engine {
    /// Writes down how often that was done again which is counted no more.
    pub(in crate::fs) fn write_repeats(&self) -> Result<()> {
        self.write_over(&self.audit.written)?;
        self.write_over(&self.audit.refused.told)
    }

    fn write_over<K: Eq + Hash + Clone>(&self, tally: &Tally<K>) -> Result<()> {
        let mut over = tally.over(self.clock.now()).into_iter();
        while let Some(told) = over.next() {
            if let Err(e) = self.write_repeats_of(&told) {
                tally.put_back([told].into_iter().chain(over));
                return Err(e);
            }
        }
        Ok(())
    }

    /// Writes down how often everything was done again so far; of a tenant, or of all.
    pub(in crate::fs) fn write_all_repeats(&self, of: Option<TenantId>) -> Result<()> {
        let mut all = self.audit.written.all();
        all.extend(self.audit.refused.told.all());
        all.retain(|told| of.is_none_or(|of| told.is_of(of)));
        all.iter().try_for_each(|told| self.write_repeats_of(told))
    }

    fn write_repeats_of(&self, told: &Told) -> Result<()> {
        let Some(repeats) = told.take() else {
            return Ok(());
        };
        let Err(e) = self.write_count(&repeats) else {
            return Ok(());
        };
        // With a tenant went its log.
        if self.tenants.lives(Some(repeats.tenant)).is_err() {
            return Ok(());
        }
        // A record that is damaged stays so, and others wait behind this one.
        if e.kind() == Kind::Corrupt {
            tracing::error!(
                ?repeats,
                "what was done again is in no record: {}",
                e.chain()
            );
            return Ok(());
        }
        told.give_back(&repeats);
        Err(e)
    }

    /// Writes one more record of what the first is of, by the same and about the same.
    fn write_count(&self, repeats: &Repeats) -> Result<()> {
        let Repeats {
            tenant,
            first,
            times,
            last,
        } = *repeats;
        let found = log::at(&mut *self.store.read()?, tenant, first)?;
        let Some((record, _)) = found else {
            let message = format!("operation {first} is not in the log any more");
            return fail(Kind::Corrupt, message);
        };
        let mut undo = record.details();
        undo["times"] = times.into();
        undo["last"] = last.to_string().into();
        undo["first"] = first.0.into();
        let path = FsPath::recorded(&record.path)?;
        self.change(&author_of(&record), |ch| {
            ch.record(record.kind, record.ino, &path, None, &undo);
            Ok(())
        })
    }
}

/// Who did what a record tells, as far as another record of his has to say.
fn author_of(record: &Record) -> Caller {
    let author = record.author.clone();
    let shared = |name: Option<String>| name.map(Arc::from);
    Caller {
        user: shared(author.user),
        agent: shared(author.agent),
        session: shared(author.session),
        uid: author.uid,
        pid: author.pid,
        comm: Some(author.comm.into()),
        ..Caller::engine(record.tenant)
    }
}
