//! The part of the graph that a question can depend on.
//!
//! Vertices are relations of objects; each is explored once, nearest first, so neither cycles nor diamonds cost more
//! than their size. What would take a step too many becomes [`Formula::Cut`].
//!
//! Promise: what is cut depends on the tuples and the limits, never on who asks; and wherever something was not looked
//! at, a cut stands in its place.

use super::answer::{Cut, Limits};
use super::facts::{Facts, Key};
use super::name::Relation;
use super::names::Subj;
use super::schema::{RelationDef, Rewrite, Ttu};
use std::collections::HashMap;
use std::ops::Bound;

/// How a vertex follows from others.
#[derive(Debug)]
pub(super) enum Formula<'a> {
    /// Nobody.
    Never,
    /// Not looked at: a limit stands before it.
    Cut,
    /// The object of the vertex.
    Itself,
    /// Whom a tuple of the vertex names.
    Direct,
    Step(Step<'a>),
    Any(Vec<Formula<'a>>),
    All(Vec<Formula<'a>>),
    But(Box<Formula<'a>>, Box<Formula<'a>>),
    Not(Box<Formula<'a>>),
}

/// A way to another vertex.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step<'a> {
    pub(super) to: usize,
    /// The relation and subject of the stored tuple that was followed, if one was.
    pub(super) by: Option<(&'a Relation, Subj)>,
}

#[derive(Debug)]
pub(super) struct Vertex<'a> {
    pub(super) key: Key<'a>,
    pub(super) def: &'a RelationDef,
    /// `None` until explored.
    pub(super) formula: Option<Formula<'a>>,
    /// The vertices that depend on this one.
    pub(super) dependents: Vec<usize>,
    /// Whether the object itself can have the relation.
    pub(super) is_itself: bool,
    hops: usize,
}

/// What has been explored so far.
#[derive(Debug)]
pub(super) struct Graph<'a> {
    pub(super) vertices: Vec<Vertex<'a>>,
    /// The first limit that stood in the way.
    pub(super) cut: Option<Cut>,
    /// Whether anything is negated.
    pub(super) negates: bool,
    /// Whether a subject can be let in that no tuple names.
    pub(super) opens: bool,
    index: HashMap<Key<'a>, usize>,
    /// Vertices to explore, by their distance from the question.
    layers: Vec<Vec<usize>>,
    layer: usize,
    read: usize,
    limits: Limits,
}

impl<'a> Graph<'a> {
    /// A graph whose first vertex is the question's.
    pub(super) fn new(key: Key<'a>, def: &'a RelationDef, limits: Limits) -> Self {
        // No way is longer than there may be vertices, whatever depth was asked for.
        let hops = limits.hops.min(limits.vertices);
        let limits = Limits { hops, ..limits };
        let mut graph = Self {
            vertices: Vec::new(),
            cut: None,
            negates: false,
            opens: false,
            index: HashMap::new(),
            layers: vec![Vec::new(); hops + 1],
            layer: 0,
            read: 0,
            limits,
        };
        graph.reach(key, def, 0);
        graph
    }

    /// What it took so far: vertices that were found, and tuples that were followed.
    pub(super) fn work(&self) -> usize {
        self.vertices.len() + self.read
    }

    /// Explores everything.
    pub(super) fn explore(&mut self, facts: &Facts<'a>) {
        while self.is_pending() {
            self.explore_layer(facts);
        }
    }

    /// Whether there is something left to explore.
    pub(super) fn is_pending(&self) -> bool {
        let rest = self.layers.iter().skip(self.layer);
        rest.flatten().next().is_some()
    }

    /// Explores what is one hop further away than what is explored.
    pub(super) fn explore_layer(&mut self, facts: &Facts<'a>) {
        while let Some(at) = self.layers.get_mut(self.layer).and_then(Vec::pop) {
            self.explore_vertex(facts, at);
        }
        self.layer += 1;
    }

    fn explore_vertex(&mut self, facts: &Facts<'a>, at: usize) {
        if self.vertices[at].formula.is_none() {
            let def = self.vertices[at].def;
            let formula = self.formula(facts, at, &def.rewrite);
            self.vertices[at].formula = Some(formula);
        }
    }

    fn formula(&mut self, facts: &Facts<'a>, at: usize, rewrite: &'a Rewrite) -> Formula<'a> {
        match rewrite {
            Rewrite::This => self.stored(facts, at),
            Rewrite::Computed(relation) => self.computed(facts, at, relation.as_str()),
            Rewrite::Ttu(ttu) => Formula::Any(self.follow(facts, at, ttu)),
            Rewrite::TtuAll(ttu) => match self.follow(facts, at, ttu) {
                all if all.is_empty() => Formula::Never,
                all => Formula::All(all),
            },
            Rewrite::Union(all) => Formula::Any(self.formulas(facts, at, all)),
            Rewrite::Intersection(all) => Formula::All(self.formulas(facts, at, all)),
            Rewrite::Exclusion { base, subtract } => {
                self.negates = true;
                let base = self.formula(facts, at, base);
                Formula::But(base.into(), self.formula(facts, at, subtract).into())
            }
            Rewrite::Nil => Formula::Never,
            Rewrite::Itself => {
                self.vertices[at].is_itself = true;
                Formula::Itself
            }
            Rewrite::Not(part) => {
                self.negates = true;
                self.opens = true;
                Formula::Not(self.formula(facts, at, part).into())
            }
        }
    }

    fn formulas(&mut self, facts: &Facts<'a>, at: usize, all: &'a [Rewrite]) -> Vec<Formula<'a>> {
        let each = all.iter().map(|part| self.formula(facts, at, part));
        each.collect()
    }

    /// Whom the tuples of the vertex name, and whoever the usersets among them stand for.
    fn stored(&mut self, facts: &Facts<'a>, at: usize) -> Formula<'a> {
        let Vertex { key, def, .. } = self.vertices[at];
        let Some(hops) = self.hop(at, def) else {
            let nobody = facts.subjects(key, def, Bound::Unbounded).next().is_none();
            return if nobody {
                Formula::Never
            } else {
                self.cut(Cut::Hops)
            };
        };
        let mut any = vec![Formula::Direct];
        for subject in facts.subjects(key, def, Bound::Included(Subj::FIRST_SET)) {
            if self.read >= self.limits.tuples {
                any.push(self.cut(Cut::Work));
                break;
            }
            let Subj::Set(object, relation) = subject else {
                continue;
            };
            let relation = facts.relation_name(relation).map(Relation::as_str);
            if let Some((to, def)) = relation.and_then(|r| facts.key(object, r)) {
                any.push(self.step(at, to, def, hops, Some((key.relation, subject))));
            }
        }
        Formula::Any(any)
    }

    fn computed(&mut self, facts: &Facts<'a>, at: usize, relation: &str) -> Formula<'a> {
        let Vertex { key, hops, .. } = self.vertices[at];
        match facts.key(key.object, relation) {
            Some((to, def)) => self.step(at, to, def, hops, None),
            None => Formula::Never,
        }
    }

    /// The relation `computed` of every object that the tupleset names.
    fn follow(&mut self, facts: &Facts<'a>, at: usize, ttu: &'a Ttu) -> Vec<Formula<'a>> {
        let object = self.vertices[at].key.object;
        let Some((key, def)) = facts.key(object, ttu.tupleset.as_str()) else {
            return Vec::new();
        };
        let mut objects = facts.subjects(key, def, Bound::Unbounded);
        let Some(hops) = self.hop(at, def) else {
            let cut = objects.next().map(|_| self.cut(Cut::Hops));
            return cut.into_iter().collect();
        };
        let mut all = Vec::new();
        for subject in objects {
            if self.read >= self.limits.tuples {
                all.push(self.cut(Cut::Work));
                break;
            }
            let Subj::One(object) = subject else {
                continue;
            };
            all.push(match facts.key(object, ttu.computed.as_str()) {
                Some((to, def)) => self.step(at, to, def, hops, Some((key.relation, subject))),
                None => Formula::Never,
            });
        }
        all
    }

    /// The distance after following a tuple of a relation from a vertex; `None` when that is too far.
    fn hop(&self, at: usize, def: &RelationDef) -> Option<usize> {
        let hops = self.vertices[at].hops + usize::from(!def.free);
        (hops <= self.limits.hops).then_some(hops)
    }

    fn step(
        &mut self,
        from: usize,
        to: Key<'a>,
        def: &'a RelationDef,
        hops: usize,
        by: Option<(&'a Relation, Subj)>,
    ) -> Formula<'a> {
        self.read += usize::from(by.is_some());
        let Some(to) = self.reach(to, def, hops) else {
            return self.cut(Cut::Work);
        };
        self.vertices[to].dependents.push(from);
        Formula::Step(Step { to, by })
    }

    /// Finds or makes a vertex that is at most so many hops away; `None` when there are too many.
    fn reach(&mut self, key: Key<'a>, def: &'a RelationDef, hops: usize) -> Option<usize> {
        let at = match self.index.get(&key) {
            Some(&at) => at,
            None if self.vertices.len() >= self.limits.vertices => return None,
            None => self.add(key, def),
        };
        let vertex = &mut self.vertices[at];
        if hops < vertex.hops {
            vertex.hops = hops;
            self.layers[hops].push(at);
        }
        Some(at)
    }

    fn add(&mut self, key: Key<'a>, def: &'a RelationDef) -> usize {
        let at = self.vertices.len();
        self.index.insert(key, at);
        self.vertices.push(Vertex {
            key,
            def,
            formula: None,
            dependents: Vec::new(),
            is_itself: false,
            hops: usize::MAX,
        });
        at
    }

    fn cut(&mut self, why: Cut) -> Formula<'a> {
        self.cut.get_or_insert(why);
        Formula::Cut
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{World, ask, docs, tuple};
    use super::super::{HOPS_MAX, Verdict};
    use super::*;
    use serde_json::json;
    use std::collections::HashSet;

    /// `user:u` at the end of so many tuples from `group:0`.
    fn chain(tuples: usize) -> World {
        let mut all = vec![tuple(&format!("user:u member group:{}", tuples - 1))];
        all.extend((1..tuples).map(|i| tuple(&format!("group:{i}#member member group:{}", i - 1))));
        World::of_groups(all)
    }

    #[test]
    fn a_chain_of_ten_tuples_is_allowed_and_one_of_eleven_unknown() {
        assert_eq!(
            chain(HOPS_MAX).verdict("user:u member group:0"),
            Verdict::Yes
        );
        assert_eq!(
            chain(HOPS_MAX).verdict("user:v member group:0"),
            Verdict::No
        );
        let longer = chain(HOPS_MAX + 1).asks("user:u member group:0");
        assert_eq!(
            (longer.verdict, longer.cut),
            (Verdict::Unknown, Some(Cut::Hops))
        );
        assert!(!longer.allows());
    }

    fn ring(size: usize) -> World {
        let around = |i: usize| tuple(&format!("group:{i}#member member group:{}", (i + 1) % size));
        World::of_groups(
            (0..size)
                .map(around)
                .chain([tuple("user:u member group:0")]),
        )
    }

    #[test]
    fn a_ring_of_groups_is_cut_and_gives_a_definite_answer_where_it_is_small() {
        let small = ring(HOPS_MAX);
        assert_eq!(small.verdict("user:u member group:9"), Verdict::Yes);
        assert_eq!(small.verdict("user:v member group:9"), Verdict::No);
        let large = ring(10_000);
        assert_eq!(large.verdict("user:u member group:9"), Verdict::Yes);
        assert_eq!(large.verdict("user:u member group:10"), Verdict::Unknown);
        assert_eq!(large.verdict("user:u member group:9999"), Verdict::Unknown);
        let unlimited = Limits {
            hops: 20_000,
            vertices: 20_000,
            ..Limits::default()
        };
        assert!(ask(&mut large.within(unlimited), "user:u member group:9999").allows());
    }

    /// Layers of groups, each of which holds every group of the next: more ways than can be walked one by one.
    #[test]
    fn a_diamond_costs_its_size_and_not_its_ways() {
        let (wide, deep) = (30, HOPS_MAX - 1);
        let mut all = HashSet::new();
        for (layer, a, b) in
            (1..deep).flat_map(|l| (0..wide * wide).map(move |n| (l, n / wide, n % wide)))
        {
            all.insert(tuple(&format!(
                "group:{layer}-{a}#member member group:{}-{b}",
                layer - 1
            )));
        }
        all.insert(tuple(&format!("user:u member group:{}-0", deep - 1)));
        let world = World::of_groups(all);
        assert_eq!(world.verdict("user:u member group:0-0"), Verdict::Yes);
        assert_eq!(world.verdict("user:v member group:0-0"), Verdict::No);
    }

    #[test]
    fn a_question_that_is_too_large_is_unknown() {
        let small = Limits {
            vertices: 5,
            ..Limits::default()
        };
        let answer = ask(&mut chain(9).within(small), "user:u member group:0");
        assert_eq!(
            (answer.verdict, answer.cut),
            (Verdict::Unknown, Some(Cut::Work))
        );
        let few = Limits {
            tuples: 3,
            ..Limits::default()
        };
        let answer = ask(&mut chain(9).within(few), "user:u member group:0");
        assert_eq!(
            (answer.verdict, answer.cut),
            (Verdict::Unknown, Some(Cut::Work))
        );
    }

    /// The way by a tuple is seen first, and the way without one is the shorter.
    #[test]
    fn the_shortest_way_to_a_relation_counts() {
        let docs = json!([{"type": "user"}, {"type": "doc", "relation": "far"}]);
        let either = json!({"union": [{"this": true}, {"computed": "near"}]});
        let doc = json!({"relations": {
            "viewer": {"rewrite": either, "types": docs},
            "near": {"rewrite": {"computed": "far"}},
            "far": {"rewrite": {"this": true}, "types": docs},
        }});
        let tuples = ["doc:1#far viewer doc:1", "user:u far doc:1"];
        let world = World::new(&json!({"user": {}, "doc": doc}), &tuples);
        let near = Limits {
            hops: 1,
            ..Limits::default()
        };
        assert!(ask(&mut world.within(near), "user:u viewer doc:1").allows());
    }

    #[test]
    fn where_nothing_is_left_to_follow_the_last_hop_gives_a_no() {
        let up = json!({"union": [{"this": true}, {"ttu": {"tupleset": "above", "computed": "viewer"}}]});
        let doc = json!({"relations": {
            "above": {"rewrite": {"this": true}, "types": [{"type": "doc"}]},
            "viewer": {"rewrite": up, "types": [{"type": "user"}]},
        }});
        let way = (1..=HOPS_MAX).map(|i| tuple(&format!("doc:{i} above doc:{}", i - 1)));
        let mut world = World::new(&json!({"user": {}, "doc": doc}), &[]);
        for tuple in way {
            world.store.insert(&tuple);
        }
        assert_eq!(world.verdict("user:a viewer doc:0"), Verdict::No);
        world.store.insert(&tuple("doc:11 above doc:10"));
        assert_eq!(world.verdict("user:a viewer doc:0"), Verdict::Unknown);
    }

    /// What a long way could not settle, a short way to the same group does, in whatever order they are stored.
    #[test]
    fn a_group_that_one_way_reaches_too_late_counts_by_another() {
        for order in [
            ["user:u member group:9", "group:9#member member group:0"],
            ["group:9#member member group:0", "user:u member group:9"],
        ] {
            let long = (1..10).map(|i| tuple(&format!("group:{i}#member member group:{}", i - 1)));
            let world = World::of_groups(long.chain(order.iter().map(|t| tuple(t))));
            assert_eq!(world.verdict("user:u member group:0"), Verdict::Yes);
        }
    }

    #[test]
    fn the_components_of_a_path_cost_no_hop() {
        let inherited = json!({"union": [{"this": true}, {"ttu": {"tupleset": "parent", "computed": "viewer"}}]});
        let path: Vec<String> = (1..100)
            .map(|i| format!("doc:{i} parent doc:{}", i - 1))
            .collect();
        let mut tuples: Vec<&str> = path.iter().map(String::as_str).collect();
        tuples.extend(["user:a viewer doc:99"]);
        let world = docs(&inherited, &tuples);
        assert_eq!(world.verdict("user:a viewer doc:0"), Verdict::Yes);
        assert_eq!(world.verdict("user:b viewer doc:0"), Verdict::No);
    }
}
