//! Which deletions are in the trash no more. They are in history as before: nothing is forgotten by it.

use super::engine::Engine;
use crate::core::{Caller, FsPath, Op, Result, TenantId};
use crate::meta::log_query::{Cursor, Query, page};
use crate::meta::{OpKind, Record};
use serde_json::json;

const PAGE: u32 = 100;

impl Engine {
    /// Takes deletions out of the trash, for everybody: `ops` are their numbers (`3,7-12`). Whose they are to take out is the
    /// caller's to ask ([`Engine::may_still`]). One operation; its record names no paths.
    pub fn empty_trash(&self, caller: &Caller, ops: &str, deletions: usize) -> Result<Op> {
        let root = self.root(caller)?;
        self.change(caller, |ch| {
            let said = json!({ "note": format!("{deletions} deletions"), "ops": ops });
            ch.record(OpKind::TrashEmpty, root, &FsPath::default(), None, &said);
            Ok(ch.op())
        })
    }

    /// The operations that emptied a tenant's trash. Costs a look at an index where it never was.
    pub fn emptied(&self, tenant: TenantId) -> Result<Vec<Record>> {
        let query = Query {
            kinds: vec![OpKind::TrashEmpty],
            ..Query::default()
        };
        let (mut all, mut from) = (Vec::new(), Cursor::OLDEST);
        loop {
            let found = page(&mut *self.store.read()?, tenant, &query, from, PAGE)?;
            let Some((last, _)) = found.last() else {
                return Ok(all);
            };
            from = from.moved(last.op);
            all.extend(found.into_iter().map(|(record, _)| record));
        }
    }
}
