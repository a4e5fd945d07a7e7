//! Random work of two, and one of them brings back what he can: he reads nothing after it that he could not have read before.

use super::dice::Dice;
use super::gain::{DIRS, Play, SECRET};
use super::world::*;
use crate::access::Right;
use crate::access::acl::{AclEntry, AclWho};
use crate::core::{Caller, Ino, Name, Op, Result};
use crate::fs::{AclOf, RenameMode, SetAttr, To};
use crate::history::{Answer, Choice, OpSet, undo};
use std::collections::BTreeSet;

const ACTS: u64 = 16;
const TRIES: u64 = 6;

/// The numbers of files and directories.
type Nodes = BTreeSet<Ino>;

struct Game {
    p: Play,
    dice: Dice,
    start: Op,
    all: Nodes,
    /// What bob could come to while it was there, as of the last time that it was.
    his: Nodes,
}

impl Game {
    fn new(seed: u64) -> Self {
        let p = Play::new();
        let start = p.op();
        let dice = Dice::of(seed);
        let (all, his) = (Nodes::new(), Nodes::new());
        let mut game = Self {
            p,
            dice,
            start,
            all,
            his,
        };
        game.look();
        game
    }

    fn any_path(&mut self) -> String {
        let (dir, name) = (self.dice.pick(&DIRS), self.dice.pick(&["x", "y"]));
        match self.dice.below(2) {
            0 => format!("{dir}/{name}"),
            _ => format!("{dir}/{name}/{}", self.dice.pick(&["x", "y"])),
        }
    }

    /// Notes of all that is there whether bob could come to it.
    fn look(&mut self) {
        let there: Nodes = self.p.w.tree().values().map(|seen| seen.ino).collect();
        for ino in there {
            self.all.insert(ino);
            if self.comes_to(ino) {
                self.his.insert(ino);
            } else {
                self.his.remove(&ino);
            }
        }
    }

    /// Whether bob may read something, or has it in his hands to let himself.
    fn comes_to(&self, ino: Ino) -> bool {
        let (e, bob) = (&self.p.w.engine, &self.p.bob);
        if e.may_still(bob, ino, Right::Read).is_ok() {
            return true;
        }
        let mut at = ino;
        while let Ok(node) = e.getattr(&root(), at) {
            if e.owns_still(bob, at).unwrap() {
                return true;
            }
            let path = e.path_for(&root(), at).unwrap();
            let Some((dir, _)) = path.as_ref().and_then(|p| p.split()) else {
                break;
            };
            at = e.resolve_link(&root(), &dir).unwrap().ino;
            assert_ne!(at, node.ino);
        }
        false
    }

    fn act(&mut self) -> Result<()> {
        let who = match self.dice.below(3) {
            0 => self.p.bob.clone(),
            _ => self.p.alice.clone(),
        };
        let (at, kind) = (self.any_path(), self.dice.below(13));
        let (to, mode) = (self.any_path(), self.dice.below(4));
        let e = self.p.w.engine.clone();
        let place = path(&at);
        let (dir, name): (Ino, &Name) = e.resolve_parent(&root(), &place)?;
        let found = || -> Result<Ino> { Ok(e.resolve_link(&root(), &place)?.ino) };
        match kind {
            0 | 1 if found().is_err() => drop(e.mkdir(&who, dir, name, 0o777)?),
            0..=3 => drop(self.p.w.try_write(&who, &at, SECRET)?),
            4 | 5 => {
                let modes = [0o777, 0o755, 0o700, 0o600];
                let set = SetAttr {
                    mode: Some(modes[usize::try_from(mode).unwrap_or_default()]),
                    ..SetAttr::default()
                };
                e.setattr(&who, found()?, &set, None)?;
            }
            6 => e.unlink(&who, dir, name)?,
            7 => e.rmdir(&who, dir, name)?,
            8 => {
                let to = path(&to);
                let to = e.resolve_parent(&root(), &to)?;
                e.rename(&who, (dir, name), to, RenameMode::Replace)?;
            }
            9 => {
                let to = To::One("bob".parse()?);
                let roles = ["can_read", "can_write", "owner", "can_read"];
                let role = roles[usize::try_from(mode).unwrap_or_default()];
                e.grant(&who, found()?, role, &to, None)?;
            }
            10 => {
                for tuple in e.grants(&root(), |_| true)? {
                    e.revoke(&who, tuple.id)?;
                }
            }
            11 => {
                let of = [AclOf::Itself, AclOf::Below][usize::from(mode > 1)];
                let deny = AclEntry {
                    who: AclWho::User(self.p.bob.uid),
                    deny: true,
                    rights: 0,
                };
                e.set_acl_entry(&self.p.alice, found()?, of, deny)?;
            }
            _ => drop(e.restrict(&who, found()?, mode > 0)?),
        }
        Ok(())
    }

    /// Bob brings something back.
    fn bring(&mut self) -> Result<String> {
        let (bob, head): (Caller, Op) = (self.p.bob.clone(), self.p.op());
        let since = self.dice.below(head.0 - self.start.0 + 1);
        if self.dice.below(3) == 0 {
            let (dir, then) = (self.dice.pick(&DIRS), Op(self.start.0 + since));
            let done = self.p.restore(&bob, dir, then)?;
            return Ok(format!("{dir} at {then}: {:?}", done.op));
        }
        let ops = (self.start.0 + 1..=head.0).map(Op);
        let chosen = ops.filter(|_| self.dice.below(3) > 0);
        let ops: OpSet = chosen.collect();
        let answers = [Answer::Stop, Answer::Skip, Answer::Aside];
        let answer = answers[usize::try_from(self.dice.below(3)).unwrap_or_default()];
        let choice = Choice {
            ops: ops.clone(),
            answer,
            ..Choice::default()
        };
        let done = undo(&self.p.w.engine, &bob, &choice)?;
        Ok(format!("{ops}: {:?}", done.op))
    }
}

/// Whether anything was brought back.
fn play(seed: u64) -> u64 {
    let mut game = Game::new(seed);
    let mut brought = 0;
    for n in 0..ACTS {
        game.look();
        // In vain, often: nothing is there.
        drop(game.act());
        if n + TRIES < ACTS {
            continue;
        }
        game.look();
        let mut his = game.his.clone();
        let gone = game.all.iter().filter(|ino| game.comes_to(**ino));
        his.extend(gone);
        let head = game.p.op();
        let Ok(done) = game.bring() else { continue };
        brought += game.p.op().0 - head.0;
        let known: Vec<_> = game.all.iter().copied().collect();
        for ino in known {
            let is_fine = his.contains(&ino) || !game.comes_to(ino);
            assert!(is_fine, "seed {seed}: {ino} by {done}");
        }
    }
    game.p.w.assert_sound();
    brought
}

/// Games: `NEXUS_GAIN_ROUNDS`. semantics.md §6: "Undoing is one operation, takes the permissions that its changes take"
#[test]
#[allow(clippy::disallowed_methods, reason = "how long a test runs")]
fn what_one_could_not_read_he_reads_by_no_way_back() {
    let asked = std::env::var("NEXUS_GAIN_ROUNDS").ok();
    let rounds: u64 = asked.map_or(60, |n| n.parse().unwrap());
    let brought: u64 = (1..=rounds).map(play).sum();
    assert!(brought > rounds / 4, "{brought} of {rounds}");
}
