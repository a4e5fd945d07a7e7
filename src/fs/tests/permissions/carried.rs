//! What comes to another directory by somebody who does not own it: nobody has more on it there than that one had.

use super::paths::{Model, rights_of};
use super::{boss, closed, give, ino, link, list, make, mkdir, rename, with};
use crate::access::Rights;
use crate::access::acl::{AclEntry, AclWho};
use crate::core::Time;
use crate::fs::tests::*;
use crate::fs::{AclOf, RenameMode, SetAttr};
use std::collections::BTreeSet;

impl Model {
    /// Whether somebody may bring what stands at a path from one directory to another.
    pub(super) fn carries(&self, who: &Caller, at: &str, from: &str, to: &str) -> bool {
        if who.admin || from == to || self.may(who, at, Rights::OWN) {
            return true;
        }
        let is_dir = self.thing(at).is_dir;
        let held = if is_dir {
            self.granted(who, at).without(self.denied(who, at))
        } else {
            self.allowed(who, at)
        };
        let new_owners = self.owners(to).into_iter();
        let mut others = new_owners.filter(|uid| ![0, self.thing(at).uid].contains(uid));
        let before = self.owners(from);
        let theirs = match others.all(|uid| before.contains(&uid)) {
            true => Rights::NONE,
            false if is_dir => Rights::ALL,
            false => Rights::READ.and(Rights::WRITE),
        };
        let given = self.more_by_grants(at, from, to);
        let given = given.and(self.more_by_denies(from, to));
        held.covers(given.and(theirs))
    }

    fn line<'a>(&'a self, dir: &'a str) -> Vec<&'a str> {
        [dir].into_iter().chain(self.dirs(dir)).collect()
    }

    fn owners(&self, dir: &str) -> BTreeSet<u32> {
        let line = self.line(dir).into_iter();
        line.map(|dir| self.thing(dir).uid).collect()
    }

    /// To whom, what, and until when, by grants on a node and from a directory upwards.
    fn counting(&self, at: &str, dir: &str) -> Vec<(&str, Rights, Time)> {
        let (mut all, mut behind) = (Vec::new(), false);
        let things = [at].into_iter().chain(self.line(dir));
        for thing in things.map(|at| self.thing(at)) {
            for (to, role, end) in &thing.grants {
                let end = end.unwrap_or(Time(i64::MAX));
                if self.now < end && (!behind || *role == "owner") {
                    all.push((to.as_str(), rights_of(role), end));
                }
            }
            behind |= thing.restricted;
        }
        all
    }

    fn more_by_grants(&self, at: &str, from: &str, to: &str) -> Rights {
        let mut more = Rights::NONE;
        let before = self.counting(at, from);
        for (whose, mut new, end) in self.counting(at, to) {
            for (_, old, _) in before.iter().filter(|b| b.0 == whose && b.2 >= end) {
                new = new.without(*old);
            }
            more = more.and(new);
        }
        more
    }

    fn refused(&self, dir: &str) -> Vec<(&str, Rights)> {
        let handed = self.line(dir).into_iter();
        let handed = handed.filter_map(|dir| self.thing(dir).handed.as_ref());
        let denies = handed.flat_map(|h| &h.entries).filter(|e| e.1);
        let rights = |bits| match bits {
            0 => Rights::ALL,
            bits => Rights::from_bits(bits),
        };
        denies.map(|e| (e.0.as_str(), rights(e.2))).collect()
    }

    fn more_by_denies(&self, from: &str, to: &str) -> Rights {
        let mut more = Rights::NONE;
        for (whose, mut old) in self.refused(from) {
            for (_, new) in self.refused(to).iter().filter(|r| r.0 == whose) {
                old = old.without(*new);
            }
            more = more.and(old);
        }
        more
    }
}

fn mode(w: &World, who: &Caller, at: &str, mode: u32) {
    let set = SetAttr {
        mode: Some(mode),
        ..SetAttr::default()
    };
    w.engine().setattr(who, ino(w, at), &set, None).unwrap();
}

/// Alice's directory `team` that everybody may write, with a file in it that is hers alone; and bob's directory `bobs`.
fn team() -> (World, Caller, Caller) {
    let (w, alice, bob) = with(&["team"]);
    mode(&w, &alice, "/workspace/team", 0o777);
    mode(&w, &alice, "/workspace/team/f", 0o600);
    mkdir(&w, &bob, "/workspace/bobs");
    (w, alice, bob)
}

const FROM: &str = "/workspace/team/f";
const TO: &str = "/workspace/bobs/f";

fn exchange(w: &World, who: &Caller, one: &str, other: &str) -> Result<()> {
    let (e, one, other) = (w.engine(), path(one), path(other));
    let one = e.resolve_parent(who, &one)?;
    e.rename(
        who,
        one,
        e.resolve_parent(who, &other)?,
        RenameMode::Exchange,
    )
}

