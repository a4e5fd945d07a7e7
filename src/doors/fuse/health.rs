//! Whether what is mounted somewhere still has a daemon that answers.

use nix::errno::Errno;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const ASKED_MAX: usize = 1000;
/// How long a mount may take to answer whether it is there.
const PATIENCE: Duration = Duration::from_secs(5);

/// What has become of a mount, or of a directory that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It answers.
    Good,
    /// Its daemon died.
    Gone,
    /// Nothing was answered for some seconds: its daemon is stopped, or died while the kernel waited for it in the midst of being told
    /// something, which keeps the connection open.
    Silent,
}

/// Asks a mount whether its daemon lives.
pub fn health(dir: &Path) -> Health {
    let (tell, told) = mpsc::channel();
    let asked = dir.to_owned();
    // Left behind where the kernel does not come back from it.
    let asks = thread::Builder::new().name("nexus-health".to_owned());
    let begun = asks.spawn(move || tell.send(is_gone(&asked)));
    match begun.map(|_| told.recv_timeout(PATIENCE)) {
        Ok(Ok(true)) => Health::Gone,
        Ok(Err(_)) => Health::Silent,
        Ok(Ok(false)) | Err(_) => Health::Good,
    }
}

fn is_gone(dir: &Path) -> bool {
    // Attributes may still come from the kernel's cache; this question always goes to the daemon.
    let ask = || nix::sys::statvfs::statvfs(dir).err();
    // Rings that died are found one after the other, before the kernel lets go of the connection.
    let mut answers = std::iter::repeat_with(ask).take(ASKED_MAX);
    let answer = answers.find(|errno| *errno != Some(Errno::ECANCELED));
    matches!(answer, Some(Some(Errno::ENOTCONN | Errno::ECONNABORTED)))
}
