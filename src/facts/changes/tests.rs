use super::*;
use crate::access::rebac::{self, Format};
use crate::core::{Clock, Config, FsPath, Name, Time};
use crate::db::{Db as _, Sqlite};
use crate::fs::{RenameMode, To};
use crate::history::{Choice, undo};
use std::collections::{BTreeMap, BTreeSet};
use tempfile::TempDir;

const DOCS: &str = "
types:
  note: {relations: {viewer: {rewrite: {this: true}, types: [{type: user}]}}}
  doc:
    relations:
      owner: {rewrite: {this: true}, types: [{type: user}, {type: group, relation: member}]}
      viewer: {rewrite: {this: true}, types: [{type: user}, {type: user, wildcard: true}]}
";

struct Town {
    dir: TempDir,
    engine: Option<Engine>,
}

impl Town {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut town = Self { dir, engine: None };
        town.open();
        let definitions = Format::Yaml.read(DOCS).unwrap();
        town.engine().set_types(&boss(), definitions).unwrap();
        town
    }

    fn open(&mut self) {
        self.engine = None;
        let config = Config::new(self.dir.path());
        let db = Arc::new(Sqlite::open(&config.database()).unwrap());
        db.migrate().unwrap();
        self.engine = Some(Engine::new(config, db, Clock::System).unwrap());
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    fn user(&self, name: &str) -> Caller {
        let made = self.engine().create_user(&boss(), name, None, (None, None));
        let made = made.unwrap();
        Caller {
            user: Some(name.into()),
            user_id: Some(made.id),
            uid: made.uid,
            gid: made.gid,
            admin: false,
            ..boss()
        }
    }

    /// Makes a directory in the workspace, everybody's to search.
    fn mkdir(&self, by: &Caller, name: &str) -> Ino {
        let (dir, name) = (self.workspace(), Name::new(name.as_bytes()).unwrap());
        self.engine().mkdir(by, dir, &name, 0o755).unwrap().ino
    }

    fn workspace(&self) -> Ino {
        let path = FsPath::parse(b"/workspace").unwrap();
        self.engine().resolve(&boss(), &path).unwrap().ino
    }

    fn grant(&self, by: &Caller, ino: Ino, role: &str, to: &str) -> u64 {
        let to = To::One(to.parse().unwrap());
        self.engine().grant(by, ino, role, &to, None).unwrap().id
    }

    fn relate(&self, by: &Caller, text: &str, expires: Option<Time>) -> u64 {
        let words: Vec<&str> = text.split(' ').collect();
        let said = rebac::Tuple::new(
            words[2].parse().unwrap(),
            words[1].parse().unwrap(),
            words[0].parse().unwrap(),
        );
        let said = rebac::Tuple { expires, ..said };
        self.engine().relate(by, &said).unwrap().id
    }

    /// All changes, read a few at a time.
    fn changes(&self, by: &Caller) -> Vec<ChangeLine> {
        let (mut all, mut after) = (Vec::new(), Op(0));
        loop {
            let page = read(self.engine(), by, after, 3).unwrap();
            if page.changes.is_empty() {
                let head = self.engine().head(boss().tenant.unwrap()).unwrap();
                assert_eq!(page.last, head.0);
                return all;
            }
            all.extend(page.changes);
            after = Op(page.last);
        }
    }
}

fn boss() -> Caller {
    Caller::engine(TenantId(1))
}

fn shown(changes: &[ChangeLine]) -> Vec<String> {
    let text = |c: &ChangeLine| {
        let object = c.object_id.as_ref().map(ToString::to_string);
        let words = [
            c.subject.as_deref(),
            c.relation.as_deref(),
            Some(&*c.object_type),
            object.as_deref(),
        ];
        let words: Vec<&str> = words.into_iter().flatten().collect();
        format!("{:?} {}", c.change, words.join(" "))
    };
    changes.iter().map(text).collect()
}

