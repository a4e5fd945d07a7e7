//! What was done again within the hour is counted, and the count is in the log.

use super::*;
use crate::access::Right;
use crate::fs::{Reader, RenameMode};

const FORBIDDEN: &str = "only an administrator may do this";

fn hour(n: i64) -> Time {
    Time(n * 3_600_000_000_000)
}

fn later(n: i64, minutes: i64) -> Time {
    Time(hour(n).0 + minutes * 60_000_000_000)
}

fn admin(w: &World) -> Caller {
    Caller {
        admin: true,
        ..make(w, "rita")
    }
}

fn refuse(w: &World, who: &Caller, user: &str) {
    let asked = Request::from([("user".to_owned(), user.to_owned())]);
    let why = Error::new(Kind::NotPermitted, FORBIDDEN);
    let command = ("user-create", &asked);
    w.engine().write_refusal(who, command, &why).unwrap();
}

fn chmod(w: &World, who: &Caller, node: Ino, mode: u32) {
    let set = SetAttr {
        mode: Some(mode),
        ..SetAttr::default()
    };
    w.engine().setattr(who, node, &set, None).unwrap();
}

/// The operations of records, and what they say was done again.
fn counts(of: &[Record]) -> Vec<(u64, Option<u64>)> {
    let mut all: Vec<_> = of.iter().map(|r| (r.op.0, r.particulars().times)).collect();
    all.sort_unstable();
    all
}

/// How often something was done, by all records of it.
fn sum(of: &[Record]) -> u64 {
    let times = |r: &Record| r.particulars().times.unwrap_or(1);
    of.iter().map(times).sum()
}

#[test]
fn what_was_refused_again_is_one_record_after_the_hour() {
    let w = permissions::time::world_at(hour(100));
    let bob = Caller {
        session: Some("s1".into()),
        agent: Some("coder".into()),
        pid: 77,
        comm: Some("tool".into()),
        ..make(&w, "bob")
    };
    for minute in 0..5 {
        w.engine().clock().set(later(100, minute));
        refuse(&w, &bob, "mallory");
        w.engine().housekeep().unwrap();
    }
    assert_eq!(records(&w, OpKind::Refused).len(), 1);
    w.engine().clock().set(hour(101));
    for _ in 0..2 {
        w.engine().housekeep().unwrap();
        let found = records(&w, OpKind::Refused);
        let [first, again] = &*found else {
            panic!("{found:?}")
        };
        assert_eq!(
            (again.author.clone(), again.ino),
            (first.author.clone(), first.ino)
        );
        assert_eq!(
            (again.subject(), again.note()),
            (first.subject(), first.note())
        );
        let counted = again.particulars();
        assert_eq!(counted.asked, first.particulars().asked);
        assert_eq!((counted.times, counted.first), (Some(4), Some(first.op.0)));
        assert_eq!(counted.last, Some(later(100, 4).to_string()));
        assert!(!counted.others);
    }
    // A new hour begins anew.
    refuse(&w, &bob, "mallory");
    let found = records(&w, OpKind::Refused);
    let times: Vec<_> = found.iter().map(|r| r.particulars().times).collect();
    assert_eq!(times, [None, Some(4), None]);
    w.assert_sound();
}

#[test]
fn an_agent_and_its_owner_are_told_and_counted_apart() {
    let w = permissions::time::world_at(hour(100));
    let bob = make(&w, "bob");
    let agent = Caller {
        agent: Some("coder".into()),
        ..bob.clone()
    };
    for who in [&bob, &agent, &agent] {
        refuse(&w, who, "mallory");
    }
    w.engine().clock().set(hour(101));
    w.engine().housekeep().unwrap();
    let found = records(&w, OpKind::Refused);
    let told = found
        .iter()
        .map(|r| (r.author.agent.as_deref(), r.particulars().times));
    let coder = Some("coder");
    assert_eq!(
        told.collect::<Vec<_>>(),
        [(None, None), (coder, None), (coder, Some(1))]
    );
}

/// Neither other words nor other sessions give him more of the log.
#[test]
fn who_is_refused_ever_new_things_writes_a_bounded_number_of_records_and_all_are_counted() {
    let w = permissions::time::world_at(hour(100));
    let bob = make(&w, "bob");
    for n in 0..1000 {
        let who = Caller {
            session: (n % 2 == 0).then(|| format!("s{n}").into()),
            agent: (n % 3 == 0).then(|| format!("a{n}").into()),
            ..bob.clone()
        };
        refuse(&w, &who, &format!("u{}", n / 2));
    }
    assert_eq!(records(&w, OpKind::Refused).len(), 101);
    w.engine().clock().set(hour(101));
    w.engine().housekeep().unwrap();
    let found = records(&w, OpKind::Refused);
    assert_eq!((found.len(), sum(&found)), (102, 1000));
    let others: Vec<_> = found.iter().filter(|r| r.particulars().others).collect();
    let [first, again] = &*others else {
        panic!("{others:?}")
    };
    assert_eq!(again.particulars().first, Some(first.op.0));
    assert_eq!(first.author.session, None);
    assert_eq!(first.author.agent, None);
    // Somebody else has his own.
    refuse(&w, &make(&w, "carol"), "mallory");
    assert!(!records(&w, OpKind::Refused)[102].particulars().others);
}

