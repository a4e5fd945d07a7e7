//! Memory that written bytes take, counted over all open files.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of memory that all files take together.
#[derive(Debug, Clone, Default)]
pub(super) struct Sum(Arc<AtomicUsize>);

/// One file's share of the sum. Dropping it takes it out.
#[derive(Debug, Default)]
pub(super) struct Share {
    bytes: usize,
    sum: Option<Sum>,
}

impl Sum {
    pub(super) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Share {
    /// Begins to count in a sum, once.
    pub(super) fn join(&mut self, sum: &Sum) {
        if self.sum.is_none() {
            sum.0.fetch_add(self.bytes, Ordering::Relaxed);
            self.sum = Some(sum.clone());
        }
    }

    pub(super) fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
        if let Some(sum) = &self.sum {
            sum.0.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    pub(super) fn sub(&mut self, bytes: usize) {
        self.bytes -= bytes;
        if let Some(sum) = &self.sum {
            sum.0.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.sub(self.bytes);
    }
}