/// What the changes lead to: tuples by number, and memberships.
fn replayed(changes: &[ChangeLine]) -> (BTreeMap<u64, String>, BTreeSet<String>) {
    let (mut tuples, mut members) = (BTreeMap::new(), BTreeSet::new());
    for change in changes {
        let subject = change.subject.clone().unwrap_or_default();
        match (change.change, change.tuple_id) {
            (ChangeKind::Grant, Some(id)) => assert_eq!(tuples.insert(id, subject), None),
            (ChangeKind::Revoke, Some(id)) => assert_eq!(tuples.remove(&id), Some(subject)),
            (ChangeKind::Grant, None) => {
                members.insert(format!("{subject} {}", change.object_id.as_ref().unwrap()));
            }
            (ChangeKind::Revoke, None) => {
                members.remove(&format!("{subject} {}", change.object_id.as_ref().unwrap()));
            }
            _ => {}
        }
    }
    (tuples, members)
}

/// A bit of everything that changes who has what.
fn happens(town: &Town) -> (Caller, Caller) {
    let (alice, bob, e) = (town.user("alice"), town.user("bob"), town.engine());
    for group in ["staff", "all"] {
        e.create_group(&boss(), group, None).unwrap();
    }
    e.add_member(&boss(), "staff", &"alice".parse().unwrap())
        .unwrap();
    e.add_member(&boss(), "all", &"group:staff".parse().unwrap())
        .unwrap();
    let (a, b) = (town.mkdir(&alice, "a"), town.mkdir(&alice, "b"));
    town.grant(&alice, a, "can_read", "bob");
    town.grant(&alice, b, "owner", "bob");
    town.grant(&alice, b, "can_read", "group:staff");
    e.restrict(&alice, b, true).unwrap();
    town.relate(&boss(), "user:alice owner doc:1", None);
    let passing = town.relate(&alice, "user:bob viewer doc:1", None);
    town.relate(&alice, "user:bob viewer doc:1", Some(Time(i64::MAX)));
    assert!(e.revoke(&alice, passing).is_err());
    town.relate(&boss(), "user:alice viewer note:n", None);
    let (dir, name) = (town.workspace(), Name::new(b"a").unwrap());
    e.rmdir(&alice, dir, &name).unwrap();
    e.delete_type(&boss(), &"note".parse().unwrap()).unwrap();
    e.remove_member(&boss(), "all", &"group:staff".parse().unwrap())
        .unwrap();
    e.delete_group(&boss(), "staff").unwrap();
    (alice, bob)
}

#[test]
fn the_changes_are_all_that_led_to_what_is() {
    let mut town = Town::new();
    happens(&town);
    town.user("carol");
    town.relate(&boss(), "user:carol viewer doc:2", None);
    town.engine().delete_user(&boss(), "carol").unwrap();
    for _ in 0..2 {
        let all = town.changes(&boss());
        let (tuples, members) = replayed(&all);
        let stored = town.engine().grants(&boss(), |_| true).unwrap();
        let stored: Vec<u64> = stored.iter().map(|t| t.id).collect();
        assert_eq!(tuples.into_keys().collect::<Vec<_>>(), stored);
        assert_eq!(members, BTreeSet::new());
        assert!(all.is_sorted_by_key(|c| c.op));
        assert_eq!(
            shown(&all),
            [
                "TypeSet doc",
                "TypeSet note",
                "Grant user:alice member group staff",
                "Grant group:staff member group all",
                "Grant user:bob can_read file /workspace/a",
                "Grant user:bob owner file /workspace/b",
                "Grant group:staff can_read file /workspace/b",
                "Restrict file /workspace/b",
                "Grant user:alice owner doc 1",
                "Grant user:bob viewer doc 1",
                "Revoke user:bob viewer doc 1",
                "Grant user:bob viewer doc 1",
                "Grant user:alice viewer note n",
                "Revoke user:bob can_read file /workspace/a",
                "TypeDelete note",
                "Revoke user:alice viewer note n",
                "Revoke group:staff member group all",
                "Revoke user:alice member group staff",
                "Revoke group:staff can_read file /workspace/b",
                "Grant user:carol viewer doc 2",
                "Revoke user:carol viewer doc 2",
            ]
        );
        town.open();
    }
    // Who is gone since keeps the name in what was said of him.
    town.engine().delete_user(&boss(), "bob").unwrap();
    replayed(&town.changes(&boss()));
}

