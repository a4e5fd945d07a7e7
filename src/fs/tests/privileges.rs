//! Set-id bits and capabilities: given to a content, and gone with it.

use super::*;
use crate::core::Op;
use crate::fs::privileges::CAPABILITY;
use crate::fs::{Allocate, SetAttr};
use crate::meta::{OpKind, log};

const VALUE: &[u8] = b"what setcap(8) writes";

fn superuser() -> Caller {
    person("root", 0)
}

fn capable(w: &World, ino: Ino) -> bool {
    let found = w.engine().getxattr(&superuser(), ino, CAPABILITY);
    found.is_ok()
}

/// capabilities(7): what is written to a program takes its capabilities, whoever writes.
#[test]
fn every_change_of_content_or_owner_takes_capabilities() {
    let w = World::new();
    let e = w.engine();
    let ino = w.write(&alice(), "/workspace/tool", b"good").unwrap();
    let handle = e
        .open(&alice(), ino, OpenFlags::new(Access::ReadWrite))
        .unwrap();
    let cut = SetAttr {
        size: Some(2),
        ..SetAttr::default()
    };
    let give = SetAttr {
        gid: Some(alice().gid),
        ..SetAttr::default()
    };
    let set = |set: &SetAttr| e.setattr(&alice(), ino, set, None).map(drop);
    let changes: [&dyn Fn() -> Result<()>; 6] = [
        &|| e.write(&alice(), handle, 0, b"evil").map(drop),
        &|| set(&cut),
        &|| e.setattr(&alice(), ino, &cut, Some(handle)).map(drop),
        &|| e.allocate(&alice(), handle, 0, 2, Allocate::Zero),
        &|| set(&give),
        &|| w.write(&superuser(), "/workspace/tool", b"x").map(drop),
    ];
    for (n, change) in changes.iter().enumerate() {
        e.setxattr(&superuser(), ino, CAPABILITY, VALUE, SetMode::Any)
            .unwrap();
        assert!(capable(&w, ino));
        let before = e.head(TenantId(1)).unwrap();
        change().unwrap();
        assert!(!capable(&w, ino), "change {n}");
        let told = kinds(&w, before);
        assert!(told.contains(&OpKind::RemoveXattr), "change {n}: {told:?}");
    }
    close(&w, &alice(), handle);
    w.assert_sound();
}

fn kinds(w: &World, since: Op) -> Vec<OpKind> {
    let mut tx = w.engine().store().read().unwrap();
    let found = log::after(&mut *tx, TenantId(1), since, 100).unwrap();
    found.into_iter().map(|(record, _)| record.kind).collect()
}

/// A kernel takes them in the name of who writes, before it lets him.
#[test]
fn who_may_write_takes_capabilities_and_nobody_but_the_superuser_gives_them() {
    let w = World::new();
    let e = w.engine();
    let ino = w.write(&alice(), "/workspace/tool", b"good").unwrap();
    let give = |who: &Caller| e.setxattr(who, ino, CAPABILITY, VALUE, SetMode::Any);
    refused(give(&alice()), Kind::NotPermitted);
    give(&superuser()).unwrap();
    refused(e.removexattr(&bob(), ino, CAPABILITY), Kind::Denied);
    e.removexattr(&alice(), ino, CAPABILITY).unwrap();
    assert!(!capable(&w, ino));
    let other = b"security.other";
    e.setxattr(&superuser(), ino, other, VALUE, SetMode::Any)
        .unwrap();
    refused(e.removexattr(&alice(), ino, other), Kind::NotPermitted);
}
