//! The relationships of each tenant in memory: its types, the tuples on objects of these, and who is in which group.
//!
//! It follows the edits of every commit before that returns, so it is never older than they are. A tenant that has defined
//! nothing has no graph. Whoever asks holds the graph of one moment; a change waits for short questions to be answered, and copies
//! the graph when somebody asks for longer.

use super::names::{membership, object_of, said};
use crate::access::rebac::{self, ObjectRef, Relation, Schema, Store, Subject, TypeDef, TypeName};
use crate::core::{Error, Kind, Result, TenantId};
use crate::fs::Engine;
use crate::meta::{Edit, Member, ObjectType, Roster, tuple::Tuple};
use parking_lot::RwLock;
use std::collections::HashMap;
use std::collections::btree_map::{BTreeMap, Entry};
use std::sync::Arc;
use std::time::Duration;

/// How often, and how long apart, a change looks whether those who ask have their answers.
const LOOKS: u32 = 50;
const PAUSE: Duration = Duration::from_micros(100);

/// What a tuple says, whatever its number and times.
type Words = (ObjectRef, Relation, Subject);

#[derive(Default)]
pub(in crate::fs) struct Relations {
    graphs: RwLock<BTreeMap<TenantId, Arc<Graph>>>,
    /// Who owns which group; a tenant without types of its own has this, too.
    of_groups: RwLock<BTreeMap<u64, Arc<Tuple>>>,
}

/// What one tenant has defined, and who has what by it. The default knows no type, so every question is refused.
#[derive(Debug, Clone, Default)]
pub(super) struct Graph {
    pub(super) types: BTreeMap<TypeName, Arc<ObjectType>>,
    /// The types and the standard configuration.
    pub(super) schema: Schema,
    pub(super) store: Store,
    tuples: BTreeMap<u64, Arc<Tuple>>,
    numbers: HashMap<Words, u64>,
}

impl Relations {
    pub(super) fn graph(&self, of: TenantId) -> Option<Arc<Graph>> {
        self.graphs.read().get(&of).cloned()
    }

    pub(in crate::fs) fn tuple(&self, id: u64) -> Option<Arc<Tuple>> {
        if let Some(of_group) = self.of_groups.read().get(&id) {
            return Some(of_group.clone());
        }
        let graphs = self.graphs.read();
        graphs.values().find_map(|g| g.tuples.get(&id)).cloned()
    }

    /// The tuples of a tenant that fit.
    pub(in crate::fs) fn tuples(
        &self,
        of: TenantId,
        fits: impl Fn(&Tuple) -> bool,
    ) -> Vec<Arc<Tuple>> {
        let graph = self.graph(of).unwrap_or_default();
        let of_groups = self.of_groups.read();
        let of_groups = of_groups.values().filter(|t| t.tenant == of);
        let all = graph.tuples.values().chain(of_groups);
        all.filter(|t| fits(t)).cloned().collect()
    }

    /// How many types a tenant has defined.
    pub(in crate::fs) fn types_of(&self, of: TenantId) -> u64 {
        self.graph(of).map_or(0, |g| g.types.len() as u64)
    }

    fn follow_groups(&self, of: TenantId, edits: &[Edit]) {
        let mut of_groups = self.of_groups.write();
        for edit in edits {
            match edit {
                Edit::Tuple(new) if new.group().is_some() => {
                    of_groups.insert(new.id, new.clone());
                }
                Edit::TupleGone(old) => drop(of_groups.remove(&old.id)),
                Edit::TenantGone(_) => of_groups.retain(|_, t| t.tenant != of),
                _ => {}
            }
        }
    }

    fn follow(&self, of: TenantId, edits: &[Edit], roster: &Roster) -> Result<()> {
        self.follow_groups(of, edits);
        let mut graphs = self.graphs.write();
        if edits.iter().any(|edit| matches!(edit, Edit::TenantGone(_))) {
            graphs.remove(&of);
            return Ok(());
        }
        let defines = |edit: &Edit| matches!(edit, Edit::ObjectType(_));
        let graph = match graphs.entry(of) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(_) if !edits.iter().any(defines) => return Ok(()),
            Entry::Vacant(new) => new.insert(Arc::new(Graph::of_groups(of, roster)?)),
        };
        alone(graph).follow(edits, roster)?;
        if graph.types.is_empty() {
            graphs.remove(&of);
        }
        Ok(())
    }

    /// Refuses every question about a tenant's own types until the store is opened again.
    fn close(&self, of: TenantId) {
        self.graphs.write().insert(of, Arc::default());
    }
}

