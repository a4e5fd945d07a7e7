//! Random work of two, one of whom is undone: the rest is as if he had never been there, wherever that has a meaning. In
//! every other world something was granted, and the two grant more: there decisions look at what lies above.

use super::dice::Dice;
use super::world::*;
use crate::core::{Caller, Error, FsPath, Ino, Kind, Name, Op, Result};
use crate::fs::{RenameMode, To};
use crate::fs::{SetAttr, SetMode};
use crate::history::{Answer, Choice, OpSet, saves, undo};
use crate::meta::{FileKind, OpKind, log};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// How many rounds are played in one world, each in a directory of its own.
const ROUNDS: u64 = 100;
const DIRS: [&str; 4] = [".", "d", "e", "d/g"];
const FILES: [&str; 4] = ["a", "b", "c", "d"];
const LINES: u64 = 9;

/// A node but for its number, its times and the values of its attributes, and what was granted on it.
type Shape = (FileKind, (u32, u32, u32), u32, Vec<u8>, usize, Vec<String>);

/// How a file is saved.
#[derive(Debug, Clone, Copy)]
enum Way {
    InPlace,
    RenamedOver,
    EmptiedFirst,
    WithBackup,
    AsVim,
}

/// Something that one of two does.
#[derive(Debug, Clone)]
enum Act {
    /// Sets one line of a file, which has nine.
    Edit(Way, String, u64, String),
    Mkdir(String),
    Remove(String),
    Rename(String, String),
    Link(String, String),
    Chmod(String, u32),
    Xattr(String, String),
    /// Grants a role to carol that she does not have there.
    Grant(String, &'static str),
    Revoke(String),
    /// Moves all that is in a directory to another one, gives what is a directory an attribute there, and removes the first.
    Dissolve(String, String),
    /// Undoes one of his last operations, an undo perhaps.
    Undo(u64),
}

fn any_path(dice: &mut Dice) -> String {
    match dice.below(6) {
        0 => DIRS[usize::try_from(1 + dice.below(3)).unwrap()].to_owned(),
        _ => format!("{}/{}", dice.pick(&DIRS), dice.pick(&FILES)),
    }
}

fn act(dice: &mut Dice, n: u64) -> Act {
    let file = format!("{}/{}", dice.pick(&DIRS), dice.pick(&FILES[..3]));
    match dice.below(18) {
        16 | 17 => {
            let ways = [("d", "."), ("d", "e"), ("e", ".")];
            let (dir, to) = ways[usize::try_from(dice.below(3)).unwrap()];
            Act::Dissolve(dir.to_owned(), to.to_owned())
        }
        14 => {
            let role = ["can_read", "can_write"][usize::from(dice.below(2) == 0)];
            Act::Grant(any_path(dice), role)
        }
        15 => Act::Revoke(any_path(dice)),
        12 | 13 => Act::Undo(dice.below(3)),
        0..=4 => Act::Edit(
            match dice.below(5) {
                0 => Way::InPlace,
                1 => Way::RenamedOver,
                2 => Way::EmptiedFirst,
                3 => Way::WithBackup,
                _ => Way::AsVim,
            },
            file,
            dice.below(LINES),
            format!("text {n}"),
        ),
        5 => Act::Mkdir(any_path(dice)),
        6 | 7 => Act::Remove(any_path(dice)),
        8 | 9 => Act::Rename(any_path(dice), any_path(dice)),
        10 => match dice.below(2) {
            0 => Act::Link(file, any_path(dice)),
            _ => Act::Xattr(any_path(dice), format!("{n}")),
        },
        _ => Act::Chmod(
            any_path(dice),
            0o700 | u32::try_from(dice.below(8)).unwrap(),
        ),
    }
}

/// A directory of a world with something in it, where two act.
struct Field<'w> {
    w: &'w World,
    top: String,
    /// The numbers of the directory and of the first node that is made by acts.
    first: Ino,
    new: Ino,
    /// What was done before the two began.
    start: Op,
    /// From which number on nodes were made by which act.
    made: RefCell<Vec<(u64, Ino)>>,
}

