//! The tuples of one tenant, in memory: found by object and relation, and by subject.
//!
//! Promise: what was deleted is found by neither way. Expiry is not looked at here; whoever asks brings the clock.

use super::names::{Names, Obj, Rel, Subj};
use super::tuple::{ObjectRef, Subject, Tuple};
use crate::core::Time;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

/// How many names may be kept though no tuple speaks of them.
const SPARE_NAMES: usize = 1024;

/// The tuples of one tenant. Tenants never share a store: names of the same spelling are different things.
#[derive(Debug, Clone, Default)]
pub struct Store {
    pub(super) names: Names,
    pub(super) rows: Rows,
}

/// When a tuple stops to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Expiry {
    At(Time),
    Never,
}

impl Expiry {
    pub(super) fn lasts_at(self, now: Time) -> bool {
        match self {
            Self::At(time) => time > now,
            Self::Never => true,
        }
    }

    pub(super) fn time(self) -> Option<Time> {
        match self {
            Self::At(time) => Some(time),
            Self::Never => None,
        }
    }
}

impl From<Option<Time>> for Expiry {
    fn from(expires: Option<Time>) -> Self {
        expires.map_or(Self::Never, Self::At)
    }
}

/// Tuples in numbers, indexed both ways.
#[derive(Debug, Clone, Default)]
pub(super) struct Rows {
    forward: HashMap<(Obj, Rel), BTreeMap<Subj, Expiry>>,
    reverse: HashMap<Subj, BTreeSet<(Obj, Rel)>>,
    count: usize,
}

impl Store {
    pub fn new() -> Self {
        Self::default()
    }

    /// Stores a tuple, or another expiry of one; says whether that changed anything.
    pub fn insert(&mut self, tuple: &Tuple) -> bool {
        let (object, relation, subject) = add(&mut self.names, tuple);
        self.rows
            .insert(object, relation, subject, tuple.expires.into())
    }

    /// Removes a tuple, whatever its expiry; says whether it was there.
    pub fn delete(&mut self, tuple: &Tuple) -> bool {
        let names = &self.names;
        let found = names
            .object(&tuple.object)
            .zip(names.relation(&tuple.relation));
        match found.zip(names.subject(&tuple.subject)) {
            Some(((object, relation), subject)) => self.rows.delete(object, relation, subject),
            None => false,
        }
    }

    /// Removes every tuple that speaks of an object, on either side: the tuples of a node die with it.
    pub fn forget(&mut self, object: &ObjectRef) -> Vec<Tuple> {
        let Some(id) = self.names.object(object) else {
            return Vec::new();
        };
        let mut dying = self.naming(id);
        dying.retain(|tuple| self.delete(tuple));
        dying
    }

    fn naming(&self, object: Obj) -> Vec<Tuple> {
        let of = self.names.relations().flat_map(|r| {
            let of = self.rows.subjects(object, r, Bound::Unbounded);
            of.filter_map(move |(s, e)| self.tuple(object, r, s, e))
        });
        let sets = self.names.relations().map(|r| Subj::Set(object, r));
        let by = sets.chain([Subj::One(object)]).flat_map(|s| {
            let by = self.rows.objects(s);
            by.filter_map(move |(o, r)| self.tuple(o, r, s, self.rows.get(o, r, s)?))
        });
        of.chain(by).collect()
    }

    /// Forgets the names of what no tuple speaks of any more, once they outnumber the others.
    pub fn tidy(&mut self) {
        if self.names.count() <= SPARE_NAMES + 4 * self.rows.count {
            return;
        }
        let mut tidied = Self::new();
        for tuple in self.tuples() {
            tidied.insert(&tuple);
        }
        *self = tidied;
    }

    /// Every stored tuple, the expired ones too, in no particular order.
    pub fn tuples(&self) -> impl Iterator<Item = Tuple> {
        let rows = self.rows.forward.iter();
        rows.flat_map(move |(&(object, relation), subjects)| {
            let named = move |(&s, &e): (&Subj, &Expiry)| self.tuple(object, relation, s, e);
            subjects.iter().filter_map(named)
        })
    }

    fn tuple(&self, o: Obj, r: Rel, s: Subj, expires: Expiry) -> Option<Tuple> {
        Some(Tuple {
            object: self.names.object_of(o)?.clone(),
            relation: self.names.relation_of(r)?.clone(),
            subject: match s {
                Subj::One(o) => Subject::Object(self.names.object_of(o)?.clone()),
                Subj::Set(o, r) => Subject::Userset(
                    self.names.object_of(o)?.clone(),
                    self.names.relation_of(r)?.clone(),
                ),
                Subj::All(kind) => Subject::Wildcard(self.names.kind_of(kind)?.clone()),
            },
            expires: expires.time(),
        })
    }
}

