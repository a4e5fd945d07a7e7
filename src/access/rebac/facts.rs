//! What counts while one question is answered: the store, the tuples that come with the question, the configuration, the
//! time.
//!
//! Promise: a tuple that has expired, or that the configuration does not admit today, is seen by nobody above.

use super::name::{Relation, TypeName};
use super::names::{Names, Obj, Rel, Subj, Typ};
use super::schema::{RelationDef, Schema};
use super::store::{Expiry, Rows, Store};
use super::tuple::{ObjectRef, Subject, Tuple};
use crate::core::{Result, Time};
use std::ops::Bound;

/// A relation of an object: a vertex of the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key<'a> {
    pub(super) object: Obj,
    pub(super) relation: &'a Relation,
}

#[derive(Debug, Clone)]
pub(super) struct Facts<'a> {
    pub(super) schema: &'a Schema,
    store: &'a Store,
    now: Time,
    /// What only the question names.
    own: Names,
    extra: Rows,
}

impl<'a> Facts<'a> {
    pub(super) fn new(schema: &'a Schema, store: &'a Store, now: Time) -> Self {
        Self {
            schema,
            store,
            now,
            own: store.names.continued(),
            extra: Rows::default(),
        }
    }

    /// Adds a tuple that holds for this question only, if it could be stored.
    pub(super) fn suppose(&mut self, tuple: &Tuple) -> Result<()> {
        self.schema.admits(tuple)?;
        let object = self.object(&tuple.object);
        let relation = self.relation(&tuple.relation);
        let subject = self.subject(&tuple.subject);
        let expires = tuple.expires.into();
        self.extra.insert(object, relation, subject, expires);
        Ok(())
    }

    pub(super) fn object(&mut self, object: &ObjectRef) -> Obj {
        let known = self.store.names.object(object);
        known.unwrap_or_else(|| self.own.add_object(object))
    }

    pub(super) fn relation(&mut self, relation: &Relation) -> Rel {
        let known = self.store.names.relation(relation);
        known.unwrap_or_else(|| self.own.add_relation(relation))
    }

    pub(super) fn subject(&mut self, subject: &Subject) -> Subj {
        match subject {
            Subject::Object(object) => Subj::One(self.object(object)),
            Subject::Userset(object, relation) => {
                Subj::Set(self.object(object), self.relation(relation))
            }
            Subject::Wildcard(kind) => {
                let known = self.store.names.kind(kind);
                Subj::All(known.unwrap_or_else(|| self.own.add_kind(kind)))
            }
        }
    }

    pub(super) fn object_name(&self, id: Obj) -> Option<&ObjectRef> {
        let stored = self.store.names.object_of(id);
        stored.or_else(|| self.own.object_of(id))
    }

    pub(super) fn relation_name(&self, id: Rel) -> Option<&Relation> {
        let stored = self.store.names.relation_of(id);
        stored.or_else(|| self.own.relation_of(id))
    }

    fn kind_name(&self, id: Typ) -> Option<&TypeName> {
        let stored = self.store.names.kind_of(id);
        stored.or_else(|| self.own.kind_of(id))
    }

    pub(super) fn subject_name(&self, id: Subj) -> Option<Subject> {
        Some(match id {
            Subj::One(o) => Subject::Object(self.object_name(o)?.clone()),
            Subj::Set(o, r) => {
                Subject::Userset(self.object_name(o)?.clone(), self.relation_name(r)?.clone())
            }
            Subj::All(kind) => Subject::Wildcard(self.kind_name(kind)?.clone()),
        })
    }

    fn relation_id(&self, relation: &Relation) -> Option<Rel> {
        let known = self.store.names.relation(relation);
        known.or_else(|| self.own.relation(relation))
    }

    /// The subject that stands for the relation of an object itself, if it has a number.
    pub(super) fn userset(&self, key: Key<'_>) -> Option<Subj> {
        Some(Subj::Set(key.object, self.relation_id(key.relation)?))
    }

