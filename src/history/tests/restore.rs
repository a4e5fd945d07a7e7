//! Making things again what they were.

use super::reverse::project;
use super::world::*;
use crate::core::{Caller, Kind, Name, Op, Result};
use crate::fs::{Naming, Revision};
use crate::history::basis::Basis;
use crate::history::check::conflicts;
use crate::history::effects::Rows;
use crate::history::ops::Without;
use crate::history::{Answer, Restoring, Undone, named_at, restore};
use crate::meta::FileKind;
use crate::meta::cache::Place;
use std::collections::HashSet;

fn tried(w: &World, at: &str, op: Op) -> Result<Undone> {
    tried_or(w, at, op, Answer::Stop)
}

fn tried_or(w: &World, at: &str, op: Op, answer: Answer) -> Result<Undone> {
    let moment = w.engine.moment_of(&alice(), op).unwrap();
    let what = Restoring {
        path: path(at),
        node: named_at(&w.engine, &alice(), moment, &path(at)).unwrap(),
        at: moment,
        answer,
        dry_run: false,
    };
    let undone = restore(&w.engine, &alice(), &what);
    w.assert_sound();
    undone
}

fn restored(w: &World, at: &str, op: Op) -> Option<Op> {
    let undone = tried(w, at, op).unwrap();
    assert_eq!(undone.conflicts, []);
    undone.op
}

fn link(w: &World, who: &Caller, from: &str, to: &str) {
    let to = path(to);
    let (dir, name) = w.engine.resolve_parent(who, &to).unwrap();
    w.engine.link(who, w.ino(from), dir, name).unwrap();
}

/// Restores a path, wants the whole tree to be `after`, and takes it back.
#[track_caller]
fn makes(w: &World, at: &str, op: Op, after: &Tree) {
    let now = timeless(w.tree());
    let done = restored(w, at, op).unwrap();
    assert_eq!(&timeless(w.tree()), after);
    let back = w.undo(&alice(), [done].into_iter().collect()).unwrap();
    assert_eq!(back.conflicts, []);
    assert_eq!(timeless(w.tree()), now);
    w.assert_sound();
}

/// What a tree holds, whatever the times of its directories.
fn timeless(mut tree: Tree) -> Tree {
    for seen in tree.values_mut().filter(|s| s.kind == FileKind::Directory) {
        seen.mtime = 0;
    }
    tree
}

#[test]
fn what_comes_back_has_the_grants_that_went_with_it() {
    let w = World::new();
    let bob = w.unrelated_grant();
    w.mkdir(&alice(), "/workspace/p");
    w.mkdir(&alice(), "/workspace/p/team");
    w.write(&alice(), "/workspace/p/team/f", b"f");
    let dir = w.ino("/workspace/p/team");
    let give = |role: &str| w.engine.grant(&alice(), dir, role, &bob, None).unwrap().id;
    let (stays, given_back) = (give("can_write"), give("can_read"));
    let then = w.head();
    // It is gone when the directory goes.
    w.engine.revoke(&alice(), given_back).unwrap();
    w.remove_all(&alice(), "/workspace/p/team");
    let granted = || -> Vec<u64> { w.granted(dir).iter().map(|t| t.id).collect() };
    assert!(granted().is_empty());
    let done = restored(&w, "/workspace/p", then).unwrap();
    assert_eq!(granted(), [stays]);
    w.undo(&alice(), [done].into_iter().collect()).unwrap();
    assert!(granted().is_empty());
    let undone = tried(&w, "/workspace/p", then).unwrap();
    assert_eq!(undone.plan.revision.grants_back.len(), 1);
    assert_eq!(granted(), [stays]);
    w.assert_sound();
}

#[test]
fn a_directory_is_made_again_what_it_was_and_what_is_beside_it_stays() {
    let w = project();
    let (before, then) = (timeless(w.tree()), w.head());
    w.remove_all(&bob(), "/workspace/p/src/deep");
    w.write(&bob(), "/workspace/p/src/a", b"other");
    w.write(&alice(), "/workspace/p/src/new", b"new");
    w.rename(&bob(), "/workspace/p/src/b", "/workspace/p/docs/b");
    w.write(&alice(), "/workspace/p/docs/mine", b"mine");
    let later = timeless(w.tree());
    let op = restored(&w, "/workspace/p/src", then).unwrap();
    assert_eq!(w.read("/workspace/p/docs/mine"), b"mine");
    w.unlink(&alice(), "/workspace/p/docs/mine");
    assert_eq!(timeless(w.tree()), before);
    assert_eq!(restored(&w, "/workspace/p/src", then), None);
    w.write(&alice(), "/workspace/p/docs/mine", b"mine");
    w.undo(&alice(), [op].into_iter().collect()).unwrap();
    let again = timeless(w.tree());
    assert_eq!(
        again.keys().collect::<Vec<_>>(),
        later.keys().collect::<Vec<_>>()
    );
    assert_eq!(again["/workspace/p/src/a"], later["/workspace/p/src/a"]);
}

