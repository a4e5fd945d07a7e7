//! Files of several names, and what is said about one of them only.

use super::{closed, give, ino, link, list, rename, unlink, with};
use crate::access::acl::{AclEntry, AclWho};
use crate::core::MountId;
use crate::fs::tests::principals::boss;
use crate::fs::tests::*;
use crate::fs::{AclOf, Event, SetAttr};

/// Alice's directories `a` and `b`, and `a/f`, which is `b/g`, too.
fn linked() -> (World, Caller, Caller) {
    let (w, alice, bob) = with(&["a", "b"]);
    link(&w, &alice, "/workspace/a/f", "/workspace/b/g").unwrap();
    (w, alice, bob)
}

#[test]
fn a_grant_above_one_name_opens_the_file_by_none() {
    let (mut w, alice, bob) = linked();
    give(&w, &alice, "/workspace/a", "can_write", "bob");
    for _ in 0..2 {
        for at in ["/workspace/a/f", "/workspace/b/g"] {
            closed(w.read(&bob, at));
        }
        assert_eq!(list(&w, &bob, "/workspace/a").unwrap(), [""; 0]);
        w.crash();
    }
    give(&w, &alice, "/workspace/b", "can_read", "bob");
    assert!(w.read(&bob, "/workspace/a/f").is_ok() && w.read(&bob, "/workspace/b/g").is_ok());
    refused(unlink(&w, &bob, "/workspace/b/g"), Kind::Denied);
    w.assert_sound();
}

#[test]
fn a_boundary_or_a_deny_above_one_name_closes_the_file_by_all() {
    let (w, alice, bob) = linked();
    give(&w, &boss(), "/workspace", "can_read", "bob");
    let dir = ino(&w, "/workspace/b");
    let reads = || {
        let by = ["/workspace/a/f", "/workspace/b/g"].map(|at| w.read(&bob, at).is_ok());
        assert_eq!(by[0], by[1]);
        by[0]
    };
    assert!(reads());
    w.engine().restrict(&alice, dir, true).unwrap();
    assert!(!reads());
    w.engine().restrict(&alice, dir, false).unwrap();
    assert!(reads());
    let entry = AclEntry {
        who: AclWho::User(bob.uid),
        deny: true,
        rights: 0,
    };
    let set = w.engine().set_acl_entry(&alice, dir, AclOf::Below, entry);
    set.unwrap();
    assert!(!reads());
}

/// As fs.protected_hardlinks has it (proc_sys_fs(5)), of which kernels ask files of a mount nothing but set-id bits.
#[test]
fn a_file_is_linked_by_who_owns_it_or_may_read_and_write_it() {
    let (w, alice, bob) = with(&["a"]);
    let dir = ino(&w, "/workspace/a");
    let mode = |at: &str, mode| {
        let set = SetAttr {
            mode: Some(mode),
            ..SetAttr::default()
        };
        w.engine().setattr(&alice, ino(&w, at), &set, None).unwrap();
    };
    mode("/workspace/a", 0o1777);
    let link = |who: &Caller, n: usize| {
        let new = name(&format!("l{n}"));
        let file = ino(&w, "/workspace/a/f");
        w.engine().link(who, file, dir, &new).map(drop)
    };
    for (n, bits) in [0o600, 0o644, 0o622, 0o4666, 0o2676]
        .into_iter()
        .enumerate()
    {
        mode("/workspace/a/f", bits);
        refused(link(&bob, n), Kind::NotPermitted);
        link(&alice, n).unwrap();
    }
    // A set-group-id bit without the group's x is none (inode(7)).
    for (n, bits) in [(10, 0o666), (11, 0o2666)] {
        mode("/workspace/a/f", bits);
        link(&bob, n).unwrap();
    }
    mode("/workspace/a/f", 0o600);
    give(&w, &alice, "/workspace/a/f", "can_read", "bob");
    refused(link(&bob, 20), Kind::NotPermitted);
    give(&w, &alice, "/workspace/a/f", "can_write", "bob");
    link(&bob, 20).unwrap();
    let symlink = w.engine().symlink(&alice, dir, &name("s"), b"f").unwrap();
    let twin = w.engine().link(&bob, symlink.ino, dir, &name("t"));
    refused(twin, Kind::NotPermitted);
    w.assert_sound();
}

#[test]
fn a_moved_directory_takes_what_was_granted_from_the_files_it_shares() {
    let (w, alice, bob) = with(&["a", "a/d", "b"]);
    link(&w, &alice, "/workspace/a/d/f", "/workspace/a/g").unwrap();
    give(&w, &alice, "/workspace/a", "can_read", "bob");
    assert!(w.read(&bob, "/workspace/a/g").is_ok());
    rename(&w, &alice, "/workspace/a/d", "/workspace/b/d").unwrap();
    closed(w.read(&bob, "/workspace/a/g"));
    rename(&w, &alice, "/workspace/b/d", "/workspace/a/d").unwrap();
    assert!(w.read(&bob, "/workspace/a/g").is_ok());
}

#[test]
fn a_file_is_reached_by_any_name_that_one_can_walk_to() {
    let (w, alice, bob) = with(&["a", "b"]);
    link(&w, &alice, "/workspace/a/f", "/workspace/b/g").unwrap();
    w.engine().drop_caches();
    let mode = |at: &str, mode| {
        let set = SetAttr {
            mode: Some(mode),
            ..SetAttr::default()
        };
        w.engine().setattr(&alice, ino(&w, at), &set, None).unwrap();
    };
    mode("/workspace/a/f", 0o666);
    for (open, shut, at) in [("a", "b", "a/f"), ("b", "a", "b/g")] {
        mode(&format!("/workspace/{open}"), 0o755);
        mode(&format!("/workspace/{shut}"), 0o700);
        w.engine().drop_caches();
        assert_eq!(w.read(&bob, &format!("/workspace/{at}")).unwrap(), b"a");
        let path = w
            .engine()
            .path_for(&bob, ino(&w, "/workspace/a/f"))
            .unwrap();
        assert_eq!(path.unwrap().to_string(), format!("/workspace/{at}"));
    }
}

#[test]
fn kernels_forget_the_names_that_stay_when_one_goes_that_closed_them() {
    let (w, alice, bob) = linked();
    give(&w, &alice, "/workspace/a", "can_read", "bob");
    let told = w
        .engine()
        .events()
        .subscribe(TenantId(1), MountId(9), Arc::default());
    let w = &w;
    let said = std::thread::scope(|s| {
        // It waits until the notice has been dropped.
        let gone = s.spawn(|| unlink(w, &alice, "/workspace/b/g"));
        let notice = told.recv().unwrap();
        let events = notice.events.clone();
        drop(notice);
        gone.join().unwrap().unwrap();
        events
    });
    let (parent, name) = (ino(w, "/workspace/a"), name("f"));
    assert!(said.contains(&Event::Closed { parent, name }), "{said:?}");
    assert!(said.contains(&Event::Relisted(parent)), "{said:?}");
    assert!(w.read(&bob, "/workspace/a/f").is_ok());
}
