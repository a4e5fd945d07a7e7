//! Several who write to one open file: each change has the name of who made it, and none is lost by another's.

use super::{World, alice, bob, close};
use crate::core::{Caller, Ino, Op, TenantId};
use crate::fs::{Access, OpenFlags, SetAttr};
use crate::meta::{OpKind, log};

/// A file that both may write.
fn shared(w: &World, bytes: &[u8]) -> Ino {
    let ino = w.write(&alice(), "/workspace/f", bytes).unwrap();
    let set = SetAttr {
        mode: Some(0o666),
        ..SetAttr::default()
    };
    w.engine().setattr(&alice(), ino, &set, None).unwrap();
    ino
}

/// What was done to it since, by whom, and what it was then.
pub(super) fn story(w: &World, ino: Ino, since: Op) -> Vec<(OpKind, String, Vec<u8>)> {
    let e = w.engine();
    let all = log::after(&mut *e.store().read().unwrap(), TenantId(1), since, 100).unwrap();
    let told = all.into_iter().map(|(record, _)| {
        let then = e.store().node_at(ino, record.op).unwrap().unwrap();
        let size = usize::try_from(then.size).unwrap();
        let bytes = e.blobs().read(&then.content, 0, size).unwrap();
        (record.kind, record.author.user.unwrap(), bytes.to_vec())
    });
    told.collect()
}

pub(super) fn told(kind: OpKind, who: &Caller, bytes: &[u8]) -> (OpKind, String, Vec<u8>) {
    (
        kind,
        who.user.as_deref().unwrap().to_owned(),
        bytes.to_vec(),
    )
}

/// semantics.md §6: "Every change by any process through any door is one operation"
#[test]
fn what_one_has_written_is_a_version_of_his_before_another_writes() {
    let w = World::new();
    let ino = shared(&w, b"old\n");
    let (e, since) = (w.engine(), w.engine().head(TenantId(1)).unwrap());
    let append = OpenFlags {
        append: true,
        ..OpenFlags::new(Access::Write)
    };
    let [hers, his] = [alice(), bob()].map(|who| e.open(&who, ino, append).unwrap());
    e.write(&alice(), hers, 0, b"one\n").unwrap();
    e.fsync(&alice(), hers).unwrap();
    e.write(&alice(), hers, 0, b"two\n").unwrap();
    e.write(&bob(), his, 0, b"three\n").unwrap();
    e.write(&alice(), hers, 0, b"four\n").unwrap();
    close(&w, &bob(), his);
    close(&w, &alice(), hers);
    let expected = [
        told(OpKind::Write, &alice(), b"old\none\ntwo\n"),
        told(OpKind::Write, &bob(), b"old\none\ntwo\nthree\n"),
        told(OpKind::Write, &alice(), b"old\none\ntwo\nthree\nfour\n"),
    ];
    assert_eq!(story(&w, ino, since), expected);
    w.assert_sound();
}

/// truncate(2) or `>` by another process, of whichever user.
#[test]
fn what_is_cut_off_while_somebody_writes_it_is_in_a_version() {
    for cutter in [alice(), bob()] {
        for opens in [false, true] {
            let w = World::new();
            let ino = shared(&w, b"");
            let (e, since) = (w.engine(), w.engine().head(TenantId(1)).unwrap());
            let flags = OpenFlags::new(Access::Write);
            let hers = e.open(&alice(), ino, flags).unwrap();
            e.write(&alice(), hers, 0, b"work").unwrap();
            if opens {
                let cuts = OpenFlags {
                    truncate: true,
                    ..flags
                };
                let his = e.open(&cutter, ino, cuts).unwrap();
                close(&w, &cutter, his);
            } else {
                let set = SetAttr {
                    size: Some(0),
                    ..SetAttr::default()
                };
                e.setattr(&cutter, ino, &set, None).unwrap();
            }
            close(&w, &alice(), hers);
            let found = story(&w, ino, since);
            assert_eq!(found[0], told(OpKind::Write, &alice(), b"work"));
            assert_eq!(
                (found.len(), &found[1].1),
                (2, &cutter.user.as_deref().unwrap().to_owned())
            );
            assert_eq!(found[1].2, b"");
            w.assert_sound();
        }
    }
}

/// One who writes by turns through two processes makes no version for each.
#[test]
fn two_processes_of_one_user_write_one_version() {
    let w = World::new();
    let ino = shared(&w, b"");
    let (e, since) = (w.engine(), w.engine().head(TenantId(1)).unwrap());
    let handle = e
        .open(&alice(), ino, OpenFlags::new(Access::Write))
        .unwrap();
    for n in 0..4 {
        let process = Caller {
            pid: 100 + n % 2,
            ..alice()
        };
        e.write(&process, handle, n.into(), b"x").unwrap();
    }
    close(&w, &alice(), handle);
    assert_eq!(
        story(&w, ino, since),
        [told(OpKind::Write, &alice(), b"xxxx")]
    );
}