/// A graph to change. Nobody new begins to ask meanwhile: the caller holds the lock.
fn alone(graph: &mut Arc<Graph>) -> &mut Graph {
    for _ in 0..LOOKS {
        if Arc::strong_count(graph) == 1 {
            break;
        }
        std::thread::sleep(PAUSE);
    }
    Arc::make_mut(graph)
}

impl Graph {
    /// The graph of a tenant that has defined nothing yet.
    fn of_groups(tenant: TenantId, roster: &Roster) -> Result<Self> {
        let mut graph = Self::default();
        for (group, member) in roster.memberships() {
            let row = Member {
                tenant,
                group,
                member,
            };
            if let Some(is_in) = membership(roster, &row)? {
                graph.store.insert(&is_in);
            }
        }
        Ok(graph)
    }

    fn follow(&mut self, edits: &[Edit], roster: &Roster) -> Result<()> {
        let mut redefined = false;
        for edit in edits {
            match edit {
                Edit::ObjectType(new) => {
                    self.types.insert(new.name.parse()?, new.clone());
                    redefined = true;
                }
                Edit::ObjectTypeGone(old) => {
                    self.types.remove(old.name.as_str());
                    redefined = true;
                }
                Edit::Tuple(new) if new.group().is_none() => self.add(new)?,
                Edit::TupleGone(old) if old.group().is_none() => self.remove(old)?,
                Edit::Member(new) => {
                    if let Some(is_in) = membership(roster, new)? {
                        self.store.insert(&is_in);
                    }
                }
                Edit::MemberGone(old) => {
                    if let Some(was_in) = membership(roster, old)? {
                        self.store.delete(&was_in);
                    }
                }
                // Takes the memberships along, of which the roster no longer knows what they were between.
                Edit::PrincipalGone(old) => drop(self.store.forget(&object_of(old)?)),
                _ => {}
            }
        }
        if redefined {
            self.schema = Schema::with_own(&self.definitions()?)?;
        }
        self.store.tidy();
        Ok(())
    }

    fn add(&mut self, new: &Arc<Tuple>) -> Result<()> {
        let said = said(new)?;
        self.store.insert(&said);
        self.numbers.insert(words(said), new.id);
        self.tuples.insert(new.id, new.clone());
        Ok(())
    }

    fn remove(&mut self, old: &Tuple) -> Result<()> {
        let said = said(old)?;
        self.store.delete(&said);
        self.numbers.remove(&words(said));
        self.tuples.remove(&old.id);
        Ok(())
    }

    /// The tuple that says the same of the same.
    pub(super) fn twin(&self, said: rebac::Tuple) -> Option<&Arc<Tuple>> {
        self.tuples.get(self.numbers.get(&words(said))?)
    }

    pub(super) fn tuples(&self) -> impl Iterator<Item = &Arc<Tuple>> {
        self.tuples.values()
    }

    pub(super) fn definitions(&self) -> Result<BTreeMap<TypeName, TypeDef>> {
        let read = |(name, row): (&TypeName, &Arc<ObjectType>)| {
            let def = serde_json::from_str(&row.definition).map_err(|e| {
                let message = format!("the definition of type {name} cannot be read");
                Error::new(Kind::Corrupt, message).caused_by(e)
            });
            Ok((name.clone(), def?))
        };
        self.types.iter().map(read).collect()
    }
}

fn words(said: rebac::Tuple) -> Words {
    (said.object, said.relation, said.subject)
}

impl Engine {
    /// Follows the edits of a change of `of` that was committed.
    pub(in crate::fs) fn follow_relations(&self, of: TenantId, edits: &[Edit]) {
        if edits.is_empty() {
            return;
        }
        let roster = self.roster(of).unwrap_or_default();
        if let Err(e) = self.relations.follow(of, edits, &roster) {
            // What was committed was checked before: it can be read.
            tracing::error!("relationships of tenant {} are closed: {}", of.0, e.chain());
            self.relations.close(of);
        }
    }

    /// Takes up what the store had when it was opened; fails rather than leave out what cannot be read.
    pub(in crate::fs) fn load_relations(&self, of: TenantId, edits: &[Edit]) -> Result<()> {
        self.relations.follow(of, edits, &*self.roster(of)?)
    }
}
