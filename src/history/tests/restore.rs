//! Making things again what they were.

use super::reverse::project;
use super::world::*;
use crate::core::{Kind, Op};
use crate::history::{Restoring, named_at, restore};

fn restored(w: &World, at: &str, op: Op) -> Option<Op> {
    let moment = w.engine.moment_of(&alice(), op).unwrap();
    let what = Restoring {
        path: path(at),
        node: named_at(&w.engine, &alice(), moment, &path(at)).unwrap(),
        at: moment,
        dry_run: false,
    };
    let undone = restore(&w.engine, &alice(), &what).unwrap();
    assert_eq!(undone.conflicts, []);
    w.assert_sound();
    undone.op
}

/// What a tree holds, whatever the times of its directories.
fn timeless(mut tree: Tree) -> Tree {
    for seen in tree
        .values_mut()
        .filter(|s| s.kind == crate::meta::FileKind::Directory)
    {
        seen.mtime = 0;
    }
    tree
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
