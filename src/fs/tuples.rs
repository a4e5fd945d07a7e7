//! Every relationship tuple there is, on nodes and on objects of tenants' own types: read, found, and who may know of it.

use super::check::PAGE;
use super::engine::Engine;
use super::ground::allowed;
use crate::access::Right;
use crate::core::{Caller, Ino, Kind, PrincipalId, Result, TenantId};
use crate::meta::tuple::{self, Tuple};
use crate::meta::{Edit, Principal, object_type};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Edits that say what is there, of each tenant.
type Said = BTreeMap<TenantId, Vec<Edit>>;

impl Engine {
    /// Reads types and tuples, once at the start. Fails rather than leave out what it cannot read.
    pub(super) fn load_tuples(&self) -> Result<()> {
        let mut tenants = self.stored_tuples()?.into_iter();
        tenants.try_for_each(|(tenant, edits)| self.load_relations(tenant, &edits))
    }

    /// Has the policy follow the tuples on files, and gives the types that tenants have defined, with the tuples on objects of these.
    fn stored_tuples(&self) -> Result<Said> {
        let mut tx = self.store.read()?;
        let mut related = Said::new();
        for row in object_type::all(&mut *tx)? {
            let row = Arc::new(row?);
            let of = related.entry(row.tenant).or_default();
            of.push(Edit::ObjectType(row));
        }
        let mut after = 0;
        loop {
            let page = tuple::page(&mut *tx, after, PAGE)?;
            if page.is_empty() {
                return Ok(related);
            }
            let mut of_files = Said::new();
            for (id, row) in page {
                after = id;
                let row = Arc::new(row?);
                let said = if row.is_of_file() {
                    &mut of_files
                } else {
                    &mut related
                };
                said.entry(row.tenant).or_default().push(Edit::Tuple(row));
            }
            for (tenant, tuples) in of_files {
                self.policy.follow(tenant, &tuples);
            }
        }
    }

    pub(super) fn tuple(&self, id: u64) -> Option<Arc<Tuple>> {
        let of_file = self.policy.tuple(id);
        of_file.or_else(|| self.relations.tuple(id))
    }

    /// The tuples of a tenant that fit, oldest first.
    pub(super) fn tuples(&self, of: TenantId, fits: impl Fn(&Tuple) -> bool) -> Vec<Arc<Tuple>> {
        let mut all = self.policy.tuples(of, &fits);
        all.extend(self.relations.tuples(of, fits));
        all.sort_by_key(|t| t.id);
        all
    }

    /// The tuples that a caller may know of (see [`Engine::knows`]).
    pub fn grants(
        &self,
        caller: &Caller,
        fits: impl Fn(&Tuple) -> bool,
    ) -> Result<Vec<Arc<Tuple>>> {
        let Some(tenant) = caller.tenant else {
            return Ok(Vec::new());
        };
        let mut known = Vec::new();
        for tuple in self.tuples(tenant, fits) {
            if self.knows(caller, &tuple)? {
                known.push(tuple);
            }
        }
        Ok(known)
    }

    /// Whether a caller may know of a tuple: an administrator of all, others of those that name them or their groups, and
    /// of those on what is theirs.
    pub fn knows(&self, caller: &Caller, tuple: &Tuple) -> Result<bool> {
        if caller.admin || caller.tenant != Some(tuple.tenant) {
            return Ok(caller.tenant == Some(tuple.tenant));
        }
        Ok(tuple.names(&self.reached_by(caller)?) || self.rules(caller, tuple)?)
    }

    /// Whether a caller may know when somebody came into a group or left it, and who did it: an administrator of all, others of
    /// themselves and of groups that they are in or in charge of, and who owns an agent of that. Who is in a group now, everybody
    /// in the tenant may know (see [`Engine::knows_member`]).
    pub fn knows_membership(
        &self,
        caller: &Caller,
        group: PrincipalId,
        member: PrincipalId,
    ) -> Result<bool> {
        if caller.admin {
            return Ok(true);
        }
        let who = self.reached_by(caller)?;
        let is_his = |id: PrincipalId| who.binary_search(&id).is_ok();
        let roster = self.roster_of(caller)?;
        let owner = match roster.by_id(member) {
            Some(Principal::Agent(agent)) => Some(agent.owner),
            _ => None,
        };
        let concerned = is_his(group) || is_his(member) || owner.is_some_and(is_his);
        Ok(concerned || self.is_in_charge(caller, group)?)
    }

    /// Whether a caller may know that somebody is in a group now. Users and groups are no secret; whose agents there are is.
    pub fn knows_member(
        &self,
        caller: &Caller,
        group: PrincipalId,
        member: PrincipalId,
    ) -> Result<bool> {
        let roster = self.roster_of(caller)?;
        match roster.by_id(member) {
            Some(Principal::Agent(_)) => self.knows_membership(caller, group, member),
            Some(Principal::User(_) | Principal::Group(_)) | None => Ok(true),
        }
    }

    /// Whom a tuple is about, for the log: `user:bob`, `group:developers`, `user:*`, `folder:plans#viewer`.
    pub(super) fn subject_of(&self, tuple: &Tuple) -> Result<String> {
        let roster = self.roster(tuple.tenant)?;
        let found = tuple.principal().and_then(|id| roster.by_id(id));
        let name = found.map(|one| one.subject().name);
        let name = name.as_deref().unwrap_or(&tuple.subject_id);
        let relation = match &*tuple.subject_relation {
            "" => String::new(),
            relation => format!("#{relation}"),
        };
        Ok(format!("{}:{name}{relation}", tuple.subject_type))
    }

    /// What a tuple is on that is no path, for the log and for people: `doc:readme`, `group:developers`.
    pub fn object_of(&self, tuple: &Tuple) -> Result<String> {
        let roster = self.roster(tuple.tenant)?;
        let group = tuple.group().and_then(|id| roster.by_id(id));
        let name = group.map(|one| one.subject().name);
        let name = name.as_deref().unwrap_or(&tuple.object_id);
        Ok(format!("{}:{name}", tuple.object_type))
    }

    /// Whether what a tuple is on is the caller's.
    fn rules(&self, caller: &Caller, tuple: &Tuple) -> Result<bool> {
        match (tuple.ino(), tuple.group()) {
            (Some(ino), _) => self.owns_node(caller, ino),
            (None, Some(group)) => self.is_in_charge(caller, group),
            (None, None) => self.owns_object(caller, tuple),
        }
    }

    /// Whether a node is the caller's; what is gone is nobody's.
    pub fn owns_node(&self, caller: &Caller, ino: Ino) -> Result<bool> {
        match self.node(ino) {
            Ok(node) => allowed(self.may(caller, &node, Right::Own)),
            Err(e) if e.kind() == Kind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }
}
