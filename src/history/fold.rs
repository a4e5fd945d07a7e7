//! The heart of undo: what something would be had some of its changes not been made.
//!
//! Each thing (a node, a name, an attribute) has a timeline: what it was, and each change since. Going along it and
//! leaving the undone changes out gives what it should be now; where a later change of somebody else needs one that is left
//! out, there is no answer but a conflict.

use super::ops::{OpSet, Without};
use crate::blob::Content;
use crate::core::{Ino, Op, Result};
use crate::meta::timeline::Spell;
use crate::meta::{Node, OpKind, Record};

/// What something was, and each change since, the oldest first; `None` where it did not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Timeline<T> {
    pub before: Option<T>,
    pub changes: Vec<(Op, Option<T>)>,
}

/// What something should be, or the first operation that stands in the way.
pub(super) type Folded<T> = std::result::Result<Option<T>, Op>;

impl<T> Timeline<T> {
    /// The operations that changed something.
    pub(super) fn operations(&self) -> impl Iterator<Item = Op> {
        self.changes.iter().map(|(op, _)| *op)
    }

    /// The last operation that stays, where it came after one that is undone.
    pub(super) fn kept(&self, undone: Without<'_>) -> Option<Op> {
        let first = self.operations().find(|op| undone.has(*op))?;
        self.operations()
            .filter(|op| !undone.has(*op) && *op > first)
            .last()
    }
}

impl<T: Clone> Timeline<T> {
    /// Of states with the operations that they began with; `since` is the first operation that counts as a change.
    pub(super) fn of(mut spells: Vec<(Op, Spell<T>)>, since: Op) -> Self {
        spells.sort_by_key(|(began, _)| *began);
        let (mut before, mut changes): (_, Vec<(Op, Option<T>)>) = (None, Vec::new());
        for (began, spell) in spells {
            if began < since {
                before = Some(spell.state);
            } else {
                // What ended with the beginning of this is one change, not two.
                if changes.last().is_some_and(|(op, _)| *op == began) {
                    changes.pop();
                }
                changes.push((began, Some(spell.state)));
            }
            changes.extend(spell.ended.map(|ended| (ended, None)));
        }
        Self { before, changes }
    }

    pub(super) fn now(&self) -> Option<&T> {
        match self.changes.last() {
            Some((_, state)) => state.as_ref(),
            None => self.before.as_ref(),
        }
    }
}

impl<T: Clone + PartialEq> Timeline<T> {
    /// For what each change sets anew, whatever it was: the last change that is not undone counts.
    pub(super) fn last_not_in(&self, undone: Without<'_>) -> Option<T> {
        let kept = self.changes.iter().rev().find(|(op, _)| !undone.has(*op));
        match kept {
            Some((_, state)) => state.clone(),
            None => self.before.clone(),
        }
    }
}

impl Timeline<Ino> {
    /// What a name should stand for. `went_on` says whether a node that an operation took from here got another name with it:
    /// that is no deletion.
    pub(super) fn without(
        &self,
        undone: Without<'_>,
        went_on: impl Fn(Ino, Op) -> bool,
    ) -> Folded<Ino> {
        let (mut should, mut was) = (self.before, self.before);
        for (op, is) in &self.changes {
            if !undone.has(*op) {
                let moved = was.is_some_and(|ino| went_on(ino, *op));
                if should == was {
                    should = *is;
                } else if should != *is || moved {
                    return Err(*op);
                }
            }
            was = *is;
        }
        Ok(should)
    }
}

/// What a fold has to ask.
pub(super) trait Counsel {
    /// Makes both changes of a content, of `base` to `ours` and of `base` to `theirs`; `None` where they touch the same.
    fn merge(
        &mut self,
        base: &Content,
        ours: &Content,
        theirs: &Content,
    ) -> Result<Option<Content>>;

    /// Whether two contents have a line in common; or may have, as no texts.
    fn is_akin(&mut self, one: &Content, other: &Content) -> Result<bool>;

    /// The record of an operation.
    fn record(&mut self, op: Op) -> Result<Option<Record>>;
}

impl Timeline<Node> {
    /// What a node should be, apart from its names.
    pub(super) fn without(
        &self,
        undone: Without<'_>,
        ask: &mut dyn Counsel,
    ) -> Result<Folded<Node>> {
        let (mut should, mut was) = (self.before.clone(), self.before.as_ref());
        let mut rest = &self.changes[..];
        while let Some(((op, is), later)) = rest.split_first() {
            rest = later;
            if !undone.has(*op) {
                should = match (should, was, is) {
                    (Some(kept), Some(was), Some(is)) => {
                        let run = later.iter().map_while(|(op, is)| {
                            let is = is.as_ref().filter(|_| !undone.has(*op));
                            is.map(|is| (*op, is))
                        });
                        let run: Vec<_> = std::iter::once((*op, is)).chain(run).collect();
                        rest = &later[run.len() - 1..];
                        match carry(kept, was, &run, ask)? {
                            Ok(carried) => Some(carried),
                            Err(by) => return Ok(Err(by)),
                        }
                    }
                    // Somebody has undone it already.
                    (Some(kept), None, Some(is)) if !differs(&kept, is) => Some(is.clone()),
                    // Somebody changed what would not be there.
                    (None, Some(_), Some(_)) | (Some(_), None, Some(_)) => return Ok(Err(*op)),
                    (None, None, Some(is)) => Some(is.clone()),
                    (_, _, None) => None,
                };
            }
            let done = self.changes.len() - rest.len();
            was = self.changes[done - 1].1.as_ref();
        }
        Ok(Ok(should))
    }
}

