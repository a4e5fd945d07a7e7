//! What a fold asks: texts that two changed, merged; what they have in common; and what an operation was.

use super::fold::Counsel;
use crate::blob::{Blobs, Content, Sealed};
use crate::core::{Op, Result, TenantId};
use crate::meta::{Record, Store, log};
use std::collections::HashSet;

/// Larger texts are not merged, in bytes: both sides, their base and the line tables are in memory.
const TEXT_MAX: u64 = 4 << 20;

/// Answers for one plan, and keeps the contents that it makes until they are stored. Reads on its own: not to be asked while
/// a transaction is held (see [`Blobs`]).
pub(super) struct Merger<'a> {
    blobs: &'a Blobs,
    store: &'a Store,
    tenant: TenantId,
    pub made: Vec<Sealed>,
}

impl Counsel for Merger<'_> {
    fn merge(
        &mut self,
        base: &Content,
        ours: &Content,
        theirs: &Content,
    ) -> Result<Option<Content>> {
        let (base, ours) = (self.text(base)?, self.text(ours)?);
        let (Some(base), Some(ours), Some(theirs)) = (base, ours, self.text(theirs)?) else {
            return Ok(None);
        };
        let Ok(merged) = diffy::merge(&base, &ours, &theirs) else {
            return Ok(None);
        };
        let sealed = self.blobs.seal_bytes(merged.as_bytes())?;
        let content = sealed.content.clone();
        self.made.push(sealed);
        Ok(Some(content))
    }

    fn is_akin(&mut self, one: &Content, other: &Content) -> Result<bool> {
        let (Some(one), Some(other)) = (self.text(one)?, self.text(other)?) else {
            return Ok(true);
        };
        let lines = |text| str::lines(text).filter(|line| !line.trim().is_empty());
        let known: HashSet<_> = lines(&one).collect();
        Ok(lines(&other).any(|line| known.contains(line)))
    }

    fn record(&mut self, op: Op) -> Result<Option<Record>> {
        let found = log::at(&mut *self.store.read()?, self.tenant, op)?;
        Ok(found.map(|(record, _)| record))
    }
}

impl<'a> Merger<'a> {
    pub(super) fn new(store: &'a Store, blobs: &'a Blobs, tenant: TenantId) -> Self {
        Self {
            blobs,
            store,
            tenant,
            made: Vec::new(),
        }
    }

    fn text(&self, content: &Content) -> Result<Option<String>> {
        let size = content.size();
        if size > TEXT_MAX {
            return Ok(None);
        }
        let bytes = self
            .blobs
            .read(content, 0, usize::try_from(size).unwrap_or(0))?;
        let text = (!bytes.contains(&0)).then(|| String::from_utf8(bytes.to_vec()).ok());
        Ok(text.flatten())
    }
}
