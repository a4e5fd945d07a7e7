//! No way back gives set-id bits or capabilities to another content than they were given to.

use super::reverse::project;
use super::world::*;
use crate::core::{Caller, Kind, Op};
use crate::fs::privileges::CAPABILITY;
use crate::fs::{SetAttr, SetMode, To};
use crate::history::OpSet;

const AT: &str = "/workspace/p/src/b";
const SETID: u32 = 0o4000;

fn superuser() -> Caller {
    person("root", 0)
}

fn make_capable(w: &World) -> Op {
    let value = b"what setcap(8) writes";
    w.engine
        .setxattr(&superuser(), w.ino(AT), CAPABILITY, value, SetMode::Any)
        .unwrap();
    w.head()
}

fn is_capable(w: &World) -> bool {
    let found = w.engine.getxattr(&superuser(), w.ino(AT), CAPABILITY);
    found.is_ok()
}

fn done(w: &World, who: &Caller, ops: &[Op]) {
    let undone = w.undo(who, ops.iter().copied().collect::<OpSet>()).unwrap();
    assert_eq!(undone.conflicts, []);
    assert!(undone.op.is_some());
    w.assert_sound();
}

#[track_caller]
fn refused(w: &World, who: &Caller, ops: &[Op]) {
    let refused = w.undo(who, ops.iter().copied().collect::<OpSet>());
    assert_eq!(refused.err().unwrap().kind(), Kind::NotPermitted);
}

#[test]
fn only_the_superuser_undoes_that_capabilities_were_taken_and_of_the_same_content() {
    let w = project();
    make_capable(&w);
    let e = &w.engine;
    e.removexattr(&superuser(), w.ino(AT), CAPABILITY).unwrap();
    let removed = w.head();
    w.write(&alice(), AT, b"evil");
    let written = w.head();
    refused(&w, &alice(), &[removed]);
    assert!(!is_capable(&w));
    assert!(
        w.undo(&superuser(), [removed].into_iter().collect())
            .is_ok()
    );
    assert!(!is_capable(&w), "it was not given to that");
    done(&w, &superuser(), &[removed, written]);
    assert!(is_capable(&w));
}

/// What is refused to others, and what not even the superuser does unawares.
#[test]
fn set_id_bits_come_back_with_the_content_and_the_owner_that_they_were_given_to() {
    let to = |uid: u32| SetAttr {
        uid: Some(uid),
        gid: Some(uid),
        ..SetAttr::default()
    };
    let bits = |mode: u32| SetAttr {
        mode: Some(mode),
        ..SetAttr::default()
    };
    for evil in [false, true] {
        for gone in [false, true] {
            let w = project();
            let e = &w.engine;
            let set = |who: &Caller, what: &SetAttr| {
                e.setattr(who, w.ino(AT), what, None).unwrap();
                w.head()
            };
            set(&superuser(), &to(0));
            set(&superuser(), &bits(0o4755));
            let mut ops = vec![set(&superuser(), &to(1001))];
            if evil {
                w.write(&alice(), AT, b"evil");
            }
            if gone {
                w.unlink(&alice(), AT);
                ops.push(w.head());
            }
            done(&w, &superuser(), &ops);
            let node = e.getattr(&root(), w.ino(AT)).unwrap();
            let expected = if evil { 0 } else { SETID };
            let told = format!("evil: {evil}, gone: {gone}");
            assert_eq!((node.mode & SETID, node.uid), (expected, 0), "{told}");
        }
    }
}

#[test]
fn who_owns_a_file_by_a_grant_lets_nothing_of_his_run_as_its_owner_by_an_undo() {
    let w = project();
    let e = &w.engine;
    let user = |name, uid| {
        let made = e.create_user(&root(), name, Some(uid), (None, None));
        Caller {
            user_id: Some(made.unwrap().id),
            ..person(name, uid)
        }
    };
    let (alice, carol) = (user("alice", 1001), user("carol", 1003));
    let carols = To::One("carol".parse().unwrap());
    e.grant(&alice, w.ino(AT), "owner", &carols, None).unwrap();
    for dir in ["/workspace/p", "/workspace/p/src"] {
        let open = SetAttr {
            mode: Some(0o777),
            ..SetAttr::default()
        };
        e.setattr(&alice, w.ino(dir), &open, None).unwrap();
    }
    let chmod = |mode: u32| {
        let set = SetAttr {
            mode: Some(mode),
            ..SetAttr::default()
        };
        e.setattr(&alice, w.ino(AT), &set, None).unwrap();
        w.head()
    };
    chmod(0o4755);
    let taken = chmod(0o755);
    w.write(&carol, AT, b"evil");
    done(&w, &carol, &[taken]);
    assert_eq!(e.getattr(&root(), w.ino(AT)).unwrap().mode, 0o755);
}

