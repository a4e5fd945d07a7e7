//! Numbers for names: what is compared and hashed while walking is an integer.

use super::name::{Relation, TypeName};
use super::tuple::{ObjectRef, Subject};
use std::collections::HashMap;
use std::hash::Hash;

/// The number of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Obj(u32);

/// The number of a relation's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Rel(u32);

/// The number of a type's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Typ(u32);

/// A subject in numbers. The order puts usersets behind single objects, so that they can be read alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Subj {
    One(Obj),
    Set(Obj, Rel),
    All(Typ),
}

impl Subj {
    /// The first subject that is not a single object.
    pub(super) const FIRST_SET: Self = Self::Set(Obj(0), Rel(0));
}

/// Names with their numbers. Those of a question continue behind those of the store and are forgotten with it.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    objects: Interner<ObjectRef>,
    relations: Interner<Relation>,
    types: Interner<TypeName>,
}

impl Names {
    /// Names that continue behind `self`.
    pub(super) fn continued(&self) -> Self {
        Self {
            objects: self.objects.continued(),
            relations: self.relations.continued(),
            types: self.types.continued(),
        }
    }

    pub(super) fn object(&self, object: &ObjectRef) -> Option<Obj> {
        self.objects.find(object).map(Obj)
    }

    pub(super) fn relation(&self, relation: &Relation) -> Option<Rel> {
        self.relations.find(relation).map(Rel)
    }

    pub(super) fn kind(&self, kind: &TypeName) -> Option<Typ> {
        self.types.find(kind).map(Typ)
    }

    pub(super) fn subject(&self, subject: &Subject) -> Option<Subj> {
        Some(match subject {
            Subject::Object(object) => Subj::One(self.object(object)?),
            Subject::Userset(object, relation) => {
                Subj::Set(self.object(object)?, self.relation(relation)?)
            }
            Subject::Wildcard(kind) => Subj::All(self.kind(kind)?),
        })
    }

    pub(super) fn add_object(&mut self, object: &ObjectRef) -> Obj {
        Obj(self.objects.add(object))
    }

    pub(super) fn add_relation(&mut self, relation: &Relation) -> Rel {
        Rel(self.relations.add(relation))
    }

    pub(super) fn add_kind(&mut self, kind: &TypeName) -> Typ {
        Typ(self.types.add(kind))
    }

    pub(super) fn object_of(&self, id: Obj) -> Option<&ObjectRef> {
        self.objects.name(id.0)
    }

    pub(super) fn relation_of(&self, id: Rel) -> Option<&Relation> {
        self.relations.name(id.0)
    }

    pub(super) fn kind_of(&self, id: Typ) -> Option<&TypeName> {
        self.types.name(id.0)
    }

    /// How many objects have a number.
    pub(super) fn count(&self) -> usize {
        self.objects.names.len()
    }

    pub(super) fn relations(&self) -> impl Iterator<Item = Rel> {
        self.relations.all().map(|(id, _)| Rel(id))
    }

    /// Every object of a type that was ever named.
    pub(super) fn objects_of(&self, kind: &TypeName) -> impl Iterator<Item = Obj> {
        let all = self.objects.all();
        all.filter_map(move |(id, o)| (o.kind == *kind).then_some(Obj(id)))
    }
}

#[derive(Debug, Clone)]
struct Interner<T> {
    first: u32,
    ids: HashMap<T, u32>,
    names: Vec<T>,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self {
            first: 0,
            ids: HashMap::new(),
            names: Vec::new(),
        }
    }
}

impl<T: Clone + Eq + Hash> Interner<T> {
    fn continued(&self) -> Self {
        Self {
            first: self.next(),
            ..Self::default()
        }
    }

    /// The number that the next name gets. Four billion names do not fit into memory beside their tuples.
    #[allow(clippy::cast_possible_truncation, reason = "memory ends before")]
    fn next(&self) -> u32 {
        self.first + self.names.len() as u32
    }

    fn find(&self, name: &T) -> Option<u32> {
        self.ids.get(name).copied()
    }

    fn add(&mut self, name: &T) -> u32 {
        if let Some(id) = self.find(name) {
            return id;
        }
        let id = self.next();
        self.ids.insert(name.clone(), id);
        self.names.push(name.clone());
        id
    }

    fn name(&self, id: u32) -> Option<&T> {
        self.names.get(id.checked_sub(self.first)? as usize)
    }

    fn all(&self) -> impl Iterator<Item = (u32, &T)> {
        (self.first..).zip(&self.names)
    }
}