#[test]
fn a_reader_is_told_of_what_he_may_know_and_of_no_more() {
    let town = Town::new();
    let (alice, bob) = happens(&town);
    let carol = town.user("carol");
    let for_all = ["TypeSet doc", "TypeSet note", "TypeDelete note"];
    assert_eq!(shown(&town.changes(&carol)), for_all);
    let of_bob = shown(&town.changes(&bob));
    for told in [
        // What has gone has no path that he could see.
        "Grant user:bob can_read file",
        "Revoke user:bob can_read file",
        // His own directory by a grant, with all that is said about it.
        "Grant group:staff can_read file /workspace/b",
        "Restrict file /workspace/b",
        "Revoke user:bob viewer doc 1",
    ] {
        assert!(of_bob.contains(&told.to_owned()), "{told}: {of_bob:?}");
    }
    let hidden = |line: &String| line.contains("note n") || line.contains("owner doc");
    assert!(!of_bob.iter().any(hidden), "{of_bob:?}");
    let of_alice = shown(&town.changes(&alice));
    assert!(of_alice.contains(&"Revoke user:bob viewer doc 1".to_owned()));
    // A tenant has its own.
    let other = town.engine().create_tenant(&boss(), "other").unwrap();
    let theirs = read(town.engine(), &Caller::engine(other.id), Op(0), 100);
    assert_eq!(theirs.unwrap().changes, []);
}

/// The log tells of the same.
#[test]
fn who_was_in_a_group_is_told_to_whom_it_concerns() {
    let town = Town::new();
    let e = town.engine();
    let [alice, bob, carol, dave] = ["alice", "bob", "carol", "dave"].map(|name| town.user(name));
    e.create_agent(&alice, "coder", None, false).unwrap();
    for group in ["staff", "other"] {
        e.create_group(&boss(), group, None).unwrap();
    }
    let lead = To::One("carol".parse().unwrap());
    e.entrust(&boss(), "staff", &lead, None).unwrap();
    let hers = ["alice", "agent:coder"].map(|name| name.parse().unwrap());
    for who in &hers {
        e.add_member(&boss(), "staff", who).unwrap();
        e.remove_member(&boss(), "staff", who).unwrap();
    }
    e.add_member(&boss(), "staff", &"bob".parse().unwrap())
        .unwrap();
    e.add_member(&boss(), "other", &"alice".parse().unwrap())
        .unwrap();
    e.add_member(&boss(), "other", &"agent:coder".parse().unwrap())
        .unwrap();
    e.delete_agent(&alice, "coder").unwrap();
    let told = |who: &Caller, group: &str| {
        let all = shown(&town.changes(who)).into_iter();
        all.filter(|line| line.ends_with(&format!("member group {group}")))
            .count()
    };
    let counts = |who: &Caller| (told(who, "staff"), told(who, "other"));
    assert_eq!(counts(&boss()), (5, 3));
    assert_eq!(counts(&bob), (5, 0));
    assert_eq!(counts(&carol), (5, 0));
    assert_eq!(counts(&dave), (0, 0));
    // Of an agent that is gone only its last operation says whose it was.
    assert_eq!(counts(&alice), (2, 3));
    let logged = |who: &Caller| {
        let mut reader = crate::fs::Reader::new(e, who).unwrap();
        let mut tx = e.store().read().unwrap();
        let all = log::after(&mut *tx, TenantId(1), Op(0), 1000).unwrap();
        let added = |r: &Record| matches!(r.kind, OpKind::GroupAdd | OpKind::GroupRemove);
        let all = all.into_iter().map(|(record, _)| record).filter(added);
        all.filter(|r| reader.may_read(r).unwrap()).count()
    };
    assert_eq!([&bob, &carol, &dave].map(logged), [5, 5, 0]);
}

