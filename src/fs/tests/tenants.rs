//! Tenants taken away, and made again under the same name.

use super::principals::{TENANT, boss, subject};
use super::*;
use crate::core::{Hash, Kind, MountId, Op, Time};
use crate::fs::{Keep, To};
use crate::meta::{OpKind, Record, log};
use std::sync::atomic::{AtomicBool, Ordering};

fn boss_of(id: TenantId) -> Caller {
    Caller::engine(id)
}

/// A tenant `acme` with ann, who has an agent, a key and a grant, in a group, and a file; ann and her key's text.
fn acme(w: &World) -> (Caller, String) {
    let e = w.engine();
    let made = e.create_tenant(&boss(), "acme").unwrap();
    let boss = boss_of(made.id);
    let ann = e
        .create_user(&boss, "ann", Some(1500), (None, None))
        .unwrap();
    let ann = Caller {
        tenant: Some(made.id),
        user_id: Some(ann.id),
        ..person("ann", 1500)
    };
    e.create_agent(&ann, "coder", None, false).unwrap();
    e.create_group(&boss, "staff", None).unwrap();
    e.add_member(&boss, "staff", &subject("ann")).unwrap();
    let (_, key) = e.create_key(&ann, &subject("ann"), None, None).unwrap();
    let plan = w.write(&ann, "/workspace/plan", b"nobody else's");
    let plan = plan.unwrap();
    e.grant(&ann, plan, "viewer-of", &To::Everyone, None)
        .unwrap();
    let at = e.resolve(&ann, &path("/workspace")).unwrap().ino;
    e.create_snapshot(&ann, at, "kept", None).unwrap();
    (ann, key)
}

fn records(w: &World, of: TenantId, since: Op) -> Vec<Record> {
    let mut tx = w.engine().store().read().unwrap();
    let found = log::after(&mut *tx, of, since, 1000).unwrap();
    found.into_iter().map(|(record, _)| record).collect()
}

fn is_gone(w: &World, ann: &Caller, key: &str) {
    let e = w.engine();
    assert_eq!(e.tenants().len(), 1);
    assert!(e.root(ann).is_err() && e.roster(ann.tenant.unwrap()).is_err());
    assert_eq!(e.confirm(ann).tenant, None);
    let no_user = Caller {
        user_id: None,
        ..ann.clone()
    };
    assert_eq!(e.confirm(&no_user).tenant, None);
    assert!(e.user_of_uid(ann.tenant.unwrap(), 1500).is_none());
    assert!(e.holder(key).is_err());
    assert!(w.write(ann, "/workspace/plan", b"still").is_err());
    assert!(
        e.create_group(&boss_of(ann.tenant.unwrap()), "g", None)
            .is_err()
    );
    w.assert_sound();
}

/// semantics.md §2: "A tenant that is deleted takes its principals, their keys, its grants and its types along, in one operation"
#[test]
fn a_deleted_tenant_takes_everything_along_in_one_operation() {
    let mut w = World::new();
    let (ann, key) = acme(&w);
    let id = ann.tenant.unwrap();
    let before = w.engine().head(TENANT).unwrap();
    let planned = w.engine().estate(&boss(), "acme").unwrap();
    assert_eq!(w.engine().head(TENANT).unwrap(), before);
    let gone = w.engine().delete_tenant(&boss(), "acme").unwrap();
    assert_eq!(gone, planned);
    let went = [
        gone.users,
        gone.agents,
        gone.groups,
        gone.keys,
        gone.grants,
        gone.files,
        gone.bytes,
    ];
    assert_eq!(went, [1, 1, 1, 1, 1, 1, 13]);
    let told = records(&w, TENANT, before);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].kind, OpKind::TenantDelete);
    assert_eq!(told[0].subject().as_deref(), Some("tenant:acme"));
    assert_eq!(told[0].author.uid, boss().uid);
    assert_eq!(
        records(&w, id, Op(0)).last().unwrap().kind,
        OpKind::TenantDelete
    );
    for _ in 0..2 {
        is_gone(&w, &ann, &key);
        let sql = "SELECT tenant FROM users WHERE tenant = $1 UNION SELECT tenant FROM api_keys WHERE tenant = $1 \
                   UNION SELECT tenant FROM members WHERE tenant = $1 UNION SELECT tenant FROM groups WHERE tenant = $1 UNION SELECT tenant FROM tuples WHERE tenant = $1";
        let mut tx = w.engine().store().read().unwrap();
        assert!(tx.query(sql, &[id.into()]).unwrap().is_empty());
        drop(tx);
        w.crash();
    }
}

