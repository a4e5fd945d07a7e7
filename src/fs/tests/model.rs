//! Random sequences of calls, compared with a model of a few lines; then the same after a crash.

use super::*;
use crate::fs::RenameMode;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What a name stands for in the model. Files are shared between their hard links.
#[derive(Clone, Debug, PartialEq)]
enum Thing {
    File(usize),
    Dir,
}

/// The model: names under `/workspace`, at most two deep, and the bytes of each file.
#[derive(Default, Debug)]
struct Model {
    names: BTreeMap<String, Thing>,
    bytes: Vec<Vec<u8>>,
}

#[derive(Clone, Debug)]
enum Step {
    Write(u8, Vec<u8>),
    Append(u8, u8),
    Mkdir(u8),
    Remove(u8),
    Rename(u8, u8),
    Link(u8, u8),
}

/// Eight names: four at the top, and two in each of the first two when those are directories.
fn spot(i: u8) -> String {
    ["a", "b", "c", "d", "a/x", "a/y", "b/x", "b/y"][usize::from(i % 8)].to_string()
}

impl Model {
    fn parent_ok(&self, p: &str) -> bool {
        p.split_once('/')
            .is_none_or(|(dir, _)| self.names.get(dir) == Some(&Thing::Dir))
    }

    fn has_children(&self, p: &str) -> bool {
        let below = format!("{p}/");
        self.names.keys().any(|n| n.starts_with(&below))
    }

    fn apply(&mut self, step: &Step) -> bool {
        match step {
            Step::Write(i, bytes) => self.write(&spot(*i), |b| bytes.clone_into(b)),
            Step::Append(i, byte) => {
                self.names.contains_key(&spot(*i)) && self.write(&spot(*i), |b| b.push(*byte))
            }
            Step::Mkdir(i) => {
                let p = spot(*i);
                let free = self.parent_ok(&p) && !self.names.contains_key(&p);
                if free {
                    self.names.insert(p, Thing::Dir);
                }
                free
            }
            Step::Remove(i) => {
                let p = spot(*i);
                !self.has_children(&p) && self.names.remove(&p).is_some()
            }
            Step::Rename(i, j) => self.rename(&spot(*i), &spot(*j)),
            Step::Link(i, j) => {
                let (from, to) = (spot(*i), spot(*j));
                let Some(Thing::File(f)) = self.names.get(&from).cloned() else {
                    return false;
                };
                let free = self.parent_ok(&to) && !self.names.contains_key(&to);
                if free {
                    self.names.insert(to, Thing::File(f));
                }
                free
            }
        }
    }

    fn write(&mut self, p: &str, f: impl FnOnce(&mut Vec<u8>)) -> bool {
        match self.names.get(p) {
            Some(Thing::File(i)) => f(&mut self.bytes[*i]),
            None if self.parent_ok(p) => {
                let mut bytes = Vec::new();
                f(&mut bytes);
                self.bytes.push(bytes);
                self.names
                    .insert(p.to_string(), Thing::File(self.bytes.len() - 1));
            }
            Some(Thing::Dir) | None => return false,
        }
        true
    }

    fn rename(&mut self, from: &str, to: &str) -> bool {
        let Some(thing) = self.names.get(from).cloned() else {
            return false;
        };
        if !self.parent_ok(to) || to.starts_with(&format!("{from}/")) {
            return false;
        }
        match (&thing, self.names.get(to)) {
            (_, Some(there)) if from == to || (*there == thing && thing != Thing::Dir) => {
                return true;
            }
            (Thing::Dir, Some(Thing::File(_))) | (Thing::File(_), Some(Thing::Dir)) => {
                return false;
            }
            (Thing::Dir, Some(Thing::Dir)) if self.has_children(to) => return false,
            _ => {}
        }
        let below = format!("{from}/");
        let moved: Vec<String> = self
            .names
            .keys()
            .filter(|n| n.starts_with(&below))
            .cloned()
            .collect();
        for old in moved {
            if let Some(child) = self.names.remove(&old) {
                self.names
                    .insert(format!("{to}/{}", &old[below.len()..]), child);
            }
        }
        self.names.remove(from);
        self.names.insert(to.to_string(), thing);
        true
    }
}

