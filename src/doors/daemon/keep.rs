//! Housekeeping: what has to happen every second whether anybody asks or not.

use super::mounting::Daemon;
use crate::core::Result;
use std::sync::Weak;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(1);

/// Keeps house until the sender of `end` is dropped or the daemon is gone. A failure is told once, not every second.
pub fn housekeep(daemon: &Weak<Daemon>, end: &Receiver<()>) {
    let mut well = true;
    while end.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
        let Some(daemon) = daemon.upgrade() else {
            return;
        };
        match once(&daemon) {
            Ok(()) => well = true,
            Err(e) if well => {
                tracing::error!("housekeeping: {}", e.chain());
                well = false;
            }
            Err(e) => tracing::debug!("housekeeping: {}", e.chain()),
        }
    }
}

fn once(daemon: &Daemon) -> Result<()> {
    daemon.nexus.engine.housekeep()?;
    daemon.nexus.db.tend()?;
    daemon.reap()
}