/// Gives numbers to what a tuple names.
fn add(names: &mut Names, tuple: &Tuple) -> (Obj, Rel, Subj) {
    let object = names.add_object(&tuple.object);
    let relation = names.add_relation(&tuple.relation);
    let subject = match &tuple.subject {
        Subject::Object(o) => Subj::One(names.add_object(o)),
        Subject::Userset(o, r) => Subj::Set(names.add_object(o), names.add_relation(r)),
        Subject::Wildcard(kind) => Subj::All(names.add_kind(kind)),
    };
    (object, relation, subject)
}

impl Rows {
    pub(super) fn insert(&mut self, o: Obj, r: Rel, s: Subj, expires: Expiry) -> bool {
        self.reverse.entry(s).or_default().insert((o, r));
        let row = self.forward.entry((o, r)).or_default();
        let old = row.insert(s, expires);
        self.count += usize::from(old.is_none());
        old != Some(expires)
    }

    fn delete(&mut self, o: Obj, r: Rel, s: Subj) -> bool {
        let Some(row) = self.forward.get_mut(&(o, r)) else {
            return false;
        };
        let was = row.remove(&s).is_some();
        self.count -= usize::from(was);
        if row.is_empty() {
            self.forward.remove(&(o, r));
        }
        if let Some(back) = self.reverse.get_mut(&s) {
            back.remove(&(o, r));
            if back.is_empty() {
                self.reverse.remove(&s);
            }
        }
        was
    }

    /// The expiry of a tuple, if it is here.
    pub(super) fn get(&self, o: Obj, r: Rel, s: Subj) -> Option<Expiry> {
        self.forward.get(&(o, r))?.get(&s).copied()
    }

    /// The subjects of a relation of an object, from `first` on, each with its expiry.
    pub(super) fn subjects(
        &self,
        o: Obj,
        r: Rel,
        first: Bound<Subj>,
    ) -> impl Iterator<Item = (Subj, Expiry)> {
        let row = self.forward.get(&(o, r)).into_iter();
        row.flat_map(move |row| row.range((first, Bound::Unbounded)).map(|(&s, &e)| (s, e)))
    }

    /// Whether a tuple speaks of an object, on either side.
    pub(super) fn speaks_of(&self, object: Obj, mut relations: impl Iterator<Item = Rel>) -> bool {
        let as_one = self.reverse.contains_key(&Subj::One(object));
        as_one
            || relations.any(|relation| {
                let as_set = self.reverse.contains_key(&Subj::Set(object, relation));
                as_set || self.forward.contains_key(&(object, relation))
            })
    }

    /// What a subject is named on.
    pub(super) fn objects(&self, s: Subj) -> impl Iterator<Item = (Obj, Rel)> {
        self.reverse.get(&s).into_iter().flatten().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple(object: &str, relation: &str, subject: &str) -> Tuple {
        Tuple::new(
            object.parse().unwrap(),
            relation.parse().unwrap(),
            subject.parse().unwrap(),
        )
    }

    #[test]
    fn a_tuple_is_stored_once_and_its_expiry_can_be_changed() {
        let mut store = Store::new();
        let forever = tuple("file:1", "owner", "user:a");
        assert!(store.insert(&forever));
        assert!(!store.insert(&forever));
        assert!(store.insert(&forever.clone().until(Time(5))));
        assert_eq!(
            store.tuples().collect::<Vec<_>>(),
            [forever.clone().until(Time(5))]
        );
        assert!(store.delete(&forever));
        assert!(!store.delete(&forever));
        assert_eq!(store.tuples().count(), 0);
        assert!(store.rows.forward.is_empty() && store.rows.reverse.is_empty());
    }

    #[test]
    fn names_of_what_is_gone_do_not_gather() {
        let mut store = Store::new();
        let kept = tuple("file:kept", "owner", "user:a");
        store.insert(&kept);
        for n in 0..10 * SPARE_NAMES {
            let passing = tuple(&format!("file:{n}"), "owner", "user:a");
            store.insert(&passing);
            store.delete(&passing);
            store.tidy();
            assert!(store.names.count() <= 2 * SPARE_NAMES);
        }
        assert_eq!(store.tuples().collect::<Vec<_>>(), [kept]);
    }

    #[test]
    fn a_forgotten_object_is_in_no_tuple_on_either_side() {
        let mut store = Store::new();
        let others = tuple("file:1", "can_read", "user:b");
        let dying = [
            tuple("group:g", "member", "user:a"),
            tuple("group:g", "member", "group:g#member"),
            tuple("file:1", "owner", "group:g#member"),
            tuple("file:1", "owner", "group:g"),
        ];
        for t in dying.iter().chain([&others]) {
            store.insert(t);
        }
        let mut gone = store.forget(&"group:g".parse().unwrap());
        gone.sort();
        let mut expected = dying.to_vec();
        expected.sort();
        assert_eq!(gone, expected);
        assert_eq!(store.tuples().collect::<Vec<_>>(), [others]);
        assert!(store.forget(&"group:none".parse().unwrap()).is_empty());
    }
}
