//! Relationships to objects of own types: given and taken back.
//!
//! Administrators may, and whoever has the relation `owner` on the object, where its type has that. An owner has the whole
//! object to give, so nobody gives more than he has.

use super::graph::Graph;
use super::names::{numbered, row, said};
use crate::access::rebac::{self, Evaluator, ObjectRef, Subject, canonical_tuple};
use crate::core::{Caller, Kind, PrincipalId, Result, error::fail};
use crate::fs::Engine;
use crate::fs::commit::Change;
use crate::meta::{Edit, OpKind, SubjectKind, tuple::Tuple};
use serde_json::json;
use std::sync::Arc;

/// The relation whose holders may give and take the others.
pub(super) const OWNER: &str = "owner";

impl Engine {
    /// Gives a subject a relation on an object of a type of the tenant's own, principals by name. Said again it only sets the
    /// end anew.
    pub fn relate(&self, caller: &Caller, said: &rebac::Tuple) -> Result<Arc<Tuple>> {
        if said.expires.is_some_and(|end| end <= self.latest()) {
            return fail(Kind::Invalid, "the grant would have ended already");
        }
        self.change(caller, |ch| {
            let home = self.own_home(caller)?;
            let graph = self.graph_with(caller, &said.object.kind)?;
            let named = canonical_tuple(&graph.schema, said.clone());
            let subject = numbered(&home.roster, &named.subject)?;
            graph.schema.admits(&named)?;
            self.may_relate(caller, &graph, &named.object)?;
            let new = rebac::Tuple { subject, ..named };
            let twin = graph.twin(new.clone());
            if let Some(twin) = twin
                && twin.expires == new.expires
            {
                return Ok(twin.clone());
            }
            let made = Arc::new(row(self.next_id(), home.tenant.id, &new, ch.now));
            if let Some(twin) = twin {
                ch.edit(Edit::TupleGone(twin.clone()));
            }
            ch.edit(Edit::Tuple(made.clone()));
            let replaced: Vec<_> = twin.into_iter().collect();
            let undo = json!({
                "tuple": made,
                "replaced": replaced,
                "subject": self.subject_of(&made)?,
                "object": new.object.to_string(),
            });
            ch.record_of(&home, OpKind::Grant, &undo);
            Ok(made)
        })
    }

    fn may_relate(&self, caller: &Caller, graph: &Graph, object: &ObjectRef) -> Result<()> {
        if caller.admin || self.owns(caller, graph, object)? {
            return Ok(());
        }
        let message = format!(
            "only an owner of {object}, or an administrator, may change who has what on it"
        );
        fail(Kind::NotPermitted, message)
    }

    /// Whether the type of an object that a tuple is on is there still; fails where the tuples on it are not the caller's to
    /// change.
    pub(in crate::fs) fn can_relate(&self, caller: &Caller, tuple: &Tuple) -> Result<bool> {
        if let Some(group) = tuple.group() {
            return self.can_entrust(caller, group);
        }
        let graph = self.relations.graph(tuple.tenant).unwrap_or_default();
        let object = said(tuple)?.object;
        if !graph.types.contains_key(&object.kind) {
            return Ok(false);
        }
        self.may_relate(caller, &graph, &object)?;
        Ok(true)
    }

    /// Whether a caller, or the agent or user that acts with him, has the relation `owner` on an object.
    pub(super) fn owns(&self, caller: &Caller, graph: &Graph, object: &ObjectRef) -> Result<bool> {
        let def = graph.schema.types().get(&object.kind);
        let Some((owner, _)) = def.and_then(|def| def.relations.get_key_value(OWNER)) else {
            return Ok(false);
        };
        let mut evaluator = Evaluator::new(&graph.schema, &graph.store, self.latest());
        for subject in subjects_of(caller)? {
            if evaluator.check(object, owner, &subject)?.allows() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The same of the object that a tuple is on.
    pub(in crate::fs) fn owns_object(&self, caller: &Caller, tuple: &Tuple) -> Result<bool> {
        match self.relations.graph(tuple.tenant) {
            Some(graph) => self.owns(caller, &graph, &said(tuple)?.object),
            None => Ok(false),
        }
    }
}

impl Change<'_> {
    /// Takes a tuple on an object back; whoever it names may give it up.
    pub(in crate::fs) fn unrelate(&mut self, tuple: &Arc<Tuple>, is_his_own: bool) -> Result<()> {
        let (engine, caller) = (self.engine, self.caller);
        let home = engine.own_home(caller)?;
        let object = said(tuple)?.object;
        let shown = engine.object_of(tuple)?;
        if let Some(group) = tuple.group() {
            if !is_his_own {
                engine.in_charge(caller, group)?;
            }
        } else if !is_his_own {
            let graph = engine.relations.graph(home.tenant.id).unwrap_or_default();
            engine.may_relate(caller, &graph, &object)?;
        }
        self.edit(Edit::TupleGone(tuple.clone()));
        let subject = engine.subject_of(tuple)?;
        let undo = json!({ "tuple": tuple, "subject": subject, "object": shown });
        self.record_of(&home, OpKind::Revoke, &undo);
        Ok(())
    }
}

/// As whom a caller acts: its agent, and its user unless that agent is isolated.
fn subjects_of(caller: &Caller) -> Result<Vec<Subject>> {
    let one = |kind: SubjectKind, id: PrincipalId| {
        ObjectRef::new(&kind.to_string(), &id.0.to_string()).map(Subject::Object)
    };
    let agent = caller.agent_id.map(|id| one(SubjectKind::Agent, id));
    let user = caller.user_id.filter(|_| !caller.isolated);
    let user = user.map(|id| one(SubjectKind::User, id));
    agent.into_iter().chain(user).collect()
}
