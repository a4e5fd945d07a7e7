//! How much the kernel reads ahead on a mount.

use nix::sys::stat::{major, minor};
use std::fs;
use std::io;

/// What a read-ahead may ask for at a time, in KiB.
const WINDOW: &str = "1024";

/// Raises the window, which INIT can only make smaller than the kernel's 128 KiB. Takes root and a writable /sys. `device` is the mount's st_dev.
pub(super) fn raise(device: u64) -> io::Result<()> {
    let device = format!("{}:{}", major(device), minor(device));
    fs::write(format!("/sys/class/bdi/{device}/read_ahead_kb"), WINDOW)
}