/// semantics.md §2: "its name is free at once, and who has it then is another tenant and sees nothing of it."
#[test]
fn the_next_tenant_of_the_name_is_another() {
    let mut w = World::new();
    let (ann, key) = acme(&w);
    w.engine().delete_tenant(&boss(), "acme").unwrap();
    w.crash();
    let (now, other) = acme(&w);
    assert!(now.tenant > ann.tenant && now.user_id > ann.user_id && key != other);
    assert!(w.engine().holder(&key).is_err() && w.engine().holder(&other).is_ok());
    assert!(w.engine().root(&ann).is_err());
    w.engine().delete_tenant(&boss(), "acme").unwrap();
    let third = w.engine().create_tenant(&boss(), "acme").unwrap();
    assert!(Some(third.id) > now.tenant);
    w.crash();
    assert_eq!(w.engine().tenant("acme").unwrap(), third);
    assert_eq!(w.engine().tenants().len(), 2);
    w.assert_sound();
}

#[test]
fn what_is_in_use_or_nobodys_to_delete_stays() {
    let w = World::new();
    let (ann, _) = acme(&w);
    let e = w.engine();
    let refused = |caller: &Caller, name: &str| {
        let planned = e.estate(caller, name).unwrap_err();
        let done = e.delete_tenant(caller, name).unwrap_err();
        assert_eq!(planned.kind(), done.kind());
        (done.kind(), done.message().to_owned())
    };
    assert_eq!(refused(&boss(), "default").0, Kind::Invalid);
    assert_eq!(refused(&boss(), "none").0, Kind::NotFound);
    assert_eq!(refused(&ann, "acme").0, Kind::NotPermitted);
    let alive = Arc::new(AtomicBool::new(true));
    let is_alive = {
        let alive = alive.clone();
        move || alive.load(Ordering::SeqCst)
    };
    let shown = (ann.tenant.unwrap(), MountId(7));
    let notices = e.enter(shown, Arc::default(), is_alive).unwrap();
    let (kind, said) = refused(&boss(), "acme");
    assert!(
        kind == Kind::Busy && said.contains("nexusctl mounts"),
        "{said}"
    );
    alive.store(false, Ordering::SeqCst);
    drop(notices);
    let plan = e.resolve(&ann, &path("/workspace/plan")).unwrap().ino;
    let open = e.open(&ann, plan, OpenFlags::new(Access::Read)).unwrap();
    assert_eq!(refused(&boss(), "acme").0, Kind::Busy);
    assert_eq!(e.read(open, 0, 6).unwrap(), &b"nobody"[..]);
    e.release(&ann, open).unwrap();
    e.delete_tenant(&boss(), "acme").unwrap();
    assert!(e.open(&ann, plan, OpenFlags::new(Access::Read)).is_err());
    assert!(
        e.getattr(&ann, plan).is_err(),
        "who has the number finds nothing"
    );
    let late = e.enter(shown, Arc::default(), || true).unwrap_err();
    assert_eq!(late.kind(), Kind::NotFound);
}