fn perform(w: &World, step: &Step) -> Result<()> {
    let e = w.engine();
    let who = alice();
    let at = |i: u8| path(&format!("/workspace/{}", spot(i)));
    match step {
        Step::Write(i, bytes) => w.write(&who, &at(*i).to_string(), bytes).map(drop),
        Step::Append(i, byte) => {
            let flags = OpenFlags {
                append: true,
                ..OpenFlags::new(Access::Write)
            };
            let h = e.open(&who, e.resolve(&who, &at(*i))?.ino, flags)?;
            e.write(&who, h, 0, &[*byte])?;
            e.release(&who, h)
        }
        Step::Mkdir(i) => {
            let target = at(*i);
            let (dir, name) = e.resolve_parent(&who, &target)?;
            e.mkdir(&who, dir, name, 0o755).map(drop)
        }
        Step::Remove(i) => {
            let target = at(*i);
            let (dir, name) = e.resolve_parent(&who, &target)?;
            if e.lookup(&who, dir, name)?.is_dir() {
                e.rmdir(&who, dir, name)
            } else {
                e.unlink(&who, dir, name)
            }
        }
        Step::Rename(i, j) => {
            let (from, to) = (at(*i), at(*j));
            let from = e.resolve_parent(&who, &from)?;
            e.rename(
                &who,
                from,
                e.resolve_parent(&who, &to)?,
                RenameMode::Replace,
            )
        }
        Step::Link(i, j) => {
            let to = at(*j);
            let node = e.resolve(&who, &at(*i))?;
            let (dir, name) = e.resolve_parent(&who, &to)?;
            e.link(&who, node.ino, dir, name).map(drop)
        }
    }
}

/// The tree as the engine shows it, in the model's words.
fn shown(w: &World) -> BTreeMap<String, Option<Vec<u8>>> {
    let mut all = BTreeMap::new();
    let mut todo = vec![(String::new(), w.workspace())];
    while let Some((prefix, dir)) = todo.pop() {
        for entry in w.engine().list(&alice(), dir).unwrap() {
            let p = format!("{prefix}{}", entry.name);
            if entry.node.is_dir() {
                todo.push((format!("{p}/"), entry.node.ino));
                all.insert(p, None);
            } else {
                let bytes = w.read(&alice(), &format!("/workspace/{p}")).unwrap();
                all.insert(p, Some(bytes));
            }
        }
    }
    all
}

fn expected(m: &Model) -> BTreeMap<String, Option<Vec<u8>>> {
    let thing = |t: &Thing| match t {
        Thing::Dir => None,
        Thing::File(i) => Some(m.bytes[*i].clone()),
    };
    m.names.iter().map(|(n, t)| (n.clone(), thing(t))).collect()
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bytes = prop_oneof![
        4 => proptest::collection::vec(any::<u8>(), 0..50),
        1 => (60_000..400_000usize).prop_map(|n| vec![b'z'; n]),
    ];
    let step = prop_oneof![
        4 => (any::<u8>(), bytes).prop_map(|(i, b)| Step::Write(i, b)),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(i, b)| Step::Append(i, b)),
        3 => (0..2u8).prop_map(Step::Mkdir),
        2 => any::<u8>().prop_map(Step::Remove),
        3 => (any::<u8>(), any::<u8>()).prop_map(|(i, j)| Step::Rename(i, j)),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(i, j)| Step::Link(i, j)),
    ];
    proptest::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_does_what_the_model_does(steps in steps()) {
        let mut w = World::new();
        let mut model = Model::default();
        for step in &steps {
            let done = perform(&w, step);
            prop_assert_eq!(done.is_ok(), model.apply(step), "{:?}: {:?}", step, done);
        }
        prop_assert_eq!(shown(&w), expected(&model));
        w.assert_sound();
        w.crash();
        prop_assert_eq!(shown(&w), expected(&model));
        w.assert_sound();
    }
}
