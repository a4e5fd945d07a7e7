//! Who may read which record.

use crate::core::Op;
use crate::fs::tests::principals::{TENANT, boss, make, populate, subject};
use crate::fs::tests::*;
use crate::fs::{Reader, RenameMode, To};
use crate::meta::log_query::{Cursor, Query, page};
use crate::meta::{OpKind, Record, Request};

/// Alice with her agent and groups, bob, and carol who is in nothing.
struct Town {
    w: World,
    alice: Caller,
    bob: Caller,
    carol: Caller,
    /// What was in the log before the test.
    before: Op,
}

impl Town {
    fn new() -> Self {
        let w = World::new();
        let alice = populate(&w);
        let roster = w.engine().roster(TENANT).unwrap();
        let bob = roster.user("bob").unwrap();
        let bob = Caller {
            user_id: Some(bob.id),
            ..person("bob", bob.uid)
        };
        let carol = make(&w, "carol");
        w.engine()
            .set_namespace(&boss(), "workspace", Some(0o777), None)
            .unwrap();
        let before = w.engine().head(TENANT).unwrap();
        Self {
            w,
            alice,
            bob,
            carol,
            before,
        }
    }

    fn at(&self, p: &str) -> Ino {
        self.w.engine().resolve(&boss(), &path(p)).unwrap().ino
    }

    fn mkdir(&self, p: &str, mode: u32) -> Ino {
        let target = path(p);
        let e = self.w.engine();
        let (dir, name) = e.resolve_parent(&boss(), &target).unwrap();
        e.mkdir(&self.alice, dir, name, mode).unwrap().ino
    }

    fn write(&self, p: &str) {
        self.w.write(&self.alice, p, b"x").unwrap();
    }

    fn remove(&self, p: &str) {
        let target = path(p);
        let e = self.w.engine();
        let (dir, name) = e.resolve_parent(&self.alice, &target).unwrap();
        match e.unlink(&self.alice, dir, name) {
            Err(err) if err.kind() == Kind::IsDirectory => e.rmdir(&self.alice, dir, name).unwrap(),
            done => done.unwrap(),
        }
    }

    fn rename(&self, from: &str, to: &str) {
        let e = self.w.engine();
        let (from, to) = (path(from), path(to));
        let from = e.resolve_parent(&self.alice, &from).unwrap();
        let to = e.resolve_parent(&self.alice, &to).unwrap();
        e.rename(&self.alice, from, to, RenameMode::Replace)
            .unwrap();
    }

    fn give(&self, p: &str, role: &str, to: &str) -> u64 {
        let to: To = to.parse().unwrap();
        let given = self
            .w
            .engine()
            .grant(&self.alice, self.at(p), role, &to, None);
        given.unwrap().id
    }

    fn chmod(&self, p: &str, mode: u32) {
        let set = crate::fs::SetAttr {
            mode: Some(mode),
            ..Default::default()
        };
        let e = self.w.engine();
        e.setattr(&self.alice, self.at(p), &set, None).unwrap();
    }

    /// What somebody may read of what the test did.
    fn read(&self, who: &Caller) -> Vec<String> {
        let e = self.w.engine();
        let mut tx = e.store().read().unwrap();
        let from = Cursor::After(self.before);
        let all = page(&mut *tx, TENANT, &Query::default(), from, 10_000).unwrap();
        drop(tx);
        let mut reader = Reader::new(e, who).unwrap();
        let all = all.into_iter().map(|(record, _)| record);
        let seen = all.filter(|record| reader.may_read(record).unwrap());
        seen.map(|record| shown(&record)).collect()
    }
}

fn shown(record: &Record) -> String {
    let path2 = record
        .path2
        .as_deref()
        .map(|p| format!(" {}", crate::core::path::show(p)));
    let subject = record.subject().map(|s| format!(" {s}"));
    let rest = [path2, subject].into_iter().flatten().collect::<String>();
    format!("{} {}{rest}", record.kind.name(), record.path_text())
}

/// semantics.md §6: "A reader of the log is shown what names nothing that is hidden from him today, and what he did himself."
#[test]
fn others_read_what_they_can_list() {
    let t = Town::new();
    t.mkdir("/workspace/open", 0o755);
    t.mkdir("/workspace/closed", 0o700);
    t.write("/workspace/open/f");
    t.write("/workspace/closed/f");
    t.remove("/workspace/open/f");
    t.remove("/workspace/closed/f");
    let all = t.read(&t.alice);
    assert_eq!(all.len(), 6);
    assert_eq!(t.read(&boss()), all);
    assert_eq!(
        t.read(&t.bob),
        [
            "mkdir /workspace/open",
            "mkdir /workspace/closed",
            "create /workspace/open/f",
            "unlink /workspace/open/f",
        ]
    );
    t.chmod("/workspace/closed", 0o755);
    assert_eq!(t.read(&t.bob).len(), all.len() + 1);
}

