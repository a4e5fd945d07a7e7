//! Nobody gets rights by bringing something back: what is gone counts as it was when it went, and making it another one takes
//! what that would have taken then.

use super::world::*;
use crate::access::Right;
use crate::access::acl::{AclEntry, AclWho};
use crate::core::{Caller, Ino, Kind, Name, Op, Result};
use crate::fs::{AclOf, SetAttr, To};
use crate::history::{Answer, Choice, OpSet, Restoring, Undone, named_at, restore, undo};

pub(in crate::history::tests) const SECRET: &[u8] = b"secret";
/// Where all may write, bob's own, and where only alice may.
pub(in crate::history::tests) const DIRS: [&str; 3] =
    ["/workspace/t", "/workspace/b", "/workspace/u"];

/// Two people, and directories of theirs.
pub(in crate::history::tests) struct Play {
    pub w: World,
    pub alice: Caller,
    pub bob: Caller,
}

impl Play {
    pub(in crate::history::tests) fn new() -> Self {
        let w = World::new();
        let [alice, bob] = [("alice", 1001), ("bob", 1002)].map(|(name, uid)| {
            let made = w.engine.create_user(&root(), name, Some(uid), (None, None));
            Caller {
                user_id: Some(made.unwrap().id),
                ..person(name, uid)
            }
        });
        let p = Self { w, alice, bob };
        for (at, mode) in DIRS.into_iter().zip([0o777, 0o777, 0o755]) {
            let owner = if at == DIRS[1] { &p.bob } else { &p.alice };
            p.w.mkdir(owner, at);
            p.chmod(owner, at, mode);
        }
        p
    }

    /// The operation that was the last one.
    pub(in crate::history::tests) fn op(&self) -> Op {
        self.w.head()
    }

    fn file(&self, who: &Caller, at: &str, mode: u32) {
        self.w.write(who, at, b"plain");
        self.chmod(who, at, mode);
    }

    pub(in crate::history::tests) fn chmod(&self, who: &Caller, at: &str, mode: u32) -> Op {
        let set = SetAttr {
            mode: Some(mode),
            ..SetAttr::default()
        };
        self.set(who, at, &set)
    }

    pub(in crate::history::tests) fn set(&self, who: &Caller, at: &str, set: &SetAttr) -> Op {
        let at = self.w.ino(at);
        self.w.engine.setattr(who, at, set, None).unwrap();
        self.op()
    }

    fn secret(&self, at: &str) {
        self.w.write(&self.alice, at, SECRET);
    }

    fn unlink(&self, who: &Caller, at: &str) -> Op {
        self.w.unlink(who, at);
        self.op()
    }

    fn rename(&self, who: &Caller, from: &str, to: &str) -> Op {
        self.w.rename(who, from, to);
        self.op()
    }

    fn grant(&self, by: &Caller, at: &str, role: &str) -> u64 {
        let to = To::One("bob".parse().unwrap());
        let made = self.w.engine.grant(by, self.w.ino(at), role, &to, None);
        made.unwrap().id
    }

    fn revoke(&self, id: u64) -> Op {
        self.w.engine.revoke(&self.alice, id).unwrap();
        self.op()
    }

    fn deny(&self, at: &str, of: AclOf) -> Op {
        let deny = AclEntry {
            who: AclWho::User(self.bob.uid),
            deny: true,
            rights: 0,
        };
        let at = self.w.ino(at);
        let set = self.w.engine.set_acl_entry(&self.alice, at, of, deny);
        set.unwrap();
        self.op()
    }

    fn restrict(&self, at: &str) -> Op {
        let at = self.w.ino(at);
        self.w.engine.restrict(&self.alice, at, true).unwrap();
        self.op()
    }

    fn rm(&self, who: &Caller, at: &str) -> OpSet {
        let since = self.op();
        self.w.remove_all(who, at);
        (since.0 + 1..=self.op().0).map(Op).collect()
    }

    pub(in crate::history::tests) fn restore(
        &self,
        who: &Caller,
        at: &str,
        op: Op,
    ) -> Result<Undone> {
        let moment = self.w.engine.moment_of(who, op)?;
        let what = Restoring {
            path: path(at),
            node: named_at(&self.w.engine, who, moment, &path(at))?,
            at: moment,
            answer: Answer::Stop,
            dry_run: false,
        };
        restore(&self.w.engine, who, &what)
    }