/// The operations among the undone that changed something.
pub(super) fn touching<T>(line: &Timeline<T>, undone: Without<'_>) -> OpSet {
    line.operations().filter(|op| undone.has(*op)).collect()
}

/// Somebody set what was so already: it is his now, too.
fn set_again(kept: &mut Node, is: &Node, kind: Option<OpKind>) {
    match kind {
        Some(OpKind::Chmod | OpKind::SetAcl) => kept.mode = is.mode,
        Some(OpKind::Chown) => (kept.uid, kept.gid) = (is.uid, is.gid),
        Some(OpKind::Write | OpKind::Truncate) => {
            kept.content = is.content.clone();
            (kept.size, kept.mtime) = (is.size, is.mtime);
        }
        _ => {}
    }
}

/// Whether undo has to change one into the other.
pub(super) fn differs(a: &Node, b: &Node) -> bool {
    let mtime = |n: &Node| (!n.is_dir()).then_some(n.mtime);
    let words = |n: &Node| (n.mode, n.uid, n.gid, n.size, mtime(n));
    words(a) != words(b) || a.content != b.content
}

/// Does to `kept` what made the last of `run` of `was`, step by step; the operation that began to change the content, where
/// contents cannot be merged. A run of changes is one to a text: a shell's `>` empties it first.
fn carry<'a>(
    mut kept: Node,
    mut was: &'a Node,
    run: &[(Op, &'a Node)],
    ask: &mut dyn Counsel,
) -> Result<std::result::Result<Node, Op>> {
    let mut rewritten: Option<(Op, &Node)> = None;
    for (op, is) in run {
        if differs(was, is) {
            carry_attributes(&mut kept, was, is);
            if was.content != is.content || was.size != is.size {
                rewritten = rewritten.or(Some((*op, was)));
            }
        } else {
            set_again(&mut kept, is, ask.record(*op)?.map(|r| r.kind));
            // From there on it is his content that he changes.
            rewritten = rewritten.filter(|_| kept.content != is.content);
        }
        was = is;
    }
    let Some((by, base)) = rewritten else {
        return Ok(Ok(kept));
    };
    if kept.content == base.content && kept.size == base.size {
        kept.content = was.content.clone();
    } else if kept.content != was.content && base.content != was.content {
        let Some(merged) = ask.merge(&base.content, &kept.content, &was.content)? else {
            return Ok(Err(by));
        };
        kept.content = merged;
    }
    kept.size = kept.content.size();
    Ok(Ok(kept))
}

fn carry_attributes(kept: &mut Node, was: &Node, is: &Node) {
    if was.mode != is.mode {
        kept.mode = is.mode;
    }
    if (was.uid, was.gid) != (is.uid, is.gid) {
        (kept.uid, kept.gid) = (is.uid, is.gid);
    }
    // A directory's time is not in its rows: names that come and go touch it in place.
    if was.mtime != is.mtime && !kept.is_dir() {
        kept.mtime = is.mtime;
    }
    if was.atime != is.atime {
        kept.atime = is.atime;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spell(began: u64, ended: Option<u64>, ino: u64) -> (Op, Spell<Ino>) {
        let state = Ino(ino);
        let ended = ended.map(Op);
        (Op(began), Spell { state, ended })
    }

    fn ops(list: &[u64]) -> OpSet {
        list.iter().map(|op| Op(*op)).collect()
    }

    fn name(spells: &[(Op, Spell<Ino>)], undone: &[u64]) -> Folded<Ino> {
        let line = Timeline::of(spells.to_vec(), Op(5));
        line.without(Without::These(&ops(undone)), |_, _| false)
    }

    #[test]
    fn a_timeline_has_what_was_before_and_each_change_once() {
        let line = Timeline::of(
            vec![
                spell(7, Some(9), 2),
                spell(1, Some(7), 1),
                spell(12, None, 3),
            ],
            Op(5),
        );
        assert_eq!(line.before, Some(Ino(1)));
        let changes = [(Op(7), Some(Ino(2))), (Op(9), None), (Op(12), Some(Ino(3)))];
        assert_eq!(line.changes, changes);
        assert_eq!(line.now(), Some(&Ino(3)));
    }

    #[test]
    fn a_name_is_what_it_was_without_what_is_undone() {
        // Deleted.
        assert_eq!(name(&[spell(1, Some(6), 1)], &[6]), Ok(Some(Ino(1))));
        // Made.
        assert_eq!(name(&[spell(6, None, 1)], &[6]), Ok(None));
        // Made by one and deleted by another: gone either way.
        assert_eq!(name(&[spell(6, Some(7), 1)], &[6]), Ok(None));
        // Deleted, and another one made at its place by somebody else.
        let taken = [spell(1, Some(6), 1), spell(8, None, 2)];
        assert_eq!(name(&taken, &[6]), Err(Op(8)));
        // Both undone.
        assert_eq!(name(&taken, &[6, 8]), Ok(Some(Ino(1))));
        // The deletion stays undone by somebody else.
        let back = [spell(1, Some(6), 1), spell(8, None, 1)];
        assert_eq!(name(&back, &[6]), Ok(Some(Ino(1))));
    }

    #[test]
    fn what_somebody_moved_on_is_in_the_way() {
        let line = Timeline::of(vec![spell(6, Some(7), 1)], Op(5));
        assert_eq!(
            line.without(Without::These(&ops(&[6])), |_, _| true),
            Err(Op(7))
        );
        assert_eq!(
            line.without(Without::These(&ops(&[6, 7])), |_, _| true),
            Ok(None)
        );
    }
}