#[test]
fn a_path_that_names_something_else_by_now_says_nothing() {
    let t = Town::new();
    t.mkdir("/workspace/d", 0o700);
    t.write("/workspace/d/secret");
    t.rename("/workspace/d", "/workspace/away");
    t.mkdir("/workspace/d", 0o755);
    t.write("/workspace/d/public");
    let of_bob = [
        "mkdir /workspace/d",
        "rename /workspace/d /workspace/away",
        "mkdir /workspace/d",
        "create /workspace/d/public",
    ];
    assert_eq!(t.read(&t.bob), of_bob);
    // Gone, it was in a directory that he could not list, and its path is one of a directory that he can.
    t.remove("/workspace/away/secret");
    assert_eq!(t.read(&t.bob), of_bob);
    t.remove("/workspace/away");
    let gone = ["rmdir /workspace/away".to_owned()];
    assert_eq!(
        t.read(&t.bob),
        [&of_bob.map(str::to_owned)[..], &gone].concat()
    );
}

#[test]
fn what_came_out_of_hiding_has_no_hidden_past() {
    let t = Town::new();
    t.mkdir("/workspace/closed", 0o700);
    t.mkdir("/workspace/closed/inner", 0o755);
    t.write("/workspace/closed/inner/f");
    t.rename("/workspace/closed/inner/f", "/workspace/f");
    t.write("/workspace/f");
    let of_bob = ["mkdir /workspace/closed", "write /workspace/f"];
    assert_eq!(t.read(&t.bob), of_bob);
    t.rename("/workspace/f", "/workspace/closed/f");
    t.write("/workspace/closed/f");
    assert_eq!(t.read(&t.bob), ["mkdir /workspace/closed"]);
}

#[test]
fn a_file_with_two_names_is_told_by_the_one_that_can_be_seen() {
    let t = Town::new();
    t.mkdir("/workspace/closed", 0o700);
    t.write("/workspace/f");
    let e = t.w.engine();
    let closed = t.at("/workspace/closed");
    e.link(&t.alice, t.at("/workspace/f"), closed, &name("g"))
        .unwrap();
    t.write("/workspace/f");
    let writes: Vec<_> = t.read(&t.alice).into_iter().skip(2).collect();
    let seen = t.read(&t.bob);
    for record in writes {
        let names_hidden = record.contains("closed/");
        assert_eq!(seen.contains(&record), !names_hidden, "{record}: {seen:?}");
    }
}

#[test]
fn a_grant_deep_in_a_tree_shows_the_way_to_it_and_nothing_beside() {
    let t = Town::new();
    t.mkdir("/workspace/top", 0o700);
    t.mkdir("/workspace/top/beside", 0o755);
    t.mkdir("/workspace/top/given", 0o700);
    t.write("/workspace/top/given/f");
    t.write("/workspace/top/given/g");
    t.write("/workspace/top/h");
    t.remove("/workspace/top/given/g");
    t.remove("/workspace/top/h");
    t.give("/workspace/top/given", "can_read", "user:bob");
    assert_eq!(
        t.read(&t.bob),
        [
            "mkdir /workspace/top",
            "mkdir /workspace/top/given",
            "create /workspace/top/given/f",
            "create /workspace/top/given/g",
            "unlink /workspace/top/given/g",
            "grant /workspace/top/given user:bob",
        ]
    );
    assert_eq!(t.read(&t.carol), ["mkdir /workspace/top"]);
}

/// semantics.md §4: "A revoke holds for the next system call on every door and mount."
#[test]
fn what_was_revoked_is_not_read_any_more() {
    let t = Town::new();
    t.mkdir("/workspace/top", 0o700);
    t.write("/workspace/top/f");
    let grant = t.give("/workspace/top", "can_read", "user:bob");
    assert_eq!(t.read(&t.bob).len(), 3);
    t.w.engine().revoke(&t.alice, grant).unwrap();
    let of_bob = [
        "mkdir /workspace/top",
        "grant /workspace/top user:bob",
        "revoke /workspace/top user:bob",
    ];
    assert_eq!(t.read(&t.bob), of_bob);
}

#[test]
fn grants_are_told_to_whom_they_name_and_to_owners() {
    let t = Town::new();
    t.write("/workspace/f");
    t.give("/workspace/f", "can_read", "user:bob");
    t.give("/workspace/f", "can_write", "group:developers");
    t.give("/workspace/f", "can_read", "user:*");
    let of_carol = ["create /workspace/f", "grant /workspace/f user:*"];
    assert_eq!(t.read(&t.carol), of_carol);
    let of_bob = t.read(&t.bob);
    assert!(of_bob.contains(&"grant /workspace/f user:bob".to_owned()));
    assert!(!of_bob.contains(&"grant /workspace/f group:developers".to_owned()));
    t.give("/workspace/f", "owner", "user:carol");
    assert_eq!(t.read(&t.carol).len(), 5);
}

