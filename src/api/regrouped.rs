//! What an undo makes of who is in which group.

use super::context::Context;
use crate::core::Result;
use crate::fs::Revision;
use crate::meta::Member;
use serde::{Deserialize, Serialize};

/// A member of a group, as the undo leaves it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Regrouped {
    /// `user:bob`, `group:interns`.
    pub member: String,
    pub group: String,
    /// Whether it is in the group then.
    pub is_in: bool,
}

/// What happens to whose memberships: who may undo that is in charge of the groups.
pub(super) fn regrouped(
    cx: &Context<'_>,
    revision: &Revision,
    limit: usize,
) -> Result<Vec<Regrouped>> {
    let roster = cx.engine().roster(cx.tenant()?)?;
    let told = |row: &Member, is_in| {
        let [group, member] = [row.group, row.member].map(|id| roster.by_id(id));
        Some(Regrouped {
            member: member?.subject().to_string(),
            group: group?.subject().name,
            is_in,
        })
    };
    let left = revision
        .members_gone
        .iter()
        .filter_map(|row| told(row, false));
    let joined = revision
        .members_back
        .iter()
        .filter_map(|row| told(row, true));
    Ok(left.chain(joined).take(limit).collect())
}