#[test]
fn what_an_administrator_reads_and_changes_again_is_counted() {
    let w = permissions::time::world_at(hour(100));
    let (alice, admin) = (make(&w, "alice"), admin(&w));
    let dir = permissions::mkdir(&w, &alice, "/workspace/a");
    // To search it is everybody's right: else that is told and counted, too.
    chmod(&w, &alice, dir, 0o755);
    let nodes: Vec<_> = ["f", "g", "h"]
        .map(|name| w.write(&alice, &format!("/workspace/a/{name}"), b"dear"))
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let reads = |times, of: &[usize]| {
        for n in of.iter().cycle().take(times * of.len()) {
            let flags = OpenFlags::new(Access::Read);
            let handle = w.engine().open(&admin, nodes[*n], flags).unwrap();
            w.engine().release(&admin, handle).unwrap();
        }
    };
    // One by name and ten more times, then the directory for all that is in it, and seven more.
    reads(11, &[0]);
    reads(1, &[1]);
    reads(2, &[0, 1, 2]);
    reads(1, &[2]);
    for mode in [0o640, 0o600, 0o644] {
        chmod(&w, &admin, nodes[0], mode);
    }
    let told = || {
        let mut found = records(&w, OpKind::Bypass);
        found.retain(|r| r.author.user.as_deref() == Some("rita"));
        let mut told: Vec<_> = found
            .iter()
            .map(|r| (r.note().unwrap(), r.path_text(), r.particulars().times))
            .collect();
        told.sort();
        told
    };
    let f = || "/workspace/a/f".to_owned();
    let record = |note: &str, path: String, times| (note.to_owned(), path, times);
    let firsts = [
        record("owner's", f(), None),
        record("read", f(), None),
        record("read what is in it", "/workspace/a".to_owned(), None),
    ];
    assert_eq!(told(), firsts);
    w.engine().clock().set(hour(101));
    w.engine().housekeep().unwrap();
    let all = [
        record("owner's", f(), None),
        record("owner's", f(), Some(2)),
        record("read", f(), None),
        record("read", f(), Some(10)),
        record("read what is in it", "/workspace/a".to_owned(), None),
        record("read what is in it", "/workspace/a".to_owned(), Some(7)),
    ];
    assert_eq!(told(), all);
    w.assert_sound();
}

#[test]
fn a_clean_end_writes_the_counts_once() {
    let w = World::new();
    let (alice, bob, admin) = (make(&w, "alice"), make(&w, "bob"), admin(&w));
    w.write(&alice, "/workspace/diary", b"dear").unwrap();
    for _ in 0..3 {
        w.read(&admin, "/workspace/diary").unwrap();
        refuse(&w, &bob, "mallory");
    }
    for _ in 0..2 {
        w.engine().settle().unwrap();
        for kind in [OpKind::Bypass, OpKind::Refused] {
            let found = records(&w, kind);
            let (first, told) = (found[0].op.0, counts(&found));
            assert_eq!(told.len(), 2, "{found:?}");
            assert_eq!((told[0], told[1].1), ((first, None), Some(2)));
        }
    }
}

/// A record that is damaged keeps no count of others from being written.
#[test]
fn what_is_damaged_is_in_nobodys_way() {
    let w = permissions::time::world_at(hour(100));
    let bob = make(&w, "bob");
    for user in ["mallory", "mallory", "eve", "eve"] {
        refuse(&w, &bob, user);
    }
    let first = records(&w, OpKind::Refused)[0].op;
    w.engine().store().settle().unwrap();
    let mut tx = w.engine().store().begin().unwrap();
    let damage = "UPDATE log SET kind = 'x' WHERE op = $1";
    tx.execute(damage, &[first.into()]).unwrap();
    tx.commit().unwrap();
    w.engine().clock().set(hour(101));
    w.engine().housekeep().unwrap();
    let mut tx = w.engine().store().begin().unwrap();
    let repair = "UPDATE log SET kind = 'refused' WHERE op = $1";
    tx.execute(repair, &[first.into()]).unwrap();
    tx.commit().unwrap();
    let found = records(&w, OpKind::Refused);
    let of = found.iter().filter_map(Record::repeats);
    assert_eq!(of.collect::<Vec<_>>(), [found[1].op]);
}

