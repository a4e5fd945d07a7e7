//! What is open, when who opened it is not there any more.

use super::hands::{story, told};
use super::principals::{TENANT, boss, make};
use super::*;
use crate::core::MountId;
use crate::fs::{Allocate, Event, SetAttr};
use crate::meta::OpKind;

fn appending() -> OpenFlags {
    OpenFlags {
        append: true,
        ..OpenFlags::new(Access::ReadWrite)
    }
}

/// semantics.md §2: "A user, agent or group that is deleted takes its keys and memberships along, and is nobody from the next system call on"
#[test]
fn what_a_deleted_user_has_open_is_open_to_nobody() {
    let w = World::new();
    let (e, ann, ben) = (w.engine(), make(&w, "ann"), make(&w, "ben"));
    let ino = w.write(&ann, "/shared/f", b"old").unwrap();
    let open = SetAttr {
        mode: Some(0o666),
        ..SetAttr::default()
    };
    e.setattr(&ann, ino, &open, None).unwrap();
    let [hers, his] = [&ann, &ben].map(|who| e.open(who, ino, appending()).unwrap());
    e.write(&ann, hers, 0, b"+hers").unwrap();
    let (dir, other) = (w.workspace(), Event::List(w.workspace()));
    let told = e
        .enter((TENANT, MountId(7)), Arc::default(), || true)
        .unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            e.delete_user(&boss(), "ann").unwrap();
            // Told behind all that a deletion tells.
            e.setattr(&boss(), dir, &open, None).unwrap();
        });
        // Kernels keep bytes of what is open, which they would show without a question.
        let mut all = told.iter().flat_map(|notice| notice.events.clone());
        let first = all.find(|event| [&Event::Data(ino), &other].contains(&event));
        drop(all);
        drop(told);
        assert_eq!(first, Some(Event::Data(ino)));
    });
    let gone = e.confirm(&ann);
    assert_eq!(gone.tenant, None);
    for who in [&gone, &ben] {
        refused(e.write(who, hers, 0, b"x"), Kind::Denied);
        refused(e.read(hers, 0, 9), Kind::Denied);
        refused(e.read_as(|| who.clone(), hers, 0, 9), Kind::Denied);
        refused(e.write_page(hers, 0, b"x"), Kind::Denied);
        refused(e.allocate(who, hers, 0, 9, Allocate::Punch), Kind::Denied);
        let short = SetAttr {
            size: Some(0),
            ..SetAttr::default()
        };
        refused(e.setattr(who, ino, &short, Some(hers)), Kind::Denied);
        refused(e.copy_range(who, (his, 0), (hers, 0), 2), Kind::Denied);
        refused(e.copy_range(who, (hers, 0), (his, 0), 2), Kind::Denied);
    }
    // What she wrote before is a version of hers, and others go on.
    close(&w, &gone, hers);
    assert_eq!(&e.read(his, 0, 9).unwrap()[..], b"old+hers");
    e.write(&ben, his, 0, b"+his").unwrap();
    close(&w, &ben, his);
    assert_eq!(w.read(&ben, "/shared/f").unwrap(), b"old+hers+his");
    w.assert_sound();
}

#[test]
fn what_a_deleted_agent_has_open_is_its_owners_no_more_than_its_own() {
    let w = World::new();
    let (e, ann) = (w.engine(), make(&w, "ann"));
    let made = e.create_agent(&ann, "coder", None, false).unwrap();
    let coder = Caller {
        agent: Some("coder".into()),
        agent_id: Some(made.id),
        ..ann.clone()
    };
    let ino = w.write(&coder, "/workspace/f", b"old").unwrap();
    let [its, hers] = [&coder, &ann].map(|who| e.open(who, ino, appending()).unwrap());
    make(&w, "ben");
    e.delete_agent(&ann, "coder").unwrap();
    refused(e.read(its, 0, 9), Kind::Denied);
    assert_eq!(&e.read(hers, 0, 9).unwrap()[..], b"old");
}

/// Somebody's shell opens a file for a program that runs as nobody.
#[test]
fn who_is_nobody_writes_through_what_he_was_handed_in_the_name_of_who_opened_it() {
    let w = World::new();
    let (e, ann) = (w.engine(), make(&w, "ann"));
    let ino = w.write(&ann, "/workspace/f", b"old").unwrap();
    let since = e.head(TENANT).unwrap();
    let handle = e.open(&ann, ino, appending()).unwrap();
    let nobody = Caller {
        tenant: None,
        ..person("", 65534)
    };
    e.write(&nobody, handle, 0, b"+new").unwrap();
    close(&w, &nobody, handle);
    let expected = [told(OpKind::Write, &ann, b"old+new")];
    assert_eq!(story(&w, ino, since), expected);
}
