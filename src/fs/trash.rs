//! Which deletions are in the trash no more. They are in history as before: nothing is forgotten by it.

use super::engine::Engine;
use crate::core::{Caller, FsPath, Ino, Op, Result, TenantId};
use crate::meta::cache::Place;
use crate::meta::log_query::{Cursor, Query, page};
use crate::meta::{OpKind, Record};
use serde_json::json;

const PAGE: u32 = 100;

impl Engine {
    /// Takes deletions out of the trash, for everybody: `ops` are their numbers (`3,7-12`), and the newest of them deleted something at
    /// `path` or below it. Whose they are to take out is the caller's to ask ([`Engine::may_still`]). One operation; its record has that
    /// path, and names no others.
    pub fn empty_trash(
        &self,
        caller: &Caller,
        (ops, deletions): (&str, usize),
        (path, newest): (&FsPath, Op),
    ) -> Result<Op> {
        let root = self.root(caller)?;
        let about = self.stood_for(root, path, newest)?;
        self.change(caller, |ch| {
            let s = if deletions == 1 { "" } else { "s" };
            let said = json!({ "note": format!("{deletions} deletion{s}"), "ops": ops });
            let all = FsPath::default();
            let (ino, path) = about.map_or((root, &all), |ino| (ino, path));
            ch.record(OpKind::TrashEmpty, ino, path, None, &said);
            Ok(ch.op())
        })
    }

    /// What a path of the log was that of when an operation began. By now it may lead to something else.
    fn stood_for(&self, root: Ino, path: &FsPath, op: Op) -> Result<Option<Ino>> {
        let (mut at, before) = (root, Op(op.0.saturating_sub(1)));
        for name in path.names() {
            let place = Place {
                parent: at,
                name: name.clone(),
            };
            match self.store.entry_at(&place, before)? {
                Some(entry) => at = entry.ino,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
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
