//! What changes the tree: made, moved, exchanged, removed.

use super::{Game, TOP};
use crate::sharing::model::above;
use std::collections::BTreeMap;

/// Where a path is after a move.
fn carried(path: &str, from: &str, to: &str) -> Option<String> {
    let rest = path.strip_prefix(from)?;
    (rest.is_empty() || rest.starts_with('/')).then(|| format!("{to}{rest}"))
}

impl Game {
    pub(super) fn make(&mut self, n: usize, at: &str) {
        let (user, is_dir) = (self.people[n].name, self.dice.one_in(2));
        let umask = self.one(&[0o077_u32, 0o027, 0o022, 0]);
        let call = if is_dir { "mkdir" } else { "write" };
        let text: &[&str] = if is_dir { &[] } else { &["text"] };
        let what = format!("{user}: {call} {at} {umask:o}");
        let made = self.goes(
            &what,
            |m| m.may_make(user, at),
            |g| {
                let there = &mut g.people[n].there;
                there.does("umask", &[&format!("{umask:o}")]).unwrap();
                g.does(n, call, at, text)
            },
        );
        if made {
            let asked = if is_dir { 0o777 } else { 0o666 };
            let dir = &self.model.things[above(at)];
            let new = dir.child(is_dir, user, (asked, umask));
            self.model.things.insert(at.to_owned(), new);
        }
    }

    pub(super) fn remove(&mut self, n: usize, at: &str) {
        let user = self.people[n].name;
        let is_dir = self.model.things[at].is_dir;
        let call = if is_dir { "rmdir" } else { "rm" };
        let what = format!("{user}: {call} {at}");
        let gone = self.goes(
            &what,
            |m| m.may_remove(user, at),
            |g| g.does(n, call, at, &[]),
        );
        if gone {
            self.model.things.remove(at);
        }
    }

    /// Root takes something away, so that there is room for more.
    pub(super) fn prune(&mut self) {
        let at = self.pick();
        if at == TOP || !self.model.is_empty(&at) {
            return;
        }
        let is_dir = self.model.things[&at].is_dir;
        let call = if is_dir { "rmdir" } else { "rm" };
        println!("root: {call} {at}");
        let there = self.world.root().join(&at[1..]);
        let gone = self.admin.does(call, &[there.to_str().unwrap()]);
        gone.unwrap();
        self.model.things.remove(&at);
    }

    pub(super) fn rename(&mut self, n: usize, from: &str, to: &str) {
        // The kernel answers for both by itself.
        if from == to || to.starts_with(&format!("{from}/")) {
            return;
        }
        let user = self.people[n].name;
        let moved = self.goes(
            &format!("{user}: mv {from} {to}"),
            |m| m.may_rename(user, from, to),
            |g| {
                let to = g.people[n].mount.join(&to[1..]);
                g.does(n, "mv", from, &[to.to_str().unwrap()])
            },
        );
        if moved {
            self.model.things.remove(to);
            let all = std::mem::take(&mut self.model.things).into_iter();
            let there = |path: String| carried(&path, from, to).unwrap_or(path);
            self.model.things = all.map(|(path, thing)| (there(path), thing)).collect();
        }
    }

    pub(super) fn exchange(&mut self, n: usize, one: &str, other: &str) {
        let within = |a: &str, b: &str| a == b || a.starts_with(&format!("{b}/"));
        // The kernel answers for these, too.
        if other == TOP || within(one, other) || within(other, one) {
            return;
        }
        let user = self.people[n].name;
        let done = self.goes(
            &format!("{user}: exchange {one} {other}"),
            |m| m.may_exchange(user, one, other),
            |g| {
                let other = g.people[n].mount.join(&other[1..]);
                g.does(n, "exchange", one, &[other.to_str().unwrap()])
            },
        );
        if done {
            let all = std::mem::take(&mut self.model.things).into_iter();
            let there = |path: String| {
                let two = carried(&path, one, other).or_else(|| carried(&path, other, one));
                two.unwrap_or(path)
            };
            let all: BTreeMap<_, _> = all.map(|(path, thing)| (there(path), thing)).collect();
            self.model.things = all;
        }
    }
}