impl<'w> Field<'w> {
    fn new(w: &'w World, round: u64) -> Self {
        let top = format!("/workspace/r{round}");
        w.mkdir(&alice(), &top);
        let first = w.ino(&top);
        let new = first;
        let mut field = Self {
            w,
            top,
            first,
            new,
            start: Op(0),
            made: RefCell::default(),
        };
        for dir in &DIRS[1..] {
            w.mkdir(&alice(), &format!("{}/{dir}", field.top));
        }
        for (n, file) in ["a", "d/a", "d/b"].iter().enumerate() {
            let line = n as u64;
            let edit = Act::Edit(Way::InPlace, (*file).to_owned(), line, "first".to_owned());
            field.perform(&alice(), &edit).unwrap();
        }
        field.new = w.engine.fresh_ino();
        field.start = w.head();
        field
    }

    fn path(&self, at: &str) -> FsPath {
        path(&format!("{}/{}", self.top, at.trim_start_matches("./")))
    }

    fn parent_of<'p>(&self, at: &'p FsPath) -> Result<(Ino, &'p Name)> {
        self.w.engine.resolve_parent(&root(), at)
    }

    fn at(&self, at: &str) -> Result<Ino> {
        Ok(self.w.engine.resolve_link(&root(), &self.path(at))?.ino)
    }

    fn tree(&self) -> Tree {
        self.w.tree_below(&self.top)
    }

    /// Performs the act of a number; whether it went.
    fn plays(&self, (n, act): (u64, &Act), who: &Caller) -> bool {
        self.made.borrow_mut().push((n, self.w.engine.fresh_ino()));
        self.perform(who, act).is_ok()
    }

    fn perform(&self, who: &Caller, act: &Act) -> Result<()> {
        let e = &self.w.engine;
        match act {
            Act::Edit(way, at, line, text) => self.edit(who, *way, (at, *line), text)?,
            Act::Mkdir(at) => {
                let at = self.path(at);
                let (dir, name) = self.parent_of(&at)?;
                e.mkdir(who, dir, name, 0o770)?;
            }
            Act::Remove(at) => {
                let found = e.resolve_link(&root(), &self.path(at))?;
                let at = self.path(at);
                let (dir, name) = self.parent_of(&at)?;
                if found.is_dir() {
                    e.rmdir(who, dir, name)?;
                } else {
                    e.unlink(who, dir, name)?;
                }
            }
            Act::Rename(from, to) => {
                let (from, to) = (self.path(from), self.path(to));
                let ends = (self.parent_of(&from)?, self.parent_of(&to)?);
                e.rename(who, ends.0, ends.1, RenameMode::Replace)?;
            }
            Act::Link(from, to) => {
                let to = self.path(to);
                let (dir, name) = self.parent_of(&to)?;
                e.link(who, self.at(from)?, dir, name)?;
            }
            Act::Chmod(at, mode) => {
                let set = SetAttr {
                    mode: Some(*mode),
                    ..SetAttr::default()
                };
                e.setattr(who, self.at(at)?, &set, None)?;
            }
            Act::Xattr(at, value) => {
                let ino = self.at(at)?;
                e.setxattr(who, ino, b"user.x", value.as_bytes(), SetMode::Any)?;
            }
            Act::Grant(at, role) => {
                let at = self.at(at)?;
                if self.w.granted(at).iter().any(|t| t.relation == *role) {
                    return Err(Error::new(Kind::Exists, "she has it"));
                }
                let carol = To::One("user:carol".parse()?);
                e.grant(who, at, role, &carol, None)?;
            }
            Act::Revoke(at) => {
                let all = self.w.granted(self.at(at)?);
                let none = || Error::new(Kind::NotFound, "nothing is granted");
                e.revoke(who, all.first().ok_or_else(none)?.id)?;
            }
            Act::Dissolve(dir, to) => self.dissolve(who, dir, to)?,
            Act::Undo(back) => self.undo(who, *back)?,
        }
        Ok(())
    }

    fn edit(&self, who: &Caller, way: Way, (at, line): (&str, u64), text: &str) -> Result<()> {
        let e = &self.w.engine;
        let found = self.at(at);
        let is_new = found.is_err();
        let old = match found {
            Ok(ino) if e.getattr(&root(), ino)?.is_file() => {
                self.w.read(&format!("{}/{at}", self.top))
            }
            Ok(_) => return Err(Error::new(Kind::IsDirectory, "a directory")),
            Err(_) => self.parent_of(&self.path(at)).map(|_| Vec::new())?,
        };
        let old = String::from_utf8(old).unwrap();
        let mut lines: Vec<_> = (0..LINES).map(|n| format!("line {n}")).collect();
        for (n, line) in old.lines().enumerate() {
            line.clone_into(&mut lines[n]);
        }
        text.clone_into(&mut lines[usize::try_from(line).unwrap()]);
        let (at, text) = (format!("{}/{at}", self.top), lines.join("\n") + "\n");
        match way {
            Way::InPlace => self.w.write(who, &at, text.as_bytes()),
            // There is nothing to rename.
            Way::WithBackup | Way::AsVim if is_new => self.w.write(who, &at, text.as_bytes()),
            Way::WithBackup => self.w.save_with_backup(who, &at, text.as_bytes()),
            Way::AsVim => self.w.save_as_vim(who, &at, text.as_bytes()),
            Way::RenamedOver => self.w.save(who, &at, text.as_bytes()),
            Way::EmptiedFirst => self.w.overwrite(who, &at, text.as_bytes()),
        }
        Ok(())
    }

    fn dissolve(&self, who: &Caller, dir: &str, to: &str) -> Result<()> {
        let e = &self.w.engine;
        for entry in e.list(&root(), self.at(dir)?)? {
            let (from, to) = (
                format!("{dir}/{}", entry.name),
                format!("{to}/{}", entry.name),
            );
            self.perform(who, &Act::Rename(from, to.clone()))?;
            if e.getattr(&root(), self.at(&to)?)?.is_dir() {
                self.perform(who, &Act::Xattr(to, "moved".to_owned()))?;
            }
        }
        self.perform(who, &Act::Remove(dir.to_owned()))
    }

    fn undo(&self, who: &Caller, back: u64) -> Result<()> {
        let all: Vec<_> = self.w.by(who, self.start).iter().collect();
        let none = || Error::new(Kind::NotFound, "he has done less");
        let last = usize::try_from(back).unwrap() + 1;
        let op = all.len().checked_sub(last).ok_or_else(none)?;
        // A save is undone whole: of a part of it a copy would be left, with what the other had done.
        let mut chosen: OpSet = [all[op]].into_iter().collect();
        chosen.join(&saves(&self.w.engine, who, &chosen)?);
        match self.w.undo(who, chosen)?.op {
            Some(_) => Ok(()),
            None => Err(Error::new(Kind::Conflict, "nothing was done")),
        }
    }

    /// The nodes that an act finds at its paths, and in which directories: those that the world began with by number, what was made
    /// since by the act that made it.
    fn meant(&self, act: &Act) -> Vec<Option<Ino>> {
        let paths = match act {
            Act::Rename(a, b) | Act::Link(a, b) | Act::Dissolve(a, b) => vec![a, b],
            Act::Edit(_, at, ..)
            | Act::Mkdir(at)
            | Act::Remove(at)
            | Act::Chmod(at, _)
            | Act::Grant(at, _)
            | Act::Revoke(at)
            | Act::Xattr(at, _) => vec![at],
            Act::Undo(_) => vec![],
        };
        let made = self.made.borrow();
        let known = |ino: Ino| match made.iter().rfind(|(_, from)| *from < ino) {
            Some((n, from)) if ino > self.new => Ino(1000 * (n + 1) + ino.0 - from.0),
            _ => Ino(ino.0.saturating_sub(self.first.0)),
        };
        let found = |at: &&String| {
            let path = self.path(at);
            let dir = self.parent_of(&path).ok().map(|(dir, _)| dir);
            [dir, self.at(at).ok()].map(|ino| ino.map(known))
        };
        let mut meant: Vec<_> = paths.iter().flat_map(found).collect();
        // All that is in it.
        if let Act::Dissolve(dir, _) = act
            && let Ok(inside) = self
                .at(dir)
                .and_then(|dir| self.w.engine.list(&root(), dir))
        {
            meant.extend(inside.iter().map(|entry| Some(known(entry.node.ino))));
        }
        meant
    }

    /// What does not depend on when and by which operation it was made.
    fn shape(&self) -> BTreeMap<String, Shape> {
        let tree = self.tree().into_iter();
        let place = |at: String| at[self.top.len()..].to_owned();
        tree.map(|(at, s)| {
            (
                place(at),
                (s.kind, s.owner, s.links, s.bytes, s.xattrs.len(), s.grants),
            )
        })
        .collect()
    }
}

