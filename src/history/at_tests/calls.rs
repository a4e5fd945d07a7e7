//! What each call answers in the past.

use super::{head, names, then, world};
use crate::core::{Caller, Clock, Config, Kind, Op, TenantId, Time};
use crate::db::{Db as _, Sqlite};
use crate::fs::tests::permissions::{mkdir, unlink};
use crate::fs::tests::principals::boss;
use crate::fs::tests::{alice, name, path, refused};
use crate::fs::{Access, Engine, OpenFlags, RenameMode, SetAttr, SetMode};
use crate::history::{At, resolve_when};
use std::sync::Arc;
use std::time::Duration;

#[test]
fn the_past_is_resolvable_everywhere_hidden_and_not_in_itself() {
    let w = world();
    let who = alice();
    mkdir(&w, &who, "/workspace/d");
    w.write(&who, "/workspace/d/f", b"1").unwrap();
    let op = head(&w);
    w.write(&who, "/workspace/d/f", b"2").unwrap();
    for at in [
        format!("/.at/op:{op}/workspace/d/f"),
        format!("/workspace/.at/op:{op}/d/f"),
        format!("/workspace/d/.at/op:{op}/f"),
    ] {
        assert_eq!(w.read(&who, &at).unwrap(), b"1", "{at}");
    }
    assert!(
        names(&w, &who, "/")
            .unwrap()
            .contains(&"workspace".to_owned())
    );
    for at in ["/", "/workspace", "/workspace/d", &then(op, "/workspace/d")] {
        assert!(
            !names(&w, &who, at).unwrap().contains(&".at".to_owned()),
            "{at}"
        );
    }
    let nested = format!("/.at/op:{op}/workspace/.at");
    refused(w.engine().resolve(&who, &path(&nested)), Kind::NotFound);
    refused(w.engine().resolve(&who, &path("/.at/.at")), Kind::NotFound);
}

#[test]
fn what_was_not_there_yet_and_what_is_no_moment_is_not_found() {
    let w = world();
    let who = alice();
    let before = head(&w);
    mkdir(&w, &who, "/workspace/d");
    let now = head(&w);
    for word in [
        format!("op:{before}"),
        format!("op:{}", now.0 + 1),
        "op:0".to_owned(),
        "1999-01-01".to_owned(),
        "2200-01-01".to_owned(),
        "nonsense".to_owned(),
    ] {
        let at = format!("/workspace/d/.at/{word}");
        refused(w.engine().resolve(&who, &path(&at)), Kind::NotFound);
    }
    assert!(
        w.engine()
            .resolve(&who, &path("/workspace/d/.at/now"))
            .is_ok()
    );
    let told = resolve_when(w.engine(), &who, "nonsense").unwrap_err();
    assert!(told.message().contains("10m-ago"), "{told}");
}

/// semantics.md §6: "and nothing in it can be changed."
#[test]
fn nothing_in_the_past_can_be_changed() {
    let w = world();
    let (e, who) = (w.engine(), alice());
    mkdir(&w, &who, "/workspace/d");
    let live = w.write(&who, "/workspace/f", b"x").unwrap();
    let op = head(&w);
    let ino = |at: &str| e.resolve(&who, &path(&then(op, at))).unwrap().ino;
    let (top, d, f) = (ino("/workspace"), ino("/workspace/d"), ino("/workspace/f"));
    let ro = Kind::ReadOnly;
    let mode = SetAttr {
        mode: Some(0o600),
        ..SetAttr::default()
    };
    refused(e.setattr(&who, f, &mode, None), ro);
    refused(e.setxattr(&who, f, b"user.k", b"v", SetMode::Any), ro);
    refused(e.removexattr(&who, f, b"user.k"), ro);
    refused(e.open(&who, f, OpenFlags::new(Access::ReadWrite)), ro);
    refused(e.mkdir(&who, d, &name("n"), 0o755), ro);
    refused(
        e.create(&who, d, &name("n"), 0o644, OpenFlags::new(Access::Write)),
        ro,
    );
    refused(e.symlink(&who, d, &name("n"), b"t"), ro);
    refused(e.unlink(&who, top, &name("f")), ro);
    refused(e.rmdir(&who, top, &name("d")), ro);
    refused(e.link(&who, f, w.workspace(), &name("n")), ro);
    refused(e.link(&who, live, d, &name("n")), ro);
    let here = (w.workspace(), &name("n"));
    refused(
        e.rename(&who, (top, &name("f")), here, RenameMode::Replace),
        ro,
    );
    let there = (top, &name("n"));
    refused(
        e.rename(
            &who,
            (w.workspace(), &name("f")),
            there,
            RenameMode::Replace,
        ),
        ro,
    );
    let at = e.resolve(&who, &path("/workspace/.at")).unwrap().ino;
    refused(e.mkdir(&who, at, &name("n"), 0o755), ro);
    assert_eq!(head(&w), op);
}