#[test]
fn what_is_gone_comes_back_and_what_took_its_name_makes_room() {
    let w = project();
    let (before, then) = (timeless(w.tree()), w.head());
    w.remove_all(&alice(), "/workspace/p/src");
    w.write(&alice(), "/workspace/p/src", b"a file");
    restored(&w, "/workspace/p/src", then);
    assert_eq!(timeless(w.tree()), before);
    let never = w.engine.moment_of(&alice(), Op(then.0 + 1)).unwrap();
    let missing = named_at(&w.engine, &alice(), never, &path("/workspace/p/none"));
    assert_eq!(missing.unwrap_err().kind(), Kind::NotFound);
}

const SRC: &str = "/workspace/p/src";
const DOCS: &str = "/workspace/p/docs";

#[test]
fn a_directory_that_took_the_path_goes_with_what_is_in_it() {
    let w = project();
    let (before, then) = (timeless(w.tree()), w.head());
    w.remove_all(&bob(), SRC);
    w.mkdir(&bob(), SRC);
    w.mkdir(&bob(), &format!("{SRC}/new"));
    w.write(&bob(), &format!("{SRC}/new/y"), b"y");
    makes(&w, SRC, then, &before);
    // What was elsewhere then goes back there.
    w.rename(&bob(), &format!("{DOCS}/read.me"), &format!("{SRC}/new/z"));
    makes(&w, SRC, then, &before);
    // The directory itself may be below the one that took its path.
    let now = w.head();
    let other = timeless(w.tree());
    w.rename(&bob(), SRC, "/workspace/p/old");
    w.mkdir(&bob(), SRC);
    w.rename(&bob(), "/workspace/p/old", &format!("{SRC}/old"));
    makes(&w, SRC, now, &other);
}

#[test]
fn what_was_moved_in_goes_back_only_where_nothing_else_has_its_name() {
    let w = project();
    let then = w.head();
    w.rename(
        &alice(),
        &format!("{DOCS}/read.me"),
        &format!("{SRC}/read.me"),
    );
    w.write(&bob(), &format!("{DOCS}/read.me"), b"bob's");
    let (before, by) = (w.tree(), w.by(&bob(), then));
    let refused = tried(&w, SRC, then).unwrap();
    assert_eq!(refused.op, None);
    let found: Vec<_> = refused.conflicts.iter().map(|c| c.by).collect();
    assert_eq!(found, [by.first()]);
    assert_eq!(w.tree(), before);
    w.rename(&bob(), &format!("{DOCS}/read.me"), &format!("{DOCS}/bobs"));
    restored(&w, SRC, then);
    assert_eq!(w.read(&format!("{DOCS}/read.me")), b"p/docs/read.me");
    assert_eq!(w.read(&format!("{DOCS}/bobs")), b"bob's");
    // Where it was when it was moved in, not where it was once, and as it is.
    w.rename(&bob(), &format!("{DOCS}/bobs"), &format!("{DOCS}/hers"));
    let then = w.head();
    w.rename(&bob(), &format!("{DOCS}/hers"), &format!("{DOCS}/his"));
    w.write(&bob(), &format!("{DOCS}/his"), b"better");
    w.rename(&bob(), &format!("{DOCS}/his"), &format!("{SRC}/his"));
    restored(&w, SRC, then);
    assert_eq!(w.read(&format!("{DOCS}/his")), b"better");
}

/// Restores `src` but for what something is in the way of, and takes it back; gives what was in the way, and the tree it made.
#[track_caller]
fn all_but(w: &World, then: Op) -> (usize, Tree) {
    let now = timeless(w.tree());
    assert!(tried(w, SRC, then).unwrap().stopped);
    assert_eq!(timeless(w.tree()), now);
    let done = tried_or(w, SRC, then, Answer::Skip).unwrap();
    assert!(!done.stopped);
    let tree = timeless(w.tree());
    let op = done.op.into_iter().collect();
    assert_eq!(w.undo(&alice(), op).unwrap().conflicts, []);
    assert_eq!(timeless(w.tree()), now);
    (done.conflicts.len(), tree)
}

