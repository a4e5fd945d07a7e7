//! A test disk to put a store on.
//!
//! It is served by a process of its own: one that has a file of the disk mapped (SQLite's `-shm`) cannot die before the
//! kernel has written the map back, and would wait for itself for ever if it were the one who serves the disk.

use crate::dice::Dice;
use crate::shell::wait;
use std::cell::RefCell;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use tempfile::TempDir;

/// What an answer begins with; libtest writes to the same stream.
pub(crate) const ANSWER: &str = "disk: ";
const DIR: &str = "NEXUS_TEST_DISK";

/// A disk, mounted until it is dropped.
pub(crate) struct Drive {
    dir: TempDir,
    process: Child,
    orders: Option<ChildStdin>,
    answers: RefCell<BufReader<ChildStdout>>,
}

impl Drive {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args([
                "--ignored",
                "--exact",
                "--nocapture",
                "drive::serves_a_disk",
            ])
            .env(DIR, dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let drive = Self {
            dir,
            orders: process.stdin.take(),
            answers: RefCell::new(BufReader::new(process.stdout.take().unwrap())),
            process,
        };
        drive.spin_up();
        drive
    }

    /// A data directory on the disk.
    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    #[track_caller]
    fn order(&self, order: &str) -> String {
        writeln!(self.orders.as_ref().unwrap(), "{order}").unwrap();
        loop {
            let mut line = String::new();
            assert!(
                self.answers.borrow_mut().read_line(&mut line).unwrap() > 0,
                "the disk is gone"
            );
            if let Some(answer) = line.trim_end_matches('\n').strip_prefix(ANSWER) {
                return answer.to_owned();
            }
        }
    }

    /// A fresh mount of the same disk: whatever the kernel had cached of it is forgotten.
    pub(crate) fn spin_up(&self) {
        self.order("spin-up");
    }

    /// Lets the power fail with the `n`th operation from now on that changes the disk.
    pub(crate) fn cut_after(&self, n: u64) {
        self.order(&format!("cut {n}"));
    }

    /// Lets the `n`th operation from now on fail, once.
    pub(crate) fn fail_once(&self, n: u64, errno: i32) {
        self.order(&format!("fail {n} {errno}"));
    }

    /// Whether the failure that was ordered has come.
    pub(crate) fn has_fired(&self) -> bool {
        self.order("fired") == "true"
    }

    /// Ends the trouble; tells whether it came.
    pub(crate) fn calm(&self) -> bool {
        self.order("calm") == "true"
    }

    /// How many operations have changed the disk, or tried to.
    pub(crate) fn count(&self) -> u64 {
        self.order("count").parse().unwrap()
    }

    /// Ends a cut as if only the processes had died: everything written is there.
    pub(crate) fn keep_unsynced(&self) {
        self.calm();
    }

    /// Gives the power back: what was not synced is there or is not.
    pub(crate) fn forget_unsynced(&self, dice: &mut Dice) {
        println!("{}", self.order(&format!("forget {}", dice.next())));
    }
}

impl Drop for Drive {
    fn drop(&mut self) {
        self.orders = None;
        if wait(&mut self.process).is_none() {
            println!("the disk does not end");
        }
    }
}

#[test]
#[ignore = "not a test: the process of a disk, started by tests that need one"]
#[allow(clippy::disallowed_methods, reason = "told by the test that starts it")]
fn serves_a_disk() {
    if let Ok(dir) = std::env::var(DIR) {
        crate::served::serve(dir.as_ref());
    }
}
