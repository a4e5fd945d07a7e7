//! Calls that reverse others.

use super::work::{Done, Work};
use super::{Reader, TOP};
use crate::core::{Caller, Op};
use crate::fs::tests::path;
use crate::fs::tests::principals::boss;
use crate::history::{
    Answer, Choice, OpSet, Restoring, Undone, resolve_when, restore, restore_content, snapshot,
    undo,
};
use crate::meta::FileKind;

/// How far back an operation lies that is undone alone.
const BACK: u32 = 60;

impl Work {
    /// Undoes what the last call did: the tree is what it was before.
    pub(super) fn undo_last(&mut self, _: &Caller) -> Done {
        let mut newest = self.states.iter().rev();
        let ((last, _), (before, then)) = (newest.next()?, newest.next()?);
        let ops = (before.0 + 1..=last.0).map(Op).collect();
        let then = then.clone();
        self.undo(ops, Answer::Stop)?;
        self.model.become_like(then);
        Some(())
    }

    /// Undoes some older operation. What that leaves is undo's to know; the past has to show it.
    pub(super) fn undo_one(&mut self, _: &Caller) -> Done {
        let back = 1 + self.dice.index(BACK);
        let op = *self.states.keys().rev().nth(back)?;
        let answer = [Answer::Stop, Answer::Skip, Answer::Aside][self.dice.index(3)];
        self.undo([op].into_iter().collect(), answer)?;
        let found = Reader::new(&self.w).model();
        self.model.become_like(found);
        Some(())
    }

    fn undo(&self, ops: OpSet, answer: Answer) -> Done {
        let choice = Choice {
            ops,
            answer,
            ..Choice::default()
        };
        undo(self.w.engine(), &boss(), &choice).ok()?.op.map(drop)
    }

    /// Makes a snapshot, or makes everything again what it was: as of some operation, or as a snapshot has it.
    pub(super) fn restore(&mut self, who: &Caller) -> Done {
        if self.snapshots == 0 || self.one_in(4) {
            self.snapshots += 1;
            let name = format!("s{}", self.snapshots);
            let made = snapshot::create(self.w.engine(), who, &path(TOP), (&name, None));
            return made.ok().map(drop);
        }
        let (by_name, n) = (self.one_in(3), self.state());
        let e = self.w.engine();
        let op = if by_name {
            let name = format!("s{}", self.snapshots);
            resolve_when(e, &boss(), &name).ok()?.op
        } else {
            *self.states.keys().nth(n)?
        };
        let then = self.states[&op].clone();
        restored(&restore(e, &boss(), &self.what("", op)).unwrap())?;
        self.model.become_like(then);
        Some(())
    }

    /// One of the states that there were.
    fn state(&mut self) -> usize {
        self.dice
            .index(u32::try_from(self.states.len()).unwrap().max(1))
    }

    /// Gives a file a content that it had before.
    pub(super) fn restore_content(&mut self, _: &Caller) -> Done {
        let at = self.existing(&[FileKind::File])?;
        let n = self.state();
        let (op, then) = self.states.iter().nth(n)?;
        let (op, old) = (*op, self.model.same_in(&at, then)?);
        let what = self.what(&at, op);
        let e = self.w.engine();
        let node = e.store().node_at(what.node, op).unwrap().unwrap();
        restored(&restore_content(e, &boss(), &what, &node).unwrap())?;
        self.model.change(&at, |file| {
            file.fill(old.bytes);
            file.seen.mtime = old.seen.mtime;
        });
        Some(())
    }

    fn what(&self, at: &str, op: Op) -> Restoring {
        let whole = format!("{TOP}/{at}");
        let path = path(whole.trim_end_matches('/'));
        let e = self.w.engine();
        Restoring {
            node: e.resolve_link(&boss(), &path).unwrap().ino,
            at: e.moment_of(&boss(), op).unwrap(),
            path,
            answer: Answer::Stop,
            dry_run: false,
        }
    }
}

fn restored(done: &Undone) -> Done {
    assert!(done.conflicts.is_empty());
    done.op.map(drop)
}
