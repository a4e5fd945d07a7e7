//! What comes between two steps of something: nothing that it has to know of.

use super::*;
use crate::fs::{Revision, Title};
use crate::meta::{Node, OpKind};
use std::sync::mpsc::channel;
use std::time::Duration;

/// Has a revision make a content of a file; how the log has it.
fn making(e: &Engine, ino: Ino, what: &mut Revision, bytes: &[u8]) -> Title {
    let node = e.node(ino).unwrap();
    let sealed = e.blobs().seal_bytes(bytes).unwrap();
    let changed = Node {
        content: sealed.content.clone(),
        size: sealed.content.size(),
        ..(*node).clone()
    };
    what.changed.push(changed);
    what.made.push(sealed);
    Title {
        kind: OpKind::Undo,
        path: path("/workspace/f"),
        undo: serde_json::json!({ "nodes": ino.0.to_string() }),
    }
}

#[test]
fn nobody_waits_for_a_rehearsal_and_it_waits_for_nobody() {
    let w = World::new();
    let (e, who) = (w.engine(), alice());
    let ino = w.write(&who, "/workspace/f", b"text").unwrap();
    let before = e.head(TenantId(1)).unwrap();
    let (tell, told) = channel();
    let turn = e.turn.lock();
    std::thread::scope(|s| {
        s.spawn(move || {
            let mut what = Revision::default();
            making(e, ino, &mut what, b"what would be undone");
            tell.send(e.rehearse(&who, &what, &path("/workspace/f")))
                .unwrap();
        });
        let done = told.recv_timeout(Duration::from_mins(1));
        drop(turn);
        done.expect("a rehearsal waits for its turn").unwrap();
    });
    assert_eq!(e.head(TenantId(1)).unwrap(), before);
    assert_eq!(w.read(&alice(), "/workspace/f").unwrap(), b"text");
}

#[test]
fn no_revision_comes_between_the_beginning_of_a_write_and_its_bytes() {
    let w = World::new();
    let (e, who) = (w.engine(), alice());
    let ino = w.write(&who, "/workspace/f", b"what was written").unwrap();
    let flags = OpenFlags::new(Access::ReadWrite);
    let handle = e.open(&who, ino, flags).unwrap();
    let file = e.files.find(ino).unwrap();
    std::thread::scope(|s| {
        let (has_turn, told) = channel();
        let mut revising = None;
        e.modify(&who, &file, |writing| {
            revising = Some(s.spawn(move || {
                e.revise(&alice(), &mut Revision::default(), |what| {
                    has_turn.send(()).unwrap();
                    Ok(making(e, ino, what, b"what is undone"))
                })
            }));
            told.recv().unwrap();
            // The revision has been made by then, or refused.
            drop(e.turn.lock());
            writing.working.write(&e.blobs, 0, b"WHAT")
        })
        .unwrap();
        let revised = revising.unwrap().join().unwrap();
        refused(revised, Kind::Conflict);
    });
    // It was waited for, and has become a version.
    let done = e.revise(&who, &mut Revision::default(), |what| {
        Ok(making(e, ino, what, b"what is undone"))
    });
    assert!(done.unwrap().is_some());
    assert_eq!(e.read(handle, 0, 100).unwrap()[..], b"what is undone"[..]);
    close(&w, &who, handle);
    assert_eq!(w.read(&who, "/workspace/f").unwrap(), b"what is undone");
    w.assert_sound();
}

#[test]
fn a_write_that_fails_leaves_nothing_to_be_sealed() {
    let w = World::new();
    let (e, who) = (w.engine(), alice());
    let ino = w.write(&who, "/workspace/f", b"text").unwrap();
    let handle = e.open(&who, ino, OpenFlags::new(Access::Write)).unwrap();
    refused(e.write(&who, handle, u64::MAX, b"x"), Kind::TooLarge);
    assert_eq!(e.pending_files(), 0);
    close(&w, &who, handle);
    assert_eq!(w.read(&who, "/workspace/f").unwrap(), b"text");
}