/// semantics.md §6: "The files of a deleted tenant are history that nobody is shown, and forgotten as a whole once its deletion is older"
#[test]
fn gc_forgets_a_deleted_tenant_once_the_horizon_has_passed_its_deletion() {
    let mut w = World::new();
    let (ann, _) = acme(&w);
    let start = w.engine().clock().now();
    let files = |w: &World| {
        w.engine()
            .df(&boss())
            .map(|df| (df.files, df.logical_bytes))
    };
    assert_eq!(files(&w).unwrap(), (1, 13));
    w.engine().delete_tenant(&boss(), "acme").unwrap();
    assert_eq!(files(&w).unwrap(), (0, 0));
    let keep = |since| Keep {
        since,
        snapshots: true,
    };
    let of_acme = |w: &World, since, rehearse| {
        let done = w.engine().forget(&boss(), keep(since), rehearse).unwrap();
        let gone = done.tenants.iter().find(|t| t.tenant.starts_with("acme"));
        (gone.map(|t| (t.rows > 5, t.bytes)), done.freed.blobs)
    };
    let has_blob = |w: &World| {
        let sql = "SELECT 1 FROM blobs WHERE hash = $1";
        let hash = Hash::of(b"nobody else's");
        let mut tx = w.engine().store().read().unwrap();
        !tx.query(sql, &[(&hash).into()]).unwrap().is_empty()
    };
    assert_eq!(of_acme(&w, start, false), (None, 0));
    assert!(has_blob(&w));
    let now = Time(w.engine().clock().now().0 + 1);
    let planned = of_acme(&w, now, true);
    assert_eq!(planned, (Some((true, 13)), 1));
    assert!(has_blob(&w));
    assert_eq!(of_acme(&w, now, false), planned);
    for _ in 0..2 {
        assert!(!has_blob(&w));
        let mut tx = w.engine().store().read().unwrap();
        let sql = "SELECT ino FROM nodes WHERE tenant = $1 UNION SELECT ino FROM nodes_past WHERE tenant = $1";
        assert!(
            tx.query(sql, &[ann.tenant.unwrap().into()])
                .unwrap()
                .is_empty()
        );
        drop(tx);
        w.assert_sound();
        w.crash();
    }
    assert_eq!(of_acme(&w, Time(now.0 + 1_000_000_000), false), (None, 0));
    let next = w.engine().create_tenant(&boss(), "acme").unwrap();
    assert!(Some(next.id) > ann.tenant);
    w.assert_sound();
}

#[test]
fn who_made_a_tenant_is_in_its_log_and_in_that_of_the_default_one() {
    let mut w = World::new();
    let before = w.engine().head(TENANT).unwrap();
    let maker = Caller {
        user: Some("root-of-all".into()),
        uid: 4242,
        session: Some("monday".into()),
        ..boss()
    };
    let made = w.engine().create_tenant(&maker, "acme").unwrap();
    for _ in 0..2 {
        let own = records(&w, made.id, Op(0));
        let told = records(&w, TENANT, before);
        assert_eq!((own.len(), told.len()), (1, 1));
        let kinds = (own[0].kind, told[0].kind);
        assert_eq!(kinds, (OpKind::Init, OpKind::TenantCreate));
        for record in own.iter().chain(&told) {
            let who = &record.author;
            assert_eq!((who.user.as_deref(), who.uid), (Some("root-of-all"), 4242));
            assert_eq!(who.session.as_deref(), Some("monday"));
        }
        assert_eq!(told[0].subject().as_deref(), Some("tenant:acme"));
        w.assert_sound();
        w.crash();
    }
    // Somebody of the default tenant may have the number that the administrator has elsewhere.
    let namesake = person("namesake", 4242);
    let mut reader = crate::fs::Reader::new(w.engine(), &namesake).unwrap();
    let told = records(&w, TENANT, before);
    assert!(!reader.may_read(&told[0]).unwrap());
    let mut reader = crate::fs::Reader::new(w.engine(), &maker).unwrap();
    assert!(reader.may_read(&told[0]).unwrap());
}

#[test]
fn what_is_opened_in_the_instant_of_a_deletion_is_seen_or_not_opened() {
    let w = World::new();
    let (ann, _) = acme(&w);
    let e = w.engine();
    let plan = e.resolve(&ann, &path("/workspace/plan")).unwrap();
    let now = e.last_moment(&ann).unwrap();
    let seen = e.open_at(&ann, now, plan.ino).unwrap();
    let busy = e.delete_tenant(&boss(), "acme").unwrap_err();
    assert_eq!(busy.kind(), Kind::Busy);
    assert_eq!(e.read(seen, 0, 6).unwrap(), &b"nobody"[..]);
    e.release(&ann, seen).unwrap();
    // The deletion has looked for what is open, and who opens has been allowed to.
    let home = e.home(plan.tenant).unwrap();
    e.tenants.hide(plan.tenant);
    let read = OpenFlags::new(Access::Read);
    refused(e.open_kept(&ann, plan.clone(), read), Kind::NotFound);
    refused(e.files.hold(e, plan.ino).map(drop), Kind::NotFound);
    assert_eq!(e.open_handles(), 0);
    e.tenants.show(home);
    assert!(e.open_kept(&ann, plan, read).is_ok());
}

