//! What goes with a principal: its keys, its memberships, its grants.

use crate::core::{PrincipalId, Result};
use crate::fs::commit::Change;
use crate::fs::home::Home;
use crate::meta::tuple::Tuple;
use crate::meta::{Edit, Key, Member, OpKind, Principal, Roster};
use serde_json::json;
use std::sync::Arc;

impl Change<'_> {
    /// Takes principals away with everything that refers to them, as one operation that holds all it takes to bring them back.
    /// The first is the one it was asked for.
    pub(super) fn take_away(
        &mut self,
        home: &Home,
        kind: OpKind,
        going: &[Principal],
    ) -> Result<()> {
        let ids: Vec<_> = going.iter().map(Principal::id).collect();
        let keys = keys_of(&home.roster, &ids);
        let members = memberships_of(home, &ids);
        for key in &keys {
            self.edit(Edit::KeyGone(key.clone()));
        }
        for member in &members {
            self.edit(Edit::MemberGone(*member));
        }
        let grants = self.drop_grants_of(home, &ids);
        for old in going {
            self.edit(Edit::PrincipalGone(old.clone()));
        }
        let undo = json!({
            "subject": going.first().map(|p| p.subject().to_string()),
            "principals": going,
            "keys": keys,
            "members": members,
            "grants": grants,
        });
        self.forget_all(home)?;
        self.record_of(home, kind, &undo);
        Ok(())
    }

    /// The one place where grants end with their subject, and with the group that they are on: gives the tuples that go.
    fn drop_grants_of(&mut self, home: &Home, going: &[PrincipalId]) -> Vec<Arc<Tuple>> {
        let is_gone = |id: Option<PrincipalId>| id.is_some_and(|id| going.contains(&id));
        let goes = |t: &Tuple| is_gone(t.principal()) || is_gone(t.group());
        let tuples = self.engine.tuples(home.tenant.id, goes);
        for tuple in &tuples {
            self.edit(Edit::TupleGone(tuple.clone()));
        }
        tuples
    }
}

fn keys_of(roster: &Roster, going: &[PrincipalId]) -> Vec<Arc<Key>> {
    let keys = roster.keys().filter(|k| going.contains(&k.of));
    keys.cloned().collect()
}

/// The memberships on either side, each once.
fn memberships_of(home: &Home, going: &[PrincipalId]) -> Vec<Member> {
    let goes = |(group, member): &(PrincipalId, PrincipalId)| {
        going.contains(group) || going.contains(member)
    };
    let row = |(group, member)| Member {
        tenant: home.tenant.id,
        group,
        member,
    };
    home.roster.memberships().filter(goes).map(row).collect()
}