    /// The vertex of a relation of an object, if the configuration has it.
    pub(super) fn key(&self, object: Obj, relation: &str) -> Option<(Key<'a>, &'a RelationDef)> {
        let kind = &self.object_name(object)?.kind;
        let (relation, def) = self.schema.find(kind, relation)?;
        Some((Key { object, relation }, def))
    }

    /// The wildcard that covers a subject.
    pub(super) fn wildcard_over(&mut self, subject: Subj) -> Option<Subj> {
        match subject {
            Subj::One(object) => {
                let kind = self.object_name(object)?.kind.clone();
                Some(self.subject(&Subject::Wildcard(kind)))
            }
            Subj::Set(..) | Subj::All(_) => None,
        }
    }

    /// Whether a tuple that counts names exactly this subject.
    pub(super) fn holds(&self, key: Key<'_>, def: &RelationDef, subject: Subj) -> bool {
        let Some(relation) = self.relation_id(key.relation) else {
            return false;
        };
        let rows = [&self.store.rows, &self.extra];
        let found = rows
            .iter()
            .filter_map(|rows| rows.get(key.object, relation, subject));
        found.into_iter().any(|expires| expires.lasts_at(self.now)) && self.allows(def, subject)
    }

    /// The subjects that counting tuples name, from `first` on.
    pub(super) fn subjects(
        &self,
        key: Key<'_>,
        def: &'a RelationDef,
        first: Bound<Subj>,
    ) -> impl Iterator<Item = Subj> {
        let relation = self.relation_id(key.relation).into_iter();
        let rows = relation.flat_map(move |r| {
            let stored = self.store.rows.subjects(key.object, r, first);
            stored.chain(self.extra.subjects(key.object, r, first))
        });
        let counting =
            move |&(s, expires): &(Subj, Expiry)| expires.lasts_at(self.now) && self.allows(def, s);
        rows.filter(counting).map(|(s, _)| s)
    }

    /// The vertices on which a subject is named by tuples that count.
    pub(super) fn objects(&self, subject: Subj) -> impl Iterator<Item = Key<'a>> {
        let rows = [&self.store.rows, &self.extra].into_iter();
        let named = rows.flat_map(move |rows| rows.objects(subject));
        named.filter_map(move |(o, r)| {
            let (key, def) = self.key(o, self.relation_name(r)?.as_str())?;
            self.holds(key, def, subject).then_some(key)
        })
    }

    /// Every object of a type that a tuple speaks of.
    pub(super) fn objects_of(&self, kind: &TypeName) -> impl Iterator<Item = Obj> {
        let named = self.store.names.objects_of(kind);
        let named = named.chain(self.own.objects_of(kind));
        let relations = || self.store.names.relations().chain(self.own.relations());
        let rows = [&self.store.rows, &self.extra];
        named.filter(move |o| rows.iter().any(|r| r.speaks_of(*o, relations())))
    }

    /// When a tuple expires that names a subject; the later of the stored and the supposed one.
    pub(super) fn expiry(&self, key: Key<'_>, subject: Subj) -> Option<Time> {
        let relation = self.relation_id(key.relation)?;
        let rows = [&self.store.rows, &self.extra];
        let found = rows
            .iter()
            .filter_map(|rows| rows.get(key.object, relation, subject));
        found.max()?.time()
    }

    fn allows(&self, def: &RelationDef, subject: Subj) -> bool {
        let kind = |object| self.object_name(object).map(|o| &o.kind);
        let allowed = match subject {
            Subj::One(object) => kind(object).map(|kind| def.allows_object(kind)),
            Subj::Set(object, relation) => kind(object)
                .zip(self.relation_name(relation))
                .map(|(kind, relation)| def.allows_userset(kind, relation)),
            Subj::All(kind) => self.kind_name(kind).map(|kind| def.allows_wildcard(kind)),
        };
        allowed.unwrap_or(false)
    }
}