/// semantics.md §4: "nobody gives more than he has"
#[test]
fn nobody_gives_himself_what_is_not_his_by_moving_it_below_a_grant() {
    let (w, alice, bob) = team();
    give(&w, &bob, "/workspace/bobs", "owner", "bob");
    w.write(&bob, "/workspace/bobs/mine", b"").unwrap();
    refused(rename(&w, &bob, FROM, TO), Kind::CrossDevice);
    for (one, other) in [
        (FROM, "/workspace/bobs/mine"),
        ("/workspace/bobs/mine", FROM),
    ] {
        refused(exchange(&w, &bob, one, other), Kind::CrossDevice);
    }
    refused(link(&w, &bob, FROM, TO), Kind::NotPermitted);
    closed(w.read(&bob, FROM));
    // Within the directory he may move it, as POSIX has it; and who owns it may put it where she likes.
    rename(&w, &bob, FROM, "/workspace/team/g").unwrap();
    mode(&w, &bob, "/workspace/bobs", 0o777);
    rename(&w, &alice, "/workspace/team/g", TO).unwrap();
    assert_eq!(w.read(&bob, TO).unwrap(), b"team");
    w.assert_sound();
}

/// semantics.md §4: "nobody gives more than he has"
#[test]
fn nobody_puts_what_is_not_his_where_he_might_grant_it_to_himself_later() {
    let (w, alice, bob) = team();
    refused(rename(&w, &bob, FROM, TO), Kind::CrossDevice);
    refused(link(&w, &bob, FROM, TO), Kind::NotPermitted);
    // Nor into a directory of his own that lies in hers.
    mkdir(&w, &bob, "/workspace/team/bobs");
    refused(
        rename(&w, &bob, FROM, "/workspace/team/bobs/f"),
        Kind::CrossDevice,
    );
    // What he may read and write he could copy there as well.
    mode(&w, &alice, FROM, 0o666);
    rename(&w, &bob, FROM, TO).unwrap();
    link(&w, &bob, TO, "/workspace/team/again").unwrap();
    w.assert_sound();
}

#[test]
fn a_directory_goes_below_others_only_by_its_owners_hand() {
    let (w, alice, bob) = team();
    mkdir(&w, &alice, "/workspace/team/d");
    w.write(&alice, "/workspace/team/d/f", b"secret").unwrap();
    mode(&w, &alice, "/workspace/team/d/f", 0o600);
    mode(&w, &alice, "/workspace/team/d", 0o777);
    let moves = |to: &str| rename(&w, &bob, "/workspace/team/d", to);
    refused(moves("/workspace/bobs/d"), Kind::CrossDevice);
    // Also where a grant lets him read and write all below, but for what a boundary keeps.
    give(&w, &alice, "/workspace/team", "can_write", "bob");
    refused(moves("/workspace/bobs/d"), Kind::CrossDevice);
    mkdir(&w, &alice, "/workspace/team/e");
    mode(&w, &alice, "/workspace/team/e", 0o777);
    moves("/workspace/team/e/d").unwrap();
    assert_eq!(list(&w, &bob, "/workspace/team/e/d").unwrap(), ["f"]);
}

#[test]
fn who_moves_a_file_below_others_grants_has_what_they_give() {
    let (w, alice, bob) = with(&["a", "b"]);
    make(&w, "carol");
    mode(&w, &alice, "/workspace/a/f", 0o600);
    give(&w, &alice, "/workspace/a", "can_write", "bob");
    give(&w, &alice, "/workspace/b", "can_write", "bob");
    let there = |to: &str| rename(&w, &bob, "/workspace/a/f", to);
    let id = give(&w, &alice, "/workspace/b", "owner", "carol");
    refused(there("/workspace/b/g"), Kind::CrossDevice);
    w.engine().revoke(&alice, id).unwrap();
    give(&w, &alice, "/workspace/b", "can_read", "carol");
    there("/workspace/b/g").unwrap();
    // An administrator may, and it is known.
    let id = give(&w, &alice, "/workspace/a", "owner", "carol");
    rename(&w, &boss(), "/workspace/b/g", "/workspace/a/h").unwrap();
    w.engine().revoke(&alice, id).unwrap();
    w.assert_sound();
}

#[test]
fn nobody_takes_a_file_from_below_a_deny_but_who_has_what_it_refuses() {
    let (w, alice, bob) = with(&["a", "a/shut", "a/open"]);
    let carol = make(&w, "carol");
    give(&w, &alice, "/workspace/a", "can_read", "carol");
    for dir in ["/workspace/a", "/workspace/a/shut", "/workspace/a/open"] {
        mode(&w, &alice, dir, 0o777);
    }
    mode(&w, &alice, "/workspace/a/shut/f", 0o644);
    let entry = AclEntry {
        who: AclWho::User(carol.uid),
        deny: true,
        rights: 0,
    };
    let shut = ino(&w, "/workspace/a/shut");
    let set = w.engine().set_acl_entry(&alice, shut, AclOf::Below, entry);
    set.unwrap();
    let opens = || rename(&w, &bob, "/workspace/a/shut/f", "/workspace/a/open/g");
    refused(opens(), Kind::CrossDevice);
    closed(w.read(&carol, "/workspace/a/shut/f"));
    let given = give(&w, &alice, "/workspace/a/shut/f", "can_write", "bob");
    // She is refused everything, and he has not everything.
    refused(opens(), Kind::CrossDevice);
    w.engine().revoke(&alice, given).unwrap();
    give(&w, &alice, "/workspace/a/shut/f", "owner", "bob");
    opens().unwrap();
    assert!(w.read(&carol, "/workspace/a/open/g").is_ok());
}