/// The operations among some that are no undos.
fn tree_only(w: &World, ops: &OpSet) -> OpSet {
    let mut tx = w.engine.store().read().unwrap();
    let mut is_undo = |op: &Op| {
        let found = log::at(&mut *tx, TENANT, *op).unwrap();
        found.is_some_and(|(record, _)| record.kind == OpKind::Undo)
    };
    ops.iter().filter(|op| !is_undo(op)).collect()
}

/// Whether undoing found nothing in its way.
fn round((one, other): (&World, &World), seed: u64) -> bool {
    let mut dice = Dice::of(seed);
    let field = Field::new(one, seed);
    let w = one;
    let mut done = Vec::new();
    for n in 0..2 + dice.below(8) {
        let (is_bob, act) = (dice.below(2) == 0, act(&mut dice, n));
        let who = if is_bob { bob() } else { alice() };
        let meant = field.meant(&act);
        let went = field.plays((n, &act), &who);
        done.push((is_bob, act, (meant, went)));
    }
    let mut ops = w.by(&bob(), field.start);
    if dice.below(2) == 0 {
        // As `nexus undo` chooses them: what his undos left of it.
        ops = tree_only(w, &ops);
    }
    if ops.is_empty() {
        return true;
    }
    let before = field.tree();
    let undone = w.undo(&alice(), ops.clone());
    let undone = undone.unwrap_or_else(|e| panic!("seed {seed}: {e:?}\n{done:?}"));
    if !undone.conflicts.is_empty() {
        assert_eq!(field.tree(), before, "seed {seed}: {done:?}");
        let choice = Choice {
            ops,
            answer: Answer::Skip,
            ..Choice::default()
        };
        let skipped = undo(&w.engine, &alice(), &choice);
        assert!(
            skipped.is_ok(),
            "seed {seed}: {:?}\n{done:?}",
            skipped.err()
        );
        return false;
    }
    let alone = Field::new(other, seed);
    let mut same = true;
    let mut dissolved = false;
    for (n, (_, act, went)) in (0..).zip(&done).filter(|(_, (is_bob, ..))| !is_bob) {
        // What she moved away with all that was there is not where she has moved it any more when she takes back a part of that.
        same &= !(dissolved && matches!(act, Act::Undo(_)));
        dissolved |= matches!(act, Act::Dissolve(..));
        // Undo is about nodes: whom a path would have meant another one did not do the same. Nor is it known what is done of
        // something that fails in the midst.
        same &= went.1 || !matches!(act, Act::Dissolve(..));
        same &= (alone.meant(act), alone.plays((n, act), &alice())) == *went;
    }
    if same {
        assert_eq!(field.shape(), alone.shape(), "seed {seed}: {done:?}");
    }
    if let Some(op) = undone.op {
        let redone = w.undo(&alice(), [op].into_iter().collect()).unwrap();
        assert_eq!(redone.conflicts, [], "seed {seed}: {done:?}");
        assert_eq!(field.tree(), before, "seed {seed}: {done:?}");
    }
    true
}

