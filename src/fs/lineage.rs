//! Whether the past fits together: each former state of a row ended where the next began, or where the log tells of its end.
//!
//! A row's guard is over the row, not over the operation that ended it, and says nothing of a row that is not there any more.
//! Behind the horizon rows are missing rightly: there the log alone has to tell of the end.

use super::check::{PAGE, Report};
use super::traces::lost_a_name;
use crate::core::{Ino, Op, Result};
use crate::db::Tx;
use crate::meta::node::Tense;
use crate::meta::{
    Entry, Horizons, Node, OpKind, PastKey, Record, Tenant, Xattr, entry, log, node, xattr,
};

/// One look at the past of all tenants.
pub(super) struct Lineage<'a> {
    pub(super) tx: &'a mut dyn Tx,
    pub(super) tenants: &'a [Tenant],
    pub(super) horizons: &'a Horizons,
    pub(super) report: &'a mut Report,
}

/// The end of a former state.
struct End {
    began: Op,
    ended: Op,
    /// When the next state of the same began, if there is one.
    next: Option<Op>,
}

impl End {
    /// Whether it ended because something else came in its place.
    fn is_replaced(&self) -> bool {
        self.began < self.ended && self.next == Some(self.ended)
    }

    /// Whether it can have ended without anything in its place.
    fn is_possible(&self) -> bool {
        self.began < self.ended && self.next.is_none_or(|next| next > self.ended)
    }
}