#[test]
fn an_undo_tells_what_went_and_what_came_back() {
    let town = Town::new();
    let (alice, _) = happens(&town);
    let undo = |op: u64| {
        let choice = Choice {
            ops: [Op(op)].into_iter().collect(),
            ..Choice::default()
        };
        undo(town.engine(), &alice, &choice).unwrap();
        town.engine().head(TenantId(1)).unwrap().0
    };
    let all = town.changes(&boss());
    let gone = all
        .iter()
        .find(|c| c.change == ChangeKind::Revoke && c.object_id == Some("/workspace/a".into()));
    // The directory comes back with its grant, goes again, and comes back again.
    let back = undo(undo(undo(gone.unwrap().op)));
    let all = town.changes(&boss());
    let told: Vec<_> = all.iter().filter(|c| c.op == back).cloned().collect();
    assert_eq!(shown(&told), ["Grant user:bob can_read file /workspace/a"]);
    let stored = town.engine().grants(&boss(), |_| true).unwrap();
    let (tuples, _) = replayed(&all);
    assert!(tuples.into_keys().eq(stored.iter().map(|t| t.id)));
}

#[test]
fn an_undo_tells_who_came_into_a_group_and_who_left_it() {
    let town = Town::new();
    let e = town.engine();
    e.create_group(&boss(), "staff", None).unwrap();
    town.user("bob");
    let bob = "bob".parse().unwrap();
    e.add_member(&boss(), "staff", &bob).unwrap();
    for told in ["Revoke", "Grant"] {
        let newest = e.head(TenantId(1)).unwrap();
        let choice = Choice {
            ops: [newest].into_iter().collect(),
            ..Choice::default()
        };
        undo(e, &boss(), &choice).unwrap();
        let all = shown(&town.changes(&boss()));
        let told = format!("{told} user:bob member group staff");
        assert_eq!(all.last(), Some(&told));
    }
}

#[test]
fn what_a_save_by_rename_replaces_is_told_and_no_record_hides_those_behind_it() {
    let town = Town::new();
    let (alice, e) = (town.user("alice"), town.engine());
    town.user("bob");
    let old = town.mkdir(&alice, "plan");
    town.grant(&alice, old, "can_read", "bob");
    let new = town.mkdir(&alice, "plan.new");
    let (dir, [from, to]) = (
        town.workspace(),
        ["plan.new", "plan"].map(|name| Name::new(name.as_bytes()).unwrap()),
    );
    e.rename(&alice, (dir, &from), (dir, &to), RenameMode::Replace)
        .unwrap();
    town.grant(&alice, new, "can_write", "bob");
    let told = [
        "Grant user:bob can_read file /workspace/plan",
        "Revoke user:bob can_read file /workspace/plan",
        "Grant user:bob can_write file /workspace/plan",
    ];
    let shown_now = || shown(&town.changes(&boss()));
    assert!(shown_now().ends_with(&told.map(str::to_owned)));

    let mut tx = e.store().begin().unwrap();
    let sql = "UPDATE log SET undo = '{\"tuple\":1}' WHERE op = (SELECT MIN(op) FROM log WHERE kind = 'grant')";
    assert_eq!(tx.execute(sql, &[]).unwrap(), 1);
    tx.commit().unwrap();
    assert!(
        shown_now().ends_with(
            &told[1..]
                .iter()
                .map(|s| (*s).to_owned())
                .collect::<Vec<_>>()
        )
    );
}

#[test]
fn what_is_still_to_come_is_not_read() {
    let town = Town::new();
    let end = town.engine().head(TenantId(1)).unwrap();
    let behind = |op| read(town.engine(), &boss(), op, 10);
    assert_eq!(behind(end).unwrap().changes, []);
    let refused = behind(Op(end.0 + 1)).unwrap_err();
    assert_eq!(refused.kind(), Kind::Invalid);
    assert!(refused.message().contains("still to come"), "{refused}");
}
