//! What kernels that looked at the past are told of, and listings that go on after a change.

use super::permissions::{give, ino, rename, unlink, with};
use super::*;
use crate::access::acl::{AclEntry, AclWho};
use crate::core::MountId;
use crate::fs::{AclOf, Event, Looks, SetAttr};
use parking_lot::Mutex;

/// A kernel that looks at the past, and what it is told. Whoever changes something waits until it has taken that in.
struct Kernel<'a> {
    w: &'a World,
    looks: Arc<Looks>,
    said: Arc<Mutex<Vec<Event>>>,
}

impl<'a> Kernel<'a> {
    fn of(w: &'a World) -> Self {
        let looks = Arc::<Looks>::default();
        let events = w.engine().events();
        let told = events.subscribe(TenantId(1), MountId(9), looks.clone());
        let said = Arc::<Mutex<Vec<Event>>>::default();
        let hears = said.clone();
        std::thread::spawn(move || {
            for notice in told {
                hears.lock().extend(notice.events.iter().cloned());
            }
        });
        Self { w, looks, said }
    }

    /// Whether it has to forget the past by a change, after it has looked at it.
    fn forgets<T>(&self, change: impl FnOnce() -> Result<T>) -> bool {
        self.looks.note(self.w.engine().next_ino());
        change().unwrap();
        let said = std::mem::take(&mut *self.said.lock());
        let told = self.looks.begin_to_forget();
        self.looks.forgot(told);
        said.iter().any(|e| matches!(e, Event::Past(_)))
    }
}

fn deny(w: &World, who: &Caller, at: &str, whom: &Caller) -> Result<()> {
    let entry = AclEntry {
        who: AclWho::User(whom.uid),
        deny: true,
        rights: 0,
    };
    let (e, ino) = (w.engine(), ino(w, at));
    e.set_acl_entry(who, ino, AclOf::Itself, entry).map(drop)
}

#[test]
fn a_kernel_forgets_the_past_when_what_there_was_is_judged_otherwise_and_only_then() {
    let (w, alice, bob) = with(&["a", "b"]);
    w.write(&alice, "/workspace/a/g", b"old").unwrap();
    let (kernel, e) = (Kernel::of(&w), w.engine());
    let chmod = |at: &str, mode| {
        let set = SetAttr {
            mode: Some(mode),
            ..SetAttr::default()
        };
        e.setattr(&alice, ino(&w, at), &set, None)
    };
    // What is new is in nothing that it has seen; bytes and times say nothing of who may see them.
    assert!(!kernel.forgets(|| w.write(&alice, "/workspace/a/new", b"1")));
    assert!(!kernel.forgets(|| w.write(&alice, "/workspace/a/g", b"changed")));
    assert!(!kernel.forgets(|| e.mkdir(&alice, ino(&w, "/workspace/a"), &name("d"), 0o755)));
    assert!(!kernel.forgets(|| {
        w.write(&alice, "/workspace/a/temporary", b"2")?;
        rename(&w, &alice, "/workspace/a/temporary", "/workspace/a/saved")?;
        unlink(&w, &alice, "/workspace/a/saved")
    }));
    assert!(kernel.forgets(|| chmod("/workspace/a/g", 0o600)));
    assert!(kernel.forgets(|| chmod("/workspace/b", 0o700)));
    assert!(kernel.forgets(|| rename(&w, &alice, "/workspace/a/g", "/workspace/b/g")));
    assert!(kernel.forgets(|| rename(&w, &alice, "/workspace/a/d", "/workspace/b/d")));
    assert!(kernel.forgets(|| w.engine().link(
        &alice,
        ino(&w, "/workspace/b/g"),
        ino(&w, "/workspace/b"),
        &name("h")
    )));
    assert!(kernel.forgets(|| unlink(&w, &alice, "/workspace/b/h")));
    assert!(kernel.forgets(|| deny(&w, &alice, "/workspace/b/g", &bob)));
    assert!(kernel.forgets(|| unlink(&w, &alice, "/workspace/b/g")));
    let snapshot = |n| e.create_snapshot(&alice, ino(&w, "/workspace/a"), n, None);
    assert!(!kernel.forgets(|| snapshot("s")));
    assert!(kernel.forgets(|| e.delete_snapshot(&alice, "s")));
}

#[test]
fn a_kernel_that_has_not_looked_is_not_told() {
    let (w, alice, _) = with(&["a"]);
    let kernel = Kernel::of(&w);
    unlink(&w, &alice, "/workspace/a/f").unwrap();
    let said = kernel.said.lock();
    assert!(!said.is_empty() && !said.iter().any(|e| matches!(e, Event::Past(_))));
}

#[test]
fn a_listing_that_goes_on_after_a_revoke_shows_what_may_be_seen_then() {
    let (w, alice, bob) = with(&["a"]);
    w.write(&alice, "/workspace/a/g", b"1").unwrap();
    give(&w, &alice, "/workspace/a", "can_read", "bob");
    let (e, dir) = (w.engine(), ino(&w, "/workspace/a"));
    let handle = e.opendir(&bob, dir).unwrap();
    let mut names = Vec::new();
    let mut take = |after, many| {
        let mut last = after;
        let read = e.readdir(&bob, handle, after, |entry| {
            if names.len() == many {
                return false;
            }
            last = entry.cookie;
            names.push(entry.name.to_string());
            true
        });
        read.unwrap();
        last
    };
    let first = take(0, 1);
    deny(&w, &alice, "/workspace/a/g", &bob).unwrap();
    take(first, 9);
    assert_eq!(names, ["f"]);
    e.releasedir(handle);
}
