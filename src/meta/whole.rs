//! Directories all of whose names are known, so that a name that is not there need not be looked for.

use super::cache::Place;
use crate::core::{Ino, Name};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};

/// The names of whole directories, as many as fit; when they are too many, all are forgotten.
pub(super) struct Whole {
    most: usize,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    dirs: HashMap<Ino, HashSet<Name>>,
    /// Directories and names together.
    count: usize,
}

impl Whole {
    /// Makes room for about `most` directories and names.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            inner: Mutex::default(),
        }
    }

    /// Asks about a directory, if all its names are known.
    pub(super) fn ask<T>(&self, dir: Ino, f: impl FnOnce(&HashSet<Name>) -> T) -> Option<T> {
        self.inner.lock().dirs.get(&dir).map(f)
    }

    pub(super) fn insert(&self, dir: Ino, names: HashSet<Name>) {
        let mut inner = self.inner.lock();
        inner.forget(dir);
        if inner.count + names.len() >= self.most {
            *inner = Inner::default();
        }
        if names.len() < self.most {
            inner.count += names.len() + 1;
            inner.dirs.insert(dir, names);
        }
    }

    /// Takes over that a name came or went.
    pub(super) fn note(&self, place: &Place, exists: bool) {
        let mut inner = self.inner.lock();
        let Some(names) = inner.dirs.get_mut(&place.parent) else {
            return;
        };
        if !exists {
            inner.count -= usize::from(names.remove(&place.name));
        } else if names.insert(place.name.clone()) {
            inner.count += 1;
        }
        if inner.count > self.most {
            *inner = Inner::default();
        }
    }

    pub(super) fn forget(&self, dir: Ino) {
        self.inner.lock().forget(dir);
    }

    pub(super) fn clear(&self) {
        *self.inner.lock() = Inner::default();
    }
}

impl Inner {
    fn forget(&mut self, dir: Ino) {
        if let Some(names) = self.dirs.remove(&dir) {
            self.count -= names.len() + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(dir: u64, name: &str) -> Place {
        Place {
            parent: Ino(dir),
            name: Name::new(name.as_bytes()).unwrap(),
        }
    }

    #[test]
    fn a_whole_directory_knows_what_it_has_and_what_not() {
        let whole = Whole::new(100);
        let has = |p: &Place| whole.ask(p.parent, |names| names.contains(&p.name));
        assert_eq!(has(&place(1, "a")), None);
        whole.insert(Ino(1), HashSet::new());
        assert_eq!(has(&place(1, "a")), Some(false));
        whole.note(&place(1, "a"), true);
        whole.note(&place(2, "a"), true);
        assert_eq!(has(&place(1, "a")), Some(true));
        assert_eq!(has(&place(2, "a")), None, "the rest of it is not known");
        whole.note(&place(1, "a"), false);
        assert_eq!(has(&place(1, "a")), Some(false));
        whole.forget(Ino(1));
        assert_eq!(has(&place(1, "a")), None);
        assert_eq!(whole.inner.lock().count, 0);
    }

    #[test]
    fn more_names_than_there_is_room_for_are_forgotten() {
        let whole = Whole::new(10);
        whole.insert(Ino(1), HashSet::new());
        for n in 0..30 {
            whole.note(&place(1, &format!("f{n}")), true);
            assert!(whole.inner.lock().count <= 10);
        }
        assert_eq!(whole.ask(Ino(1), HashSet::len), None);
    }
}