/// Whatever became of a path: what is counted is told to whom the first was told, and to nobody else.
#[test]
fn a_count_is_read_by_whoever_reads_of_the_first_time() {
    let w = permissions::time::world_at(hour(100));
    let (alice, bob) = (make(&w, "alice"), make(&w, "bob"));
    let admin = admin(&w);
    let ino = |path: &str| permissions::ino(&w, path);
    for (dir, mode) in [("/workspace/closed", 0o700), ("/workspace/open", 0o755)] {
        permissions::mkdir(&w, &alice, dir);
        chmod(&w, &alice, ino(dir), mode);
        let file = format!("{dir}/f");
        w.write(&alice, &file, b"dear").unwrap();
        chmod(&w, &alice, ino(&file), 0o600);
        for _ in 0..3 {
            w.read(&admin, &file).unwrap();
        }
    }
    refuse(&w, &bob, "mallory");
    refuse(&w, &bob, "mallory");
    w.engine().write_bypasses().unwrap();
    // What was closed to bob is where all may look now, and what was open is gone.
    let rename = |from: (Ino, &str), to: (Ino, &str)| {
        let (from, to) = ((from.0, &name(from.1)), (to.0, &name(to.1)));
        w.engine()
            .rename(&alice, from, to, RenameMode::Replace)
            .unwrap();
    };
    let (top, closed, open) = (
        w.workspace(),
        ino("/workspace/closed"),
        ino("/workspace/open"),
    );
    rename((open, "f"), (closed, "g"));
    rename((closed, "f"), (open, "f"));
    rename((top, "closed"), (top, "away"));
    rename((top, "open"), (top, "closed"));
    w.engine().clock().set(hour(101));
    w.engine().housekeep().unwrap();
    let mut all = records(&w, OpKind::Bypass);
    all.append(&mut records(&w, OpKind::Refused));
    let repeats: Vec<_> = all.iter().filter(|r| r.repeats().is_some()).collect();
    assert!(repeats.len() >= 3, "{all:?}");
    let mut seen = Vec::new();
    for who in [&alice, &bob, &make(&w, "carol")] {
        let mut reader = Reader::new(w.engine(), who).unwrap();
        for again in &repeats {
            let first = all.iter().find(|r| Some(r.op) == again.repeats()).unwrap();
            let may = reader.may_read(first).unwrap();
            assert_eq!(reader.may_read(again).unwrap(), may, "{again:?}");
            seen.push(may);
        }
    }
    assert!(seen.contains(&true) && seen.contains(&false), "{seen:?}");
}

#[test]
fn what_is_counted_when_its_tenant_goes_is_in_its_log() {
    let w = World::new();
    let e = w.engine();
    let boss = principals::boss();
    let acme = e.create_tenant(&boss, "acme").unwrap();
    let eve = Caller {
        tenant: Some(acme.id),
        ..person("eve", 1009)
    };
    for _ in 0..3 {
        refuse(&w, &eve, "mallory");
    }
    e.delete_tenant(&boss, "acme").unwrap();
    e.settle().unwrap();
    let mut tx = e.store().read().unwrap();
    let all = log::after(&mut *tx, acme.id, Op(0), 1000).unwrap();
    let all = all.into_iter().map(|(record, _)| record);
    let all: Vec<_> = all.filter(|r| r.kind == OpKind::Refused).collect();
    assert_eq!((all.len(), sum(&all)), (2, 3));
}

/// What is counted takes no more than what is not: it may be each read of a walk over millions of files.
#[test]
fn to_count_asks_the_allocator_for_nothing() {
    let w = permissions::time::world_at(hour(100));
    let (alice, admin) = (make(&w, "alice"), admin(&w));
    permissions::mkdir(&w, &alice, "/workspace/a");
    let nodes: Vec<_> = (0..50)
        .map(|n| w.write(&alice, &format!("/workspace/a/f{n}"), b"dear"))
        .map(|ino| w.engine().node(ino.unwrap()).unwrap())
        .collect();
    let read = |right| {
        let reads = || {
            for node in &nodes {
                w.engine().may(&admin, node, right).unwrap();
            }
        };
        allocation_counter::measure(reads).count_total
    };
    for right in [Right::Read, Right::Write] {
        assert_ne!(read(right), 0);
        assert_eq!(read(right), 0);
    }
    w.engine().settle().unwrap();
    assert_eq!(sum(&records(&w, OpKind::Bypass)), 200);
}