#[test]
fn changes_of_principals_are_told_to_whom_they_concern() {
    let t = Town::new();
    let e = t.w.engine();
    e.create_group(&boss(), "writers", None).unwrap();
    let member = subject("user:bob");
    e.add_member(&boss(), "writers", &member).unwrap();
    e.create_agent(&t.bob, "helper", None, false).unwrap();
    make(&t.w, "dave");
    let all = t.read(&boss());
    assert_eq!(all.len(), 4);
    assert_eq!(t.read(&t.bob), all[..3]);
    assert_eq!(t.read(&t.carol), Vec::<String>::new());
    // Refusals are for who was refused.
    let refused = e.create_group(&t.carol, "mine", None).unwrap_err();
    e.write_refusal(&t.carol, ("group-create", &Request::default()), &refused)
        .unwrap();
    assert_eq!(t.read(&t.carol).len(), 1);
    assert_eq!(t.read(&t.bob).len(), 3);
}

#[test]
fn an_isolated_agent_reads_what_it_may_see_and_not_what_its_owner_did() {
    let t = Town::new();
    t.mkdir("/workspace/closed", 0o700);
    t.write("/workspace/closed/f");
    let agent = Caller {
        agent: Some("robot".into()),
        isolated: true,
        ..t.alice.clone()
    };
    assert_eq!(t.read(&agent), Vec::<String>::new());
    let helper = Caller {
        isolated: false,
        ..agent
    };
    assert_eq!(t.read(&helper).len(), 2);
}

#[test]
fn an_undo_is_told_where_the_directory_of_what_it_changed_can_be_seen() {
    let t = Town::new();
    t.mkdir("/workspace/closed", 0o700);
    for p in ["/workspace/closed/f", "/workspace/f"] {
        t.write(p);
        let e = t.w.engine();
        let (dir, root) = (path(p), e.root(&t.alice).unwrap());
        e.change(&t.alice, |ch| {
            ch.record(OpKind::Undo, root, &dir, None, &serde_json::json!({}));
            Ok(())
        })
        .unwrap();
    }
    let undone: Vec<_> = t.read(&t.bob).into_iter().skip(2).collect();
    assert_eq!(undone, ["undo /workspace/f"]);
}

/// semantics.md §6: "A snapshot is a name for a directory at a moment; it costs the same for any tree, and is seen by who may see the
/// directory today."
#[test]
fn a_snapshot_and_an_emptied_trash_are_told_to_who_may_read_the_directory() {
    let t = Town::new();
    let e = t.w.engine();
    let closed = t.mkdir("/workspace/closed", 0o700);
    let root = e.root(&t.alice).unwrap();
    t.write("/workspace/closed/f");
    t.remove("/workspace/closed/f");
    let gone = e.head(TENANT).unwrap();
    let known = t.read(&t.bob).len();
    e.create_snapshot(&t.alice, closed, "kept", None).unwrap();
    e.delete_snapshot(&t.alice, "kept").unwrap();
    let empty = |at: &str| {
        let about = (&path(at), gone);
        let op = e.empty_trash(&t.alice, (&gone.to_string(), 1), about);
        op.unwrap()
    };
    empty("/workspace/closed");
    empty("/workspace/closed/f");
    // Of what lay all over the tree.
    empty("/");
    assert_eq!(t.read(&t.bob).len(), known);
    let of_alice = t.read(&t.alice);
    let told = [
        "snapshot-create /workspace/closed",
        "snapshot-delete /workspace/closed",
        "trash-empty /workspace/closed",
        "trash-empty /workspace/closed/f",
        "trash-empty /",
    ];
    assert_eq!(of_alice[of_alice.len() - 5..], told);
    t.chmod("/workspace/closed", 0o755);
    let of_bob = t.read(&t.bob);
    assert!(
        told[..3]
            .iter()
            .all(|line| of_bob.contains(&(*line).to_owned())),
        "{of_bob:?}"
    );
    assert!(!of_bob.iter().any(|line| line == "trash-empty /"));
    // Whose directory has the path by now does not matter.
    t.chmod("/workspace/closed", 0o700);
    t.rename("/workspace/closed", "/workspace/away");
    t.mkdir("/workspace/closed", 0o755);
    assert_eq!(e.node(closed).unwrap().mode & 0o777, 0o700);
    empty("/workspace/closed");
    assert!(
        !t.read(&t.bob)
            .iter()
            .any(|line| line.starts_with("trash-empty"))
    );
    assert_ne!(closed, root);
}

/// A process goes down from directory to directory: PATH_MAX is for what one call names.
#[test]
fn a_path_longer_than_a_call_may_name_hides_nothing_else_of_the_log() {
    let t = Town::new();
    let deep = name(&"d".repeat(250));
    let mut at = t.mkdir("/workspace/open", 0o755);
    for _ in 0..20 {
        at = t.w.engine().mkdir(&t.alice, at, &deep, 0o755).unwrap().ino;
    }
    t.mkdir("/workspace/after", 0o755);
    let shown = t.read(&t.bob);
    assert_eq!(shown.len(), 22);
    let longest = shown.iter().map(String::len).max();
    assert_eq!(longest, Some("mkdir /workspace/open".len() + 20 * 251));
    assert_eq!(shown.last().unwrap(), "mkdir /workspace/after");
}
