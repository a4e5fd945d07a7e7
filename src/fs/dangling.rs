//! fsck of relationships: whether what they name is there.
//!
//! A node takes what was granted on it along when its last name goes, a principal what names him, a type every tuple with
//! objects of it (`Change::remove`, `take_away`, `delete_type`). So no tuple outlives what it names.

use super::check::{PAGE, Present, Report, each_row};
use crate::core::{Result, TenantId};
use crate::db::Tx;
use crate::meta::tuple::{self, FILE, GROUP, PRINCIPALS, Tuple};
use crate::meta::{Principal, Roster, SubjectKind, Tenant, object_type, snapshot};
use std::collections::{HashMap, HashSet};

/// What a tuple may name.
struct Named<'a> {
    present: &'a Present,
    rosters: HashMap<TenantId, Roster>,
    types: HashSet<(TenantId, String)>,
}

/// Checks that types, tuples and snapshots are as they were written, and that what tuples name is there.
pub(super) fn scan_relations(
    tx: &mut dyn Tx,
    present: &Present,
    tenants: &[Tenant],
    report: &mut Report,
) -> Result<()> {
    let mut named = Named {
        present,
        rosters: HashMap::new(),
        types: HashSet::new(),
    };
    for t in tenants {
        // Damaged rows of principals are told where these are looked at.
        let read = Roster::load_past(tx, t.id, &mut |_| Ok(()));
        named.rosters.insert(t.id, read.unwrap_or_default());
    }
    for row in object_type::all(tx)? {
        report.checked += 1;
        if let Some(row) = report.note(row) {
            named.types.insert((row.tenant, row.name));
        }
    }
    for row in snapshot::all(tx)? {
        report.checked += 1;
        report.note(row);
    }
    let page = |after: &u64| tuple::page(tx, *after, PAGE);
    each_row(0, page, |_, row| {
        report.checked += 1;
        if let Some(tuple) = report.note(row) {
            for missing in named.missing(&tuple) {
                report.problem(format!(
                    "relationship {} names {missing}, which does not exist",
                    tuple.id
                ));
            }
        }
    })
}

impl Named<'_> {
    /// What a tuple names that is not there.
    fn missing(&self, tuple: &Tuple) -> Vec<String> {
        let mut missing = Vec::new();
        let object = (&*tuple.object_type, &*tuple.object_id);
        if !self.has_object(tuple, object.0) {
            missing.push(words(object));
        }
        let subject = (&*tuple.subject_type, &*tuple.subject_id);
        if !self.has_subject(tuple, subject.0) {
            missing.push(words(subject));
        }
        missing
    }

    fn has_object(&self, tuple: &Tuple, kind: &str) -> bool {
        if kind == FILE {
            return tuple
                .ino()
                .is_some_and(|ino| self.present.has(tuple.tenant, ino));
        }
        if kind == GROUP {
            let roster = self.rosters.get(&tuple.tenant);
            let found = tuple
                .group()
                .and_then(|id| roster.and_then(|r| r.by_id(id)));
            return matches!(found, Some(Principal::Group(_)));
        }
        self.has_type(tuple.tenant, kind)
    }

    fn has_subject(&self, tuple: &Tuple, kind: &str) -> bool {
        if !PRINCIPALS.contains(&kind) {
            return self.has_type(tuple.tenant, kind);
        }
        let roster = self.rosters.get(&tuple.tenant);
        let is_of_kind = |one: &Principal| {
            let is: SubjectKind = one.subject().kind;
            is.to_string() == kind
        };
        let found = tuple
            .principal()
            .and_then(|id| roster.and_then(|r| r.by_id(id)));
        tuple.is_for_everybody() || found.is_some_and(is_of_kind)
    }

    /// Objects of a tenant's own types are there because a tuple says so.
    fn has_type(&self, tenant: TenantId, kind: &str) -> bool {
        self.types.contains(&(tenant, kind.to_owned()))
    }
}

fn words((kind, id): (&str, &str)) -> String {
    match kind {
        FILE => format!("node {id}"),
        kind => format!("{kind} {id}"),
    }
}
