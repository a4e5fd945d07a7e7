//! Who was in which group: memberships have no rows of the past, so their lives are read from the log.

use super::fold::{Timeline, touching};
use super::ops::Without;
use crate::core::{Op, PrincipalId, Result, TenantId};
use crate::db::Tx;
use crate::meta::log_query::{Cursor, Query, page};
use crate::meta::{Member, OpKind, Principal, Record};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How many records one statement reads.
const PAGE: u32 = 1000;

/// A group and who is in it.
pub(super) type Pair = (PrincipalId, PrincipalId);

/// The life of a membership.
pub(super) struct Membership {
    pub line: Timeline<Member>,
    /// Whether the group or the member was deleted: it cannot come back.
    is_over: bool,
}

impl Membership {
    /// What it is to be, where that is not what it is.
    pub(super) fn turn(&self, undone: Without<'_>) -> Option<Turn> {
        match (self.line.last_not_in(undone), self.line.now()) {
            (Some(_), None) if self.is_over => Some(Turn::Stays),
            (Some(should), None) => Some(Turn::Join(should)),
            (None, Some(is)) if !self.is_over => Some(Turn::Leave(*is)),
            _ => None,
        }
    }

    /// The operations among the undone that changed it.
    pub(super) fn touching(&self, undone: Without<'_>) -> impl Iterator<Item = Op> {
        let all: Vec<_> = touching(&self.line, undone).iter().collect();
        all.into_iter()
    }
}

/// What an undo does to a membership.
pub(super) enum Turn {
    Join(Member),
    Leave(Member),
    /// It should come back, and nobody is there for it.
    Stays,
}

/// The memberships that came with an operation, and those that went.
pub(super) fn moved(record: &Record) -> (Vec<Member>, Vec<Member>) {
    let said = record.details();
    let told = |said: &Value| members(record.tenant, said);
    match record.kind {
        OpKind::GroupAdd => (told(&said), Vec::new()),
        OpKind::GroupRemove => (Vec::new(), told(&said)),
        OpKind::Undo => (told(&said["joined"]), told(&said["left"])),
        OpKind::UserDelete | OpKind::AgentDelete | OpKind::GroupDelete => {
            (Vec::new(), told(&said["members"]))
        }
        _ => (Vec::new(), Vec::new()),
    }
}

fn members(tenant: TenantId, said: &Value) -> Vec<Member> {
    #[derive(Deserialize)]
    struct Said {
        group: PrincipalId,
        member: PrincipalId,
    }
    let one = |said: &Value| {
        let said = Said::deserialize(said).ok()?;
        Some(Member {
            tenant,
            group: said.group,
            member: said.member,
        })
    };
    match said {
        Value::Array(all) => all.iter().filter_map(one).collect(),
        single => one(single).into_iter().collect(),
    }
}

/// Reads the lives of some memberships from an operation on.
pub(super) fn read(
    tx: &mut dyn Tx,
    tenant: TenantId,
    of: &BTreeSet<Pair>,
    since: Op,
) -> Result<BTreeMap<Pair, Membership>> {
    let mut all = BTreeMap::new();
    if of.is_empty() {
        return Ok(all);
    }
    let query = Query {
        kinds: vec![
            OpKind::GroupAdd,
            OpKind::GroupRemove,
            OpKind::Undo,
            OpKind::UserDelete,
            OpKind::AgentDelete,
            OpKind::GroupDelete,
        ],
        first: Some(since),
        ..Query::default()
    };
    let mut at = Cursor::OLDEST;
    loop {
        let found = page(tx, tenant, &query, at, PAGE)?;
        for (record, _) in &found {
            at = at.moved(record.op);
            follow(&mut all, of, record);
        }
        if found.len() < PAGE as usize {
            return Ok(all);
        }
    }
}

fn follow(all: &mut BTreeMap<Pair, Membership>, of: &BTreeSet<Pair>, record: &Record) {
    let (came, went) = moved(record);
    let gone = went.into_iter().map(|m| (m, None));
    for (member, state) in gone.chain(came.into_iter().map(|m| (m, Some(m)))) {
        let pair = (member.group, member.member);
        if !of.contains(&pair) {
            continue;
        }
        // Nobody comes in who is in, nor leaves who is out.
        let before = state.is_none().then_some(member);
        let known = all.entry(pair).or_insert_with(|| Membership {
            line: Timeline {
                before,
                changes: Vec::new(),
            },
            is_over: false,
        });
        known.line.changes.push((record.op, state));
    }
    let said = record.details();
    let deleted = Vec::<Principal>::deserialize(&said["principals"]).unwrap_or_default();
    for id in deleted.iter().map(Principal::id) {
        let of_it = all.iter_mut().filter(|((g, m), _)| *g == id || *m == id);
        of_it.for_each(|(_, membership)| membership.is_over = true);
    }
}