#[test]
fn no_name_of_the_tree_is_that_of_the_past() {
    let w = world();
    let (e, who, ws) = (w.engine(), alice(), w.workspace());
    w.write(&who, "/workspace/f", b"x").unwrap();
    let at = name(".at");
    refused(e.mkdir(&who, ws, &at, 0o755), Kind::Exists);
    refused(w.write(&who, "/workspace/.at", b"x"), Kind::Exists);
    refused(e.symlink(&who, ws, &at, b"t"), Kind::Exists);
    let moved = e.rename(&who, (ws, &name("f")), (ws, &at), RenameMode::Replace);
    refused(moved, Kind::Exists);
    refused(e.rmdir(&who, ws, &at), Kind::ReadOnly);
    let moved = e.rename(&who, (ws, &at), (ws, &name("g")), RenameMode::Replace);
    refused(moved, Kind::ReadOnly);
}

#[test]
fn a_number_in_the_past_is_the_same_each_time_and_another_through_each_door() {
    let w = world();
    let who = alice();
    mkdir(&w, &who, "/workspace/d");
    w.write(&who, "/workspace/d/f", b"1").unwrap();
    let op = head(&w);
    let ino = |at: &str| w.engine().resolve(&who, &path(at)).unwrap().ino;
    let through = [
        format!("/.at/op:{op}/workspace/d/f"),
        format!("/workspace/d/.at/op:{op}/f"),
    ];
    assert_eq!(ino(&through[0]), ino(&through[0]));
    assert_ne!(ino(&through[0]), ino(&through[1]));
    assert_eq!(ino(&through[0]), ino("/.at/now/workspace/d/f"));
    assert_ne!(ino(&through[0]), ino("/workspace/d/f"));
}

#[test]
fn a_past_file_has_its_hash_version_and_lists() {
    let w = world();
    let (e, who) = (w.engine(), alice());
    let ino = w.write(&who, "/workspace/f", b"one").unwrap();
    e.setxattr(&who, ino, b"user.k", b"v", SetMode::Any)
        .unwrap();
    let list = crate::access::posix_acl::encode_all(&crate::access::acl::Acl {
        owner: 6,
        group: 4,
        mask: 4,
        other: 0,
        entries: vec![crate::access::acl::AclEntry {
            who: crate::access::acl::AclWho::User(7),
            deny: false,
            rights: 4,
        }],
    });
    let acl = crate::access::posix_acl::ACCESS;
    e.setxattr(&who, ino, acl, &list, SetMode::Any).unwrap();
    let op = head(&w);
    e.removexattr(&who, ino, acl).unwrap();
    e.removexattr(&who, ino, b"user.k").unwrap();
    w.write(&who, "/workspace/f", b"three").unwrap();
    unlink(&w, &who, "/workspace/f").unwrap();
    let old = e.resolve(&who, &path(&then(op, "/workspace/f"))).unwrap();
    let get = |name: &[u8]| e.getxattr(&who, old.ino, name).unwrap();
    assert_eq!(get(b"user.nexus.version"), b"1");
    let hash = crate::core::Hash::of(b"one").to_string();
    assert_eq!(get(b"user.nexus.hash"), hash.as_bytes());
    assert_eq!(get(b"user.k"), b"v");
    assert_eq!(get(acl), list);
    assert_eq!(
        e.listxattr(&who, old.ino).unwrap(),
        [b"user.k".to_vec(), acl.to_vec()]
    );
}