/// Undoes bob's part of a round; tells what is there then, or nothing where something stood in the way. With a `detour` one of
/// all the operations was undone and done again first.
fn without_bob(w: &World, seed: u64, detour: bool) -> (bool, Option<BTreeMap<String, Shape>>) {
    let mut dice = Dice::of(seed);
    let field = Field::new(w, seed);
    let mut done = Vec::new();
    for n in 0..2 + dice.below(8) {
        let (is_bob, act) = (dice.below(2) == 0, act(&mut dice, n));
        let who = if is_bob { bob() } else { alice() };
        let went = field.perform(&who, &act).is_ok();
        done.push((is_bob, act, went));
    }
    let ops = w.by(&bob(), field.start);
    let hers = w.by(&alice(), field.start);
    let all: Vec<_> = ops.iter().chain(hers.iter()).collect();
    if ops.is_empty() {
        return (false, Some(field.shape()));
    }
    let op = all[usize::try_from(dice.below(all.len() as u64)).unwrap()];
    let one = |op| [op].into_iter().collect::<OpSet>();
    let undone = detour
        .then(|| w.undo(&alice(), one(op)).unwrap().op)
        .flatten();
    if let Some(undo) = undone {
        let redone = w.undo(&alice(), one(undo)).unwrap();
        assert!(redone.op.is_some(), "seed {seed}: {op}: {done:?}");
    }
    let rest = w.undo(&alice(), ops).unwrap();
    let shape = rest.conflicts.is_empty().then(|| field.shape());
    (undone.is_some(), shape)
}

