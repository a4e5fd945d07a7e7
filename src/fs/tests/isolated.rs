//! An isolated agent keeps the modes and times of what a grant lets it write.

use super::*;
use crate::access::Right;
use crate::access::acl::{AclEntry, AclWho};
use crate::core::Time;
use crate::fs::{AclOf, SetAttr, SetTime, To};

/// A directory of alice's and her isolated agent.
fn home(w: &World) -> (Caller, Caller, Ino) {
    let e = w.engine();
    let alice = principals::make(w, "alice");
    let made = e.create_agent(&alice, "coder", None, true).unwrap();
    let agent = Caller {
        agent: Some("coder".into()),
        agent_id: Some(made.id),
        isolated: true,
        ..alice.clone()
    };
    let dir = e
        .mkdir(&alice, w.workspace(), &name("p"), 0o700)
        .unwrap()
        .ino;
    (alice, agent, dir)
}

fn give(w: &World, by: &Caller, at: Ino, role: &str) {
    let to = To::One("agent:coder".parse().unwrap());
    w.engine().grant(by, at, role, &to, None).unwrap();
}

fn deny(w: &World, by: &Caller, at: Ino, uid: u32, rights: u32) {
    let entry = AclEntry {
        who: AclWho::User(uid),
        deny: true,
        rights,
    };
    w.engine()
        .set_acl_entry(by, at, AclOf::Itself, entry)
        .unwrap();
}

fn mode(mode: u32) -> SetAttr {
    SetAttr {
        mode: Some(mode),
        ..SetAttr::default()
    }
}

fn times() -> SetAttr {
    SetAttr {
        mtime: Some(SetTime::At(Time(7))),
        ..SetAttr::default()
    }
}

fn is_refused(w: &World, who: &Caller, ino: Ino, set: &SetAttr) -> bool {
    let before = w.engine().node(ino).unwrap();
    let done = w.engine().setattr(who, ino, set, None);
    let Err(e) = done else { return false };
    assert_eq!(e.kind(), Kind::NotPermitted);
    assert_eq!(w.engine().node(ino).unwrap(), before);
    true
}

#[test]
fn it_sets_modes_and_times_of_what_it_may_write_and_no_set_id_bit() {
    let w = World::new();
    let (alice, agent, dir) = home(&w);
    let e = w.engine();
    let file = w.write(&alice, "/workspace/p/f", b"x").unwrap();
    give(&w, &alice, dir, "can_read");
    assert!(is_refused(&w, &agent, file, &mode(0o644)));
    assert!(is_refused(&w, &agent, file, &times()));
    give(&w, &alice, dir, "can_write");
    e.setattr(&agent, file, &times(), None).unwrap();
    e.setattr(&agent, file, &mode(0o6755), None).unwrap();
    let node = e.node(file).unwrap();
    assert_eq!((node.mode, node.mtime), (0o755, Time(7)));
    // Whom it belongs to, and who has what on it, is the owner's to say.
    assert!(e.may(&agent, &node, Right::Own).is_err());
    w.assert_sound();
}

#[test]
fn it_sets_none_of_what_is_somebody_elses_or_kept_from_it() {
    let w = World::new();
    let (alice, agent, dir) = home(&w);
    let e = w.engine();
    give(&w, &alice, dir, "can_write");
    let bob = principals::make(&w, "bob");
    let to = To::One("bob".parse().unwrap());
    e.grant(&alice, dir, "can_write", &to, None).unwrap();
    let bobs = w.write(&bob, "/workspace/p/b", b"x").unwrap();
    assert!(is_refused(&w, &agent, bobs, &mode(0o644)));
    // What it may write and not read, it could show nobody.
    let file = w.write(&alice, "/workspace/p/f", b"x").unwrap();
    deny(&w, &alice, file, alice.uid, 4);
    assert!(is_refused(&w, &agent, file, &mode(0o644)));
}

#[test]
fn it_opens_no_directory_below_which_something_is_shut() {
    let w = World::new();
    let (alice, agent, dir) = home(&w);
    let e = w.engine();
    give(&w, &alice, dir, "can_write");
    let make = |up, n: &str| e.mkdir(&alice, up, &name(n), 0o700).unwrap().ino;
    let (open, apart) = (make(dir, "open"), make(dir, "apart"));
    let shut = make(make(apart, "between"), "shut");
    e.restrict(&alice, shut, true).unwrap();
    e.setattr(&agent, open, &mode(0o755), None).unwrap();
    for above in [apart, dir] {
        assert!(is_refused(&w, &agent, above, &mode(0o755)));
        e.setattr(&agent, above, &mode(0o500), None).unwrap();
        e.setattr(&agent, above, &times(), None).unwrap();
    }
    e.restrict(&alice, shut, false).unwrap();
    e.setattr(&agent, apart, &mode(0o755), None).unwrap();
    deny(&w, &alice, shut, 4711, 0);
    assert!(is_refused(&w, &agent, apart, &mode(0o775)));
    // Who may take what is others' out of it is its owner's to say.
    e.setattr(&alice, open, &mode(0o1755), None).unwrap();
    assert!(is_refused(&w, &agent, open, &mode(0o755)));
}
