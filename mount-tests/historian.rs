//! Somebody who deletes a directory, undoes that or restores it from a snapshot, and forgets all that is over, again and again, until
//! the store is gone.

use crate::shell::script;
use crate::world::{NEXUS, NEXUSCTL, World};
use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Stdio};

/// Where, in the workspace.
pub(crate) const PLACE: &str = "past";
const FILES: u64 = 5;

/// Tells of each directory: `gone` when it is deleted, `back` when it is there again, `forgot` when the past is; `broken` when one of
/// these cannot be done while the store is there.
const WORK: &str = r#"
ends() { ls . > /dev/null 2>&1 && echo "broken $n: $1"; exit 0; }
n=$1
while true; do
    mkdir "$n" && for f in 1 2 3 4 5; do echo "$n-$f" > "$n/$f" || ends write; done || ends mkdir
    said=$("$NEXUS" snapshot create "s$n" /workspace/past 2>&1) || ends "$said"
    rm -r "$n" || ends rm
    echo "gone $n"
    case $n in
    *[02468]) said=$("$NEXUS" undo "/workspace/past/$n" --kind unlink,rmdir 2>&1) || ends "$said" ;;
    *) said=$("$NEXUS" snapshot restore "s$n" "/workspace/past/$n" 2>&1) || ends "$said" ;;
    esac
    echo "back $n"
    said=$("$NEXUS" snapshot delete "s$n" 2>&1) || ends "$said"
    said=$("$NEXUSCTL" gc --keep-within 0s 2>&1) || ends "$said"
    echo "forgot $n"
    n=$((n + 1))
done 2> /dev/null
"#;

/// What the historian told.
#[derive(Default)]
pub(crate) struct Historian {
    next: u64,
    gone: BTreeSet<u64>,
    back: BTreeSet<u64>,
    broken: Vec<String>,
}

impl Historian {
    /// Begins where it ended before.
    pub(crate) fn start(&self, world: &World) -> Child {
        let dir = world.path(PLACE);
        fs::create_dir_all(&dir).unwrap();
        let mut command = script(&dir, WORK);
        command.args(["historian", &self.next.to_string()]);
        world.furnish(&mut command);
        command.env("NEXUS", NEXUS).env("NEXUSCTL", NEXUSCTL);
        command.stdout(Stdio::piped()).spawn().unwrap()
    }

    pub(crate) fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.splitn(2, ' ').collect();
        let number = words.get(1).and_then(|n| n.parse().ok());
        match (words[0], number) {
            ("gone", Some(n)) => drop(self.gone.insert(n)),
            ("back", Some(n)) => drop(self.back.insert(n)),
            ("broken", _) => self.broken.push(line.to_owned()),
            _ => {}
        }
        self.next = self.next.max(number.map_or(0, |n| n + 1));
    }

    /// After a crash: what came back is there; of the rest undo or restore did all, or nothing.
    pub(crate) fn check(&mut self, world: &World) {
        assert!(self.broken.is_empty(), "{:?}", self.broken);
        for n in 0..=self.next {
            let files = files(world, n);
            let half = self.gone.contains(&n) && !(files.is_empty() || is_whole(&files));
            assert!(!half, "{n} is half undone: {files:?}");
        }
        self.check_prefix(world);
    }

    /// After a power cut: what came back is there; the rest is what it was after some operation. What could not be done in
    /// the dark is no wonder.
    pub(crate) fn check_after_cut(&mut self, world: &World) {
        self.broken.clear();
        self.check_prefix(world);
    }

    fn check_prefix(&mut self, world: &World) {
        for n in 0..=self.next {
            let files = files(world, n);
            // They are made one after the other, deleted one after the other, and come back together.
            let run = files.windows(2).all(|w| w[1] == w[0] + 1);
            let end = files.first() == Some(&1) || files.last() == Some(&FILES);
            assert!(files.is_empty() || run && end, "{n} has {files:?}");
            let lost = self.back.contains(&n) && !is_whole(&files);
            assert!(!lost, "{n} is lost: {files:?}");
        }
        println!("{} undone, {} deleted", self.back.len(), self.gone.len());
        // What was begun and not finished stays as it is.
        self.next += 1;
    }
}

/// The files of a directory that hold what was written to them.
fn files(world: &World, n: u64) -> Vec<u64> {
    let dir = world.path(PLACE).join(n.to_string());
    let text = |f: u64| fs::read_to_string(dir.join(f.to_string())).unwrap_or_default();
    (1..=FILES)
        .filter(|f| text(*f) == format!("{n}-{f}\n"))
        .collect()
}

fn is_whole(files: &[u64]) -> bool {
    files.len() as u64 == FILES
}