#[test]
fn a_content_that_comes_back_takes_the_capabilities_of_the_one_it_replaces() {
    let w = project();
    w.write(&alice(), AT, b"good");
    let written = w.head();
    let given = make_capable(&w);
    done(&w, &alice(), &[written]);
    assert_eq!(w.read(AT), b"p/src/b");
    assert!(!is_capable(&w));
    let undone = w.head();
    refused(&w, &alice(), &[undone]);
    done(&w, &superuser(), &[undone]);
    assert_eq!(w.read(AT), b"good");
    assert!(is_capable(&w) && given < undone);
}

#[test]
fn what_comes_back_has_the_capabilities_it_went_with_and_no_others() {
    let w = project();
    make_capable(&w);
    w.unlink(&alice(), AT);
    done(&w, &alice(), &[w.head()]);
    assert!(is_capable(&w));
    w.write(&alice(), AT, b"evil");
    let taken = Op(w.head().0 - 1);
    w.unlink(&alice(), AT);
    refused(&w, &alice(), &[taken, w.head()]);
    done(&w, &alice(), &[w.head()]);
    assert!(!is_capable(&w));
}

#[test]
fn what_comes_back_has_the_set_id_bits_it_went_with_and_no_others() {
    let w = project();
    let set = SetAttr {
        mode: Some(0o777 | SETID),
        uid: Some(0),
        ..SetAttr::default()
    };
    let mode = || w.engine.getattr(&root(), w.ino(AT)).unwrap().mode;
    let give = || {
        let only_mode = SetAttr {
            uid: None,
            ..set.clone()
        };
        w.engine.setattr(&root(), w.ino(AT), &set, None).unwrap();
        w.engine
            .setattr(&root(), w.ino(AT), &only_mode, None)
            .unwrap();
    };
    give();
    w.unlink(&alice(), AT);
    done(&w, &alice(), &[w.head()]);
    assert_eq!(mode() & SETID, SETID, "with the content that had them");
    // The bits go by an operation of their own, before the content does.
    w.write(&alice(), AT, b"evil");
    let taken = Op(w.head().0 - 1);
    assert_eq!(mode() & SETID, 0);
    w.unlink(&alice(), AT);
    done(&w, &alice(), &[taken, w.head()]);
    assert_eq!((mode() & SETID, w.read(AT)), (0, b"evil".to_vec()));
    // And a content that comes back takes them as a write does.
    w.write(&alice(), AT, b"good");
    let written = w.head();
    give();
    done(&w, &alice(), &[written]);
    assert_eq!((mode() & SETID, w.read(AT)), (0, b"evil".to_vec()));
}

/// An isolated agent undoes what it may do: modes of what a grant lets it write.
#[test]
fn an_isolated_agent_undoes_its_chmod() {
    let w = project();
    let e = &w.engine;
    let owner = alice();
    e.create_user(&root(), "alice", Some(owner.uid), (None, None))
        .unwrap();
    let made = e.create_agent(&root(), "coder", Some("alice"), true);
    let made = made.unwrap();
    let agent = Caller {
        agent: Some("coder".into()),
        agent_id: Some(made.id),
        isolated: true,
        ..alice()
    };
    let to = To::One("agent:coder".parse().unwrap());
    e.grant(&alice(), w.ino(AT), "can_write", &to, None)
        .unwrap();
    let old = e.getattr(&alice(), w.ino(AT)).unwrap().mode;
    let set = SetAttr {
        mode: Some(old ^ 0o004),
        ..SetAttr::default()
    };
    e.setattr(&agent, w.ino(AT), &set, None).unwrap();
    done(&w, &agent, &[w.head()]);
    assert_eq!(e.getattr(&alice(), w.ino(AT)).unwrap().mode, old);
}