#[test]
fn what_something_is_in_the_way_of_is_left_out_where_that_is_wanted() {
    let read_me = format!("{DOCS}/read.me");
    // Moved in, its name used since, and other changes beside it.
    let moved = |to: &str| {
        let w = project();
        let (before, then) = (timeless(w.tree()), w.head());
        if let Some((dir, _)) = to.rsplit_once('/').filter(|(dir, _)| *dir != SRC) {
            w.mkdir(&bob(), dir);
        }
        w.rename(&bob(), &read_me, to);
        w.write(&bob(), &read_me, b"bob's");
        w.write(&bob(), &format!("{SRC}/a"), b"other");
        w.remove_all(&bob(), &format!("{SRC}/deep"));
        (w, before, then)
    };
    let others = |tree: &Tree, but: &[&str]| {
        let mut tree = tree.clone();
        tree.retain(|path, _| !but.contains(&path.as_str()));
        // A directory that stays counts.
        let dirs = tree.values_mut().filter(|s| s.kind == FileKind::Directory);
        dirs.for_each(|seen| seen.links = 0);
        tree
    };
    let there = format!("{SRC}/read.me");
    let (w, before, then) = moved(&there);
    let (conflicts, after) = all_but(&w, then);
    assert_eq!(conflicts, 1);
    assert_eq!(after[&there].bytes, b"p/docs/read.me");
    assert_eq!(after[&read_me].bytes, b"bob's");
    let but = [there.as_str(), read_me.as_str()];
    assert_eq!(others(&after, &but), others(&before, &but));
    // In a directory that would go: it stays with what is in it.
    let there = format!("{SRC}/new/read.me");
    let (w, before, then) = moved(&there);
    let (conflicts, after) = all_but(&w, then);
    assert_eq!(conflicts, 2);
    assert_eq!(after[&there].bytes, b"p/docs/read.me");
    let new = format!("{SRC}/new");
    let but = [there.as_str(), new.as_str(), read_me.as_str()];
    assert_eq!(others(&after, &but), others(&before, &but));
    // In the place of something that would come back: that stays away.
    let there = format!("{SRC}/b");
    let (w, before, then) = moved(&there);
    let (conflicts, after) = all_but(&w, then);
    assert_eq!(conflicts, 2);
    assert_eq!(after[&there].bytes, b"p/docs/read.me");
    let but = [there.as_str(), read_me.as_str()];
    assert_eq!(others(&after, &but), others(&before, &but));
}

#[test]
fn a_name_outside_is_never_given_to_something_else() {
    let w = project();
    let then = w.head();
    let read_me = format!("{DOCS}/read.me");
    w.rename(&bob(), &read_me, &format!("{DOCS}/other"));
    let mut after = timeless(w.tree());
    w.rename(&bob(), &format!("{SRC}/b"), &read_me);
    makes(&w, SRC, then, &after);
    // What was replaced there stays replaced.
    w.rename(&bob(), &read_me, &format!("{DOCS}/other"));
    after.remove(&format!("{DOCS}/other"));
    makes(&w, SRC, then, &after);
}

#[test]
fn two_that_were_exchanged_change_places_again() {
    let w = project();
    let (before, then) = (timeless(w.tree()), w.head());
    w.rename(&bob(), &format!("{SRC}/b"), &format!("{DOCS}/x"));
    w.rename(&bob(), &format!("{DOCS}/read.me"), &format!("{SRC}/b"));
    w.rename(&bob(), &format!("{DOCS}/x"), &format!("{DOCS}/read.me"));
    makes(&w, SRC, then, &before);
}

#[test]
fn links_that_were_made_outside_since_stay() {
    let w = project();
    let then = w.head();
    link(&w, &bob(), &format!("{SRC}/b"), &format!("{DOCS}/b"));
    w.write(&bob(), &format!("{SRC}/new"), b"new");
    link(&w, &bob(), &format!("{SRC}/new"), &format!("{DOCS}/new"));
    w.unlink(&bob(), &format!("{SRC}/b"));
    restored(&w, SRC, then);
    let tree = w.tree();
    assert_eq!(
        tree[&format!("{SRC}/b")].ino,
        tree[&format!("{DOCS}/b")].ino
    );
    assert_eq!(tree[&format!("{DOCS}/b")].links, 2);
    assert_eq!(tree[&format!("{DOCS}/new")].links, 1);
    assert!(!tree.contains_key(&format!("{SRC}/new")));
}

