//! Locks on ranges of files (fcntl(2)), between processes on several mounts of one daemon.

mod actor;
mod ends;
mod exclusion;
mod sqlite;
mod waits;

use actor::{Actor, two, two_mounts, until_waiting, waiting};
