//! How long the kernel of one mount may keep names and lists of the past, and how it forgets them.
//!
//! Who may see them is judged by the present, so a change of anything may be one of anything in the past. They are kept where a
//! kernel can be told to ask for all names again (Linux 6.16), which costs the same however many it has; elsewhere they are asked
//! for each time. So is, where several users are, what some of them do not find as others do: a kernel has one answer for all.

use super::door::Door;
use crate::core::{HandleId, Ino, Name, Time};
use crate::fs::Looks;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long before an end kernels ask again. They count in ticks of their own, from when the answer reaches them, and would
/// keep a name for that much longer than it holds.
const ASKED_BEFORE: Duration = Duration::from_secs(1);

/// One mount's looks at the past.
#[derive(Debug, Default)]
pub(super) struct Past {
    pub looks: Arc<Looks>,
    /// Whether the kernel asks for names again when it is told to.
    forgets: AtomicBool,
    /// Directories of the past that somebody has open.
    open: Mutex<HashMap<HandleId, Ino>>,
}

impl Past {
    /// Notes whether the kernel can be told to forget.
    pub(super) fn can_be_forgotten(&self, yes: bool) {
        self.forgets.store(yes, Ordering::SeqCst);
    }

    /// The directories of the past that somebody lists, perhaps.
    pub(super) fn open(&self) -> Vec<Ino> {
        let mut open: Vec<_> = self.open.lock().values().copied().collect();
        open.sort_unstable();
        open.dedup();
        open
    }
}

impl Door {
    /// Notes that the kernel may be given something that is in a directory, before anybody judges that.
    pub(super) fn looks_into(&self, dir: Ino) {
        if self.keeps_past() && self.engine.is_in_past(dir) {
            self.past.looks.note(self.engine.next_ino());
        }
    }

    /// Notes the same of a name.
    pub(super) fn looks_up(&self, dir: Ino, name: &[u8]) {
        let is_way_in = || {
            self.everywhere
                .as_ref()
                .is_some_and(|n| n.as_bytes() == name)
        };
        if self.keeps_past() && (self.engine.is_in_past(dir) || is_way_in()) {
            self.past.looks.note(self.engine.next_ino());
        }
    }

    /// Whether a name that leads into a view, or is in one, is kept.
    pub(super) fn keeps_view_name(&self, dir: Ino, name: &[u8], ino: Ino) -> bool {
        let is_way_in = !self.engine.is_in_view(dir) && self.engine.is_in_past(ino);
        let is_kept = is_way_in || self.engine.keeps_name(dir, name);
        self.keeps_past() && is_kept && self.is_past_of_all(dir, name)
    }

    /// Whether it is kept that a name is not there: in what was, and not among the words for moments.
    pub(super) fn keeps_view_absence(&self, dir: Ino, name: &[u8]) -> bool {
        self.shows_what_was(dir) && self.is_past_of_all(dir, name)
    }

    /// Whether what a directory shows is what was, and kernels may keep that.
    fn shows_what_was(&self, dir: Ino) -> bool {
        self.keeps_past() && self.engine.is_in_past(dir) && !self.engine.is_computed(dir)
    }

    /// Whether all who come through this mount find the same under a name that leads into the past, or is in it: where some may not
    /// go, they are refused behind it.
    fn is_past_of_all(&self, dir: Ino, name: &[u8]) -> bool {
        let is_alike = |name: Name| {
            Ok(self.engine.is_common(dir, &name) || self.engine.finds_alike(dir, &name)?)
        };
        self.callers.is_single() || Name::new(name).and_then(is_alike).unwrap_or(false)
    }

    /// Notes that a directory of the past is open: names that a list of it brings may be kept. What the list stands on, if that is
    /// kept itself. Kernels are told of a change after [`Looks::turn`] is another one: a list is of the turn that it was opened in,
    /// or is told of.
    pub(super) fn past_list(&self, handle: HandleId, dir: Ino) -> Option<(u64, u64)> {
        if self.keeps_past() && self.engine.is_in_past(dir) {
            self.past.open.lock().insert(handle, dir);
        }
        if !self.shows_what_was(dir) {
            return None;
        }
        let ends = self.engine.next_end().is_some();
        Some((u64::MAX, self.past.looks.turn())).filter(|_| !ends)
    }

    pub(super) fn past_closed(&self, handle: HandleId) {
        self.past.open.lock().remove(&handle);
    }

    /// How long a name stays that is seen today: until something ends of which nobody is told, if anything does.
    pub(super) fn until_an_end(&self, end: Option<Time>, longest: Duration) -> Duration {
        let left = |end: Time| u64::try_from(end.0.saturating_sub(self.engine.latest().0));
        let left = |end| left(end).map_or(Duration::ZERO, Duration::from_nanos);
        end.map_or(longest, |end| {
            left(end).saturating_sub(ASKED_BEFORE).min(longest)
        })
    }

    fn keeps_past(&self) -> bool {
        self.past.forgets.load(Ordering::SeqCst)
    }
}
