//! A daemon that was killed and cannot end, and the next one, which buries it.
//!
//! A kernel that is told what changed waits for a page or a directory that a request under way holds. Killed then, a daemon does
//! not answer that request any more, and the thread that tells never ends: it keeps the store's lock, the sockets and the
//! mounts, and all who use these wait with it, until the kernel is made to let go.

use crate::core::{Config, Kind, Result, Text, error::fail};
use crate::db::owner;
use crate::doors::fuse::{self, Health, Point};
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::thread;
use std::time::Duration;

/// How often, and how long apart, it is looked whether the dead has ended.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(50);

/// Who a daemon is and what it has mounted: once it cannot end, nobody can ask it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    pid: i32,
    /// Numbers (st_dev) and mount points.
    mounts: Vec<(u64, Text)>,
}

/// Writes down for the next daemon what this one has mounted. Only who holds the store's lock may.
pub(super) fn note(config: &Config, mounts: Vec<(u64, Text)>) -> Result<()> {
    let note = Note {
        pid: std::process::id().cast_signed(),
        mounts,
    };
    let text = serde_json::to_vec(&note).map_err(io::Error::from)?;
    let (at, new) = (config.mounts(), config.mounts().with_extension("new"));
    match fs::remove_file(&new) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e.into()),
        _ => owner::make_file(&new)?.write_all(&text)?,
    }
    Ok(fs::rename(new, at)?)
}

/// Ends the daemon of a store if it is dead and cannot end. Of its mounts those are aborted that do not answer. Fails with `Busy`
/// where it does not end from that.
pub fn bury(config: &Config) -> Result<()> {
    if left(config).is_none() {
        return Ok(());
    }
    // One at a time: as soon as a mount is gone its number may be another's.
    let turn = File::open(&config.data_dir)?;
    let turn = Flock::lock(turn, FlockArg::LockExclusive);
    let _turn = turn.map_err(|(_, errno)| io::Error::from(errno))?;
    let Some(note) = left(config) else {
        return Ok(());
    };
    tracing::warn!(
        pid = note.pid,
        "the last daemon is dead and cannot end: its mounts are aborted"
    );
    let points = fuse::points();
    thread::scope(|scope| {
        for point in note.standing(&points) {
            // Each may take seconds to find silent.
            let beside = thread::Builder::new().spawn_scoped(scope, || abort(point));
            if beside.is_err() {
                abort(point);
            }
        }
    });
    for _ in 0..TRIES {
        if !lingers(note.pid) {
            return Ok(());
        }
        thread::sleep(PAUSE);
    }
    let message = format!(
        "the daemon of {}, process {}, is dead and cannot end: `umount -f` of each of its mounts makes the kernel let go of it",
        config.data_dir.display(),
        note.pid
    );
    fail(Kind::Busy, message)
}

fn abort(point: &Point) {
    if fuse::health(&point.dir) == Health::Silent
        && let Err(e) = fuse::abort(point)
    {
        tracing::warn!("{}", e.chain());
    }
}

/// What a daemon left that cannot end, if this is so.
fn left(config: &Config) -> Option<Note> {
    let note: Note = serde_json::from_slice(&fs::read(config.mounts()).ok()?).ok()?;
    lingers(note.pid).then_some(note)
}

impl Note {
    /// Of what is mounted now, what is the daemon's: somebody may have unmounted it meanwhile, and another file system may have
    /// its number or stand in its place.
    fn standing<'a>(&self, points: &'a [Point]) -> Vec<&'a Point> {
        let at = |dir: &Text| {
            let there = |p: &&Point| p.dir.as_os_str().as_bytes() == dir.0;
            points.iter().rfind(there)
        };
        let noted = self.mounts.iter();
        let found = noted.filter_map(|(device, dir)| at(dir).filter(|p| p.device == *device));
        found.filter(|point| point.ours).collect()
    }
}

/// Whether a process is dead and some of its threads are not: it is as good as gone, and wait(2) does not tell so.
pub fn lingers(pid: i32) -> bool {
    let told = fs::read_to_string(format!("/proc/{pid}/stat"));
    told.is_ok_and(|stat| is_left(&stat))
}

/// The same as the kernel tells it (proc_pid_stat(5)). A name may hold anything.
fn is_left(stat: &str) -> bool {
    const THREADS: usize = 20 - 3;
    let Some((_, rest)) = stat.rsplit_once(") ") else {
        return false;
    };
    let mut fields = rest.split(' ');
    let is_dead = matches!(fields.next(), Some("Z" | "X"));
    let threads = fields.nth(THREADS - 1).and_then(|n| n.parse().ok());
    is_dead && threads.is_some_and(|n: u32| n > 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn who_is_dead_with_threads_that_are_not_lingers() {
        let stat = |state: &str, threads: u32| {
            let name = "1 (a) Z 9) ";
            format!("{name}{state} 1 2 3 0 -1 4227084 9 0 0 0 1 2 0 0 20 0 {threads} 0 77 0 0")
        };
        assert!(is_left(&stat("Z", 2)));
        assert!(!is_left(&stat("Z", 1)));
        assert!(!is_left(&stat("S", 9)));
        assert!(!is_left(""));
        assert!(!lingers(std::process::id().cast_signed()));
    }

    #[test]
    fn what_a_daemon_notes_is_found_by_number_and_place_and_type() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::new(dir.path());
        let mounts = ["/a", "/b", "/c", "/d", "/e"].map(Text::from);
        note(&config, (1..).zip(mounts).collect()).unwrap();
        note(&config, vec![(9, "/n".into())]).unwrap();
        let read: Note = serde_json::from_slice(&fs::read(config.mounts()).unwrap()).unwrap();
        assert_eq!(read.mounts, [(9, Text::from("/n"))]);
        assert!(left(&config).is_none(), "we live");
        assert!(bury(&config).is_ok());

        let note = Note {
            pid: 1,
            mounts: (1..)
                .zip(["/a", "/b", "/c", "/d"].map(Text::from))
                .collect(),
        };
        let point = |device, dir: &str, ours| Point {
            device,
            root: "/".into(),
            dir: dir.into(),
            ours,
        };
        let points = [
            point(1, "/a", true),
            // Another has its number; another stands on it; another type.
            point(2, "/x", true),
            point(3, "/c", true),
            point(7, "/c", true),
            point(4, "/d", false),
        ];
        let found: Vec<_> = note.standing(&points).iter().map(|p| &*p.dir).collect();
        assert_eq!(found, [Path::new("/a")]);
    }
}
