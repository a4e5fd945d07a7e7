//! Applying edits to the database, many changes in one transaction.
//!
//! Of what is changed again and again (a directory's times, the head of the log) only the last state is written, in the
//! order of the keys; what is history is written whole. Budget: a file that was created takes five short
//! statements and its share of one transaction.

use super::draft::{self, Draft};
use super::edit::Edit;
use super::log::{self, Record};
use super::principal::rows;
use super::tenant::{self, Head};
use super::{Entry, Node, entry, horizon, node, object_type, snapshot, tuple, xattr, xattr::Xattr};
use crate::core::{Ino, Result, TenantId, Time};
use crate::db::Tx;
use std::collections::BTreeMap;

/// The present rows that a batch leaves; `None` where there is none any more.
#[derive(Default)]
struct Present<'a> {
    nodes: BTreeMap<Ino, Option<&'a Node>>,
    entries: BTreeMap<(Ino, &'a [u8]), Option<&'a Entry>>,
    xattrs: BTreeMap<(Ino, &'a [u8]), Option<&'a Xattr>>,
    heads: BTreeMap<TenantId, &'a Head>,
    atimes: BTreeMap<Ino, Time>,
    ids: Option<u64>,
    drafts: BTreeMap<Ino, Drafts<'a>>,
}

/// What a batch does to the drafts of a file.
#[derive(Default)]
struct Drafts<'a> {
    done: bool,
    new: Vec<&'a Draft>,
}

/// Writes the edits in the caller's transaction.
pub(super) fn apply<'a>(tx: &mut dyn Tx, edits: impl Iterator<Item = &'a Edit>) -> Result<()> {
    let mut present = Present::default();
    for edit in edits {
        match edit {
            Edit::NodePast(node, ended) => node::put_past(tx, node, *ended)?,
            Edit::EntryEnded(old, ended) => {
                entry::put_past(tx, old, *ended)?;
                present.take(edit);
            }
            Edit::XattrEnded(old, ended) => {
                xattr::put_past(tx, old, *ended)?;
                present.take(edit);
            }
            Edit::Blob(row) => row.store(tx)?,
            Edit::Log(record, hash) => log::append(tx, record, hash)?,
            Edit::Tenant(new, at) => tenant::insert_tenant(tx, new, *at)?,
            Edit::Namespace(of, new) => tenant::put_namespace(tx, *of, new)?,
            Edit::User(new, at) => rows::put_unnumbered(tx, new, *at)?,
            Edit::Principal(new) => rows::put(tx, new)?,
            Edit::PrincipalGone(old) => rows::delete(tx, old)?,
            Edit::Member(new) => rows::put_member(tx, new)?,
            Edit::MemberGone(old) => rows::delete_member(tx, old)?,
            Edit::Key(new) => rows::put_key(tx, new)?,
            Edit::KeyGone(old) => rows::delete_key(tx, old)?,
            Edit::Uids(of, next) => rows::set_uid_next(tx, *of, *next)?,
            Edit::Tuple(new) => tuple::put(tx, new)?,
            Edit::TupleGone(old) => tuple::delete(tx, old.id)?,
            Edit::ObjectType(new) => object_type::put(tx, new)?,
            Edit::ObjectTypeGone(old) => object_type::delete(tx, old.id)?,
            Edit::Snapshot(new) => snapshot::put(tx, new)?,
            Edit::SnapshotGone(old) => snapshot::delete(tx, old.tenant, &old.name)?,
            Edit::Horizon { tenant, upto, by } => horizon::set(tx, *tenant, *upto, *by)?,
            Edit::TenantGone(old) => tenant::bury(tx, old)?,
            Edit::TenantForgotten(of) => {
                // What waits in this batch of its nodes would come back behind it.
                std::mem::take(&mut present).write(tx)?;
                tenant::forget(tx, *of)?;
            }
            _ => present.take(edit),
        }
    }
    present.write(tx)
}

impl<'a> Present<'a> {
    fn take(&mut self, edit: &'a Edit) {
        match edit {
            Edit::Node(new) => {
                self.nodes.insert(new.ino, Some(new));
                self.atimes.remove(&new.ino);
            }
            Edit::NodeGone(ino) => {
                self.nodes.insert(*ino, None);
                self.atimes.remove(ino);
            }
            Edit::Entry(new) => {
                let key = (new.parent, new.name.as_bytes());
                self.entries.insert(key, Some(new));
            }
            Edit::EntryEnded(old, _) => {
                self.entries.insert((old.parent, old.name.as_bytes()), None);
            }
            Edit::Xattr(new) => {
                self.xattrs.insert((new.ino, &new.name), Some(new));
            }
            Edit::XattrEnded(old, _) => {
                self.xattrs.insert((old.ino, &old.name), None);
            }
            Edit::Head(of, head) => {
                self.heads.insert(*of, head);
            }
            Edit::Atime(ino, at) => {
                self.atimes.insert(*ino, *at);
            }
            Edit::Ids(end) => self.ids = self.ids.max(Some(*end)),
            Edit::Draft(new) => self.drafts.entry(new.ino).or_default().new.push(new),
            Edit::DraftsDone(ino) => {
                let done = Drafts {
                    done: true,
                    new: Vec::new(),
                };
                self.drafts.insert(*ino, done);
            }
            _ => {}
        }
    }

    fn write(self, tx: &mut dyn Tx) -> Result<()> {
        for (ino, state) in self.nodes {
            match state {
                Some(new) => node::put(tx, new)?,
                None => node::delete(tx, ino)?,
            }
        }
        for ((parent, name), state) in self.entries {
            match state {
                Some(new) => entry::put(tx, new)?,
                None => entry::delete(tx, parent, name)?,
            }
        }
        for ((ino, name), state) in self.xattrs {
            match state {
                Some(new) => xattr::put(tx, new)?,
                None => xattr::delete(tx, ino, name)?,
            }
        }
        for (ino, at) in self.atimes {
            node::set_atime(tx, ino, at)?;
        }
        for (ino, drafts) in self.drafts {
            if drafts.done {
                draft::delete(tx, ino)?;
            }
            drafts.new.iter().try_for_each(|new| draft::put(tx, new))?;
        }
        for (of, head) in self.heads {
            tenant::set_head(tx, of, head)?;
        }
        match self.ids {
            Some(end) => tenant::raise_counter(tx, "id", end),
            None => Ok(()),
        }
    }
}

/// How large an edit is in memory, about, in bytes.
pub(super) fn weight(edit: &Edit) -> usize {
    const ROW: usize = 300;
    match edit {
        Edit::Blob(row) => ROW + row.inline_len(),
        Edit::Log(record, _) => weight_of(record),
        Edit::Draft(draft) => ROW + usize::try_from(draft.len()).unwrap_or(usize::MAX),
        Edit::Xattr(x) | Edit::XattrEnded(x, _) => ROW + x.value.len(),
        Edit::ObjectType(t) => ROW + t.definition.len(),
        Edit::Snapshot(s) => ROW + s.description.as_ref().map_or(0, String::len),
        _ => ROW,
    }
}

fn weight_of(record: &Record) -> usize {
    300 + record.path.len() + record.undo.len()
}
