//! Merging what two made of one text: the undone change out, the later one kept.

use crate::blob::{Blobs, Content, Sealed};
use crate::core::Result;

/// Larger texts are not merged, in bytes: both sides, their base and the line tables are in memory.
const TEXT_MAX: u64 = 4 << 20;

/// Merges texts, and keeps what it makes until it is stored.
pub(super) struct Merger<'a> {
    blobs: &'a Blobs,
    pub made: Vec<Sealed>,
}

impl<'a> Merger<'a> {
    pub(super) fn new(blobs: &'a Blobs) -> Self {
        Self {
            blobs,
            made: Vec::new(),
        }
    }

    /// What makes both changes of `base`; `None` when they touch the same lines, or for what is no text.
    pub(super) fn merge(
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
