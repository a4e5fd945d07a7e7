//! The texts that a change brings to the database, which takes none with NUL in it (PostgreSQL, "Character Types").
//!
//! Asked before a change is in the journal: one that the database refuses later would stand in the way of every later one.

use super::edit::{Edit, Edits};
use super::log::{Author, Record};
use super::principal::Principal;
use crate::core::{Kind, Result, error::fail};

impl Edits {
    /// Fails with `Invalid` when a text has NUL in it.
    pub(super) fn check_texts(&self) -> Result<()> {
        let mut fits = true;
        for edit in &self.list {
            each_text(edit, &mut |text| fits &= !text.contains('\0'));
        }
        if fits {
            return Ok(());
        }
        fail(Kind::Invalid, "a text with NUL in it cannot be stored")
    }
}

fn each_text(edit: &Edit, see: &mut dyn FnMut(&str)) {
    match edit {
        Edit::Log(record, _) => of_record(record, see),
        Edit::Draft(draft) => of_author(&draft.author, see),
        Edit::Tenant(tenant, _) | Edit::TenantGone(tenant) => see(&tenant.name),
        Edit::Namespace(_, namespace) => see(&namespace.name),
        Edit::Principal(principal) | Edit::PrincipalGone(principal) => {
            of_principal(principal, see);
        }
        Edit::User(user, _) => of_person(
            [
                Some(&user.name),
                user.full_name.as_ref(),
                user.email.as_ref(),
            ],
            see,
        ),
        Edit::Key(key) | Edit::KeyGone(key) => key.description.iter().for_each(|t| see(t)),
        Edit::Tuple(t) | Edit::TupleGone(t) => {
            see(&t.object_type);
            see(&t.object_id);
            see(&t.relation);
            see(&t.subject_type);
            see(&t.subject_id);
            see(&t.subject_relation);
        }
        Edit::ObjectType(kind) | Edit::ObjectTypeGone(kind) => {
            see(&kind.name);
            see(&kind.definition);
        }
        Edit::Snapshot(s) | Edit::SnapshotGone(s) => {
            see(&s.name);
            let others = [&s.user, &s.agent, &s.description];
            others.into_iter().flatten().for_each(|t| see(t));
        }
        // Numbers and bytes.
        Edit::Node(_)
        | Edit::NodePast(..)
        | Edit::NodeGone(_)
        | Edit::Entry(_)
        | Edit::EntryEnded(..)
        | Edit::Xattr(_)
        | Edit::XattrEnded(..)
        | Edit::Blob(_)
        | Edit::Head(..)
        | Edit::Atime(..)
        | Edit::Ids(_)
        | Edit::DraftsDone(_)
        | Edit::Member(_)
        | Edit::MemberGone(_)
        | Edit::Uids(..)
        | Edit::Horizon { .. }
        | Edit::TenantForgotten(_) => {}
    }
}

fn of_record(record: &Record, see: &mut dyn FnMut(&str)) {
    of_author(&record.author, see);
    see(&record.undo);
}

fn of_author(author: &Author, see: &mut dyn FnMut(&str)) {
    let names = [&author.user, &author.agent, &author.session];
    names.into_iter().flatten().for_each(|t| see(t));
    see(&author.comm);
}

fn of_principal(principal: &Principal, see: &mut dyn FnMut(&str)) {
    match principal {
        Principal::User(user) => of_person(
            [
                Some(&user.name),
                user.full_name.as_ref(),
                user.email.as_ref(),
            ],
            see,
        ),
        Principal::Agent(agent) => see(&agent.name),
        Principal::Group(group) => {
            see(&group.name);
            group.description.iter().for_each(|t| see(t));
        }
    }
}

/// A user, whichever version of Nexus has written it down.
fn of_person(texts: [Option<&String>; 3], see: &mut dyn FnMut(&str)) {
    texts.into_iter().flatten().for_each(|t| see(t));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{Ino, Op, TenantId, Time};
    use crate::meta::Snapshot;
    use std::sync::Arc;

    fn snapshot(description: &str) -> Edits {
        let snapshot = Snapshot {
            tenant: TenantId(1),
            name: "first".to_owned(),
            op: Op(1),
            ino: Ino(1),
            uid: 0,
            user: Some("root".to_owned()),
            agent: None,
            created: Time(0),
            description: Some(description.to_owned()),
        };
        [Edit::Snapshot(Arc::new(snapshot))].into_iter().collect()
    }

    #[test]
    fn a_text_that_a_database_refuses_is_refused_before() {
        snapshot("a\nb").check_texts().unwrap();
        let refused = snapshot("a\0b").check_texts().unwrap_err();
        assert_eq!(refused.kind(), Kind::Invalid);
    }
}