    /// What of `of` bob may read today, or as it was last, once he has given himself all that is his to give.
    pub(in crate::history::tests) fn reads(&self, of: &[Ino]) -> Vec<Ino> {
        let e = &self.w.engine;
        let to = To::One("bob".parse().unwrap());
        for seen in self.w.tree().values() {
            drop(e.grant(&self.bob, seen.ino, "owner", &to, None));
        }
        let may = |ino: &&Ino| e.may_still(&self.bob, **ino, Right::Read).is_ok();
        of.iter().filter(may).copied().collect()
    }
}

/// What is to be done about what alice has done, and what is secret.
enum Way {
    Undo(OpSet),
    /// With something in the way.
    Copy(OpSet),
    /// In another directory.
    Into(OpSet, (Ino, Ino)),
    Restore(&'static str, Op),
}

impl Way {
    fn of(&self, p: &Play, who: &Caller) -> Result<Undone> {
        let (ops, homes, answer) = match self {
            Self::Undo(ops) => (ops, vec![], Answer::Stop),
            Self::Copy(ops) => (ops, vec![], Answer::Aside),
            Self::Into(ops, home) => (ops, vec![*home], Answer::Stop),
            Self::Restore(at, op) => return p.restore(who, at, *op),
        };
        let choice = Choice {
            ops: ops.clone(),
            homes,
            answer,
            dry_run: false,
        };
        undo(&p.w.engine, who, &choice)
    }
}

fn both(one: Op, other: Op) -> Way {
    Way::Undo([one, other].into_iter().collect())
}

type Script = fn(&Play) -> (Way, Vec<Ino>);

const F: &str = "/workspace/t/f";
const D: &str = "/workspace/t/d";

fn in_dir(p: &Play) -> Vec<Ino> {
    let at = "/workspace/t/d/f";
    p.file(&p.alice, at, 0o644);
    p.secret(at);
    vec![p.w.ino(at)]
}

const OWN: Kind = Kind::NotPermitted;
const ELSEWHERE: Kind = Kind::CrossDevice;

type Row = (&'static str, Kind, Script);

/// Ways to more than one had. Each ends with what bob is to be refused, and may be done by whoever could have done it before.
fn table() -> Vec<Row> {
    let all = [files(), replaced(), directories(), beside(), elsewhere()];
    all.into_iter().flatten().collect()
}

fn files() -> Vec<Row> {
    vec![
        ("a mode that was narrowed", OWN, |p| {
            p.file(&p.alice, F, 0o644);
            let narrowed = p.chmod(&p.alice, F, 0o600);
            p.secret(F);
            let ino = p.w.ino(F);
            (both(narrowed, p.unlink(&p.alice, F)), vec![ino])
        }),
        ("an owner", OWN, |p| {
            p.file(&p.bob, F, 0o600);
            let to = SetAttr {
                uid: Some(p.alice.uid),
                gid: Some(p.alice.gid),
                ..SetAttr::default()
            };
            let given = p.set(&root(), F, &to);
            p.secret(F);
            let ino = p.w.ino(F);
            (both(given, p.unlink(&p.alice, F)), vec![ino])
        }),
        ("a list that denies", OWN, |p| {
            p.grant(&p.alice, DIRS[0], "can_write");
            p.file(&p.alice, F, 0o644);
            let denied = p.deny(F, AclOf::Itself);
            p.secret(F);
            let ino = p.w.ino(F);
            (both(denied, p.unlink(&p.alice, F)), vec![ino])
        }),
        ("a boundary", OWN, |p| {
            p.grant(&p.alice, DIRS[0], "can_write");
            p.file(&p.alice, F, 0o600);
            let shut = p.restrict(F);
            p.secret(F);
            let ino = p.w.ino(F);
            (both(shut, p.unlink(&p.alice, F)), vec![ino])
        }),
        ("a grant that was revoked", OWN, |p| {
            p.file(&p.alice, F, 0o600);
            let revoked = p.revoke(p.grant(&p.alice, F, "can_read"));
            p.secret(F);
            let ino = p.w.ino(F);
            (both(revoked, p.unlink(&p.alice, F)), vec![ino])
        }),
    ]
}

fn replaced() -> Vec<Row> {
    vec![
        ("what was replaced", OWN, |p| {
            p.file(&p.alice, F, 0o644);
            let narrowed = p.chmod(&p.alice, F, 0o600);
            p.secret(F);
            let (ino, new) = (p.w.ino(F), "/workspace/t/new");
            p.file(&p.alice, new, 0o600);
            (both(narrowed, p.rename(&p.alice, new, F)), vec![ino])
        }),
        ("an older moment", OWN, |p| {
            p.file(&p.alice, F, 0o644);
            let then = p.op();
            p.chmod(&p.alice, F, 0o600);
            p.secret(F);
            let ino = p.w.ino(F);
            p.unlink(&p.alice, F);
            (Way::Restore(DIRS[0], then), vec![ino])
        }),
    ]
}

fn directories() -> Vec<Row> {
    vec![
        ("the past of a directory that was shut", OWN, |p| {
            p.w.mkdir(&p.alice, D);
            let secret = in_dir(p);
            p.chmod(&p.alice, D, 0o755);
            let shut = p.chmod(&p.alice, D, 0o700);
            p.rm(&p.alice, D);
            (both(shut, p.op()), secret)
        }),
        ("a directory that was granted", OWN, |p| {
            p.w.mkdir(&p.alice, D);
            p.chmod(&p.alice, D, 0o700);
            let revoked = p.revoke(p.grant(&p.alice, D, "owner"));
            let secret = in_dir(p);
            p.rm(&p.alice, D);
            (both(revoked, p.op()), secret)
        }),
        ("a deny that is handed down", OWN, |p| {
            p.grant(&p.alice, DIRS[0], "can_write");
            p.w.mkdir(&p.alice, D);
            let denied = p.deny(D, AclOf::Below);
            let secret = in_dir(p);
            p.rm(&p.alice, D);
            (both(denied, p.op()), secret)
        }),
    ]
}

fn beside() -> Vec<Row> {
    vec![
        ("a copy beside", OWN, |p| {
            p.file(&p.alice, F, 0o644);
            let narrowed = p.chmod(&p.alice, F, 0o600);
            p.secret(F);
            let ino = p.w.ino(F);
            let gone = p.unlink(&p.alice, F);
            p.file(&p.alice, F, 0o600);
            (Way::Copy([narrowed, gone].into_iter().collect()), vec![ino])
        }),
        ("an undo of an undo", OWN, |p| {
            p.file(&p.alice, F, 0o600);
            let widened = p.chmod(&p.alice, F, 0o644);
            p.w.undo(&p.alice, [widened].into_iter().collect()).unwrap();
            let undone = p.op();
            p.secret(F);
            let ino = p.w.ino(F);
            (both(undone, p.unlink(&p.alice, F)), vec![ino])
        }),
        ("a content that was replaced", Kind::Denied, |p| {
            p.file(&p.alice, F, 0o644);
            p.secret(F);
            let (written, ino) = (p.op(), p.w.ino(F));
            p.chmod(&p.alice, F, 0o600);
            (both(written, p.unlink(&p.alice, F)), vec![ino])
        }),
    ]
}

fn elsewhere() -> Vec<Row> {
    vec![
        ("another directory of that name", ELSEWHERE, |p| {
            p.w.mkdir(&p.alice, D);
            p.chmod(&p.alice, D, 0o755);
            let secret = in_dir(p);
            p.chmod(&p.alice, "/workspace/t/d/f", 0o600);
            let old = p.w.ino(D);
            let gone = p.unlink(&p.alice, "/workspace/t/d/f");
            p.rm(&p.alice, D);
            p.w.mkdir(&p.bob, D);
            p.chmod(&p.bob, D, 0o777);
            let ops = [gone].into_iter().collect();
            (Way::Into(ops, (old, p.w.ino(D))), secret)
        }),
        ("an older moment in another directory", ELSEWHERE, |p| {
            p.w.mkdir(&p.alice, D);
            p.w.mkdir(&p.alice, "/workspace/t/d/sub");
            p.chmod(&p.alice, D, 0o755);
            let at = "/workspace/t/d/sub/f";
            p.file(&p.alice, at, 0o600);
            p.secret(at);
            p.chmod(&p.alice, "/workspace/t/d/sub", 0o755);
            let (then, ino) = (p.op(), p.w.ino(at));
            p.rm(&p.alice, D);
            p.w.mkdir(&p.bob, D);
            p.chmod(&p.bob, D, 0o777);
            (Way::Restore("/workspace/t/d/sub", then), vec![ino])
        }),
        ("the directory that it was taken out of", ELSEWHERE, |p| {
            let (from, to) = ("/workspace/b/f", "/workspace/u/f");
            p.file(&p.alice, from, 0o600);
            let moved = p.rename(&p.alice, from, to);
            p.secret(to);
            let ino = p.w.ino(to);
            let gone = p.unlink(&p.alice, to);
            p.file(&p.alice, "/workspace/u/later", 0o600);
            (both(moved, gone), vec![ino])
        }),
        ("a directory that comes back", ELSEWHERE, |p| {
            let dir = "/workspace/t/bobs";
            p.w.mkdir(&p.bob, dir);
            p.chmod(&p.bob, dir, 0o777);
            let from = "/workspace/t/bobs/f";
            p.file(&p.alice, from, 0o600);
            let moved = p.rename(&p.alice, from, F);
            p.secret(F);
            p.rm(&p.bob, dir);
            (both(moved, p.op()), vec![p.w.ino(F)])
        }),
    ]
}

/// Who shares a sticky directory takes nothing of others away in it, and brings nothing of theirs back: a grant would come with it.
#[test]
fn in_a_sticky_directory_everybody_brings_back_his_own() {
    for (mode, comes_back) in [(0o1777, false), (0o777, true)] {
        let p = Play::new();
        p.chmod(&p.alice, DIRS[0], mode);
        let at = format!("{}/f", DIRS[0]);
        p.file(&p.alice, &at, 0o600);
        p.grant(&p.alice, &at, "can_read");
        let gone: OpSet = [p.unlink(&p.alice, &at)].into_iter().collect();
        let tried = p.w.undo(&p.bob, gone.clone());
        assert_eq!(tried.is_ok(), comes_back, "{mode:o}");
        if let Err(e) = tried {
            assert!(
                e.kind() == Kind::NotPermitted && e.chain().contains("sticky"),
                "{e:?}"
            );
            p.w.undo(&p.alice, gone).unwrap().op.unwrap();
        }
        assert_eq!(p.w.read(&at), b"plain");
        p.w.assert_sound();
    }
}

/// semantics.md §6: "Undoing is one operation, takes the permissions that its changes take"
#[test]
fn what_comes_back_gives_nobody_more_than_he_had() {
    for (what, kind, script) in table() {
        let p = Play::new();
        let (way, secret) = script(&p);
        let (head, before) = (p.op(), p.w.tree());
        assert!(p.reads(&secret).is_empty(), "{what}: he had it before");
        let asked = way.of(&p, &p.bob);
        assert_eq!(p.reads(&secret), [], "{what}");
        let Err(refused) = asked else {
            panic!("{what}: allowed");
        };
        assert_eq!(refused.kind(), kind, "{what}: {refused}");
        assert!(p.w.tree().len() == before.len() && p.op() >= head, "{what}");
        // Those whose it is may.
        let done = match way.of(&p, &p.alice) {
            Err(e) if e.kind() == Kind::NotPermitted && what == "an owner" => way.of(&p, &root()),
            done => done,
        };
        let done = done.unwrap_or_else(|e| panic!("{what}: {e}"));
        assert!(done.op.is_some(), "{what}: {:?}", done.conflicts);
        p.w.assert_sound();
    }
}

#[test]
fn what_one_took_away_comes_back_exactly_whoever_it_belongs_to() {
    let p = Play::new();
    for (dir, mode) in [(D, 0o777), ("/workspace/t/d/e", 0o777)] {
        p.w.mkdir(&p.alice, dir);
        p.chmod(&p.alice, dir, mode);
    }
    for (at, mode) in [("f", 0o600), ("e/g", 0o640), ("h", 0o4755)] {
        let at = format!("{D}/{at}");
        p.file(&p.alice, &at, 0o600);
        p.secret(&at);
        p.chmod(&p.alice, &at, mode);
    }
    p.file(&p.bob, "/workspace/t/d/bobs", 0o644);
    let (dir, twin) = (p.w.ino("/workspace/t/d/e"), Name::new(b"twin").unwrap());
    let f = p.w.ino("/workspace/t/d/f");
    p.w.engine.link(&p.alice, f, dir, &twin).unwrap();
    for granted in [false, true] {
        if granted {
            p.grant(&p.alice, D, "can_write");
            p.deny("/workspace/t/d/f", AclOf::Itself);
            p.deny("/workspace/t/d/e", AclOf::Below);
            p.restrict("/workspace/t/d/h");
        }
        let (before, grants) = (p.w.tree(), p.w.engine.grants(&root(), |_| true));
        // Of what is denied to him bob takes nothing away.
        let who = if granted { &p.alice } else { &p.bob };
        let gone = p.rm(who, D);
        let undone = p.w.undo(who, gone).unwrap();
        assert_eq!(undone.conflicts, []);
        assert_eq!(p.w.tree(), before);
        let now = p.w.engine.grants(&root(), |_| true);
        assert_eq!(now.unwrap(), grants.unwrap());
        p.w.assert_sound();
    }
}
