//! fsck of principals: whether their rows are as they were written, and everybody whom a row names is there.

use crate::core::PrincipalId;
use crate::db::Tx;
use crate::fs::buried::scan_end;
use crate::fs::check::Report;
use crate::meta::{Principal, Roster, Tenant};

/// Checks that agents have owners, that members and their groups exist, and that keys are somebody's.
pub(in crate::fs) fn scan_principals(tx: &mut dyn Tx, t: &Tenant, report: &mut Report) {
    scan_end(tx, t, report);
    let mut wrong = Vec::new();
    let read = Roster::load_past(tx, t.id, &mut |damage| {
        wrong.push(damage.chain());
        Ok(())
    });
    let Some(roster) = report.note(read) else {
        return;
    };
    let is = |id: PrincipalId, fits: fn(&Principal) -> bool| roster.by_id(id).is_some_and(fits);
    for agent in roster.agents() {
        if !is(agent.owner, |p| matches!(p, Principal::User(_))) {
            wrong.push(format!("agent {:?} has no owner", agent.name));
        }
    }
    for (group, member) in roster.memberships() {
        if !is(group, |p| matches!(p, Principal::Group(_))) || !is(member, |_| true) {
            wrong.push(format!(
                "principal {} is in {}, and one of them is not there",
                member.0, group.0
            ));
        }
    }
    for key in roster.keys() {
        if !is(key.of, |p| !matches!(p, Principal::Group(_))) {
            wrong.push(format!("key {} is nobody's", key.id.0));
        }
    }
    let rows = roster.all().count() + roster.memberships().count() + roster.keys().count();
    report.checked += rows as u64;
    for problem in wrong {
        report.problem(format!("tenant {}: {problem}", t.name));
    }
}
