//! A directory in which everything was done that leaves rows.

use crate::access::acl::{AclEntry, AclWho};
use crate::fs::tests::principals::{boss, subject};
use crate::fs::tests::*;
use crate::fs::{AclOf, Naming, RenameMode, Revision, SetAttr, Title, To};
use crate::meta::cache::Place;
use crate::meta::{Node, OpKind};
use serde_json::json;

/// Somebody at work in a directory of the workspace.
struct Work<'w> {
    w: &'w World,
    e: &'w Engine,
    who: &'w Caller,
    dir: String,
}

impl Work<'_> {
    fn at(&self, p: &str) -> Ino {
        let p = path(&format!("{}/{p}", self.dir));
        self.e.resolve(self.who, &p).unwrap().ino
    }

    fn dir(&self) -> Ino {
        self.e.resolve(self.who, &path(&self.dir)).unwrap().ino
    }

    fn write(&self, p: &str, bytes: &[u8]) -> Ino {
        let p = format!("{}/{p}", self.dir);
        self.w.write(self.who, &p, bytes).unwrap()
    }

    fn attribute(&self, p: &str, attribute: &str, value: &[u8]) {
        let (at, attribute) = (self.at(p), attribute.as_bytes());
        self.e
            .setxattr(self.who, at, attribute, value, SetMode::Any)
            .unwrap();
    }

    fn rename(&self, from: &str, to: &str, mode: RenameMode) {
        let (dir, from, to) = (self.dir(), name(from), name(to));
        self.e
            .rename(self.who, (dir, &from), (dir, &to), mode)
            .unwrap();
    }

    fn unlink(&self, n: &str) {
        self.e.unlink(self.who, self.dir(), &name(n)).unwrap();
    }

    fn chmod(&self, p: &str, mode: u32) {
        let set = SetAttr {
            mode: Some(mode),
            ..SetAttr::default()
        };
        self.e.setattr(self.who, self.at(p), &set, None).unwrap();
    }

    fn list(&self, p: &str, of: AclOf, uid: u32) {
        let entry = AclEntry {
            who: AclWho::User(uid),
            deny: true,
            rights: 2,
        };
        self.e
            .set_acl_entry(self.who, self.at(p), of, entry)
            .unwrap();
    }

    /// An undo as far as the engine is concerned: a name goes, another node gets a mode and an attribute.
    fn revise(&self, gone: &str, changed: &str) {
        let (dir, gone) = (self.dir(), name(gone));
        let node = self.e.node(self.at(changed)).unwrap();
        let place = Place {
            parent: dir,
            name: gone,
        };
        let was = self.e.stored_entry(place.clone()).unwrap();
        let nodes = format!("{},{}", was.as_ref().unwrap().ino, node.ino);
        let mut revision = Revision {
            names: vec![Naming {
                place,
                was,
                to: None,
            }],
            xattrs: vec![(node.ino, b"user.undone".to_vec(), Some(b"x".to_vec()))],
            changed: vec![Node {
                mode: 0o600,
                ..(*node).clone()
            }],
            ..Revision::default()
        };
        let title = Title {
            kind: OpKind::Undo,
            path: path(&self.dir),
            undo: json!({ "nodes": nodes }),
        };
        let done = self.e.revise(self.who, &mut revision, |_| Ok(title));
        assert!(done.unwrap().is_some());
    }
}

fn work<'w>(w: &'w World, who: &'w Caller, dir: &str) -> Work<'w> {
    let dir = format!("/workspace/{dir}");
    let e = w.engine();
    Work { w, e, who, dir }
}

/// Makes the directory, and does everything once or twice.
pub(super) fn change_much(w: &World, who: &Caller, dir: &str) {
    let t = work(w, who, dir);
    let e = t.e;
    e.mkdir(who, w.workspace(), &name(dir), 0o755).unwrap();
    t.write("i", b"changed by an undo");
    for n in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        t.write(n, n.as_bytes());
        t.write(n, &[n.as_bytes(); 3].concat());
        t.attribute(n, "user.k", b"1");
    }
    for n in ["a", "d"] {
        t.attribute(n, "user.k", b"2");
        t.attribute(n, "user.other", b"3");
    }
    e.removexattr(who, t.at("a"), b"user.other").unwrap();
    for n in ["a2", "a3"] {
        e.link(who, t.at("a"), t.dir(), &name(n)).unwrap();
    }
    e.symlink(who, t.dir(), &name("s"), b"a").unwrap();
    let bob = To::One(subject("bob"));
    for (p, role) in [("a", "can_read"), ("b", "can_write"), ("h", "can_read")] {
        e.grant(&boss(), t.at(p), role, &bob, None).unwrap();
    }
    for uid in [1002, 1003] {
        t.list("b", AclOf::Itself, uid);
    }
    for n in ["in", "out"] {
        e.mkdir(who, t.dir(), &name(n), 0o755).unwrap();
        e.restrict(who, t.at(n), true).unwrap();
        e.set_posix_acl(who, t.at(n), AclOf::Below, &handed())
            .unwrap();
    }
    e.restrict(who, t.at("out"), false).unwrap();
    e.mkdir(who, t.at("in"), &name("heir"), 0o755).unwrap();
    t.rename("c", "d", RenameMode::Replace);
    t.rename("e", "a2", RenameMode::Replace);
    t.rename("f", "g", RenameMode::Exchange);
    t.unlink("a3");
    t.chmod("b", 0o640);
    t.revise("h", "i");
}

/// Changes, takes away and puts in the place of another what there is.
pub(super) fn change_again(w: &World, who: &Caller, dir: &str) {
    let t = work(w, who, dir);
    t.write("b", b"another");
    t.write("x", b"new");
    t.attribute("a", "user.k", b"9");
    t.list("b", AclOf::Itself, 1004);
    t.chmod("g", 0o600);
    t.rename("x", "g", RenameMode::Replace);
    t.rename("a", "a2", RenameMode::Exchange);
    t.unlink("f");
    t.unlink("s");
    t.e.rmdir(who, t.dir(), &name("out")).unwrap();
    t.revise("d", "i");
}

/// A list in the kernel's form that gives one user what the owner has.
fn handed() -> Vec<u8> {
    let entries: [(u16, u16, u32); 5] = [
        (1, 7, u32::MAX),
        (2, 7, 1002),
        (4, 5, u32::MAX),
        (0x10, 7, u32::MAX),
        (0x20, 0, u32::MAX),
    ];
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, rights, id) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(rights.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}