#[test]
fn fsck_tells_when_a_tenant_is_gone_without_a_word_in_its_log() {
    let w = World::new();
    let (ann, _) = acme(&w);
    let mut tx = w.engine().store().begin().unwrap();
    let sql = "UPDATE tenants SET name = 'acme#2' WHERE id = $1";
    tx.execute(sql, &[ann.tenant.unwrap().into()]).unwrap();
    tx.commit().unwrap();
    let report = w.engine().fsck(&boss()).unwrap();
    assert!(
        report.problems.iter().any(|p| p.contains("was deleted")),
        "{report:?}"
    );
}

#[test]
fn a_change_of_principals_tells_nothing_of_other_tenants_directories() {
    let w = World::new();
    let (ann, _) = acme(&w);
    let e = w.engine();
    let alice = principals::make(&w, "alice");
    let f = w.write(&alice, "/workspace/f", b"x").unwrap();
    e.grant(&alice, f, "viewer-of", &To::Everyone, None)
        .unwrap();
    let notices = e.events().subscribe(TENANT, MountId(7), Arc::default());
    let (tell, told) = std::sync::mpsc::channel();
    // A notice is confirmed when it is dropped, and a change waits for that.
    std::thread::spawn(move || notices.iter().try_for_each(|n| tell.send(n.events.clone())));
    e.delete_user(&boss(), "alice").unwrap();
    let told: Vec<_> = told.try_iter().flatten().collect();
    let listed = |of: &Caller| {
        let dir = e.resolve(of, &path("/workspace")).unwrap().ino;
        let is_it = |event: &&crate::fs::Event| **event == crate::fs::Event::Relisted(dir);
        told.iter().filter(is_it).count()
    };
    assert_eq!((listed(&boss()), listed(&ann)), (1, 0), "{told:?}");
}

#[test]
fn nothing_that_was_said_in_a_deleted_tenant_is_weighed_any_more() {
    let mut w = World::new();
    let (ann, _) = acme(&w);
    let plan = w.engine().resolve(&ann, &path("/workspace/plan")).unwrap();
    w.engine().restrict(&ann, plan.ino, true).unwrap();
    assert!(!w.engine().policy.is_empty());
    w.engine().delete_tenant(&boss(), "acme").unwrap();
    assert!(w.engine().policy.is_empty());
    w.crash();
    assert!(w.engine().policy.is_empty());
}

#[test]
fn tenants_that_are_made_at_once_get_a_number_each() {
    let w = World::new();
    let e = w.engine();
    for round in 0..20 {
        let start = std::sync::Barrier::new(4);
        std::thread::scope(|s| {
            for n in 0..4 {
                let start = &start;
                s.spawn(move || {
                    start.wait();
                    e.create_tenant(&boss(), &format!("t{round}-{n}")).unwrap();
                });
            }
        });
    }
    assert_eq!(e.tenants().len(), 81);
    w.assert_sound();
}

#[test]
fn what_is_missing_is_told_though_the_horizon_lies_where_another_tenant_was_deleted() {
    let w = World::new();
    let e = w.engine();
    w.write(&boss(), "/workspace/f", b"x").unwrap();
    e.create_tenant(&boss(), "acme").unwrap();
    e.delete_tenant(&boss(), "acme").unwrap();
    let end = e.head(TENANT).unwrap();
    let keep = Keep {
        since: Time(e.clock().now().0 + 1),
        snapshots: true,
    };
    e.forget(&boss(), keep, false).unwrap();
    assert_eq!(e.horizon(TENANT).unwrap().upto, end);
    w.assert_sound();
    let mut tx = e.store().begin().unwrap();
    let sql = "DELETE FROM entries WHERE name = CAST('f' AS BLOB)";
    assert_eq!(tx.execute(sql, &[]).unwrap(), 1);
    tx.commit().unwrap();
    let problems = e.verify(&boss(), &mut |_| Ok(())).unwrap().problems;
    assert!(
        problems.iter().any(|p| p.contains("has lost")),
        "{problems:?}"
    );
}
