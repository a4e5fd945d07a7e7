//! Numbers that tell whether what was derived from something is still true of it.

#[cfg(test)]
use std::sync::atomic::AtomicBool;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many changes one of them can count before it comes to another's numbers.
const SPAN: u64 = 1 << 44;

/// Another number after each change, and never one that another revision of this process has: what a thread keeps from one
/// engine is never taken for another's.
pub(super) struct Revision {
    at: AtomicU64,
    #[cfg(test)]
    stuck: AtomicBool,
}

impl Default for Revision {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(SPAN);
        Self {
            at: AtomicU64::new(NEXT.fetch_add(SPAN, Ordering::Relaxed)),
            #[cfg(test)]
            stuck: AtomicBool::default(),
        }
    }
}

impl Revision {
    pub(super) fn get(&self) -> u64 {
        self.at.load(Ordering::Acquire)
    }

    /// Notes a change, once what was changed can be read.
    pub(super) fn advance(&self) {
        #[cfg(test)]
        if self.stuck.load(Ordering::Acquire) {
            return;
        }
        self.at.fetch_add(1, Ordering::Release);
    }

    /// Misses every change from now on, so that tests show that they would notice.
    #[cfg(test)]
    pub(super) fn stick(&self) {
        self.stuck.store(true, Ordering::Release);
    }
}