#[test]
fn what_was_moved_away_or_linked_elsewhere_comes_back_to_its_path() {
    let w = project();
    let (before, then) = (timeless(w.tree()), w.head());
    w.rename(&bob(), &format!("{SRC}/b"), &format!("{DOCS}/c"));
    makes(&w, &format!("{SRC}/b"), then, &before);
    w.write(&bob(), &format!("{SRC}/b"), b"another");
    makes(&w, &format!("{SRC}/b"), then, &before);
    w.unlink(&bob(), &format!("{SRC}/b"));
    w.rename(&bob(), &format!("{DOCS}/c"), &format!("{SRC}/b"));
    w.rename(&bob(), SRC, &format!("{DOCS}/sources"));
    makes(&w, SRC, then, &before);
    w.rename(&bob(), &format!("{DOCS}/sources"), SRC);
    link(&w, &bob(), &format!("{SRC}/b"), &format!("{DOCS}/b"));
    w.unlink(&bob(), &format!("{SRC}/b"));
    restored(&w, &format!("{SRC}/b"), then).unwrap();
    assert_eq!(w.tree()[&format!("{DOCS}/b")].links, 2);
    assert_eq!(restored(&w, &format!("{SRC}/b"), then), None);
}

#[test]
fn the_directories_above_come_back_as_they_were_or_their_path_is_taken() {
    let w = project();
    let (at, then) = (format!("{SRC}/deep/c"), w.head());
    let mut after = timeless(w.tree());
    let lost = [
        format!("{SRC}/a"),
        format!("{SRC}/b"),
        format!("{SRC}/deep/link"),
        format!("{SRC}/deep/twin"),
    ];
    w.remove_all(&bob(), SRC);
    after.retain(|path, _| !lost.contains(path));
    makes(&w, &at, then, &after);
    w.mkdir(&bob(), SRC);
    restored(&w, &at, then).unwrap();
    let tree = w.tree();
    assert_eq!(tree[&at], after[&at]);
    assert_ne!(tree[SRC].ino, after[SRC].ino);
    // A directory that was moved leads to what is in it still.
    w.write(&bob(), &at, b"spoilt");
    w.rename(&bob(), SRC, "/workspace/p/sources");
    restored(&w, &at, then).unwrap();
    assert_eq!(w.read("/workspace/p/sources/deep/c"), b"p/src/deep/c");
    // Another one there: it could be meant.
    let then = w.head();
    w.rename(&bob(), "/workspace/p/sources", "/workspace/p/old");
    w.mkdir(&bob(), "/workspace/p/sources");
    w.mkdir(&bob(), "/workspace/p/sources/deep");
    let refused = tried(&w, "/workspace/p/sources/deep/c", then)
        .err()
        .unwrap();
    assert_eq!(refused.kind(), Kind::Conflict);
    assert!(
        refused.to_string().contains("/workspace/p/old/deep/c"),
        "{refused}"
    );
    w.write(&bob(), "/workspace/p/plain", b"x");
    w.remove_all(&bob(), "/workspace/p/sources");
    w.rename(&bob(), "/workspace/p/plain", "/workspace/p/sources");
    let refused = tried(&w, "/workspace/p/sources/deep/c", then)
        .err()
        .unwrap();
    assert_eq!(refused.kind(), Kind::Conflict);
}

#[test]
fn a_directory_that_loses_its_name_must_lose_what_is_in_it() {
    let w = project();
    let (parent, name) = (w.ino("/workspace/p"), Name::new(b"src").unwrap());
    let place = Place { parent, name };
    let naming = |place: &Place, to| Naming {
        place: place.clone(),
        was: w.engine.store().entry(place).unwrap(),
        to,
    };
    let (head, all) = (w.head(), Without::After(w.head()));
    let mut tx = w.engine.store().read().unwrap();
    let rows = Rows::read(&mut *tx, &[], Op(head.0 + 1)).unwrap();
    let mut revision = Revision {
        names: vec![naming(&place, None)],
        ..Revision::default()
    };
    let mut found = |revision: &Revision| {
        let found = {
            let known = (&HashSet::new(), &mut Basis::default());
            conflicts(&mut *tx, all, (&rows, revision), known).unwrap()
        };
        found.into_iter().map(|c| c.why).collect::<Vec<_>>()
    };
    assert_eq!(found(&revision), ["holds or is named what came since"]);
    // Nor can it get something.
    let (parent, name) = (w.ino(SRC), Name::new(b"new").unwrap());
    let inside = Place { parent, name };
    let to = Some(w.ino(&format!("{DOCS}/read.me")));
    revision.names.push(naming(&inside, to));
    assert!(found(&revision).contains(&"its directory is gone"));
}