impl Lineage<'_> {
    /// Looks at every table of the past. Rows that are damaged in themselves are named, too, but nodes: those are
    /// looked at with their contents.
    pub(super) fn verify(&mut self) -> Result<()> {
        self.nodes()?;
        self.names()?;
        self.attributes()
    }

    fn nodes(&mut self) -> Result<()> {
        let (mut after, mut held) = ((0, 0), None::<(Node, Op)>);
        loop {
            let page = node::page(self.tx, Tense::Past, after, PAGE)?;
            let is_end = page.is_empty();
            for (key, row) in page {
                after = key;
                let Ok(node) = row else { continue };
                if let Some((old, ended)) = held.take() {
                    let next = (old.ino == node.ino).then_some(node.began);
                    self.node(&old, ended, next)?;
                }
                held = Some((node, Op(key.1)));
            }
            if is_end {
                return held.map_or(Ok(()), |(old, ended)| self.node(&old, ended, None));
            }
        }
    }

    fn node(&mut self, old: &Node, ended: Op, next: Option<Op>) -> Result<()> {
        let present = node::get(self.tx, old.ino).unwrap_or_default();
        let end = End {
            began: old.began,
            ended,
            next: next.or(present.map(|now| now.began)),
        };
        let went = end.is_possible() && self.lost_its_name(old.ino, ended)?;
        // What came in its place may be forgotten; the log is not.
        let concerns = |record: &Record| record.ino == old.ino || is_of_many(record.kind);
        let is_old = self
            .horizons
            .get(&old.tenant)
            .is_some_and(|h| ended <= h.upto);
        let told = is_old && end.is_possible() && self.is_told(ended, concerns);
        self.judge(end.is_replaced() || went || told, || {
            format!(
                "node {}: operation {ended} did not end a state of it",
                old.ino
            )
        });
        Ok(())
    }

    fn names(&mut self) -> Result<()> {
        let (mut after, mut held) = (PastKey::default(), None::<(Entry, Op)>);
        loop {
            let page = entry::past_page(self.tx, &after, PAGE)?;
            let is_end = page.is_empty();
            for (key, row) in page {
                let ended = Op(key.2);
                after = key;
                self.report.checked += 1;
                let Some(entry) = self.intact(row) else {
                    continue;
                };
                if let Some((old, ended)) = held.take() {
                    let is_same = (old.parent, &old.name) == (entry.parent, &entry.name);
                    self.name(&old, ended, is_same.then_some(entry.began));
                }
                held = Some((entry, ended));
            }
            if is_end {
                if let Some((old, ended)) = held {
                    self.name(&old, ended, None);
                }
                return Ok(());
            }
        }
    }

    fn name(&mut self, old: &Entry, ended: Op, next: Option<Op>) {
        let present = entry::get(self.tx, old.parent, &old.name).unwrap_or_default();
        let end = End {
            began: old.began,
            ended,
            next: next.or(present.map(|now| now.began)),
        };
        let names = |path: &[u8]| path.rsplit(|b| *b == b'/').next() == Some(old.name.as_bytes());
        let takes_away = |record: &Record| match record.kind {
            OpKind::Unlink | OpKind::Rmdir | OpKind::Rename | OpKind::Exchange => {
                names(&record.path) || record.path2.as_deref().is_some_and(names)
            }
            kind => is_of_many(kind),
        };
        let went = end.is_possible() && self.is_told(ended, takes_away);
        self.judge(end.is_replaced() || went, || {
            format!(
                "the entry {:?} of directory {}: operation {ended} did not end it",
                old.name, old.parent
            )
        });
    }

    fn attributes(&mut self) -> Result<()> {
        let (mut after, mut held) = (PastKey::default(), None::<(Xattr, Op)>);
        loop {
            let page = xattr::past_page(self.tx, &after, PAGE)?;
            let is_end = page.is_empty();
            for (key, row) in page {
                let ended = Op(key.2);
                after = key;
                self.report.checked += 1;
                let Some(attribute) = self.intact(row) else {
                    continue;
                };
                if let Some((old, ended)) = held.take() {
                    let is_same = (old.ino, &old.name) == (attribute.ino, &attribute.name);
                    self.attribute(&old, ended, is_same.then_some(attribute.began))?;
                }
                held = Some((attribute, ended));
            }
            if is_end {
                return held.map_or(Ok(()), |(old, ended)| self.attribute(&old, ended, None));
            }
        }
    }

    fn attribute(&mut self, old: &Xattr, ended: Op, next: Option<Op>) -> Result<()> {
        let all = xattr::list(self.tx, old.ino).unwrap_or_default();
        let present = all.iter().find(|now| now.name == old.name);
        let end = End {
            began: old.began,
            ended,
            next: next.or(present.map(|now| now.began)),
        };
        let concerns = |record: &Record| record.ino == old.ino || is_of_many(record.kind);
        let went = end.is_possible()
            && (self.is_told(ended, concerns) || self.lost_its_name(old.ino, ended)?);
        self.judge(end.is_replaced() || went, || {
            let name = old.name.escape_ascii();
            format!(
                "the attribute {name} of node {}: operation {ended} did not end it",
                old.ino
            )
        });
        Ok(())
    }

    /// Whether a name of a node ended with an operation.
    fn lost_its_name(&mut self, ino: Ino, op: Op) -> Result<bool> {
        lost_a_name(self.tx, ino, op)
    }

    /// Whether a record of this number, in the log of any tenant, tells of something.
    fn is_told(&mut self, op: Op, tells: impl Fn(&Record) -> bool) -> bool {
        self.tenants.iter().any(|tenant| {
            // A damaged record is named by the walk through the log.
            let found = log::at(self.tx, tenant.id, op).unwrap_or_default();
            found.is_some_and(|(record, _)| tells(&record))
        })
    }

    fn intact<T>(&mut self, row: Result<T>) -> Option<T> {
        row.map_err(|e| self.report.problem(format!("in the past: {}", e.chain())))
            .ok()
    }

    fn judge(&mut self, fits: bool, otherwise: impl FnOnce() -> String) {
        if !fits {
            self.report.problem(format!("in the past: {}", otherwise()));
        }
    }
}

/// Whether an operation changes more than its path says.
fn is_of_many(kind: OpKind) -> bool {
    matches!(kind, OpKind::Undo | OpKind::Restore)
}