#[test]
fn a_time_means_the_last_operation_done_by_then() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config::new(dir.path());
    let db = Arc::new(Sqlite::open(&config.database()).unwrap());
    db.migrate().unwrap();
    let start = Time::from_parts(1_800_000_000, 0);
    let engine = Arc::new(Engine::new(config, db, Clock::manual(start)).unwrap());
    engine.set_views(vec![Box::new(At::of(&engine))]);
    let who = boss();
    let top = engine.resolve(&who, &path("/workspace")).unwrap().ino;
    let first = engine.last_moment(&who).unwrap().op;
    let mut ops = Vec::new();
    for n in 0..50 {
        engine.clock().advance(Duration::from_mins(1));
        engine
            .mkdir(&who, top, &name(&format!("d{n}")), 0o755)
            .unwrap();
        ops.push(engine.last_moment(&who).unwrap().op);
    }
    let at = |word: &str| resolve_when(&engine, &who, word).map(|m| m.op);
    engine.clock().advance(Duration::from_secs(30));
    for ago in 0..50 {
        assert_eq!(at(&format!("{ago}m-ago")).unwrap(), ops[49 - ago]);
        let shown = engine
            .resolve(&who, &path(&format!("/workspace/.at/{ago}m-ago")))
            .unwrap();
        assert_eq!(engine.list(&who, shown.ino).unwrap().len(), 50 - ago);
    }
    assert_eq!(at("50m-ago").unwrap(), first);
    refused(at("3h-ago"), Kind::NotFound);
    // A clock that was set back: an operation no later, whose next one is later.
    engine.clock().set(start);
    engine.mkdir(&who, top, &name("back"), 0o755).unwrap();
    let back = engine.last_moment(&who).unwrap();
    assert_eq!(at("now").unwrap(), back.op);
    assert_eq!(at("0s-ago").unwrap(), back.op);
}

#[test]
fn the_past_of_one_tenant_is_nothing_to_another() {
    let w = world();
    let (e, who) = (w.engine(), alice());
    let acme = e.create_tenant(&boss(), "acme").unwrap();
    w.write(&who, "/workspace/ours", b"secret").unwrap();
    let op = head(&w);
    let ours = e
        .resolve(&who, &path(&then(op, "/workspace/ours")))
        .unwrap()
        .ino;
    let top = e.resolve(&who, &path(&then(op, "/workspace"))).unwrap().ino;
    let at = e.resolve(&who, &path("/workspace/.at")).unwrap().ino;
    let stranger = Caller::engine(acme.id);
    // An operation of this number is there in the other log, too.
    for n in 0..op.0 {
        let root = e.root(&stranger).unwrap();
        let ws = e.lookup(&stranger, root, &name("workspace")).unwrap().ino;
        e.mkdir(&stranger, ws, &name(&format!("d{n}")), 0o755)
            .unwrap();
    }
    let missing = Kind::NotFound;
    refused(e.getattr(&stranger, ours), missing);
    refused(
        e.open(&stranger, ours, OpenFlags::new(Access::Read)),
        missing,
    );
    refused(e.lookup(&stranger, top, &name("ours")), missing);
    refused(e.opendir(&stranger, top), missing);
    refused(e.listxattr(&stranger, ours), missing);
    refused(e.getattr(&stranger, at), missing);
    refused(e.lookup(&stranger, at, &name(&format!("op:{op}"))), missing);
    refused(w.read(&stranger, &then(op, "/workspace/ours")), missing);
    let nobody = Caller {
        tenant: None,
        ..alice()
    };
    refused(e.getattr(&nobody, ours), missing);
    assert!(e.resolve(&stranger, &path(&then(op, "/workspace"))).is_ok());
    assert_eq!(acme.id, TenantId(2));
    let _: Op = op;
}
