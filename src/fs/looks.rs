//! What the kernel behind a mount keeps of the past, and whether a change lets somebody see more of that or less.
//!
//! What was stays as it was; who may see it follows the present (see `gone`). So names of the past may be kept like those of the
//! present until something that is there today, or was until now, is judged otherwise. Kernels forget such names all at
//! once or not at all, so one that was given none since is not told.

use super::commit::Change;
use crate::core::Ino;
use crate::meta::{Edit, Node};
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// What one mount's kernel was given of the past.
#[derive(Debug, Default)]
pub struct Looks {
    /// How often it may have been given something.
    given: AtomicU64,
    /// How many of these it has forgotten.
    forgotten: AtomicU64,
    /// How often it was told to.
    turns: AtomicU64,
    /// The number that the next new node had at the latest of these: what is newer is in nothing that was given.
    next: AtomicU64,
}

impl Looks {
    /// Notes that the kernel may be given something, before that is judged. `next` is what a new node would be numbered.
    pub fn note(&self, next: Ino) {
        self.next.fetch_max(next.0, Ordering::SeqCst);
        self.given.fetch_add(1, Ordering::SeqCst);
    }

    /// Whether something that it has may be judged otherwise, now that a node and perhaps newer ones are.
    pub(super) fn depend_on(&self, oldest: Ino) -> bool {
        // Who judged by what was before the change has noted so before.
        fence(Ordering::SeqCst);
        let given = self.given.load(Ordering::SeqCst);
        given > self.forgotten.load(Ordering::SeqCst) && oldest.0 < self.next.load(Ordering::SeqCst)
    }

    /// Begins to make the kernel forget; what to say to [`Self::forgot`] when it has.
    pub fn begin_to_forget(&self) -> u64 {
        self.turns.fetch_add(1, Ordering::SeqCst);
        self.given.load(Ordering::SeqCst)
    }

    /// Notes that the kernel has forgotten what it was given until it was told. Not before: another change meanwhile waits, too.
    pub fn forgot(&self, given: u64) {
        self.forgotten.fetch_max(given, Ordering::SeqCst);
    }

    /// Another number each time the kernel was told to forget.
    pub fn turn(&self) -> u64 {
        self.turns.load(Ordering::SeqCst)
    }
}

impl Change<'_> {
    /// Notes that who may see a node, or what was below it, may be another matter now.
    pub(super) fn rejudges(&mut self, ino: Ino) {
        self.rejudged = Some(self.rejudged.map_or(ino, |oldest| oldest.min(ino)));
    }

    /// The same where mode, owner, directory or names are others. A directory's links say nothing of its own name.
    pub(super) fn rejudges_if_moved(&mut self, old: &Node, new: &Node) {
        let links = |n: &Node| if n.is_dir() { 0 } else { n.nlink };
        let judged_by = |n: &Node| (n.mode, n.uid, n.gid, n.parent, links(n));
        if judged_by(old) != judged_by(new) {
            self.rejudges(new.ino);
        }
    }

    /// The same of everything, where grants, principals or the horizon change. A name for a moment changes nothing that was seen
    /// before.
    pub(super) fn rejudges_all(&mut self, edits: [&[Edit]; 3]) {
        let mut edits = edits.into_iter().flatten();
        if edits.any(|edit| !matches!(edit, Edit::Snapshot(_))) {
            self.rejudges(Ino(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_told_once_of_what_it_was_given() {
        let looks = Looks::default();
        assert!(!looks.depend_on(Ino(0)));
        looks.note(Ino(100));
        assert!(looks.depend_on(Ino(0)) && looks.depend_on(Ino(99)));
        assert!(!looks.depend_on(Ino(100)));
        let told = looks.begin_to_forget();
        // Until it has forgotten, whoever changes something waits for that.
        assert!(looks.depend_on(Ino(99)));
        looks.forgot(told);
        assert!(!looks.depend_on(Ino(0)));
    }

    #[test]
    fn what_it_is_given_while_it_is_told_it_has_still() {
        let looks = Looks::default();
        looks.note(Ino(100));
        let told = looks.begin_to_forget();
        looks.note(Ino(100));
        looks.forgot(told);
        assert!(looks.depend_on(Ino(99)));
    }
}