/// Two worlds that are alike, with something granted or not.
fn worlds(policed: bool) -> (World, World) {
    let new = || {
        let w = World::new();
        if policed {
            w.unrelated_grant();
        }
        w
    };
    (new(), new())
}

/// Rounds of up to ten acts: `NEXUS_UNDO_ROUNDS`.
#[allow(clippy::disallowed_methods, reason = "how long a test runs")]
fn rounds() -> u64 {
    let asked = std::env::var("NEXUS_UNDO_ROUNDS").ok();
    asked.map_or(300, |n| n.parse().unwrap())
}

#[test]
fn what_was_undone_and_done_again_stands_in_nobodys_way() {
    let (mut pair, mut detours) = (worlds(false), 0);
    for seed in 1..=rounds() {
        let straight = without_bob(&pair.0, seed, false);
        let (went, there) = without_bob(&pair.1, seed, true);
        assert_eq!(there, straight.1, "seed {seed}");
        detours += usize::from(went && there.is_some());
        if seed % ROUNDS == 0 {
            pair.1.assert_sound();
            pair = worlds((seed / ROUNDS).is_multiple_of(2));
        }
    }
    assert!(detours > 0);
}

#[test]
fn undoing_one_of_two_leaves_what_the_other_would_have_made_alone() {
    let rounds = rounds();
    let (mut pair, mut smooth) = (worlds(true), 0);
    for seed in 1..=rounds {
        smooth += usize::from(round((&pair.0, &pair.1), seed));
        if seed % ROUNDS == 0 || seed == rounds {
            pair.0.assert_sound();
            pair = worlds((seed / ROUNDS).is_multiple_of(2));
        }
    }
    // A test of conflicts alone, or of none, would show little.
    assert!(smooth > 0 && smooth < usize::try_from(rounds).unwrap());
}
