//! Modes where nobody else can be named, and what a save by rename keeps there.

use super::*;
use crate::access::acl::{AclEntry, AclWho};
use crate::fs::{AclOf, Alone, RenameMode, SetAttr};
use crate::meta::OpKind;

const NOBODYS: u32 = 77;

/// Alice with her own group, where nothing was made yet.
fn alone(made: Option<Ino>) -> Alone {
    Alone {
        groups: [alice().gid, NOBODYS],
        made,
    }
}

fn list(w: &World, ino: Ino, rights: u32, deny: bool) {
    let who = AclWho::User(bob().uid);
    let entry = AclEntry { who, deny, rights };
    let e = w.engine();
    e.set_acl_entry(&alice(), ino, AclOf::Itself, entry)
        .unwrap();
}

fn chmod(w: &World, ino: Ino, mode: u32, alone: Option<Alone>) {
    let set = SetAttr {
        mode: Some(mode),
        alone,
        ..SetAttr::default()
    };
    w.engine().setattr(&alice(), ino, &set, None).unwrap();
}

/// The stored mode, what the owning group has in the list, and what bob has.
fn state(w: &World, ino: Ino) -> (u32, u32, u32) {
    let (node, acls) = w.engine().acls(&alice(), ino).unwrap();
    let list = acls.access.unwrap();
    let named = list.entries.iter().find(|e| !e.deny);
    (node.mode & 0o777, list.group, named.map_or(0, |e| e.rights))
}

fn file(w: &World, at: &str, mode: u32) -> Ino {
    let ino = w.write(&alice(), at, b"it").unwrap();
    chmod(w, ino, mode, None);
    ino
}

#[test]
fn a_mode_is_told_and_set_as_the_owning_groups_alone() {
    let w = World::new();
    let ino = file(&w, "/workspace/f", 0o640);
    let shown = || {
        let node = w.engine().getattr(&alice(), ino).unwrap();
        let own = alone(None);
        let own = Alone {
            groups: [node.gid, NOBODYS],
            ..own
        };
        let others = Alone {
            groups: [NOBODYS; 2],
            ..own
        };
        let modes = [own, others].map(|a| w.engine().mode_alone(&node, a) & 0o777);
        (own, modes)
    };
    let (own, modes) = shown();
    assert_eq!(modes, [0o640, 0o600]);
    list(&w, ino, 6, false);
    assert_eq!(state(&w, ino), (0o660, 4, 6));
    assert_eq!(shown().1, [0o640, 0o600]);
    let set = |mode, made| chmod(&w, ino, mode, Some(Alone { made, ..own }));
    // As it is shown, it stays.
    set(0o744, None);
    assert_eq!(state(&w, ino), (0o764, 4, 6));
    // What comes is the group's, under a mask that grows for it alone.
    list(&w, ino, 7, false);
    chmod(&w, ino, 0o644, None);
    assert_eq!(state(&w, ino), (0o644, 4, 7));
    set(0o664, None);
    assert_eq!(state(&w, ino), (0o664, 6, 4));
    // What goes is gone for all.
    set(0o624, None);
    assert_eq!(state(&w, ino), (0o624, 2, 4));
    set(0o600, None);
    assert_eq!(state(&w, ino), (0o600, 0, 4));
    chmod(&w, ino, 0o640, None);
    set(0o600, None);
    assert_eq!(state(&w, ino).0, 0o640);
    set(0o600, Some(ino));
    assert_eq!(state(&w, ino).0, 0o600);
    w.assert_sound();
}

#[test]
fn a_new_file_of_the_same_mode_takes_over_list_and_group_in_the_operation_that_renames_it() {
    let w = World::new();
    let e = w.engine();
    let old = file(&w, "/workspace/f", 0o640);
    list(&w, old, 6, false);
    list(&w, old, 1, true);
    let (before, acls) = e.acls(&alice(), old).unwrap();
    let new = file(&w, "/workspace/t", 0o640);
    let ours = Alone {
        groups: [before.gid, NOBODYS],
        made: Some(new),
    };
    let head = e.head(TenantId(1)).unwrap();
    save(&w, RenameMode::Succeed(ours));
    assert_eq!(e.head(TenantId(1)).unwrap().0, head.0 + 1);
    let (after, kept) = e.acls(&alice(), new).unwrap();
    assert_eq!((after.mode, after.gid), (before.mode, before.gid));
    assert_eq!(kept, acls);
    assert_eq!(w.read(&bob(), "/workspace/f").unwrap(), b"it");
    w.assert_sound();
}

fn save(w: &World, mode: RenameMode) {
    let (t, f) = (name("t"), name("f"));
    let dir = w.workspace();
    w.engine()
        .rename(&alice(), (dir, &t), (dir, &f), mode)
        .unwrap();
}

#[test]
fn nothing_passes_to_what_was_not_made_there_or_has_another_mode_or_a_deny_of_its_own() {
    type Spoil = fn(&World, Ino) -> Option<Ino>;
    let spoils: [Spoil; 4] = [
        |_, _| None,
        |w, new| {
            chmod(w, new, 0o600, None);
            Some(new)
        },
        |w, new| {
            list(w, new, 4, true);
            Some(new)
        },
        |w, new| {
            let dir = w.workspace();
            w.engine().link(&alice(), new, dir, &name("other")).unwrap();
            Some(new)
        },
    ];
    for (n, spoil) in spoils.iter().enumerate() {
        let w = World::new();
        let e = w.engine();
        let old = file(&w, "/workspace/f", 0o640);
        list(&w, old, 6, false);
        let new = file(&w, "/workspace/t", 0o640);
        let made = spoil(&w, new);
        let gid = e.getattr(&alice(), old).unwrap().gid;
        let ours = Alone {
            groups: [gid, NOBODYS],
            made,
        };
        save(&w, RenameMode::Succeed(ours));
        let (_, acls) = e.acls(&alice(), new).unwrap();
        let allows = acls
            .access
            .is_some_and(|l| l.entries.iter().any(|e| !e.deny));
        assert!(!allows, "{n}");
        w.assert_sound();
    }
}

/// A set-gid program would else run for a group that its author is not in.
#[test]
fn a_set_gid_bit_does_not_pass_to_another_group() {
    let w = World::new();
    let e = w.engine();
    let root = person("root", 0);
    let old = file(&w, "/workspace/f", 0o755);
    let give = SetAttr {
        gid: Some(NOBODYS + 1),
        ..SetAttr::default()
    };
    e.setattr(&root, old, &give, None).unwrap();
    let new = file(&w, "/workspace/t", 0o755);
    let own = SetAttr {
        gid: Some(alice().gid),
        ..SetAttr::default()
    };
    e.setattr(&alice(), new, &own, None).unwrap();
    chmod(&w, new, 0o2755, None);
    assert_eq!(e.getattr(&alice(), new).unwrap().mode, 0o2755);
    save(&w, RenameMode::Succeed(alone(Some(new))));
    let node = e.getattr(&alice(), new).unwrap();
    assert_eq!((node.mode, node.gid), (0o755, NOBODYS + 1));
    let log = e.head(TenantId(1)).unwrap();
    let record = crate::meta::log::at(&mut *e.store().read().unwrap(), TenantId(1), log);
    assert_eq!(record.unwrap().unwrap().0.kind, OpKind::Rename);
    w.assert_sound();
}
